"""``sweep.run --page``: the page beside the sweep that it shows."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scripted import waiting_sweep
from visitor import Visitor

from sweep.machine.codebase import PACKAGE
from sweep.page_server.page_process import page_beside
from sweep.vocabulary.errors import InputError


def test_page_shows_the_sweep_beside_it_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(json.dumps(waiting_sweep(tmp_path)))
    running = subprocess.Popen(
        [sys.executable, "-m", "sweep.run", "toy.yaml", "--local", "--page"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={"PYTHONPATH": str(PACKAGE.parent), "PATH": "", "HOME": str(tmp_path)},
    )  # fmt: skip
    try:
        assert running.stdout is not None
        told = next(line for line in running.stdout if line.startswith("Page: "))
        port, _, path = told.partition("127.0.0.1:")[2].strip().partition("/")
        visit = Visitor(int(port))
        assert visit(f"/{path}").status == 303  # the port answers before the page can
        while (answer := visit("/sweeps/toy/data")).status == 503 or not answer.json["trials"]:
            assert running.poll() is None
            time.sleep(0.1)
        assert answer.json["running"]
        running.terminate()
        printed, _ = running.communicate(timeout=60)
        last = visit("/sweeps/toy/data").json  # the page outlives the sweep a little
        assert not last["running"]
        assert last["state"].startswith("not running")
    finally:
        running.kill()
    assert running.returncode == 130
    assert "--page --resume" in printed


def test_extra_that_is_missing_is_named_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"medical-sweep\[page\]"), page_beside(tmp_path):
        pass
