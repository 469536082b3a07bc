"""The page in a real browser, without a network."""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path
from random import Random
from typing import Any, Literal
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Page
from scipy.spatial import ConvexHull
from scipy.stats import rankdata
from synthetic import drawn, trial, write_sweep

import sweep
from sweep.analysis.figures.figure_style import LOOKS
from sweep.analysis.figures.sweep_results import read_results
from sweep.analysis.report_words import status as status_words
from sweep.report.page import page
from sweep.report.page_data import PageData, dumped, page_data
from sweep.report.report_figures import figures_of
from sweep.store.case_table import write_cases
from sweep.store.files import atomic_write_text
from sweep.vocabulary.class_scores import ClassScore
from sweep.vocabulary.record import Status, TrialRecord

OpenPage = Callable[..., Page]
Scheme = Literal["light", "dark"]
CASES = 6
A4 = 718  # pixels between the margins that browsers leave
BANDWIDTH, LEAST_WEIGHT = 0.12, 0.5  # of the map's kernel, as the page says


def measured(record: TrialRecord) -> TrialRecord:
    """The same trial with loss terms and HD95 in each epoch."""
    history = tuple(
        replace(e, terms={"dice": 1 - (e.val_dice or 0)}, metrics={"hd95": 3.0 - (e.val_dice or 0)})
        for e in record.history
    )
    return replace(record, history=history)


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PageData]:
    """A page of sixty trials with terms, HD95 and cases, and its data."""
    folder = tmp_path_factory.mktemp("explored") / "a sweep"
    write_sweep(folder, map(measured, map(drawn, range(60))))
    for n, path in enumerate(sorted((folder / "trials").iterdir())):
        scores = [
            ClassScore(
                case=f"case {c}",
                label="lesion",
                n_reference=9,
                n_prediction=9,
                values={"dice": Random(100 * n + c).random()},
            )
            for c in range(CASES)
        ]
        write_cases(path / "cases.csv", scores)
    results = read_results(folder)
    file = folder / "report.html"
    file.write_text(page(results), encoding="utf-8")
    return file, page_data(results)


def settled(opened: Page) -> None:
    """Waits until the frame is drawn in which a change is shown."""
    opened.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def shown(opened: Page, ids: str = "ranking") -> list[str]:
    """The trials of the rows that a table has drawn, once it knows how high it is."""
    settled(opened)
    found: list[str] = opened.eval_on_selector_all(
        f"#{ids} tbody tr[data-id]", "rows => rows.map((row) => row.dataset.id)"
    )
    return found


def column(data: PageData, name: str) -> dict[str, object]:
    (table,) = data.tables
    (found,) = (one for one in table.columns if one.name == name)
    return dict(zip(table.trials, found.values, strict=True))


def draw(opened: Page, *figures: str) -> None:
    """Draws these figures as they would be once in view; all figures of a page take seconds."""
    opened.evaluate("(names) => names.forEach((name) => draw(plots.get(name)))", list(figures))


def drag(opened: Page, name: str) -> None:
    """Drags the mouse over the upper left quarter of a figure's first panel."""
    panel = opened.locator(f"#figure-{name} .nsewdrag").first
    panel.scroll_into_view_if_needed()
    area = panel.bounding_box()
    assert area is not None
    opened.mouse.move(area["x"] + 5, area["y"] + 5)
    opened.mouse.down()
    opened.mouse.move(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2, steps=4)
    opened.mouse.up()


def test_page_opens_offline_without_an_error_and_draws_every_figure(
    sweep_folder: Path, tmp_path: Path, open_page: OpenPage
) -> None:
    file = tmp_path / "report.html"
    results = read_results(sweep_folder)
    file.write_text(page(results), encoding="utf-8")
    opened = open_page(file.as_uri())
    opened.evaluate("sweepPage.drawAll()")
    drawn_ones = opened.eval_on_selector_all(
        "#figures .figure .main-svg:first-child", "all => all.map((e) => e.closest('section').id)"
    )
    drawn_by_us = [one.name for one in figures_of(results) if one.figure is not None]
    assert drawn_ones == [*drawn_by_us, "axes"]


def test_no_figure_offers_to_send_itself_to_a_server(
    explored: tuple[Path, PageData], tmp_path: Path, open_page: OpenPage
) -> None:
    buttons = "all => all.map((one) => one.dataset.title)"
    opened = open_page(explored[0].as_uri())
    draw(opened, "learning-curves", "axes")
    titles = opened.eval_on_selector_all(".modebar-btn", buttons)
    assert len([one for one in titles if "Download" in one]) == 2
    assert not [one for one in titles if re.search("share|cloud|upload", one, re.IGNORECASE)]
    figures = figures_of(read_results(explored[0].parent))
    (alone,) = (one.figure for one in figures if one.name == "learning-curves")
    assert alone is not None
    alone.write_html(tmp_path / "alone.html")  # by plotly's own defaults, as in a notebook
    opened = open_page((tmp_path / "alone.html").as_uri())
    opened.wait_for_selector(".modebar-btn", state="attached")
    titles = opened.eval_on_selector_all(".modebar-btn", buttons)
    assert not [one for one in titles if re.search("share|cloud|upload", one, re.IGNORECASE)]


def test_filter_keeps_the_rows_that_it_names_and_says_what_is_wrong(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    opened = open_page(file.as_uri())
    dice, epsilon = column(data, "val_dice"), column(data, "loss.sqrt_epsilon")
    opened.fill("#filter", "val_dice > 0.88 and sqrt_epsilon <= 1e-6")
    wanted = [t for t in dice if (dice[t] or 0) > 0.88 and epsilon[t] <= 1e-6]  # type: ignore[operator]
    assert 0 < len(wanted) < 20
    assert shown(opened) == wanted
    assert f"{len(wanted)} of 60 trials pass the filter" in opened.inner_text("#selection")
    for text, told in (
        ("val_dic > 0.8", "“val_dic” is not a column; did you mean “val_dice”?"),
        ("val_dice >", "a value must follow “val_dice >”."),
        ("val_dice > high", "“val_dice” has numbers, and “high” is none."),
        ("status > pruned", "“status” has words, which “>” cannot compare; use “=”."),
        ("epochs = ''", "“epochs” has numbers, and “” is none."),
        ("(diverged", "a bracket is not closed."),
        ("prned", "no trial is “prned”; did you mean “pruned”?"),
        ("diverged pruned", "“pruned” is one too many; join conditions by “and” or “or”."),
    ):
        opened.fill("#filter", text)
        assert opened.inner_text("#filter-wrong") == told
        assert shown(opened) == wanted, "an unreadable filter changes nothing"
    status = column(data, "status")
    opened.fill("#filter", "not (completed or status = pruned)")
    assert shown(opened) == [t for t in status if status[t] == "diverged"]
    opened.press("#filter", "Escape")
    opened.fill("#filter", "trial_id in (t0001, t0002)")
    assert sorted(shown(opened)) == ["t0001", "t0002"]
    opened.fill("#filter", "val dice > 0.88 and Best at < 9")
    best = column(data, "best_epoch")
    assert shown(opened) == [t for t in dice if (dice[t] or 0) > 0.88 and best[t] < 9]  # type: ignore[operator]
    opened.fill("#filter", "val_dice != 0.5")
    with_empty_cells = opened.inner_text("#selection")
    opened.fill("#filter", "val_dice ≠ 0.5")
    assert opened.inner_text("#selection") == with_empty_cells


def test_filter_compares_numbers_in_a_column_that_has_words_too(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    (table,) = data.tables
    mixed = json.loads(dumped(data.to_json()))
    (patience,) = (
        one for one in mixed["tables"][0]["columns"] if one["name"] == "early_stopping.patience"
    )
    patience["kind"] = "text"
    patience["values"] = [1e-6, "null", *("none" for _ in table.trials[2:])]
    opened = open_page(file.as_uri())
    opened.evaluate("(data) => sweepPage.update(data)", mixed)
    for text, row in (("1e-6", 0), ("0.000001", 0), ("NULL", 1)):
        opened.fill("#filter", f"patience = {text}")
        assert shown(opened) == [table.trials[row]]


def test_status_buttons_sorting_and_choosing_rows(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    opened = open_page(file.as_uri())
    status = column(data, "status")
    opened.click(".chip[data-status=pruned]")
    pruned = [t for t in status if status[t] == "pruned"]
    assert shown(opened) == pruned
    opened.click("#ranking thead th[data-name='loss.weights.compactness'] button")
    weight = column(data, "loss.weights.compactness")
    assert shown(opened) == sorted(pruned, key=lambda t: weight[t])  # type: ignore[arg-type, return-value]
    opened.click("#ranking thead th[data-name='loss.weights.compactness'] button")
    assert shown(opened) == sorted(pruned, key=lambda t: -weight[t])  # type: ignore[operator]
    for trial_id in pruned[:2]:
        opened.check(f"input[aria-label='Select {trial_id}']")
    assert shown(opened)[0] in pruned, "rows that are chosen by hand hide no others"
    assert "2 of 60 trials selected" in opened.inner_text("#selection")
    opened.keyboard.press("Escape")
    assert opened.evaluate("sweepPage.page.selection") is None


def test_brush_on_a_figure_selects_in_the_table_and_fades_in_all_others(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, _ = explored
    opened = open_page(file.as_uri(), height=3000)
    draw(opened, "slices", "timeline", "learning-curves")
    drag(opened, "slices")
    opened.wait_for_function("sweepPage.page.selection")
    settled(opened)
    opened.wait_for_function("[...plots.values()].every(({ isUnlinked }) => !isUnlinked)")
    chosen = opened.evaluate("[...sweepPage.page.selection]")
    assert 0 < len(chosen) < 60
    assert sorted(shown(opened)) == sorted(chosen)
    points = opened.evaluate(
        "[...document.querySelectorAll('#figure-timeline .trace')].flatMap((trace) =>"
        " [...trace.querySelectorAll('.points > path')].map((point) =>"
        " [trace.__data__[0].trace.ids[point.__data__.i], point.style.fillOpacity]))"
    )
    bright = {trial_id for trial_id, opacity in points if opacity in ("", "1")}
    assert points
    assert bright <= set(chosen)
    faded = opened.evaluate(
        "[...document.querySelectorAll('#figure-learning-curves .trace')]"
        ".filter((node) => node.style.opacity < 0.5)"
        ".map((node) => node.__data__[0].trace.meta.trial)"
    )
    leaders = set(read_results(file.parent).frame["trial_id"][:5])
    assert set(faded) == leaders - set(chosen)
    opened.keyboard.press("Escape")
    settled(opened)
    assert len(shown(opened)) > len(chosen)


def test_brush_on_a_parallel_axis_selects_the_lines_that_pass_there(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    opened = open_page(file.as_uri())
    draw(opened, "parallel")
    opened.evaluate(
        "Plotly.restyle('figure-parallel', {'dimensions[2].constraintrange': [[0.2, 0.4]]})"
    )
    settled(opened)
    epsilon = column(data, "loss.sqrt_epsilon")
    chosen = opened.evaluate("[...sweepPage.page.selection]")
    assert chosen
    assert {epsilon[one] for one in chosen} == {1e-8}
    assert sorted(shown(opened)) == sorted(chosen)
    opened.locator("#figure-parallel").scroll_into_view_if_needed()
    opened.keyboard.press("Escape")
    opened.wait_for_function(
        "!document.getElementById('figure-parallel').data[0].dimensions[2].constraintrange"
    )
    assert opened.evaluate("sweepPage.page.selection") is None


def test_groups_have_the_mean_of_their_trials_without_pruned_ones(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    opened = open_page(file.as_uri())
    opened.select_option("#group", "loss.sqrt_epsilon")
    rows = opened.eval_on_selector_all(
        "#groups tbody tr", "all => all.map((row) => [...row.cells].map((c) => c.textContent))"
    )
    dice, epsilon = column(data, "val_dice"), column(data, "loss.sqrt_epsilon")
    status = column(data, "status")
    assert [row[0] for row in rows] == ["0", "1e-8", "1e-6", "1e-4"]
    for row, value in zip(rows, (0, 1e-8, 1e-6, 1e-4), strict=True):
        members = [t for t in epsilon if epsilon[t] == value]
        pruned = [t for t in members if status[t] == "pruned"]
        values = [d for t in members if (d := dice[t]) is not None and t not in pruned]
        assert (int(row[1]), int(row[3])) == (len(members), len(pruned))
        assert row[4] == (f"{sum(values) / len(values):.4f}" if values else "–")  # type: ignore[arg-type]
    opened.select_option("#group", "status")
    sizes = opened.eval_on_selector_all(
        "#groups tbody tr",
        "all => all.map(({ cells }) => [cells[0], cells[1]].map((c) => c.textContent))",
    )
    counts = Counter(status_words(Status(one)) for one in status.values())
    assert {name: int(size) for name, size in sizes} == counts


def test_quarters_hold_every_trial_once_and_name_their_best(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    (table,) = data.tables
    newer = json.loads(dumped(data.to_json()))
    (weight,) = (
        c for c in newer["tables"][0]["columns"] if c["name"] == "loss.weights.compactness"
    )
    values = [1.0 if n < 40 else float(n) for n in range(60)]  # two quarters and more are equal
    weight.update(values=values, texts=list(map(str, values)))
    opened = open_page(file.as_uri())
    opened.evaluate("(data) => sweepPage.update(data)", newer)
    opened.select_option("#group", "loss.weights.compactness")
    rows = opened.eval_on_selector_all(
        "#groups tbody tr", "all => all.map((row) => [...row.cells].map((c) => c.textContent))"
    )
    assert [row[:2] for row in rows] == [
        ["1.0", "40"],
        ["40.0 to 44.0", "5"],
        ["45.0 to 59.0", "15"],
    ]
    dice = column(data, "val_dice")
    for row, part in zip(rows, (slice(40), slice(40, 45), slice(45, 60)), strict=True):
        measured = {t: d for t in table.trials[part] if isinstance(d := dice[t], float)}
        best = max(measured, key=lambda t: measured[t], default=None)
        assert row[6:] == (["–", "–"] if best is None else [f"{measured[best]:.4f}", best])


def test_view_of_a_trial_opens_by_its_address_and_closes_by_escape(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    (table,) = data.tables
    first, second = table.trials[:2]
    opened = open_page(f"{file.as_uri()}#trial/{first}")
    view = opened.locator("dialog[open]")
    assert view.locator("h2").inner_text() == first
    told = view.inner_text()
    assert "rank 1" in told
    assert "null" not in told
    assert "undefined" not in told
    assert str(data.trials[first]["command"]) in told
    assert "case 0" in told
    assert view.locator(".figure .main-svg").count() > 0
    opened.keyboard.press("ArrowRight")
    opened.wait_for_function(f"location.hash === '#trial/{second}'")
    opened.keyboard.press("Escape")
    assert opened.locator("dialog[open]").count() == 0
    assert opened.evaluate("location.hash") == ""
    diverged = next(t for t, value in column(data, "status").items() if value == "diverged")
    opened.evaluate(f"location.hash = 'trial/{diverged}'")
    opened.wait_for_selector("dialog[open]")
    told = opened.inner_text("dialog")
    assert "Set loss.sqrt_epsilon to 1e-6." in told
    assert "Try the cure on the step that broke:" in told
    again = f"python -m sweep.train --replay '{file.parent}/trials/{diverged}'"
    assert f"{again} --set loss.sqrt_epsilon=1e-06" in told


def test_whatever_lies_in_the_folder_of_a_trial_is_linked_and_a_picture_shown(
    tmp_path: Path, open_page: OpenPage
) -> None:
    folder = write_sweep(tmp_path / "x", [drawn(0)])
    Image.new("RGB", (7, 5)).save(folder / "trials/t0000/my plot #1.png")
    Path(os.fsdecode(os.fsencode(folder) + b"/trials/t0000/no text \xff.png")).touch()
    results = read_results(folder)
    for name, is_beside in (("report.html", True), ("mailed.html", False)):
        atomic_write_text(folder / name, page(results, is_beside=is_beside))
    opened = open_page(f"{(folder / 'report.html').as_uri()}#trial/t0000")
    picture = opened.locator("dialog img[alt='my plot #1.png']")
    picture.scroll_into_view_if_needed()
    opened.wait_for_function("document.querySelector('dialog .attached img').complete")
    assert picture.evaluate("one => one.naturalWidth") == 7
    link = opened.locator("dialog a", has_text="trial.json").evaluate("one => one.href")
    assert link == (folder / "trials/t0000/trial.json").as_uri()
    alone = open_page(f"{(folder / 'mailed.html').as_uri()}#trial/t0000")
    assert "my plot #1.png" in alone.inner_text("dialog")
    assert alone.locator("dialog .attached, dialog a[href*=json]").count() == 0


def test_two_trials_side_by_side_show_what_differs_and_their_cases(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    (table,) = data.tables
    one, other = table.trials[:2]
    opened = open_page(file.as_uri())
    opened.check(f"input[aria-label='Select {one}']")
    opened.check(f"input[aria-label='Select {other}']")
    opened.click("#selection >> text=Compare")
    opened.wait_for_selector("dialog[open]")
    told = opened.inner_text("dialog")
    first, second = ([row[2] for row in data.trials[t]["cases"]] for t in (one, other))
    better = sum(b > a for a, b in zip(first, second, strict=True))
    assert f"{other} is better on {better} and worse on {CASES - better} of {CASES}" in told
    values = data.trials[one]["parameters"], data.trials[other]["parameters"]
    for name in values[0]:
        is_row = opened.locator("dialog th[scope=row]", has_text=name).count() > 0
        assert is_row == (values[0][name] != values[1][name])


def test_newer_data_leave_sort_filter_selection_and_zoom_as_they_are(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    opened = open_page(file.as_uri(), height=3000)
    draw(opened, "learning-curves")
    opened.fill("#filter", "completed")
    opened.click("#ranking thead th[data-name='epochs'] button")
    zoom = "document.getElementById('figure-learning-curves').layout.xaxis.range.join()"
    whole = opened.evaluate(zoom)
    drag(opened, "learning-curves")
    opened.wait_for_function(f"{zoom} !== '{whole}'")
    zoomed = opened.evaluate(zoom)
    before = shown(opened)
    opened.check(f"input[aria-label='Select {before[1]}']")
    newer = replace(data, state="finished, said anew")
    changed = json.loads(dumped(newer.to_json()))
    changed["unfinished"] = ["t0007"]
    changed["sections"][0]["html"] = "<p class='headline'>Another leads.</p>"
    (curves,) = (one for one in changed["figures"] if one["name"] == "learning-curves")
    curves["figure"]["layout"]["height"] += 1
    opened.evaluate("(data) => sweepPage.update(data)", changed)
    settled(opened)
    assert opened.inner_text("#state") == "finished, said anew"
    assert opened.inner_text("#summary .headline") == "Another leads."
    assert shown(opened) == before
    assert opened.is_checked(f"input[aria-label='Select {before[1]}']")
    assert opened.evaluate(zoom) == zoomed
    assert opened.inner_text(".unfinished") == "Not ranked, 1 unfinished: t0007"


def test_newer_data_leave_the_focus_and_what_is_opened_as_they_are(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    newer = json.loads(dumped(data.to_json()))
    (spec,) = (one for one in newer["sections"] if one["name"] == "spec")
    opened = open_page(file.as_uri())
    opened.click("#spec summary")
    for number, target in enumerate(
        ("#ranking tbody input >> nth=2", "[data-status=pruned]", "nav a >> nth=2")
    ):
        place = opened.locator(target)
        place.focus()
        opened.keyboard.press("Space")
        spec["html"] += "<p>more</p>"
        newer["tables"][0]["columns"][1]["texts"][0] = f"changed {number}"
        opened.evaluate("(data) => sweepPage.update(data)", newer)
        assert place.evaluate("(one) => one === document.activeElement")
    assert opened.locator("#spec pre").is_visible()
    assert opened.locator("#spec .body > p:last-child").inner_text() == "more"


def press_until(opened: Page, key: str, reached: str) -> None:
    """Presses a key until this script is true of the focused element ``one``."""
    for _ in range(120):
        opened.keyboard.press(key)
        if opened.evaluate(f"((one) => {reached})(document.activeElement)"):
            outline = opened.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", "who uses keys sees where they are"
            return
    raise AssertionError(f"{key} never reached: {reached}")


def test_a_link_to_the_page_shows_what_the_reader_has_chosen(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    opened = open_page(file.as_uri())
    epochs, weight = column(data, "epochs"), column(data, "loss.weights.compactness")
    opened.fill("#filter", "epochs >= 10")
    opened.click(".chip[data-status=pruned]")
    opened.click(".chip[data-status=completed]")
    opened.click("#ranking th[data-name=epochs] button")
    opened.focus("#ranking th[data-name='loss.weights.compactness'] button")
    opened.keyboard.press("Shift+Enter")
    opened.click("summary:has-text('Columns')")
    opened.click("[aria-label='Columns of the table'] [title=seconds]")
    opened.select_option("#group", "loss.sqrt_epsilon")
    opened.select_option("#axes [name=x]", "hd95")
    in_order = sorted(
        (t for t in epochs if epochs[t] >= 10),  # type: ignore[operator]
        key=lambda t: (epochs[t], weight[t]),
    )
    assert shown(opened) == in_order[: len(shown(opened))]
    assert len(set(epochs.values())) > 2, "the second column decides only among equals"
    opened.wait_for_function("location.hash.includes('across=hd95')")
    linked = open_page(opened.url)
    assert shown(linked) == shown(opened)
    assert linked.locator("#ranking th[data-name=seconds]").count() == 0
    assert "1 column hidden" in linked.inner_text("#ranking .more")
    hidden = open_page(opened.url.replace("hide=seconds", "hide=epochs"))
    assert "1 column hidden · sorted by epochs ↑ (hidden)" in hidden.inner_text("#ranking .more")
    assert linked.locator(".chip[aria-pressed=true][data-status]").count() == 2
    assert linked.input_value("#group") == "loss.sqrt_epsilon"
    assert linked.input_value("#axes [name=x]") == "hd95"
    linked.click(f"#ranking a[href='#trial/{in_order[0]}']")
    linked.wait_for_selector("dialog[open]")
    linked.keyboard.press("Escape")
    linked.wait_for_selector("dialog", state="hidden")
    # A view that was closed leaves the choices in the address.
    linked.wait_for_function("url => location.href === url", arg=opened.url)


def test_a_link_with_names_that_a_sweep_lacks_shows_the_rest(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    link = (
        "#?filter=nothing>1&status=odd&group=odd&sort=-odd&hide=odd&select=t9999,t0001&across=odd"
    )
    opened = open_page(f"{file.as_uri()}{link}")
    assert "is not a column" in opened.inner_text("#filter-wrong")
    assert shown(opened)[:3] == list(data.tables[0].trials[:3])
    assert "1 of 60 trials selected" in opened.inner_text("#selection")


def test_a_link_to_another_choice_takes_the_place_of_this_one(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    opened = open_page(f"{file.as_uri()}#trial/t9999")
    opened.fill("#filter", "nothing > 1")
    opened.select_option("#axes [name=x]", "hd95")
    opened.wait_for_function(
        "location.hash.includes('across=hd95')"
    )  # there is no such trial to keep
    opened.evaluate("location.hash = '?hide=a%2Cb&hide=seconds&sort=status&sort=-epochs'")
    opened.wait_for_function("document.querySelectorAll('[data-sorted]').length === 2")
    assert opened.input_value("#axes [name=x]") == data.first_axes.names[0]
    assert (opened.input_value("#filter"), opened.inner_text("#filter-wrong")) == ("", "")
    assert "1 column hidden" in opened.inner_text("#ranking .more")
    assert opened.url.endswith("#?sort=status&sort=-epochs&hide=a%2Cb&hide=seconds")


def test_page_that_was_opened_before_the_first_end_draws_what_a_fresh_one_does(
    explored: tuple[Path, PageData], tmp_path: Path, open_page: OpenPage
) -> None:
    begun = tmp_path / "report.html"
    begun.write_text(page(read_results(write_sweep(tmp_path / "x", []))), encoding="utf-8")
    opened = open_page(begun.as_uri())
    opened.evaluate("(data) => sweepPage.update(data)", json.loads(dumped(explored[1].to_json())))
    chosen = opened.eval_on_selector_all("#axes select", "all => all.map(({ value }) => value)")
    across, up = explored[1].first_axes.names
    assert chosen == [up, across, "comparable"]


def test_smoothed_curves_lie_over_the_measured_ones(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    trial_id = data.tables[0].trials[0]
    opened = open_page(f"{file.as_uri()}#trial/{trial_id}")
    opened.fill("dialog [name=smoothing]", "1")
    assert opened.evaluate("document.activeElement.name") == "smoothing"
    drawn = opened.eval_on_selector(
        f"[data-key='{trial_id} value']", "place => place.data.map(({ y }) => [...y])"
    )
    measured = data.trials[trial_id]["curves"]["value"]
    # By hand, over 3 epochs: (4/9 a + 2/3 b + c) / (19/9) in epoch 2.
    a, b, c = measured[:3]
    assert drawn[0] == measured
    assert drawn[1][2] == pytest.approx((4 * a + 6 * b + 9 * c) / 19)
    opened.check("dialog [name=log]")
    kind = "place => place._fullLayout.yaxis.type"
    assert opened.eval_on_selector(f"[data-key='{trial_id} value']", kind) == "log"


def test_how_curves_are_drawn_hides_no_value_and_holds_only_where_it_can_be_chosen(
    tmp_path: Path, open_page: OpenPage
) -> None:
    def hd95(record: TrialRecord) -> TrialRecord:
        """The same trial with HD95 in every second epoch."""
        measured = ({"hd95": 2.0 + e.epoch} if e.epoch % 2 else {} for e in record.history)
        epochs = zip(record.history, measured, strict=True)
        return replace(record, history=tuple(replace(e, metrics=m) for e, m in epochs))

    records = [hd95(trial(0, Status.COMPLETED, [0.5 + n / 100 for n in range(44)]))]
    records.append(trial(1, Status.COMPLETED, [0.5, 0.6, 0.4]))
    file = tmp_path / "report.html"
    file.write_text(page(read_results(write_sweep(tmp_path / "x", records))), encoding="utf-8")
    opened = open_page(f"{file.as_uri()}#trial/t0000")
    opened.click("dialog summary >> text=1 more curve: hd95")
    opened.fill("dialog [name=smoothing]", "3")
    traces = "place => place.data.map(({ mode, connectgaps }) => [mode, Boolean(connectgaps)])"
    sparse = [["lines+markers", False], ["lines", True]]
    assert opened.eval_on_selector("[data-key='t0000 metrics/hd95']", traces) == sparse
    value = "[data-key='t0000 value']"
    opened.eval_on_selector(value, "place => Plotly.relayout(place, {'yaxis.range': [0.7, 0.8]})")
    opened.check("dialog [name=log]")
    low, high = opened.eval_on_selector(value, "place => place._fullLayout.yaxis.range")
    assert low < high < 0, "powers of ten, not the values of the zoom before"
    opened.evaluate("location.hash = 'trial/t0001'")
    short = "[data-key='t0001 value']"
    opened.wait_for_selector(short)
    assert opened.eval_on_selector(short, "place => place.data.map(({ y }) => [...y])") == [
        [0.5, 0.6, 0.4]
    ]
    assert opened.eval_on_selector(short, "place => place._fullLayout.yaxis.type") == "linear"


def test_rows_that_go_and_come_back_within_one_frame_are_drawn(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, _ = explored
    opened = open_page(file.as_uri())
    before = shown(opened)
    # As typed while the page was busy: no trial passes the first, all pass the second.
    opened.evaluate(
        """() => ["epochs < 0", "epochs > 0"].forEach((text) => {
            const box = document.querySelector("#filter");
            box.value = text;
            box.dispatchEvent(new Event("input", { bubbles: true }));
        })"""
    )
    assert shown(opened) == before


def test_keys_alone_filter_sort_choose_compare_and_open_a_trial(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    opened = open_page(file.as_uri())
    keys = opened.keyboard
    keys.press("/")
    keys.type("weights.compactness > 0.01 and weights.compactness < 0.1")  # what a brush would keep
    weight, status = column(data, "loss.weights.compactness"), column(data, "status")
    inside = [t for t in weight if 0.01 < weight[t] < 0.1]  # type: ignore[operator]
    assert shown(opened) == inside
    press_until(opened, "Tab", "one.dataset.status === 'completed'")
    keys.press("Space")
    kept = [t for t in inside if status[t] == "completed"]
    assert shown(opened) == kept
    press_until(opened, "Tab", "one.closest('th')?.dataset.name === 'loss.weights.compactness'")
    keys.press("Enter")
    in_order = sorted(kept, key=lambda t: weight[t])  # type: ignore[arg-type, return-value]
    assert shown(opened) == in_order
    first, second = in_order[:2]
    for trial_id in (first, second):
        press_until(opened, "Tab", f"one.ariaLabel === 'Select {trial_id}'")
        keys.press("Space")
    keys.press("c")
    opened.wait_for_selector("dialog[open]")
    assert set(opened.inner_text("#view-title").split(" and ")) == {first, second}
    press_until(opened, "Tab", "one.closest('a')?.hash === '#trial/" + second + "'")
    keys.press("Enter")
    opened.wait_for_function(f"document.querySelector('#view-title').textContent === '{second}'")
    press_until(opened, "Tab", "one.textContent === 'worse →'")
    keys.press("Escape")
    assert opened.locator("dialog[open]").count() == 0
    keys.press("Escape")
    keys.press("Escape")
    assert opened.locator("#selection").is_hidden()


def test_keys_alone_smooth_curves_choose_axes_and_leave_a_trial_out_of_a_comparison(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    one, other, third = data.tables[0].trials[:3]
    opened = open_page(file.as_uri())
    opened.focus("#learning-curves [name=smoothing]")
    opened.keyboard.press("ArrowRight")
    opened.wait_for_function("curveLook.epochs === 3")
    press_until(opened, "Tab", "one.name === 'way'")
    opened.keyboard.press("ArrowDown")
    opened.wait_for_function("curveLook.way === 'Gaussian'")
    press_until(opened, "Tab", "one.name === 'log'")
    opened.focus("#axes [name=y]")
    for name in ("x", "colour", "map"):
        press_until(opened, "Tab", f"one.name === '{name}'")
    opened.keyboard.press("Space")
    opened.wait_for_function("!axes.isMap")
    press_until(opened, "Tab", "one.textContent === 'Copy as Python'")
    opened.keyboard.press("Enter")
    opened.wait_for_function("document.activeElement.textContent.startsWith('Copied')")
    opened.evaluate(f"location.hash = 'compare/{one}/{other}/{third}'")
    opened.wait_for_selector("dialog[open]")
    press_until(opened, "Tab", f"one.getAttribute('aria-label') === 'Leave {one} out'")
    opened.keyboard.press("Enter")
    opened.wait_for_function(f"location.hash === '#compare/{other}/{third}'")
    press_until(opened, "Tab", "one.getAttribute('aria-label') === 'One more trial'")


def test_axis_whose_frame_falls_away_with_newer_data_shows_all_of_them(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    opened = open_page(file.as_uri())
    opened.locator("#learning-curves").scroll_into_view_if_needed()
    curves = "document.querySelector('#learning-curves .js-plotly-plot')"
    opened.wait_for_function(f"{curves}?._fullLayout")
    for place, frame in enumerate([[0.0, 0.125], None]):
        newer = json.loads(dumped(data.to_json()))
        (one,) = [one for one in newer["figures"] if one["name"] == "learning-curves"]
        one["figure"]["layout"]["title"] = {"text": f"newer {place}"}
        one["figure"]["layout"]["yaxis"]["range"] = frame
        opened.evaluate("(data) => sweepPage.update(data)", newer)
        opened.wait_for_function(f"{curves}.layout.title?.text === 'newer {place}'")
        low, high = opened.evaluate(f"{curves}._fullLayout.yaxis.range")
        assert (low, high) == (0, 0.125) if frame else 0.125 < high < 1.1


def test_headings_break_between_words_only_and_have_room_for_the_mark_of_their_order(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    wide = json.loads(dumped(data.to_json()))
    for title, one in zip(
        ("momentum", "mmmmmmmm", "WWWW"), wide["tables"][0]["columns"][-3:], strict=True
    ):
        one["title"] = title
    opened = open_page(file.as_uri())
    opened.evaluate("(data) => sweepPage.update(data)", wide)
    for head in opened.locator("#ranking thead th[data-name] button").all()[-3:]:
        height = head.evaluate("(one) => one.offsetHeight")
        head.click()
        assert head.evaluate("(one) => one.offsetHeight") == height
        lines = "Math.round((one.offsetHeight - 12) / parseFloat(getComputedStyle(one).lineHeight))"
        assert head.evaluate(f"(one) => {lines}") == 1


def test_mean_of_a_selection_leaves_pruned_trials_out_and_says_so(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    opened = open_page(file.as_uri())
    dice, status = column(data, "val_dice"), column(data, "status")
    opened.fill("#filter", "epochs > 0")
    whole = [d for t in dice if isinstance(d := dice[t], float) and status[t] != "pruned"]
    told = opened.inner_text("#selection")
    assert f"Dice {sum(whole) / len(whole):.4f} ±" in told
    assert f"over the {len(whole)} with a result that were not pruned" in told
    opened.fill("#filter", "completed")
    assert "not pruned" not in opened.inner_text("#selection")


def test_every_curve_that_is_not_chosen_fades_also_where_many_share_a_trace(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    (table,) = data.tables
    opened = open_page(file.as_uri())
    draw(opened, "learning-curves")
    opened.check(f"input[aria-label='Select {table.trials[0]}']")
    settled(opened)
    opened.wait_for_function("[...plots.values()].every(({ isUnlinked }) => !isUnlinked)")
    lines = opened.evaluate(
        "[...document.querySelectorAll('#figure-learning-curves .trace')]"
        ".map((trace) => [...trace.querySelectorAll('.js-line:not(.kept)')]"
        ".map((one) => one.style.opacity))"
    )
    (many,) = (trace for trace in lines if len(trace) > 20)
    assert set(many) == {"0.12"}


def test_figures_of_the_page_mark_each_status_as_those_of_the_report(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, _ = explored
    opened = open_page(f"{file.as_uri()}#?up=epochs")
    draw(opened, "axes")
    marked = opened.evaluate(
        "document.getElementById('figure-axes').data"
        ".map(({ name, marker }) => [name, marker.color, marker.symbol])"
    )
    looks = {status_words(kind): (look.color, look.symbol) for kind, look in LOOKS.items()}
    assert len(marked) > 2
    assert {name: (color, symbol) for name, color, symbol in marked}.items() <= looks.items()


def test_figures_of_a_view_end_with_it(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, _ = explored
    opened = open_page(f"{file.as_uri()}#trial/t0003")
    opened.evaluate("window.before = document.querySelector('dialog .js-plotly-plot')")
    assert opened.evaluate("Boolean(before._fullLayout)")
    opened.evaluate("location.hash = 'trial/t0004'")
    opened.wait_for_function("!before._fullLayout")
    opened.evaluate("location.hash = 'trial/constructor'")  # what every object has is no trial
    opened.wait_for_selector("dialog[open]", state="detached")


def test_open_view_of_a_trial_follows_newer_data(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    opened = open_page(f"{file.as_uri()}#trial/t0003")
    assert "one more epoch" not in opened.inner_text("dialog")
    newer = json.loads(dumped(data.to_json()))
    newer["trials"]["t0003"]["warnings"] = ["one more epoch"]
    opened.evaluate("(data) => sweepPage.update(data)", newer)
    assert "one more epoch" in opened.inner_text("dialog")


def test_open_view_keeps_its_zoom_and_what_is_opened_when_newer_data_come(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    opened = open_page(f"{file.as_uri()}#trial/t0003")
    assert opened.locator("dialog .figure").count() == 1
    opened.click("dialog summary >> text=2 more curves: loss term dice; hd95")
    opened.wait_for_function("document.querySelectorAll('dialog .js-plotly-plot').length === 3")
    zoomed = (
        "[...document.querySelectorAll('dialog .js-plotly-plot')]"
        ".map((one) => one.layout.xaxis.range)"
    )
    for place in (0, 2):
        opened.evaluate(
            "(n) => Plotly.relayout(document.querySelectorAll('dialog .figure')[n], "
            "{ 'xaxis.range': [1, 3] })",
            place,
        )
    newer = json.loads(dumped(data.to_json()))
    newer["trials"]["t0003"]["curves"]["value"][-1] = 0.123
    opened.evaluate("(data) => sweepPage.update(data)", newer)
    last = "document.querySelector('dialog .figure').data[0].y.at(-1)"
    assert opened.evaluate(last) == 0.123
    first, second, third = opened.evaluate(zoomed)
    assert (first, third) == ([1, 3], [1, 3])
    assert second != [1, 3]


def test_every_control_has_a_name_for_screen_readers(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    (table,) = data.tables
    opened = open_page(file.as_uri())
    opened.select_option("#group", "loss.sqrt_epsilon")
    roles = "button|link|checkbox|combobox|textbox|searchbox|slider|dialog|region|table"
    told = []
    for view in ("", f"#trial/{table.trials[0]}", f"#compare/{'/'.join(table.trials[:2])}"):
        opened.evaluate("(view) => { location.hash = view; }", view)
        if view:
            opened.wait_for_selector("dialog[open]")
        told.append(opened.locator("body").aria_snapshot())
        nameless = re.findall(rf"^\s*- (?:{roles})(?=:|$| \[).*", told[-1], re.MULTILINE)
        assert nameless == []
    assert '- combobox "Filter"' in told[0]
    assert '- img "Learning curves"' in told[0]
    assert '- button "Close"' in told[1]
    assert f"{table.trials[0]} and {table.trials[1]}" in told[2]


def test_figures_and_table_are_as_wide_as_paper_in_print_and_as_the_window_afterwards(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    opened = open_page(explored[0].as_uri())
    draw(opened, "learning-curves", "axes")
    widths = """() => {
      const all = [...document.querySelectorAll(".figure .main-svg:first-child")];
      return Object.fromEntries(
        all.map((one) => [one.closest("section").id, one.width.baseVal.value]));
    }"""
    before = opened.evaluate(widths)
    opened.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    opened.emulate_media(media="print")
    printed = opened.evaluate(widths)
    assert len(printed) > len(before)
    assert max(printed.values()) <= A4 < max(before.values())
    opened.set_viewport_size({"width": A4, "height": 900})
    assert opened.evaluate("document.documentElement.scrollWidth") == A4
    opened.set_viewport_size({"width": 1440, "height": 900})
    opened.emulate_media(media="screen")
    opened.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert opened.evaluate(widths).items() >= before.items()


def test_colours_are_those_that_the_reader_chose_also_on_the_next_page_but_not_on_paper(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, _ = explored
    opened = open_page(file.as_uri())
    draw(opened, "learning-curves")
    opened.locator("#learning-curves").scroll_into_view_if_needed()
    ink = "document.querySelector('#figure-learning-curves .xtick text').style.fill"
    paper = "getComputedStyle(document.body).backgroundColor"
    light = opened.evaluate(ink), opened.evaluate(paper)
    opened.get_by_label("Colours").select_option("dark")
    opened.wait_for_function(f"{ink} !== '{light[0]}'")
    dark = opened.evaluate(ink), opened.evaluate(paper)
    assert dark[1] == "rgb(20, 25, 30)"
    opened.emulate_media(media="print")
    assert opened.evaluate(paper) == "rgb(255, 255, 255)"
    assert opened.evaluate("isDark()") is False
    opened.emulate_media(media="screen")
    opened.reload()
    assert opened.get_by_label("Colours").input_value() == "dark"
    assert opened.evaluate(paper) == dark[1]
    opened.emulate_media(color_scheme="dark")
    opened.get_by_label("Colours").select_option("light")
    assert opened.evaluate(paper) == light[1]
    opened.get_by_label("Colours").select_option("as the system")
    assert opened.evaluate(paper) == dark[1]


@pytest.mark.parametrize("width", [390, 1240])
def test_names_of_many_parallel_axes_lie_beside_each_other(
    width: int, tmp_path: Path, open_page: OpenPage
) -> None:
    whole = ["loss.rampup_epochs", "loss.warmup_epochs", "trainer.batch_size"]
    real = [f"loss.weights.{term}" for term in ("compactness", "boundary", "aspect")]
    real += [f"optimizer.{name}" for name in ("lr", "momentum", "weight_decay")]
    ranges = dict.fromkeys(whole, "{{randint: [1, 9]}}")
    ranges |= dict.fromkeys([*real, "loss.sqrt_epsilon"], "{{uniform: [0.0, 1.0]}}")
    yaml = "name: wide\ntrials: {trials}\ntrainer: {{epochs: {epochs}}}\nspace:\n"
    yaml += "".join(f"  {name}: {text}\n" for name, text in ranges.items())
    rng = Random(0)
    records = []
    for n in range(24):
        values = {k: rng.randint(1, 8) if "int" in v else rng.random() for k, v in ranges.items()}
        records.append(trial(n, Status.COMPLETED, [rng.random()] * 20, values))
    folder = write_sweep(tmp_path / "x", records, yaml=yaml)
    file = tmp_path / "report.html"
    file.write_text(page(read_results(folder)), encoding="utf-8")
    opened = open_page(file.as_uri(), width)
    draw(opened, "parallel")
    ends = "all => all.map((e) => e.getBoundingClientRect()).map(({left, right}) => [left, right])"
    places = opened.eval_on_selector_all("#figure-parallel .axis-title", ends)
    assert len(places) == len(ranges) + 1
    assert all(right < left for (_, right), (left, _) in pairwise(places))


def test_any_two_columns_can_be_drawn_against_each_other_and_brushed(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    opened = open_page(f"{file.as_uri()}#?colour=status", height=3000)
    opened.get_by_label("Column up").select_option("epochs")
    across = opened.get_by_label("Column across")
    across.focus()
    across.select_option("loss.weights.compactness")
    assert opened.evaluate("document.activeElement.name") == "x"  # the next arrow key chooses too
    draw(opened, "axes")
    points = opened.evaluate(
        "Object.fromEntries(document.getElementById('figure-axes').data"
        ".flatMap(({ ids, x, y }) => ids.map((id, n) => [id, [x[n], y[n]]])))"
    )
    weight, epochs = column(data, "loss.weights.compactness"), column(data, "epochs")
    assert points == {t: [weight[t], epochs[t]] for t in weight}
    axes = "document.getElementById('figure-axes').layout"
    assert opened.evaluate(f"[{axes}.xaxis.type, {axes}.yaxis.type]") == ["log", "linear"]
    labels = opened.locator("#axes .xaxislayer-above .xtick text").all_text_contents()
    assert len(labels) > 1
    assert all(math.log10(float(text.replace("−", "-"))).is_integer() for text in labels)
    drag(opened, "axes")
    opened.wait_for_function("sweepPage.page.selection")
    chosen = opened.evaluate("[...sweepPage.page.selection]")
    assert sorted(shown(opened)) == sorted(chosen)


def test_over_the_numbers_of_trials_a_line_follows_the_best_so_far(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    opened = open_page(f"{file.as_uri()}#?across=number")
    draw(opened, "axes")
    [line] = opened.evaluate(
        "document.getElementById('figure-axes').data.filter(({ name }) => name === 'best so far')"
        ".map(({ x, y }) => x.map((number, n) => [number, y[n]]))"
    )
    dice = column(data, "val_dice")
    known: list[tuple[int, float]] = sorted(
        (data.trials[t]["number"], value)
        for t, value in dice.items()
        if data.trials[t]["has_result"]
    )
    best = accumulate((value for _, value in known), max)
    wanted = [[number, value] for (number, _), value in zip(known, best, strict=True)]
    assert line == wanted
    dated = json.loads(dumped(data.to_json()))
    for one in dated["trials"].values():  # the later the number, the earlier the start
        one["runs"] = [{"started": f"2026-11-29 10:{59 - one['number'] % 60:02}:00"}]
    opened.evaluate("(data) => sweepPage.update(data)", dated)
    opened.get_by_label("Column across").select_option("started")
    draw(opened, "axes")
    assert opened.evaluate("document.getElementById('figure-axes').layout.xaxis.type") == "date"
    [ends] = opened.evaluate(
        "document.getElementById('figure-axes').data.filter(({ name }) => name === 'best so far')"
        ".map(({ x, y }) => [x[0], x.at(-1), y.at(-1)])"
    )
    assert ends == [
        f"2026-11-29 10:{59 - known[-1][0]:02}:00",
        f"2026-11-29 10:{59 - known[0][0]:02}:00",
        wanted[-1][1],
    ]
    opened.get_by_label("Column up").select_option("epochs")
    draw(opened, "axes")
    names = opened.evaluate("document.getElementById('figure-axes').data.map(({ name }) => name)")
    assert "best so far" not in names


def test_a_third_column_is_the_colour_by_its_rank(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    opened = open_page(f"{file.as_uri()}#?across=loss.warmup_epochs")
    draw(opened, "axes")
    opened.get_by_label("Colour by").select_option("epochs")
    opened.wait_for_function("location.hash.includes('colour=epochs')")
    draw(opened, "axes")
    places = opened.evaluate(
        "Object.fromEntries(document.getElementById('figure-axes').data.filter(({ ids }) => ids)"
        ".flatMap(({ ids, marker }) => ids.map((id, n) => [id, marker.color[n]])))"
    )
    epochs = column(data, "epochs")
    ranks = rankdata([epochs[trial_id] for trial_id in places])
    assert [*places.values()] == pytest.approx((ranks - 1) / (len(ranks) - 1))
    ticks = opened.evaluate(
        "document.getElementById('figure-axes').layout.coloraxis.colorbar.ticktext.map(Number)"
    )
    assert ticks == sorted(ticks)
    assert {*ticks} <= {*epochs.values()}
    legend = opened.evaluate(
        "document.getElementById('figure-axes').data.filter(({ ids }) => !ids)"
        ".map(({ marker }) => marker.color)"
    )
    assert len(legend) > len({*legend}) == 1  # no colour of the legend is one of the scale


def test_a_map_of_two_settings_is_a_kernel_mean_within_the_hull_of_the_trials_that_are_kept(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    weight, epochs = column(data, "loss.weights.compactness"), column(data, "loss.warmup_epochs")
    dice, status = column(data, "val_dice"), column(data, "status")
    link = "#?across=loss.weights.compactness&up=loss.warmup_epochs&colour=val_dice"
    opened = open_page(f"{file.as_uri()}{link}")
    shown_map = "document.getElementById('figure-axes').data.find(({ type }) => type === 'contour')"
    for statuses in (("completed", "pruned"), ("completed",)):
        if len(statuses) == 1:
            opened.click(".chip[data-status=completed]")
            opened.wait_for_selector("#axes .finding:has-text('that the filter keeps')")
        draw(opened, "axes")
        ids = [t for t in dice if dice[t] is not None and status[t] in statuses]
        assert opened.inner_text("#axes .finding").startswith(f"{len(ids)} trials ")
        x, y, z = opened.evaluate(f"(({{ x, y, z }}) => [x, y, z])({shown_map})")
        points = np.array([[math.log10(weight[t]), epochs[t]] for t in ids])  # type: ignore[arg-type]
        low, span = points.min(axis=0), np.ptp(points, axis=0)
        own, values = (points - low) / span, np.array([dice[t] for t in ids])
        places = np.array([[math.log10(across), up] for up in y for across in x])
        places = (places - low) / span
        distances = ((places[:, None] - own[None]) / BANDWIDTH) ** 2
        near = np.exp(-0.5 * distances.sum(axis=2))  # [places, trials]
        faces = ConvexHull(own).equations
        outside = (places @ faces[:, :2].T + faces[:, 2]).max(axis=1)
        known = (outside <= 0) & (near.sum(axis=1) >= LEAST_WEIGHT)
        sure = abs(outside) > 1e-6  # an edge is in or out by rounding
        found = np.array([np.nan if one is None else one for row in z for one in row])
        assert (np.isfinite(found) == known)[sure].all()
        told = known & sure
        assert found[told] == pytest.approx((near @ values / near.sum(axis=1))[told])
        assert 0 < told.sum() < sure.sum()
    opened.uncheck("#axes [name=map]")
    opened.wait_for_function("location.hash.includes('map=off')")
    assert opened.evaluate(f"{shown_map} === undefined")
    opened.check("#axes [name=map]")
    opened.click(".chip[data-status=completed]")
    opened.select_option("#axes [name=y]", "loss.sqrt_epsilon")
    draw(opened, "axes")
    listed = "document.getElementById('figure-axes').data.find(({ type }) => type === 'heatmap')"
    rows = opened.evaluate(f"{listed}.y.map((text, row) => [text, {listed}.z[row]])")
    assert [text for text, _ in rows] == ["0", "1e-8", "1e-6", "1e-4"]
    assert not any(rows[0][1]), "all diverged there, so nothing is drawn"
    assert all(any(z) for _, z in rows[1:])


def test_reader_s_own_figure_begins_with_a_map_of_the_settings_that_matter_most(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    opened = open_page(file.as_uri())
    draw(opened, "axes")
    assert data.first_axes.names[0] == "loss.weights.compactness"  # what `drawn` makes Dice from
    assert data.first_axes.order in opened.inner_text("#axes .reading")
    assert data.first_axes.about in opened.inner_text("#axes .reading")
    points = opened.evaluate(
        "Object.fromEntries(document.getElementById('figure-axes').data.filter(({ ids }) => ids)"
        ".flatMap(({ ids, marker }) => ids.map((id, n) => [id, marker.color[n]])))"
    )
    assert points == data.first_axes.values
    whole = [t for t, value in column(data, "status").items() if value == "completed"]
    assert {t: points[t] for t in whole} != {t: column(data, "val_dice")[t] for t in whole}
    opened.get_by_label("Colour by").select_option("status")
    draw(opened, "axes")
    shown_axes = "[...document.querySelectorAll('#axes select')].map(({ value }) => value)"
    assert opened.evaluate(shown_axes) == [*reversed(data.first_axes.names), "status"]


@pytest.mark.parametrize(
    "columns",
    [
        ("loss.weights.compactness", "val_dice", "loss.sqrt_epsilon"),
        ("terms/dice", "number", "comparable"),
        ("loss.warmup_epochs", "metrics/hd95", "status"),
    ],
)
def test_own_figure_as_a_program_draws_the_same_points_also_into_the_page(
    columns: tuple[str, str, str], explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, _ = explored
    link = "#?" + urlencode(dict(zip(("across", "up", "colour"), columns, strict=True)))
    opened = open_page(f"{file.as_uri()}{link}&filter=epochs+%3E+5&map=off")
    draw(opened, "axes")
    drawn_points = (
        "name => Object.fromEntries(document.getElementById(name).data.filter(({ ids }) => ids)"
        ".flatMap(({ ids, x, y }) => ids.map((id, n) => [id, [x[n], y[n]]])))"
    )
    points = opened.evaluate(drawn_points, "figure-axes")
    kept = set(opened.evaluate("[...page.kept]"))
    opened.click("#axes >> text=Copy as Python")
    text = opened.evaluate("navigator.clipboard.readText()")
    program: dict[str, Any] = {"__name__": "own"}
    exec(text, program)
    figure = program["own_figure"](sweep.open(file.parent))
    found = {
        one: [x, y]
        for trace in figure.data
        for one, x, y in zip(trace.hovertext, trace.x, trace.y, strict=True)
    }
    assert found.keys() == kept
    assert 0 < len(kept) < 60
    for trial_id in kept & points.keys():
        assert found[trial_id] == pytest.approx(points[trial_id], rel=1e-4)
    types = opened.evaluate(
        "(({ xaxis, yaxis }) => [xaxis.type, yaxis.type])(plots.get('axes').figure.layout)"
    )
    assert [figure.layout.xaxis.type or "linear", figure.layout.yaxis.type or "linear"] == types
    html = sweep.open(file.parent).page(figures=[program["own_figure"]]).html
    (file.parent / "with figure.html").write_text(html, encoding="utf-8")
    shown_page = open_page((file.parent / "with figure.html").as_uri())
    draw(shown_page, "own-0")
    linked = shown_page.evaluate("plots.get('own-0').figure.data.flatMap(({ ids }) => ids)")
    assert set(linked) == kept
    assert " over " in shown_page.inner_text("#own-0 h2")


def test_columns_are_moved_by_mouse_and_by_keys_and_stay_so_in_newer_data_and_in_a_link(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    opened = open_page(file.as_uri(), 700)
    heads = "all => all.map((head) => head.dataset.name)"
    natural = opened.eval_on_selector_all("#ranking th[data-name]", heads)
    assert natural[:2] == ["rank", "trial_id"]
    box = "#ranking th[data-name='{}'] button"
    opened.focus(box.format("epochs"))
    opened.keyboard.press("Shift+ArrowLeft")
    at = natural.index("epochs")
    swapped = [*natural[: at - 1], "epochs", natural[at - 1], *natural[at + 1 :]]
    assert opened.eval_on_selector_all("#ranking th[data-name]", heads) == swapped
    assert opened.evaluate("document.activeElement.dataset.name") == "epochs"
    assert f"epochs is column {at} of {len(natural)}." in opened.locator("#ranking").aria_snapshot()
    opened.locator("#ranking").scroll_into_view_if_needed()
    grip, aim = (opened.locator(box.format(n)).bounding_box() for n in ("val_dice", "trial_id"))
    assert grip is not None
    assert aim is not None
    opened.mouse.move(grip["x"] + 9, grip["y"] + 9)
    opened.mouse.down()
    opened.mouse.move(aim["x"] + 20, aim["y"] + 9, steps=3)
    opened.mouse.move(aim["x"] + 3, aim["y"] + 9)
    opened.mouse.up()
    order = ["rank", "val_dice", *(n for n in swapped if n not in ("rank", "val_dice"))]
    assert opened.eval_on_selector_all("#ranking th[data-name]", heads) == order
    assert opened.locator("#ranking [data-sorted]").count() == 0, "a drag is no click"
    newer = json.loads(dumped(data.to_json()))
    columns = newer["tables"][0]["columns"]
    place = next(n for n, one in enumerate(columns) if one["name"] == "epochs")
    columns.insert(place + 1, columns[place] | {"name": "new", "title": "new"})
    opened.evaluate("(data) => sweepPage.update(data)", newer)
    longer = [*order]
    longer.insert(longer.index("epochs") + 1, "new")
    assert opened.eval_on_selector_all("#ranking th[data-name]", heads) == longer
    opened.wait_for_function("location.hash.includes('column=')")
    linked = open_page(opened.url, 700)
    assert linked.eval_on_selector_all("#ranking th[data-name]", heads) == order
    cells = linked.locator("#ranking tbody tr[data-id] >> nth=0 >> td, th").all_inner_texts()
    assert cells[2] == data.tables[0].columns[natural.index("val_dice")].texts[0]
    linked.locator(".grid").evaluate("grid => { grid.scrollLeft = 400; }")
    left = "one => one.getBoundingClientRect().left"
    assert 0 < linked.locator("#ranking td.frozen >> nth=2").evaluate(left) < 160, "pinned"
    linked.click("summary:has-text('Columns')")
    linked.click("text=Order as before")
    assert linked.eval_on_selector_all("#ranking th[data-name]", heads) == natural
    linked.wait_for_function("!location.hash.includes('column=')")


def test_all_curves_are_smoothed_each_from_its_own_first_epoch_and_hovering_tells_what_was_measured(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    opened = open_page(f"{file.as_uri()}#?smooth=0.5")
    draw(opened, "learning-curves")
    traces = opened.evaluate(
        "document.getElementById('figure-learning-curves').data"
        ".map(({ name, y, ids, customdata, hovertemplate, opacity }) =>"
        " ({ name, y, ids, customdata, hovertemplate, opacity }))"
    )
    (others,) = (one for one in traces if one["name"] == "others")
    curves: dict[str, list[float]] = {}
    for trial_id, value in zip(others["ids"], others["y"], strict=True):
        curves.setdefault(trial_id, []).extend([] if value is None else [value])
    assert len(curves) > 20
    for trial_id, drawn_ones in curves.items():
        a, b, *_ = (v for v in data.trials[trial_id]["curves"]["value"] if v is not None)
        # By hand: the first is itself, then (0.5 a + b) / 1.5.
        assert drawn_ones[:2] == pytest.approx([a, (0.5 * a + b) / 1.5], abs=1e-4)
    leader = data.tables[0].trials[0]
    smooth, measured = (one for one in traces if one["name"] == f"1. {leader}")
    assert (smooth["opacity"], measured["opacity"]) == (None, 0.3)
    assert smooth["customdata"] == measured["y"] != smooth["y"]
    assert "%{customdata" in smooth["hovertemplate"]
    slider = opened.locator("#learning-curves [name=smoothing]")
    slider.fill("2")
    told = ("over 5 epochs", "2")
    assert (slider.get_attribute("aria-valuetext"), slider.input_value()) == told
    opened.evaluate("(data) => sweepPage.update(data)", json.loads(dumped(data.to_json())))
    assert (slider.get_attribute("aria-valuetext"), slider.input_value()) == told
    opened.check("#learning-curves [name=log]")
    slider.fill("0")
    draw(opened, "learning-curves")
    place = "document.getElementById('figure-learning-curves')"
    assert opened.evaluate(f"{place}.layout.yaxis.type") == "log"
    assert opened.evaluate(f"{place}.data.length") == len(traces) - 5
    opened.wait_for_function("location.hash === '#?log=1'")


def test_each_way_of_smoothing_is_a_mean_over_as_many_epochs_where_not_all_were_measured(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    opened = open_page(explored[0].as_uri())
    rng = Random(0)
    values = [None if n % 7 == 3 else rng.random() for n in range(40)]
    measured = pd.Series(values, dtype=float)
    lags = np.subtract.outer(np.arange(40), np.arange(40))
    bell = np.exp(-math.pi * (lags / 9) ** 2) * measured.notna().to_numpy()
    assert np.exp(-math.pi * (np.arange(-90, 91) / 9) ** 2).sum() == pytest.approx(9)
    wanted = {
        # An epoch that was not measured is no reason to weigh those before it more.
        "exponential": measured.ewm(alpha=1 / 9, ignore_na=False).mean(),
        "Gaussian": bell @ measured.fillna(0) / bell.sum(axis=1),
        "running mean": measured.rolling(9, center=True, min_periods=1).mean(),
    }
    for way, means in wanted.items():
        opened.evaluate(f"location.hash = '?smooth=9&way={way}'")
        opened.wait_for_function("way => curveLook.way === way", arg=way)
        found = opened.evaluate("values => smoothed(values)", values)
        assert [n for n, one in enumerate(found) if one is None] == list(range(3, 40, 7))
        there = measured.notna().to_numpy()
        assert [v for v in found if v is not None] == pytest.approx([*means[there]], abs=1e-5)
    assert opened.input_value("#learning-curves [name=way]") == "running mean"


def test_an_axis_of_statuses_has_the_words_of_the_table(
    open_page: OpenPage, tmp_path: Path
) -> None:
    ended = (Status.EARLY_STOPPED, Status.COMPLETED)
    records = [trial(n, one, [0.5, 0.6], dict(drawn(n).parameters)) for n, one in enumerate(ended)]
    file = tmp_path / "report.html"
    file.write_text(page(read_results(write_sweep(tmp_path / "x", records))), encoding="utf-8")
    opened = open_page(f"{file.as_uri()}#?up=status")
    draw(opened, "axes")
    words = opened.evaluate("document.getElementById('figure-axes').data.flatMap(({ y }) => y)")
    assert sorted(words) == ["completed", "early-stopped"]


def test_more_than_two_trials_are_compared_and_each_can_be_left_out(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    (table,) = data.tables
    one, other, third, fourth = table.trials[:4]
    opened = open_page(file.as_uri())
    for trial_id in (one, other, third):
        opened.check(f"input[aria-label='Select {trial_id}']")
    opened.click("#selection >> text=Compare")
    assert opened.inner_text("#view-title") == f"{one}, {other} and {third}"
    heads = opened.locator("dialog table >> nth=0 >> thead th")
    assert heads.all_inner_texts() == ["trial", one, other, third]
    traces = "document.querySelector('dialog .figure').data.map(({ name }) => name)"
    assert opened.evaluate(traces) == [one, other, third]
    opened.select_option("select[aria-label='One more trial']", fourth)
    opened.wait_for_function(f"location.hash.endsWith('/{third}/{fourth}')")
    opened.click(f"dialog [aria-label='Leave {one} out']")
    opened.wait_for_function(f"location.hash === '#compare/{other}/{third}/{fourth}'")
    assert heads.all_inner_texts() == ["trial", other, third, fourth]
    opened.evaluate(f"location.hash = 'compare/{one}/{one}'")  # one trial, named twice
    opened.wait_for_function("!document.querySelector('dialog').open")


def test_any_number_of_trials_is_compared_and_pointing_at_a_name_shows_its_curves_alone(
    explored: tuple[Path, PageData], open_page: OpenPage
) -> None:
    file, data = explored
    (table,) = data.tables
    opened = open_page(file.as_uri())
    opened.check("input[aria-label='Select all rows']")
    opened.keyboard.press("c")
    opened.wait_for_selector("dialog[open]")
    assert opened.inner_text("#view-title") == "60 trials"
    assert opened.locator("dialog .key li").count() == len(table.trials) == 60
    assert opened.locator("dialog table >> nth=0 >> thead th").count() == 61
    looks = (
        "document.querySelector('dialog .figure').data.map(({ line }) => [line.color, line.dash])"
    )
    assert len({*map(tuple, opened.evaluate(looks))}) == 36
    opened.click("dialog summary")
    third = table.trials[2]
    opened.focus(f"dialog .key a[href='#trial/{third}']")
    bright = opened.evaluate(
        "[...document.querySelectorAll('dialog .panels .trace')]"
        ".filter((node) => node.style.opacity > 0.5).map((node) => node.__data__[0].trace.name)"
    )
    assert set(bright) == {third}
    assert len(bright) > 1, "in every figure"
    opened.focus("#view-title")
    faint = "[...document.querySelectorAll('dialog .trace')].filter((n) => n.style.opacity < 0.5)"
    assert opened.evaluate(f"{faint}.length") == 0


def test_table_draws_only_the_rows_in_view_and_keeps_its_first_columns(
    tmp_path: Path, open_page: OpenPage
) -> None:
    folder = write_sweep(tmp_path / "many", (drawn(n, 3) for n in range(300)))
    file = tmp_path / "report.html"
    results = read_results(folder)
    file.write_text(page(results), encoding="utf-8")
    opened = open_page(file.as_uri(), 600, 800)
    assert len(shown(opened)) < 60
    grid = opened.locator(".grid")
    assert "more columns to the right" in opened.inner_text(".more")
    grid.evaluate("grid => { grid.scrollTop = grid.scrollHeight; grid.scrollLeft = 200; }")
    last = list(results.frame["trial_id"])[-1]
    opened.wait_for_selector(f"tr[data-id='{last}']")
    left = "([one]) => one.getBoundingClientRect().left"
    frozen = opened.eval_on_selector_all(f"tr[data-id='{last}'] th", left)
    assert 0 < frozen < 160


@pytest.mark.parametrize(
    ("kind", "schemes"),
    [
        ("none", ("light", "dark")),
        ("one", ("dark", "light")),
        ("diverged", ("light", "dark")),
        ("running", ("dark", "light")),
    ],
)
def test_every_state_of_a_sweep_is_a_page_without_an_error_also_when_the_colours_change(
    kind: str, schemes: tuple[Scheme, ...], tmp_path: Path, open_page: OpenPage
) -> None:
    records = {
        "none": [],
        "one": [drawn(1)],
        "diverged": [d for n in range(40) if (d := drawn(n)).outcome and d.outcome.cause],
        "running": [trial(n, None, [0.4, 0.5], dict(drawn(n).parameters)) for n in range(3)],
    }[kind]
    file = tmp_path / "report.html"
    file.write_text(page(read_results(write_sweep(tmp_path / "x", records))), encoding="utf-8")
    opened = open_page("about:blank", 390, 844)
    opened.emulate_media(color_scheme=schemes[0])
    opened.goto(file.as_uri())
    for scheme in schemes:
        opened.emulate_media(color_scheme=scheme)
        opened.evaluate("sweepPage.drawAll()")
        width = opened.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, "the page itself never scrolls sideways"
        assert opened.evaluate("document.body.dataset.ready") == "true"
