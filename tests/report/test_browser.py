"""The page in a real browser, without a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

from sweep.analysis.figures.sweep_results import read_results
from sweep.report.page import page
from sweep.report.report_figures import figures_of

OpenPage = Callable[..., Page]


def test_page_opens_offline_without_an_error_and_draws_every_figure(
    sweep_folder: Path, tmp_path: Path, open_page: OpenPage
) -> None:
    file = tmp_path / "report.html"
    results = read_results(sweep_folder)
    file.write_text(page(results), encoding="utf-8")
    opened = open_page(file.as_uri())
    opened.wait_for_selector("body[data-drawn]")
    drawn = opened.eval_on_selector_all(
        ".figure .plot-container", "all => all.map((one) => one.closest('section').id)"
    )
    assert drawn == [one.name for one in figures_of(results) if one.figure is not None]
