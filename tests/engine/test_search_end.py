"""A search that ends before its last trial, executed by a plain loop."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from sweep.analysis.figures.sweep_results import read_results
from sweep.api.results import SweepResults
from sweep.api.run_sweep import _goes_on
from sweep.console.sweep_progress import FollowedProgress, Phase
from sweep.console.watch_view import Watching
from sweep.engine.decisions.search_end import IN_A_ROW
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.engine.session.open_store import open_store
from sweep.engine.session.sweep_location import SweepLocation
from sweep.report.headline import caveat, state
from sweep.search.schedulers.decision import Decision
from sweep.spec.load import to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.session_changes import extended
from sweep.store.journal import TrialEnded, TrialStarted, search_end
from sweep.store.store import Store
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, SearchEnded, Status, TrialRecord

EPOCHS = 5
MEMORY = next(filter(os.path.isdir, ["/dev/shm"]), None)
RULE = {"improvement": 0.05, "after": 12, "chance": 0.1}
SCHEDULERS: Mapping[str, Any] = {
    "none": "none",
    "asha": {"name": "asha", "grace_period": 3, "pause": False},
    "halving": {"name": "asha", "grace_period": 3, "pause": True},
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where that is possible: a disk takes milliseconds for each durable write."""
    with TemporaryDirectory(dir=MEMORY) as made:
        yield Path(made) / "toy"


def spec_of(scheduler: str = "none", **changes: Any) -> SweepSpec:
    values = {
        "name": "toy",
        "trials": 60,
        "space": {"optimizer.lr": {"uniform": [0.1, 0.9]}},
        "searcher": "random",
        "scheduler": SCHEDULERS[scheduler],
        "stop_when": RULE,
        "trainer": {"epochs": EPOCHS},
        "loss": {"warmup_epochs": 0, "rampup_epochs": 0},
    }
    return SweepSpec.model_validate(values | changes)


def dice(number: int, epoch: int) -> float:
    """Of trials that are alike: saturating, with a level between 0.8 and 0.82."""
    level = 0.8 + 0.02 * random.Random(number).random()
    return level * (1 - 0.5 ** (epoch + 1))


def execute(controller: SweepController, at_a_time: int = 1, most_ends: int = 10**9) -> None:
    running: list[list[Any]] = []
    over, ends = False, 0
    while True:
        while len(running) < at_a_time and not over:
            folder = controller.next_trial()
            over = folder is None and controller.finished
            if folder is None:
                break
            known = folder / "history.jsonl"
            done = len(known.read_text().splitlines()) if known.exists() else 0
            running.append([folder.name, done])
        if not running:
            assert controller.finished
            return
        name, epoch = running.pop(0)
        if epoch == EPOCHS:
            controller.end(name, Outcome(status=Status.COMPLETED))
            ends += 1
            if ends == most_ends:
                return
            continue
        value = dice(int(name[1:5]), epoch)
        if controller.report(name, EpochMetrics(epoch=epoch, val_dice=value)) is Decision.CONTINUE:
            running.append([name, epoch + 1])


def run(spec: SweepSpec, folder: Path, at_a_time: int = 1) -> list[TrialRecord]:
    with Store.create(folder, to_yaml(spec)) as store:
        execute(SweepController(spec, store), at_a_time)
        return store.records()


def events_of(folder: Path) -> list[object]:
    with Store.open(folder) as store:
        return list(store.journal())


@pytest.mark.parametrize(("scheduler", "at_a_time"), [("none", 1), ("asha", 3), ("halving", 3)])
def test_search_of_like_trials_ends_early_and_every_started_trial_ends(
    scheduler: str, at_a_time: int, folder: Path
) -> None:
    records = run(spec_of(scheduler), folder, at_a_time)
    end = search_end(folder / "journal.jsonl", 60)
    assert end is not None
    assert 16 <= end.started == len(records) < 60
    assert end.chance < RULE["chance"]
    assert all(record.status.is_final for record in records)
    events = events_of(folder)
    place = events.index(end)
    assert events[place - 1] == TrialEnded(
        end.trial_id, next(r.status for r in records if r.trial_id == end.trial_id)
    )
    ended_before = sum(isinstance(event, TrialEnded) for event in events[:place])
    assert ended_before >= RULE["after"]
    assert not any(isinstance(event, TrialStarted) for event in events[place:])


def test_search_without_the_rule_or_with_much_to_gain_has_all_its_trials(folder: Path) -> None:
    assert len(run(spec_of(stop_when=None), folder / "without")) == 60
    small = run(spec_of(stop_when={"improvement": 1e-6, "after": 12}), folder / "small")
    assert len(small) == 60
    assert search_end(folder / "small" / "journal.jsonl", 60) is None


@pytest.mark.parametrize("scheduler", ["none", "halving"])
def test_sweep_that_is_resumed_after_each_trial_ends_its_search_where_the_whole_one_does(
    scheduler: str, folder: Path
) -> None:
    spec = spec_of(scheduler)
    whole = run(spec, folder / "whole")
    Store.create(folder / "parts", to_yaml(spec)).close()
    for _ in range(60):
        with Store.open(folder / "parts") as store:
            controller = SweepController(spec, store)
            if controller.finished:
                break
            execute(controller, most_ends=4)
    with Store.open(folder / "parts") as store:
        assert store.records() == whole
    ends = [search_end(folder / name / "journal.jsonl", 60) for name in ("whole", "parts")]
    assert ends[0] == ends[1]


def test_crash_before_the_end_of_the_search_is_recorded_loses_nothing(folder: Path) -> None:
    spec = spec_of()
    run(spec, folder)
    journal = folder / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    assert '"search_end"' in lines[-1]
    journal.write_text("".join(lines[:-1]))
    with Store.open(folder) as store:
        assert SweepController(spec, store).finished
    assert journal.read_text() == "".join(lines)


def test_extended_search_goes_on_for_as_many_trials_as_any_search_has_at_least(
    folder: Path,
) -> None:
    spec = spec_of()
    before = len(run(spec, folder))
    more = extended(spec, ["trials=+20"])
    with Store.open(folder) as store:
        store.change_spec(to_yaml(more))
        controller = SweepController(more, store)
        assert not controller.finished
        told = _goes_on(more, store)
        execute(controller)
        assert _goes_on(spec, store) == ""
        records = store.records()
        ends = [event for event in store.journal() if isinstance(event, SearchEnded)]
    assert told == (
        f"`stop_when` had ended the search after {before} of its 60 trials. It goes on, to 80"
        " trials at most: `--extend` counts from `trials`."
    )
    assert before == len(records) - before == RULE["after"] + IN_A_ROW - 1
    assert [(end.started, end.trials) for end in ends] == [(before, 60), (len(records), 80)]
    with Store.open(folder) as store:  # its replay passes over the first end and takes the second
        assert SweepController(more, store).finished


def test_extension_that_ended_early_is_finished_so_that_the_same_one_adds_to_it(
    folder: Path,
) -> None:
    spec = spec_of()
    run(spec, folder)
    for trials in (80, 100):
        told = list[str]()
        more, store = open_store(
            spec, SweepLocation(folder), resume=True, extend=["trials=+20"], say=told.append
        )
        with store:
            execute(SweepController(more, store))
        assert (more.trials, told) == (trials, [])


def test_unfinished_extension_is_told_to_who_asks_for_trials_and_not_for_time(
    folder: Path,
) -> None:
    spec = spec_of()
    run(spec, folder)
    told = list[str]()
    for extension in ("trials=+20", "time_budget=2h", "trials=+20"):
        said = len(told)
        more, store = open_store(
            spec, SweepLocation(folder), resume=True, extend=[extension], say=told.append
        )
        with store:
            assert more.trials == 80
    assert said == 0
    assert "from 60 to 80 trials and has not finished" in "".join(told)


def test_paused_trials_are_decided_as_soon_as_no_further_one_can_come(folder: Path) -> None:
    records = run(spec_of("halving"), folder, at_a_time=3)
    reached = [len(record.history) for record in records]
    assert reached.count(3) + reached.count(EPOCHS) == len(records)
    assert reached.count(EPOCHS) == -(-len(records) // 3)


def test_report_watch_and_results_know_that_the_search_is_over_and_what_it_may_have_missed(
    folder: Path,
) -> None:
    count = len(run(spec_of(), folder))
    results = read_results(folder)
    assert state(results) == f"finished: `stop_when` ended the search at {count} of 60"
    assert "the chance that 20 more trials would find one that is better by more than 0.0500" in (
        caveat(results)
    )
    assert results.is_over
    assert SweepResults(folder).is_finished
    watching = Watching(folder)
    watching.look()
    assert isinstance(watching.progress, FollowedProgress)
    assert watching.progress.phase is Phase.FINISHED
    assert watching.progress.trials == count


def test_crash_before_the_end_of_the_search_is_recorded_leaves_no_paused_trial_without_a_decision(
    folder: Path,
) -> None:
    class Crashing(Store):
        def end_search(self, event: SearchEnded) -> None:
            raise KeyboardInterrupt

    spec = spec_of("halving")
    whole = run(spec, folder / "whole", at_a_time=1)
    with (
        Crashing.create(folder / "toy", to_yaml(spec)) as crashing,
        pytest.raises(KeyboardInterrupt),
    ):
        execute(SweepController(spec, crashing), at_a_time=1)
    with Store.open(folder / "toy") as store:
        execute(SweepController(spec, store), at_a_time=1)
        assert [r.status for r in store.records()] == [r.status for r in whole]
