from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sweep.store.layout import TrialPaths
from sweep.store.lock import training
from sweep.vocabulary.errors import SweepFailed

TRAIN = """
import sys
from pathlib import Path
from sweep.store.layout import TrialPaths
from sweep.store.lock import training

with training(TrialPaths(Path(sys.argv[1]))):
    print("training", flush=True)
    sys.stdin.readline()
"""


def test_trial_has_one_worker_at_a_time_and_the_next_waits_until_the_one_before_is_gone(
    tmp_path: Path,
) -> None:
    orphan = subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert orphan.stdout is not None
    assert orphan.stdout.readline() == "training\n"
    with (
        pytest.raises(SweepFailed, match=r"another process is still training in .* after 0\.05 s"),
        training(TrialPaths(tmp_path), wait=0.05),
    ):
        pytest.fail("two workers at once")
    orphan.kill()
    orphan.communicate()
    with training(TrialPaths(tmp_path)):
        pass


def test_trial_whose_folder_has_vanished_is_not_trained(tmp_path: Path) -> None:
    with (
        pytest.raises(SweepFailed, match=r"\S+gone is gone"),
        training(TrialPaths(tmp_path / "gone")),
    ):
        pytest.fail("there is no folder")
    assert not (tmp_path / "gone").exists()
