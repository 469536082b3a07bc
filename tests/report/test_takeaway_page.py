"""What is taken away from the page, in a real browser."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from sweep.analysis.figures.sweep_results import Results, read_results
from sweep.report.page import page
from sweep.report.takeaway.latex_ranking import top_of_ranking
from sweep.report.takeaway.methods import methods
from sweep.report.takeaway.winner_use import winner_use

OpenPage = Callable[..., Page]


@pytest.fixture
def results(sweep_folder: Path) -> Results:
    return read_results(sweep_folder)


@pytest.fixture
def opened(results: Results, tmp_path: Path, open_page: OpenPage) -> Page:
    file = tmp_path / "report.html"
    file.write_text(page(results), encoding="utf-8")
    return open_page(file.as_uri())


def copied(opened: Page, selector: str) -> str:
    button = opened.locator(selector).first
    button.click()
    expect(button).to_have_text("Copied")
    return str(opened.evaluate("navigator.clipboard.readText()"))


def test_what_is_copied_is_what_is_printed(opened: Page, results: Results) -> None:
    use, text = winner_use(results), methods(results)
    assert use is not None
    assert text is not None
    command = ".steps li:first-child button[data-copy]"
    assert copied(opened, command) == "\n".join(use.steps[0].lines)
    assert copied(opened, "#methods button >> nth=0") == text.plain
    assert copied(opened, "#methods button >> nth=1") == text.latex
    assert copied(opened, "#paper p button[data-copy]") == top_of_ranking(results)


def test_ranking_is_saved_as_csv_with_a_row_for_each_trial(opened: Page, results: Results) -> None:
    with opened.expect_download() as download:
        opened.locator("button[data-csv]").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert download.value.suggested_filename == f"{results.spec.name}-ranking.csv"
    assert [row["trial_id"] for row in rows] == list(results.frame["trial_id"])
    best = results.frame["val_dice"].iloc[0]
    assert float(rows[0]["val_dice"]) == best
