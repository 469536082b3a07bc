"""Who trains a configuration, by ``trainer.kind``: one explicit table.

Nothing heavy is imported before a kind is asked for: who sweeps nnU-Net loads no MONAI, and
the other way round.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sweep.spec.settings.trainer_settings import CustomTrainer, NnunetTrainer
from sweep.spec.settings.trial_settings import NnunetRawData, TrialSettings
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.record import CaseScore

if TYPE_CHECKING:
    from sweep.data.prepared.samples import PreparedData
    from sweep.store.layout import Layout, TrialPaths
    from sweep.trainer.runs.run_protocol import Run

S = TypeVar("S", bound=TrialSettings)
Tell = Callable[[str], object]
"""Is told how far something is that takes long."""


Evaluate = Callable[[TrialSettings, "Mapping[str, Any]", "PreparedData"], "tuple[CaseScore, ...]"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of trainer.

    Args:
        make_ready: does once a machine what its trials have in common (reads and normalises the
            data, plans and preprocesses); returns data for trials to share, if there are any.
        make_run: a run of one configuration, given such data or None.
        hand_over: writes the best weights of a trial as the tools of its kind read them, into a
            results folder; returns where, or None where there are no such tools or weights.
        validate: validation Dice of a trial's best weights by the slower way that is for finalists;
            None where there is none, or nothing to measure.
        evaluate: scores of weights on the test split, a case each (`sweep.trial.test_evaluation`);
            None where the kind has no test split.
    """

    make_ready: Callable[[TrialSettings, Tell], PreparedData | None]
    make_run: Callable[[TrialSettings, PreparedData | None], Run]
    hand_over: Callable[[TrialSettings, TrialPaths, Layout], Path | None] = lambda *_: None
    validate: Callable[[TrialSettings, TrialPaths], float | None] = lambda *_: None
    evaluate: Evaluate | None = None


def make_ready(settings: TrialSettings, tell: Tell | None = None) -> PreparedData | None:
    """What trials of these settings have in common, done once; without effect where it was.

    Args:
        tell: called with a sentence whenever there is progress to tell of.
    Raises:
        InputError: with every mistake that only the work itself shows.
    """
    return KINDS[settings.trainer.kind].make_ready(settings, tell or (lambda _: None))


def pinned(settings: S, data: PreparedData | None) -> S:
    """The settings with the fingerprint of the data that are there, where its kind knows one.

    Args:
        data: what `make_ready` returned.
    """
    own, trainer = settings.data, settings.trainer
    if data is not None and isinstance(own, NnunetRawData):
        own = own.model_copy(update={"fingerprint": data.origin["fingerprint"]})
    if isinstance(trainer, NnunetTrainer):
        from sweep.nnunet.dataset.preprocessed_fingerprint import fingerprint

        trainer = trainer.model_copy(update={"fingerprint": fingerprint(trainer)})
    return settings.model_copy(update={"data": own, "trainer": trainer})


def make_run(settings: TrialSettings, data: PreparedData | None = None) -> Run:
    """A run of this configuration that has trained nothing yet.

    Raises:
        InputError: as of `make_ready`, which has to have run where ``data`` is None.
    """
    return KINDS[settings.trainer.kind].make_run(settings, data)


def hand_over(settings: TrialSettings, trial: TrialPaths, results: Layout) -> Path | None:
    """Write a trial's best weights for the tools of its kind, if there are any; see `Kind`."""
    return KINDS[settings.trainer.kind].hand_over(settings, trial, results)


def validate(settings: TrialSettings, trial: TrialPaths) -> float | None:
    """The slower validation of a trial's best weights, if its kind has one; see `Kind`.

    Raises:
        SweepFailed: it broke off.
    """
    return KINDS[settings.trainer.kind].validate(settings, trial)


def _prepare(settings: TrialSettings, _tell: Tell) -> PreparedData:
    from sweep.data.prepared.class_presence import class_mistakes
    from sweep.data.prepared.image_sizes import side_mistakes
    from sweep.data.prepared.prepare import prepare

    data = prepare(settings.data)
    if mistakes := [*side_mistakes(settings, data), *class_mistakes(settings, data)]:
        raise InputError(mistakes)
    return data


def _monai(settings: TrialSettings, data: PreparedData | None) -> Run:
    from sweep.trainer.runs.monai_run import Training

    return Training(settings, data or _prepare(settings, lambda _: None))


def _evaluate(
    settings: TrialSettings, weights: Mapping[str, Any], data: PreparedData
) -> tuple[CaseScore, ...]:
    from sweep.trial.test_evaluation import evaluate

    return evaluate(settings, weights, data)


def _preprocess(settings: TrialSettings, tell: Tell) -> None:
    from sweep.nnunet.dataset.planning import ensure_preprocessed
    from sweep.nnunet.dataset.preprocessed_fingerprint import require_fingerprint

    assert isinstance(settings.trainer, NnunetTrainer)
    ensure_preprocessed(settings.trainer, tell)
    require_fingerprint(settings.trainer)


def _nnunet(settings: TrialSettings, data: PreparedData | None) -> Run:
    from sweep.nnunet.training.nnunet_run import NnunetTraining

    return NnunetTraining(settings)


def _nnunet_model(settings: TrialSettings, trial: TrialPaths, results: Layout) -> Path | None:
    from sweep.nnunet.model_export import export_model
    from sweep.trial.checkpoints import Checkpoints

    best = Checkpoints(trial.folder).load_best()
    if best is None:
        return None
    shutil.rmtree(results.nnunet_model, ignore_errors=True)  # an earlier leader's
    export_model(settings, best, results.nnunet_model)
    return results.nnunet_model


def _nnunet_dice(settings: TrialSettings, trial: TrialPaths) -> float | None:
    from sweep.nnunet.real_validation import real_validation
    from sweep.trial.checkpoints import Checkpoints

    best = Checkpoints(trial.folder).load_best()
    return None if best is None else real_validation(settings, best["model"], trial.nnunet)


def _load_entry(settings: TrialSettings, _tell: Tell) -> None:
    from sweep.trainer.custom.entry_point import load_entry

    assert isinstance(settings.trainer, CustomTrainer)
    load_entry(settings.trainer.entry)


def _custom(settings: TrialSettings, data: PreparedData | None) -> Run:
    from sweep.trainer.custom.entry_point import Function, load_entry
    from sweep.trainer.custom.foreign_run import ForeignRun, made_by
    from sweep.trainer.custom.function_run import FunctionRun

    assert isinstance(settings.trainer, CustomTrainer)
    found = load_entry(settings.trainer.entry)
    if isinstance(found, type):
        return ForeignRun(made_by(found, settings))
    run = FunctionRun(settings, cast(Function, found))
    return ForeignRun(run, run.method)


KINDS: Mapping[str, Kind] = {
    "monai": Kind(_prepare, _monai, evaluate=_evaluate),
    "nnunet": Kind(_preprocess, _nnunet, _nnunet_model, _nnunet_dice),
    "custom": Kind(_load_entry, _custom),
}
