"""``trainer.kind: nnunet``: nnU-Net's own trainer, an epoch at a time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.nnunet.command.asked_settings import nnunet_trainer
from sweep.nnunet.command.nnunet_commands import nnunet_commands
from sweep.nnunet.dataset.grouped_splits import ensure_grouped_splits
from sweep.nnunet.dataset.planning import ensure_preprocessed
from sweep.nnunet.dataset.preprocessed_fingerprint import fingerprint, require_fingerprint
from sweep.nnunet.nnunet_check import NnunetLook
from sweep.spec.settings.trainer_settings import AnyTrainerSettings, NnunetTrainer
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trial.kinds.kind import Kind, Segmenter, ShowProgress, Tools
from sweep.vocabulary.record import CaseScore, RealValidation

if TYPE_CHECKING:
    from sweep.data.prepared.samples import PreparedData
    from sweep.store.layout import TrialPaths
    from sweep.trainer.runs.run_protocol import Run


def _make_ready(settings: TrialSettings, show: ShowProgress) -> None:
    trainer = nnunet_trainer(settings)
    if trainer.own_code:
        from sweep.nnunet.training.geometric_trainer import nnUNetTrainerGeometric

        nnUNetTrainerGeometric.configured(settings)
    ensure_preprocessed(trainer, show)
    ensure_grouped_splits(trainer)
    require_fingerprint(trainer)


def _recognised(trainer: AnyTrainerSettings) -> AnyTrainerSettings:
    assert isinstance(trainer, NnunetTrainer)
    return trainer.model_copy(update={"fingerprint": fingerprint(trainer)})


def _make_run(settings: TrialSettings, _data: PreparedData | None) -> Run:
    from sweep.nnunet.training.nnunet_run import NnunetTraining

    return NnunetTraining(settings)


def _best(trial: TrialPaths) -> dict[str, Any]:
    from sweep.trial.checkpoints import Checkpoints

    return Checkpoints(trial.folder).need_best()


def _hand_over(settings: TrialSettings, trial: TrialPaths, model: Path) -> None:
    from sweep.nnunet.model_export import export_model

    best = _best(trial)
    shutil.rmtree(model, ignore_errors=True)  # an earlier leader's
    export_model(settings, best, model)


def _validate(settings: TrialSettings, trial: TrialPaths) -> RealValidation:
    from sweep.nnunet.real_validation import real_validation

    return real_validation(settings, _best(trial)["model"], trial.nnunet)


def _test(settings: TrialSettings, trial: TrialPaths) -> tuple[CaseScore, ...]:
    from sweep.nnunet.held_out_score import held_out_score

    return held_out_score(settings, _best(trial)["model"], trial.nnunet / "test")


def _segmenter(settings: TrialSettings, trial: TrialPaths) -> Segmenter:
    from sweep.nnunet.validated_cases import validated_cases

    found = validated_cases(settings, trial.nnunet)
    return Segmenter(found.facts, found.cases, found.case)


NNUNET = Kind(
    preparing="Looking for what nnU-Net has planned and preprocessed",
    imports=("sweep.nnunet.training.nnunet_run",),
    look=NnunetLook,
    make_ready=_make_ready,
    make_run=_make_run,
    pixels="nnU-Net looks at its images itself, when it plans",
    predictor=(
        "nnU-Net predicts by itself, with the winner that a sweep exports: `nnUNetv2_predict_from"
        "_modelfolder -i IMAGES -o OUTPUT -m RESULTS/nnunet_model -f FOLD -chk checkpoint_best.pth`"
    ),
    segmenter=_segmenter,
    on_all_cases="nnU-Net trains on all cases with `--set trainer.fold=all`",
    recognised=_recognised,
    test=_test,
    validate=_validate,
    tools=Tools("nnU-Net", _hand_over, nnunet_commands),
)
