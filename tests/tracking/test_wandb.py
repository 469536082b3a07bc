"""W&B's offline runs, read back from the files that `wandb sync` uploads."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from sweep.engine.decisions.sweep_controller import SweepController
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.layout import Layout, TrialPaths
from sweep.store.store import Store
from sweep.testing import TrackerContract
from sweep.tracking.make_trackers import tracking
from sweep.tracking.tracker import Tracked
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Divergence, Outcome, Status

wandb = pytest.importorskip("wandb")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

from wandb.proto.wandb_internal_pb2 import Record  # noqa: E402

from sweep.tracking.wandb_tracker import WandbTracker, nested  # noqa: E402

DIVERGED = Outcome.diverged(
    Divergence(cause="nonfinite", epoch=1, step=0, term="aspect", message="Set ε to 1e-6.")
)
BLOCK = 32768


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As a user who has set the mode; W&B reads it once a process."""
    wandb.teardown()
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path))  # what artifacts wait in


class TestContract(TrackerContract):
    make = WandbTracker


def records(file: Path) -> Iterator[Record]:
    """A log of LevelDB's format: https://github.com/google/leveldb/blob/main/doc/log_format.md"""
    content, place, whole = file.read_bytes(), 7, b""
    while place + 7 <= len(content):
        left = BLOCK - place % BLOCK
        _crc, size, kind = struct.unpack_from("<IHB", content, place)
        if left < 7 or kind == 0:
            place += left
            continue
        whole += content[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # full, last
            record = Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


def run_in(folder: Path) -> Any:
    """What a run has: its record, config, history by step, summary, files."""
    (file,) = folder.glob("*.wandb")
    found = SimpleNamespace(config={}, history={}, summary={}, files=set(), artifacts=[], exit=None)
    for record in records(file):
        match kind := record.WhichOneof("record_type"):
            case "run":
                found.run = record.run
                found.config |= {i.key: json.loads(i.value_json) for i in record.run.config.update}
            case "config":
                found.config |= {i.key: json.loads(i.value_json) for i in record.config.update}
            case "history":
                row = items(record.history.item)
                found.history[row.pop("_step")] = row
            case "summary":
                found.summary |= items(record.summary.update)
            case "artifact":
                found.artifacts.append({entry.path for entry in record.artifact.manifest.contents})
            case "exit":
                found.exit = getattr(record, kind).exit_code
    below = folder / "files"
    found.files = {p.relative_to(below).as_posix() for p in below.rglob("*") if p.is_file()}
    return found


def items(found: Any) -> dict[str, Any]:
    return {one.key or "/".join(one.nested_key): json.loads(one.value_json) for one in found}


def runs_of(layout: Layout) -> dict[str, Any]:
    """By name. W&B's own process has written all of a run once it has ended."""
    wandb.teardown()
    runs = [run_in(folder) for folder in layout.wandb.glob("offline-run-*")]
    found = {one.run.display_name: one for one in runs}
    assert len(found) == len(runs)  # none is there twice
    return found


UPLOADED = (
    "W&B logs offline, because it is configured to (`WANDB_MODE`); later, upload the runs with:"
    " wandb sync {}/offline-run-*"
)


def epoch(number: int) -> EpochMetrics:
    return EpochMetrics(epoch=number, val_dice=number / 4, terms={"dice": 0.5, "ce": None})


def session(
    spec: SweepSpec, store: Store, play: Callable[[SweepController], None], **told: list[str]
) -> None:
    """A session of a sweep, tracked as `sweep.run` tracks it."""
    tracked = Tracked(spec.name, store.layout, store.layout.trial)
    warn = told.get("warnings", []).append
    with tracking(["wandb"], tracked, warn) as trackers:
        play(SweepController(spec, store, trackers))
        store.layout.ranking_csv.write_text("rank,trial_id,val_dice\n1,t0000,0.25\n,t0001,\n")
        for tracker in trackers:
            tracker.ranked()
            tracker.pictures_drawn("t0000", {"worst: a, Dice 0.5": png()})


def png() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (2, 2), (1, 2, 3)).save(content, format="png")
    return content.getvalue()


def test_a_sweep_is_a_group_of_runs_with_their_settings_curves_ends_and_tables(
    make_store: Callable[[], Store], spec: SweepSpec
) -> None:
    ends = [Outcome(status=Status.COMPLETED), DIVERGED, Outcome(status=Status.PRUNED, cause="late")]

    def play(controller: SweepController) -> None:
        for outcome in ends:
            folder = controller.next_trial()
            assert folder is not None
            for number in range(2):
                controller.report(folder.name, epoch(number))
            if outcome is not DIVERGED:
                (folder / "cases.csv").write_text("case,class,dice\n007,liver,0.5\nb,liver,\n")
            controller.end(folder.name, outcome)

    warnings = list[str]()
    with make_store() as store:
        session(spec, store, play, warnings=warnings)
        runs, trials = runs_of(store.layout), store.records()
    assert warnings == [UPLOADED.format(store.layout.wandb)]
    assert runs.keys() == {"toy", "t0000", "t0001", "t0002"}
    [group] = {run.run.run_group for run in runs.values()}
    sweep = group.removeprefix("toy-")
    assert {name: run.run.run_id for name, run in runs.items()} == {
        "toy": sweep,
        **{record.trial_id: f"{sweep}-{record.trial_id}" for record in trials},
    }
    for record in trials:
        run = runs[record.trial_id]
        assert run.config["loss"] == {"warmup_epochs": record.parameters["loss.warmup_epochs"]}
        assert run.config["optimizer"] == {"lr": 0.1}
        assert run.config["status"] == record.status
        assert [run.history[step]["val_dice"] for step in (0, 1)] == [0, 0.25]
        assert [run.history[step]["epoch"] for step in (0, 1)] == [0, 1]
        assert run.history[0]["terms/dice"] == 0.5
        assert "terms/ce" not in run.history[0]
        assert [*run.run.tags] == [record.status.value]
        assert "config.yaml" in run.files
    completed, diverged, pruned = (runs[record.trial_id] for record in trials)
    assert [run.exit for run in (completed, diverged, pruned)] == [0, 1, 0]
    assert (completed.summary["best_val_dice"], completed.summary["best_epoch"]) == (0.25, 1)
    assert diverged.summary["cause"] == "nonfinite (aspect) at epoch 1 step 0"
    assert "best_val_dice" not in diverged.summary
    assert diverged.run.notes == "Set ε to 1e-6."
    assert "divergence.json" in diverged.files
    assert completed.history[2]["cases/nrows"] == 2
    assert not [name for name in diverged.files if "cases" in name]
    whole = runs["toy"]
    assert {"sweep.yaml", "ranking.csv"} in whole.artifacts
    assert any(name.startswith("media/table/ranking") for name in whole.files)
    assert any(name.startswith("media/images/segmentations/t0000") for name in whole.files)

    def table(name: str) -> Any:
        file = next(store.layout.wandb.glob(f"*/files/media/table/{name}*.json"))
        return json.loads(file.read_text())["data"]

    assert table("ranking") == [[1, "t0000", 0.25], [None, "t0001", None]]
    assert table("cases") == [["007", "liver", 0.5], ["b", "liver", None]]


def test_a_sweep_that_goes_on_logs_no_epoch_twice_under_the_same_ids(
    make_store: Callable[[], Store], spec: SweepSpec
) -> None:
    def first(controller: SweepController) -> None:
        done = controller.next_trial()
        assert done is not None
        controller.report(done.name, epoch(0))
        controller.end(done.name, Outcome(status=Status.COMPLETED))
        unfinished = controller.next_trial()
        assert unfinished is not None
        controller.report(unfinished.name, epoch(0))

    def second(controller: SweepController) -> None:
        folder = controller.next_trial()
        assert folder is not None
        controller.report(folder.name, epoch(1))
        controller.end(folder.name, Outcome(status=Status.COMPLETED))

    seen = []
    for play in (first, second):
        with make_store() as store:
            session(spec, store, play)
            seen.append(runs_of(store.layout))
    before, after = seen
    assert before.keys() == after.keys() == {"toy", "t0000", "t0001"}
    for name, run in after.items():
        assert run.run.run_id == before[name].run.run_id
    assert (before["t0000"].exit, before["t0001"].exit) == (0, 1)
    assert [*after["t0000"].history] == [0]
    assert [after["t0001"].history[step]["epoch"] for step in (0, 1)] == [0, 1]
    assert after["t0001"].exit == 0


def test_a_single_training_is_a_run_with_all_of_its_settings(tmp_path: Path) -> None:
    layout, paths = Layout(tmp_path), TrialPaths(tmp_path)
    paths.config.write_text("optimizer: {lr: 0.1}\ntrainer: {epochs: 2}\n")
    tracked = Tracked("train-best", layout, lambda _: paths, nested=False)
    told = list[str]()
    with tracking(["wandb"], tracked, told.append) as (tracker,):
        tracker.trial_started("train-best", {})
        tracker.epoch_reported("train-best", epoch(0))
    assert told == [UPLOADED.format(layout.wandb)]
    run = runs_of(layout)["train-best"]
    assert (run.config["optimizer"], run.config["trainer"]) == ({"lr": 0.1}, {"epochs": 2})
    assert run.run.run_group == ""


def test_settings_become_nested_because_wandb_allows_no_dots() -> None:
    found = nested({"loss.weights.aspect": 0.1, "loss.eps": 0, "network.channels": (8, 16)})
    assert found == {
        "loss": {"weights": {"aspect": 0.1}, "eps": 0},
        "network": {"channels": "[8, 16]"},
    }


def test_without_a_key_the_sweep_is_logged_offline_and_that_is_told_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wandb.teardown()
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    told, layout = list[str](), Layout(tmp_path / "toy")
    tracked = Tracked("toy", layout, layout.trial)
    with tracking(["wandb"], tracked, told.append) as (tracker,):
        for trial_id in ("t0000", "t0001"):
            tracker.trial_started(trial_id, {})
            tracker.epoch_reported(trial_id, epoch(0))
    assert told == [
        "W&B logs offline, because no API key is configured (`wandb login`); later, upload the runs"
        f" with: wandb sync {layout.wandb}/offline-run-*"
    ]
    assert runs_of(layout).keys() == {"t0000", "t0001"}
