"""Sweeps without Ray: one trial after the other in this process, started from Python."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from scripted import write_scripted
from typer.testing import CliRunner

import sweep
from sweep.cli import app
from sweep.store.layout import Layout
from sweep.vocabulary.record import Status

DICE = "return Validation(dice=0.5 + 0.01 * epoch + self.settings.optimizer.lr)\n"
BREAKS = "if self.settings.optimizer.lr > 0.15: raise ValueError('mine')\n" + DICE


def values(folder: Path, validate: str = DICE, **more: Any) -> dict[str, Any]:
    return {
        "name": "toy",
        "trials": 3,
        "searcher": {"name": "grid"},
        "scheduler": "none",
        "trainer": {"kind": "custom", "entry": write_scripted(folder, validate), "epochs": 4},
        "loss": {"warmup_epochs": 1},
        "space": {"optimizer.lr": {"choice": [0.1, 0.2, 0.3]}},
        **more,
    }


def run(source: Any, folder: Path, **arguments: Any) -> sweep.SweepResults:
    results = folder / "results"
    return sweep.run(source, results=results, executor="local", progress=False, **arguments)


def test_best_trial_is_ranked_first_and_has_its_configuration(tmp_path: Path) -> None:
    results = run(values(tmp_path), tmp_path)
    assert list(results.frame["trial_id"]) == ["t0002", "t0001", "t0000"]
    assert results.best.config.optimizer.lr == 0.3
    assert list(results.best.history["val_dice"]) == pytest.approx([0.8, 0.81, 0.82, 0.83])
    assert results.is_finished


def test_trial_whose_trainer_raises_has_failed_and_the_next_one_is_trained(tmp_path: Path) -> None:
    results = run(values(tmp_path, BREAKS), tmp_path)
    assert [results[trial_id].status for trial_id in results] == [
        Status.COMPLETED,
        Status.FAILED,
        Status.FAILED,
    ]
    assert "ValueError: mine" in Layout(results.folder).trial("t0001").error.read_text()


def test_sweep_without_any_result_is_returned_all_the_same(tmp_path: Path) -> None:
    results = run(values(tmp_path, "raise ValueError('all')"), tmp_path)
    with pytest.raises(sweep.ResultsError, match="no trial of toy has a result"):
        _ = results.best


def interrupting(at: str) -> str:
    """Presses Ctrl-C in the third epoch of the second trial, once."""
    return (
        "from pathlib import Path\n"
        f"pressed = Path({at!r})\n"
        "if epoch == 2 and self.settings.optimizer.lr == 0.2 and not pressed.exists():\n"
        "    import os, signal\n"
        "    pressed.touch()\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n" + DICE
    )


@pytest.mark.parametrize("by_command", [False, True], ids=["resumed in Python", "by the command"])
def test_interrupted_sweep_ends_as_one_left_alone(tmp_path: Path, by_command: bool) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    expected = run(values(whole), whole).frame.drop(columns=["seconds"])

    source = values(broken, interrupting(str(broken / "pressed")))
    handler = signal.getsignal(signal.SIGINT)
    results = run(source, broken)
    assert not results.is_finished
    assert len(results["t0001"].history) == 2
    assert signal.getsignal(signal.SIGINT) is handler

    if by_command:
        where = ["--results", str(broken / "results")]
        sweep_yaml = str(Layout(results.folder).sweep_yaml)
        done = CliRunner().invoke(app, ["run", sweep_yaml, "--local", "--resume", *where])
        assert done.exit_code == 0, done.output
    else:
        run(source, broken, resume=True)
    found = sweep.open(results.folder).frame.drop(columns=["seconds"])
    assert found.equals(expected)


def test_function_that_saves_nothing_has_no_weights_and_none_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bare.py").write_text(
        "def train(config, trial):\n"
        "    for epoch in range(trial.epochs):\n"
        "        trial.report(epoch, dice=0.5 + config['x'])\n"
    )
    entry = {"kind": "custom", "entry": f"{tmp_path}/bare.py:train", "epochs": 1}
    source = {
        "name": "bare",
        "trials": 2,
        "searcher": "grid",
        "trainer": entry | {"options": {"x": 0}},
        "space": {"trainer.options.x": {"choice": [0.1, 0.2]}},
    }
    results = sweep.run(source, results=tmp_path / "results", executor="local")
    assert "Weights: none of t0001 were kept" in capsys.readouterr().out
    with pytest.raises(sweep.ResultsError, match="no weights of t0001 were kept"):
        results.best.weights()


def test_sweep_of_the_command_is_extended_in_python(tmp_path: Path) -> None:
    entry = write_scripted(tmp_path, DICE)
    file = tmp_path / "toy.yaml"
    file.write_text(
        "trials: 2\nsearcher: {name: random, seed: 1}\nscheduler: none\n"
        f"trainer: {{kind: custom, entry: '{entry}', epochs: 2}}\nloss: {{warmup_epochs: 1}}\n"
        "space: {optimizer.lr: {uniform: [0.1, 0.3]}}\n"
    )
    where = ["--results", str(tmp_path / "results")]
    assert CliRunner().invoke(app, ["run", str(file), "--local", *where]).exit_code == 0
    assert len(run(file, tmp_path, extend={"trials": "+1"})) == 3


def test_debugger_that_is_quit_ends_the_sweep_as_ctrl_c_does(tmp_path: Path) -> None:
    results = run(values(tmp_path, "import bdb\nraise bdb.BdbQuit\n"), tmp_path)
    assert list(results) == ["t0000"]
    assert results["t0000"].status is Status.RUNNING


def test_trainer_is_run_in_this_very_process(tmp_path: Path) -> None:
    folder = tmp_path / "pids"
    folder.mkdir()
    note = (
        f"import os\nfrom pathlib import Path\n(Path({str(folder)!r}) / str(os.getpid())).touch()\n"
    )
    run(values(tmp_path, note + DICE), tmp_path)
    assert [file.name for file in folder.iterdir()] == [str(os.getpid())]


def test_sweep_may_run_in_a_thread_of_a_larger_program(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        results = pool.submit(run, values(tmp_path), tmp_path).result()
    assert results.is_finished


def test_cluster_is_refused_beside_the_local_executor(tmp_path: Path) -> None:
    with pytest.raises(sweep.InputError, match=r"^address: .* not on a cluster"):
        run(values(tmp_path), tmp_path, address="auto")


def test_time_budget_ends_it_between_two_epochs(tmp_path: Path) -> None:
    slow = "import time\ntime.sleep(0.3)\n" + DICE
    results = run(values(tmp_path, slow, time_budget="1s"), tmp_path)
    assert not results.is_finished
    assert run(values(tmp_path, slow), tmp_path, resume=True).is_finished


def test_leaders_are_confirmed_and_their_replicates_are_a_table(tmp_path: Path) -> None:
    seeded = (
        "return Validation(dice=0.5 + self.settings.optimizer.lr + 1e-3 * self.settings.seed)\n"
    )
    results = run(values(tmp_path, seeded, confirm={"top": 2, "seeds": 3}), tmp_path)
    assert list(results.replicates["replicate_of"]) == ["t0002"] * 3 + ["t0001"] * 3
    assert results.test is None
    assert results["t0002r1"].value == pytest.approx(0.801)
    assert len(results.best.runs) == 4


def test_every_figure_of_the_report_is_drawn_by_its_name(tmp_path: Path) -> None:
    results = run(values(tmp_path), tmp_path)
    names = list(results.figures)
    assert "learning_curves" in names
    assert set(names) <= set(dir(results.figures))
    assert all(name in repr(results.figures) for name in names)
    for name in names:
        figure = getattr(results.figures, name)()
        assert isinstance(figure, go.Figure)
        assert all(len(line) <= 90 for line in (figure.layout.title.text or "").split("<br>"))
    with pytest.raises(AttributeError, match=r"'learning_curve'; did you mean `learning_curves`"):
        _ = results.figures.learning_curve
