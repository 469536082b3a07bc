"""What the metrics tell, without Ray."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.engine.decisions.tally import Metric, Tally
from sweep.engine.on_ray.monitoring import wanted
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import Cause, Divergence, Outcome, Status, TrialRecord


def epochs(*dice: float | None, shared: int = 0) -> list[EpochMetrics]:
    """Epochs of three steps each, the first so many of them taken from a shared warm-up."""
    return [
        EpochMetrics(epoch=epoch, val_dice=value, steps=3, shared=epoch < shared)
        for epoch, value in enumerate(dice)
    ]


def told(
    tally: Tally, number: int, history: Iterable[EpochMetrics], outcome: Outcome | None = None
) -> None:
    name, history = f"t{number:04d}", tuple(history)
    tally.trial_started(name, {})
    for metrics in history:
        tally.epoch_reported(name, metrics)
    if outcome is not None:
        record = TrialRecord(
            trial_id=name, number=number, parameters={}, history=history, outcome=outcome
        )
        tally.trial_ended(record)


def diverged(cause: Cause) -> Outcome:
    return Outcome.diverged(Divergence(cause=cause, epoch=1, step=0, message="It broke."))


def value(tally: Tally, metric: Metric, tag: str | None = None) -> float | None:
    found = [s.value for s in tally.samples() if s.metric is metric and s.tag == tag]
    assert len(found) <= 1
    return found[0] if found else None


def test_statuses_and_causes_are_told_before_anything_has_happened() -> None:
    told = [(s.metric, s.tag, s.value) for s in Tally(20).samples() if s.tag is not None]
    expected = [(Metric.TRIALS, status, 0) for status in (*Status, "waiting")]
    expected += [(Metric.DIVERGENCES, cause, 0) for cause in Cause]
    assert sorted(told, key=str) == sorted(expected, key=str)
    assert value(Tally(20), Metric.PLANNED) == 20
    assert value(Tally(20), Metric.BEST_DICE) is None


def test_trials_are_counted_by_status_and_divergences_by_cause() -> None:
    tally = Tally(20)
    told(tally, 0, epochs(0.5), Outcome(status=Status.COMPLETED))
    told(tally, 1, epochs(0.5), diverged(Cause.NONFINITE))
    told(tally, 2, epochs(0.5), diverged(Cause.ZOMBIE))
    told(tally, 3, epochs(0.5), diverged(Cause.NONFINITE))
    told(tally, 4, epochs(0.5))
    assert value(tally, Metric.TRIALS, "completed") == 1
    assert value(tally, Metric.TRIALS, "diverged") == 3
    assert value(tally, Metric.TRIALS, "running") == 1
    tally.trial_waits("t0004")
    assert value(tally, Metric.TRIALS, "running") == 0
    assert value(tally, Metric.TRIALS, "waiting") == 1
    assert value(tally, Metric.DIVERGENCES, "nonfinite") == 2
    assert value(tally, Metric.DIVERGENCES, "zombie") == 1
    assert value(tally, Metric.DIVERGENCES, "exploded") == 0


def test_steps_of_a_shared_warmup_count_as_saved_and_not_as_trained() -> None:
    tally = Tally(2)
    told(tally, 0, epochs(0.1, 0.2, 0.3, 0.4))
    told(tally, 1, epochs(0.1, 0.2, 0.3, 0.5, shared=3))
    assert value(tally, Metric.EPOCHS) == 4 + 1
    assert value(tally, Metric.STEPS) == 15
    assert value(tally, Metric.STEPS_SHARED) == 9
    assert value(tally, Metric.TRIAL_EPOCHS, "t0001") == 4


def test_dice_of_a_running_trial_is_its_last_and_its_best_without_the_epochs_that_have_none() -> (
    None
):
    tally = Tally(2)
    told(tally, 0, epochs(0.5, 0.75, 0.25))
    assert value(tally, Metric.TRIAL_DICE, "t0000") == 0.25
    assert value(tally, Metric.TRIAL_BEST_DICE, "t0000") == 0.75
    tally.epoch_reported("t0000", EpochMetrics(epoch=3, val_dice=float("nan")))
    assert value(tally, Metric.TRIAL_DICE, "t0000") is None
    assert value(tally, Metric.TRIAL_BEST_DICE, "t0000") == 0.75


def test_trial_leads_while_it_runs_and_no_longer_once_it_has_diverged() -> None:
    tally = Tally(2)
    told(tally, 0, epochs(0.5), Outcome(status=Status.PRUNED))
    assert value(tally, Metric.BEST_DICE) == 0.5
    told(tally, 1, epochs(0.9))
    assert value(tally, Metric.BEST_DICE) == 0.9
    told(tally, 2, epochs(0.95), diverged(Cause.COLLAPSED))
    assert value(tally, Metric.BEST_DICE) == 0.9


def test_objective_is_told_in_its_own_direction_beside_dice() -> None:
    tally = Tally(2, Objective("hd95", "min"))
    history = [
        EpochMetrics(epoch=n, val_dice=dice, metrics={"hd95": value})
        for n, (dice, value) in enumerate([(0.5, 2.0), (0.75, 4.0)])
    ]
    told(tally, 0, history)
    assert value(tally, Metric.TRIAL_VALUE, "t0000") == 4.0
    assert value(tally, Metric.BEST) == 2.0
    assert value(tally, Metric.BEST_DICE) == 0.75
    tally.epoch_reported("t0000", EpochMetrics(epoch=2, val_dice=None))
    assert value(tally, Metric.TRIAL_VALUE, "t0000") is None
    assert value(tally, Metric.BEST) == 2.0


def test_trial_that_has_ended_has_no_numbers_of_its_own() -> None:
    tally = Tally(2)
    told(tally, 0, epochs(0.5), Outcome(status=Status.COMPLETED))
    assert [s for s in tally.samples() if s.tag == "t0000"] == []


@given(st.lists(st.sampled_from([None, *(s for s in Status if s.is_final)]), max_size=12))
def test_statuses_sum_up_to_the_trials_that_were_started(ends: list[Status | None]) -> None:
    tally = Tally(12)
    for number, status in enumerate(ends):
        outcome = Outcome(status=status) if status is not None else None
        told(tally, number, epochs(0.5), outcome)
    counts = [sample.value for sample in tally.samples() if sample.metric is Metric.TRIALS]
    assert sum(counts) == len(ends)


def test_names_keep_to_the_rules_of_prometheus_and_have_one_prefix() -> None:
    assert all(metric.key.startswith("sweep_") for metric in Metric)
    assert all(metric.key.replace("_", "a").isalpha() for metric in Metric)
    assert not any(metric.key.endswith("_total") for metric in Metric)  # Ray adds it


def test_dashboard_is_started_where_it_is_installed_unless_the_user_says_no() -> None:
    assert wanted(None) == (True, [])
    assert wanted(True) == (True, [])
    assert wanted(False) == (False, [])


def test_where_it_is_not_installed_only_who_asks_is_told_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sweep.engine.on_ray.monitoring.PACKAGE", "no_such_package")
    assert wanted(None) == wanted(False) == (False, [])
    shown, [message] = wanted(True)
    assert not shown
    assert "pip install 'medical-sweep[dashboard]'" in message
