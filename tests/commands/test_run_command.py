"""`sweep.run` around the engine: what it refuses, prints and leaves. Trials are made up here."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from sweep.api.run_sweep import prepare_data
from sweep.console.sweep_view import View
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.engine.on_ray.execute import OnRay
from sweep.engine.session.ending import Ending
from sweep.engine.session.executor import in_turn
from sweep.spec.load import load_sweep, load_trial, to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.store import Store
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import SweepFailed
from sweep.vocabulary.record import Outcome, Status

Call = Callable[..., Result]


class Engine:
    """In place of Ray: every trial completes after two epochs; ``stops_after`` so many trials."""

    def __init__(self) -> None:
        self.started = 0
        self.stops_after = 10**9
        self.ending = Ending.INTERRUPTED
        self.status = Status.COMPLETED
        self.epochs = 2

    def __call__(self, controller: SweepController, *_: Any, **__: Any) -> Ending:
        self.started += 1
        left = self.stops_after
        while left and (folder := controller.next_trial()) is not None:
            left -= 1
            for epoch in range(self.epochs):
                dice = 0.5 + 0.1 * epoch + 0.01 * int(folder.name[1:])
                controller.report(folder.name, EpochMetrics(epoch=epoch, val_dice=dice))
            controller.end(folder.name, Outcome(status=self.status, cause=f"it {self.status}"))
        return Ending.FINISHED if controller.finished else self.ending


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()
    monkeypatch.setattr(OnRay, "train", lambda _, *given: engine(*given))
    monkeypatch.setattr(OnRay, "each", lambda here, *given: in_turn(here.store)(*given))
    return engine


def test_finished_sweep_prints_its_ranking_and_where_it_lies(call: Call, folder: Path) -> None:
    result = call("run", "tiny.yaml")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line for line in lines if line.startswith("[")][-1].startswith("[3/3] t0002 completed")
    assert [line.split()[:3] for line in lines if line.strip()[:2] in ("1 ", "2 ", "3 ")] == [
        ["1", "t0002", "completed"],
        ["2", "t0001", "completed"],
        ["3", "t0000", "completed"],
    ]
    results = folder / "results" / "tiny"
    assert f"Ranking: {results / 'ranking.csv'}" in lines
    assert f"python -m sweep.train {results / 'best.yaml'})" in result.stdout
    assert load_trial(results / "best.yaml") == load_trial(
        results / "trials" / "t0002" / "config.yaml"
    )


def test_recorded_spec_is_the_effective_one(call: Call, folder: Path) -> None:
    call("run", "tiny.yaml", "--set", "trials=2")
    recorded = load_sweep(folder / "results" / "tiny" / "sweep.yaml")
    assert recorded == load_sweep("tiny.yaml", ["trials=2"])


def test_existing_results_are_refused_with_what_to_do_instead(
    call: Call, folder: Path, engine: Engine
) -> None:
    call("run", "tiny.yaml")
    files = [path for path in (folder / "results").rglob("*") if path.is_file()]
    before = [path.read_bytes() for path in files]
    result = call("run", "tiny.yaml")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "already exists and is not empty" in result.stderr
    assert "--resume" in result.stderr
    assert "name:" in result.stderr
    assert engine.started == 1
    assert files
    assert [path.read_bytes() for path in files] == before


@pytest.mark.parametrize(
    ("ending", "code", "words"),
    [
        (Ending.INTERRUPTED, 130, "Stopped: interrupted."),
        (Ending.OUT_OF_TIME, 0, "Stopped: the time budget is spent."),
    ],
)
def test_sweep_that_was_stopped_prints_the_command_that_resumes_it_and_it_does(
    call: Call, folder: Path, engine: Engine, ending: Ending, code: int, words: str
) -> None:
    engine.stops_after, engine.ending = 1, ending
    (folder / "my space.yaml").write_text((folder / "tiny.yaml").read_text())
    arguments = ["my space.yaml", "--set", "name=other", "--results", "o u t"]
    result = call("run", *arguments)
    assert result.exit_code == code
    *_, told, command = result.stdout.splitlines()
    assert told.startswith(words)
    python, m, module, *again = shlex.split(command)
    assert (python, m, module) == ("python", "-m", "sweep.run")
    assert again == [*arguments, "--resume"]

    engine.stops_after = 10**9
    resumed = call("run", *again)
    assert resumed.exit_code == 0
    ends = [line.split()[1] for line in resumed.stdout.splitlines() if line.startswith("[")]
    assert ends == ["t0001", "t0002"]  # the first was not run again
    assert len((folder / "o u t" / "other" / "ranking.csv").read_text().splitlines()) == 4


def test_continue_starts_a_sweep_and_resumes_it_from_then_on(call: Call, engine: Engine) -> None:
    engine.stops_after = 1
    assert call("run", "tiny.yaml", "--continue").exit_code == 130
    engine.stops_after = 10**9
    again = call("run", "tiny.yaml", "--continue")
    assert again.exit_code == 0
    assert [line[:11] for line in again.stdout.splitlines() if line.startswith("[")] == [
        "[2/3] t0001",
        "[3/3] t0002",
    ]


@pytest.mark.parametrize("holds", [True, False])
def test_continue_that_another_start_overtakes_goes_on_with_that_or_says_who_writes(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, holds: bool
) -> None:
    stores = []

    def overtaken(spec: SweepSpec, view: View) -> SweepSpec:  # while its data are read
        made = prepare_data(spec, view)
        stores.append(Store.create(folder / "results" / "tiny", to_yaml(made)))
        if not holds:
            stores.pop().close()
        return made

    monkeypatch.setattr("sweep.api.run_sweep.prepare_data", overtaken)
    result = call("run", "tiny.yaml", "--continue")
    assert "already exists" not in result.stderr
    if holds:
        stores.pop().close()
        assert result.exit_code == 2
        assert "is in use: another process is writing a sweep to it" in result.stderr
    else:
        assert result.exit_code == 0
        assert "[3/3] t0002" in result.stdout


def test_continue_needs_no_earlier_results_once_it_has_begun(
    call: Call, folder: Path, engine: Engine
) -> None:
    assert call("run", "tiny.yaml", "--set", "name=earlier").exit_code == 0
    learns = ("--set", "searcher=tpe", "--set", "warm_start=results/earlier")
    again = ("run", "tiny.yaml", *learns, "--continue")
    engine.stops_after = 1
    assert call(*again).exit_code == 130
    shutil.rmtree(folder / "results" / "earlier")
    engine.stops_after = 10**9
    assert call(*again).exit_code == 0


def test_script_can_say_how_its_sweep_is_resumed(call: Call, engine: Engine) -> None:
    engine.stops_after = 1
    result = call("run", "tiny.yaml", "--resume-with", "sbatch tiny.sbatch")
    assert result.stdout.splitlines()[-1] == "  sbatch tiny.sbatch"


def test_waiting_for_nodes_needs_a_cluster(call: Call) -> None:
    result = call("run", "tiny.yaml", "--wait-for-nodes", "2")
    assert result.exit_code == 2
    assert result.stderr == "error: --wait-for-nodes: needs a cluster: give its --address\n"


def test_finished_sweep_can_be_resumed_and_shows_its_ranking_again(call: Call) -> None:
    call("run", "tiny.yaml")
    result = call("run", "tiny.yaml", "--resume")
    assert result.exit_code == 0
    assert "t0002" in result.stdout


def test_resuming_with_another_spec_is_refused_with_the_difference(
    call: Call, engine: Engine
) -> None:
    call("run", "tiny.yaml")
    result = call("run", "tiny.yaml", "--set", "trainer.epochs=7", "--resume")
    assert result.exit_code == 2
    assert "holds a sweep with another spec" in result.stderr
    assert "-  epochs: 4" in result.stderr
    assert "+  epochs: 7" in result.stderr
    assert engine.started == 1
    # And the folder is free again.
    assert call("run", "tiny.yaml", "--resume").exit_code == 0


def test_resuming_what_never_began_is_refused(call: Call, folder: Path) -> None:
    result = call("run", "tiny.yaml", "--resume")
    assert result.exit_code == 2
    assert "does not exist, so there is nothing to resume" in result.stderr
    assert not (folder / "results").exists()


def test_folder_that_is_none_of_ours_is_not_resumed(call: Call, folder: Path) -> None:
    (folder / "results" / "tiny").mkdir(parents=True)
    result = call("run", "tiny.yaml", "--resume")
    assert result.exit_code == 2
    assert "is not a results folder: it has no sweep.yaml" in result.stderr


def test_resuming_with_other_resources_or_time_goes_on_and_is_recorded(
    call: Call, folder: Path
) -> None:
    call("run", "tiny.yaml")
    changes = ("--set", "time_budget=2h", "--set", "max_concurrent=3")
    assert call("run", "tiny.yaml", *changes, "--resume").exit_code == 0
    results = folder / "results" / "tiny"
    assert load_sweep(results / "sweep.yaml") == load_sweep("tiny.yaml", changes[1::2])
    assert load_sweep(results / "sweep.1.yaml") == load_sweep("tiny.yaml")


# More trials.


def ends(result: Result) -> list[str]:
    return [line.split()[1] for line in result.stdout.splitlines() if line.startswith("[")]


def test_extended_sweep_runs_the_new_trials_alone_and_equals_one_that_had_them_from_the_start(
    call: Call, folder: Path
) -> None:
    call("run", "tiny.yaml")
    result = call("run", "tiny.yaml", "--extend", "trials=+2")
    assert result.exit_code == 0
    assert ends(result) == ["t0003", "t0004"]
    call("run", "tiny.yaml", "--set", "trials=5", "--results", "at-once")
    for name in ("ranking.csv", "journal.jsonl", "sweep.yaml"):
        extended, at_once = (folder / root / "tiny" / name for root in ("results", "at-once"))
        assert extended.read_bytes() == at_once.read_bytes(), name


def test_extended_sweep_is_resumed_by_the_file_from_which_it_was_started(
    call: Call, folder: Path, engine: Engine
) -> None:
    call("run", "tiny.yaml")
    engine.stops_after = 1
    stopped = call("run", "tiny.yaml", "--extend", "trials=5")
    assert stopped.exit_code == 130
    assert ends(stopped) == ["t0003"]
    *_, command = stopped.stdout.splitlines()
    assert shlex.split(command)[2:] == ["sweep.run", "tiny.yaml", "--resume"]

    engine.stops_after = 10**9
    assert ends(call("run", "tiny.yaml", "--resume")) == ["t0004"]
    assert ends(call("run", "tiny.yaml", "--extend", "trials=+1")) == ["t0005"]
    assert load_sweep(folder / "results" / "tiny" / "sweep.yaml").trials == 6
    held = [load_sweep(folder / "results" / "tiny" / f"sweep.{n}.yaml").trials for n in (1, 2)]
    assert held == [3, 5]


def test_extension_that_is_repeated_after_a_kill_adds_its_trials_once(
    call: Call, folder: Path, engine: Engine
) -> None:
    call("run", "tiny.yaml")
    engine.stops_after = 1
    call("run", "tiny.yaml", "--extend", "trials=+3")
    again = call("run", "tiny.yaml", "--extend", "trials=+3")
    assert (
        "An earlier session has extended this sweep from 3 to 6 trials and has not finished: it"
        " goes on with these. For more, give the number of trials in all, as in `--extend"
        " trials=60`."
    ) in " ".join(again.stdout.split())
    engine.stops_after = 10**9
    assert ends(again) + ends(call("run", "tiny.yaml", "--extend", "trials=+3")) == [
        "t0004",
        "t0005",
    ]
    # Finished: the same again is three more. Another number is meant as more, finished or not.
    engine.stops_after = 1
    assert ends(call("run", "tiny.yaml", "--extend", "trials=+3")) == ["t0006"]
    engine.stops_after = 10**9
    assert ends(call("run", "tiny.yaml", "--extend", "trials=+2")) == [
        "t0007",
        "t0008",
        "t0009",
        "t0010",
    ]


def test_wrong_extension_changes_nothing(call: Call, folder: Path, engine: Engine) -> None:
    call("run", "tiny.yaml")
    before = {path.name for path in (folder / "results" / "tiny").iterdir()}
    result = call("run", "tiny.yaml", "--extend", "trials=2", "--extend", "epochs=+1")
    assert result.exit_code == 2
    assert result.stderr.count("--extend") == 2
    assert {path.name for path in (folder / "results" / "tiny").iterdir()} == before
    assert engine.started == 1


def test_sweep_that_breaks_off_says_why_and_how_to_go_on(
    call: Call, folder: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Ending:
        raise SweepFailed("cannot write history.jsonl: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(OnRay, "train", broken)
        result = call("run", "tiny.yaml")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: cannot write history.jsonl: No space left on device; ")
    assert result.stderr.endswith("resume with: python -m sweep.run tiny.yaml --resume\n")
    assert call("run", "tiny.yaml", "--resume").exit_code == 0


def test_sweep_in_which_no_trial_has_a_result_failed(
    call: Call, folder: Path, engine: Engine
) -> None:
    engine.status = Status.FAILED
    result = call("run", "tiny.yaml")
    assert result.exit_code == 1
    assert "no trial of tiny has a result" in result.stderr
    results = folder / "results" / "tiny"
    assert len((results / "ranking.csv").read_text().splitlines()) == 4
    assert not (results / "best.yaml").exists()


def test_sweep_that_was_stopped_before_its_first_result_did_not_fail(
    call: Call, engine: Engine
) -> None:
    engine.stops_after = 0
    assert call("run", "tiny.yaml").exit_code == 130


def test_mistakes_are_told_before_anything_is_written(
    call: Call, folder: Path, engine: Engine
) -> None:
    result = call("run", "tiny.yaml", "--set", "trials=0", "--set", "name=../../x")
    assert result.exit_code == 2
    assert result.stderr.count("must be") == 2
    assert engine.started == 0
    assert not (folder / "results").exists()
    assert not (folder.parent.parent / "x").exists()


def test_warnings_come_before_the_first_trial_on_stderr(call: Call) -> None:
    result = call("run", "tiny.yaml", "--set", "loss.sqrt_epsilon=0")
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: `loss.sqrt_epsilon` 0 can diverge")


def test_grid_counts_its_own_combinations_as_trials(call: Call) -> None:
    grid = "space={loss.warmup_epochs: {grid: [1, 2]}, loss.sqrt_epsilon: {grid: [1.0e-6, 1.0e-4]}}"
    result = call("run", "tiny.yaml", "--set", "searcher=grid", "--set", grid, "--set", "trials=4")
    assert result.exit_code == 0
    assert "[4/4] t0003" in result.stdout


@pytest.mark.parametrize("name", ["[bold]out", "a [link] b"])
def test_paths_are_printed_as_a_shell_takes_them(call: Call, folder: Path, name: str) -> None:
    result = call("run", "tiny.yaml", "--results", name)
    assert result.exit_code == 0
    ranking = shlex.quote(str(folder / name / "tiny" / "ranking.csv"))
    assert f"Ranking: {ranking}" in result.stdout


def test_sweep_in_an_object_store_is_resumed_by_the_command_that_it_printed(
    call: Call, folder: Path, engine: Engine, object_store: str
) -> None:
    engine.stops_after = 1
    where = f"{object_store}/commands"
    first = call("run", "tiny.yaml", "--results", where)
    assert first.exit_code == 130
    again = shlex.split(first.stdout.splitlines()[-1])[3:]
    assert again == ["tiny.yaml", "--results", where, "--resume"]
    refused = call("run", "tiny.yaml", "--results", where)
    assert refused.exit_code == 2
    assert f"{where}/tiny already exists and is not empty" in refused.stderr

    engine.stops_after = 10**9
    resumed = call("run", *again)
    assert resumed.exit_code == 0
    assert f"Ranking: {where}/tiny/ranking.csv" in resumed.stdout.splitlines()
    ends = [line.split()[1] for line in resumed.stdout.splitlines() if line.startswith("[")]
    assert ends == ["t0001", "t0002"]
    assert not (folder / "results").exists()


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--address", "ray://head:10001", "--address: Ray Client cannot drive a sweep"),
        ("--address", "head", "--address: must be auto or HOST:PORT"),
        ("--results", "foo://bar", "foo://bar: cannot be opened: Unrecognized filesystem"),
    ],
)
def test_wrong_place_is_refused_before_anything_is_made(
    call: Call, folder: Path, engine: Engine, option: str, value: str, words: str
) -> None:
    result = call("run", "tiny.yaml", option, value)
    assert result.exit_code == 2
    assert words in result.stderr
    assert engine.started == 0
    assert not (folder / "results").exists()


def test_address_at_which_nobody_answers_is_refused_in_words(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:  # bound but not listening: nobody else can listen there
        taken.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*taken.getsockname())
        given = call("run", "tiny.yaml", "--address", address)
        monkeypatch.setenv("RAY_ADDRESS", address)
        found = call("run", "tiny.yaml", "--address", "auto")
    for result in (given, found):
        assert result.exit_code == 2
        assert f"--address: cannot join the Ray cluster at {address}" in result.stderr
    assert not (folder / "results").exists()


def test_time_budget_that_the_start_has_eaten_is_a_failure_that_says_so(
    call: Call, engine: Engine
) -> None:
    engine.ending, engine.stops_after = Ending.OUT_OF_TIME, 0
    result = call("run", "tiny.yaml", "--set", "time_budget=5s")
    assert result.exit_code == 1
    assert "the time budget of 5 s ended before any trial reported an epoch" in result.stderr
    assert "--resume" in result.stderr
    engine.stops_after = 1
    result = call("run", "tiny.yaml", "--set", "time_budget=5s", "--resume")
    assert result.exit_code == 0
    assert "Stopped: the time budget is spent" in result.stdout


def test_time_budget_in_which_trials_failed_at_once_does_not_blame_the_start(
    call: Call, engine: Engine
) -> None:
    engine.ending, engine.stops_after = Ending.OUT_OF_TIME, 2
    engine.status, engine.epochs = Status.FAILED, 0
    result = call("run", "tiny.yaml", "--set", "time_budget=5s")
    assert result.exit_code == 1
    assert "before any trial reported an epoch: 2 trials ended without one" in result.stderr
    assert "starting workers" not in result.stderr


@pytest.mark.slow
def test_signal_while_the_file_is_still_read_ends_with_one_word_and_130(folder: Path) -> None:
    os.mkfifo(folder / "slow.yaml")
    process = subprocess.Popen(
        [sys.executable, "-m", "sweep.run", "slow.yaml"], stderr=subprocess.PIPE, text=True
    )
    with (folder / "slow.yaml").open("w"):  # waits until the command has opened it to read
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, "interrupted\n")
