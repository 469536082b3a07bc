"""Shapes whose measures are known, as far as pixels allow."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage.measure import label, regionprops

from sweep.trainer.evaluation.mask_shape import MEASURES, _hull, shape_of


def ellipse(a: float, b: float, size: int = 256) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return (x / a) ** 2 + (y / b) ** 2 <= 1


def rectangle(height: int, width: int) -> np.ndarray:
    mask = np.zeros((height + 4, width + 4), bool)
    mask[2:-2, 2:-2] = True
    return mask


@pytest.mark.parametrize("radius", [12, 25, 100])
def test_disc_is_compact_convex_and_round(radius: int) -> None:
    shape = shape_of(ellipse(radius, radius))
    assert shape is not None
    assert shape["compactness"] == pytest.approx(1, abs=0.02)
    assert shape["solidity"] == pytest.approx(1, abs=0.03)
    assert shape["eccentricity"] == pytest.approx(0, abs=1e-6)


def test_ellipse_has_the_eccentricity_of_its_axes() -> None:
    shape = shape_of(ellipse(100, 60))
    assert shape is not None
    assert shape["eccentricity"] == pytest.approx(math.sqrt(1 - 0.6**2), abs=1e-3)
    # Ramanujan's perimeter of the ellipse.
    h = (40 / 160) ** 2
    perimeter = math.pi * 160 * (1 + 3 * h / (10 + math.sqrt(4 - 3 * h)))
    expected = 4 * math.pi * (math.pi * 100 * 60) / perimeter**2
    assert shape["compactness"] == pytest.approx(expected, abs=0.01)


def test_eccentricity_of_a_part_of_millions_of_pixels_is_that_of_its_axes() -> None:
    """Its second moments, multiplied by its area, are beyond the integers of 64 bits."""
    shape = shape_of(np.ones((2200, 1900), bool))
    assert shape is not None
    assert shape["eccentricity"] == pytest.approx(math.sqrt(1 - (1900**2 - 1) / (2200**2 - 1)))


def test_solidity_is_the_share_of_the_convex_hull() -> None:
    cross = np.zeros((60, 60), bool)
    cross[20:40, :] = True
    cross[:, 20:40] = True
    shape = shape_of(cross)
    assert shape is not None
    # 5 squares of 20²; their hull is the 60² square without four corners of 20²/2.
    assert shape["solidity"] == pytest.approx(2000 / 2800, abs=0.011)


def test_empty_mask_has_no_shape() -> None:
    assert shape_of(np.zeros((8, 8), bool)) is None


@pytest.mark.parametrize("side", [(1, 1), (1, 2), (1, 7), (9, 1), (2, 2), (1, 3)])
def test_a_few_pixels_have_a_shape_within_bounds(side: tuple[int, int]) -> None:
    shape = shape_of(rectangle(*side))
    assert shape is not None
    assert shape["solidity"] == 1
    assert 0 < shape["compactness"] <= 1
    assert 0 <= shape["eccentricity"] <= 1


def test_parts_are_measured_by_themselves_and_weighted_by_area() -> None:
    disc = ellipse(20, 20, 64)
    apart = np.hstack([disc, disc])
    assert shape_of(apart) == pytest.approx(shape_of(disc))
    speck = apart.copy()
    speck[0, 0] = True
    first, second = shape_of(apart), shape_of(speck)
    assert first is not None
    assert second is not None
    assert second == pytest.approx(first, abs=1e-3)


@given(st.lists(st.booleans(), min_size=400, max_size=400))
def test_specks_that_look_alike_have_the_shape_that_each_has(pixels: list[bool]) -> None:
    """Oracle: every part measured by itself, none taken from what was measured before."""
    mask = np.array(pixels).reshape(20, 20)
    shape = shape_of(mask)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweep.trainer.evaluation.mask_shape.FEW_PIXELS", 0)
        assert shape_of(mask) == shape


@pytest.mark.parametrize("blur", [0, 0.7, 1.5, 4, 12])
def test_measures_are_those_of_scikit_image_for_each_part(blur: float) -> None:
    """Parts from single pixels to one that fills the image, some of them with holes."""
    rng = np.random.default_rng(0)
    for height, width in ((60, 90), (97, 31), (33, 33)):
        field = gaussian_filter(rng.standard_normal((height, width)), blur)
        mask = field > field.std() * rng.uniform(-0.5, 1.5)
        parts = [part for part in regionprops(label(mask)) if min(part.image.shape) > 1]
        parts = [part for part in parts if part.area >= 4]
        assert parts
        for part in parts:
            round_ = 4 * math.pi * part.area / part.perimeter_crofton**2
            expected = min(1, round_), part.area / part.area_convex, part.eccentricity
            shape = shape_of(part.image)
            assert shape is not None
            assert tuple(shape.values()) == pytest.approx(expected, abs=1e-7)
            assert _hull(part.image) == part.area_convex


@given(st.lists(st.booleans(), min_size=64, max_size=64))
def test_every_mask_has_measures_between_0_and_1(pixels: list[bool]) -> None:
    mask = np.array(pixels).reshape(8, 8)
    shape = shape_of(mask)
    assert (shape is None) == (not mask.any())
    if shape is not None:
        assert tuple(shape) == MEASURES
        assert all(0 <= value <= 1 for value in shape.values())
