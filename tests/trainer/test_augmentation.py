"""Augmentation: exact where a transform is, and a pure function of (seed, epoch, turn, sample)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sweep.data.files.normalize import Normalization
from sweep.data.prepared.samples import CaseArrays, Sample, Samples
from sweep.spec.settings.augmentation_settings import AugmentationSettings
from sweep.spec.settings.trainer_settings import MonaiTrainer
from sweep.trainer.batches import pixel_noise
from sweep.trainer.batches.augmentation import KINDS, Augmentation, Drawn, Showing
from sweep.trainer.batches.training_batches import TrainingBatches

ALWAYS = {
    "flips": {"probability": 0.5},
    "rotation": {"probability": 1.0, "degrees": 30.0},
    "scaling": {"probability": 1.0, "largest": 1.5},
    "noise": {"probability": 1.0, "std": 0.2},
    "gamma": {"probability": 1.0},
    "blur": {"probability": 1.0},
    "brightness": {"probability": 1.0},
    "contrast": {"probability": 1.0},
    "low_resolution": {"probability": 1.0},
}
SHAPES = {2: (24, 20), 3: (12, 16, 10)}


def samples_of(count: int = 4, shape: Sequence[int] = (24, 20), channels: int = 1) -> Samples:
    """Images that show their label: what happens to one must happen to the other."""
    rng = np.random.default_rng(5)
    labels = rng.integers(1, 200, (count, *shape), dtype=np.uint8)
    volumes = len(shape) == 3
    stacks = labels if volumes else labels[:, None]  # [S, H, W] each
    return Samples(
        [
            CaseArrays(
                f"case_{n}", np.repeat(stack[:, None], channels, 1).astype(np.float32), stack, (1,)
            )
            for n, stack in enumerate(stacks)
        ],
        volumes=volumes,
    )


def batches_of(
    asked: dict[str, Any],
    samples: Samples | None = None,
    *,
    seed: int = 0,
    normalization: Normalization = "zscore",
    patch: Sequence[int] | None = None,
    spacing: tuple[float, ...] | None = None,
) -> TrainingBatches:
    samples = samples or samples_of()
    augmentation = Augmentation(
        AugmentationSettings.model_validate(asked),
        normalization,
        samples,
        seed=seed,
        spacing=spacing,
    )
    return TrainingBatches(
        samples,
        MonaiTrainer(),
        augmentation,
        seed=seed,
        patch=patch,
        divisor=[1] * samples[0].label.ndim,
    )


def shown(source: TrainingBatches, index: int, epoch: int = 0, turn: int = 0) -> Sample:
    batch = source.shown([Showing(index, epoch, turn)])
    return Sample(batch.cases[0], batch.images[0].numpy(), batch.labels[0, 0].numpy())


def drawing(monkeypatch: pytest.MonkeyPatch, **values: Any) -> None:
    """Every sample gets these parameters."""
    monkeypatch.setattr(Augmentation, "is_off", False)
    monkeypatch.setattr(Augmentation, "drawn", lambda *_: Drawn(**values))


def assert_same(first: Sample, second: Sample) -> None:
    assert first.case == second.case
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.label, second.label)


@pytest.mark.parametrize("axes", [2, 3])
def test_nothing_is_augmented_unless_asked_for(axes: int) -> None:
    samples = samples_of(shape=SHAPES[axes])
    for epoch in range(20):
        assert_same(shown(batches_of({}, samples), 1, epoch), samples[1])


numbers = st.integers(0, 2**31 - 1)


@pytest.mark.parametrize("axes", [2, 3])
@settings(max_examples=15)
@given(seed=numbers, epoch=numbers, turn=st.integers(0, 3), index=st.integers(0, 3))
def test_a_sample_depends_on_nothing_but_seed_epoch_turn_and_index(
    axes: int, seed: int, epoch: int, turn: int, index: int
) -> None:
    samples = samples_of(shape=SHAPES[axes])
    patch = [side - 4 for side in SHAPES[axes]]
    expected = shown(batches_of(ALWAYS, samples, seed=seed, patch=patch), index, epoch, turn)
    other = batches_of(ALWAYS, samples, seed=seed, patch=patch)
    np.random.seed(seed)
    torch.manual_seed(seed)
    others = [Showing(n, epoch + 1, turn) for n in range(3)]
    batch = other.shown([*others, Showing(index, epoch, turn)])  # among others
    assert_same(
        Sample(batch.cases[3], batch.images[3].numpy(), batch.labels[3, 0].numpy()), expected
    )


def test_each_epoch_turn_sample_and_seed_has_its_own_draws() -> None:
    same = samples_of(1)[0]
    twins = Samples([CaseArrays(name, same.image[None], same.label[None], (1,)) for name in "ab"])
    seen = {
        shown(batches_of(ALWAYS, twins, seed=seed), index, epoch, turn).image.tobytes()
        for seed in range(2)
        for epoch in range(2)
        for turn in range(2)
        for index in range(2)
    }
    assert len(seen) == 16


@pytest.mark.parametrize("kind", list(ALWAYS))
def test_switching_one_kind_off_leaves_the_draws_of_the_others(kind: str) -> None:
    alone = {kind: ALWAYS[kind]}
    others_off = ALWAYS | {name: {"probability": 0.0} for name in ALWAYS if name != kind}
    for epoch in range(5):
        assert_same(shown(batches_of(alone), 2, epoch), shown(batches_of(others_off), 2, epoch))


def test_flips_mirror_image_and_label_together_in_half_of_the_cases_each() -> None:
    samples = samples_of(1)
    source = batches_of({"flips": {"probability": 0.5}}, samples)
    plain = samples[0]
    mirrors = {axes: np.flip(plain.label, axes).tobytes() for axes in ((), (0,), (1,), (0, 1))}
    counts = dict.fromkeys(mirrors.values(), 0)
    for epoch in range(400):
        sample = shown(source, 0, epoch)
        np.testing.assert_array_equal(sample.image[0], sample.label)
        counts[sample.label.tobytes()] += 1
    # Binomial(400, 1/4): mean 100, standard deviation 8.7
    assert all(65 < count < 135 for count in counts.values())


def test_flips_mirror_all_three_axes_of_a_volume() -> None:
    samples = samples_of(1, (4, 6, 5))
    source = batches_of({"flips": {"probability": 0.5}}, samples)
    every = [axes for n in range(8) if (axes := tuple(a for a in range(3) if n >> a & 1)) or n == 0]
    mirrors = {np.flip(samples[0].label, axes).tobytes() for axes in every}
    seen = {shown(source, 0, epoch).label.tobytes() for epoch in range(100)}
    assert len(mirrors) == 8
    assert seen == mirrors


# Rotation and zoom.

Shape = tuple[int, ...]


def scipys(
    pixels: NDArray[Any],
    matrix: NDArray[np.float64],
    corner: Sequence[int],
    size: Shape,
    order: int,
) -> NDArray[Any]:
    """A patch turned about its own middle. Oracle: `scipy.ndimage.affine_transform`, which maps
    output to input coordinates."""
    middle = (np.array(size) - 1) / 2
    result: NDArray[Any] = scipy.ndimage.affine_transform(
        pixels,
        matrix,
        middle + corner - matrix @ middle,
        output_shape=tuple(size),
        order=order,
        mode="grid-constant",
        cval=pixels.min() if order else 0,
    )
    return result


def about(axis: int, angle: float) -> NDArray[np.float64]:
    """Rotation of ``[D, H, W]`` about one axis, written out."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array(
        {
            0: [[1, 0, 0], [0, c, -s], [0, s, c]],
            1: [[c, 0, -s], [0, 1, 0], [s, 0, c]],
            2: [[c, -s, 0], [s, c, 0], [0, 0, 1]],
        }[axis]
    )


def smooth(shape: Shape) -> NDArray[np.float32]:
    rng = np.random.default_rng(3)
    return scipy.ndimage.gaussian_filter(rng.normal(size=shape), 2).astype(np.float32)


def one_sample(pixels: NDArray[np.float32], label: NDArray[np.uint8]) -> Samples:
    if pixels.ndim == 3:
        return Samples([CaseArrays("a", pixels[:, None], label, (1,))], volumes=True)
    return Samples([CaseArrays("a", pixels[None, None], label[None], (1,))])


TURN = np.array([[math.cos(0.3), -math.sin(0.3)], [math.sin(0.3), math.cos(0.3)]])
IN_SPACE = about(0, 0.4) @ about(1, -0.3) @ about(2, 0.2)


@pytest.mark.parametrize(
    ("shape", "patch", "matrix"),
    [
        ((40, 33), None, TURN),
        ((40, 33), None, TURN / 1.4),
        ((40, 33), None, np.eye(2) / 0.71),  # 0.7 puts places between two pixels
        ((40, 33), (16, 12), TURN / 0.8),
        ((18, 20, 25), None, IN_SPACE),
        ((18, 20, 25), (8, 12, 10), IN_SPACE / 0.9),
    ],
)
def test_turning_and_zooming_agree_with_scipy(
    shape: Shape, patch: Shape | None, matrix: NDArray[np.float64], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing(monkeypatch, matrix=matrix)
    pixels = smooth(shape)
    label = (pixels > 0).astype(np.uint8) + (pixels > pixels.std())
    asked = {
        "rotation": {"probability": 1, "degrees": 30},
        "scaling": {"probability": 1, "largest": 1.5},
    }
    source = batches_of(asked, one_sample(pixels, label), patch=patch)
    corners = set()
    for epoch in range(5):  # crops at several places, some of which turn beyond the border
        corner = source._corner(Showing(0, epoch))
        sample = shown(source, 0, epoch)
        size = sample.label.shape
        np.testing.assert_allclose(
            sample.image[0], scipys(pixels, matrix, corner, size, 1), atol=1e-4
        )
        expected = scipys(label, matrix, corner, size, 0)
        # A pixel that lies on the border of two others may fall to either side.
        assert (sample.label != expected).mean() < 0.002
        corners.add(tuple(corner))
    assert (len(corners) > 1) == (patch is not None)


def test_draws_of_two_angles_and_a_zoom_are_the_matrices_that_scipy_is_asked_with() -> None:
    """In slices clockwise, in volumes about each axis in turn, in mm, and both within bounds."""
    both = {
        "rotation": {"probability": 1, "degrees": 40},
        "scaling": {"probability": 1, "largest": 1.5},
    }
    flat, volume = batches_of(both), batches_of(both, samples_of(shape=SHAPES[3]))
    even = batches_of(both, samples_of(shape=SHAPES[3]), spacing=(1.2, 1.0, 0.5))
    scale = np.diag([1.2, 1.0, 0.5])
    for epoch in range(20):
        two = flat.augmentation.drawn(Showing(0, epoch)).matrix
        three = volume.augmentation.drawn(Showing(0, epoch)).matrix
        in_mm = even.augmentation.drawn(Showing(0, epoch)).matrix
        assert two is not None
        assert three is not None
        zoom = 1 / np.linalg.norm(two[:, 0])
        assert 1 / 1.5 <= zoom <= 1.5
        angle = math.atan2(two[1, 0], two[0, 0])
        assert abs(angle) <= math.radians(40)
        np.testing.assert_allclose(two * zoom @ two.T * zoom, np.eye(2), atol=1e-12)
        np.testing.assert_allclose(three * zoom @ three.T * zoom, np.eye(3), atol=1e-12)
        assert np.linalg.det(three) > 0
        np.testing.assert_allclose(scale @ in_mm @ np.linalg.inv(scale), three, atol=1e-12)


@pytest.mark.parametrize(("distance", "in_slices"), [(3.0, False), (3.1, True)])
def test_volumes_of_distant_slices_are_turned_and_zoomed_in_their_slices_alone(
    distance: float, in_slices: bool
) -> None:
    both = {"rotation": {"probability": 1}, "scaling": {"probability": 1}}
    samples = samples_of(shape=SHAPES[3])
    source = batches_of(both, samples, spacing=(distance, 1.0, 1.0))
    for epoch in range(5):
        matrix = source.augmentation.drawn(Showing(0, epoch)).matrix
        assert matrix is not None
        alone = np.array_equal(matrix[0], [1, 0, 0]) and np.array_equal(matrix[:, 0], [1, 0, 0])
        assert alone is in_slices


@pytest.mark.parametrize("turns", range(4))
def test_quarter_turns_are_exact_and_clockwise(turns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = samples_of(1, (16, 16))
    source = batches_of({}, samples)
    drawing(monkeypatch, matrix=source.augmentation.grid.matrix([turns * math.pi / 2], 1.0))
    sample = shown(source, 0)
    expected = np.rot90(samples[0].label, -turns)
    np.testing.assert_array_equal(sample.label, expected)
    np.testing.assert_allclose(sample.image[0], expected, atol=1e-2)


@pytest.mark.parametrize("axes", [2, 3])
def test_samples_that_are_not_turned_are_untouched_beside_those_that_are(axes: int) -> None:
    samples = samples_of(8, SHAPES[axes])
    source = batches_of(
        {"rotation": {"probability": 0.5}, "scaling": {"probability": 0.3}}, samples
    )
    turned = [source.augmentation.drawn(Showing(n, 0)).matrix is not None for n in range(8)]
    assert 0 < sum(turned) < 8
    batch = source.shown([Showing(n, 0) for n in range(8)])
    for n in range(8):
        assert np.array_equal(batch.images[n].numpy(), samples[n].image) is not turned[n]
        assert turned[n] or np.array_equal(batch.labels[n, 0].numpy(), samples[n].label)


def test_what_comes_in_from_outside_is_the_darkest_pixel_and_background(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawing(monkeypatch, matrix=np.eye(2) * 2)
    image = np.array([2.0, 5.0], np.float32)[:, None, None] + np.eye(16, dtype=np.float32)
    samples = Samples([CaseArrays("a", image[None], np.ones((1, 16, 16), np.uint8), (1,))])
    zoomed = shown(batches_of({}, samples), 0)
    np.testing.assert_array_equal(zoomed.image[:, 0, :], [[2] * 16, [5] * 16])
    np.testing.assert_array_equal(zoomed.label[0], 0)
    assert zoomed.label[8, 8] == 1


def test_a_patch_at_the_border_takes_its_surroundings_from_the_image_and_darkness_beyond(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawing(monkeypatch, matrix=np.eye(2) * 2)
    pixels = np.full((40, 40), 3, np.float32)
    pixels[0, 0] = 1  # the darkest
    source = batches_of(
        {"scaling": {"probability": 1, "largest": 2}},
        one_sample(pixels, np.ones((40, 40), np.uint8)),
        patch=(16, 16),
    )
    monkeypatch.setattr(source, "_corner", lambda _: [24, 12])
    sample = shown(source, 0)
    # Rows 16 to 48 of the image are shown at half their size: beyond row 40 is nothing.
    assert (sample.image[0, :11] == 3).all()
    assert (sample.image[0, 13:] == 1).all()
    assert (sample.label[:12] == 1).all()
    assert (sample.label[12:] == 0).all()


def test_padding_stays_zero_whatever_is_augmented() -> None:
    samples = Samples([*samples_of(1, (24, 20)).case_arrays, *samples_of(1, (11, 13)).case_arrays])
    source = batches_of(ALWAYS | {"flips": {"probability": 0}}, samples)
    sample = shown(source, 1)
    inside = np.zeros((24, 20), bool)
    inside[6:17, 3:16] = True
    assert (sample.image[:, ~inside] == 0).all()
    assert (sample.label[~inside] == 0).all()
    assert (sample.image[:, inside] != 0).all()


def test_labels_keep_to_their_classes_where_images_are_interpolated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawing(monkeypatch, matrix=TURN / 1.1)
    label = np.zeros((32, 32), np.uint8)
    label[8:20, 5:25] = 1
    label[10:14, 10:14] = 7
    sample = shown(batches_of({}, one_sample(label.astype(np.float32), label)), 0)
    assert set(np.unique(sample.label)) == {0, 1, 7}
    assert len(np.unique(sample.image)) > 20
    assert sample.label.dtype == np.uint8


@settings(max_examples=30)
@given(zoom=st.floats(0.5, 2))
def test_zooming_scales_the_area_by_its_square(zoom: float) -> None:
    y, x = np.mgrid[:64, :64] - 31.5
    disc = (y**2 + x**2 < 14**2).astype(np.uint8)
    with pytest.MonkeyPatch.context() as patched:
        drawing(patched, matrix=np.eye(2) / zoom)
        zoomed = shown(batches_of({}, one_sample(disc.astype(np.float32), disc)), 0).label
    half_a_pixel_around = math.pi * 14 * zoom
    assert zoomed.sum() == pytest.approx(disc.sum() * zoom**2, abs=half_a_pixel_around)


@pytest.mark.parametrize("axes", [2, 3])
@settings(max_examples=15)
@given(degrees=st.floats(0.1, 180), largest=st.floats(1.01, 2), seed=numbers)
def test_the_box_around_a_patch_holds_every_turned_one(
    axes: int, degrees: float, largest: float, seed: int
) -> None:
    both = {
        "rotation": {"probability": 1, "degrees": degrees},
        "scaling": {"probability": 1, "largest": largest},
    }
    source = batches_of(both, samples_of(shape=SHAPES[axes]), seed=seed).augmentation
    size = SHAPES[axes]
    reach = source.reach(size)
    for epoch in range(5):
        matrix = source.drawn(Showing(0, epoch)).matrix
        assert matrix is not None
        assert (np.abs(matrix) @ np.array(size) <= np.array(reach)).all()


# Intensities.


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_change_of_intensity_leaves_the_label_and_other_samples_alone(
    kind: str, axes: int
) -> None:
    samples = samples_of(8, SHAPES[axes], channels=2)
    source = batches_of({kind: {"probability": 0.5}}, samples)
    draws = [source.augmentation.drawn(Showing(n, 0)) for n in range(8)]
    changed = [getattr(drawn, kind) is not None for drawn in draws]
    assert 0 < sum(changed) < 8
    batch = source.shown([Showing(n, 0) for n in range(8)])
    for n in range(8):
        np.testing.assert_array_equal(batch.labels[n, 0].numpy(), samples[n].label)
        assert np.array_equal(batch.images[n].numpy(), samples[n].image) is not changed[n]
        assert torch.isfinite(batch.images[n]).all()


def test_strengths_are_drawn_from_the_ranges_that_the_settings_name() -> None:
    names = ("blur", "brightness", "contrast", "low_resolution")
    asked = {name: {"probability": 1.0} for name in names}
    source = batches_of(asked, samples_of(1, channels=2)).augmentation
    draws = [source.drawn(Showing(0, epoch)) for epoch in range(400)]
    # nnU-Net's ranges, batchgeneratorsv2 in `nnUNetTrainer.get_training_transforms`.
    ranges = ((0.5, 1), (0.75, 1.25), (0.75, 1.25), (0.5, 1))
    for name, (low, high) in zip(names, ranges, strict=True):
        found = np.array([getattr(drawn, name) for drawn in draws])
        assert found.shape == (400, 2)
        assert low <= found.min() < low + 0.02
        assert high - 0.02 < found.max() <= high
        assert abs(np.corrcoef(found.T)[0, 1]) < 0.2  # each channel has its own


def test_brightness_multiplies_each_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing(monkeypatch, brightness=np.array([0.5, 2], np.float32))
    samples = samples_of(1, channels=2)
    image = shown(batches_of({}, samples), 0).image
    np.testing.assert_array_equal(image, samples[0].image * np.array([0.5, 2])[:, None, None])


def test_contrast_stretches_about_the_mean_and_keeps_to_the_range(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawing(monkeypatch, contrast=np.array([0.5, 1.2], np.float32))
    samples = samples_of(1, channels=2)
    plain = samples[0].image
    image = shown(batches_of({}, samples), 0).image
    mean = plain.mean(axis=(1, 2), keepdims=True)
    stretched = (plain - mean) * np.array([0.5, 1.2])[:, None, None] + mean
    np.testing.assert_allclose(image, stretched.clip(plain.min(), plain.max()), rtol=1e-5)
    assert (image[1] == plain.max()).any()


@pytest.mark.parametrize("axes", [2, 3])
def test_blur_agrees_with_scipy(axes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    drawing(monkeypatch, blur=np.array([0.5, 0.9], np.float32))
    samples = samples_of(1, SHAPES[axes], channels=2)
    image = shown(batches_of({}, samples), 0).image
    for found, plain, sigma in zip(image, samples[0].image, (0.5, 0.9), strict=True):
        expected = scipy.ndimage.gaussian_filter(plain, sigma, radius=4, mode="nearest")
        np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("spacing", [None, (5.0, 1.0, 1.0)])
def test_low_resolution_drops_voxels_and_interpolates_between_those_left(
    spacing: tuple[float, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By half, in slices alone where these are far apart: of two neighbours the second is left."""
    drawing(monkeypatch, low_resolution=np.array([0.5], np.float32))
    samples = samples_of(1, (8, 12, 10))
    image = shown(batches_of({}, samples, spacing=spacing), 0).image
    kept = samples[0].image[:, :: 1 if spacing else 2, 1::2, 1::2]
    if spacing is None:
        kept = samples[0].image[:, 1::2, 1::2, 1::2]
    expected = F.interpolate(torch.from_numpy(kept)[None], (8, 12, 10), mode="trilinear")[0]
    np.testing.assert_allclose(image, expected, rtol=1e-6)


def test_noise_is_drawn_up_to_its_standard_deviation_and_leaves_the_label_alone() -> None:
    flat = CaseArrays("flat", np.zeros((1, 1, 64, 64), np.float32), np.ones((1, 64, 64)), (1,))
    source = batches_of({"noise": {"probability": 1.0, "std": 0.5}}, Samples([flat]))
    stds = []
    for epoch in range(60):
        sample = shown(source, 0, epoch)
        stds.append(sample.image.std())
        assert (sample.label == 1).all()
    assert max(stds) < 0.52
    assert np.mean(stds) == pytest.approx(0.25, abs=0.06)  # uniform on [0, 0.5]


@pytest.mark.parametrize("kind", ["noise", "brightness"])
def test_min_max_images_stay_within_the_unit_interval(kind: str) -> None:
    image = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(1, 1, 64, 64)
    samples = Samples([CaseArrays("ramp", image, np.ones((1, 64, 64), np.uint8), (1,))])
    for epoch in range(10):
        source = batches_of({kind: {"probability": 1.0}}, samples, normalization="minmax")
        changed = shown(source, 0, epoch).image
        assert changed.min() >= 0
        assert changed.max() <= 1
        assert not np.array_equal(changed, image[0])


def keys_of(count: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(-(2**31), 2**31, (count, 2)).astype(np.int32))


def test_noise_is_standard_normal_without_correlations() -> None:
    """Against the normal distribution by Kolmogorov and Smirnov's test; correlations between
    neighbours, rows and samples, each below 4 deviations."""
    noise = pixel_noise.standard_normal(keys_of(12), (256, 256)).numpy()
    assert scipy.stats.kstest(noise[:4].ravel(), "norm").pvalue > 0.01
    assert noise.var() == pytest.approx(1, abs=0.01)
    four_deviations = 4 / math.sqrt(noise[0].size)
    off_diagonal = np.corrcoef(noise.reshape(12, -1)) - np.eye(12)
    assert np.abs(off_diagonal).max() < four_deviations
    for axis in (1, 2):
        for step in (1, 2, 16):
            products = noise * np.roll(noise, step, axis)
            assert np.abs(products.mean(axis=(1, 2))).max() < four_deviations


def test_noise_is_computed_in_integers_that_every_device_has() -> None:
    """By hand, in Python's integers: the hash of each pair of pixels, whose halves pick a level."""

    def by_hand(pixel: int, first: int, second: int) -> float:
        mask = 2**32 - 1
        bits = (pixel // 2 + first) & mask
        bits = ((bits ^ bits >> 16) * 0x21F0AAAD & mask) ^ second & mask
        bits = (bits ^ bits >> 15) * 0x735A2D97 & mask
        bits ^= bits >> 15
        half = bits >> 16 if pixel % 2 else bits & 0xFFFF
        level = half + 2**15 if half < 2**15 else half - 2**15  # read with a sign
        return float(scipy.special.ndtri((level + 0.5) / 2**16))

    noise = pixel_noise.standard_normal(torch.tensor([[5, -7], [2**31 - 1, 9]]).int(), (7,))
    for row, (first, second) in zip(noise, ((5, -7), (2**31 - 1, 9)), strict=True):
        np.testing.assert_allclose(row, [by_hand(n, first, second) for n in range(7)], rtol=1e-6)


@pytest.mark.parametrize("axes", [2, 3])
def test_shared_pixels_are_never_written(axes: int) -> None:
    samples = samples_of(shape=SHAPES[axes])
    before = [sample.image.copy() for sample in samples]
    for epoch in range(10):
        shown(batches_of(ALWAYS, samples), 0, epoch)
    for sample, image in zip(samples, before, strict=True):
        np.testing.assert_array_equal(sample.image, image)
