"""What the metrics tell, without Ray."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.analysis.ranking.finalists import Planned
from sweep.analysis.ranking.sweep_state import SweepState
from sweep.engine.decisions.sweep_metrics import Metric, samples
from sweep.engine.on_ray.ray_cluster import wanted_dashboard as wanted
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.trainer.divergence.verdicts import VERDICTS
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import Divergence, Outcome, Status, TrialRecord


def epochs(*dice: float | None, shared: int = 0) -> list[EpochMetrics]:
    """Epochs of three steps each, the first so many of them taken from a shared warm-up."""
    return [
        EpochMetrics(epoch=epoch, val_dice=value, steps=3, shared=epoch < shared)
        for epoch, value in enumerate(dice)
    ]


def told(
    state: SweepState, number: int, history: Iterable[EpochMetrics], outcome: Outcome | None = None
) -> None:
    name, history = f"t{number:04d}", tuple(history)
    state.trial_started(name, {})
    for metrics in history:
        state.epoch_reported(name, metrics)
    if outcome is not None:
        record = TrialRecord(
            trial_id=name, number=number, parameters={}, history=history, outcome=outcome
        )
        state.trial_ended(record)


def diverged(cause: str) -> Outcome:
    return Outcome.diverged(Divergence(cause=cause, epoch=1, step=0, message="It broke."))


def value(state: SweepState, metric: Metric, tag: str | None = None) -> float | None:
    found = [s.value for s in samples(state) if s.metric is metric and s.tag == tag]
    assert len(found) <= 1
    return found[0] if found else None


def test_statuses_and_causes_are_told_before_anything_has_happened() -> None:
    told = [(s.metric, s.tag, s.value) for s in samples(SweepState(20)) if s.tag is not None]
    expected = [(Metric.TRIALS, status, 0) for status in (*Status, "waiting")]
    expected += [(Metric.DIVERGENCES, cause, 0) for cause in VERDICTS]
    assert sorted(told, key=str) == sorted(expected, key=str)
    assert value(SweepState(20), Metric.PLANNED) == 20
    assert value(SweepState(20), Metric.BEST_DICE) is None


def test_trials_are_counted_by_status_and_divergences_by_cause() -> None:
    state = SweepState(20)
    told(state, 0, epochs(0.5), Outcome(status=Status.COMPLETED))
    told(state, 1, epochs(0.5), diverged("nonfinite"))
    told(state, 2, epochs(0.5), diverged("zombie"))
    told(state, 3, epochs(0.5), diverged("nonfinite"))
    told(state, 4, epochs(0.5))
    assert value(state, Metric.TRIALS, "completed") == 1
    assert value(state, Metric.TRIALS, "diverged") == 3
    assert value(state, Metric.TRIALS, "running") == 1
    state.trial_waits("t0004")
    assert value(state, Metric.TRIALS, "running") == 0
    assert value(state, Metric.TRIALS, "waiting") == 1
    assert value(state, Metric.DIVERGENCES, "nonfinite") == 2
    assert value(state, Metric.DIVERGENCES, "zombie") == 1
    assert value(state, Metric.DIVERGENCES, "exploded") == 0


def test_planned_trials_are_the_fewer_that_there_will_be_once_the_search_has_ended() -> None:
    space = {"loss.sqrt_epsilon": {"choice": [1e-8, 1e-6]}}
    values = {"name": "few", "trials": 2, "space": space, "confirm": {"top": 5, "seeds": 3}}
    planned = Planned(SweepSpec.model_validate(values))
    state = SweepState(planned.total, planned=planned)
    told(state, 0, epochs(0.5), diverged("nonfinite"))
    assert value(state, Metric.PLANNED) == 2 + 3 * 2
    told(state, 1, epochs(0.5), Outcome(status=Status.COMPLETED))
    assert value(state, Metric.PLANNED) == 2 + 3 * 1


def test_steps_of_a_shared_warmup_count_as_saved_and_not_as_trained() -> None:
    state = SweepState(2)
    told(state, 0, epochs(0.1, 0.2, 0.3, 0.4))
    told(state, 1, epochs(0.1, 0.2, 0.3, 0.5, shared=3))
    assert value(state, Metric.EPOCHS) == 4 + 1
    assert value(state, Metric.STEPS) == 15
    assert value(state, Metric.STEPS_SHARED) == 9
    assert value(state, Metric.TRIAL_EPOCHS, "t0001") == 4


def test_dice_of_a_running_trial_is_its_last_and_its_best_without_the_epochs_that_have_none() -> (
    None
):
    state = SweepState(2)
    told(state, 0, epochs(0.5, 0.75, 0.25))
    assert value(state, Metric.TRIAL_DICE, "t0000") == 0.25
    assert value(state, Metric.TRIAL_BEST_DICE, "t0000") == 0.75
    state.epoch_reported("t0000", EpochMetrics(epoch=3, val_dice=float("nan")))
    assert value(state, Metric.TRIAL_DICE, "t0000") is None
    assert value(state, Metric.TRIAL_BEST_DICE, "t0000") == 0.75


def test_trial_leads_while_it_runs_and_no_longer_once_it_has_diverged() -> None:
    state = SweepState(2)
    told(state, 0, epochs(0.5), Outcome(status=Status.PRUNED))
    assert value(state, Metric.BEST_DICE) == 0.5
    told(state, 1, epochs(0.9))
    assert value(state, Metric.BEST_DICE) == 0.9
    told(state, 2, epochs(0.95), diverged("collapsed"))
    assert value(state, Metric.BEST_DICE) == 0.9


def test_objective_is_told_in_its_own_direction_beside_dice() -> None:
    state = SweepState(2, Objective("hd95", "min"))
    history = [
        EpochMetrics(epoch=n, val_dice=dice, metrics={"hd95": value})
        for n, (dice, value) in enumerate([(0.5, 2.0), (0.75, 4.0)])
    ]
    told(state, 0, history)
    assert value(state, Metric.TRIAL_VALUE, "t0000") == 4.0
    assert value(state, Metric.BEST) == 2.0
    assert value(state, Metric.BEST_DICE) == 0.75
    state.epoch_reported("t0000", EpochMetrics(epoch=2, val_dice=None))
    assert value(state, Metric.TRIAL_VALUE, "t0000") is None
    assert value(state, Metric.BEST) == 2.0


def test_trial_that_has_ended_has_no_numbers_of_its_own() -> None:
    state = SweepState(2)
    told(state, 0, epochs(0.5), Outcome(status=Status.COMPLETED))
    assert [s for s in samples(state) if s.tag == "t0000"] == []


@given(st.lists(st.sampled_from([None, *(s for s in Status if s.is_final)]), max_size=12))
def test_statuses_sum_up_to_the_trials_that_were_started(ends: list[Status | None]) -> None:
    state = SweepState(12)
    for number, status in enumerate(ends):
        outcome = Outcome(status=status) if status is not None else None
        told(state, number, epochs(0.5), outcome)
    counts = [sample.value for sample in samples(state) if sample.metric is Metric.TRIALS]
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
    monkeypatch.setattr("sweep.engine.on_ray.ray_cluster.DASHBOARD_PACKAGE", "no_such_package")
    assert wanted(None) == wanted(False) == (False, [])
    shown, [message] = wanted(True)
    assert not shown
    assert "pip install 'medical-sweep[dashboard]'" in message
