from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from finalists import CLEAR
from nbclient import NotebookClient
from synthetic import diverged_at, drawn, results_of, trial, write_sweep

from sweep.analysis.figures.sweep_results import Results, read_results
from sweep.api.user_requests import ask_to_note
from sweep.report.headline import headline
from sweep.report.notebook import ARGUMENTS, _cells, notebook
from sweep.report.page_table import page_tables
from sweep.report.report_figures import REPORT_FIGURES
from sweep.vocabulary.errors import SweepFailed
from sweep.vocabulary.record import RealValidation, Status


def said(text: str) -> str:
    """All that the cells put out as text."""
    outputs = [
        output
        for cell in nbformat.reads(text, as_version=4).cells
        for output in cell.get("outputs", [])
    ]
    assert all(output.output_type in ("display_data", "execute_result") for output in outputs)
    return "\n".join(output.data.get("text/plain", "") for output in outputs)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of 20 trials, among modules each of which leaves a file beside them if it is run."""
    folder = write_sweep(
        tmp_path_factory.mktemp("notebook") / "results", [drawn(n) for n in range(20)]
    )
    for name in ("plotly", "sweep", "pandas", "IPython", "sitecustomize", "ipykernel_launcher"):
        code = f"import pathlib; pathlib.Path({str(folder.parent / name)!r}).touch()\n"
        (folder / f"{name}.py").write_text(code)
    ask_to_note(folder, None, "since **Tuesday**")
    return folder


@pytest.fixture(scope="module")
def executed(folder: Path) -> str:
    return notebook(read_results(folder), folder)


def test_no_module_that_lies_in_the_folder_is_run(folder: Path, executed: str) -> None:
    assert executed
    assert [path.name for path in folder.parent.iterdir()] == ["results"]


def test_notebook_says_what_the_page_says_and_runs_again_elsewhere(
    folder: Path, executed: str, tmp_path: Path
) -> None:
    results, text = read_results(folder), executed
    assert "since <strong>Tuesday</strong>" in text
    for sentence in (headline(results), *(show(results).finding for show in REPORT_FIGURES)):
        assert sentence in said(text)

    copy = tmp_path / "somewhere" / "else"
    # Another program, which may run such modules, executes it there.
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.py"))
    shutil.rmtree(folder)
    (copy / "trials" / "t0000" / "trial.json").unlink()  # one trial fewer than before
    again = nbformat.reads(text, as_version=4)
    where = {"metadata": {"path": str(copy)}}
    NotebookClient(again, resources=where, extra_arguments=ARGUMENTS).execute()
    assert f"not running: {len(results.ended) - 1} of 20 trials" in said(nbformat.writes(again))


def test_every_heading_has_something_below_it_also_where_all_trials_diverged(
    tmp_path: Path,
) -> None:
    folder = write_sweep(tmp_path / "x", [trial(n, diverged_at(3), [0.5] * 3) for n in range(2)])
    text = notebook(read_results(folder), folder)
    _, _, *cells = nbformat.reads(text, as_version=4).cells  # without the setup
    headed = [(a.source, b) for a, b in pairwise(cells) if a.cell_type == "markdown"]
    assert len(headed) > len(REPORT_FIGURES)
    assert [heading for heading, cell in headed if not cell.get("outputs")] == []
    assert said(text).count("No trial has a result.") >= 2


def test_notebook_whose_folder_has_gone_fails_with_the_reason(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path / "results", [drawn(0)])
    results: Results = read_results(folder)
    shutil.rmtree(folder / "trials")
    (folder / "sweep.yaml").unlink()
    with pytest.raises(SweepFailed, match=r"not a results folder: it has no sweep\.yaml"):
        notebook(results, folder)


def test_ranking_by_real_validations_is_in_two_parts_that_can_be_run() -> None:
    values = ((0.9, 0.6), (0.8, 0.7), (0.95, None))
    records = [trial(n, Status.COMPLETED, [pseudo]) for n, (pseudo, _) in enumerate(values)]
    validated = [
        replace(one, real=None if dice is None else RealValidation(dice=dice, cases={}))
        for one, (_, dice) in zip(records, values, strict=True)
    ]
    results = results_of(*validated)
    shown = [cell["source"] for cell in _cells(results, ".") if "results.frame[" in cell["source"]]
    first, rest = (eval(code, {"results": results})["trial_id"] for code in shown[:2])
    assert (list(first), list(rest)) == (["t0001", "t0000"], ["t0002"])
    titles = [table.title for table in page_tables(results)]
    assert titles == ["Validated on whole cases", "Others"]  # nobody was trained again


def test_ranking_of_a_confirmed_sweep_is_in_two_parts(tmp_path: Path) -> None:
    records = [*CLEAR, trial(2, Status.COMPLETED, [0.99])]
    results = read_results(write_sweep(tmp_path / "x", records))
    cells = {cell["source"]: cell["cell_type"] for cell in _cells(results, ".")}
    first = cells['results.frame[results.frame["confirmed"]]']
    second = cells['results.frame[~results.frame["confirmed"]].head(20)']
    assert first == second == "code"
    frame = results.frame
    assert list(frame[~frame["confirmed"]]["trial_id"]) == ["t0002"]
