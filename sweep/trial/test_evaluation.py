"""Evaluate finished weights on cases that no trial has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sweep.data.prepared.samples import PreparedData
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.runs.monai_run import MonaiTraining
from sweep.vocabulary.class_scores import ClassScore, mean_over_classes
from sweep.vocabulary.record import CaseScore


def evaluate(
    config: TrialSettings, weights: Mapping[str, Any], data: PreparedData
) -> tuple[CaseScore, ...]:
    """Scores of each test case, predicted as validation cases are, with ``evaluation.tta``.

    Dice, IoU and HD95 always; NSD and plug-ins where ``evaluation.metrics`` has them.

    Args:
        config: the configuration that the weights were trained with.
        weights: of the best epoch, as `sweep.trial.checkpoints` keeps them.
        data: of ``config.data``, with a test split.

    Returns:
        In the order of the cases. Dice and HD95 of a case are means over the classes with a value;
        None without any.
    """
    # The validation cases stay among the data, because they share the unit of distances.
    swapped = replace(data, validation=data.test, test=data.validation)
    run = MonaiTraining(config, swapped)
    run.model.load_state_dict(weights["model"])
    found: dict[str, list[ClassScore]] = {case: [] for case in data.test.cases}
    for score in run.score(config.evaluation.of_final_scores):
        found[score.case].append(score)
    return tuple(
        CaseScore(
            case=case,
            dice=mean_over_classes(scores, "dice"),
            hd95=mean_over_classes(scores, "hd95"),
            classes=tuple(scores),
            group=data.groups.get(case),
        )
        for case, scores in found.items()
    )
