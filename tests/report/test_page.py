from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from finalists import CLEAR
from synthetic import COMPACTNESS, SWEEP_YAML, WARMUP, drawn, results_of, trial, write_sweep

from sweep.analysis.figures.sweep_results import read_results
from sweep.report.headline import headline
from sweep.report.page import page
from sweep.report.page_data import PageData, page_data
from sweep.report.report_figures import figures_of
from sweep.report.sections.notes_section import (
    MARKDOWN,
    markdown,
    notes_section,
    sweep_notes_section,
)
from sweep.report.sections.page_section import rendered
from sweep.store.journal import NoteAdded
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Status


def table(data: PageData, place: int = 0) -> list[list[str]]:
    """The text of a table's cells, the headings first."""
    columns = data.tables[place].columns
    return [
        [one.title for one in columns],
        *map(list, zip(*(one.texts for one in columns), strict=True)),
    ]


def test_page_shows_the_headline_and_what_each_figure_finds(sweep_folder: Path) -> None:
    results = read_results(sweep_folder)
    text = page(results)
    assert headline(results) in text
    shown = {one["name"]: one["finding"] for one in page_data(results).figures}
    assert shown == {exhibit.name: exhibit.finding for exhibit in figures_of(results)}
    assert "30 of 31 trials have ended" in text


def test_page_asks_the_network_for_nothing(sweep_folder: Path) -> None:
    text = page(read_results(sweep_folder))
    own = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert re.findall(r"""(?:src|href)=["'](?!#|data:)[^"']*""", own) == []
    assert "url(" not in own
    assert text.count("<script") == 6


def test_ranking_has_a_row_for_each_ended_trial(sweep_folder: Path) -> None:
    results = read_results(sweep_folder)
    data = page_data(results)
    head, first, *_ = table(data)
    assert head[:5] == ["#", "trial", "status", "val Dice", "best at"]
    assert [*data.tables[0].trials] == list(results.frame["trial_id"])
    assert first[3] == f"{results.frame['val_dice'].iloc[0]:.4f}"


def test_ranking_shows_outlines_and_the_gain_over_the_baseline(tmp_path: Path) -> None:
    untouched = {**drawn(0).parameters, COMPACTNESS: 0}
    plain = trial(0, Status.COMPLETED, [0.5], untouched, preset="baseline")
    better = trial(1, Status.COMPLETED, [], {**drawn(1).parameters, WARMUP: 0})
    measured = EpochMetrics(epoch=0, val_dice=0.75, metrics={"hd95": 2.25})
    records = [plain, replace(better, history=(measured,))]
    head, first, second = table(page_data(read_results(write_sweep(tmp_path / "x", records))))
    places = head.index("HD95"), head.index("Δ baseline")
    assert [first[place] for place in places] == ["2.25", "+0.2500"]
    assert [second[place] for place in places] == ["–", "+0.0000"]


def test_best_epoch_before_the_switch_on_is_marked_and_the_mark_explained(tmp_path: Path) -> None:
    early = trial(0, Status.COMPLETED, [0.75, 0.5, 0.5, 0.5], {**drawn(0).parameters, WARMUP: 2})
    late = trial(1, Status.COMPLETED, [0.25, 0.5, 0.5, 0.625], {**drawn(1).parameters, WARMUP: 2})
    data = page_data(read_results(write_sweep(tmp_path / "x", [early, late])))
    head, *rows = table(data)
    assert [row[head.index("best at")] for row in rows] == ["0*", "3"]
    assert "* This epoch lies before its geometric loss switched on" in data.tables[0].order


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
    (figures,) = re.findall(r'data-part="figures">(.*?)</script>', text, flags=re.DOTALL)
    assert "learning-curves" in [one["name"] for one in json.loads(figures)]


def test_page_loads_itself_anew_only_while_it_is_watched(sweep_folder: Path) -> None:
    results = read_results(sweep_folder)
    assert 'http-equiv="refresh" content="30"' in page(results, reload=30)
    assert 'http-equiv="refresh"' not in page(results)


def test_no_line_of_a_sentence_begins_with_its_percent_sign() -> None:
    words = "In `a %` 0 % to 23 % would, 100% or % alone <b>."
    assert rendered("{{ words|prose }}", words=words) == (
        "In <code>a %</code> 0\N{NO-BREAK SPACE}% to 23\N{NO-BREAK SPACE}% would, 100% or % alone"
        " &lt;b&gt;."
    )


def test_no_line_of_a_sentence_breaks_a_number_at_the_minus_of_its_exponent() -> None:
    words = "Set it to 1e-6. Or to 2.5e-10, not <e-6>; `a 1e-6`"
    assert rendered("{{ words|prose }}", words=words) == (
        'Set it to <span class="whole">1e-6</span>. Or to <span class="whole">2.5e-10</span>, not'
        " &lt;e-6&gt;; <code>a 1e-6</code>"
    )


def test_commands_of_a_page_run_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sweep(tmp_path / "x", [drawn(0)])
    monkeypatch.chdir(tmp_path / "x")
    commands = re.findall(
        r"python -m sweep\.\w+ ([^\s<\"&\\\\]+)", page(read_results(Path("../x")))
    )
    assert len(commands) > 2
    assert [path for path in commands if not Path(path).is_relative_to(tmp_path / "x")] == []


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


def test_sweep_with_several_objectives_has_a_page_before_any_is_measured(tmp_path: Path) -> None:
    goals = "objective: [val_dice, {{metric: hd95, mode: min}}]\nspace:"
    yaml = SWEEP_YAML.replace("space:", goals)
    for name, records in (("x", []), ("y", [trial(0, Status.COMPLETED, [0.5])])):
        (found,) = [
            one
            for one in page_data(read_results(write_sweep(tmp_path / name, records, yaml))).figures
            if one["name"] == "pareto"
        ]
        assert found["title"] == "Dice and outlines together"
        assert found["figure"] is None


def test_confirmed_trials_have_a_table_of_their_own_above_the_others(tmp_path: Path) -> None:
    records = [*CLEAR, *(trial(n, Status.COMPLETED, [0.99]) for n in (2, 3))]
    data = page_data(read_results(write_sweep(tmp_path / "x", records)))
    again, once = data.tables
    assert (again.name, again.trials) == ("confirmed", ("t0001", "t0000"))
    assert (once.name, once.trials) == ("others", ("t0002", "t0003"))
    # Each has the columns that say something of its own rows.
    assert {"P(best)", "group"} <= {*table(data, 0)[0]}
    assert not {"P(best)", "group", "mean Dice"} & {*table(data, 1)[0]}
    assert "These were not compared with the leaders above" in once.order
    (alone,) = page_data(read_results(write_sweep(tmp_path / "y", [drawn(0)]))).tables
    assert alone.name == "ranking"
    (every,) = page_data(read_results(write_sweep(tmp_path / "z", CLEAR))).tables
    assert every.order.startswith("Leaders that were trained again")


def test_points_of_figures_name_their_trials(sweep_folder: Path) -> None:
    data = page_data(read_results(sweep_folder))
    linked = set()
    for one in data.figures:
        for trace in one["figure"]["data"] if one["figure"] else ():
            if "ids" in trace:
                points = trace.get("x", trace.get("line", {}).get("color"))
                assert len(trace["ids"]) == len(points), one["name"]
                assert {*trace["ids"]} <= data.trials.keys(), one["name"]
                linked.add(one["name"])
            if "meta" in trace:
                assert trace["meta"]["trial"] in data.trials
    assert {"learning-curves", "stability", "timeline", "slices"} <= linked


def test_data_hold_every_trial_and_name_those_without_a_row(sweep_folder: Path) -> None:
    results = read_results(sweep_folder)
    data = page_data(results)
    assert data.trials.keys() == {record.trial_id for record in results.records}
    assert data.unfinished == ("t0030",)
    curve = data.trials["t0030"]["curves"]["value"]
    assert curve == [0.5, 0.6]
    assert data.trials["t0030"]["command"].endswith("trials/t0030/config.yaml'")


def test_notes_stand_in_the_order_of_the_trials_also_beyond_ten_thousand() -> None:
    ids = ["t0002", "t0002r1", "t0003", "t10000"]
    notes = {one: (NoteAdded("r", f"of {one}", "me", "now", one),) for one in reversed(ids)}
    section = notes_section(replace(results_of(), notes=notes))
    assert section is not None
    assert re.findall(r"of (t\w+)", section.html) == ids


def test_note_on_the_sweep_is_markdown_that_runs_nothing_and_asks_for_nothing() -> None:
    text = (
        "# Tuesday\n**t0003** <script>alert(1)</script> [it](#trial/t0003) "
        "[x](javascript:alert(1)) ![y](http://evil.example/y.png)\n\n| a |\n|---|\n| 1 |"
    )
    notes = {None: (NoteAdded("r", text, "me@lab", "2026-11-30T08:00:00+00:00"),)}
    section = sweep_notes_section(replace(results_of(), notes=notes))
    assert section is not None
    html = section.html
    assert "<h3>Tuesday</h3>" in html
    assert "<strong>t0003</strong> &lt;script&gt;" in html
    assert '<a href="#trial/t0003">it</a>' in html
    assert "<td>1</td>" in html
    assert "me@lab, 2026-11-30 08:00" in html
    assert not re.search(r"<script|<img|href=.javascript|src=", html)
    assert notes_section(replace(results_of(), notes=notes)) is None, "there is none on a trial"


def test_note_of_nothing_but_brackets_is_read_a_few_times_and_not_a_hundred(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads, skip = [0], MARKDOWN.inline.skipToken
    monkeypatch.setattr(
        MARKDOWN.inline,
        "skipToken",
        lambda state: (reads.__setitem__(0, reads[0] + 1), skip(state)),
    )
    assert markdown("[" * 500) == f"<p>{'[' * 500}</p>\n"
    assert 0 < reads[0] < 500 * 25


def test_own_figure_begins_with_no_map_where_no_trial_may_be_compared(tmp_path: Path) -> None:
    broken = [one for n in range(40) if (one := drawn(n)).status is Status.DIVERGED]
    data = page_data(read_results(write_sweep(tmp_path / "x", broken)))
    assert data.first_axes.names == ()
    some = page_data(read_results(write_sweep(tmp_path / "y", [*broken, drawn(3), drawn(4)])))
    assert len(some.first_axes.names) == 2
