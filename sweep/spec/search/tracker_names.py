"""The trackers that can log a sweep, and the package that each needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from sweep.machine.installed_packages import how_to_install
from sweep.spec.words.phrases import must_be, one_of

TrackerName = Literal["tensorboard", "mlflow"]

PACKAGES: Mapping[TrackerName, str] = {"tensorboard": "tensorboard", "mlflow": "mlflow"}
"""The package that each tracker needs. The extra that installs it has the tracker's name."""


def _one_or_several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Tracking = Annotated[
    tuple[TrackerName, ...],
    Field(strict=False),
    BeforeValidator(_one_or_several, json_schema_input_type=TrackerName | list[TrackerName]),
]
"""``tensorboard``, or ``[tensorboard, mlflow]``."""


def missing(name: TrackerName) -> str | None:
    """How to install a tracker's package; None if it is installed. Nothing is imported."""
    return how_to_install(name, PACKAGES[name])


def chosen(names: Collection[str]) -> tuple[tuple[TrackerName, ...], list[str]]:
    """Trackers of a command line, and messages about unknown names and missing packages."""
    known = [name for name in PACKAGES if name in names]
    unknown = [must_be(one_of(list(PACKAGES)), n, PACKAGES) for n in names if n not in PACKAGES]
    absent = [message for name in known if (message := missing(name)) is not None]
    return tuple(known), unknown + absent
