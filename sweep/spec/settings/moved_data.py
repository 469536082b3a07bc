"""A sweep whose folders lie elsewhere now: data are known by what they hold, not by their path.

A dataset's fingerprint stands for its folder wherever two configurations are compared. A user's own
trainer has none, for it may be mended between two sessions: its file is the same if its name is and
the one that was recorded has gone, or holds the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from sweep.spec.settings.trainer_settings import CustomTrainer, NnunetTrainer
from sweep.spec.settings.trial_settings import NnunetRawData, TrialSettings

PLACES = frozenset(
    {"data.folder", "data.test", "trainer.dataset", "trainer.raw", "trainer.preprocessed"}
    | {"trainer.plans", "trainer.configuration"}
)
"""Settings that say which data are meant, and where they are."""

S = TypeVar("S", bound=TrialSettings)


def with_places_of(settings: S, now: TrialSettings) -> S:
    """``settings`` with the folders of ``now``, where both are about the same data and trainer."""
    data, trainer = settings.data, settings.trainer
    if (
        isinstance(data, NnunetRawData)
        and isinstance(now.data, NnunetRawData)
        and data.fingerprint == now.data.fingerprint is not None
    ):
        data = data.model_copy(update={"folder": now.data.folder})
    if (
        isinstance(trainer, NnunetTrainer)
        and isinstance(now.trainer, NnunetTrainer)
        and trainer.fingerprint == now.trainer.fingerprint is not None
    ):
        folders = {name: getattr(now.trainer, name) for name in ("raw", "preprocessed")}
        trainer = trainer.model_copy(update=folders)
    if (
        isinstance(trainer, CustomTrainer)
        and isinstance(now.trainer, CustomTrainer)
        and _is_the_same_file(trainer.entry, now.trainer.entry)
    ):
        trainer = trainer.model_copy(update={"entry": now.trainer.entry})
    return settings.model_copy(update={"data": data, "trainer": trainer})


def known_otherwise(values: dict[str, Any]) -> None:
    """Take out of the values of a configuration the folders that a fingerprint stands for."""
    for group, names in (("data", ("folder",)), ("trainer", ("raw", "preprocessed"))):
        if values[group].get("fingerprint") is not None:
            for name in names:
                values[group].pop(name, None)


def changed_parts(before: str, now: str) -> list[str]:
    """Names of the parts in which two fingerprints differ."""
    one, other = (
        dict(part.rpartition(":")[::2] for part in text.split()) for text in (before, now)
    )
    return [name for name in {**one, **other} if one.get(name) != other.get(name)]


def _is_the_same_file(recorded: str, now: str) -> bool:
    before, after = (Path(entry.rpartition(":")[0]) for entry in (recorded, now))
    named = [
        (path.name, entry.rpartition(":")[2]) for path, entry in ((before, recorded), (after, now))
    ]
    if named[0] != named[1]:
        return False
    try:
        return not before.exists() or before.read_bytes() == after.read_bytes()
    except OSError:
        return False
