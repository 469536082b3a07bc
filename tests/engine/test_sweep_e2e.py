"""Real sweeps: Ray, worker processes, signals. Each is a run of ``python -m sweep.run``."""

from __future__ import annotations

import csv
import json
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import pytest
from pandas import DataFrame
from pandas.testing import assert_frame_equal

import sweep
from sweep.spec.load import load_sweep, load_trial
from sweep.spec.settings.data_settings import PluginData
from sweep.trial.fit import fit

PLUGINS = Path(__file__).parents[2] / "examples" / "plugin" / "example_plugin.py"
# Half of the trials diverge after their warm-up; the others wait at rungs, are pruned or complete.
WHOLE = f"""\
trials: 8
searcher: {{name: random, seed: 2}}
scheduler: {{name: asha, reduction_factor: 3}}
max_concurrent: 2
presets: []
data: {{source: {PLUGINS}:squares, options: {{count: 20}}}}
trainer: {{epochs: 16, batch_size: 4, device: cpu}}
network: {{name: {PLUGINS}:Net, options: {{width: 4}}}}
loss: {{rampup_epochs: 0, terms: {PLUGINS}:total_variation}}
evaluation: {{metrics: [{PLUGINS}:area_error]}}
optimizer: {{lr: 0.5, momentum: 0.95}}
early_stopping: {{patience: null}}
resources: {{cpu: 0.5, gpu: 0}}
pictures: null
space:
  loss.sqrt_epsilon: {{choice: [0, 1.0e-6]}}
  loss.warmup_epochs: {{randint: [1, 5]}}
  loss.weights.total_variation: {{loguniform: [1.0e-3, 1.0]}}
"""
# What a tracker prints is for the user's screen.
TOLD = """\
from sweep.tracking.tracker import Tracker


class Told(Tracker):
    def __init__(self, tracked): ...

    def trial_ended(self, record):
        print("Told of", record.trial_id)

    def close(self):
        print("Told the end")
"""
# For what happens to processes, whatever they train: its workers import neither MONAI nor data.
PLAIN = """\
searcher: grid
scheduler: none
max_concurrent: 1
trainer: {kind: custom, entry: plain.py:train, epochs: 100000, device: cpu, options: {level: 0}}
early_stopping: {patience: null}
resources: {cpu: 1, gpu: 0}
space:
  trainer.options.level: {grid: [0.25, 0.5, 0.75]}
"""
TRAIN = """\
import time


def train(config, trial):
    for epoch in range(trial.epochs):
        time.sleep(0.02)
        trial.report(epoch, dice=config["level"])
"""
# With a state of its own: what goes on from a checkpoint draws what it would have drawn.
DRAWING = """\
searcher: grid
scheduler: none
max_concurrent: 1
trainer: {kind: custom, entry: drawing.py:train, epochs: 100, device: cpu, options: {level: 0}}
early_stopping: {patience: null}
resources: {cpu: 1, gpu: 0}
space:
  trainer.options.level: {grid: [0.1, 0.3, 0.2]}
"""
TRAIN_DRAWING = """\
import random, time


def train(config, trial):
    state = trial.checkpoint.load()
    for epoch in range(0 if state is None else state["epoch"] + 1, trial.epochs):
        time.sleep(0.05)
        dice = config["level"] + random.random() / 2
        trial.checkpoint.save({"epoch": epoch})
        trial.report(epoch, dice=dice)
"""
STORMY = """\
searcher: grid
scheduler: none
max_concurrent: 1
trainer: {kind: custom, entry: stormy.py:train, epochs: 40, device: cpu, options: {mode: ""}}
early_stopping: {patience: null}
resources: {cpu: 1, gpu: 0}
space:
  trainer.options.mode: {grid: [raises, endures, exits, mumbles, leaves, follows]}
"""
TRAIN_STORMY = """\
import sys, threading, time
from tqdm import tqdm


def train(config, trial):
    from sweep.trial import process_state  # here, for the command that reads this needs no torch

    process_state.SECONDS_TO_END = 0.1
    mode = config["mode"]
    if mode == "raises":
        raise ValueError("there is nothing to train in this mode")
    if mode == "mumbles":
        raise KeyError("mask\\udcff")
    if mode == "exits":
        sys.exit("no data here")
    state = trial.checkpoint.load()
    for epoch in tqdm(range(0 if state is None else state["epoch"] + 1, trial.epochs)):
        time.sleep(0.05 if mode == "endures" else 0)
        trial.checkpoint.save({"epoch": epoch})
        trial.report(epoch, dice={"endures": 0.75, "leaves": 0.5, "follows": 0.25}[mode])
    if mode == "leaves":
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
"""
ONE_PLAIN = ("--set", "space={trainer.options.level: {grid: [0.5]}}")
TIMEOUT = 300.0
"""Seconds; far more than anything here takes, for machines that do other things too."""
STDOUT = re.compile(
    r"\[\d/\d\] t\d{4} (completed|pruned|diverged|failed).*"  # a line a trial
    r"|\* This epoch lies before its geometric loss switched on.*|(no )?part in it\..*"
    r"|Δ baseline of .*|– under a setting: .*|t\d{4}.*: a tie with the trial above, .*"
    r"|\s*(tiny|drawing|stormy|sqrt|epsilon|weights\.|total_variation|options\.|level|mode|#).*"
    r"|\s*─+\s*|\s+\d  t\d{4}  .*|\s*"  # the table
    r"|t\d{4} (diverged|failed): .*|Why t.*|(Ranking|Best|Report): .*"  # what follows it
    r"|Weights: .*|Predict: .*"
    r"|Stopped: .*|\s+python -m sweep\.run .*|Not ranked: .*"
)


@dataclass(frozen=True)
class Run:
    """A finished process and the results folder it wrote to."""

    pid: int
    code: int
    stdout: str
    stderr: str
    folder: Path

    @property
    def ranking(self) -> list[dict[str, str]]:
        with (self.folder / "ranking.csv").open() as file:
            return list(csv.DictReader(file))

    def history(self, trial_id: str) -> list[dict[str, Any]]:
        return history(self.folder / "trials" / trial_id)

    def noise(self) -> list[str]:
        """Lines on stdout that are not ours."""
        return [line for line in self.stdout.splitlines() if not STDOUT.fullmatch(line)]


def history(trial: Path) -> list[dict[str, Any]]:
    """The complete lines of a history that may be growing."""
    file = trial / "history.jsonl"
    text = file.read_text() if file.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """``python -m sweep.run`` in a process group of its own, as a shell would start it."""
    return subprocess.Popen(
        [sys.executable, "-m", "sweep.run", *arguments],
        cwd=folder,
        env=os.environ | {"COLUMNS": "1000"},  # no line is wrapped
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], folder: Path) -> Run:
    try:
        stdout, stderr = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        kill_all_of(process)
        stdout, stderr = process.communicate()
        pytest.fail(f"the sweep did not end within {TIMEOUT} s\n{stdout}\n{stderr}")
    return Run(process.pid, process.returncode, stdout, stderr, folder)


def kill_all_of(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):  # they have ended
        os.killpg(process.pid, signal.SIGKILL)


def wait_for(happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Return as soon as something has happened in a sweep that still runs."""
    deadline = time.monotonic() + TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        if happened():
            return
        time.sleep(0.02)
    kill_all_of(process)
    pytest.fail("it did not happen:\n" + "\n".join(process.communicate()))


def descendants(ancestor: int) -> dict[int, str]:
    """Process id → title of every process below one."""
    table = subprocess.run(
        ["ps", "-wweo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(maxsplit=2) for line in table.splitlines()]
    family = {ancestor}
    found: dict[int, str] = {}
    while True:
        new = {int(r[0]): r[2] for r in rows if int(r[1]) in family and int(r[0]) not in family}
        if not new:
            return found
        family |= new.keys()
        found |= new


def listening(processes: set[int]) -> set[IPv6Address]:
    """Addresses on which any of the processes accepts connections; IPv4 as ``::ffff:a.b.c.d``."""
    sockets = set()
    for process in processes:
        with suppress(FileNotFoundError):  # it has ended
            for descriptor in Path(f"/proc/{process}/fd").iterdir():
                with suppress(FileNotFoundError):
                    sockets.add(str(descriptor.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in sockets:
                words = bytes.fromhex(local.partition(":")[0])  # of 32 bits, last byte first
                address = b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4))
                found.add(IPv6Address((bytes(10) + b"\xff\xff" + address)[-16:]))
    return found


def living_in_session(session: int) -> dict[int, str]:
    """Process id → title of the processes of a session that have not ended."""
    table = subprocess.run(
        ["ps", "-eo", "pid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    titles = {}
    for pid, state, title in (line.split(maxsplit=2) for line in table.splitlines()):
        with suppress(ProcessLookupError):
            if os.getsid(int(pid)) == session and not state.startswith("Z"):
                titles[int(pid)] = title
    return titles


# A sweep from beginning to end.


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("swept")
    (folder / "told.py").write_text(TOLD)
    (folder / "tiny.yaml").write_text(f"{WHOLE}tracking: {folder}/told.py:Told\n")
    process = start(folder, "tiny.yaml", "--results", "out", "--no-dashboard")
    return finish(process, folder / "out" / "tiny")


def test_sweep_ends_well_and_without_a_word_of_ray(swept: Run) -> None:
    assert swept.code == 0, swept.stderr
    [warning] = swept.stderr.splitlines()
    assert warning.startswith("warning: `loss.sqrt_epsilon` 0 can diverge")
    assert sorted(swept.noise()) == [*(f"Told of t000{n}" for n in range(8)), "Told the end"]
    assert len(re.findall(r"^\[\d/8\] ", swept.stdout, re.MULTILINE)) == 8


def test_results_folder_holds_what_was_promised(swept: Run) -> None:
    assert {path.name for path in swept.folder.iterdir()} >= {
        "sweep.yaml",
        "ranking.csv",
        "best.yaml",
        "trials",
    }
    expected = load_sweep(swept.folder.parents[1] / "tiny.yaml")
    written = load_sweep(swept.folder / "sweep.yaml")
    assert isinstance(written.data, PluginData)
    assert written.data.fingerprint  # of what the source wrote, and nothing else is new
    data = expected.data.model_copy(update={"fingerprint": written.data.fingerprint})
    assert written == expected.model_copy(update={"data": data})
    assert len(swept.ranking) == 8
    for row in swept.ranking:
        trial = swept.folder / "trials" / row["trial_id"]
        config = load_trial(trial / "config.yaml")
        assert config.loss.sqrt_epsilon == float(row["loss.sqrt_epsilon"])
        assert config.loss.warmup_epochs == int(row["loss.warmup_epochs"])
        epochs = [line["epoch"] for line in swept.history(row["trial_id"])]
        assert epochs == list(range(int(row["epochs"])))
        assert (trial / "divergence.json").exists() == (row["status"] == "diverged")


def test_ranking_has_its_columns_and_is_sorted_by_dice_with_the_diverged_last(swept: Run) -> None:
    rows = swept.ranking
    assert set(rows[0]) >= {
        *("rank", "trial_id", "status", "val_dice", "best_epoch", "epochs", "cause"),
        *("loss.sqrt_epsilon", "loss.warmup_epochs", "loss.weights.total_variation"),
    }
    assert [row["rank"] for row in rows] == [str(rank) for rank in range(1, 9)]
    ranked = [row for row in rows if row["status"] in ("completed", "pruned")]
    assert {row["status"] for row in ranked} == {"completed", "pruned"}
    assert {row["status"] for row in rows[len(ranked) :]} == {"diverged"}
    best = [float(row["val_dice"]) for row in ranked]
    assert best == sorted(best, reverse=True)
    for row in ranked:
        dice = [line["val_dice"] for line in swept.history(row["trial_id"])]
        assert float(row["val_dice"]) == max(dice) == dice[int(row["best_epoch"])]


def test_trials_without_epsilon_diverge_by_their_own_numerics_after_the_warmup(swept: Run) -> None:
    for row in swept.ranking:
        assert (row["status"] == "diverged") == (float(row["loss.sqrt_epsilon"]) == 0)
        if row["status"] != "diverged":
            assert row["status"] == "pruned" or (row["epochs"], row["cause"]) == ("16", "")
            continue
        trial = swept.folder / "trials" / row["trial_id"]
        verdict = json.loads((trial / "divergence.json").read_text())
        assert verdict["stage"] == "gradient"
        assert verdict["term"] in ("compactness", "aspect")
        assert verdict["epoch"] == int(row["epochs"]) >= int(row["loss.warmup_epochs"])
        assert row["cause"] == (
            f"nonfinite gradient ({verdict['term']}) at epoch {verdict['epoch']}"
            f" step {verdict['step']}"
        )
        assert row["val_dice"] == row["best_epoch"] == ""
        assert f"{row['trial_id']} diverged: {row['cause']}" in swept.stdout


def test_best_config_trained_alone_gives_the_dice_of_the_ranking(swept: Run) -> None:
    reported: list[float | None] = []
    fit(load_trial(swept.folder / "best.yaml"), report=lambda m: reported.append(m.val_dice))
    best = swept.ranking[0]
    assert reported == [line["val_dice"] for line in swept.history(best["trial_id"])]


def outliving(run: Run) -> dict[int, str]:
    deadline = time.monotonic() + 5  # the system takes a moment to bury what Ray has killed
    while (left := living_in_session(run.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def test_no_process_of_the_sweep_outlives_it(swept: Run) -> None:
    assert outliving(swept) == {}


def trained_here(file: Path, results: Path) -> sweep.SweepResults:
    """The same sweep without Ray: one trial after the other in this process."""
    found = sweep.run(file, results=results, executor="local", progress=False)
    assert found.is_finished
    return found


def test_trials_that_wait_at_rungs_end_the_same_on_two_workers_and_without_ray(
    swept: Run, tmp_path: Path
) -> None:
    """With plug-ins, so that these are seen to work on Ray's workers too."""
    here = trained_here(swept.folder.parents[1] / "tiny.yaml", tmp_path)
    one = Run(0, 0, "", "", here.folder)
    ends = [
        {row["trial_id"]: (row["status"], row["val_dice"], row["epochs"]) for row in run.ranking}
        for run in (one, swept)
    ]
    assert ends[0] == ends[1]
    assert sum(status == "pruned" for status, *_ in ends[0].values()) >= 2
    for trial_id in ends[0]:
        epochs = [[line["val_dice"] for line in run.history(trial_id)] for run in (one, swept)]
        assert epochs[0] == epochs[1]
    best = swept.history(swept.ranking[0]["trial_id"])
    assert any("total_variation" in line["terms"] for line in best)
    assert '"wait"' in (one.folder / "journal.jsonl").read_text()


# Ctrl-C, and on; kill -9, and on.


@dataclass(frozen=True)
class Interrupted:
    first: Run
    last: Run
    ended_before: dict[str, bytes]
    """Trials that had ended when the sweep was interrupted, with their histories then."""
    epochs_before_the_kill: int


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Interrupted:
    """Interrupted in its second trial, resumed by the command it printed, there killed, resumed."""
    cwd = tmp_path_factory.mktemp("interrupted")
    (cwd / "drawing.yaml").write_text(DRAWING)
    (cwd / "drawing.py").write_text(TRAIN_DRAWING)
    process = start(cwd, "drawing.yaml", "--set", "trainer.epochs=40")
    folder = cwd / "results" / "drawing"
    trial = folder / "trials" / "t0001"
    wait_for(lambda: len(history(trial)) >= 5, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to Ray's processes too
    first = finish(process, folder)
    ended = {
        path.parent.name: (path.parent / "history.jsonl").read_bytes()
        for path in folder.glob("trials/*/trial.json")
        if json.loads(path.read_text())["status"] != "running"
    }
    python, *command = shlex.split(first.stdout.splitlines()[-1])
    assert (python, command[:2]) == ("python", ["-m", "sweep.run"])
    process = start(cwd, *command[2:])
    before = len(history(trial))
    wait_for(lambda: len(history(trial)) >= before + 5, process)
    os.kill(process.pid, signal.SIGKILL)  # the driver alone: its workers live on for a moment
    finish(process, folder)
    killed = len(history(trial))
    last = finish(start(cwd, *command[2:]), folder)
    return Interrupted(first, last, ended, killed)


def test_interrupted_sweep_saves_and_prints_the_command_that_resumes_it(
    interrupted: Interrupted,
) -> None:
    first = interrupted.first
    assert first.code == 130
    assert first.stderr.startswith("Stopping: all reported epochs are saved")
    assert len(first.stderr.splitlines()) == 1
    assert first.noise() == []
    *_, told, command = first.stdout.splitlines()
    assert told == "Stopped: interrupted. All reported epochs are saved. Resume with:"
    assert command.endswith("--resume")
    assert "[1/3] t0000 completed" in first.stdout
    assert set(interrupted.ended_before) == {"t0000"}


def test_resumed_sweep_ends_every_trial_and_runs_no_finished_one_again(
    interrupted: Interrupted,
) -> None:
    last = interrupted.last
    assert (last.code, last.stderr) == (0, "")
    assert last.noise() == []
    assert [line[:11] for line in last.stdout.splitlines() if line.startswith("[")] == [
        "[2/3] t0001",
        "[3/3] t0002",
    ]
    assert {row["status"] for row in last.ranking} == {"completed"}
    for name, before in interrupted.ended_before.items():
        assert (last.folder / "trials" / name / "history.jsonl").read_bytes() == before
        assert taken_up_at(last.folder / "trials" / name) == [0]


def test_interrupted_trial_went_on_from_its_checkpoint_each_time(interrupted: Interrupted) -> None:
    trial = interrupted.last.folder / "trials" / "t0001"
    first, second, third = taken_up_at(trial)
    assert first == 0
    assert 5 <= second < interrupted.epochs_before_the_kill <= third < 40


def test_interrupted_sweep_equals_one_without_a_break_and_without_ray_bit_for_bit(
    interrupted: Interrupted, tmp_path: Path
) -> None:
    ray = sweep.open(interrupted.last.folder)
    here = trained_here(interrupted.last.folder / "sweep.yaml", tmp_path)

    def exact(frame: DataFrame) -> DataFrame:
        return frame.drop(columns=["seconds"])

    assert_frame_equal(exact(here.frame), exact(ray.frame), check_exact=True)
    assert list(here) == list(ray)
    for trial_id in here:
        histories = (exact(results[trial_id].history) for results in (here, ray))
        assert_frame_equal(*histories, check_exact=True)


def test_only_the_best_weights_of_a_trial_that_has_ended_are_kept(interrupted: Interrupted) -> None:
    for trial in (interrupted.last.folder / "trials").iterdir():
        assert [file.name for file in trial.glob("*.pt")] == ["best.pt"]
        assert not list(trial.glob(".*.tmp"))


def test_sweep_whose_processes_are_all_told_to_end_is_ranked_and_can_be_resumed(
    tmp_path: Path,
) -> None:
    write_plain(tmp_path)
    options = ["--set", "trainer.epochs=10000"]
    process = start(tmp_path, "plain.yaml", *options)
    folder = tmp_path / "results" / "plain"
    wait_for(lambda: len(history(folder / "trials" / "t0000")) >= 2, process)
    for pid in living_in_session(process.pid):  # as a batch system or a service manager does
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    run = finish(process, folder)
    assert run.code == 130, run.stderr
    assert run.stderr.splitlines()[-1].startswith("Stopping: all reported epochs are saved")
    assert run.stdout.splitlines()[-1].endswith(shlex.join([*options, "--resume"]))
    assert (folder / "ranking.csv").exists()
    states = [json.loads(path.read_text()) for path in folder.glob("trials/*/trial.json")]
    assert {state["status"] for state in states} == {"running"}
    assert outliving(run) == {}


def test_interruption_while_ray_starts_can_be_resumed_too(tmp_path: Path) -> None:
    write_plain(tmp_path)
    process = start(tmp_path, "plain.yaml", "--set", "trainer.epochs=10")
    folder = tmp_path / "results" / "plain"
    wait_for((folder / "journal.jsonl").exists, process)
    os.killpg(process.pid, signal.SIGTERM)
    run = finish(process, folder)
    assert run.code == 130
    assert "Traceback" not in run.stderr
    *_, command = run.stdout.splitlines() or ["nothing was said"]
    assert shlex.split(command)[2:] == [
        *("sweep.run", "plain.yaml", "--set", "trainer.epochs=10", "--resume")
    ]


def taken_up_at(trial: Path) -> list[int]:
    """The first epoch that each process trained that took the trial up."""
    runs = json.loads((trial / "provenance.json").read_text())["runs"]
    return [run["first_epoch"] for run in runs]


# A worker that is killed, and a trainer that raises.


@dataclass(frozen=True)
class Storm:
    run: Run
    epochs_before: tuple[int, int]
    """Those of the second trial before the kill, and before the full disk."""
    addresses: set[IPv6Address]
    titles: list[str]
    """Of all processes of the sweep."""
    killed: int
    """Process that was killed."""


def write_plain(folder: Path) -> None:
    (folder / "plain.yaml").write_text(PLAIN)
    (folder / "plain.py").write_text(TRAIN)


def write_stormy(folder: Path) -> None:
    (folder / "stormy.yaml").write_text(STORMY)
    (folder / "stormy.py").write_text(TRAIN_STORMY)


@pytest.fixture(scope="module")
def stormy(tmp_path_factory: pytest.TempPathFactory) -> Storm:
    """The first trial cannot be trained; the worker of the second is killed in its middle, and the
    next worker cannot write: a limit on the size of its files fails as a full disk does. Two more
    fail in other ways, and one leaves a thread to the last.
    """
    cwd = tmp_path_factory.mktemp("stormy")
    write_stormy(cwd)
    process = start(cwd, "stormy.yaml")
    folder = cwd / "results" / "stormy"
    trial = folder / "trials" / "t0001"
    wait_for(lambda: len(history(trial)) >= 5, process)
    family = descendants(process.pid)
    addresses = listening({process.pid, *family})
    killed = worker_of(process)
    os.kill(killed, signal.SIGKILL)
    before_the_kill = len(history(trial))
    wait_for(lambda: len(history(trial)) >= before_the_kill + 5, process)
    resource.prlimit(worker_of(process), resource.RLIMIT_FSIZE, (1000, 1000))
    before_the_full_disk = len(history(trial))
    epochs = (before_the_kill, before_the_full_disk)
    return Storm(finish(process, folder), epochs, addresses, list(family.values()), killed)


def worker_of(process: subprocess.Popen[str]) -> int:
    """Process id of the one worker that trains, as soon as its title says so: Ray gives it another
    one before each step."""
    found: list[int] = []

    def trains() -> bool:
        titles = descendants(process.pid).items()
        found[:] = [pid for pid, title in titles if title.startswith("ray::t0")]
        return bool(found)

    wait_for(trains, process)
    [worker] = found
    return worker


def test_trial_whose_trainer_raises_fails_with_the_last_line_and_the_sweep_goes_on(
    stormy: Storm,
) -> None:
    run = stormy.run
    assert (run.code, run.stderr, run.noise()) == (0, "", [])
    best, *_ = run.ranking
    [failed] = [row for row in run.ranking if row["trainer.options.mode"] == "raises"]
    assert (failed["trial_id"], failed["status"], failed["epochs"]) == ("t0000", "failed", "0")
    assert failed["cause"] == "ValueError: there is nothing to train in this mode, at stormy.py:11"
    assert f"t0000 failed: {failed['cause']}" in run.stdout
    traceback = (run.folder / "trials" / "t0000" / "error.txt").read_text()
    assert traceback.startswith("Traceback (most recent call last):")
    assert failed["cause"].removesuffix(", at stormy.py:11") in traceback
    assert (best["trial_id"], best["status"]) == ("t0001", "completed")


def test_exit_and_text_of_no_encoding_are_the_causes_of_their_trials_alone(stormy: Storm) -> None:
    causes = {row["trial_id"]: row["cause"] for row in stormy.run.ranking}
    assert causes["t0002"].startswith("SystemExit: no data here")
    assert causes["t0003"].startswith(r"KeyError: 'mask\udcff'")
    assert [causes[trial_id] for trial_id in ("t0001", "t0004", "t0005")] == ["", "", ""]


def test_thread_that_a_trial_leaves_costs_its_worker_and_no_trial(stormy: Storm) -> None:
    """The thread that draws tqdm's bars, which each trial leaves, costs nothing."""
    workers = {
        path.parent.name: json.loads(path.read_text())["runs"][-1]["process"]["pid"]
        for path in stormy.run.folder.glob("trials/*/provenance.json")
    }
    assert workers["t0001"] == workers["t0004"] != workers["t0005"]
    best = [(row["trial_id"], row["status"]) for row in stormy.run.ranking[:3]]
    assert best == [(name, "completed") for name in ("t0001", "t0004", "t0005")]


def test_ray_listens_on_loopback_alone(stormy: Storm) -> None:
    assert stormy.addresses
    assert all((address.ipv4_mapped or address).is_loopback for address in stormy.addresses)


def test_ray_starts_nothing_that_only_a_cluster_or_a_dashboard_needs(stormy: Storm) -> None:
    scripts = {Path(word).name for title in stormy.titles for word in title.split()}
    assert "raylet" in scripts
    assert not scripts & {"monitor.py", "log_monitor.py", "dashboard.py"}


def test_trial_whose_worker_was_killed_or_could_not_write_goes_on_from_its_checkpoint(
    stormy: Storm,
) -> None:
    trial = stormy.run.folder / "trials" / "t0001"
    killed, full = stormy.epochs_before
    first, second, third = taken_up_at(trial)
    assert first == 0
    log = (stormy.run.folder / "sweep.log").read_text()
    assert f"Process {stormy.killed} has died. Its stderr ended in:\n" in log
    assert 5 <= killed <= second < full <= third < 40
    assert [line["epoch"] for line in history(trial)] == list(range(40))


def test_trial_that_runs_out_of_memory_again_and_again_fails_with_that_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plain(tmp_path)
    # Ray's memory monitor kills a worker where the node uses more than this share of its memory.
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.001")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    process = start(tmp_path, "plain.yaml", *ONE_PLAIN)
    run = finish(process, tmp_path / "results" / "plain")
    assert run.code == 1
    [failed] = run.ranking
    assert failed["status"] == "failed"
    assert (
        failed["cause"]
        == "out of memory: Ray killed its worker 3 times because the node ran out of memory"
    )


def test_sweep_whose_only_node_is_lost_ends_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plain(tmp_path)
    # Ray looks for lost nodes more often than it would.
    monkeypatch.setenv("RAY_health_check_period_ms", "1000")
    monkeypatch.setenv("RAY_health_check_failure_threshold", "5")
    process = start(tmp_path, "plain.yaml", *ONE_PLAIN)
    folder = tmp_path / "results" / "plain"
    wait_for(lambda: len(history(folder / "trials" / "t0000")) >= 3, process)
    [raylet] = [pid for pid, title in descendants(process.pid).items() if "raylet/raylet " in title]
    os.kill(raylet, signal.SIGKILL)
    run = finish(process, folder)
    assert run.code == 1
    assert "Traceback" not in run.stderr
    *_, told = run.stderr.splitlines()
    assert told.startswith("error: Ray has lost its last node")
    assert told.endswith("--resume")
    assert not (folder / "ranking.csv").exists()
