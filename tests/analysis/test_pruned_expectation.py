"""What is expected of a pruned trial: no more than was measured of any, no less than of itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import results_of, trial

from sweep.analysis.pruned_expectation import LEAST_KEPT, expectations
from sweep.analysis.ranking.since_switch_on import pruned_expectations
from sweep.vocabulary.record import Status, TrialRecord

BASELINE = trial(0, Status.COMPLETED, [0.5, 0.6, 0.7, 0.8], preset="baseline")


def whole(number: int, *dice: float) -> TrialRecord:
    return trial(number, Status.COMPLETED, dice)


def expected(pruned: TrialRecord, *others: TrialRecord) -> tuple[float, float, float]:
    records = [pruned, *others]
    found = expectations(records, {one.trial_id: 0 for one in records}, BASELINE)
    one = found[pruned.trial_id]
    return one.low, one.score, one.high


def test_gain_like_those_that_were_lost_again_is_not_expected_to_last() -> None:
    """Three trials had gains of 0.1 after two epochs, and ended level with the baseline."""
    lost = [whole(n, 0.6, 0.7, 0.7, 0.8) for n in range(2, 2 + LEAST_KEPT)]
    pruned = trial(1, Status.PRUNED, [0.5, 0.75])  # a gain of 0.15
    assert expected(pruned, *lost) == pytest.approx((0.8, 0.8, 0.8))
    best = whole(9, 0.5, 0.6, 0.7, 0.95)  # without a gain by then
    assert expected(pruned, *lost, best)[1] == pytest.approx(0.8)


def test_share_that_others_kept_is_expected_with_the_error_of_that() -> None:
    """Gains of 0.1 after two epochs became 0.02, 0.04 and 0.06: on average 40 % of them."""
    kept = [whole(n, 0.6, 0.7, 0.7, 0.8 + gain) for n, gain in enumerate((0.02, 0.04, 0.06), 2)]
    low, score, high = expected(trial(1, Status.PRUNED, [0.5, 0.65]), *kept)
    assert score == pytest.approx(0.8 + 0.4 * 0.05)
    error = ((0.02**2 + 0 + 0.02**2) / 3) ** 0.5
    assert (score - low, high - score) == pytest.approx((error, error))


def test_baseline_is_no_evidence_of_what_gains_over_it_become() -> None:
    few = [whole(n, 0.6, 0.7, 0.7, 0.8) for n in range(2, 1 + LEAST_KEPT)]
    pruned = trial(1, Status.PRUNED, [0.5, 0.65])
    assert expected(pruned, *few, BASELINE) == expected(pruned, *few)
    unmeasured = trial(9, Status.COMPLETED, [None, None, None])  # since its switch-on
    assert expected(pruned, *few, unmeasured) == expected(pruned, *few)


def test_baseline_that_a_user_stopped_does_not_say_what_a_whole_training_reaches() -> None:
    stopped = trial(0, Status.PRUNED, [0.5], preset="baseline")
    results = results_of(stopped, trial(1, Status.PRUNED, [0.6, 0.7], {}))
    assert pruned_expectations(results.spec, results.ranked, stopped) == {}


def test_trial_that_is_behind_is_expected_to_stay_as_far_behind() -> None:
    found = expected(trial(1, Status.PRUNED, [0.5, 0.55]))
    assert found == pytest.approx((0.55, 0.75, 0.8))  # nobody trained on: anything between


def test_no_expectation_is_above_what_any_trial_reached() -> None:
    assert expected(trial(1, Status.PRUNED, [0.5, 0.75]))[1:] == pytest.approx((0.8, 0.8))
    assert expected(trial(1, Status.PRUNED, [0.5, 0.85])) == pytest.approx((0.85, 0.85, 0.85))


CURVES = st.lists(st.integers(0, 16).map(lambda n: n / 16), min_size=1, max_size=5)


@given(
    base=CURVES, curves=st.lists(st.tuples(CURVES, st.booleans(), st.integers(0, 4)), max_size=6)
)
def test_every_expectation_lies_between_the_trials_own_best_and_the_best_of_all(
    base: list[float], curves: list[tuple[list[float], bool, int]]
) -> None:
    baseline = trial(0, Status.COMPLETED, base, preset="baseline")
    records = [
        trial(n, Status.PRUNED if is_pruned else Status.COMPLETED, curve)
        for n, (curve, is_pruned, _) in enumerate(curves, start=1)
    ]
    starts = {one.trial_id: curves[one.number - 1][2] for one in records}
    best = max([*base, *(value for curve, _, start in curves for value in curve[start:])])
    for name, one in expectations(records, starts, baseline).items():
        [own] = [max(r.values[starts[name] :]) for r in records if r.trial_id == name]  # type: ignore[type-var]
        assert one.measured == own
        assert own <= one.low <= one.score <= one.high <= best
