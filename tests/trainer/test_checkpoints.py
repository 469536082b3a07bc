from __future__ import annotations

import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sweep.trial.checkpoints import Checkpoints
from sweep.vocabulary.errors import ResultsError, SweepFailed

STATE = {"model": {"weight": torch.arange(6.0).view(2, 3)}, "history": [{"epoch": 0, "dice": None}]}


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save_last(STATE)
    checkpoints.save_best({"epoch": 3})
    checkpoints.save_healthy({"epoch": 4})
    checkpoints.save_offending({"epoch": 5})
    loaded = checkpoints.load_last()
    assert loaded is not None
    assert torch.equal(loaded["model"]["weight"], STATE["model"]["weight"])  # type: ignore[index]
    assert loaded["history"] == STATE["history"]
    assert checkpoints.load_best() == {"epoch": 3}
    assert checkpoints.load_offending() == {"epoch": 5}
    assert names(tmp_path) == ["best.pt", "healthy.pt", "last.pt", "offending.pt"]


def test_trial_that_saved_nothing_has_nothing_to_go_on_from(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "nowhere").load_last() is None
    assert Checkpoints(tmp_path).load_best() is None


def test_folder_that_has_vanished_is_told_and_not_made_anew(tmp_path: Path) -> None:
    with pytest.raises(SweepFailed, match=r"cannot write .*last\.pt: No such file"):
        Checkpoints(tmp_path / "gone").save_last(STATE)
    assert names(tmp_path) == []


def test_write_that_failed_holds_no_view_of_its_buffer(tmp_path: Path) -> None:
    with pytest.raises(SweepFailed) as caught:
        Checkpoints(tmp_path / "gone").save_last(STATE)
    buffers = [
        value
        for entry in caught.traceback
        for value in entry.frame.f_locals.values()
        if isinstance(value, io.BytesIO)
    ]
    assert buffers
    for buffer in buffers:  # BufferError if there is a view: Python 3.12.1 crashes in that case
        buffer.close()


FULL_DISK = """
import resource, sys
from pathlib import Path
from sweep.vocabulary.errors import SweepFailed
from sweep.vocabulary.errors import ResultsError, SweepFailed
from sweep.trial.checkpoints import Checkpoints

checkpoints = Checkpoints(Path(sys.argv[1]))
checkpoints.save_last({"epoch": 0})
checkpoints.save_last({"epoch": 1})
# A file size limit fails as a full disk does: what still fits is written, then comes an error.
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    checkpoints.save_last({"epoch": 2})
except SweepFailed as error:
    print(error)
print(checkpoints.load_last())
"""


def test_full_disk_leaves_the_checkpoints_before_it_and_no_rest(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == [
        f"cannot write {tmp_path / 'last.pt'}: File too large; earlier data are intact",
        "{'epoch': 1}",
    ]
    assert names(tmp_path) == ["last.pt", "previous.pt"]


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    match how:
        case "empty":
            content.clear()
        case "truncated":
            del content[len(content) // 2 :]
        case "one bit flipped in a tensor":  # which torch itself would load
            place = content.index(torch.arange(6.0).numpy().tobytes())
            content[place] ^= 1
        case "no checkpoint at all":
            content[:] = b"hello"
        case "gone":
            path.unlink()
            return
    path.write_bytes(content)


@pytest.mark.parametrize(
    "how",
    ["empty", "truncated", "one bit flipped in a tensor", "no checkpoint at all", "gone"],
)
def test_damaged_checkpoint_is_noticed_and_the_one_before_it_loaded(
    tmp_path: Path, how: str
) -> None:
    checkpoints = Checkpoints(tmp_path)
    for epoch in range(3):
        checkpoints.save_last(STATE | {"epoch": epoch})
    damage(tmp_path / "last.pt", how)
    loaded = checkpoints.load_last()
    assert loaded is not None
    assert loaded["epoch"] == 1
    if how == "gone":  # as a kill between two renames leaves it
        assert checkpoints.damaged == ()
    else:
        [told] = checkpoints.damaged
        assert told.startswith(f"{tmp_path / 'last.pt'} is damaged: ")

    damage(tmp_path / "previous.pt", "truncated")
    damage(tmp_path / "last.pt", "empty") if how != "gone" else None
    assert checkpoints.load_last() is None


def test_damaged_best_checkpoint_is_an_error_that_names_it(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save_best(STATE)
    damage(tmp_path / "best.pt", "truncated")
    with pytest.raises(ResultsError, match=r"best\.pt is damaged: "):
        checkpoints.load_best()


def test_reader_sees_the_old_or_the_new_checkpoint_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save_last({"epoch": 1})
    seen = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append(checkpoints.load_last())
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    checkpoints.save_last({"epoch": 2})
    assert seen == [{"epoch": 1}, {"epoch": 1}]
    assert checkpoints.load_last() == {"epoch": 2}


class Exploit:
    """Unpickling it would create a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


@pytest.fixture(params=["torch.save", "pickle"])
def exploit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The file that a poisoned checkpoint in ``tmp_path`` would create."""
    state = {"model": Exploit(tmp_path / "exploited")}
    if request.param == "pickle":
        (tmp_path / "last.pt").write_bytes(pickle.dumps(state, protocol=2))
    else:
        torch.save(state, tmp_path / "last.pt")
    return tmp_path / "exploited"


def test_code_in_a_checkpoint_is_refused_and_never_run(tmp_path: Path, exploit: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.load_last() is None
    assert len(checkpoints.damaged) == 1
    assert not exploit.exists()
