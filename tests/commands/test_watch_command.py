from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from sweep.machine.codebase import PACKAGE
from sweep.store.store import Store
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Status

Call = Callable[..., Result]


def words(text: str) -> str:
    """With every run of blanks and line breaks as one blank."""
    return " ".join(text.split())


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_interrupted_sweep_is_shown_once_with_what_to_do(call: Call, results: Path) -> None:
    before = files(results)
    result = call("watch", "results/toy")
    assert result.exit_code == 0
    text = words(result.stdout)
    assert text.startswith("toy ")
    assert "2/20 trials 12 s of training not running" in text
    assert "2 unfinished · 1 completed · 0 early-stopped · 0 pruned · 1 diverged" in text
    assert "best so far: validation Dice 0.7500 t0000 at epoch 1" in text
    assert "▸ t0002" in text
    assert "✗ t0001 nonfinite gradient (compactness) at epoch 2 step 0" in text
    assert "Not running. Resume it with `sweep.run … --resume`." in text
    assert text.endswith("Ranking: python -m sweep.rank results/toy")
    assert files(results) == before


def test_finished_sweep_says_so(call: Call, results: Path) -> None:
    yaml = results / "sweep.yaml"
    yaml.write_text(yaml.read_text() + "trials: 4\n")
    with Store.open(results) as store:
        for trial_id in ("t0002", "t0003"):
            store.end_trial(trial_id, Outcome(status=Status.PRUNED))
    text = words(call("watch", "results/toy").stdout)
    assert "4/4 trials" in text
    assert "finished" in text
    assert "--resume" not in text


def test_once_shows_a_running_sweep_and_ends(call: Call, results: Path) -> None:
    with Store.open(results):
        text = words(call("watch", "results/toy", "--once").stdout)
    assert "of training about" in text
    assert "2 running" in text
    assert "Ranking" not in text


def test_sweep_that_has_no_trial_yet_is_shown(call: Call, results: Path) -> None:
    shutil.rmtree(results / "trials")
    (results / "journal.jsonl").unlink()
    text = words(call("watch", "results/toy").stdout)
    assert "0/20 trials 0 s of training not running" in text


def test_file_uri_is_read_as_the_path(call: Call, results: Path) -> None:
    assert call("watch", results.as_uri()).stdout == call("watch", str(results)).stdout


def watching(folder: Path, **streams: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "sweep.watch", str(folder), "--interval", "0.2"],
        env=os.environ | {"PYTHONPATH": str(PACKAGE.parent), "TERM": "xterm"},
        **streams,
    )


def test_watched_sweep_is_followed_to_its_end_with_a_line_a_trial(results: Path) -> None:
    with Store.open(results) as store:
        process = watching(results, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"toy ")
        store.append_epoch("t0002", EpochMetrics(epoch=1, val_dice=0.875, warnings=("Dark.",)))
        store.end_trial("t0002", Outcome(status=Status.EARLY_STOPPED))
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    text = words(out.decode())
    assert "warning: t0002: Dark." in text
    assert "[3/20] t0002 early-stopped; 2 epochs, best Dice 0.8750" in text
    assert text.endswith("Ranking: python -m sweep.rank " + str(results))


def test_interrupted_watch_on_a_terminal_ends_well_and_gives_the_cursor_back(
    results: Path,
) -> None:
    screen, terminal = pty.openpty()
    with Store.open(results) as store:
        process = watching(results, stdin=terminal, stdout=terminal, stderr=terminal)
        os.close(terminal)
        shown = b""
        while b"t0002" not in shown:
            shown += os.read(screen, 4096)
        store.append_epoch("t0002", EpochMetrics(epoch=1, val_dice=0.8125))
        while b"0.8125" not in shown:
            shown += os.read(screen, 4096)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        while process.poll() is None:
            shown += read(screen)
    shown += read(screen)
    os.close(screen)
    assert process.returncode == 0
    assert shown.rstrip().endswith(b"\x1b[?25h")
    assert b"Traceback" not in shown


def read(screen: int) -> bytes:
    """What the terminal has to show; nothing once the process has ended."""
    try:
        return os.read(screen, 4096)
    except OSError:
        return b""
