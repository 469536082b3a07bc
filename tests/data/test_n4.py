"""N4: the bias field goes, the anatomy stays, and it happens once a machine."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from raw_dataset import write_cases

from sweep.data.files.normalize import correct_bias_field, normalize
from sweep.data.nnunet_raw.pixels import RawCase, load_case
from sweep.data.nnunet_raw.raw_dataset import open_raw
from sweep.data.prepared.prepare import prepare
from sweep.data.sources.source_table import check_data
from sweep.spec.settings.data_settings import BrainData, NnunetRawData, ShapesData
from sweep.vocabulary.errors import InputError

needs_simpleitk = pytest.mark.skipif(
    importlib.util.find_spec("SimpleITK") is None, reason="SimpleITK is not installed"
)


def phantom(*shape: int, drift: float = 0.5) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A round head of two tissues under a drifting light, ``[1, …]``, and the first tissue."""
    axes = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    radius = sum(axis**2 for axis in axes)
    light = np.exp(drift * axes[-1] + 0.6 * drift * axes[-2])
    image = (100.0 * (radius < 0.8) + 80.0 * (radius < 0.15)) * light
    noise = np.random.default_rng(0).normal(0, 2, shape)
    tissue = (radius < 0.7) & (radius > 0.25)
    return (image + noise).clip(0)[None].astype(np.float32), tissue


def unevenness(image: NDArray[np.float32], tissue: NDArray[np.bool_]) -> float:
    """Standard deviation of a tissue over its mean: 0.02 of noise without any field."""
    return float(image[0][tissue].std() / image[0][tissue].mean())


@needs_simpleitk
@pytest.mark.parametrize("shape", [(64, 64), (128, 96), (20, 24, 28)])
def test_a_tissue_under_drifting_light_becomes_even(shape: tuple[int, ...]) -> None:
    image, tissue = phantom(*shape)
    assert unevenness(image, tissue) > 0.2
    corrected = correct_bias_field(image)
    assert corrected.shape == image.shape
    assert corrected.dtype == np.float32
    assert unevenness(corrected, tissue) < 0.05


@needs_simpleitk
def test_each_channel_has_its_own_field_and_the_input_is_left_alone() -> None:
    first, _ = phantom(64, 64)
    second, _ = phantom(64, 64, drift=-0.8)
    both = np.concatenate([first, second])
    before = both.copy()
    corrected = correct_bias_field(both)
    np.testing.assert_array_equal(both, before)
    np.testing.assert_array_equal(corrected[:1], correct_bias_field(first))
    np.testing.assert_array_equal(corrected[1:], correct_bias_field(second))


@needs_simpleitk
def test_intensities_below_zero_are_shifted_before_the_field_is_taken_out() -> None:
    image, _ = phantom(64, 64)
    np.testing.assert_allclose(
        correct_bias_field(image - 1000), correct_bias_field(image), atol=0.1
    )


@needs_simpleitk
@pytest.mark.parametrize("value", [0, 7])
def test_a_constant_image_stays_constant(value: float) -> None:
    image = np.full((1, 32, 32), value, np.float32)
    np.testing.assert_allclose(correct_bias_field(image), image)


@needs_simpleitk
def test_an_image_that_n4_cannot_process_is_told_without_a_traceback() -> None:
    with pytest.raises(InputError, match=r"data.n4: N4 cannot correct an image of 1×9 pixels: "):
        correct_bias_field(np.arange(9, dtype=np.float32).reshape(1, 1, 9))


def write_phantoms(folder: Path, shape: tuple[int, ...]) -> Path:
    label = np.zeros(shape, np.uint8)
    label[10:20, 10:20] = 1
    images = [phantom(*shape, drift=0.2 * n)[0] for n in range(2)]
    write_cases(folder, [RawCase(f"p{n}", image, label) for n, image in enumerate(images)], "box")
    return folder


def settings_of(folder: Path, **changes: object) -> NnunetRawData:
    return NnunetRawData(source="nnunet_raw", folder=str(folder), **{"folds": 2, **changes})


@needs_simpleitk
@pytest.mark.parametrize("shape", [(32, 32), (24, 32, 8)])
def test_cases_are_corrected_whole_and_then_normalised(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    folder = write_phantoms(tmp_path / "set", shape)
    data = prepare(settings_of(folder, n4=True), tmp_path / "cache")
    dataset = open_raw(folder)
    seen = 0
    for samples in (data.training, data.validation):
        for case in samples.cases:
            image, _ = load_case(dataset, case)
            expected = normalize(correct_bias_field(image), "zscore")
            found = [sample.image for sample in samples if sample.case == case]
            stacked = np.stack(found, axis=-1) if len(shape) == 3 else found[0]
            np.testing.assert_array_equal(stacked, expected)
            seen += 1
    assert seen == 2


@needs_simpleitk
def test_corrected_and_uncorrected_pixels_are_cached_apart_and_corrected_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cache = write_phantoms(tmp_path / "set", (32, 32)), tmp_path / "cache"
    plain = prepare(settings_of(folder), cache)
    corrected = prepare(settings_of(folder, n4=True), cache)
    assert not np.array_equal(plain.training[0].image, corrected.training[0].image)

    def unwanted(*_: object) -> None:
        raise AssertionError("corrected again")

    monkeypatch.setattr("sweep.data.prepared.case_arrays.correct_bias_field", unwanted)
    again = prepare(settings_of(folder, n4=True), cache)
    np.testing.assert_array_equal(again.training[0].image, corrected.training[0].image)
    monkeypatch.setattr("importlib.metadata.version", lambda _: "another")
    with pytest.raises(AssertionError, match="corrected again"):
        prepare(settings_of(folder, n4=True), cache)


def test_a_missing_simpleitk_is_told_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    expected = "data.n4: `n4` needs the package SimpleITK: pip install 'medical-sweep[n4]'"
    for settings in (ShapesData(n4=True), BrainData(source="brain", n4=True)):
        assert expected in [str(mistake) for mistake in check_data(settings)]
    with pytest.raises(InputError, match="pip install"):
        prepare(ShapesData(n4=True), tmp_path)
    with pytest.raises(InputError, match="pip install"):
        correct_bias_field(np.ones((1, 8, 8), np.float32))
    assert check_data(ShapesData()) == []
