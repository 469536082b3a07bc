"""The chance that further trials are better, against SciPy and against the law of records."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import genpareto, norm, t

from sweep.analysis.ranking.further_improvement import (
    FEWEST,
    SCALES,
    SHAPE_MEAN,
    SHAPE_SD,
    SHAPES,
    Outlook,
    chance_of_improvement,
)
from sweep.spec.load import load_sweep
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.record import Outcome, Replicate, Status, TrialRecord

SCORES = [0.90, 0.894, 0.893, 0.889, 0.888, 0.88, 0.87, 0.86, None, 0.85, 0.84, 0.7]
scores_of_trials = st.lists(st.floats(0.5, 0.9), min_size=FEWEST, max_size=40, unique=True)


def by_scipy(scores: Sequence[float | None], improvement: float, further: int, tail: int) -> float:
    """The same average, point by point, with SciPy's generalised Pareto distribution."""
    known = sorted((s for s in scores if s is not None), reverse=True)
    excesses = [score - known[tail] for score in known[:tail]]
    weights, values = [], []
    for shape in SHAPES:
        for scale in SCALES * np.mean(excesses):
            weights.append(
                norm.logpdf(shape, SHAPE_MEAN, SHAPE_SD)
                + genpareto.logpdf(excesses, shape, scale=scale).sum()
            )
            beyond = genpareto.sf(excesses[0] + improvement, shape, scale=scale)
            values.append((1 + further * beyond / len(scores)) ** -(tail + 0.5))
    weight = np.exp(np.array(weights) - max(weights))
    return float(1 - weight @ np.array(values) / weight.sum())


def test_chance_is_the_average_over_scipys_generalised_pareto_distributions() -> None:
    found = chance_of_improvement(SCORES, 0.002, 20)
    assert found == pytest.approx(by_scipy(SCORES, 0.002, 20, tail=5), rel=1e-9)


def test_chance_of_any_improvement_follows_the_law_of_records() -> None:
    """Of n + k draws from one distribution the best is among the last k with k / (n + k)."""
    draw = np.random.default_rng(0)
    # A short tail, or a long one, is not known to be one from so few trials.
    for sample, margin in ((draw.normal, 0.03), (draw.uniform, 0.12), (draw.exponential, 0.08)):
        chances = [
            chance_of_improvement(list(sample(size=60)), 1e-12, 20) or math.nan for _ in range(100)
        ]
        assert np.mean(chances) == pytest.approx(20 / 80, abs=margin)


@given(scores=scores_of_trials, order=st.randoms())
def test_chance_depends_neither_on_the_order_nor_on_a_shift_nor_on_the_unit(
    scores: list[float], order: object
) -> None:
    shuffled = list(scores)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    found = chance_of_improvement(scores, 0.01, 20)
    assert chance_of_improvement(shuffled, 0.01, 20) == found
    moved = [100 * score - 7 for score in scores]
    assert chance_of_improvement(moved, 1.0, 20) == pytest.approx(found, rel=1e-6, abs=1e-9)


@given(scores=scores_of_trials)
def test_chance_rises_with_the_trials_to_come_and_falls_with_what_they_must_bring(
    scores: list[float],
) -> None:
    chances = [chance_of_improvement(scores, 0.002, further) for further in (1, 5, 20, 100)]
    assert chances == sorted(chances, key=lambda chance: chance or 0)
    chances = [chance_of_improvement(scores, most, 20) for most in (0.1, 0.01, 0.001)]
    assert chances == sorted(chances, key=lambda chance: chance or 0)
    assert all(0 <= chance <= 1 for chance in chances if chance is not None)


def test_nothing_comes_beyond_the_largest_possible_score() -> None:
    near = [0.97, 0.975, 0.98, 0.985, 0.99, 0.992, 0.994, 0.995, 0.996, 0.997]
    assert chance_of_improvement(near, 0.005, 20, most=1.0) == 0.0
    assert (chance_of_improvement(near, 0.005, 20) or 0.0) > 0.05
    assert chance_of_improvement(near, 0.002, 20, most=1.0) == chance_of_improvement(
        near, 0.002, 20
    )


def test_chance_is_unknown_with_few_values() -> None:
    assert chance_of_improvement([0.5] * (FEWEST - 1) + [None] * 50, 0.002, 20) is None


@pytest.mark.parametrize("scores", [[0.8] * 9, [0.8] * 5 + [0.7] * 4, [0.8] + [0.7] * 8])
def test_one_or_two_different_values_tell_only_that_no_trial_was_better(
    scores: list[float],
) -> None:
    """Means over seven cases in twelfths: seven trials at 68/84 and seven at 67/84 were said to
    promise nothing, and one of the next 20 was better in 99 %."""
    none_was = scores + [None] * 11
    assert chance_of_improvement(none_was, 0.002, 20) == pytest.approx(1 - 2**-0.5)
    assert chance_of_improvement(none_was * 10, 0.002, 20) == pytest.approx(1 - 1.1**-0.5)
    assert chance_of_improvement(none_was, 0.002, 20, most=scores[0]) == 0.0


def test_few_trials_far_above_all_others_count_by_their_order_alone() -> None:
    """Of 40 trials in any order, the best is among the 20 to come in a half."""
    others = [0.01 * n for n in range(1, 19)]
    assert chance_of_improvement([0.8, *others, None], 0.002, further=20) == 0.5
    assert chance_of_improvement([0.8, 0.799, *others], 0.002, further=20) == 0.25
    assert chance_of_improvement([0.8, *others, None], 0.3, further=20, most=1.0) == 0


def test_many_equal_best_ones_are_no_end_where_scores_come_in_steps() -> None:
    """Taken as they are, the estimates below 0.1 of such scores are 0.03 on average and the chance
    is 0.21."""
    rng, said, true = np.random.default_rng(2), [], []
    for _ in range(300):
        scores = np.round(0.85 + 0.01 * rng.standard_t(3, 80), 2)
        said.append(chance_of_improvement(scores.tolist(), 0.002, 20) or math.nan)
        true.append(1 - t(3, 0.85, 0.01).cdf(scores.max() + 0.005) ** 20)  # of the next step
    low = np.array(said) < 0.1
    assert low.sum() > 30
    assert np.mean(np.array(true)[low]) < np.mean(np.array(said)[low]) + 0.06


def test_where_many_are_equally_the_best_a_tail_is_no_reason_to_expect_more() -> None:
    """80 values with a ceiling of 0.99, which 18 have met: the chance was said to be 0.25."""
    shares = {0.99: 18, 0.98: 13, 0.97: 16, 0.96: 14, 0.95: 10, 0.94: 6, 0.93: 3}
    scores = [score for score, count in shares.items() for _ in range(count)]
    unbeaten = pytest.approx(1 - 1.25**-0.5)
    assert chance_of_improvement(scores, 0.002, 20, most=1.0) == unbeaten
    four = [0.98] * 14 + scores[14:]  # fewer are a tail as any other
    assert (chance_of_improvement(four, 0.002, 20, most=1.0) or 0.0) > 1 - 1.25**-0.5


def record_of(number: int, dice: float, **changes: object) -> TrialRecord:
    values = {"outcome": Outcome(status=Status.COMPLETED)} | changes
    return TrialRecord(
        trial_id=f"t{number:04d}",
        number=number,
        parameters={},
        history=(EpochMetrics(epoch=0, val_dice=dice),),
        **values,  # type: ignore[arg-type]
    )


def spec_of(**changes: object) -> SweepSpec:
    values = {"name": "toy", "space": {"optimizer.lr": {"uniform": [0.1, 0.2]}}}
    return SweepSpec.model_validate(values | {"stop_when": 0.002, "searcher": "random"} | changes)


def test_outlook_counts_ended_trials_and_doubles_those_of_a_searcher_that_learns() -> None:
    records = [record_of(n, score) for n, score in enumerate(s for s in SCORES if s is not None)]
    records.append(record_of(11, 0.99, outcome=Outcome(status=Status.PRUNED)))
    others = [
        record_of(0, 0.99, replicate=Replicate("t0000", 1, 0)),
        record_of(12, 0.99, outcome=None),
    ]
    outlook = Outlook.of(spec_of(), [*records, *others])
    assert outlook.ended == 12
    assert outlook.chance == chance_of_improvement(SCORES, 0.002, 20)
    learning = Outlook.of(spec_of(searcher="tpe"), records)
    assert learning.chance == chance_of_improvement(SCORES, 0.002, 40)
    percent = round(100 * (outlook.chance or 0))
    assert outlook.words.startswith(
        "By the values so far, the chance that 20 more trials would find one that is better by more"
        f" than 0.0020 Dice is about {percent} %."
    )
    assert Outlook.of(spec_of(stop_when=None), records).words == ""


@pytest.mark.parametrize("written", [True, "0.002", [0.002]])
def test_what_is_neither_a_number_nor_a_mapping_is_refused_in_words(written: object) -> None:
    with pytest.raises(InputError, match="stop_when: must be a number, a mapping of settings or"):
        load_sweep({"name": "x", "space": {"optimizer.lr": {"choice": [1]}}, "stop_when": written})
