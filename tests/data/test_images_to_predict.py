"""Which files of a folder are the images to predict, by their names alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sweep.data.nnunet_raw.images_to_predict import open_images
from sweep.data.nnunet_raw.regions import Labelled
from sweep.vocabulary.errors import InputError


def opened(source: Path, channels: int = 1, ending: str = ".nii.gz", **more: Any) -> Any:
    names = [f"channel {n}" for n in range(channels)]
    labelled = Labelled(classes=("background",))
    return open_images(source, channels=names, labelled=labelled, file_ending=ending, **more)


def folder_of(folder: Path, names: Sequence[str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def mistakes(*arguments: Any, **more: Any) -> str:
    with pytest.raises(InputError) as caught:
        opened(*arguments, **more)
    return str(caught.value)


def test_numbered_files_are_cases_with_their_channels(tmp_path: Path) -> None:
    names = ["a_0000.nii.gz", "a_0001.nii.gz", "b_2_0000.nii.gz", "b_2_0001.nii.gz", ".x", "n.txt"]
    images = opened(folder_of(tmp_path / "in", names), channels=2)
    assert images.cases == ("a", "b_2")
    assert [path.name for path in images.image_paths("b_2")] == names[2:4]


def test_files_without_a_number_are_cases_if_all_channels_lie_in_one_file(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", ["scan.nii.gz", "b.nii.gz"])
    images = opened(folder)
    assert images.cases == ("b", "scan")
    assert images.image_paths("scan") == (folder / "scan.nii.gz",)
    assert "without a channel number" in mistakes(folder, channels=2)
    folder_of(folder, ["c_0000.nii.gz"])
    assert "without a channel number: b.nii.gz, scan.nii.gz" in mistakes(folder)


def test_hidden_file_is_refused_as_folders_pass_over_it(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", [".a_0000.nii.gz", ".b.nii.gz"])
    for file in folder.iterdir():
        assert mistakes(file) == f"{file}: is hidden by the dot that its name begins with"


@pytest.mark.parametrize(("trained", "there"), [(".nii", ".nii.gz"), (".nii.gz", ".nii")])
def test_compressed_and_plain_nifti_are_read_alike(
    tmp_path: Path, trained: str, there: str
) -> None:
    folder = folder_of(tmp_path / "in", [f"a_0000{there}"])
    assert opened(folder, ending=trained).file_ending == there
    assert opened(folder / f"a_0000{there}", ending=trained).cases == ("a",)
    folder_of(folder, [f"b_0000{trained}"])
    assert "convert them to one ending" in mistakes(folder, ending=trained)


def test_colour_png_is_one_file_for_three_channels(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", ["a_0000.png", "b_0000.png"])
    assert opened(folder, channels=3, ending=".png").files_per_image == 1
    folder_of(folder, ["b_0001.png"])
    assert "missing: a_0001.png, a_0002.png, b_0002.png" in mistakes(
        folder, channels=3, ending=".png"
    )


def test_one_file_is_its_case_alone(tmp_path: Path) -> None:
    names = ["a_0000.nii.gz", "a_0001.nii.gz", "b_0000.nii.gz", "c.nii.gz"]
    folder = folder_of(tmp_path / "in", names)
    assert opened(folder / "a_0001.nii.gz", channels=2).cases == ("a",)
    assert "missing: b_0001.nii.gz" in mistakes(folder / "b_0000.nii.gz", channels=2)
    assert opened(folder / "c.nii.gz").cases == ("c",)


def test_every_image_needs_its_reference_but_not_the_other_way_round(tmp_path: Path) -> None:
    images = folder_of(tmp_path / "in", ["a_0000.nii.gz", "b_0000.nii.gz"])
    labels = folder_of(tmp_path / "elsewhere", ["a.nii.gz", "z.nii.gz"])
    assert f"{labels}: images without a label; missing here: b.nii.gz" in mistakes(
        images, labels_in=labels
    )
    folder_of(labels, ["b.nii.gz"])
    dataset = opened(images, labels_in=labels)
    assert dataset.label_path("a") == labels / "a.nii.gz"
    assert "is missing" in mistakes(images, labels_in=tmp_path / "nowhere")


def test_empty_folder_and_broken_link_are_told(tmp_path: Path) -> None:
    assert "holds no image" in mistakes(folder_of(tmp_path / "in", []))
    (tmp_path / "in" / "a_0000.nii.gz").symlink_to("nowhere")
    assert "is a broken link to nowhere" in mistakes(tmp_path / "in")
