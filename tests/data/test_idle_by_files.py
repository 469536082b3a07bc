"""What a dataset's files leave without effect: folds beside splits of its own, axes of images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from raw_dataset import write_cases

from sweep.data.nnunet_raw.pixels import RawCase
from sweep.spec.load import load_sweep
from sweep.trial.trainer_check import TrainerCheck
from sweep.vocabulary.errors import InputError, Mistake

IMAGE, VOLUME = (8, 10), (8, 10, 6)
SPACE = "space: {optimizer.lr: {uniform: [0.1, 1]}"


def dataset(folder: Path, shapes: list[tuple[int, ...]], ending: str, splits: int = 0) -> Path:
    labels = [np.zeros(shape, np.uint8) for shape in shapes]
    for label in labels:
        label[2, 3] = 1
    write_cases(
        folder,
        [
            RawCase(f"c{n}", label[None] * 50, label, None if ending == ".png" else np.eye(4))
            for n, label in enumerate(labels)
        ],
        "dot",
        ending=ending,
    )
    if splits:
        one = {"train": ["c0", "c1"], "val": ["c2"]}
        (folder / "splits_final.json").write_text(json.dumps([one] * splits))
    return folder


def read(tmp_path: Path, folder: Path, given: str = "", searched: str = "") -> list[str]:
    """What is refused and told of a sweep."""
    file = tmp_path / "x.yaml"
    file.write_text(f"data: {{source: nnunet_raw, folder: {folder}{given}}}\n{SPACE}{searched}}}\n")
    told: list[Mistake] = []
    try:
        load_sweep(
            file, check_data=TrainerCheck(), look_for_idle=TrainerCheck().idle, warn=told.append
        )
    except InputError as error:
        told += error.mistakes
    return [str(mistake).removeprefix(f"{file}:") for mistake in told]


ENDINGS: list[Any] = [(".png", [IMAGE] * 5), (".nii.gz", [IMAGE] * 5), (".nii", [(8, 10, 1)] * 5)]


@pytest.mark.parametrize(("ending", "shapes"), ENDINGS)
def test_an_axis_to_cut_images_along_acts_on_nothing(
    tmp_path: Path, ending: str, shapes: list[tuple[int, ...]]
) -> None:
    folder = dataset(tmp_path / "d", shapes, ending)
    why = "every case is an image, and none a volume"
    assert read(tmp_path, folder, ", slice_axis: 0") == [
        f"1: data.slice_axis: 0 has no effect: {why}"
    ]
    assert read(tmp_path, folder, searched=", data.slice_axis: {choice: [0, 1, 2]}") == [
        f"2: space.data.slice_axis: is searched without any effect: {why}"
    ]
    assert read(tmp_path, folder) == []


def test_an_axis_acts_where_a_single_case_is_a_volume(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", [*[IMAGE] * 4, VOLUME], ".nii.gz")
    assert read(tmp_path, folder, ", slice_axis: 0") == []
    assert read(tmp_path, folder, searched=", data.slice_axis: {choice: [0, 1, 2]}") == []


def test_folds_act_on_nothing_beside_splits_of_the_dataset(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", [IMAGE] * 5, ".png", splits=3)
    why = "splits_final.json counts instead, which has 3 splits"
    assert read(tmp_path, folder, ", folds: 4") == [f"1: data.folds: 4 has no effect: {why}"]
    assert read(tmp_path, folder, searched=", data.folds: {choice: [2, 3]}") == [
        f"2: space.data.folds: is searched without any effect: {why}"
    ]
    assert read(tmp_path, folder, ", folds: 3") == []  # that is what there is
    assert read(tmp_path, folder) == []


def test_folds_are_dealt_where_there_are_no_splits(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", [IMAGE] * 5, ".png")
    assert read(tmp_path, folder, searched=", data.folds: {choice: [2, 3]}") == []


def test_of_a_broken_dataset_its_mistakes_alone_are_told(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", [IMAGE] * 5, ".png", splits=3)
    (folder / "dataset.json").write_text("{")
    [message] = read(tmp_path, folder, ", folds: 4, slice_axis: 0")
    assert "dataset.json" in message
    folder = dataset(tmp_path / "e", [IMAGE] * 5, ".nii.gz")
    (folder / "imagesTr/c0_0000.nii.gz").write_bytes(b"")
    assert read(tmp_path, folder, ", slice_axis: 0") == []  # nobody knows; --data reads it
