"""Augmentation: exact where a transform is, and a pure function of (seed, epoch, turn, sample)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.data.files.normalize import Normalization
from sweep.data.prepared.samples import CaseArrays, Sample, Samples
from sweep.spec.settings.augmentation_settings import AugmentationSettings
from sweep.trainer.batches.augmentation import Augmentation, turned_and_zoomed

ALWAYS = {
    "flips": {"probability": 0.5},
    "rotation": {"probability": 1.0, "degrees": 30.0},
    "scaling": {"probability": 1.0, "largest": 1.5},
    "noise": {"probability": 1.0, "std": 0.2},
    "gamma": {"probability": 1.0},
}


def samples_of(count: int = 4, shape: tuple[int, int] = (24, 20)) -> Samples:
    """Images that show their label: what happens to one must happen to the other."""
    rng = np.random.default_rng(5)
    labels = rng.integers(1, 200, (count, *shape), dtype=np.uint8)
    return Samples(
        [
            CaseArrays(f"case_{n}", label[None, None].astype(np.float32), label[None], (1,))
            for n, label in enumerate(labels)
        ]
    )


def augmentation(
    asked: dict[str, Any],
    samples: Samples | None = None,
    *,
    seed: int = 0,
    normalization: Normalization = "zscore",
) -> Augmentation:
    parsed = AugmentationSettings.model_validate(asked)
    return Augmentation(parsed, normalization, samples or samples_of(), seed=seed)


def assert_same(first: Sample, second: Sample) -> None:
    assert first.case == second.case
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.label, second.label)


def test_nothing_is_augmented_unless_asked_for() -> None:
    samples = samples_of()
    for epoch in range(20):
        assert_same(augmentation({}, samples).sample(1, epoch), samples[1])


numbers = st.integers(0, 2**31 - 1)


@settings(max_examples=20)
@given(seed=numbers, epoch=numbers, turn=st.integers(0, 3), index=st.integers(0, 3))
def test_a_sample_depends_on_nothing_but_seed_epoch_turn_and_index(
    seed: int, epoch: int, turn: int, index: int
) -> None:
    expected = augmentation(ALWAYS, seed=seed).sample(index, epoch, turn)
    other = augmentation(ALWAYS, seed=seed)
    for before in range(3):  # a history of other samples
        other.sample(before, epoch + 1, turn)
    np.random.seed(seed)
    assert_same(other.sample(index, epoch, turn), expected)


def test_each_epoch_turn_sample_and_seed_has_its_own_draws() -> None:
    same = samples_of(1)[0]
    twins = Samples([CaseArrays(name, same.image[None], same.label[None], (1,)) for name in "ab"])
    seen = {
        augmentation(ALWAYS, twins, seed=seed).sample(index, epoch, turn).image.tobytes()
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
        assert_same(augmentation(alone).sample(2, epoch), augmentation(others_off).sample(2, epoch))


def test_flips_mirror_image_and_label_together_in_half_of_the_cases_each() -> None:
    samples = samples_of(1)
    source = augmentation({"flips": {"probability": 0.5}}, samples)
    plain = samples[0]
    mirrors = {axes: np.flip(plain.label, axes).tobytes() for axes in ((), (0,), (1,), (0, 1))}
    counts = dict.fromkeys(mirrors.values(), 0)
    for epoch in range(400):
        sample = source.sample(0, epoch)
        np.testing.assert_array_equal(sample.image[0], sample.label)
        counts[sample.label.tobytes()] += 1
    # Binomial(400, 1/4): mean 100, standard deviation 8.7
    assert all(65 < count < 135 for count in counts.values())


@pytest.mark.parametrize("turns", range(4))
def test_quarter_turns_are_exact_and_clockwise(turns: int) -> None:
    sample = samples_of(1, (16, 16))[0]
    image, label = turned_and_zoomed(sample.image, sample.label, turns * math.pi / 2, 1.0)
    expected = np.rot90(sample.label, -turns)
    np.testing.assert_array_equal(label, expected)
    np.testing.assert_allclose(image[0], expected, atol=1e-3)


@pytest.mark.parametrize(("angle", "zoom"), [(0.3, 1.0), (0.0, 1.4), (0.0, 0.7), (-0.5, 1.2)])
def test_turning_and_zooming_agree_with_scipy(angle: float, zoom: float) -> None:
    rng = np.random.default_rng(3)
    pixels = scipy.ndimage.gaussian_filter(rng.normal(size=(40, 33)), 2).astype(np.float32)
    image, _ = turned_and_zoomed(pixels[None], np.zeros((40, 33), np.uint8), angle, zoom)
    # Oracle: scipy.ndimage.affine_transform, which maps output to input coordinates.
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = turn / zoom
    centre = (np.array(pixels.shape) - 1) / 2
    expected = scipy.ndimage.affine_transform(
        pixels,
        matrix,
        centre - matrix @ centre,
        order=1,
        mode="grid-constant",
        cval=pixels.min(),
    )
    np.testing.assert_allclose(image[0], expected, atol=1e-4)


def test_what_comes_in_from_outside_is_the_darkest_pixel_and_background() -> None:
    image = np.array([2.0, 5.0], np.float32)[:, None, None] + np.eye(16, dtype=np.float32)
    zoomed, label = turned_and_zoomed(image, np.ones((16, 16), np.uint8), 0.0, 0.5)
    np.testing.assert_array_equal(zoomed[:, 0, :], [[2] * 16, [5] * 16])
    np.testing.assert_array_equal(label[0], 0)
    assert label[8, 8] == 1


def test_labels_keep_to_their_classes_where_images_are_interpolated() -> None:
    label = np.zeros((32, 32), np.uint8)
    label[8:20, 5:25] = 1
    label[10:14, 10:14] = 7
    image, turned = turned_and_zoomed(label[None].astype(np.float32), label, 0.4, 1.1)
    assert set(np.unique(turned)) == {0, 1, 7}
    assert len(np.unique(image)) > 20
    assert turned.dtype == np.uint8


@settings(max_examples=30)
@given(zoom=st.floats(0.5, 2))
def test_zooming_scales_the_area_by_its_square(zoom: float) -> None:
    y, x = np.mgrid[:64, :64] - 31.5
    disc = (y**2 + x**2 < 14**2).astype(np.uint8)
    _, zoomed = turned_and_zoomed(disc[None].astype(np.float32), disc, 0.0, zoom)
    half_a_pixel_around = math.pi * 14 * zoom
    assert zoomed.sum() == pytest.approx(disc.sum() * zoom**2, abs=half_a_pixel_around)


def test_noise_is_drawn_up_to_its_standard_deviation_and_leaves_the_label_alone() -> None:
    flat = CaseArrays("flat", np.zeros((1, 1, 64, 64), np.float32), np.ones((1, 64, 64)), (1,))
    source = augmentation({"noise": {"probability": 1.0, "std": 0.5}}, Samples([flat]))
    stds = []
    for epoch in range(60):
        sample = source.sample(0, epoch)
        stds.append(sample.image.std())
        assert (sample.label == 1).all()
    assert max(stds) < 0.52
    assert np.mean(stds) == pytest.approx(0.25, abs=0.06)  # uniform on [0, 0.5]


def test_noise_on_min_max_images_stays_within_the_unit_interval() -> None:
    image = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(1, 1, 64, 64)
    samples = Samples([CaseArrays("ramp", image, np.ones((1, 64, 64), np.uint8), (1,))])
    asked = {"noise": {"probability": 1.0, "std": 1.0}}
    for epoch in range(10):
        noisy = augmentation(asked, samples, normalization="minmax").sample(0, epoch).image
        assert noisy.min() >= 0
        assert noisy.max() <= 1
        assert not np.array_equal(noisy, image[0])


def test_shared_pixels_are_never_written() -> None:
    samples = samples_of()
    before = [sample.image.copy() for sample in samples]
    for epoch in range(10):
        augmentation(ALWAYS, samples).sample(0, epoch)
    for sample, image in zip(samples, before, strict=True):
        np.testing.assert_array_equal(sample.image, image)
