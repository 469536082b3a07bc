"""The trackers that can log a sweep, and the package that each needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Literal, get_args

from pydantic import Field

from sweep.machine.installed_packages import how_to_install
from sweep.plugins.plugin_kinds import TRACKER, own_or_plugin
from sweep.spec.settings.settings_base import one_or_several
from sweep.spec.words.phrases import must_be, one_of

OwnTracker = Literal["tensorboard", "mlflow", "wandb"]

PACKAGES: Mapping[str, str] = {name: name for name in get_args(OwnTracker)}
"""The package that each tracker needs. The extra that installs it has the tracker's name."""


TrackerName = Annotated[str, own_or_plugin(TRACKER, OwnTracker)]
Tracking = Annotated[
    tuple[TrackerName, ...],
    Field(strict=False),
    one_or_several(str, TrackerName | list[TrackerName]),
]
"""``tensorboard``, or ``[tensorboard, my_package.module:Mine]``."""


def missing(name: TrackerName) -> str | None:
    """How to install a tracker's package; None if it is installed. Nothing is imported."""
    return how_to_install(name, PACKAGES[name]) if name in PACKAGES else None


def chosen(names: Collection[str]) -> tuple[tuple[TrackerName, ...], list[str]]:
    """Trackers of a command line, and messages about unknown names and missing packages."""
    plugins = {name: TRACKER.entry(name, PACKAGES) for name in names if name not in PACKAGES}
    known = [name for name in PACKAGES if name in names] + [*filter(None, plugins.values())]
    unknown = [
        must_be(one_of(list(PACKAGES)), name, PACKAGES)
        for name, entry in plugins.items()
        if entry is None
    ]
    absent = [message for name in known if (message := missing(name)) is not None]
    return tuple(known), unknown + absent
