from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from click.testing import Result

import sweep
from sweep.spec.load import load_trial
from sweep.store.store import Store
from sweep.vocabulary.record import Outcome, Status

Call = Callable[..., Result]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)


def test_every_format_is_written_into_the_results_folder(call: Call, results: Path) -> None:
    result = call("export", "results/toy")
    assert result.exit_code == 0
    files = ["report.html", "report.ipynb", "best.yaml"]
    assert result.stdout.splitlines() == [f"results/toy/{name}" for name in files]
    assert "t0000 leads with validation Dice 0.7500" in (results / "report.html").read_text()
    nbformat.validate(nbformat.read(results / "report.ipynb", as_version=4))
    assert load_trial(results / "best.yaml").seed == 0
    assert [path for path in results.iterdir() if path.suffix == ".tmp"] == []


def test_only_the_formats_that_are_asked_for_are_written(call: Call, results: Path) -> None:
    assert call("export", "results/toy", "--format", "yaml, html").stdout.splitlines() == [
        "results/toy/report.html",
        "results/toy/best.yaml",
    ]
    assert not (results / "report.ipynb").exists()
    one_by_one = call("export", "results/toy", "--format", "yaml", "--format", "csv")
    assert one_by_one.stdout.splitlines() == ["results/toy/best.yaml", "results/toy/ranking.csv"]


OWN = '''\
import plotly.express as px


def epochs_over_dice(results):
    """Epochs over Dice.

    Each point
    is a trial.
    """
    return px.scatter(results.frame, x="val_dice", y="epochs", hover_name="trial_id")


def broken(results):
    return 1 / 0


def no_figure(results):
    return "a text"


def takes_nothing():
    pass
'''


def test_figures_that_a_user_programs_are_in_the_page_and_what_they_raise_is_said_there(
    call: Call, results: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    names = [f"{tmp_path}/mine.py:{name}" for name in ("epochs_over_dice", "broken", "no_figure")]
    options = [text for name in names for text in ("--figure", name)]
    assert call("export", "results/toy", "--format", "html", *options).exit_code == 0
    text = (results / "report.html").read_text()
    (figures,) = re.findall(r'data-part="figures">(.*?)</script>', text, flags=re.DOTALL)
    drawn, broken, none = json.loads(figures)[-3:]
    assert (drawn["title"], drawn["reading"]) == ("Epochs over Dice", "Each point is a trial.")
    assert set(drawn["figure"]["data"][0]["ids"]) == {*sweep.open(results).frame["trial_id"]}
    assert broken["figure"] is none["figure"] is None
    assert broken["finding"] == "Not drawn: ZeroDivisionError: division by zero, at mine.py:14."
    assert "must return a figure of plotly, but returned str" in none["finding"]
    for name, told in (
        (f"{tmp_path}/mine.py:epoch_over_dice", "did you mean `epochs_over_dice`?"),
        (f"{tmp_path}/yours.py:broken", "yours.py does not exist"),
        (f"{tmp_path}/mine.py:takes_nothing", "must take (results)"),
        ("mine.py", "--figure: must be `my_package.module:MyFigure`"),
    ):
        refused = call("export", "results/toy", "--format", "html", "--figure", name)
        assert refused.exit_code == 2
        assert told in refused.stderr


def test_texts_and_tables_for_a_paper_are_written_if_they_are_asked_for(
    call: Call, results: Path
) -> None:
    result = call("export", "results/toy", "--format", "methods,latex,csv", "--output", "paper")
    assert result.stdout.splitlines() == [
        f"paper/{name}"
        for name in ("ranking.csv", "ranking.tex", "methods.txt", "methods.tex", "methods.bib")
    ]
    assert Path("paper/ranking.csv").read_text().startswith("rank,trial_id,status,val_dice")
    assert r"\caption{Ranking of toy by validation Dice" in Path("paper/ranking.tex").read_text()
    assert r"\label{tab:search-space}" in Path("paper/methods.tex").read_text()
    assert "@misc{medicalsweep," in Path("paper/methods.bib").read_text()
    assert Path("paper/methods.txt").read_text().startswith("Data. ")


def test_there_is_no_methods_text_without_a_result(call: Call, results: Path) -> None:
    shutil.rmtree(results / "trials")
    result = call("export", "results/toy", "--format", "methods")
    assert result.stdout.splitlines() == [
        f"results/toy/methods.{end}: not written, no trial has a result"
        for end in ("txt", "tex", "bib")
    ]


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on this machine")
def test_figures_are_files_in_which_text_is_text(call: Call, results: Path) -> None:
    result = call("export", "results/toy", "--format", "svg")
    assert result.exit_code == 0
    files = [Path(line) for line in result.stdout.splitlines()]
    assert files
    assert {path.name for path in files} == {path.name for path in (results / "figures").iterdir()}
    source = Path("results/toy/figures/learning-curves.svg").read_text()
    assert "validation Dice</text>" in source
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", source)


def test_figures_without_what_draws_them_name_it(
    call: Call, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    result = call("export", "results/toy", "--format", "pdf")
    assert result.exit_code == 2
    assert "pip install 'medical-sweep[figures]'" in result.stderr


def test_another_folder_leaves_the_results_as_they_are(call: Call, results: Path) -> None:
    before = sorted(path.name for path in results.iterdir())
    assert call("export", "results/toy", "--output", "a/b", "--format", "html,yaml").exit_code == 0
    assert sorted(path.name for path in Path("a/b").iterdir()) == ["best.yaml", "report.html"]
    assert "# python -m sweep.train a/b/best.yaml" in Path("a/b/best.yaml").read_text()
    assert sorted(path.name for path in results.iterdir()) == before


def test_sweep_without_a_result_has_a_page_but_no_best_configuration(
    call: Call, results: Path
) -> None:
    shutil.rmtree(results / "trials")
    result = call("export", "results/toy", "--format", "html,yaml")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "results/toy/report.html",
        "results/toy/best.yaml: not written, no trial has a result",
    ]
    assert not (results / "best.yaml").exists()


def test_unknown_format_is_refused_with_the_one_that_was_meant(call: Call, results: Path) -> None:
    result = call("export", "results/toy", "--format", "htm")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: --format: must be `html`, `ipynb`, `yaml`, `csv`, `latex`, `methods`, `svg`, `pdf`"
        ' or `png`, but is "htm"; did you mean `html`?\n'
    )


def test_setting_that_this_version_does_not_know_is_named(call: Call, results: Path) -> None:
    with (results / "sweep.yaml").open("a") as file:
        file.write("sherduler: asha\n")
    result = call("export", "results/toy", "--format", "html")
    assert result.exit_code == 2
    assert "sweep.yaml: sherduler: " in result.stderr


def test_file_that_cannot_be_written_is_named_and_exits_with_1(call: Call, results: Path) -> None:
    (results / "report.html").mkdir()
    result = call("export", "results/toy", "--format", "html")
    assert result.exit_code == 1
    assert "cannot write results/toy/report.html" in result.stderr


def test_watching_a_sweep_that_has_ended_writes_once(call: Call, results: Path) -> None:
    result = call("export", "results/toy", "--format", "html", "--watch")
    assert result.stdout.splitlines() == ["results/toy/report.html"]
    page = (results / "report.html").read_text()
    assert 'http-equiv="refresh"' not in page


def watching(folder: Path) -> subprocess.Popen[str]:
    """``sweep.export --watch`` as a process of its own, once it has written for the first time."""
    command = [sys.executable, "-m", "sweep.export", str(folder), "--format", "html", "--watch"]
    path = str(Path(sweep.__file__).parents[1])
    process = subprocess.Popen(
        [*command, "--interval", "1"],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (folder / "report.html").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    return process


def test_watched_page_follows_the_sweep_to_its_end(results: Path) -> None:
    with Store.open(results) as store:
        process = watching(results)
        assert 'http-equiv="refresh"' in (results / "report.html").read_text()
        for trial_id in ("t0002", "t0003"):
            store.end_trial(trial_id, Outcome(status=Status.PRUNED))
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert set(out.splitlines()) == {str(results / "report.html")}
    page = (results / "report.html").read_text()
    assert 'http-equiv="refresh"' not in page
    assert "<b>2</b> pruned" in page


def test_interrupted_watch_exits_with_130_and_leaves_a_whole_page(results: Path) -> None:
    with Store.open(results):
        process = watching(results)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "interrupted\n")
    assert (results / "report.html").read_text().endswith("</html>")
    assert [path for path in results.iterdir() if path.suffix == ".tmp"] == []
