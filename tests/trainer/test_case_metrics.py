"""Distances and shapes of a validation set: averages, and what empty masks count."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.data.nnunet_raw.regions import Labelled
from sweep.data.prepared.prepare import prepare
from sweep.data.prepared.samples import CaseArrays, OwnGrid, Samples
from sweep.plugins.entry_names import module_of
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.evaluation.case_metrics import CaseMetrics, Shapes, distance_unit
from sweep.trainer.evaluation.mask_shape import shape_of
from sweep.trainer.evaluation.surface_distances import SurfaceDistances
from sweep.trainer.runs.monai_run import MonaiTraining
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics

MakeTrial = Callable[..., TrialSettings]


def square(top: int, left: int, side: int = 10, label: int = 1) -> np.ndarray:
    mask = np.zeros((40, 30), np.uint8)
    mask[top : top + side, left : left + side] = label
    return mask


EMPTY = np.zeros((40, 30), np.uint8)
MM = {"unit": "mm"}


def case_of(
    name: str, reference: np.ndarray, spacing: tuple[float, ...] | None = None
) -> CaseArrays:
    """A case of these reference masks ``[S, H, W]`` or ``[H, W]``."""
    masks = reference if reference.ndim == 3 else reference[None]
    return CaseArrays(name, masks[:, None].astype(np.float32), masks, (), spacing)


def measured(
    *cases: tuple[CaseArrays, np.ndarray],
    names: Collection[str] = ("hd95", "nsd"),
    labels: int = 1,
    **how: Any,
) -> CaseMetrics:
    classes = ["background", *(f"class {label}" for label in range(1, labels + 1))]
    found = CaseMetrics(names, Labelled(classes=tuple(classes)), (1,), {}, **how)
    for case, prediction in cases:
        found.add(case, prediction.reshape(case.reference.shape))
    return found


def test_distance_of_a_shifted_square_is_the_shift() -> None:
    found = measured((case_of("a", square(5, 9)), square(5, 5)), names=["hd95"])
    assert found.values == {("a", 1): {"hd95": 4}}


def test_empty_in_both_says_nothing_and_empty_in_one_is_the_worst_value() -> None:
    found = measured(
        (case_of("neither", EMPTY), EMPTY),
        (case_of("missed", square(5, 5)), EMPTY),
        (case_of("false alarm", EMPTY), square(5, 5)),
    )
    assert found.values == {
        ("neither", 1): {"hd95": None, "nsd": None},
        ("missed", 1): {"hd95": 50, "nsd": 0},  # 30, 40, 50
        ("false alarm", 1): {"hd95": 50, "nsd": 0},
    }


def test_volume_is_measured_in_space_and_in_its_own_millimetres() -> None:
    reference, prediction = np.zeros((2, 8, 40, 30), np.uint8)
    reference[2:4], prediction[4:6] = square(5, 5), square(5, 5)
    thick = case_of("a", reference, (3.0, 0.5, 0.5))
    # The square of the second slice is one slice from the other's first; the first is two.
    assert measured((thick, prediction), **MM).values["a", 1]["hd95"] == 6
    assert measured((thick, prediction)).values["a", 1]["hd95"] == 2
    missed = measured((thick, 0 * prediction), **MM).values["a", 1]["hd95"]
    assert missed == pytest.approx(math.hypot(8 * 3, 40 / 2, 30 / 2))


def test_image_has_the_spacing_of_its_own_axes() -> None:
    image = case_of("a", square(5, 9), (2.0, 0.5))
    assert measured((image, square(5, 5)), **MM).values["a", 1]["hd95"] == 4 * 0.5


def test_resampled_case_is_measured_on_its_own_grid() -> None:
    own = OwnGrid(square(5, 9)[None], (2.0, 0.5))
    case = dataclasses.replace(case_of("a", square(0, 0)[:20], (4.0, 0.5)), own=own)
    assert measured((case, square(5, 5)), **MM).values["a", 1]["hd95"] == 4 * 0.5


def test_tolerance_is_of_each_class_and_in_the_unit_of_distances() -> None:
    both = square(5, 5) + square(25, 5, label=2)
    shifted = square(5, 9) + square(25, 9, label=2)
    case = case_of("a", both, (0.5, 0.5))

    def nsd(tolerance: Any, **how: Any) -> list[float | None]:
        found = measured((case, shifted), names=["nsd"], labels=2, tolerance=tolerance, **how)
        return [found.values["a", label]["nsd"] for label in (1, 2)]

    assert nsd(2.0, **MM) == [1, 1]
    assert nsd({"class 1": 2.0, "class 2": 0.0}, **MM) == [1, nsd(0.0)[1]]
    assert nsd({"class 1": 2.0}, **MM) == [1, nsd(1.0, **MM)[1]]  # 1 where none is given
    assert nsd(2.0) != [1, 1]  # pixels


def test_every_class_that_occurs_has_its_own_distance() -> None:
    prediction = square(0, 0) + square(20, 0, label=2)
    reference = square(0, 3) + square(20, 5, label=2)
    found = measured((case_of("a", reference), prediction), names=["hd95"], labels=3)
    assert [found.values["a", label]["hd95"] for label in (1, 2, 3)] == [3, 5, None]


def samples(*spacings: tuple[float, ...] | None) -> Samples:
    return Samples([case_of("a", EMPTY, spacing) for spacing in spacings])


def test_one_case_without_a_spacing_puts_all_in_pixels() -> None:
    known = samples((1.0, 2.0), (0.5, 0.5))
    assert distance_unit(known, samples((1.0, 1.0))) == "mm"
    assert distance_unit(known, samples((1.0, 1.0), None)) == "pixels"
    assert distance_unit(known, samples()) == "mm"
    assert distance_unit(samples()) == "pixels"


# Shapes.


def shapes_of(*cases: tuple[CaseArrays, np.ndarray], labels: int = 1) -> dict[str, float | None]:
    return measured(*cases, names=["shape"], labels=labels).shapes()


def test_empty_prediction_has_no_shape_and_the_reference_still_has_one() -> None:
    found = shapes_of((case_of("a", square(5, 5)), EMPTY), (case_of("b", EMPTY), EMPTY))
    expected = shape_of(square(5, 5))
    assert expected is not None
    assert found == {
        "compactness": None,
        "solidity": None,
        "eccentricity": None,
        **{f"reference_{name}": value for name, value in expected.items()},
    }


def test_shape_is_that_of_the_geometric_class_alone() -> None:
    long = np.zeros((40, 30), np.uint8)
    long[30:33, 2:28] = 2
    both = square(5, 5) + long
    assert shapes_of((case_of("a", both), both), labels=2)["eccentricity"] == pytest.approx(0)


def test_shapes_of_several_classes_are_averaged_over_their_cases_then_the_classes() -> None:
    long = np.zeros((40, 30), np.uint8)
    long[30:33, 2:28] = 2
    found = CaseMetrics(["shape"], Labelled(classes=("background", "one", "two")), (1, 2), {})
    for name, mask in (("a", square(5, 5)), ("b", square(5, 5)), ("c", long)):
        found.add(case_of(name, mask), mask[None])
    line = shape_of(long == 2)
    assert line is not None
    assert found.shapes()["eccentricity"] == pytest.approx((0 + line["eccentricity"]) / 2)


def test_slices_are_averaged_over_their_case_then_the_cases() -> None:
    volume = np.stack([square(5, 5), square(2, 2, side=20), EMPTY])
    single = square(2, 2, side=20)
    small, large = (shape_of(mask) for mask in volume[:2])
    assert small is not None
    assert large is not None
    found = shapes_of((case_of("v", volume), volume), (case_of("s", single), single))
    of_volume = (small["compactness"] + large["compactness"]) / 2
    assert found["compactness"] == pytest.approx((of_volume + large["compactness"]) / 2)


def test_reference_is_measured_once_and_kept() -> None:
    kept: Shapes = {("a", 0, 1): {"compactness": 0.25, "solidity": 0.5, "eccentricity": 0.75}}
    cases = CaseMetrics(("shape",), Labelled(classes=("background", "one")), (1,), kept)
    cases.add(case_of("a", square(5, 5)), square(5, 5)[None])
    cases.add(case_of("b", square(5, 5)), EMPTY[None])
    assert cases.shapes()["reference_compactness"] != 0.25
    only = CaseMetrics(("shape",), Labelled(classes=("background", "one")), (1,), kept)
    only.add(case_of("a", square(5, 5)), square(5, 5)[None])
    assert only.shapes()["reference_compactness"] == 0.25
    assert kept["b", 0, 1] == shape_of(square(5, 5))


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
        [
            dataclasses.replace(m, metrics={}, distance_unit=None, seconds=0.0)
            for m in train(trial(*overrides))
        ]
        for overrides in (["evaluation.metrics=[]"], ["evaluation.every=1"])
    ]
    assert runs[0] == runs[1]


def test_metrics_are_those_of_the_predicted_masks(trial: MakeTrial) -> None:
    settings = trial("evaluation.every=1")
    training = MonaiTraining(settings, prepare(settings.data))
    found = training.measured(training.run_epoch(0), best=False)
    distances, overlaps, ious = [], [], []
    for case, [mask] in training.predictions():
        [label] = case.reference
        between = SurfaceDistances.between(mask == 1, label == 1, (1, 1))
        distances.append(between.hausdorff())
        overlaps.append(between.surface_dice(1))
        ious.append((mask & label).sum() / (mask | label).sum())
    assert found.metrics["hd95"] == pytest.approx(np.mean(distances))
    assert found.metrics["nsd"] == pytest.approx(np.mean(overlaps))
    assert found.metrics["iou"] == pytest.approx(np.mean(ious))
    assert found.distance_unit == "pixels"
    assert EpochMetrics.from_json(found.to_json()) == found


def test_where_one_of_hd95_and_nsd_is_the_objective_both_are_in_every_epoch(
    trial: MakeTrial,
) -> None:
    history = train(trial("objective=nsd"))
    assert all({"hd95", "nsd"} <= metrics.metrics.keys() for metrics in history)


# Plug-ins.


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(
        "CALLS = []\n"
        "def per_slice(prediction, reference):\n"
        "    CALLS.append(prediction.shape)\n"
        "    return float(prediction.sum())\n"
        "def whole(prediction, reference, spacing):\n"
        "    CALLS.append((prediction.shape, spacing))\n"
        "    return float(prediction.sum())\n"
        "class Keyword:\n"
        "    def __call__(self, prediction, reference, *, spacing=None):\n"
        "        return 7\n"
        "keyword = Keyword()\n"
    )
    return tmp_path / "mine.py"


def test_plugin_with_a_spacing_gets_whole_cases_and_any_other_slices(plugins: Path) -> None:
    volume = np.stack([square(5, 5), EMPTY, square(5, 5, side=5)])
    names = [f"{plugins}:{name}" for name in ("per_slice", "whole", "keyword")]
    found = measured(
        (case_of("v", volume, (3.0, 1.0, 1.0)), volume),
        (case_of("i", square(5, 5), (1.0, 2.0)), square(5, 5)),
        (case_of("e", EMPTY, (1.0, 2.0)), EMPTY),
        names=names,
        **MM,
    )
    # The slice without the class says nothing about the mean over slices.
    assert found.values["v", 1] == {"per_slice": (100 + 25) / 2, "whole": 125, "keyword": 7}
    assert found.values["i", 1] == {"per_slice": 100, "whole": 100, "keyword": 7}
    assert found.values["e", 1] == {"per_slice": None, "whole": None, "keyword": None}
    calls = module_of(str(plugins)).CALLS
    assert calls == [
        (40, 30),
        (40, 30),
        ((3, 40, 30), (3.0, 1.0, 1.0)),
        (40, 30),
        ((40, 30), (1.0, 2.0)),
    ]
