"""Score predicted masks against references, and write the scores as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sweep.data.prepared.samples import CaseArrays
from sweep.trainer.evaluation.case_metrics import CaseMetrics
from sweep.trainer.evaluation.validation_dice import DicePerCase
from sweep.vocabulary.class_scores import ClassScore


def score(
    case: CaseArrays,
    prediction: NDArray[np.uint8],
    classes: Sequence[str],
    ignore: int | None = None,
) -> tuple[ClassScore, ...]:
    """Dice and HD95 of each foreground class, measured as in the validation of a training.

    Args:
        case: with its reference.
        prediction: class indices ``[S, H, W]`` on the grid of the reference.
        classes: names by label value.
        ignore: label of voxels without a reference, which count as no class in either.
    """
    if ignore is not None:
        prediction = np.where(case.reference == ignore, np.uint8(ignore), prediction)
    dice = DicePerCase(len(classes))
    dice.add(case.name, torch.from_numpy(prediction), torch.from_numpy(np.array(case.reference)))
    found = dice.per_case()[case.name]
    return tuple(
        ClassScore(
            case=case.name,
            label=classes[label],
            n_reference=int((case.reference == label).sum()),
            n_prediction=int((prediction == label).sum()),
            values={
                "dice": None if np.isnan(found[label - 1]) else float(found[label - 1]),
                "hd95": _hd95(case, prediction, label),
            },
        )
        for label in range(1, len(classes))
    )


def _hd95(case: CaseArrays, prediction: NDArray[np.uint8], label: int) -> float | None:
    metrics = CaseMetrics(["hd95"], 2, (1,), {})
    one_class = replace(case, labels=(case.reference == label).astype(np.uint8), own=None)
    metrics.add(one_class, (prediction == label).astype(np.uint8))
    return metrics.per_case("hd95").get(case.name)


def score_rows(scores: Iterable[ClassScore]) -> list[dict[str, Any]]:
    """One row for each case and class; None for a value that there is not."""
    scores = list(scores)
    metrics = list(dict.fromkeys(name for one in scores for name in one.values))
    return [
        {
            "case": one.case,
            "class": one.label,
            **{name: one.value(name) for name in metrics},
            "n_reference": one.n_reference,
            "n_prediction": one.n_prediction,
        }
        for one in scores
    ]


def scores_csv(scores: Iterable[ClassScore]) -> str:
    """The same as CSV; a cell without a value is empty."""
    rows = score_rows(scores)
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()
