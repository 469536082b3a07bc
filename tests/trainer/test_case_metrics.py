"""Distances and shapes of a validation set: averages, and what empty masks count."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import directed_hausdorff

from sweep.data.prepared.prepare import prepare
from sweep.data.prepared.samples import CaseArrays
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.evaluation.case_metrics import CaseMetrics, Shapes, hausdorff95
from sweep.trainer.evaluation.mask_shape import shape_of
from sweep.trainer.runs.monai_run import MonaiTraining
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics

MakeTrial = Callable[..., TrialSettings]


def square(top: int, left: int, side: int = 10, label: int = 1) -> np.ndarray:
    mask = np.zeros((40, 30), np.uint8)
    mask[top : top + side, left : left + side] = label
    return mask


EMPTY = np.zeros((40, 30), np.uint8)


def metrics_of(*images: tuple[str, np.ndarray, np.ndarray], classes: int = 2) -> dict:
    cases = CaseMetrics(("hd95", "shape"), classes, (1,), {})
    for name in dict.fromkeys(case for case, *_ in images):
        own = [(prediction, reference) for case, prediction, reference in images if case == name]
        predictions, references = map(np.stack, zip(*own, strict=True))
        cases.add(case_of(name, references), predictions)
    return cases.means()


def case_of(name: str, references: np.ndarray) -> CaseArrays:
    """A case of these reference masks ``[S, H, W]``."""
    return CaseArrays(name, references[:, None].astype(np.float32), references, ())


def test_distance_of_a_shifted_square_is_the_shift() -> None:
    assert hausdorff95(square(5, 5), square(5, 9), 2) == [4]
    assert hausdorff95(square(5, 5), square(5, 5), 2) == [0]


def test_empty_in_both_is_left_out_and_empty_in_one_is_the_diagonal() -> None:
    assert hausdorff95(EMPTY, EMPTY, 2) == []
    assert hausdorff95(EMPTY, square(5, 5), 2) == [50]  # 30, 40, 50
    assert hausdorff95(square(5, 5), EMPTY, 2) == [50]


def test_every_class_that_occurs_has_its_own_distance() -> None:
    prediction = square(0, 0) + square(20, 0, label=2)
    reference = square(0, 3) + square(20, 5, label=2)
    assert hausdorff95(prediction, reference, 4) == [3, 5]


@given(*[st.integers(0, 15)] * 4, *[st.integers(1, 12)] * 2)
def test_distance_is_at_most_that_of_the_outermost_points_and_symmetric(
    a: int, b: int, c: int, d: int, side: int, other: int
) -> None:
    first, second = square(a, b, side), square(c, d, other)
    [distance] = hausdorff95(first, second, 2)
    assert [distance] == hausdorff95(second, first, 2)
    points = [np.argwhere(mask) for mask in (first, second)]
    # Oracle: SciPy's Hausdorff distance, of which this is the 95th percentile, on outlines; that
    # of the outline of a square that holds the other can exceed that of the areas.
    largest = max(directed_hausdorff(*points)[0], directed_hausdorff(*points[::-1])[0])
    assert distance <= max(largest, max(side, other) / 2) + 1e-6


def test_images_are_averaged_over_their_case_then_the_cases() -> None:
    found = metrics_of(
        ("volume", square(5, 5), square(5, 9)),
        ("volume", square(5, 5), square(5, 7)),
        ("other", square(5, 5), square(5, 6)),
    )
    assert found["hd95"] == pytest.approx((3 + 1) / 2)


def test_empty_prediction_has_no_shape_and_the_reference_still_has_one() -> None:
    found = metrics_of(("a", EMPTY, square(5, 5)), ("b", EMPTY, EMPTY))
    expected = shape_of(square(5, 5))
    assert expected is not None
    assert found == {
        "hd95": 50,
        "compactness": None,
        "solidity": None,
        "eccentricity": None,
        **{f"reference_{name}": value for name, value in expected.items()},
    }


def test_shape_is_that_of_the_geometric_class_alone() -> None:
    long = np.zeros((40, 30), np.uint8)
    long[30:33, 2:28] = 2
    found = metrics_of(("a", square(5, 5) + long, square(5, 5) + long), classes=3)
    assert found["eccentricity"] == pytest.approx(0)


def test_reference_is_measured_once_and_kept() -> None:
    kept: Shapes = {("a", 0, 1): {"compactness": 0.25, "solidity": 0.5, "eccentricity": 0.75}}
    cases = CaseMetrics(("shape",), 2, (1,), kept)
    cases.add(case_of("a", square(5, 5)[None]), square(5, 5)[None])
    cases.add(case_of("b", EMPTY[None]), square(5, 5)[None])
    assert cases.means()["reference_compactness"] == 0.25
    assert kept["b", 0, 1] is None


# In training.


def train(config: TrialSettings) -> list[EpochMetrics]:
    history: list[EpochMetrics] = []
    fit(config, report=history.append)
    return history


def test_costly_metrics_are_measured_where_dice_is_the_best_so_far(trial: MakeTrial) -> None:
    best = -math.inf
    for metrics in train(trial("trainer.epochs=8", "optimizer.lr=0.05")):
        assert metrics.val_dice is not None
        assert "iou" in metrics.metrics
        assert ("hd95" in metrics.metrics) == (metrics.val_dice > best), metrics.epoch
        best = max(best, metrics.val_dice)


def test_they_are_measured_every_few_epochs_as_well_where_asked_for(trial: MakeTrial) -> None:
    history = train(trial("trainer.epochs=6", "evaluation.every=2"))
    assert all("hd95" in metrics.metrics for metrics in history[1::2])
    assert all("compactness" in metrics.metrics for metrics in train(trial("evaluation.every=1")))


def test_nothing_is_measured_that_was_not_asked_for(trial: MakeTrial) -> None:
    assert all(metrics.metrics == {} for metrics in train(trial("evaluation.metrics=[]")))
    names = {name for m in train(trial("evaluation.metrics=[hd95]")) for name in m.metrics}
    assert names == {"hd95"}


def test_measuring_changes_nothing_of_the_run(trial: MakeTrial) -> None:
    runs = [
        [dataclasses.replace(m, metrics={}, seconds=0.0) for m in train(trial(*overrides))]
        for overrides in (["evaluation.metrics=[]"], ["evaluation.every=1"])
    ]
    assert runs[0] == runs[1]


def test_metrics_are_those_of_the_predicted_masks(trial: MakeTrial) -> None:
    settings = trial("evaluation.every=1")
    training = MonaiTraining(settings, prepare(settings.data))
    found = training.measured(training.run_epoch(0), best=False).metrics
    distances, ious = [], []
    for case, [mask] in training.predictions():
        [label] = case.reference
        distances += hausdorff95(mask, label, 2)
        ious.append((mask & label).sum() / (mask | label).sum())
    assert found["hd95"] == pytest.approx(np.mean(distances))
    assert found["iou"] == pytest.approx(np.mean(ious))
