"""Normalisation: exact statistics for any finite pixels."""

import numpy as np
import pytest
from monai.transforms import NormalizeIntensity, ScaleIntensity

from sweep.data.files.normalize import normalize

IMAGES = {
    "usual": np.random.default_rng(0).normal(100, 15, size=(2, 6, 7)),
    "huge": np.linspace(-1e12, 1e12, 84).reshape(2, 6, 7),
    "far from zero": 1e6 + np.arange(84).reshape(2, 6, 7),
    "large": np.random.default_rng(2).gamma(2, 90, size=(2, 200, 300)),
    "volume": np.random.default_rng(1).normal(size=(3, 4, 5, 6)),
}


@pytest.mark.parametrize("name", IMAGES)
def test_zscore_is_that_of_float64(name):
    image = IMAGES[name].astype(np.float32)
    wide = image.astype(np.float64)
    axes = tuple(range(1, image.ndim))
    expected = (wide - wide.mean(axes, keepdims=True)) / wide.std(axes, keepdims=True)
    normalised = normalize(image, "zscore")
    assert normalised.dtype == np.float32
    np.testing.assert_allclose(normalised, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", IMAGES)
def test_minmax_spans_zero_to_one_in_each_channel(name):
    normalised = normalize(IMAGES[name].astype(np.float32), "minmax")
    axes = tuple(range(1, normalised.ndim))
    np.testing.assert_array_equal(normalised.min(axes), 0)
    np.testing.assert_array_equal(normalised.max(axes), 1)


@pytest.mark.parametrize("name", IMAGES)
def test_pixels_are_those_of_monai_bit_for_bit(name):
    image = IMAGES[name].astype(np.float32)
    oracles = {
        "zscore": NormalizeIntensity(channel_wise=True),
        "minmax": ScaleIntensity(minv=0.0, maxv=1.0, channel_wise=True),
    }
    for method, oracle in oracles.items():
        np.testing.assert_array_equal(normalize(image, method), oracle(image.copy()).numpy())


@pytest.mark.parametrize("method", ["zscore", "minmax"])
@pytest.mark.parametrize("value", [0, 0.1, 77, -1e12])
def test_constant_channel_becomes_zero_and_never_nan(method, value):
    image = np.full((1, 5, 7), value, np.float32)
    np.testing.assert_array_equal(normalize(image, method), np.zeros((1, 5, 7)))


def test_input_is_left_as_it_was():
    image = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    before = image.copy()
    normalize(image, "zscore")
    np.testing.assert_array_equal(image, before)
