"""Where a sweep stands, as its results folder tells it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sweep.console.sweep_progress import Phase
from sweep.console.watch_view import Watching
from sweep.spec.load import to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.store import Store
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import ResultsError
from sweep.vocabulary.record import Outcome, Status

DONE = Outcome(status=Status.COMPLETED)


def spec_of(**changes: object) -> SweepSpec:
    values = {"name": "toy", "trials": 2, "space": {"optimizer.lr": {"uniform": [0.1, 0.2]}}}
    return SweepSpec.model_validate(values | changes)


def trained(store: Store, number: int, *, epochs: int, ended: bool = True) -> None:
    name = store.start_trial(number, {"optimizer.lr": 0.1}, "")
    for epoch in range(epochs):
        store.append_epoch(name, EpochMetrics(epoch=epoch, val_dice=0.5, seconds=3.0))
    if ended:
        store.end_trial(name, DONE)


def phase(watching: Watching) -> Phase:
    watching.look()
    return watching.progress.phase


def test_sweep_runs_while_somebody_holds_its_folder_and_trials_are_left(tmp_path: Path) -> None:
    with Store.create(tmp_path / "toy", to_yaml(spec_of())) as store:
        watching = Watching(store.layout.folder)
        assert phase(watching) is Phase.RUNNING
        trained(store, 0, epochs=2)
        trained(store, 1, epochs=1, ended=False)
        assert phase(watching) is Phase.RUNNING
    assert phase(watching) is Phase.STOPPED
    with Store.open(tmp_path / "toy") as store:
        assert phase(watching) is Phase.RUNNING
        store.end_trial("t0001", DONE)
        assert phase(watching) is Phase.FINISHED


def test_extended_sweep_has_more_trials_from_then_on(tmp_path: Path) -> None:
    with Store.create(tmp_path / "toy", to_yaml(spec_of())) as store:
        watching = Watching(store.layout.folder)
        for number in range(2):
            trained(store, number, epochs=1)
        assert phase(watching) is Phase.FINISHED
        store.change_spec(to_yaml(spec_of(trials=5)))
        assert phase(watching) is Phase.RUNNING
        assert watching.progress.trials == 5


def test_sweep_that_confirms_its_leaders_is_finished_by_as_many_replicates_as_it_took(
    tmp_path: Path,
) -> None:
    confirmed = spec_of(confirm={"top": 2, "seeds": 2})
    with Store.create(tmp_path / "toy", to_yaml(confirmed)) as store:
        watching = Watching(store.layout.folder)
        for number in range(2):
            trained(store, number, epochs=1)
        assert watching.progress.trials == 2 + 2 * 2
        assert phase(watching) is Phase.RUNNING
        trained(store, 2, epochs=1)
        assert phase(watching) is Phase.RUNNING
    assert phase(watching) is Phase.FINISHED


def test_what_is_left_is_reckoned_from_the_time_that_epochs_took(tmp_path: Path) -> None:
    spec = spec_of(trials=4, trainer={"epochs": 10}, loss={"warmup_epochs": 0})
    with Store.create(tmp_path / "toy", to_yaml(spec)) as store:
        watching = Watching(store.layout.folder)
        watching.look()
        assert watching.progress.left_words == "starting"
        trained(store, 0, epochs=10)
        trained(store, 1, epochs=5, ended=False)
        trained(store, 2, epochs=5, ended=False)
        watching.look()
    # Half of the sweep took 20 epochs of 3 s; the other half takes as long, two at a time.
    assert watching.progress.time_words == "1 min 00 s of training"
    assert watching.progress.remaining == pytest.approx(30.0)


def test_folder_that_is_deleted_while_it_is_watched_is_an_error_in_words(tmp_path: Path) -> None:
    Store.create(tmp_path / "toy", to_yaml(spec_of())).close()
    watching = Watching(tmp_path / "toy")
    shutil.rmtree(tmp_path / "toy")
    with pytest.raises(ResultsError, match=r"cannot read .*sweep\.yaml: No such file"):
        watching.look()
