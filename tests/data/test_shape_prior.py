"""What is told of the reference masks before anything is trained, and when nothing is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sweep.data.prepared.prepare import prepare
from sweep.data.prepared.samples import CaseArrays, PreparedData, Samples
from sweep.data.prepared.shape_prior import (
    FEW,
    Shapes,
    reference_compactness,
    shape_warnings,
    shapes_of,
)
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.loss_settings import LossSettings
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.losses.geometric_loss import geometric_terms
from sweep.trial.trainer_check import TrainerCheck

Mask = NDArray[np.bool_]


def disc(y: float, x: float, radius: float = 9, size: int = 64) -> Mask:
    rows, columns = np.mgrid[:size, :size]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def data_of(*labels: NDArray[Any], classes: tuple[int, ...] = (1,)) -> PreparedData:
    cases = [
        CaseArrays(f"case_{n}", np.zeros((1, 1, *label.shape), np.float32), label[None], (1,))
        for n, label in enumerate(labels)
    ]
    names = ("background", "cell", "bar")
    return PreparedData(("grey",), classes, Samples(cases), Samples([]), classes=names)


def label_of(mask: Mask, value: int = 1) -> NDArray[np.uint8]:
    return (value * mask).astype(np.uint8)


def asked(*, patch: int | None = None, **loss: Any) -> TrialSettings:
    data = {"source": "shapes", "patch_size": patch}
    return TrialSettings.model_validate({"data": data, "loss": loss})


ONE = disc(32, 32)
TWO = disc(20, 20) | disc(44, 44)
CUT = disc(32, 0)
MANY_MASKS = [ONE, TWO, CUT, TWO | disc(2, 50, 2), disc(20, 20, 14) | CUT, np.zeros_like(ONE)]


@pytest.mark.parametrize("border", ["keep", "ignore"])
@pytest.mark.parametrize("kind", ["joint", "separate"])
def test_compactness_of_the_reference_is_what_the_loss_would_compute_of_it(
    kind: str, border: str
) -> None:
    """Oracle: the term itself, without ε."""
    loss = LossSettings.model_validate(
        {
            "components": kind,
            "border": border,
            "sqrt_epsilon": 0.0,
            "sqrt_mode": "clamp",
            "weights": {"compactness": 1, "boundary": 0, "aspect": 0},
        }
    )
    p = torch.from_numpy(np.stack(MANY_MASKS)).float()
    expected = geometric_terms(loss, p)["compactness"].item()
    found = reference_compactness([shapes_of(mask) for mask in MANY_MASKS], loss)
    assert found == pytest.approx(expected, rel=1e-5)


SPACING = (3.0, 1.0, 1.5)


def ball(z: float, y: float, x: float, radius: float = 9) -> Mask:
    """In millimetres, on a grid of `SPACING`."""
    grid = np.mgrid[:12, :40, :32] * np.array(SPACING)[:, None, None, None]
    centre = np.array([z, y, x])[:, None, None, None]
    return ((grid - centre) ** 2).sum(axis=0) <= radius**2


@pytest.mark.parametrize("border", ["keep", "ignore"])
@pytest.mark.parametrize("kind", ["joint", "separate"])
def test_compactness_of_a_reference_volume_is_what_the_loss_would_compute_of_it(
    kind: str, border: str
) -> None:
    masks = [ball(15, 20, 20), ball(15, 12, 12) | ball(20, 30, 36), ball(0, 20, 20, 14)]
    masks.append(masks[1] | ball(30, 3, 40, 3))
    loss = LossSettings.model_validate(
        {
            "components": kind,
            "border": border,
            "sqrt_epsilon": 0.0,
            "sqrt_mode": "clamp",
            "weights": {"compactness": 1, "boundary": 0, "aspect": 0},
        }
    )
    p = torch.from_numpy(np.stack(masks)).float()
    expected = geometric_terms(loss, p, spacing=SPACING)["compactness"].item()
    found = reference_compactness([shapes_of(mask, SPACING) for mask in masks], loss)
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("geometry", ["slices", "volume"])
def test_volumes_are_looked_at_as_the_loss_sees_them(geometry: str) -> None:
    """Of a body of six slices that touches the first one, no slice touches its own border."""
    label = label_of(ball(0, 20, 20, 14))
    case = CaseArrays(
        "a", np.zeros((12, 1, 40, 32), np.float32), label, foreground=(1,), spacing=SPACING
    )
    names, samples = ("background", "cell"), Samples([case], volumes=True)
    data = PreparedData(("grey",), (1,), samples, Samples([], volumes=True), classes=names)
    settings = TrialSettings.model_validate(
        {
            "data": {"source": "nnunet_raw", "folder": "/x", "spatial": "volumes"},
            "trainer": {"geometry": geometry},
        }
    )
    told = shape_warnings(settings, data)
    if geometry == "slices":
        assert told == []
    else:
        assert "border of the volume in 1 of 1 training masks" in told[0]
        assert "half a ball there counts as a whole one" in told[0]


def test_reference_without_a_shape_that_counts_has_no_compactness() -> None:
    shapes: list[Shapes] = [shapes_of(disc(32, 32, 2)), shapes_of(np.zeros_like(ONE))]
    assert reference_compactness(shapes, LossSettings()) is None


def test_empty_masks_are_no_shapes_where_any_area_is_large_enough() -> None:
    [told] = shape_warnings(asked(min_area=0), data_of(label_of(TWO), label_of(np.zeros_like(ONE))))
    assert "`cell` has several components in 1 of 1 training masks" in told


def test_several_components_are_told_with_what_they_cost_and_what_cures_it() -> None:
    [told] = shape_warnings(asked(), data_of(label_of(TWO), label_of(ONE)))
    [joint, one] = [reference_compactness([shapes_of(m)], LossSettings()) for m in (TWO, ONE)]
    assert joint is not None
    assert one is not None
    assert told == (
        "`cell` has several components in 1 of 2 training masks, which the shape terms take as one"
        f" shape: the reference itself has compactness {(joint + one) / 2:.2f}, where a disc has 0."
        f" With `loss.components: separate` it has {one:.2f}"
    )


def test_objects_at_the_border_are_told_and_how_many_masks_would_be_left() -> None:
    [told] = shape_warnings(asked(), data_of(label_of(CUT), label_of(ONE)))
    assert told == (
        "`cell` touches the border of the image in 1 of 2 training masks. Where it is cut is no"
        " part of its outline, so half a disc there counts as a whole one. `loss.border: ignore`"
        " leaves such shapes out; 1 mask would still count"
    )


def test_patch_that_cuts_objects_is_told_as_the_patch() -> None:
    told = shape_warnings(asked(patch=16), data_of(*[label_of(disc(32, 32, 30))] * 4))
    assert any("border of the patch in 4 of 4 patches of training masks" in one for one in told)


def test_shape_that_is_no_disc_by_itself_is_told_as_such() -> None:
    bar = np.zeros_like(ONE)
    bar[30:33, 4:60] = True
    data = data_of(label_of(bar, 2) + label_of(disc(10, 10, 7)), classes=(1, 2))
    [told] = shape_warnings(asked(), data)
    assert told.startswith("1 of 1 training masks of `bar` have a compactness above 0.5, 0.8")
    assert "Set `loss.weights.compactness` to 0" in told


RING = disc(32, 32, 20) & ~disc(32, 32, 15)


@pytest.mark.parametrize(("rings", "discs", "is_told"), [(3, 5, True), (1, 3, True), (1, 4, False)])
def test_rings_are_told_of_although_solid_slices_at_their_ends_lower_the_mean(
    rings: int, discs: int, is_told: bool
) -> None:
    told = shape_warnings(asked(), data_of(*map(label_of, [RING] * rings + [ONE] * discs)))
    expected = f"{rings} of {rings + discs} training masks of `cell` have a compactness above 0.5"
    assert [one.startswith(expected) for one in told] == [True] * is_told


def test_of_many_classes_three_are_told_in_full_and_the_rest_by_name() -> None:
    bars = np.zeros((64, 64), np.uint8)
    for value in range(1, 7):
        bars[9 * value : 9 * value + 3, 4:60] = value
    data = replace(data_of(bars, classes=(1, 2, 3, 4, 5, 6)), classes=("background", *"abcdef"))
    *others, last = shape_warnings(asked(), data)
    assert [one[:28] for one in others] == [f"1 of 1 training masks of `{n}`" for n in "ab"]
    assert last.startswith("1 of 1 training masks of `c` have a compactness above 0.5")
    assert last.endswith("search it from small values. Likewise `d`, `e`, `f`")


def test_nothing_is_told_of_single_discs_inside_the_image() -> None:
    assert shape_warnings(asked(), data_of(label_of(ONE))) == []


@pytest.mark.parametrize(
    ("loss", "masks"),
    [
        ({"components": "separate"}, [TWO]),
        ({"border": "ignore"}, [CUT]),
        ({"weights": {"compactness": 0, "boundary": 0, "aspect": 0}}, [TWO, CUT]),
        ({"min_area": 300.0}, [TWO]),  # of 253 pixels each
        ({}, [TWO, *[ONE] * round(1 / FEW)]),
    ],
)
def test_nothing_is_told_where_it_is_cured_without_effect_or_rare(
    loss: dict[str, Any], masks: list[Mask]
) -> None:
    assert shape_warnings(asked(**loss), data_of(*map(label_of, masks))) == []


def test_sweep_that_searches_the_cure_is_not_told_of_it() -> None:
    data = data_of(label_of(TWO), label_of(CUT))
    space = {"loss.components": {"choice": ["joint", "separate"]}}
    searched = SweepSpec.model_validate({"name": "x", "space": space})
    [told] = shape_warnings(searched, data)
    assert "border of the image" in told
    without = {"weights": {"compactness": 0, "boundary": 0, "aspect": 0}}
    space = {"loss.weights.aspect": {"uniform": [0, 1]}}
    spec = SweepSpec.model_validate({"name": "x", "space": space, "loss": without})
    assert len(shape_warnings(spec, data)) == 2


def test_check_of_the_pixels_tells_it() -> None:
    data = {"source": "shapes", "kind": "several_circles", "count": 6, "folds": 2, "size": 64}
    settings = TrialSettings.model_validate({"data": data, "loss": {"min_area": 20.0}})
    look = TrainerCheck(pixels=True)
    assert look(settings) == []
    assert look.warnings == shape_warnings(settings, prepare(settings.data))
    assert "`circle` has several components in 3 of 3" in look.warnings[0]


def test_check_of_the_pixels_says_what_a_run_would_say_of_loss_batch_and_patch(
    write_grey: Callable[..., Path],
) -> None:
    """For files, whose number and size only the data tell."""
    spec = SweepSpec.model_validate(
        {
            "name": "x",
            "data": {"source": "nnunet_raw", "folder": str(write_grey()), "folds": 2},
            "loss": {"sqrt_mode": "offset", "sqrt_epsilon": 1.0},
            "trainer": {"batch_size": 4},
            "space": {"data.patch_size": {"choice": [8, 64]}},
        }
    )
    look = TrainerCheck(pixels=True)
    assert look(spec) == []
    text = "\n".join(look.warnings)
    assert "the compactness term hardly sees the mask" in text
    assert "`trainer.batch_size` is 4, but there are 3 training images" in text
    assert "`data.patch_size`" in text
