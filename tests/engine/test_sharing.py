"""A shared warm-up is trained once, however many trials run at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sweep.engine.decisions.sweep_controller import SweepController
from sweep.search.schedulers.scheduler import Decision
from sweep.spec.load import load_trial, to_yaml
from sweep.spec.search.shared_warmup import trunk_key, trunk_length
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.store import Store
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Status, TrialRecord

EPOCHS = 9


SPACE = {
    "loss.warmup_epochs": {"randint": [0, 7]},
    "loss.weights.compactness": {"uniform": [0.1, 1]},
}


def spec_of(**changes: object) -> SweepSpec:
    values = {
        "name": "toy",
        "trials": 12,
        "trainer": {"epochs": EPOCHS},
        "searcher": "random",
        "scheduler": "none",
        "space": SPACE,
    }
    return SweepSpec.model_validate(values | changes)


class Workers:
    """Trains nothing, but counts what a worker would train: epochs no snapshot exists of."""

    def __init__(self) -> None:
        self.trained_of_trunks = 0
        self.most_at_a_time = 0
        self._snapshots: dict[str, set[int]] = {}

    def epochs(self, folder: Path) -> Iterator[EpochMetrics]:
        config = load_trial(folder / "config.yaml")
        key, length = trunk_key(config), trunk_length(config)
        snapshots = self._snapshots.setdefault(key, {0})
        start = max(epochs for epochs in snapshots if epochs <= length)
        for epoch in range(EPOCHS):
            metrics = EpochMetrics(epoch=epoch, val_dice=0.5, shared=epoch < start)
            if start <= epoch < length:
                self.trained_of_trunks += 1
            if epoch < length:
                snapshots.add(epoch + 1)
            yield metrics

    def run(self, controller: SweepController, at_a_time: int) -> None:
        """Trials report one epoch in turn, which several processes would do."""
        running: list[tuple[str, Iterator[EpochMetrics]]] = []
        while True:
            while len(running) < at_a_time and (folder := controller.next_trial()) is not None:
                running.append((folder.name, self.epochs(folder)))
            if not running:
                return
            self.most_at_a_time = max(self.most_at_a_time, len(running))
            name, epochs = running.pop(0)
            metrics = next(epochs, None)
            if metrics is None:
                controller.end(name, Outcome(status=Status.COMPLETED))
            elif controller.report(name, metrics) is Decision.CONTINUE:
                running.append((name, epochs))


@pytest.mark.parametrize("at_a_time", [1, 2, 5])
def test_every_epoch_of_a_trunk_is_trained_once(tmp_path: Path, at_a_time: int) -> None:
    workers = Workers()
    with Store.create(tmp_path / "toy", to_yaml(spec_of())) as store:
        workers.run(SweepController(spec_of(), store), at_a_time)
        warmups = [record.parameters["loss.warmup_epochs"] for record in store.records()]
    assert len(warmups) == 12
    assert workers.trained_of_trunks == max(warmups)
    assert workers.most_at_a_time == at_a_time


def test_trials_of_several_bases_wait_for_their_own_trunk_alone(tmp_path: Path) -> None:
    spec = spec_of(space={**SPACE, "optimizer.lr": {"choice": [0.1, 0.2]}})
    workers = Workers()
    with Store.create(tmp_path / "toy", to_yaml(spec)) as store:
        workers.run(SweepController(spec, store), 3)
        longest: dict[object, int] = {}
        for record in store.records():
            base, warmup = (
                record.parameters["optimizer.lr"],
                record.parameters["loss.warmup_epochs"],
            )
            assert isinstance(warmup, int)
            longest[base] = max(longest.get(base, 0), warmup)
    assert workers.trained_of_trunks == sum(longest.values())


def test_what_was_shared_stands_in_the_history(tmp_path: Path) -> None:
    with Store.create(tmp_path / "toy", to_yaml(spec_of())) as store:
        Workers().run(SweepController(spec_of(), store), 1)
        first, *others = store.records()
        assert first.trained == first.history
        longest = first.parameters["loss.warmup_epochs"]
        for record in others:
            warmup = record.parameters["loss.warmup_epochs"]
            assert isinstance(warmup, int)
            assert isinstance(longest, int)
            assert len(record.history) - len(record.trained) == min(warmup, longest)
            longest = max(longest, warmup)


def test_interrupted_sweep_goes_on_where_its_trunk_was(tmp_path: Path) -> None:
    """Whoever trained a trunk when the driver died is the one that trains it further."""
    spec = spec_of(
        space={"loss.warmup_epochs": {"choice": [4]}, "loss.min_area": {"uniform": [1, 9]}}
    )
    with Store.create(tmp_path / "toy", to_yaml(spec)) as store:
        controller = SweepController(spec, store)
        first = controller.next_trial()
        assert first is not None
        assert controller.next_trial() is None
        assert not controller.finished
        for epoch in range(2):
            controller.report(first.name, EpochMetrics(epoch=epoch, val_dice=0.5))
    with Store.open(tmp_path / "toy") as store:
        controller = SweepController(spec, store)
        again = controller.next_trial()
        assert again is not None
        assert again.name == first.name
        assert controller.next_trial() is None
        for epoch in range(2, 4):
            controller.report(first.name, EpochMetrics(epoch=epoch, val_dice=0.5))
        second = controller.next_trial()
        assert second is not None
        assert second.name != first.name


def test_wall_time_of_a_trial_is_that_of_the_epochs_that_it_trained() -> None:
    own = EpochMetrics(epoch=1, val_dice=0.5, seconds=2.0)
    taken = replace(own, epoch=0, shared=True)
    record = TrialRecord(trial_id="t0000", number=0, parameters={}, history=(taken, own))
    assert record.seconds == 2.0


def test_snapshots_are_dropped_when_no_trial_is_left(tmp_path: Path) -> None:
    spec = spec_of(trials=2)
    with Store.create(tmp_path / "toy", to_yaml(spec)) as store:
        snapshot = store.layout.trunks / "key" / "3"
        snapshot.mkdir(parents=True)
        controller = SweepController(spec, store)
        workers = Workers()
        first = controller.next_trial()
        assert first is not None
        for metrics in workers.epochs(first):
            controller.report(first.name, metrics)
        controller.end(first.name, Outcome(status=Status.COMPLETED))
        assert snapshot.is_dir()
        workers.run(controller, 1)
        assert not store.layout.trunks.exists()
