"""The shapes as Dataset501 and Dataset502: what nnU-Net reads, and what our own trainer reads."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from sweep.data.nnunet_raw.raw_dataset import open_raw
from sweep.data.prepared.prepare import prepare
from sweep.data.sources.shape_images import draw_shapes
from sweep.data.sources.shapes_datasets import write_shapes_dataset
from sweep.spec.settings.data_settings import NnunetRawData, ShapesData
from sweep.vocabulary.errors import InputError, SweepFailed

SETTINGS = ShapesData(size=32, count=5, difficulty=0.5, seed=3)


def contents(folder: Path) -> dict[str, str]:
    """Hash of each file by its name below ``folder``."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.mark.parametrize(
    ("number", "name", "kind"),
    [
        (501, "Dataset501_Shapes_Several", "several_circles"),
        (502, "Dataset502_Shapes_One", "one_circle"),
    ],
)
def test_dataset_has_the_name_and_files_that_nnunet_expects(
    tmp_path: Path, number: int, name: str, kind: str
) -> None:
    folder = write_shapes_dataset(tmp_path / "raw", number, SETTINGS, test=2)
    assert folder == tmp_path / "raw" / name
    assert json.loads((folder / "dataset.json").read_text()) == {
        "name": name,
        "channel_names": {"0": "intensity"},
        "labels": {"background": 0, "circle": 1},
        "numTraining": 5,
        "file_ending": ".png",
    }
    images = {f"imagesTr/{kind}_{index:05d}_0000.png" for index in range(5)}
    labels = {f"labelsTr/{kind}_{index:05d}.png" for index in range(5)}
    test = {f"imagesTs/{kind}_{index:05d}_0000.png" for index in (5, 6)}
    test_labels = {f"labelsTs/{kind}_{index:05d}.png" for index in (5, 6)}
    assert contents(folder).keys() == {"dataset.json"} | images | labels | test | test_labels
    assert [path.name for path in (tmp_path / "raw").iterdir()] == [name]
    assert open_raw(folder).cases == tuple(f"{kind}_{index:05d}" for index in range(5))


def test_same_settings_write_the_same_bytes(tmp_path: Path) -> None:
    first, second = (
        write_shapes_dataset(tmp_path / raw, 502, SETTINGS, test=1) for raw in ("a", "b")
    )
    assert contents(first) == contents(second)


def test_our_trainer_sees_in_it_the_images_that_it_draws_itself(tmp_path: Path) -> None:
    folder = write_shapes_dataset(tmp_path, 502, SETTINGS, test=0)
    read = prepare(NnunetRawData(source="nnunet_raw", folder=str(folder)))
    drawn = prepare(SETTINGS)
    for ours, theirs in ((drawn.training, read.training), (drawn.validation, read.validation)):
        assert ours.cases == theirs.cases
        for one, other in zip(ours, theirs, strict=True):
            assert np.array_equal(one.image, other.image)
            assert np.array_equal(one.label, other.label)


def test_test_images_follow_on_the_training_images(tmp_path: Path) -> None:
    from PIL import Image

    folder = write_shapes_dataset(tmp_path, 501, SETTINGS, test=1)
    image, label = draw_shapes(SETTINGS.model_copy(update={"kind": "several_circles"}), 5)
    assert np.array_equal(
        np.asarray(Image.open(folder / "imagesTs/several_circles_00005_0000.png")), image
    )
    assert np.array_equal(
        np.asarray(Image.open(folder / "labelsTs/several_circles_00005.png")), label
    )


def test_dataset_of_the_same_number_is_never_overwritten(tmp_path: Path) -> None:
    other = tmp_path / "Dataset502_Other"
    other.mkdir()
    with pytest.raises(InputError, match=r"Dataset502_Other: there is a dataset 502 already"):
        write_shapes_dataset(tmp_path, 502, SETTINGS, test=0)
    assert list(tmp_path.iterdir()) == [other]
    assert list(other.iterdir()) == []


def test_unknown_number_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"DATASET: must be one of 501 \(.*\) and 502 .* is 503"):
        write_shapes_dataset(tmp_path, 503, SETTINGS, test=0)


def test_raw_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SweepFailed, match=r"cannot write .*file"):
        write_shapes_dataset(tmp_path / "file", 502, SETTINGS, test=0)
