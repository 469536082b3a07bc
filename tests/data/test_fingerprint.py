"""A dataset is known by its bytes, wherever it lies and whatever else lies beside it."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.data.nnunet_raw.raw_dataset import open_raw
from sweep.data.nnunet_raw.raw_fingerprint import fingerprint
from sweep.data.prepared.prepare import prepare
from sweep.spec.settings.data_settings import NnunetRawData
from sweep.vocabulary.errors import InputError


def of(folder: Path, tmp_path: Path) -> str:
    return fingerprint([open_raw(folder)], tmp_path / "cache")


def raw(folder: Path, **changes: Any) -> NnunetRawData:
    return NnunetRawData(source="nnunet_raw", folder=str(folder), **{"folds": 2, **changes})


def test_moved_and_copied_datasets_have_the_same_fingerprint(tmp_path, write_grey):
    folder = write_grey()
    before = of(folder, tmp_path)
    assert [part.partition(":")[0] for part in before.split()] == [
        "dataset.json", "imagesTr", "labelsTr"
    ]  # fmt: skip
    copied = shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
    (copied / "imagesTr" / ".DS_Store").touch()
    (copied / "imagesTr" / "notes.txt").touch()
    assert of(copied, tmp_path) == before
    assert of(folder.rename(tmp_path / "moved"), tmp_path) == before


def test_other_bytes_of_the_same_size_and_time_at_the_same_place_are_noticed(tmp_path, write_grey):
    folder = write_grey()
    before = of(folder, tmp_path)
    label = folder / "labelsTr" / "case_2.png"
    times = label.stat()
    content = bytearray(label.read_bytes())
    content[-1] ^= 1
    label.write_bytes(content)
    os.utime(label, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert label.stat().st_size == times.st_size
    after = of(folder, tmp_path)
    assert after.split()[:-1] == before.split()[:-1]
    assert after.split()[-1] != before.split()[-1]


def test_exchanged_cases_are_noticed(tmp_path, write_grey):
    folder = write_grey()
    before = of(folder, tmp_path)
    one, other = (folder / "imagesTr" / f"case_{n}_0000.png" for n in (0, 1))
    contents = one.read_bytes(), other.read_bytes()
    other.write_bytes(contents[0])
    one.write_bytes(contents[1])
    assert of(folder, tmp_path) != before


def test_moved_dataset_finds_its_cache_and_says_where_it_is_now(tmp_path, write_grey):
    folder = write_grey()
    first = prepare(raw(folder), tmp_path / "cache")
    moved = folder.rename(tmp_path / "moved")
    again = prepare(raw(moved), tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("nnunet_raw-*.lock"))) == 1
    assert (first.origin["folder"], again.origin["folder"]) == (str(folder), str(moved))
    assert first.origin["fingerprint"] == again.origin["fingerprint"]
    np.testing.assert_array_equal(first.training[0].image, again.training[0].image)


def test_other_data_than_the_recorded_ones_are_refused(tmp_path, write_grey):
    folder = write_grey()
    recorded = prepare(raw(folder), tmp_path / "cache").origin["fingerprint"]
    pinned = raw(folder, fingerprint=recorded)
    assert prepare(pinned, tmp_path / "cache").origin["fingerprint"] == recorded
    shutil.copy(folder / "imagesTr" / "case_0_0000.png", folder / "imagesTr" / "case_1_0000.png")
    with pytest.raises(InputError) as caught:
        prepare(pinned, tmp_path / "cache")
    assert str(caught.value).startswith(f"data.fingerprint: {folder} holds other data than")
    assert "(imagesTr differ)" in str(caught.value)
