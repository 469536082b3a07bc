"""The cache: built once whoever comes, never half done, rebuilt where damaged."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sweep.data.prepared.packed_cases import open_packed
from sweep.data.prepared.prepare import prepare
from sweep.machine.machine_cache import cached, default_cache
from sweep.spec.settings.data_settings import ShapesData
from sweep.vocabulary.errors import SweepFailed

SMALL = ShapesData(count=6, size=32, folds=2)

PROCESS = """
import os, sys, time
from pathlib import Path
from sweep.machine.machine_cache import cached
folder = Path(sys.argv[1])

def open_built(folder):
    file = folder / "content"
    return file.read_text() if file.exists() else None

def build(folder):
    with (folder.parent / "builds").open("a") as log:
        log.write("x")
    if sys.argv[2] == "killed":
        (folder / "half").touch()
        os._exit(9)
    time.sleep(0.2)
    (folder / "content").write_text("whole")

assert cached(folder, open_built, build) == "whole"
"""


def start(folder: Path, way: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", PROCESS, folder, way])


def test_many_processes_at_once_build_once(tmp_path):
    processes = [start(tmp_path / "entry", "whole") for _ in range(4)]
    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    assert (tmp_path / "builds").read_text() == "x"


def test_build_that_was_killed_leaves_no_entry_and_hinders_nobody(tmp_path):
    assert start(tmp_path / "entry", "killed").wait() == 9
    assert not (tmp_path / "entry").exists()
    assert start(tmp_path / "entry", "whole").wait() == 0
    assert [path.name for path in (tmp_path / "entry").iterdir()] == ["content"]
    assert (tmp_path / "builds").read_text() == "xx"


def test_build_that_raises_leaves_nothing_behind(tmp_path):
    def build(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(tmp_path / "entry", open_packed, build)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: (entry / "index.json").write_text('{"format": 1'),
        lambda entry: (entry / "index.json").write_text("[]"),
        lambda entry: (entry / "index.json").write_text('{"format": 1, "channels": 3}'),
        lambda entry: (entry / "index.json").write_text('{"format": 0}'),
        lambda entry: (entry / "index.json").write_bytes(b"\xff\xff"),
        lambda entry: (entry / "index.json").unlink(),
        lambda entry: (entry / "images.f32").unlink(),
        lambda entry: (entry / "images.f32").write_bytes(b"\0" * 44),
        lambda entry: (entry / "labels.u8").write_bytes(b""),
        lambda entry: (entry / "own.u8").write_bytes(b"\0"),
        lambda entry: (entry / "own.u8").unlink(),
        lambda entry: shutil.rmtree(entry / "raw") or (entry / "labels.u8").unlink(),
    ],
)
def test_damaged_entry_is_rebuilt(tmp_path, damage):
    expected = [np.array(sample.image) for sample in prepare(SMALL, tmp_path).training]
    (entry,) = (path for path in tmp_path.iterdir() if path.is_dir())
    damage(entry)
    found = [sample.image for sample in prepare(SMALL, tmp_path).training]
    np.testing.assert_array_equal(found, expected)


def test_cache_that_cannot_be_written_is_told_with_the_way_out(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SweepFailed, match="MEDICAL_SWEEP_CACHE names another folder"):
        prepare(SMALL, tmp_path / "file" / "cache")


def test_environment_chooses_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDICAL_SWEEP_CACHE", str(tmp_path))
    assert default_cache() == tmp_path
    monkeypatch.setenv("MEDICAL_SWEEP_CACHE", "")
    assert default_cache().name == "medical-sweep"
