from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from sweep.trainer.checkpoints import BEST, HEALTHY, LAST, Checkpoints

STATE = {"model": {"weight": torch.arange(6.0).view(2, 3)}, "history": [{"epoch": 0, "dice": None}]}


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "new" / "folder")
    checkpoints.save_last(STATE)
    checkpoints.save_best({"epoch": 3})
    checkpoints.save_healthy({"epoch": 4})
    loaded = checkpoints.load_last()
    assert loaded is not None
    assert torch.equal(loaded["model"]["weight"], STATE["model"]["weight"])  # type: ignore[index]
    assert loaded["history"] == STATE["history"]
    assert checkpoints.load_best() == {"epoch": 3}
    assert sorted(file.name for file in (tmp_path / "new" / "folder").iterdir()) == sorted(
        [BEST, LAST, HEALTHY]
    )


def test_trial_that_saved_nothing_has_nothing_to_go_on_from(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "nowhere").load_last() is None
    assert Checkpoints(tmp_path).load_best() is None


def test_write_that_breaks_off_leaves_the_checkpoint_before_it_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save_last({"epoch": 1})

    def full_disk(state: Any, file: Path) -> None:
        file.write_bytes(b"half a checkp")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save_last({"epoch": 2})
    monkeypatch.undo()
    assert checkpoints.load_last() == {"epoch": 1}
    assert [file.name for file in tmp_path.iterdir()] == [LAST]


def test_reader_sees_the_old_or_the_new_checkpoint_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save_last({"epoch": 1})
    seen = []
    save = torch.save

    def slow(state: Any, file: Path) -> None:
        save(state, file)
        seen.append(checkpoints.load_last())

    monkeypatch.setattr(torch, "save", slow)
    checkpoints.save_last({"epoch": 2})
    assert seen == [{"epoch": 1}]
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
        (tmp_path / LAST).write_bytes(pickle.dumps(state, protocol=2))
    else:
        torch.save(state, tmp_path / LAST)
    return tmp_path / "exploited"


def test_code_in_a_checkpoint_is_refused_and_never_run(tmp_path: Path, exploit: Path) -> None:
    with pytest.raises(pickle.UnpicklingError):
        Checkpoints(tmp_path).load_last()
    assert not exploit.exists()
