"""The controller confirms the leaders: which replicates it starts, when, and after what faults."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_sweep_controller import ASHA, DIVERGENCE, Diary, spec_of

from sweep.analysis.ranking.finalists import Planned
from sweep.console.sweep_progress import Progress
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.engine.decisions.sweep_metrics import Metric, samples
from sweep.engine.session.open_store import open_store
from sweep.engine.session.sweep_location import SweepLocation
from sweep.search.schedulers.scheduler import Decision
from sweep.spec.load import load_trial, to_yaml
from sweep.spec.search.replicate_plan import most_replicates
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.store import Store
from sweep.tracking.study_file import StudyFile
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Status, TrialRecord, searched

CONFIRM = {"top": 2, "seeds": 3}
EPOCHS = 4


def confirmed(**changes: Any) -> SweepSpec:
    return spec_of(
        **{"trials": 5, "confirm": CONFIRM, "presets": ["baseline"], "scheduler": ASHA} | changes
    )


def curve(folder: Path) -> tuple[list[float], Outcome]:
    """A function of the configuration alone, its seed and fold included."""
    config = load_trial(folder / "config.yaml")
    of = (config.seed, config.data.fold, config.optimizer.lr, config.early_stopping.patience)
    draw = random.Random(repr(of))
    level = random.Random(repr(of[2:])).random()
    dice = [0.9 * level + 0.1 * draw.random() for _ in range(EPOCHS)]
    if config.seed == 2 and draw.random() < 0.5:
        return dice[:2], Outcome.diverged(DIVERGENCE)
    return dice, Outcome(status=Status.COMPLETED)


def execute(controller: SweepController, at_a_time: int = 1, epochs: int = 10**9) -> None:
    """Run trials to their ends, or until so many epochs are reported."""
    running: list[tuple[str, Outcome, Iterator[EpochMetrics]]] = []
    while True:
        while len(running) < at_a_time and (folder := controller.next_trial()) is not None:
            dice, outcome = curve(folder)
            told = iter([EpochMetrics(epoch=n, val_dice=d) for n, d in enumerate(dice)])
            running.append((folder.name, outcome, told))
        if not running or epochs <= 0:
            return
        name, outcome, told = running.pop(0)
        metrics = next(told, None)
        epochs -= 1
        if metrics is None:
            controller.end(name, outcome)
        elif controller.report(name, metrics) is Decision.CONTINUE:
            running.append((name, outcome, told))


def run(spec: SweepSpec, folder: Path, at_a_time: int = 1) -> list[TrialRecord]:
    with Store.create(folder, to_yaml(spec)) as store:
        controller = SweepController(spec, store)
        execute(controller, at_a_time)
        assert controller.finished
        return store.records()


def go_on(spec: SweepSpec, folder: Path, **how: int) -> list[TrialRecord]:
    with Store.open(folder) as store:
        execute(SweepController(spec, store), **how)
        return store.records()


def blocks(records: list[TrialRecord]) -> list[tuple[str, int, int]]:
    found = (record.replicate for record in records)
    return sorted((one.of, one.seed, one.fold) for one in found if one is not None)


@pytest.mark.parametrize("at_a_time", [1, 3])
def test_leaders_and_the_baseline_run_on_the_same_further_seeds(
    tmp_path: Path, at_a_time: int
) -> None:
    spec = confirmed()
    records = run(spec, tmp_path / "x", at_a_time)
    search = searched(records)
    assert len(search) == 5
    done = [r for r in search if r.status.has_result]
    dice = {r.trial_id: r.best.val_dice for r in done if r.best and r.best.val_dice}
    leaders = {*sorted(dice, key=lambda name: -dice[name])[:2], "t0000"}
    assert blocks(records) == [(of, seed, 0) for of in sorted(leaders) for seed in (1, 2, 3)]
    assert all(record.status.is_final for record in records)
    assert Status.PRUNED not in {r.status for r in records if r.replicate}  # no scheduler sees them
    assert len(records) - len(search) <= most_replicates(spec)


@pytest.mark.parametrize("replayed", [False, True], ids=["patience drawn", "patience replayed"])
def test_replicate_has_its_trials_configuration_but_for_seed_and_fold(
    tmp_path: Path, replayed: bool
) -> None:
    spec = confirmed(
        confirm={"top": 1, "seeds": 2, "folds": 2},
        data={"source": "shapes", "folds": 3, "fold": 2},
        replay_patience=replayed,
    )
    records = run(spec, tmp_path / "x")
    assert {"t0000"} < {r.replicate.of for r in records if r.replicate}  # the baseline, a leader
    assert {(r.seed, r.fold) for r in (x.replicate for x in records) if r} == {
        (1, 2), (1001, 0), (2, 2), (1002, 0)
    }  # fmt: skip
    for record in records:
        if (replicate := record.replicate) is None:
            continue
        own = load_trial(tmp_path / "x" / "trials" / record.trial_id / "config.yaml")
        other = load_trial(tmp_path / "x" / "trials" / replicate.of / "config.yaml")
        assert (own.seed, own.data.fold) == replicate.block
        same = own.model_copy(
            update={"seed": other.seed, "data": own.data.model_copy(update={"fold": 2})}
        )
        assert same == other


def test_searcher_and_scheduler_learn_nothing_of_replicates(tmp_path: Path) -> None:
    """Trials that are added later are those that would have come without any replicate."""
    tpe = {"name": "tpe", "startup_trials": 2}
    few = confirmed(searcher=tpe)
    more = few.model_copy(update={"trials": 8})
    run(few, tmp_path / "a")
    extended = go_on(more, tmp_path / "a")
    plain = run(more.model_copy(update={"confirm": None}), tmp_path / "b")
    assert searched(extended) == plain
    assert {of for of, _, _ in blocks(extended)} >= {"t0000"}


def test_finished_sweep_is_given_a_confirmation_and_later_more_seeds(tmp_path: Path) -> None:
    spec = confirmed(confirm=None)
    location = SweepLocation.of(spec.name, str(tmp_path), None)
    folder = tmp_path / spec.name
    assert blocks(run(spec, folder)) == []
    asked = confirmed(confirm={"top": 1, "seeds": 2})
    for seeds in (2, 3):
        asked = confirmed(confirm={"top": 1, "seeds": seeds})
        spec, store = open_store(asked, location, resume=True)
        with store:
            execute(SweepController(spec, store))
            records = store.records()
        assert {seed for _, seed, _ in blocks(records)} == set(range(1, seeds + 1))
    assert len(searched(records)) == 5


@pytest.mark.parametrize("killed_after", [9, 22, 30, 41])
def test_killed_sweep_confirms_what_an_undisturbed_one_does(
    tmp_path: Path, killed_after: int
) -> None:
    spec = confirmed(scheduler="none")
    undisturbed = run(spec, tmp_path / "a")
    with Store.create(tmp_path / "b", to_yaml(spec)) as store:
        execute(SweepController(spec, store), epochs=killed_after)
    records = go_on(spec, tmp_path / "b")
    assert blocks(records) == blocks(undisturbed)
    assert records == undisturbed


def test_observers_tell_replicates_from_trials_of_the_search(tmp_path: Path) -> None:
    spec = confirmed(scheduler="none")
    diary, planned = Diary(), Planned(spec)
    progress = Progress(planned.total, planned=planned, max_epochs=EPOCHS)
    assert progress.trials == spec.trials + most_replicates(spec)
    with Store.create(tmp_path / "x", to_yaml(spec)) as store:
        study = StudyFile(tmp_path / "study.journal", spec, store.records)
        execute(SweepController(spec, store, [diary, progress, study]))
        study.close()
        records = store.records()
    assert progress.best is not None
    assert progress.best.trial_id in {record.trial_id for record in searched(records)}
    assert progress.finished_trials == progress.trials == len(records)
    [exported] = [s.value for s in samples(progress) if s.metric is Metric.PLANNED]
    assert exported == progress.trials
    started = [told[1] for told in diary.told if isinstance(told, tuple) and told[0] == "start"]
    # The first seed of all finalists, then the next.
    assert [name[-2:] for name in started[5:]] == ["r1"] * 3 + ["r2"] * 3 + ["r3"] * 3


def test_sweep_without_a_result_has_nothing_to_confirm(tmp_path: Path) -> None:
    spec = confirmed(trials=2, presets=[])
    with Store.create(tmp_path / "x", to_yaml(spec)) as store:
        controller = SweepController(spec, store)
        while (folder := controller.next_trial()) is not None:
            controller.end(folder.name, Outcome(status=Status.FAILED, cause="no"))
        assert controller.finished
        assert len(store.records()) == 2
