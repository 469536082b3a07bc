"""A user's file that was edited between trials: told at the next session, and beside the winner."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import sweep
from sweep.analysis.own_texts import own_texts
from sweep.cli import app
from sweep.store.layout import Layout

TRAINER = """\
def train(config, trial):
    for epoch in range(trial.epochs):
        trial.report(epoch, dice=config["dice"] + {gain})
"""
PLUGINS = {
    "searcher": """\
class Mine:
    def __init__(self, space, seed):
        pass

    def ask(self, number):
        return {"trainer.options.dice": 0.1 * (1 + number)}

    def tell(self, record):
        pass

    learn = tell
""",
    "scheduler": """\
from sweep.search.schedulers.decision import Decision, OnArrival


class Mine(OnArrival):
    def __init__(self, grace_period, max_epochs):
        pass

    def report(self, trial_id, epochs, value):
        return Decision.CONTINUE

    def end(self, trial_id, status):
        pass
""",
    "tracking": """\
from sweep.tracking.tracker import Tracker


class Mine(Tracker):
    def __init__(self, tracked):
        pass
""",
}


def values(folder: Path, **more: Any) -> dict[str, Any]:
    return {
        "name": "edited",
        "trials": 2,
        "searcher": {"name": "random", "seed": 0},
        "scheduler": "none",
        "presets": [],
        "trainer": {
            "kind": "custom",
            "entry": f"{folder / 'own.py'}:train",
            "epochs": 2,
            "options": {"dice": 0.5},
        },
        "space": {"trainer.options.dice": {"uniform": [0.1, 0.7]}},
        **more,
    }


def session(
    folder: Path, gain: float, capsys: pytest.CaptureFixture[str], **how: Any
) -> tuple[sweep.SweepResults, str]:
    """One session with this text of the trainer, and the warnings of it."""
    (folder / "own.py").write_text(TRAINER.format(gain=gain))
    more = how.pop("more", {})
    found = sweep.run(values(folder, **more), results=folder, executor="local", **how)
    return found, " ".join(capsys.readouterr().err.split())


def test_each_session_is_warned_of_the_trials_that_ran_with_another_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, said = session(tmp_path, 0.1, capsys)
    assert "changed since" not in said
    assert "own_files" not in first.frame
    _, said = session(tmp_path, 0.1, capsys, resume=True)
    assert "changed since" not in said
    _, said = session(tmp_path, 0.2, capsys, extend={"trials": "+2"})
    assert "own.py changed since t0000 and t0001 were trained" in said
    _, said = session(tmp_path, 0.1, capsys, extend={"trials": "+1"})  # as in the first
    assert "own.py changed since t0002 and t0003 were trained" in said


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> sweep.SweepResults:
    folder = tmp_path_factory.mktemp("edited")
    for gain, how in ((0.1, {}), (0.2, {"extend": {"trials": "+2"}})):
        (folder / "own.py").write_text(TRAINER.format(gain=gain))
        source = values(folder)
        sweep.run(source, results=folder, executor="local", progress=False, **how)  # type: ignore[arg-type]
    return sweep.open(folder / "edited")


SAID = (
    "own.py was edited between trials, which ran with different texts of it: t0000 and t0001 with A"
    " and t0002 and t0003 with B."
)


def test_ranking_has_the_text_of_each_trial(edited: sweep.SweepResults) -> None:
    ran = {row["trial_id"]: row["own_files"] for _, row in edited.frame.iterrows()}
    assert ran == dict.fromkeys(("t0000", "t0001"), "own.py A") | dict.fromkeys(
        ("t0002", "t0003"), "own.py B"
    )
    assert "own_files" in Layout(edited.folder).ranking_csv.read_text().splitlines()[0]


@pytest.mark.parametrize(
    "arguments",
    [["rank", "{}"], ["export", "{}", "--format", "methods"], ["export", "{}", "--format", "html"]],
)
def test_texts_are_told_where_the_winner_is_named(
    edited: sweep.SweepResults, arguments: list[str], tmp_path: Path
) -> None:
    asked = [part.format(edited.folder) for part in arguments]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    written = [
        file.read_text()
        for file in (*edited.folder.glob("methods*"), *edited.folder.glob("report.html"))
    ]
    told = [" ".join(text.split()) for text in (done.output, *written)]
    winner = f"{edited.best.trial_id} ran with own.py {edited.frame['own_files'].iloc[0][-1]}."
    assert any(SAID in text and winner in text for text in told)


def test_best_yaml_says_it_in_its_comment_and_runs_as_it_is(
    edited: sweep.SweepResults, tmp_path: Path
) -> None:
    file = Layout(edited.folder).best_yaml
    assert f"# {SAID} {edited.best.trial_id} ran with own.py" in file.read_text()
    assert sweep.train(file, results=tmp_path, progress=False).value is not None


def test_replicates_and_a_trial_that_went_on_count_with_the_text_they_ran_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session(tmp_path, 0.1, capsys)
    found, said = session(
        tmp_path, 0.2, capsys, resume=True, more={"confirm": {"top": 2, "seeds": 2}}
    )
    assert "own.py changed since t0000 and t0001 were trained" in said
    assert list(found.frame["own_files"]) == ["own.py A+B"] * 2
    assert len(found.replicates) == 4


@pytest.mark.parametrize("kind", ["searcher", "scheduler", "tracking"])
def test_files_that_choose_stop_and_log_trials_count_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    text = PLUGINS[kind]
    (file := tmp_path / "chooses.py").write_text(text)
    name = f"{file}:Mine"
    more = {kind: [name] if kind == "tracking" else name}
    session(tmp_path, 0.1, capsys, more=more)
    file.write_text(f"{text}\n# another text\n")
    found, said = session(tmp_path, 0.1, capsys, more=more, extend={"trials": "+1"})
    assert "chooses.py changed since t0000 and t0001 were trained" in said
    assert sorted(found.frame["own_files"]) == ["chooses.py A", "chooses.py A", "chooses.py B"]


def test_files_that_were_edited_together_are_told_together_and_by_folder_if_alike(
    edited: sweep.SweepResults, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(edited.folder, folder)
    before = {"/x/own.py": "a", "/y/own.py": "b", "/x/helper.py": "c"}
    after = {"/x/own.py": "d", "/y/own.py": "e", "/x/helper.py": "c"}
    last = after | {"/x/helper.py": "f"}
    starts = {"t0000": [before], "t0001": [before, after], "t0002": [last], "t0003": [{}]}
    for trial_id, runs in starts.items():
        text = json.dumps({"runs": [{"own_files": own} for own in runs]})
        Layout(folder).trial(trial_id).provenance.write_text(text)
    found = own_texts(folder)
    assert found.of_trials() == {
        "t0000": "/x/own.py and /y/own.py A, helper.py A",
        "t0001": "/x/own.py and /y/own.py A+B, helper.py A",
        "t0002": "/x/own.py and /y/own.py B, helper.py B",
    }
    assert found.words().startswith(
        "/x/own.py and /y/own.py were edited between trials, which ran with different texts of"
        " them: t0000 with A, t0001 with A+B and t0002 with B. helper.py was edited"
    )
