"""Score a predicted mask against its reference, as the validation of a training does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from sweep.data.prepared.data_facts import DataFacts
from sweep.data.prepared.samples import CaseArrays
from sweep.spec.settings.evaluation_settings import EvaluationSettings
from sweep.trainer.evaluation.case_metrics import CaseMetrics
from sweep.trainer.evaluation.validation_dice import DicePerCase
from sweep.vocabulary.class_scores import ClassScore


def score(
    case: CaseArrays,
    prediction: NDArray[np.uint8],
    facts: DataFacts,
    evaluation: EvaluationSettings,
) -> tuple[ClassScore, ...]:
    """Scores of each foreground class of a case.

    Dice, IoU and HD95 always; NSD and plug-ins where ``evaluation.metrics`` has them. Distances are
    in millimetres if the image has a spacing, else in pixels. Voxels with the ignore label count as
    no class.

    Args:
        case: with its reference.
        prediction: labels ``[S, H, W]`` on the grid of the reference.
        facts: of the classes.
        evaluation: the settings of the training.
    """
    if facts.ignore is not None:
        unknown = case.reference == facts.ignore
        prediction = np.where(unknown, np.uint8(facts.ignore), prediction)
    dice = DicePerCase(facts)
    dice.add(case.name, torch.from_numpy(prediction), torch.from_numpy(np.array(case.reference)))
    metrics = CaseMetrics(
        evaluation.of_final_scores,
        facts,
        (),
        {},
        unit="pixels" if case.own_spacing is None else "mm",
        tolerance=evaluation.nsd_tolerance,
    )
    metrics.add(case, prediction)
    return tuple(
        replace(one, values={**one.values, **metrics.values[case.name, facts.labels[one.label]]})
        for one in dice.scores()
    )
