"""Reading pixels: files written by PIL and nibabel themselves come back exactly."""

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from sweep.data.nnunet_raw.pixels import RawCase, load_case, write_raw
from sweep.data.nnunet_raw.raw_dataset import RawDataset, open_raw
from sweep.vocabulary.errors import InputError

RNG = np.random.default_rng(7)


def dataset_of(
    folder: Path, images: dict[str, Any], label: Any, *, channels: int = 1, classes: int = 2
) -> RawDataset:
    """A dataset of one case from arrays of nibabel's or PIL's own axes, keyed by file name."""
    (folder / "imagesTr").mkdir(parents=True)
    (folder / "labelsTr").mkdir()
    ending = ".png" if next(iter(images)).endswith(".png") else ".nii.gz"
    files = {f"imagesTr/{name}": pixels for name, pixels in images.items()}
    for name, pixels in {**files, f"labelsTr/c{ending}": label}.items():
        if ending == ".png":
            Image.fromarray(pixels).save(folder / name)
        else:
            nibabel.save(nibabel.Nifti1Image(pixels, np.eye(4)), folder / name)
    description = {
        "channel_names": {str(i): f"channel {i}" for i in range(channels)},
        "labels": {"background": 0} | {f"class {i}": i for i in range(1, classes)},
        "numTraining": 1,
        "file_ending": ending,
    }
    (folder / "dataset.json").write_text(json.dumps(description))
    return open_raw(folder)


def mistakes_of(dataset: RawDataset) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_case(dataset, dataset.cases[0])
    return [str(mistake) for mistake in caught.value.mistakes]


def bytes_of(*shape: int, below: int = 256) -> Any:
    return RNG.integers(0, below, shape, dtype=np.uint8)


def test_grey_png_keeps_rows_and_columns(tmp_path):
    pixels, mask = bytes_of(5, 9), bytes_of(5, 9, below=2)
    image, label = load_case(dataset_of(tmp_path, {"c_0000.png": pixels}, mask), "c")
    assert image.dtype == np.float32
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(image, pixels[None])
    np.testing.assert_array_equal(label, mask)


def test_sixteen_bit_png_keeps_its_values(tmp_path):
    pixels = RNG.integers(0, 2**16, (5, 9), dtype=np.uint16)
    mask = bytes_of(5, 9, below=2)
    image, _ = load_case(dataset_of(tmp_path, {"c_0000.png": pixels}, mask), "c")
    np.testing.assert_array_equal(image[0], pixels)


@pytest.mark.parametrize("bands", [3, 4])
def test_one_colour_png_gives_a_channel_per_band(tmp_path, bands):
    pixels, mask = bytes_of(5, 9, bands), bytes_of(5, 9, below=2)
    dataset = dataset_of(tmp_path, {"c_0000.png": pixels}, mask, channels=bands)
    image, _ = load_case(dataset, "c")
    np.testing.assert_array_equal(image, np.moveaxis(pixels, -1, 0))


def test_three_grey_png_give_three_channels(tmp_path):
    bands = {f"c_000{i}.png": bytes_of(5, 9) for i in range(3)}
    image, _ = load_case(dataset_of(tmp_path, bands, bytes_of(5, 9, below=2), channels=3), "c")
    np.testing.assert_array_equal(image, np.stack(list(bands.values())))


@pytest.mark.parametrize("shape", [(5, 9), (5, 9, 1), (5, 9, 1, 1)])
def test_nifti_of_one_layer_is_a_2d_image(tmp_path, shape):
    pixels, mask = RNG.normal(size=(5, 9)).astype(np.float32), bytes_of(5, 9, below=2)
    files = {"c_0000.nii.gz": pixels.reshape(shape)}
    image, label = load_case(dataset_of(tmp_path, files, mask.reshape(shape)), "c")
    np.testing.assert_array_equal(image, pixels[None])
    np.testing.assert_array_equal(label, mask)


def test_nifti_volume_keeps_channels_axes_and_classes(tmp_path):
    volumes = {f"c_000{i}.nii.gz": RNG.normal(size=(4, 5, 6)).astype(np.float32) for i in range(2)}
    mask = bytes_of(4, 5, 6, below=4)
    image, label = load_case(dataset_of(tmp_path, volumes, mask, channels=2, classes=4), "c")
    np.testing.assert_array_equal(image, np.stack(list(volumes.values())))
    np.testing.assert_array_equal(label, mask)


def test_scaled_nifti_is_read_in_its_own_units(tmp_path):
    dataset = dataset_of(tmp_path, {"c_0000.nii.gz": bytes_of(5, 9)}, bytes_of(5, 9, below=2))
    scaled = nibabel.Nifti1Image(np.full((5, 9), 3, np.int16), np.eye(4))
    scaled.header.set_slope_inter(0.5, -1000)
    nibabel.save(scaled, dataset.image_paths("c")[0])
    image, _ = load_case(dataset, "c")
    np.testing.assert_array_equal(image, np.full((1, 5, 9), 0.5 * 3 - 1000, np.float32))


def test_written_dataset_is_read_back_exactly(tmp_path):
    volume = RNG.normal(size=(2, 4, 5, 6)).astype(np.float32)
    mask = bytes_of(4, 5, 6, below=3)
    write_raw(
        tmp_path / "set",
        [RawCase("a", volume, mask), RawCase("b", volume + 1, mask)],
        name="pair",
        channel_names=["T1", "T2"],
        labels={"background": 0, "inner": 1, "outer": 2},
        file_ending=".nii",
    )
    dataset = open_raw(tmp_path / "set")
    assert json.loads((tmp_path / "set" / "dataset.json").read_text())["name"] == "pair"
    assert dataset.channel_names == ("T1", "T2")
    image, label = load_case(dataset, "b")
    np.testing.assert_array_equal(image, volume + 1)
    np.testing.assert_array_equal(label, mask)


def test_label_values_that_nobody_named_are_told_with_the_file(tmp_path):
    mask = np.array([[0, 1], [7, 255]], np.uint8)
    (message,) = mistakes_of(dataset_of(tmp_path, {"c_0000.png": bytes_of(2, 2)}, mask))
    assert message.startswith(f"{tmp_path / 'labelsTr' / 'c.png'}: holds the values 7, 255")
    assert "names only 0 (background), 1 (class 1)" in message


def test_black_and_white_mask_is_told_how_to_store_it(tmp_path):
    mask = np.array([[0, 255]], np.uint8)
    (message,) = mistakes_of(dataset_of(tmp_path, {"c_0000.png": bytes_of(1, 2)}, mask))
    assert "holds the value 255, but" in message
    assert message.endswith("; store a mask of 0 and 255 as 0 and 1")


@pytest.mark.parametrize("value", [0.5, -1.0, np.nan, np.inf])
def test_label_that_is_no_class_index_is_told(tmp_path, value):
    mask = np.array([[0, value]], np.float32)
    pixels = np.zeros((1, 2), np.float32)
    (message,) = mistakes_of(dataset_of(tmp_path, {"c_0000.nii.gz": pixels}, mask))
    assert f"holds the value {value:g}" in message


def test_differing_shapes_are_told_with_both(tmp_path):
    dataset = dataset_of(tmp_path, {"c_0000.png": bytes_of(5, 9)}, bytes_of(9, 5, below=2))
    (message,) = mistakes_of(dataset)
    assert "imagesTr/c_0000.png: is 5×9 pixels, but c.png 9×5" in message


def test_only_the_channel_that_differs_is_told(tmp_path):
    files = {"c_0000.png": bytes_of(5, 9), "c_0001.png": bytes_of(5, 8)}
    (message,) = mistakes_of(dataset_of(tmp_path, files, bytes_of(5, 9, below=2), channels=2))
    assert "c_0001.png: is 5×8 pixels" in message


def test_colour_png_for_one_named_channel_is_told(tmp_path):
    dataset = dataset_of(tmp_path, {"c_0000.png": bytes_of(5, 9, 3)}, bytes_of(5, 9, below=2))
    (message,) = mistakes_of(dataset)
    assert message.endswith(
        "holds 3 channels, but `channel_names` of dataset.json names 1: channel 0"
    )


@pytest.mark.parametrize("named", [1, 3])
def test_opaque_layer_and_equal_colours_are_no_channels_where_fewer_are_named(tmp_path, named):
    colours = bytes_of(5, 9, named) if named > 1 else np.repeat(bytes_of(5, 9, 1), 3, axis=-1)
    layered = np.concatenate([colours, np.full((5, 9, 1), 255, np.uint8)], axis=-1)
    mask = bytes_of(5, 9, below=2)
    label = np.concatenate([np.repeat(mask[..., None], 3, axis=-1), layered[..., 3:]], axis=-1)
    image, read = load_case(
        dataset_of(tmp_path, {"c_0000.png": layered}, label, channels=named), "c"
    )
    np.testing.assert_array_equal(image, np.moveaxis(colours, -1, 0)[:named])
    np.testing.assert_array_equal(read, mask)


@pytest.mark.parametrize("named", [1, 3])
def test_layer_that_is_transparent_somewhere_is_a_channel_too_many(tmp_path, named):
    layered = np.full((5, 9, named + 1), 255, np.uint8)
    layered[2, 3, -1] = 254
    mask = bytes_of(5, 9, below=2)
    (message,) = mistakes_of(dataset_of(tmp_path, {"c_0000.png": layered}, mask, channels=named))
    assert (
        f"holds {named + 1} channels, but `channel_names` of dataset.json names {named}" in message
    )


def test_layer_of_transparency_is_a_channel_where_it_is_named(tmp_path):
    layered = np.full((5, 9, 4), 255, np.uint8)
    image, _ = load_case(
        dataset_of(tmp_path, {"c_0000.png": layered}, bytes_of(5, 9, below=2), channels=4), "c"
    )
    assert image.shape == (4, 5, 9)


def test_colour_label_is_told(tmp_path):
    dataset = dataset_of(tmp_path, {"c_0000.png": bytes_of(5, 9)}, bytes_of(5, 9, 3, below=2))
    [said] = mistakes_of(dataset)
    assert "labelsTr/c.png: holds 3 numbers for each pixel (colours); a label has one" in said


def test_more_than_three_axes_are_told(tmp_path):
    files = {"c_0000.nii.gz": np.zeros((2, 3, 4, 5), np.float32)}
    told = mistakes_of(dataset_of(tmp_path, files, np.zeros((2, 3, 4, 5), np.uint8)))
    assert all("has 4 axes (2×3×4×5)" in message for message in told)
    assert len(told) == 2  # image and label


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e13, -1e300])
def test_pixels_that_are_not_finite_are_told(tmp_path, value):
    pixels = np.zeros((5, 9))
    pixels[2, 2] = value
    dataset = dataset_of(tmp_path, {"c_0000.nii.gz": pixels}, bytes_of(5, 9, below=2))
    (message,) = mistakes_of(dataset)
    assert "c_0000.nii.gz: holds pixels that are NaN, infinite or beyond ±1e+12" in message


@pytest.mark.parametrize("ending", [".png", ".nii.gz"])
@pytest.mark.parametrize("keep", [0, 20, 60])
def test_damaged_file_is_told_by_name(tmp_path, ending, keep):
    dataset = dataset_of(tmp_path, {f"c_0000{ending}": bytes_of(50, 90)}, bytes_of(50, 90, below=2))
    path = dataset.image_paths("c")[0]
    path.write_bytes(path.read_bytes()[:keep])
    (message,) = mistakes_of(dataset)
    assert message.startswith(f"{path}: cannot be read as an image")
