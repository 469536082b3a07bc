"""Ray Tune sweeps for medical-segmentation trainers that know what divergence is.

Public names are loaded on first use, so `import sweep` takes only a few milliseconds.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sweep.machine.interrupted import expect_interruption
from sweep.machine.progress_bars import load_progress_bars

if TYPE_CHECKING:
    from sweep.api.public import check as check
    from sweep.api.public import load as load
    from sweep.api.public import open as open  # noqa: A004 - `sweep.open`
    from sweep.api.public import predict as predict
    from sweep.api.public import run as run
    from sweep.api.public import train as train
    from sweep.api.results import SweepResults as SweepResults
    from sweep.api.results import TrialResult as TrialResult
    from sweep.spec.search.sweep_spec import SweepSpec as SweepSpec
    from sweep.spec.settings.trial_settings import TrialSettings as TrialSettings
    from sweep.trainer.custom.custom_run import CustomTraining as CustomTraining
    from sweep.trainer.runs.guarded_run import Validation as Validation
    from sweep.vocabulary.epoch_metrics import EpochMetrics as EpochMetrics
    from sweep.vocabulary.errors import InputError as InputError
    from sweep.vocabulary.errors import ResultsError as ResultsError
    from sweep.vocabulary.errors import SweepError as SweepError
    from sweep.vocabulary.errors import SweepFailed as SweepFailed

__version__ = "0.1.0"

_PLACES = {
    name: module
    for module, names in {
        "sweep.api.public": "check load open predict run train",
        "sweep.api.results": "SweepResults TrialResult",
        "sweep.spec.search.sweep_spec": "SweepSpec",
        "sweep.spec.settings.trial_settings": "TrialSettings",
        "sweep.trainer.custom.custom_run": "CustomTraining",
        "sweep.trainer.runs.guarded_run": "Validation",
        "sweep.vocabulary.epoch_metrics": "EpochMetrics",
        "sweep.vocabulary.errors": "InputError ResultsError SweepError SweepFailed",
    }.items()
    for name in names.split()
}
"""Public name → the module that defines it."""

__all__ = sorted(_PLACES)


class _Package(ModuleType):
    """This package. `sweep.run` stays the function even if the command's module is imported."""

    def __getattr__(self, name: str) -> Any:
        if name not in _PLACES:
            raise AttributeError(f"module 'sweep' has no attribute {name!r}")
        return getattr(import_module(_PLACES[name]), name)

    def __setattr__(self, name: str, value: object) -> None:
        # Python binds a module to its name in the package on first import.
        if not (name in _PLACES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_PLACES})


sys.modules[__name__].__class__ = _Package

if "ipykernel" in sys.modules:
    load_progress_bars()

if sys.argv[:1] == ["-m"]:  # `python -m sweep.…`, before it imports anything
    expect_interruption()
