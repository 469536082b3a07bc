"""The live page in a real browser, before a real server."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, Route
from scripted import waiting_sweep
from synthetic import drawn, epoch_of, trial, write_sweep
from visitor import TOKEN, served

import sweep
from sweep.machine.codebase import PACKAGE
from sweep.page_server import live_sweep
from sweep.page_server.sweep_list import SweepList
from sweep.store.files import atomic_write_text, to_json
from sweep.store.layout import Layout
from sweep.store.lock import lock_results
from sweep.vocabulary.record import Status

OpenPage = Callable[..., Page]
FIGURE = "document.querySelector('#learning-curves .js-plotly-plot')"
WHOLE = """() => sweepPage.page.data.figures.find(({ name }) => name === "learning-curves")
    .figure.layout.xaxis.range"""
READY = "document.body.dataset.ready === 'true'"


@pytest.fixture(autouse=True)
def _as_often_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a reading takes, the next one may follow at once."""
    monkeypatch.setattr(live_sweep, "SHARE", 1.0)


SORTED = """heads => heads.map((head) => [head.textContent, head.getAttribute("aria-sort")])"""


@contextmanager
def visited(sweeps: SweepList, **options: bool) -> Iterator[str]:
    """The address of a server that has read its sweeps: the browser has to wait for none.

    A page must be closed before it: one that finds no server says so on its console.
    """
    with served(sweeps, **options) as visit:
        visit.enter()
        for name in sweeps.names():
            assert visit(f"/sweeps/{name}/data").status == 200
        yield f"http://127.0.0.1:{visit.port}/?token={TOKEN}"


def test_new_data_come_without_a_reload_and_zoom_sort_and_selection_stay(
    open_page: OpenPage, tmp_path: Path
) -> None:
    folder = tmp_path / "toy"
    running = trial(20, None, [0.5, 0.6], dict(drawn(20).parameters))
    write_sweep(folder, [*(drawn(n) for n in range(20)), running])
    lock = lock_results(Layout(folder))
    with visited(SweepList(folder)) as address:
        page = open_page(address, offline=False)
        page.wait_for_function(READY)
        assert page.locator("#state").inner_text() == "running: 20 of 21 trials have ended"
        assert "token" not in page.url
        heads = page.locator("#ranking th[aria-sort]")
        page.locator('#ranking thead button[title="epochs"]').click()
        page.locator("#ranking tbody input[type=checkbox]").first.check()
        chosen = page.evaluate("[...sweepPage.page.selection]")
        page.locator("#learning-curves").scroll_into_view_if_needed()
        figure = page.locator("#learning-curves .js-plotly-plot")
        figure.evaluate("(one) => Plotly.relayout(one, { 'xaxis.range': [3, 7] })")
        page.evaluate("window.mark = 'the same page'")
        whole = figure.evaluate(WHOLE)

        history = Layout(folder).trial("t0020").history
        history.write_text(  # longer than any other: the figure has other axes now
            "".join(f"{to_json(epoch_of(n, 0.6).to_json())}\n" for n in range(2 * int(whole[1])))
        )
        atomic_write_text(
            Layout(folder).trial("t0020").trial,
            to_json({"parameters": dict(running.parameters), "status": "completed"}),
        )
        lock.release()
        page.wait_for_function("document.getElementById('state').textContent === 'finished'")
        page.get_by_text("Up to date. No session runs.").wait_for()
        assert page.evaluate("window.mark") == "the same page"
        assert page.evaluate("sweepPage.page.ids.length") == 21
        assert figure.evaluate("(one) => one.layout.xaxis.range") == [3, 7]
        assert figure.evaluate(WHOLE)[1] > 1.5 * whole[1]
        figure.locator(".nsewdrag").first.dblclick()
        page.wait_for_function(f"({WHOLE})({FIGURE}).join() === {FIGURE}.layout.xaxis.range.join()")
        assert heads.evaluate_all(SORTED) == [["epochs", "ascending"]]
        assert page.evaluate("[...sweepPage.page.selection]") == chosen
        assert len(chosen) == 1
        page.close()


def test_list_leads_to_a_sweep_and_back(open_page: OpenPage, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_sweep(tmp_path / name, [drawn(0)])
    with visited(SweepList(tmp_path)) as address:
        page = open_page(address, 390, 800, offline=False)
        page.get_by_role("link", name="two").click()
        page.wait_for_function(READY)
        assert page.url.endswith("/sweeps/two/")
        page.get_by_role("link", name="All sweeps").click()
        assert page.get_by_role("link", name="one").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.close()


def test_page_in_a_notebook_has_links_that_stay_in_it(
    open_page: OpenPage, sweep_folder: Path, tmp_path: Path
) -> None:
    notebook = tmp_path / "notebook.html"
    shown = sweep.open(sweep_folder).page(height=700)
    notebook.write_text(f"<!doctype html><h1>Notebook</h1>{shown._repr_html_()}")
    page = open_page(notebook.as_uri())
    frame = page.frames[1]
    frame.wait_for_function(READY)
    assert "not trusted" not in page.locator("body").inner_text()
    page.locator("iframe").evaluate("frame => frame.replaceWith(frame.textContent)")
    assert "this notebook is not trusted here" in page.locator("body").inner_text()
    page.reload()
    frame = page.frames[1]
    frame.wait_for_function(READY)
    frame.select_option(".colours select", "dark")
    assert frame.evaluate("tone('paper')") == "#14191e", "also where nothing can be kept"
    assert page.locator("iframe").bounding_box()["height"] == 700  # type: ignore[index]
    frame.locator("nav a", has_text="Ranking").first.click()
    frame.wait_for_function("scrollY > 0")
    assert frame.locator("h1").inner_text() == "synthetic"
    assert "synthetic" not in repr(shown)
    for _ in range(2):  # also once it was closed
        frame.locator("tbody a").first.click()
        frame.wait_for_selector("dialog[open]")
        page.keyboard.press("Escape")
        frame.wait_for_selector("dialog[open]", state="detached")


def test_file_and_note_of_a_reader_show_and_the_focus_stays_on_its_button(
    open_page: OpenPage, tmp_path: Path
) -> None:
    folder = write_sweep(tmp_path / "toy", [trial(0, None, [0.5])])
    content = io.BytesIO()
    Image.new("RGB", (16, 9)).save(content, format="png")
    held: list[Route] = []
    with visited(SweepList(folder), control=True) as address:
        page = open_page(address, offline=False)
        page.wait_for_function(READY)
        page.evaluate("location.hash = 'trial/t0000'")
        closed = False  # the question, before newer data come
        page.route("**/data", lambda one: one.continue_() if closed else held.append(one))
        page.get_by_role("button", name="Add a file…").click()
        page.locator("input[type=file]").set_input_files(
            {"name": "my overlay.png", "mimeType": "image/png", "buffer": content.getvalue()}
        )
        page.get_by_role("button", name="Add it").click()
        page.get_by_text("my overlay.png lies beside the other files of t0000.").wait_for()
        page.get_by_role("button", name="Close").last.click()
        closed = True
        for request in held:
            request.continue_()
        picture = page.locator("#view img[alt='my overlay.png']")
        picture.wait_for(state="attached")
        assert page.evaluate("document.activeElement.textContent") == "Add a file…"
        picture.scroll_into_view_if_needed()
        page.wait_for_function("(one) => one.naturalWidth === 16", arg=picture.element_handle())
        page.keyboard.press("Escape")

        page.get_by_role("button", name="Write a note on the sweep…").click()
        page.locator("textarea").fill("Compare **this one**: [t0000](#trial/t0000)")
        page.get_by_role("button", name="Write it").click()
        page.get_by_text("Noted on the sweep.").wait_for()
        page.get_by_role("button", name="Close").last.click()
        page.locator("#words strong", has_text="this one").wait_for()
        page.locator("#words a").click()
        page.locator("#view h2", has_text="t0000").wait_for()
        page.close()
    assert (folder / "trials" / "t0000" / "my overlay.png").read_bytes() == content.getvalue()


def test_button_stops_a_trial_of_a_sweep_that_runs(open_page: OpenPage, tmp_path: Path) -> None:
    """The trial would take 100 s; stopped, its next report ends it and with it the sweep."""
    (tmp_path / "toy.yaml").write_text(json.dumps(waiting_sweep(tmp_path)))
    running = subprocess.Popen(
        [sys.executable, "-m", "sweep.run", "toy.yaml", "--local"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={"PYTHONPATH": str(PACKAGE.parent), "PATH": "", "HOME": str(tmp_path)},
    )  # fmt: skip
    folder = tmp_path / "results" / "toy"
    try:
        while not Layout(folder).trial("t0000").history.exists():
            assert running.poll() is None
            time.sleep(0.1)
        with visited(SweepList(folder), control=True) as address:
            page = open_page(address, offline=False)
            page.wait_for_function(READY)
            page.evaluate("location.hash = 'trial/t0000'")
            page.get_by_role("button", name="Stop it…").click()
            page.get_by_role("button", name="Stop t0000").click()
            page.get_by_text("t0000 ends as pruned at its next report.").wait_for()
            page.get_by_role("button", name="Close").last.click()
            printed, _ = running.communicate(timeout=60)
            page.wait_for_function("document.getElementById('state').textContent === 'finished'")
            page.close()
    finally:
        running.kill()
    assert running.returncode == 0, printed
    assert sweep.open(folder)["t0000"].status is Status.PRUNED
    assert "stopped by the user" in printed
