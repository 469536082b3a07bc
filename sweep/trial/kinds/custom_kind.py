"""``trainer.kind: custom``: a user's own loop, a class or a function."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sweep.spec.checks.entry_check import entry_mistakes
from sweep.spec.checks.first_look import FirstLook
from sweep.spec.settings.trainer_settings import CustomTrainer
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trial.kinds.kind import Kind, ShowProgress

if TYPE_CHECKING:
    from sweep.data.prepared.samples import PreparedData
    from sweep.trainer.runs.run_protocol import Run


def _make_ready(settings: TrialSettings, _show: ShowProgress) -> None:
    from sweep.trainer.custom.entry_point import load_entry

    load_entry(_entry(settings))


def _make_run(settings: TrialSettings, _data: PreparedData | None) -> Run:
    from sweep.trainer.custom.entry_point import Function, load_entry
    from sweep.trainer.custom.foreign_run import ForeignRun, made_by
    from sweep.trainer.custom.function_run import FunctionRun

    found = load_entry(_entry(settings))
    if isinstance(found, type):
        return ForeignRun(made_by(found, settings), settings)
    run = FunctionRun(settings, cast(Function, found))
    return ForeignRun(run, settings, run.method)


def _entry(settings: TrialSettings) -> str:
    assert isinstance(settings.trainer, CustomTrainer)
    return settings.trainer.entry


CUSTOM = Kind(
    preparing="Loading the trainer's class",
    imports=("sweep.trainer.custom.foreign_run", "sweep.trainer.custom.function_run"),
    look=lambda settings: FirstLook(entry_mistakes(_entry(settings), "trainer.entry")),
    make_ready=_make_ready,
    make_run=_make_run,
    pixels="only the custom class knows its data",
    on_all_cases="only your own trainer knows its cases",
    predictor="only your own trainer knows how it reads images: load its `best.pt` there",
    segmenter="only your own trainer knows its cases",
)
