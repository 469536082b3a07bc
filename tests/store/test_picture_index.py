"""The pictures in a trial's folder, written and read back."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sweep.store.layout import TrialPaths
from sweep.store.pictures.composed_picture import composed, titled_pngs
from sweep.store.pictures.picture_index import (
    BatchPictures,
    CasePictures,
    Picture,
    Plane,
    SamplePicture,
    TrialPictures,
    read_pictures,
    write_pictures,
)
from sweep.vocabulary.errors import ResultsError

SHOWN = Picture(image="a.webp", marks="a_marks.webp", position=3, wrong=5, priority=0, size=(2, 2))
PLANE = Plane(axis=0, name="axial", slices=9, pictures=(SHOWN,))
CASE = CasePictures(
    case="case_03",
    reasons=("worst", "differs"),
    dice=0.5,
    nsd=None,
    classes={"liver": {"dice": 0.5, "nsd": None}},
    planes=(PLANE,),
)
SAMPLE = SamplePicture(case="case_04", label="liver", soft_area=None, picture=SHOWN)
PICTURES = TrialPictures(
    weights="abc",
    channel="CT",
    unit="mm",
    cases=(CASE,),
    compared_with="t0000",
    batch=BatchPictures(epoch=1, step=2, of=8, samples=(SAMPLE,)),
    left_out=4,
)


def webp(colour: tuple[int, ...]) -> bytes:
    content = io.BytesIO()
    pixels = np.full((2, 2, len(colour)), colour, dtype=np.uint8)
    Image.fromarray(pixels).save(content, format="webp", lossless=True)
    return content.getvalue()


FILES = {"a.webp": webp((100, 100, 100)), "a_marks.webp": webp((200, 0, 0, 255))}


def test_pictures_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    trial = TrialPaths(tmp_path)
    assert read_pictures(trial) is None
    write_pictures(trial, PICTURES, FILES)
    assert read_pictures(trial) == PICTURES


def test_files_of_an_earlier_drawing_are_deleted(tmp_path: Path) -> None:
    trial = TrialPaths(tmp_path)
    write_pictures(trial, PICTURES, {**FILES, "old.webp": b""})
    write_pictures(trial, PICTURES, FILES)
    assert {path.name for path in trial.pictures.iterdir()} == {*FILES, "index.json"}


@pytest.mark.parametrize("name", ["../a.webp", "/etc/passwd", "a.webp\n", "A.webp", "a.html", ""])
def test_an_index_that_names_a_file_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    trial = TrialPaths(tmp_path)
    plane = replace(PLANE, pictures=(replace(SHOWN, image=name),))
    write_pictures(trial, replace(PICTURES, cases=(replace(CASE, planes=(plane,)),)), FILES)
    with pytest.raises(ResultsError, match="no name of a picture"):
        read_pictures(trial)


def test_a_link_in_the_place_of_a_picture_is_not_followed(tmp_path: Path) -> None:
    trial = TrialPaths(tmp_path / "t0000")
    trial.folder.mkdir()
    write_pictures(trial, PICTURES, FILES)
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (trial.pictures / "a.webp").unlink()
    (trial.pictures / "a.webp").symlink_to(secret)
    with pytest.raises(ResultsError, match="link"):
        composed(trial, SHOWN)


def test_marks_lie_over_the_image_in_one_png_with_a_title(tmp_path: Path) -> None:
    trial = TrialPaths(tmp_path)
    assert titled_pngs(trial) == {}
    write_pictures(trial, PICTURES, FILES)
    found = titled_pngs(trial)
    assert list(found) == [
        "worst, differs: case_03, Dice 0.5000, axial slice 4 of 9",
        "soft mask 1, liver before step 2 of epoch 1: case_04",
    ]
    for png in found.values():
        assert np.asarray(Image.open(io.BytesIO(png))).tolist() == [[[200, 0, 0]] * 2] * 2


def test_two_soft_masks_of_one_case_have_titles_of_their_own(tmp_path: Path) -> None:
    trial = TrialPaths(tmp_path)
    batch = BatchPictures(epoch=1, step=2, of=8, samples=(SAMPLE, SAMPLE))
    write_pictures(trial, replace(PICTURES, cases=(), batch=batch), FILES)
    assert len(titled_pngs(trial)) == 2


def test_a_damaged_picture_is_told_with_its_file(tmp_path: Path) -> None:
    trial = TrialPaths(tmp_path)
    write_pictures(trial, PICTURES, {**FILES, "a.webp": b"no picture"})
    with pytest.raises(ResultsError, match=r"a\.webp: broken"):
        composed(trial, SHOWN)
