"""Sweeps on a real cluster of a head and two nodes, each with files and a data cache of its own."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clusters import cluster_of
from typer.testing import CliRunner

from sweep.cli import app
from sweep.data.sources.shape_images import write_shapes
from sweep.machine.codebase import PACKAGE, codebase
from sweep.spec.load import load_sweep
from sweep.spec.settings.data_settings import ShapesData
from sweep.store.at_uri.remote_folder import RemoteFolder
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics

# Ray forgets to close the sockets that it finds free ports with; they are found at any time.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

SWEEP = """\
searcher: grid
scheduler: none
max_concurrent: 2
data: {source: nnunet_raw, folder: raw}
trainer: {epochs: 40, batch_size: 4, device: cpu}
network: {name: unet, channels: [4, 8, 16]}
loss: {warmup_epochs: 3, rampup_epochs: 0}
optimizer: {lr: 0.1, momentum: 0.95}
early_stopping: {patience: null}
resources: {cpu: 1, gpu: 0}
pictures: null
space:
  loss.weights.boundary: {grid: [0.01, 1.0]}
"""
# For what happens to the results, whatever is trained: its workers import neither MONAI nor data.
FUNCTION = """\
searcher: grid
scheduler: none
max_concurrent: 1
trainer: {kind: custom, entry: drawn.py:train, epochs: 60, device: cpu, options: {level: 0}}
early_stopping: {patience: null}
resources: {cpu: 1, gpu: 0}
space:
  trainer.options.level: {grid: [0.1, 0.3, 0.2]}
"""
DRAWN = """\
import random
import time


def train(config, trial):
    start = 0
    if (state := trial.checkpoint.load()) is not None:
        start = state["epoch"] + 1
    for epoch in range(start, trial.epochs):
        time.sleep(0.05)
        dice = config["level"] + random.random() / 2
        trial.checkpoint.save({"epoch": epoch})  # with the state of the generator
        trial.report(epoch, dice=dice)
"""
# Its metric tells where it was computed.
FINALISTS = """\
searcher: grid
scheduler: none
data: {source: nnunet_raw, folder: raw, test: 0.2}
trainer: {epochs: 2, batch_size: 4, device: cpu}
network: {name: unet, channels: [4, 8, 16]}
loss: {warmup_epochs: 1, rampup_epochs: 0}
evaluation: {metrics: [where.py:on_node]}
presets: []
resources: {cpu: 1, gpu: 0}
space:
  loss.weights.boundary: {grid: [0.01, 1.0]}
"""
WHERE = """\
import os


def on_node(prediction, reference):
    return float(os.environ["MEDICAL_SWEEP_CACHE"].endswith("/cache"))
"""
TIMEOUT = 240.0
"""Seconds; far more than anything here takes."""


@dataclass(frozen=True)
class Nodes:
    """The cluster, and where each of its nodes keeps its files."""

    cluster: Any
    folders: list[Path]
    environment: dict[str, str]

    def sweep(self, cwd: Path, *arguments: str, cache: str = "driver") -> subprocess.Popen[str]:
        """``python -m sweep.run`` on the cluster, from another folder than any node's."""
        return subprocess.Popen(
            [sys.executable, "-m", "sweep.run", *arguments, "--address", self.cluster.address],
            cwd=cwd,
            env=self.environment | {"MEDICAL_SWEEP_CACHE": str(cwd / cache)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def lose(self, victim: int) -> None:
        """Kill the node, not the head's, whose process this is, with all that runs on it."""
        [node] = [node for node in self.cluster.worker_nodes if raylet(node) == victim]
        self.cluster.remove_node(node, allow_graceful=False)


def raylet(node: Any) -> int:
    return int(node.all_processes["raylet"][0].process.pid)


def parent(pid: int) -> int:
    asked = ["ps", "-o", "ppid=", "-p", str(pid)]
    return int(subprocess.run(asked, capture_output=True, text=True, check=False).stdout or 0)


@pytest.fixture(scope="module")
def nodes(object_store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    root = tmp_path_factory.mktemp("nodes")
    environment, folders = dict(os.environ) | {"RAY_AUTH_MODE": "disabled"}, []
    with pytest.MonkeyPatch.context() as patch:

        def each() -> Iterator[dict[str, int]]:
            for number in range(3):
                folder = root / f"node{number}"
                folder.mkdir()
                patch.chdir(folder)
                patch.setenv("MEDICAL_SWEEP_CACHE", str(folder / "cache"))
                folders.append(folder)
                # The head trains nothing: it cannot be lost, and a trial on it could not either.
                yield {"num_cpus": min(number, 1)}

        with cluster_of(each()) as cluster:
            yield Nodes(cluster, folders, environment)


def wait_for(happened: Callable[[], Any], process: subprocess.Popen[str]) -> Any:
    """What ``happened`` returns as soon as it is true, of a sweep that still runs."""
    deadline = time.monotonic() + TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        if found := happened():
            return found
        time.sleep(0.02)
    process.kill()
    return pytest.fail("it did not happen:\n" + "\n".join(process.communicate()))


def finish(process: subprocess.Popen[str]) -> str:
    stdout, stderr = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, stderr
    return stdout


def worker(trial: Path) -> int:
    """Process id of the one that took the trial up last; 0 for none."""
    return int(entries[-1]["process"]["pid"]) if (entries := runs(trial)) else 0


def runs(trial: Path) -> list[dict[str, Any]]:
    """One entry for each process that took the trial up."""
    file = trial / "provenance.json"
    return list(json.loads(file.read_text())["runs"]) if file.exists() else []


def epochs(trial: Path) -> int:
    file = trial / "history.jsonl"
    return file.read_text().count("\n") if file.exists() else 0


def ranked(text: str) -> dict[str, tuple[float, int]]:
    """Validation Dice and its epoch of each trial, in the order of a ``ranking.csv``."""
    rows = csv.DictReader(io.StringIO(text))
    return {row["trial_id"]: (float(row["val_dice"]), int(row["best_epoch"])) for row in rows}


@pytest.fixture(scope="module")
def cwd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the user is: ``tiny.yaml`` with data beside it, under a relative path."""
    folder = tmp_path_factory.mktemp("user")
    write_shapes(folder / "raw", ShapesData(source="shapes", difficulty=0, size=32, count=15))
    (folder / "tiny.yaml").write_text(SWEEP)
    (folder / "drawn.yaml").write_text(FUNCTION)
    (folder / "drawn.py").write_text(DRAWN)
    (folder / "finalists.yaml").write_text(FINALISTS)
    (folder / "where.py").write_text(WHERE)
    return folder


def undisturbed(cwd: Path, file: str) -> dict[str, tuple[float, int]]:
    """What `ranked` must give for it, by training each trial alone and without a cluster."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        spec = load_sweep(file)
    [(searched, grid)] = spec.space.items()
    best = {}
    for number, value in enumerate(grid.values):
        reported: list[EpochMetrics] = []
        fit(spec.trial({searched: value}), report=reported.append)
        top = max(reported, key=lambda m: m.val_dice or 0.0)
        best[f"t{number:04d}"] = (top.val_dice or 0.0, top.epoch)
    return dict(sorted(best.items(), key=lambda item: -item[1][0]))


# A folder that all nodes see, and a node that is lost.


@dataclass(frozen=True)
class Lost:
    """A sweep that lost one of its two nodes in the middle of a trial."""

    folder: Path
    trial: Path
    epochs_before: int
    raylets: list[int]
    """Process id of the node that each of the trial's workers ran on."""


@pytest.fixture(scope="module")
def lost(nodes: Nodes, cwd: Path) -> Lost:
    process = nodes.sweep(cwd, "tiny.yaml", "--results", "out")
    folder = cwd / "out" / "tiny"
    head = raylet(nodes.cluster.head_node)

    def under_way() -> tuple[Path, int] | None:
        for trial in folder.glob("trials/*"):
            if 5 <= epochs(trial) < 30 and parent(worker(trial)) not in (0, head):
                return trial, parent(worker(trial))
        return None

    trial, victim = wait_for(under_way, process)
    nodes.lose(victim)
    before = epochs(trial)
    wait_for(lambda: epochs(trial) > before and len(runs(trial)) == 2, process)
    raylets = [victim, parent(worker(trial))]
    finish(process)
    return Lost(folder, trial, before, raylets)


def test_trial_of_a_lost_node_goes_on_elsewhere_from_its_checkpoint(lost: Lost) -> None:
    first, second = runs(lost.trial)
    assert first["first_epoch"] in (0, 3)  # it may have begun with a warm-up that is shared
    assert second["first_epoch"] >= lost.epochs_before
    assert lost.raylets[0] != lost.raylets[1] != 0


def test_ranking_is_as_if_no_node_had_been_lost(lost: Lost, cwd: Path) -> None:
    assert ranked((lost.folder / "ranking.csv").read_text()) == undisturbed(cwd, "tiny.yaml")


def test_nodes_train_with_exactly_the_code_of_the_driver(lost: Lost) -> None:
    code = [run["code"] for trial in lost.folder.glob("trials/*") for run in runs(trial)]
    assert {entry["sources"] for entry in code} == {codebase().sources}
    assert str(PACKAGE) not in {entry["path"] for entry in code}


def test_each_node_prepares_the_data_once(lost: Lost, nodes: Nodes) -> None:
    for folder in nodes.folders[1:]:  # all that train
        assert len(list((folder / "cache").glob("nnunet_raw-*/"))) == 1


# Results in an object store, and a driver that is lost with its machine.


@dataclass(frozen=True)
class Stored:
    """A sweep at a URI; its driver was killed and it went on from another machine."""

    uri: str
    epochs_before: int
    stdout: str

    def read(self, name: str) -> str:
        return (RemoteFolder(self.uri).read(name) or b"").decode()


@pytest.fixture(scope="module")
def stored(nodes: Nodes, lost: Lost, cwd: Path, object_store: str) -> Stored:
    arguments = ["drawn.yaml", "--results", f"{object_store}/my/sweeps"]
    first = nodes.sweep(cwd, *arguments, cache="first")
    [*_] = wait_for(
        lambda: list(cwd.glob("first/results/*/drawn/trials/t0001/history.jsonl")), first
    )
    [trial] = cwd.glob("first/results/*/drawn/trials/t0001")
    wait_for(lambda: epochs(trial) >= 5, first)
    first.kill()
    first.communicate()
    before = epochs(trial)
    stdout = finish(nodes.sweep(cwd, *arguments, "--resume", cache="second"))
    return Stored(f"{object_store}/my/sweeps/drawn", before, stdout)


def test_sweep_in_an_object_store_goes_on_from_another_machine(stored: Stored, cwd: Path) -> None:
    assert ranked(stored.read("ranking.csv")) == undisturbed(cwd, "drawn.yaml")
    assert "t0000" not in "".join(re.findall(r"^\[.*", stored.stdout, re.MULTILINE))


def test_trial_went_on_from_the_checkpoint_in_the_object_store(stored: Stored) -> None:
    [_, second] = json.loads(stored.read("trials/t0001/provenance.json"))["runs"]
    assert second["first_epoch"] >= stored.epochs_before


def test_object_store_holds_the_results_and_only_the_best_checkpoints(stored: Stored) -> None:
    files = RemoteFolder(stored.uri).files()
    assert {"sweep.yaml", "journal.jsonl", "ranking.csv", "best.yaml"} <= files
    assert sorted(name for name in files if name.endswith(".pt")) == [
        f"trials/t000{number}/best.pt" for number in range(3)
    ]


def test_nodes_keep_nothing_of_a_sweep_in_an_object_store(stored: Stored, nodes: Nodes) -> None:
    assert [list((folder / "cache" / "scratch").glob("*")) for folder in nodes.folders[:1]] == [[]]


def test_ranking_of_an_object_store_is_read_from_anywhere(stored: Stored) -> None:
    result = CliRunner().invoke(app, ["rank", stored.uri, "--format", "csv"])
    assert result.exit_code == 0
    assert result.stdout == stored.read("ranking.csv")


def test_finalists_of_an_object_store_are_tested_and_drawn_on_the_nodes(
    nodes: Nodes, lost: Lost, cwd: Path, object_store: str
) -> None:
    stdout = finish(nodes.sweep(cwd, "finalists.yaml", "--results", f"{object_store}/tested"))
    assert "Evaluating the finalists on the test split" in stdout
    there = RemoteFolder(f"{object_store}/tested/finalists")
    for trial in ("trials/t0000", "trials/t0001"):
        scores = json.loads((there.read(f"{trial}/test.json") or b"").decode())["cases"]
        assert len(scores) == 3
        assert {one["values"]["on_node"] for case in scores for one in case["classes"]} == {1.0}
        drawn = json.loads((there.read(f"{trial}/pictures/index.json") or b"").decode())
        assert drawn["cases"]
    assert not (cwd / "driver" / "scratch").exists()
