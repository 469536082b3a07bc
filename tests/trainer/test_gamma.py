"""Gamma: each of the three ways against what it is said to equal."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.transforms import AdjustContrast
from numpy.typing import NDArray

from sweep.data.files.normalize import Normalization, normalize
from sweep.data.prepared.samples import CaseArrays, Samples
from sweep.spec.settings.augmentation_settings import GammaMode
from sweep.trainer.batches.gamma import Gamma

Array = NDArray[np.float32]
GAMMAS = [0.25, 1 / 1.5, 1.0, 1.5, 4.0]


def raw_image(*shape: int, bits: int | None = None) -> Array:
    """A skewed distribution with a dark background, as of a scan; two channels of other scales."""
    rng = np.random.default_rng(7)
    image = rng.gamma(2.0, 60.0, (2, *shape)) * (rng.random((2, *shape)) > 0.4)
    image[1] = 3 * image[1] - 1000
    if bits:
        image = np.round(image * (2**bits - 1) / image.max())
    return image.astype(np.float32)


def samples_of(normalised: Array) -> Samples:
    """One case from ``[C, S, H, W]``."""
    images = normalised.swapaxes(0, 1)
    labels = np.zeros((len(images), *images.shape[2:]), np.uint8)
    return Samples([CaseArrays("case", images, labels, (1,))])


def gammas_of(normalised: Array, mode: GammaMode, method: Normalization, gamma: float) -> Array:
    """Every slice of a case with gamma, put together again: ``[C, S, H, W]``."""
    samples = samples_of(normalised)
    source = Gamma(mode, method, samples)
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))
    whole = tuple(slice(0, side) for side in images.shape[2:])
    count = len(samples)
    found = source.changed(images, [gamma] * count, range(count), [whole] * count)
    return found.numpy().swapaxes(0, 1)


def powered(raw: Array, gamma: float) -> Array:
    """Gamma on the un-normalised image, by MONAI: the oracle of `before_normalization`."""
    return np.stack([AdjustContrast(gamma)(channel).numpy() for channel in raw.copy()])


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("method", ["zscore", "minmax"])
@pytest.mark.parametrize("slices", [1, 5])
def test_gamma_before_normalization_is_gamma_on_the_original_and_its_normalisation(
    slices: int, method: Normalization, gamma: float
) -> None:
    raw = raw_image(slices, 40, 30)
    expected = normalize(powered(raw, gamma), method)
    found = gammas_of(normalize(raw, method), "before_normalization", method, gamma)
    np.testing.assert_allclose(found, expected, atol=5e-4)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_gamma_before_normalization_is_exact_for_images_of_8_bits(gamma: float) -> None:
    raw = raw_image(3, 40, 30, bits=8)
    expected = normalize(powered(raw, gamma), "zscore")
    found = gammas_of(normalize(raw, "zscore"), "before_normalization", "zscore", gamma)
    np.testing.assert_allclose(found, expected, atol=2e-5)


@settings(max_examples=30)
@given(gamma=st.floats(0.25, 4))
def test_gamma_before_normalization_keeps_mean_and_deviation_of_a_whole_case(gamma: float) -> None:
    normalised = normalize(raw_image(6, 20, 20), "zscore")
    found = gammas_of(normalised, "before_normalization", "zscore", gamma)
    np.testing.assert_allclose(found.mean(axis=(1, 2, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(found.std(axis=(1, 2, 3)), 1, atol=1e-3)
    slice_means = found.mean(axis=(2, 3))
    assert np.abs(slice_means).max() > 0.01  # but not of each slice, whose share of light differs


@settings(max_examples=30)
@given(gamma=st.floats(0.25, 4))
def test_gamma_on_min_max_stays_within_the_unit_interval(gamma: float) -> None:
    normalised = normalize(raw_image(1, 20, 20), "minmax")
    found = gammas_of(normalised, "on_minmax", "minmax", gamma)
    np.testing.assert_allclose(found, normalised**gamma, rtol=1e-6)
    np.testing.assert_array_equal(found.min(axis=(1, 2, 3)), 0)
    np.testing.assert_array_equal(found.max(axis=(1, 2, 3)), 1)


@settings(max_examples=30)
@given(gamma=st.floats(0.25, 4))
def test_shifted_gamma_retains_mean_and_deviation_of_each_channel(gamma: float) -> None:
    normalised = normalize(raw_image(3, 20, 20), "zscore")
    found = gammas_of(normalised, "shifted_retained", "zscore", gamma)
    np.testing.assert_allclose(found.mean(axis=(2, 3)), normalised.mean(axis=(2, 3)), atol=1e-5)
    np.testing.assert_allclose(found.std(axis=(2, 3)), normalised.std(axis=(2, 3)), rtol=1e-4)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_shifted_gamma_is_that_of_monai(gamma: float) -> None:
    normalised = normalize(raw_image(1, 40, 30), "zscore")
    expected = [AdjustContrast(gamma, retain_stats=True)(z[0]).numpy() for z in normalised.copy()]
    found = gammas_of(normalised, "shifted_retained", "zscore", gamma)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-4)


def test_shifted_gamma_of_a_padded_image_is_that_of_the_image() -> None:
    normalised = normalize(raw_image(1, 20, 20), "zscore")
    alone = gammas_of(normalised, "shifted_retained", "zscore", 2.0)[:, 0]
    padded = torch.full((1, 2, 30, 24), float(normalised.min()))
    box = (slice(6, 26), slice(1, 21))
    padded[0, :, *box] = torch.from_numpy(normalised[:, 0])
    source = Gamma("shifted_retained", "zscore", samples_of(normalised))
    found = source.changed(padded, [2.0], [0], [box])
    np.testing.assert_allclose(found[0, :, *box], alone, atol=1e-6)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("mode", ["before_normalization", "shifted_retained"])
def test_an_exponent_of_one_changes_nothing(mode: GammaMode) -> None:
    normalised = normalize(raw_image(2, 20, 20), "zscore")
    np.testing.assert_allclose(gammas_of(normalised, mode, "zscore", 1.0), normalised, atol=1e-4)


@pytest.mark.parametrize("mode", ["before_normalization", "shifted_retained"])
def test_a_constant_channel_stays_what_it_is(mode: GammaMode) -> None:
    raw = raw_image(2, 20, 20)
    raw[1] = 42
    found = gammas_of(normalize(raw, "zscore"), mode, "zscore", 2.0)
    np.testing.assert_array_equal(found[1], 0)
    assert np.isfinite(found).all()
