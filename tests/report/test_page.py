from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from finalists import CLEAR
from synthetic import COMPACTNESS, SWEEP_YAML, WARMUP, drawn, trial, write_sweep

from sweep.analysis.figures.sweep_results import read_results
from sweep.report.headline import headline
from sweep.report.page import TOP, page
from sweep.report.report_figures import figures_of
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Status


class Table(HTMLParser):
    """Text of the cells of each table, row by row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self._id = ""
        self.feed(text.partition("<script>")[0])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._id = str(dict(attrs)["id"])
            self.tables[self._id] = []
        elif tag == "tr":
            self.tables[self._id].append([])
        elif tag in ("td", "th"):
            self.tables[self._id][-1].append("")

    def handle_data(self, data: str) -> None:
        if self._id and self.tables[self._id] and self.tables[self._id][-1]:
            self.tables[self._id][-1][-1] += data.strip("\n\u200b")

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._id = ""


def test_page_shows_the_headline_and_what_each_figure_finds(sweep_folder: Path) -> None:
    results = read_results(sweep_folder)
    text = page(results)
    assert headline(results) in text
    for exhibit in figures_of(results):
        assert f'id="{exhibit.name}"' in text
    assert "30 of 31 trials have ended" in text


def test_page_asks_the_network_for_nothing(sweep_folder: Path) -> None:
    text = page(read_results(sweep_folder))
    own = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert re.findall(r"""(?:src|href)=["'](?!#|data:)[^"']*""", own) == []
    assert "url(" not in own
    assert text.count("<script") == 3


def test_ranking_shows_the_first_rows_and_all_behind_a_click(sweep_folder: Path) -> None:
    results = read_results(sweep_folder)
    tables = Table(page(results)).tables
    assert tables["top"][0][:5] == ["#", "trial", "status", "val Dice", "best at"]
    assert len(tables["top"]) == 1 + TOP
    assert [row[1] for row in tables["all"][1:]] == list(results.frame["trial_id"])
    assert tables["top"][1][3] == f"{results.frame['val_dice'].iloc[0]:.4f}"


def test_ranking_shows_outlines_and_the_gain_over_the_baseline(tmp_path: Path) -> None:
    untouched = {**drawn(0).parameters, COMPACTNESS: 0}
    plain = trial(0, Status.COMPLETED, [0.5], untouched, preset="baseline")
    better = trial(1, Status.COMPLETED, [], {**drawn(1).parameters, WARMUP: 0})
    measured = EpochMetrics(epoch=0, val_dice=0.75, metrics={"hd95": 2.25})
    records = [plain, replace(better, history=(measured,))]
    head, first, second = Table(page(read_results(write_sweep(tmp_path / "x", records)))).tables[
        "top"
    ]
    places = head.index("HD95"), head.index("Δ baseline")
    assert [first[place] for place in places] == ["2.25", "+0.2500"]
    assert [second[place] for place in places] == ["–", "+0.0000"]


def test_best_epoch_before_the_switch_on_is_marked_and_the_mark_explained(tmp_path: Path) -> None:
    early = trial(0, Status.COMPLETED, [0.75, 0.5, 0.5, 0.5], {**drawn(0).parameters, WARMUP: 2})
    late = trial(1, Status.COMPLETED, [0.25, 0.5, 0.5, 0.625], {**drawn(1).parameters, WARMUP: 2})
    text = page(read_results(write_sweep(tmp_path / "x", [early, late])))
    head, *rows = Table(text).tables["top"]
    assert [row[head.index("best at")] for row in rows] == ["0*", "3"]
    assert "* This epoch lies before its geometric loss switched on" in text


def test_page_of_a_sweep_without_finalists_has_no_section_for_them(tmp_path: Path) -> None:
    assert (
        "finalists"
        not in page(read_results(write_sweep(tmp_path / "x", [drawn(0)]))).partition("<script>")[0]
    )


def test_figures_are_json_that_no_text_can_end(tmp_path: Path) -> None:
    failed = Outcome(status=Status.FAILED, cause="</script><script>alert(1)</script>")
    text = page(read_results(write_sweep(tmp_path / "x", [drawn(0), trial(1, failed, [0.5])])))
    assert "alert(1)</script>" not in text
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in text
    (figures,) = re.findall(r'id="figures">(.*?)</script>', text, flags=re.DOTALL)
    assert "learning-curves" in json.loads(figures)


def test_page_loads_itself_anew_only_while_it_is_watched(sweep_folder: Path) -> None:
    results = read_results(sweep_folder)
    assert 'http-equiv="refresh" content="30"' in page(results, reload=30)
    assert 'http-equiv="refresh"' not in page(results)


def test_versions_come_from_the_provenance(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path / "x", [drawn(0)])
    run = {"versions": {"torch": "9.9"}, "machine": {"device": "abacus"}}
    path = folder / "trials" / "t0000" / "provenance.json"
    path.write_text(json.dumps({"runs": [{}, run]}))
    text = page(read_results(folder))
    assert "torch 9.9" in text
    assert "device abacus" in text


@pytest.mark.parametrize("trials", [0, 1])
def test_page_of_next_to_nothing_is_a_page(tmp_path: Path, trials: int) -> None:
    text = page(read_results(write_sweep(tmp_path / "x", [drawn(n) for n in range(trials)])))
    assert ("No trial has started yet." in text) == (trials == 0)
    assert SWEEP_YAML.splitlines()[0] in text


def test_confirmed_trials_have_a_table_of_their_own_above_the_others(tmp_path: Path) -> None:
    records = [*CLEAR, *(trial(n, Status.COMPLETED, [0.99]) for n in (2, 3))]
    results = read_results(write_sweep(tmp_path / "x", records))
    text = page(results)
    tables = Table(text).tables
    assert [row[1] for row in tables["confirmed"][1:]] == ["t0001", "t0000"]
    assert [row[1] for row in tables["top"][1:]] == ["t0002", "t0003"]
    # Each has the columns that say something of its own rows.
    assert {"P(best)", "group"} <= {*tables["confirmed"][0]}
    assert not {"P(best)", "group", "mean Dice"} & {*tables["top"][0]}
    assert "These were not compared with the leaders above" in text
    assert 'id="confirmed"' not in page(read_results(write_sweep(tmp_path / "y", [drawn(0)])))
    every = page(read_results(write_sweep(tmp_path / "z", CLEAR)))
    assert 'id="confirmed"' not in every
    assert "Leaders that were trained again" in every
