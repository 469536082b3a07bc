"""One real sweep, looked at through Ray's dashboard and a real Prometheus."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from test_sweep_e2e import descendants, listening
from typer.testing import CliRunner

from sweep.cli import app
from sweep.console.console_words import dashboard_words
from sweep.engine.decisions.sweep_metrics import COUNTERS, Metric

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "monitoring"
DISCOVERY = "ray/prom_metrics_service_discovery.json"
TOKEN = "only-for-this-test-0123456789abcdef0123456789"
TIMEOUT = 300.0
"""Seconds; far more than anything here takes."""

# The first trial diverges in its third epoch, the second takes its first two from it and then
# trains until it is interrupted.
SWEEP = """\
searcher: grid
scheduler: none
max_concurrent: 1
data: {source: shapes, difficulty: 0, size: 32, count: 15}
trainer: {epochs: 100000, batch_size: 4, device: cpu}
network: {name: unet, channels: [4, 8, 16]}
loss: {warmup_epochs: 2, rampup_epochs: 0, weights: {compactness: 0.5}}
optimizer: {lr: 0.1, momentum: 0.95}
evaluation: {metrics: [waits.py:waits]}
early_stopping: {patience: null}
resources: {cpu: 1, gpu: 0}
space:
  loss.sqrt_epsilon: {grid: [0, 1.0e-6]}
"""
# Measured in each epoch, so that the trial takes no core from other tests while it is watched.
WAITS = """\
import time


def waits(prediction, reference):
    time.sleep(0.3)
    return 0.0
"""

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="there is no `prometheus` on this machine"
)


@dataclass(frozen=True)
class Watched:
    """A sweep that runs, and who watches it."""

    pid: int
    folder: Path
    address: str
    first_line: str
    prometheus: str | None

    def dashboard(self, path: str, token: str = TOKEN) -> Any:
        request = Request(
            f"http://{self.address}{path}", headers={"Authorization": f"Bearer {token}"}
        )
        with urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def ask(self, path: str, **parameters: str) -> Any:
        """What Prometheus answers; an error of the query fails the test."""
        with urlopen(f"{self.prometheus}/api/v1/{path}?{urlencode(parameters)}", timeout=30) as a:
            return json.load(a)["data"]

    def query(self, expression: str) -> list[Any]:
        found: list[Any] = self.ask("query", query=expression)["result"]
        return found

    def number(self, metric: Metric, **tags: str) -> float | None:
        """The value of a metric with these tags, None where there is none."""
        chosen = ", ".join(f'{name}="{value}"' for name, value in tags.items())
        total = "_total" if metric in COUNTERS else ""
        found = self.query(f"ray_{metric.key}{total}{{{chosen}}}")
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def history(self, trial_id: str) -> list[dict[str, Any]]:
        file = self.folder / "trials" / trial_id / "history.jsonl"
        lines = file.read_text().splitlines(keepends=True) if file.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]


def wait_for(happened: Callable[[], Any]) -> Any:
    """What ``happened`` returns, once that is true."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        if found := happened():
            return found
        time.sleep(0.5)
    raise AssertionError("it did not happen")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(process: subprocess.Popen[str], end: int) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.send_signal(end)
        try:
            process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@contextmanager
def prometheus(folder: Path, discovery: Path) -> Iterator[str | None]:
    """A server with our configuration, but for the place of Ray's temporary files."""
    binary = shutil.which("prometheus")
    if binary is None:
        yield None
        return
    text = (EXAMPLES / "prometheus.yml").read_text()
    assert text.count(f"/tmp/{DISCOVERY}") == 1
    config = folder / "prometheus.yml"
    config.write_text(text.replace(f"/tmp/{DISCOVERY}", str(discovery)))
    address = f"127.0.0.1:{free_port()}"
    command = [binary, f"--config.file={config}", f"--web.listen-address={address}"]
    command += [f"--storage.tsdb.path={folder / 'tsdb'}", "--log.level=error"]
    with running(subprocess.Popen(command, text=True), signal.SIGTERM):
        yield f"http://{address}"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    cwd = tmp_path_factory.mktemp("watched")
    (cwd / "tiny.yaml").write_text(SWEEP)
    (cwd / "waits.py").write_text(WAITS)
    with tempfile.TemporaryDirectory(prefix="s", dir="/tmp") as short:  # sockets lie in there
        environment = os.environ | {
            "COLUMNS": "1000",
            "RAY_TMPDIR": short,
            "RAY_AUTH_TOKEN": TOKEN,
            "RAY_metrics_report_interval_ms": "5000",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "sweep.run", "tiny.yaml", "--dashboard"],
            cwd=cwd,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with running(process, signal.SIGINT), prometheus(cwd, Path(short, DISCOVERY)) as server:
            assert process.stdout is not None
            first = process.stdout.readline()
            found = re.match(r"Dashboard: http://(\S+)", first)
            assert found, (first, process.stderr)
            watched = Watched(process.pid, cwd / "results" / "tiny", found[1], first, server)
            wait_for(lambda: len(watched.history("t0001")) > 4)
            yield watched
        assert process.returncode == 130


def test_address_of_the_dashboard_is_told_with_the_way_in(watched: Watched) -> None:
    host = socket.gethostname()
    assert watched.first_line == dashboard_words(watched.address, host, asks_for_token=True) + "\n"
    assert watched.address.startswith("127.0.0.1:")


def test_dashboard_tells_nothing_without_the_token(watched: Watched) -> None:
    with pytest.raises(HTTPError, match=r"40[13]"):
        watched.dashboard("/logical/actors", token="guessed")


def test_one_actor_named_after_the_sweep_trains_one_trial_after_the_other(watched: Watched) -> None:
    actors = watched.dashboard("/logical/actors")["data"]["actors"].values()
    assert [(actor["actorClass"], actor["reprName"]) for actor in actors] == [
        ("TrialActor", "tiny worker")
    ]


def test_process_of_a_trial_shows_its_epoch_and_dice(watched: Watched) -> None:
    def titles() -> list[str]:
        [node] = watched.dashboard("/nodes?view=summary")["data"]["summary"]
        detail = watched.dashboard(f"/nodes/{node['raylet']['nodeId']}")["data"]["detail"]
        return [worker["cmdline"][0] for worker in detail["workers"]]

    shown = re.compile(r"ray::t0001 sqrt_epsilon=1e-6 epoch \d+ Dice 0\.\d{4}")
    wait_for(lambda: any(map(shown.fullmatch, titles())))


def test_nobody_reaches_the_sweep_or_its_dashboard_from_another_machine(watched: Watched) -> None:
    addresses = listening({watched.pid, *descendants(watched.pid)})
    assert addresses
    assert all((address.ipv4_mapped or address).is_loopback for address in addresses)


def test_another_process_watches_it_by_its_folder_alone(watched: Watched) -> None:
    result = CliRunner().invoke(app, ["watch", str(watched.folder), "--once"])
    shown = " ".join(result.stdout.split())
    assert shown.startswith("tiny ")
    assert "1 running · 0 completed · 0 early-stopped · 0 pruned · 1 diverged" in shown
    assert "✗ t0000 nonfinite gradient" in shown
    assert "▸ t0001" in shown


def queries() -> list[str]:
    """Every query of the Grafana dashboard."""
    board = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


@needs_prometheus
def test_every_query_of_the_grafana_dashboard_returns_data(watched: Watched) -> None:
    assert len(queries()) > 10
    waiting = {q.replace("$sweep", "tiny").replace("$__rate_interval", "1m") for q in queries()}
    assert not any("$" in query for query in waiting)

    def all_answered() -> bool:
        waiting.difference_update([query for query in waiting if watched.query(query)])
        return not waiting

    wait_for(all_answered)


@needs_prometheus
def test_grafana_finds_the_sweeps_by_name(watched: Watched) -> None:
    board = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    [variable] = board["templating"]["list"]
    found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
    assert found
    assert watched.ask(f"label/{found[2]}/values", **{"match[]": found[1]}) == ["tiny"]


@needs_prometheus
def test_numbers_are_those_of_the_results_folder(watched: Watched) -> None:
    wait_for(lambda: watched.number(Metric.TRIALS, sweep="tiny", status="diverged") == 1)
    wait_for(lambda: watched.number(Metric.TRIALS, sweep="tiny", status="running") == 1)
    assert watched.number(Metric.TRIALS, sweep="tiny", status="failed") == 0
    assert watched.number(Metric.PLANNED, sweep="tiny") == 2
    assert watched.number(Metric.DIVERGENCES, sweep="tiny", cause="nonfinite") == 1
    shared = [epoch["steps"] for epoch in watched.history("t0001") if epoch["shared"]]
    assert len(shared) == 2
    wait_for(lambda: watched.number(Metric.STEPS_SHARED, sweep="tiny") == sum(shared))
    # These grow meanwhile: what Prometheus has lies between two looks at the folder.
    before = len(watched.history("t0001"))
    trained = len(watched.history("t0000")) - len(shared)
    wait_for(lambda: (watched.number(Metric.TRIAL_EPOCHS, trial="t0001") or 0) >= before)
    epochs = watched.number(Metric.EPOCHS, sweep="tiny")
    assert epochs is not None
    after = len(watched.history("t0001"))
    assert before + trained <= epochs <= after + trained
    dice = [epoch["val_dice"] for epoch in watched.history("t0001")]
    assert watched.number(Metric.TRIAL_DICE, trial="t0001") in dice
    best = watched.number(Metric.BEST_DICE, sweep="tiny")
    assert best is not None
    assert max(dice[:before]) <= best <= max(dice)


@needs_prometheus
def test_trial_that_has_ended_is_no_longer_told(watched: Watched) -> None:
    wait_for(lambda: watched.number(Metric.TRIAL_EPOCHS, trial="t0000") is None)
    assert watched.number(Metric.TRIAL_EPOCHS, trial="t0001")
