from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import SWEEP_YAML, results_of, trial

from sweep.analysis.ranking.finalists import Planned
from sweep.analysis.ranking.sweep_state import SHOWN_DIVERGENCES, Best
from sweep.console.sweep_progress import Progress
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, SearchEnded, Status, TrialRecord

FINAL = [status for status in Status if status.is_final]


def test_nothing_is_known_before_the_first_trial(progress: Progress) -> None:
    assert progress.best is None
    assert progress.remaining is None
    assert progress.done == 0
    assert progress.finished_trials == 0
    assert progress.counts == dict.fromkeys(Status, 0)


def test_trials_are_counted_by_status(progress: Progress, story: Any) -> None:
    for number, status in enumerate([*FINAL, Status.PRUNED]):
        story.start(number, 0.5)
        story.end(number, status)
    story.start(8)
    assert progress.counts == {
        Status.RUNNING: 1,
        Status.COMPLETED: 1,
        Status.EARLY_STOPPED: 1,
        Status.PRUNED: 2,
        Status.DIVERGED: 1,
        Status.FAILED: 1,
    }
    assert progress.finished_trials == 6


def test_trial_that_waits_is_not_running_until_its_next_epoch(
    progress: Progress, story: Any
) -> None:
    for number in range(3):
        story.start(number, 0.5)
    progress.trial_waits("t0001")
    assert (progress.counts[Status.RUNNING], progress.waiting) == (2, 1)
    progress.epoch_reported("t0001", EpochMetrics(epoch=1, val_dice=0.6))
    assert (progress.counts[Status.RUNNING], progress.waiting) == (3, 0)
    progress.trial_waits("t0002")
    story.end(2, Status.PRUNED)
    assert (progress.counts[Status.RUNNING], progress.waiting) == (2, 0)


def test_running_trial_shows_its_epochs_and_its_last_and_best_dice(
    progress: Progress, story: Any
) -> None:
    story.start(0, 0.3, 0.7, None, 0.5)
    trial = progress.running["t0000"]
    assert (trial.epochs, trial.value, trial.best) == (4, 0.5, 0.7)
    story.epoch(0, None)
    assert (trial.epochs, trial.value, trial.best) == (5, None, 0.7)


def test_best_is_the_highest_dice_of_any_epoch_with_its_trial(
    progress: Progress, story: Any
) -> None:
    story.start(0, 0.3, 0.7, 0.5)
    story.start(1, 0.6)
    assert progress.best == Best("t0000", 0.7, epoch=1)
    story.epoch(1, 0.71)
    assert progress.best == Best("t0001", 0.71, epoch=1)


@pytest.mark.parametrize("status", [Status.DIVERGED, Status.FAILED])
def test_best_ignores_trials_without_a_result_however_high_their_dice_was(
    progress: Progress, story: Any, status: Status
) -> None:
    story.start(0, 0.4)
    story.start(1, 0.99)
    story.end(1, status)
    assert progress.best == Best("t0000", 0.4, epoch=0)
    story.end(0, status)
    assert progress.best is None


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.EARLY_STOPPED, Status.PRUNED])
def test_best_stays_when_its_trial_ends_with_a_result(
    progress: Progress, story: Any, status: Status
) -> None:
    story.start(0, 0.9, 0.2)
    story.end(0, status)
    assert progress.best == Best("t0000", 0.9, epoch=0)


def test_of_equal_dice_the_trial_that_started_first_is_the_best(
    progress: Progress, story: Any
) -> None:
    for number in range(3):
        story.start(number, 0.8)
    assert progress.best == Best("t0000", 0.8, epoch=0)


def test_the_last_divergences_are_kept(progress: Progress, story: Any) -> None:
    for number in range(SHOWN_DIVERGENCES + 2):
        story.start(number)
        story.end(number, Status.DIVERGED)
    kept = [record.trial_id for record in progress.divergences]
    assert kept == ["t0002", "t0003", "t0004", "t0005"]


def test_done_counts_running_trials_by_their_epochs(progress: Progress, story: Any) -> None:
    story.start(0, 0.1)
    story.end(0, Status.PRUNED)
    story.start(1, 0.1, 0.2)
    assert progress.done == pytest.approx((1 + 2 / 4) / 10)


def test_remaining_goes_on_at_the_pace_since_the_first_epoch(
    progress: Progress, story: Any, clock: Any
) -> None:
    story.start(0)
    clock.now += 30  # Ray and the imports
    assert progress.elapsed == 30
    assert progress.remaining is None  # no epoch yet: no pace
    story.epoch(0, 0.1)
    clock.now += 10
    story.epoch(0, 0.2)
    assert progress.remaining is None  # half a trial of ten: too early to tell
    clock.now += 20
    story.epoch(0, 0.2)
    story.epoch(0, 0.2)
    # 30 s for the last three of its four epochs; nine trials are left.
    assert progress.remaining == pytest.approx(30 / 3 * 4 * 9)


def test_two_trials_that_end_early_are_enough_for_a_pace(clock: Any) -> None:
    progress = Progress(trials=100, max_epochs=50, clock=clock)
    for number in range(2):
        name = f"t{number:04d}"
        history = (EpochMetrics(epoch=0, val_dice=0.5),)
        progress.trial_started(name, {})
        progress.epoch_reported(name, *history)
        assert progress.left_words == "time left not known yet"
        clock.now += 10
        outcome = Outcome(status=Status.PRUNED)
        progress.trial_ended(
            TrialRecord(
                trial_id=name, number=number, parameters={}, history=history, outcome=outcome
            )
        )
    # 20 s for two trials but for the first epoch of one; 98 are left.
    assert progress.remaining == pytest.approx(20 / (2 - 1 / 50) * 98)


def test_what_was_done_in_an_earlier_session_took_no_time_of_this_one(
    story: Any, progress: Progress, clock: Any
) -> None:
    for number in range(8):
        story.start(number, 0.5)
        story.end(number, Status.COMPLETED)
    clock.now += 500
    progress.start_clock()
    assert (progress.elapsed, progress.remaining) == (0, None)
    story.start(8, 0.5)
    assert progress.remaining is None  # its first epoch alone is no pace
    clock.now += 15
    story.end(8, Status.COMPLETED)
    assert progress.remaining == pytest.approx(20)  # 15 s for three quarters of a trial; one left


def test_pace_stays_the_same_where_trials_are_added_or_dropped(
    progress: Progress, story: Any, clock: Any
) -> None:
    for number in range(4):
        story.start(number, 0.5)
        clock.now += 20
        story.end(number, Status.COMPLETED)
    pace = 80 / (4 - 1 / 4)  # seconds a trial, without the first epoch
    assert progress.remaining == pytest.approx(6 * pace)
    progress.trial_enqueued()
    assert progress.remaining == pytest.approx(7 * pace)
    progress.trials = 5  # as `stop_when` does
    assert progress.remaining == pytest.approx(1 * pace)
    assert (progress.count_words, progress.done) == ("4/5", 0.8)


def test_number_that_may_still_fall_is_written_as_a_bound() -> None:
    stops = SWEEP_YAML.replace("space:", "stop_when: 0.01\nspace:")
    records = [trial(number, Status.COMPLETED, [0.5]) for number in range(30)]
    spec = results_of(*records, yaml=stops).spec
    planned = Planned(spec)
    progress = Progress(planned.total, planned=planned)
    assert progress.count_words == "0/≤30"
    for record in records[:21]:
        progress.trial_ended(record)
    progress.search_ended(SearchEnded("t0020", started=22, trials=30, chance=0.01))
    assert progress.count_words == "21/22"
    progress.trial_enqueued()
    assert progress.count_words == "21/23"


def test_finished_sweep_has_no_time_left(progress: Progress, story: Any, clock: Any) -> None:
    for number in range(10):
        story.start(number, 0.5)
        clock.now += 1
        story.end(number, Status.COMPLETED)
    assert progress.done == 1
    assert progress.remaining == 0


@given(
    ends=st.lists(st.tuples(st.integers(0, 4), st.none() | st.sampled_from(FINAL)), max_size=10),
    seconds=st.floats(0, 1e6),
)
def test_done_is_a_share_and_never_falls(
    ends: list[tuple[int, Status | None]], seconds: float
) -> None:
    progress = Progress(trials=10, max_epochs=4, clock=lambda: seconds)
    done = [progress.done]
    for number, (epochs, status) in enumerate(ends):
        name = f"t{number:04d}"
        progress.trial_started(name, {})
        history = tuple(EpochMetrics(epoch=epoch, val_dice=0.5) for epoch in range(epochs))
        for metrics in history:
            progress.epoch_reported(name, metrics)
            done.append(progress.done)
        if status is not None:
            outcome = Outcome(status=status)
            record = TrialRecord(
                trial_id=name, number=number, parameters={}, history=history, outcome=outcome
            )
            progress.trial_ended(record)
        done.append(progress.done)
    assert done == sorted(done)
    assert all(0 <= share <= 1 for share in done)
    assert progress.remaining is None or progress.remaining >= 0


def test_reports_are_not_called_a_start_and_a_last_epoch_no_end(clock: Any) -> None:
    progress = Progress(trials=3, max_epochs=4, clock=clock)
    progress.start_clock()
    assert progress.left_words == "starting"
    progress.trial_started("t0000", {})
    progress.epoch_reported("t0000", EpochMetrics(epoch=0, val_dice=0.5, shared=True))
    assert progress.left_words == "starting"  # an epoch of a shared warm-up took no time
    progress.epoch_reported("t0000", EpochMetrics(epoch=1, val_dice=0.5))
    assert progress.left_words == "time left not known yet"
    for number in (1, 2):
        progress.trial_started(f"t000{number}", {})
    clock.now += 100
    for name in ("t0000", "t0001", "t0002"):
        progress.epoch_reported(name, EpochMetrics(epoch=3, val_dice=0.5))
    assert progress.done == 1
    assert progress.left_words == "finishing"
    progress.stopping = True
    assert progress.left_words == "stopping"
