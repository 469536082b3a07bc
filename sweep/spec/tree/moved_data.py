"""Sweeps whose folders have moved: data are identified by their content, not by their path.

A dataset's fingerprint replaces its folder wherever two configurations are compared. A user's own
trainer has no fingerprint, because it may be fixed between two sessions. Its file is the same if
the name is the same and the recorded file is gone or has the same content.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from sweep.spec.settings.data_settings import DATA_SOURCES
from sweep.spec.settings.settings_base import Settings
from sweep.spec.settings.trainer_settings import traits_of
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.tree.setting_tree import group_of_option

PLACES = frozenset(
    {"data.folder", "data.groups", "data.test", "trainer.dataset", "trainer.raw"}
    | {"trainer.preprocessed", "trainer.plans", "trainer.configuration", "trainer.groups"}
)
"""Settings that say which data are used and where they are."""


def chooses_data(key: str) -> bool:
    """Whether trials that differ in this setting can train on different data."""
    return key in PLACES or group_of_option(key) == "data.options"


S = TypeVar("S", bound=TrialSettings)
G = TypeVar("G", bound=Settings)


def with_places_of(settings: S, now: TrialSettings) -> S:
    """``settings`` with the folders of ``now``, if both use the same data and trainer."""
    trainer = _moved(settings.trainer, now.trainer, settings.trainer.traits.places)
    key = trainer.own_code.rpartition(".")[2]
    if key and key == now.trainer.own_code.rpartition(".")[2]:
        own, named_now = getattr(trainer, key), getattr(now.trainer, key)
        if _is_the_same_file(own, named_now):
            trainer = trainer.model_copy(update={key: named_now})
    data = _moved(settings.data, now.data, settings.data.places)
    return settings.model_copy(update={"data": data, "trainer": trainer})


def _moved(own: G, now: Settings, places: Iterable[str]) -> G:
    """A group with the folders of ``now``, if both have the same kind and fingerprint."""
    known = getattr(own, "fingerprint", None)
    if known is None or type(own) is not type(now) or getattr(now, "fingerprint", None) != known:
        return own
    return own.model_copy(update={name: getattr(now, name) for name in places})


def known_otherwise(values: dict[str, Any]) -> None:
    """Remove from a configuration's values the folders that a fingerprint replaces."""
    data, trainer = values["data"], values["trainer"]
    groups = (data, DATA_SOURCES[data["source"]]), (trainer, traits_of(trainer["kind"]))
    for group, kind in groups:
        if group.get("fingerprint") is not None:
            for name in kind.places:
                group.pop(name, None)


def changed_parts(before: str, now: str) -> list[str]:
    """Names of the parts in which two fingerprints differ."""
    one, other = (
        dict(part.rpartition(":")[::2] for part in text.split()) for text in (before, now)
    )
    return [name for name in {**one, **other} if one.get(name) != other.get(name)]


def _is_the_same_file(recorded: str, now: str) -> bool:
    (before, _, name), (after, _, name_now) = recorded.rpartition(":"), now.rpartition(":")
    old, new = Path(before), Path(after)
    if (old.name, name) != (new.name, name_now):
        return False
    try:
        return not old.exists() or old.read_bytes() == new.read_bytes()
    except OSError:
        return False
