"""Distances of outlines: exact values by hand, laws, and the values of other libraries."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import SimpleITK
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from scipy.ndimage import binary_erosion, gaussian_filter

from sweep.trainer.evaluation.surface_distances import SurfaceDistances, diagonal, outline

Mask = np.ndarray[Any, np.dtype[np.bool_]]


def box(*sides: slice, shape: tuple[int, ...] = (12, 40, 30)) -> Mask:
    mask = np.zeros(shape[-len(sides) :], bool)
    mask[sides] = True
    return mask


def blob(shape: tuple[int, ...], seed: int, size: float = 0.3) -> Mask:
    """A ball with a rough outline."""
    axes = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 2)
    return sum(axis**2 for axis in axes) < size + 0.6 * noise / noise.std() * size / 2


@given(
    shape=st.lists(st.integers(1, 7), min_size=2, max_size=3),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**16),
)
def test_outline_is_what_an_erosion_by_scipy_takes_away(
    shape: list[int], share: float, seed: int
) -> None:
    mask = np.random.default_rng(seed).random(shape) <= share
    assert (outline(mask) == mask & ~binary_erosion(mask)).all()


def test_threads_change_no_distance() -> None:
    one, other = blob((20, 30, 30), 1), blob((20, 30, 30), 2)
    alone, together = (SurfaceDistances.between(one, other, (2, 1, 1), n) for n in (1, 2))
    assert (alone.to_reference == together.to_reference).all()
    assert (alone.to_prediction == together.to_prediction).all()


# By hand.


def test_distance_of_a_shifted_square_is_the_shift_times_the_spacing() -> None:
    one, other = (box(slice(5, 15), slice(5 + by, 15 + by)) for by in (0, 4))
    assert SurfaceDistances.between(one, one, (2.0, 0.5)).hausdorff() == 0
    # The two columns at each end are 1 to 4 pixels away, the rows above and below 0.
    assert SurfaceDistances.between(one, other, (2.0, 0.5)).hausdorff(100) == 4 * 0.5
    assert SurfaceDistances.between(other.T, one.T, (0.5, 2.0)).hausdorff(100) == 4 * 0.5


def test_every_distance_of_two_lines_is_known() -> None:
    line = box(slice(2, 3), slice(5, 25))  # 20 voxels, all of them outline
    found = SurfaceDistances.between(line, box(slice(6, 7), slice(5, 25)), (3.0, 1.0))
    assert found.to_reference.tolist() == found.to_prediction.tolist() == [4 * 3.0] * 20
    assert found.hausdorff(95) == 12
    assert found.surface_dice(11.9) == 0
    assert found.surface_dice(12) == 1


def test_shifted_cube_of_a_volume_has_its_distance_in_millimetres() -> None:
    cube = box(slice(3, 7), slice(10, 20), slice(10, 20))
    shifted = box(slice(5, 9), slice(10, 20), slice(10, 20))
    found = SurfaceDistances.between(cube, shifted, (2.5, 0.8, 0.8))
    # The top face is 2 slices from the other cube's, and nothing inside its plane is nearer than
    # min(2 · 2.5, distance to the side walls).
    assert found.hausdorff(100) == pytest.approx(5.0)
    # Its outline has 100 + 36 + 36 + 100 voxels, slice by slice. Of the two slices that both have,
    # one is a face of it and one a face of the other: in each they share the ring of 36.
    assert len(found.to_reference) == len(found.to_prediction) == 272
    assert found.surface_dice(0) == 72 / 272


def test_percentile_is_interpolated_between_two_distances() -> None:
    point = box(slice(0, 1), slice(0, 1), shape=(1, 30))
    line = box(slice(0, 1), slice(0, 21), shape=(1, 30))
    found = SurfaceDistances.between(line, point, (1.0, 2.0))
    assert sorted(found.to_reference) == [2.0 * step for step in range(21)]
    assert found.hausdorff(95) == 2 * 19.0
    assert found.hausdorff(92.5) == 2 * 18.5


def test_border_of_the_image_is_an_outline() -> None:
    assert outline(np.ones((5, 4), bool)).sum() == 5 * 4 - 3 * 2
    assert outline(np.ones((5, 4, 3), bool)).sum() == 5 * 4 * 3 - 3 * 2 * 1


def test_diagonal_is_in_the_unit_of_the_spacing() -> None:
    assert diagonal((40, 30), (1, 1)) == 50
    assert diagonal((4, 40, 30), (3, 0.1, 0.1)) == 13


def test_tolerance_is_not_missed_by_rounding() -> None:
    assert 3 * 0.7 != 2.1
    point = box(slice(0, 1), slice(0, 1))
    found = SurfaceDistances.between(point, box(slice(0, 1), slice(3, 4)), (0.7, 0.7))
    assert found.surface_dice(2.1) == 1
    assert found.surface_dice(2.09) == 0


# Laws.

SHAPES = st.sampled_from([(14, 11), (5, 9, 8)])
STEPS = st.lists(st.floats(0.3, 4), min_size=3, max_size=3)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Mask, Mask, tuple[float, ...]]:
    shape = draw(SHAPES)
    masks = []
    for _ in range(2):
        seed, share = draw(st.integers(0, 2**16)), draw(st.sampled_from([0.05, 0.3, 0.8]))
        mask = np.random.default_rng(seed).random(shape) < share
        mask.flat[seed % mask.size] = True
        masks.append(mask)
    return masks[0], masks[1], tuple(draw(STEPS))[: len(shape)]


@given(pairs(), st.floats(0, 5), st.floats(0, 5))
def test_both_are_symmetric_and_nsd_rises_with_the_tolerance(
    pair: tuple[Mask, Mask, tuple[float, ...]], one: float, other: float
) -> None:
    prediction, reference, spacing = pair
    found = SurfaceDistances.between(prediction, reference, spacing)
    turned = SurfaceDistances.between(reference, prediction, spacing)
    assert found.hausdorff() == turned.hausdorff() <= found.hausdorff(100)
    low, high = sorted((one, other))
    assert 0 <= found.surface_dice(low) <= found.surface_dice(high) <= 1
    assert found.surface_dice(low) == turned.surface_dice(low)
    assert found.surface_dice(diagonal(prediction.shape, spacing)) == 1
    assert found.hausdorff(100) <= diagonal(prediction.shape, spacing)


@given(pairs(), st.floats(0.1, 3), st.sampled_from([0.25, 2.0, 8.0]))
def test_unit_of_length_changes_no_nsd_and_scales_hd95(
    pair: tuple[Mask, Mask, tuple[float, ...]], tolerance: float, unit: float
) -> None:
    prediction, reference, spacing = pair
    found = SurfaceDistances.between(prediction, reference, spacing)
    scaled = SurfaceDistances.between(prediction, reference, [step * unit for step in spacing])
    assert scaled.surface_dice(tolerance * unit) == found.surface_dice(tolerance)
    assert scaled.hausdorff() == pytest.approx(found.hausdorff() * unit)


@given(pairs())
def test_mask_agrees_with_itself_and_nothing_is_measured_between_empty_slices(
    pair: tuple[Mask, Mask, tuple[float, ...]],
) -> None:
    mask, other, spacing = pair
    itself = SurfaceDistances.between(mask, mask, spacing)
    assert itself.hausdorff(100) == 0
    assert itself.surface_dice(0) == 1
    padded = [np.pad(one, 3) for one in (mask, other)]
    # Background around both changes nothing, at the border of the image or not.
    assert SurfaceDistances.between(*padded, spacing).hausdorff() == pytest.approx(
        SurfaceDistances.between(mask, other, spacing).hausdorff()
    )


# Other libraries.


@given(pairs(), st.floats(0.1, 4))
def test_values_are_those_of_monai(
    pair: tuple[Mask, Mask, tuple[float, ...]], tolerance: float
) -> None:
    prediction, reference, spacing = pair
    tensors = [torch.from_numpy(mask)[None, None] for mask in (prediction, reference)]
    how: dict[str, Any] = {"include_background": True, "spacing": list(spacing)}
    with warnings.catch_warnings():
        # MONAI 1.6 warns of an argument that it passes to itself.
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"monai\.")
        distance = float(compute_hausdorff_distance(*tensors, percentile=95, **how))
        overlap = float(compute_surface_dice(*tensors, class_thresholds=[tolerance], **how))
    found = SurfaceDistances.between(prediction, reference, spacing)
    assert found.hausdorff(95) == pytest.approx(distance, rel=1e-5, abs=1e-6)  # MONAI: 32 bits
    near = np.concatenate([found.to_reference, found.to_prediction]) - tolerance
    if not (np.abs(near) < 1e-5).any():
        assert found.surface_dice(tolerance) == pytest.approx(overlap, rel=1e-5)


@pytest.mark.parametrize(
    ("shape", "spacing"), [((24, 20), (0.7, 1.3)), ((10, 18, 16), (3.0, 0.8, 1.1))]
)
def test_distances_are_those_of_simpleitk(
    shape: tuple[int, ...], spacing: tuple[float, ...]
) -> None:
    """Oracle: SimpleITK's contours and its exact signed distance map, in float32."""
    prediction, reference = blob(shape, 1), blob(shape, 2)

    def image(mask: Mask) -> SimpleITK.Image:
        found = SimpleITK.GetImageFromArray(np.pad(mask, 1).astype(np.uint8))
        found.SetSpacing(spacing[::-1])
        return found

    def outline_of(mask: Mask) -> SimpleITK.Image:
        return SimpleITK.LabelContour(image(mask), fullyConnected=False)

    def directed(one: Mask, other: Mask) -> np.ndarray[Any, Any]:
        far = SimpleITK.SignedMaurerDistanceMap(
            outline_of(other), squaredDistance=False, useImageSpacing=True
        )
        contour = SimpleITK.GetArrayFromImage(outline_of(one)).astype(bool)
        return np.abs(SimpleITK.GetArrayFromImage(far)[contour])

    found = SurfaceDistances.between(prediction, reference, spacing)
    for ours, theirs in (
        (found.to_reference, directed(prediction, reference)),
        (found.to_prediction, directed(reference, prediction)),
    ):
        np.testing.assert_allclose(np.sort(ours), np.sort(theirs), atol=1e-5)
    whole = SimpleITK.HausdorffDistanceImageFilter()
    whole.Execute(outline_of(prediction), outline_of(reference))
    assert found.hausdorff(100) == pytest.approx(whole.GetHausdorffDistance(), rel=1e-5)


def ball(shape: tuple[int, ...], spacing: tuple[float, ...], radius: float, *by: float) -> Mask:
    """A disc or ball around the middle voxel, moved ``by`` a distance along each axis."""
    axes = zip(np.indices(shape), shape, spacing, by, strict=True)
    squares = (((index - side // 2) * step - far) ** 2 for index, side, step, far in axes)
    return np.asarray(sum(squares) <= radius**2)


PLANE, CUBE, COARSE = (64, 64), (64, 64, 64), (16, 64, 64)


@pytest.mark.parametrize(
    ("shape", "spacing", "radius", "by", "exact", "ours", "by_areas"),
    [
        (PLANE, (1.0, 1.0), 22, (0, 0), 0, 0, 0.1599),
        (PLANE, (1.0, 1.0), 20, (0, 2), 1 / 3, 0.4464, 0.5945),
        (CUBE, (1.0, 1.0, 1.0), 20, (2, 0, 0), 1 / 2, 0.5792, 0.7821),
        (COARSE, (4.0, 1.0, 1.0), 20, (4, 0, 0), 1 / 4, 0.3075, 0.6186),
        (COARSE, (4.0, 1.0, 1.0), 20, (0, 2, 0), 1 / 2, 0.8274, 0.8667),
    ],
)
def test_outlines_of_voxels_are_nearer_to_the_exact_share_than_areas_of_elements(
    shape: tuple[int, ...],
    spacing: tuple[float, ...],
    radius: float,
    by: tuple[float, ...],
    exact: float,
    ours: float,
    by_areas: float,
) -> None:
    """NSD at 1 mm of a ball of 20 mm against a shifted or larger one, as in the docs.

    A point of the first sphere at the angle θ to a shift s is |s cos θ| from the other to first
    order, so the share within t is t / s of a sphere, and 1 − 2 acos(t / s) / π of a circle.
    ``by_areas``: by DeepMind's surface-distance 0.1, compute_surface_dice_at_tolerance.
    """
    reference = ball(shape, spacing, 20, *(0,) * len(shape))
    found = SurfaceDistances.between(ball(shape, spacing, radius, *by), reference, spacing)
    assert found.surface_dice(1) == pytest.approx(ours, abs=5e-5)
    assert abs(found.surface_dice(1) - exact) < abs(by_areas - exact)
