"""Segmentations in the page: which are embedded, and how a reader moves through them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page
from synthetic import trial, write_sweep

from sweep.analysis.figures.sweep_results import Results, read_results
from sweep.report.notebook_pictures import show_segmentations
from sweep.report.page import page
from sweep.report.page_pictures import embedded_pictures
from sweep.report.page_trials import page_trials
from sweep.report.sections.segmentations_section import segmentations_section
from sweep.store.layout import Layout
from sweep.store.pictures.picture_index import (
    CasePictures,
    Picture,
    Plane,
    TrialPictures,
    write_pictures,
)
from sweep.vocabulary.record import Status

OpenPage = Callable[..., Page]


def webp(level: int) -> bytes:
    content = io.BytesIO()
    pixels = np.full((8, 8, 3), level, dtype=np.uint8)
    Image.fromarray(pixels).save(content, format="webp", lossless=True)
    return content.getvalue()


def draw(folder: Path, name: str, other: str, dice: float) -> None:
    """Three slices of one case. The images are those of the other trial, the marks are not."""
    pictures = tuple(
        Picture(
            image=f"case0_{n}.webp",
            marks=f"case0_{n}_marks.webp",
            position=10 * n,
            wrong=n,
            priority=0 if n == 1 else 1 + n,
            size=(8, 8),
        )
        for n in range(3)
    )
    case = CasePictures(
        case="liver_03",
        reasons=("worst", "differs"),
        dice=dice,
        nsd=0.5,
        classes={"liver": {"dice": dice}},
        planes=(Plane(axis=0, name="axial", slices=30, pictures=pictures),),
    )
    files = {one.image: webp(10 * n) for n, one in enumerate(pictures)}
    files |= {one.marks: webp(int(100 * dice) + n) for n, one in enumerate(pictures)}
    drawn = TrialPictures(weights="w", channel="CT", cases=(case,), compared_with=other)
    write_pictures(Layout(folder).trial(name), drawn, files)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ended = (trial(n, Status.COMPLETED, [0.5, 0.9 - n / 10]) for n in range(2))
    made = write_sweep(tmp_path / "sweep", ended)
    draw(made, "t0000", "t0001", 0.9)
    draw(made, "t0001", "t0000", 0.8)
    return made


def section_of(results: Results) -> str:
    found = segmentations_section(results)
    assert found is not None
    return found.html


def test_the_sentence_names_the_case_on_which_the_two_differ_most(folder: Path) -> None:
    html = section_of(read_results(folder))
    assert "t0000 and t0001 differ most on liver_03: Dice 0.9000 against 0.8000." in html
    assert '<sweep-pictures trials="t0000 t0001">' in html


def test_without_pictures_the_section_says_how_to_draw_them(tmp_path: Path) -> None:
    ended = write_sweep(tmp_path / "a sweep", [trial(0, Status.COMPLETED, [0.5])])
    results = read_results(ended)
    assert "sweep.pictures &#39;" in section_of(results)
    assert segmentations_section(replace(results, in_use=True)) is None
    assert embedded_pictures(results) == {"places": {}, "data": []}


def test_a_file_holds_the_most_telling_pictures_and_a_shared_image_once(folder: Path) -> None:
    results = read_results(folder)
    every = embedded_pictures(results)
    assert len(every["places"]) == 12
    assert len(every["data"]) == 9  # three images of both, three marks of each
    largest = max(map(len, every["data"]))
    few = embedded_pictures(results, space=3 * largest)
    assert set(few["places"]) == {
        f"t000{n}/case0_1{kind}.webp" for n in range(2) for kind in ("", "_marks")
    }


def test_pictures_are_in_the_page_wherever_their_trial_ranks(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.report.page_trials.MOST_READ", 1)
    found = page_trials(read_results(folder))
    assert "files" not in found["t0001"]
    assert found["t0001"]["pictures"]["compared_with"] == "t0000"


def test_a_notebook_shows_both_trials_with_titles(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, **_: shown.append(data["text/html"])
    )
    show_segmentations(read_results(folder))
    (html,) = shown
    assert html.count("<img") == 2
    assert html.index("t0000") < html.index("t0001")
    assert "worst, differs: liver_03, Dice 0.9000, axial slice 11 of 30" in html


def test_one_slider_moves_both_trials_by_keys_and_marks_can_be_hidden(
    folder: Path, open_page: OpenPage
) -> None:
    file = folder / "report.html"
    file.write_text(page(read_results(folder)), encoding="utf-8")
    opened = open_page(file.as_uri())
    pictures = opened.locator("#segmentations sweep-pictures")
    shown = pictures.locator("img:not(.marks)")
    assert shown.count() == 2
    alt = "Dice 0.9000, NSD 0.5000; axial slice 11 of 30; 1 pixel is wrong"
    assert shown.nth(0).get_attribute("alt") == f"t0000, liver_03: {alt}"
    before = shown.nth(1).get_attribute("src")
    pictures.locator("input[type=range]").press("ArrowRight")
    assert "slice 21 of 30" in (shown.nth(0).get_attribute("alt") or "")
    assert "slice 21 of 30" in (shown.nth(1).get_attribute("alt") or "")
    assert shown.nth(1).get_attribute("src") != before
    assert pictures.locator("output").inner_text() == "axial slice 21 of 30"
    assert pictures.locator(".marks").nth(0).is_visible()
    pictures.get_by_label("show marks").uncheck()
    assert not pictures.locator(".marks").nth(0).is_visible()
    assert shown.nth(0).evaluate("(image) => image.complete && image.naturalWidth") == 8


def test_the_views_of_a_trial_and_of_two_show_their_cases(
    folder: Path, open_page: OpenPage
) -> None:
    file = folder / "report.html"
    file.write_text(page(read_results(folder)), encoding="utf-8")
    opened = open_page(f"{file.as_uri()}#trial/t0001")
    view = opened.locator("#view sweep-pictures")
    assert "differs most from t0000" in view.locator("h4").inner_text()
    view.locator("input[type=range]").press("ArrowRight")  # which elsewhere opens the next trial
    assert view.locator("output").inner_text() == "axial slice 21 of 30"
    assert opened.locator("#view-title").inner_text() == "t0001"
    opened.goto(f"{file.as_uri()}#compare/t0001/t0000")
    both = opened.locator("#view sweep-pictures figcaption b:first-child")
    assert both.all_inner_texts() == ["t0001", "t0000"]
