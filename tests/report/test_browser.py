"""The page in a real browser, without a network."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sweep.analysis.figures.sweep_results import read_results
from sweep.report.page import page
from sweep.report.report_figures import figures_of

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on this machine")
def test_page_opens_offline_without_an_error_and_draws_every_figure(
    sweep_folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    results = read_results(sweep_folder)
    file.write_text(page(results), encoding="utf-8")
    done = subprocess.run(
        [
            str(BROWSER),
            "--headless",
            "--no-sandbox",
            "--enable-unsafe-swiftshader",  # a machine without a GPU draws WebGL by the CPU
            "--host-resolver-rules=MAP * ~NOTFOUND",  # offline
            f"--user-data-dir={tmp_path / 'profile'}",
            "--enable-logging=stderr",
            "--virtual-time-budget=20000",
            "--dump-dom",
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    told = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    assert [line for line in told if "GL Driver Message" not in line] == []
    assert 'data-drawn="true"' in done.stdout
    drawn = re.findall(r'data-figure="([\w-]+)"[^>]*>\s*<div class="plot-container', done.stdout)
    assert drawn == [one.name for one in figures_of(results) if one.figure is not None]
