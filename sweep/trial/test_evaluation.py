"""Evaluate finished weights on cases that no trial has seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sweep.data.prepared.samples import PreparedData
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.evaluation.case_metrics import CaseMetrics
from sweep.trainer.runs.monai_run import MonaiTraining
from sweep.vocabulary.record import CaseScore


def evaluate(
    config: TrialSettings, weights: Mapping[str, Any], data: PreparedData
) -> tuple[CaseScore, ...]:
    """Dice and HD95 of each test case, predicted as validation cases are, with ``evaluation.tta``.

    Args:
        config: the configuration that the weights were trained with.
        weights: of the best epoch, as `sweep.trial.checkpoints` keeps them.
        data: of ``config.data``, with a test split.

    Returns:
        In the order of the cases. A case's Dice is the mean over the classes with a value, its HD95
        the mean over images and classes, in pixels; None without any value.
    """
    run = MonaiTraining(config, replace(data, validation=data.test))
    run.model.load_state_dict(weights["model"])
    found = run.dice_per_case().per_case()
    distances = CaseMetrics(["hd95"], len(data.classes), data.geometric_classes, {})
    for case_arrays, prediction in run.predictions():
        distances.add(case_arrays, prediction)
    hd95 = distances.per_case("hd95")
    scores = []
    for case in dict.fromkeys(data.test.cases):
        classes = [float(value) for value in found[case] if not math.isnan(value)]
        dice = math.fsum(classes) / len(classes) if classes else None
        scores.append(CaseScore(case=case, dice=dice, hd95=hd95.get(case)))
    return tuple(scores)
