"""The controller of a race: the same replicates in any order, after any kill, by any workers."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from scripted import write_scripted
from test_replicates import blocks, curve
from test_sweep_controller import spec_of

import sweep
from sweep.analysis.ranking.finalists import race_of
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.search.schedulers.scheduler import Decision
from sweep.spec.load import to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.store import Store
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import TrialRecord

CONFIRM = {"top": 4, "seeds": 6}


def racing(**changes: Any) -> SweepSpec:
    return spec_of(**{"trials": 7, "confirm": CONFIRM, "presets": ["baseline"]} | changes)


def execute(
    controller: SweepController, random: Random, workers: int, reports: int = 10**9
) -> None:
    """Run trials on so many workers, which report in a drawn order, until so many reports."""
    running: list[tuple[str, Any]] = []
    while reports > 0:
        while len(running) < workers and (folder := controller.next_trial()) is not None:
            dice, outcome = curve(folder)
            told = [EpochMetrics(epoch=n, val_dice=d) for n, d in enumerate(dice)]
            running.append((folder.name, iter([*told, outcome])))
        if not running:
            return
        name, told_by = running.pop(random.randrange(len(running)))
        fact = next(told_by)
        reports -= 1
        if not isinstance(fact, EpochMetrics):
            controller.end(name, fact)
        elif controller.report(name, fact) is Decision.CONTINUE:
            running.append((name, told_by))


def run(
    spec: SweepSpec, folder: Path, seed: int, workers: int, kills: int = 0
) -> list[TrialRecord]:
    random = Random(seed)
    with Store.create(folder, to_yaml(spec)) as store:
        execute(SweepController(spec, store), random, workers, random.randrange(99) * bool(kills))
    for left in range(kills, -1, -1):
        with Store.open(folder) as store:
            controller = SweepController(spec, store)
            execute(controller, random, workers, random.randrange(60) if left else 10**9)
            records = store.records()
    assert controller.finished
    return records


@pytest.mark.parametrize(
    ("seed", "workers", "kills"), [(1, 1, 2), (2, 3, 0), (3, 3, 3), (4, 9, 1), (5, 2, 5), (6, 9, 0)]
)
def test_race_is_the_same_in_any_order_after_any_kill_and_by_any_workers(
    tmp_path: Path, seed: int, workers: int, kills: int
) -> None:
    spec = racing()
    undisturbed, other = (
        run(spec, tmp_path / "a", 0, 1),
        run(spec, tmp_path / "b", seed, workers, kills),
    )
    assert blocks(other) == blocks(undisturbed)
    found = race_of(spec, other)
    assert found == race_of(spec, undisturbed)
    assert found is not None
    assert found.dropped
    assert found.spent == len(blocks(other)) < 5 * 6


def test_no_finalist_begins_a_block_before_all_that_are_left_have_ended_the_one_before(
    tmp_path: Path,
) -> None:
    spec = racing()
    with Store.create(tmp_path / "x", to_yaml(spec)) as store:
        controller = SweepController(spec, store)
        held: list[Path] = []
        while not controller.finished:
            while (folder := controller.next_trial()) is not None:
                held.append(folder)
            running = [store.layout.trial(folder.name) for folder in held]
            replicates = [r for r in store.records() if r.replicate and not r.status.is_final]
            assert len({r.replicate.seed for r in replicates if r.replicate}) <= 1
            assert running
            dice, outcome = curve(held[0])
            for epoch, value in enumerate(dice):
                controller.report(held[0].name, EpochMetrics(epoch=epoch, val_dice=value))
            controller.end(held.pop(0).name, outcome)


def test_budget_is_never_exceeded(tmp_path: Path) -> None:
    spec = racing(confirm={**CONFIRM, "race": True, "budget": 12})
    assert 10 <= len(blocks(run(spec, tmp_path / "x", 0, 3))) <= 12


def test_real_race_end_to_end_names_the_best_and_says_who_was_dropped(tmp_path: Path) -> None:
    entry = write_scripted(
        tmp_path,
        "rate, seed = self.settings.optimizer.lr, self.settings.seed\n"
        "own = (seed * round(70 * rate)) % 5  # another value for each configuration and seed\n"
        "return Validation(dice=0.4 + rate + 0.004 * own)\n",
    )
    file = tmp_path / "race.yaml"
    file.write_text(
        f"trainer: {{kind: custom, entry: '{entry}', epochs: 1, device: cpu}}\n"
        "loss: {weights: {compactness: 0, boundary: 0, aspect: 0}, warmup_epochs: 0}\n"
        "searcher: grid\nscheduler: none\nconfirm: {top: 3, seeds: 6}\n"
        "space: {optimizer.lr: {choice: [0.1, 0.2, 0.3]}}\n"
    )
    spec = sweep.load(file)
    results = sweep.run(spec, results=tmp_path / "results", executor="local")
    frame = results.frame
    assert list(frame["optimizer.lr"]) == [0.3, 0.2, 0.1]
    assert frame["group"][0] == "a"
    assert frame["replicates"][0] < 6
    assert frame["dropped"][1].endswith("behind t0002")
    assert results.is_finished
    assert len(results.replicates) == frame["replicates"].sum() < 3 * 6


def test_all_trials_are_read_once_a_block_whatever_the_number_of_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = racing()
    with Store.create(tmp_path / "x", to_yaml(spec)) as store:
        reads, records = list[int](), store.records
        monkeypatch.setattr(store, "records", lambda: reads.append(1) or records())
        controller = SweepController(spec, store)
        before = len(reads)
        execute(controller, Random(0), workers=3)
        assert controller.finished
        trained = {one[1:] for one in blocks(records())}
        assert len(trained) >= 2
        assert len(reads) - before == len(trained) + 1  # and once more: no further block begins
