"""A trained model: the weights of one run, or of several runs of one configuration together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sweep.data.prepared.data_facts import DataFacts
from sweep.machine.hardware import Machine
from sweep.spec.load import load_trial
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.layout import TrialPaths
from sweep.store.read_results import digest_of_weights, edits_of_run
from sweep.trainer.evaluation.inference import Inference
from sweep.trainer.evaluation.mean_network import mean_inference
from sweep.trial.kinds.kind_table import kind_of
from sweep.vocabulary.errors import InputError, ResultsError

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What predicts.

    Args:
        settings: of the runs, which differ at most in seed and fold.
        facts: of the data that they were trained on.
        inference: how they predict together.
        identity: what identifies it, as plain values: runs, digests of their weights, augmentation.
    """

    settings: TrialSettings
    facts: DataFacts
    inference: Inference
    identity: dict[str, Any]


def load_model(
    runs: Sequence[TrialPaths], *, tta: bool | None = None, device: Device | None = None
) -> TrainedModel:
    """Load the best weights of the runs of one configuration.

    Args:
        runs: their folders; at least one. Several predict the mean of their probabilities.
        tta: average over flipped images; None: as in the validation of these runs.
        device: in place of ``trainer.device``.

    Raises:
        InputError: the device does not exist, or the settings are of another version, or were
            edited by hand after the training.
        ResultsError: weights are missing or damaged, or the trainer is not ours.
    """
    configured = [settings_to_predict(run, tta=tta, device=device) for run in runs]
    members = []
    for settings, run in zip(configured, runs, strict=True):
        predictor = kind_of(settings).predictor
        if isinstance(predictor, str):
            raise ResultsError(
                f"{run.folder} is of a trainer of the kind `{settings.trainer.kind}`: {predictor}"
            )
        members.append(predictor(settings, run))
    first = members[0]
    kinds = {(member.facts.classes, member.facts.regions) for member in members}
    if len(kinds) > 1:
        raise ResultsError(f"{runs[0].folder} and its replicates have different classes")
    return TrainedModel(
        settings=configured[0],
        facts=first.facts,
        inference=mean_inference([member.inference for member in members]),
        identity={
            "runs": [run.folder.name for run in runs],
            "weights": [digest_of_weights(run) for run in runs],
            "tta": configured[0].evaluation.tta,
        },
    )


def settings_to_predict(
    run: TrialPaths, *, tta: bool | None = None, device: Device | None = None
) -> TrialSettings:
    """The settings of a run, changed as its weights are to predict; as `load_model`."""
    settings = load_trial(run.config)
    if edited := edits_of_run(run):
        raise InputError(edited)
    if device is not None:
        trainer = settings.trainer.model_copy(update={"device": device})
        settings = settings.model_copy(update={"trainer": trainer})
    if tta is not None:
        asked = {"tta": "flips" if tta else "none"}
        evaluation = settings.evaluation.model_copy(update=asked)
        settings = settings.model_copy(update={"evaluation": evaluation})
    if settings.trainer.device == "cuda" and (reason := Machine.here().no_cuda) is not None:
        raise InputError.single(f"is `cuda`, but {reason}: must be `auto` or `cpu`", key="device")
    return settings
