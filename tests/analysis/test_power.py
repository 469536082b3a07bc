"""What a confirmation can show, said beforehand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sweep.analysis.confirm.paired_comparison import PairedComparison, can_show, detectable
from sweep.spec.search.sweep_spec import SweepSpec


def spec_of(**changes: Any) -> SweepSpec:
    values = {"name": "toy", "trials": 20, "space": {"optimizer.lr": {"uniform": [0.1, 0.2]}}}
    return SweepSpec.model_validate(values | changes)


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_of_two_it_is_where_the_paired_t_test_has_a_power_of_80_percent(seeds: int) -> None:
    far = detectable(seeds, 1)
    shift, critical = far * math.sqrt(seeds / 2), stats.t.ppf(0.975, seeds - 1)
    assert stats.nct.sf(critical, seeds - 1, shift) == pytest.approx(0.8, abs=0.015)


def test_a_leader_that_far_ahead_of_all_others_is_named_in_80_percent() -> None:
    rng, far, named, tries = np.random.default_rng(5), detectable(5, 3), 0, 1000
    for _ in range(tries):
        table = rng.standard_normal((5, 4))
        table[:, 0] += far
        order = np.argsort(-table.mean(axis=0))
        scores = tuple({(s, 0): float(table[s, i]) for s in range(5)} for i in order)
        named += order[0] == 0 and PairedComparison(scores, by_fold=False).winner == 0
    assert named / tries == pytest.approx(0.8, abs=0.04)


def test_nothing_can_be_shown_by_two_units_or_of_one_finalist() -> None:
    assert detectable(2, 5) == math.inf
    assert detectable(9, 0) == math.inf


def test_more_seeds_show_less_and_more_finalists_need_more() -> None:
    assert detectable(3, 2) > detectable(5, 2) > detectable(10, 2) > 0
    assert detectable(5, 1) < detectable(5, 2) < detectable(5, 5)


def test_sentence_names_the_difference_and_the_fold_that_it_holds_on() -> None:
    told = can_show(spec_of(confirm={"top": 5, "seeds": 5}, presets=["baseline"]))
    assert told == (
        "confirm: 5 seeds on one fold name the best of 6 finalists in 80 % of cases if it lies 3.1"
        " standard deviations from seed to seed above each of the other 5 (0.031 Dice where runs of"
        " one configuration deviate by 0.01). What is said then holds on that fold."
    )
    assert can_show(spec_of()) == ""


@pytest.mark.parametrize(
    ("confirm", "told"),
    [
        ({"seeds": 2}, "confirm: 2 seeds name no winner, however far ahead one is: it takes 3."),
        ({"seeds": 9, "folds": 2}, "confirm: 2 folds name no winner, however far ahead one is:"),
        ({"top": 1}, "confirm: with a single finalist there is nothing to compare."),
    ],
)
def test_confirmation_that_can_name_nobody_is_told_as_such(
    confirm: dict[str, int], told: str
) -> None:
    assert can_show(spec_of(confirm=confirm)).startswith(told)


def test_on_folds_it_depends_on_how_much_they_agree() -> None:
    """Five folds of two seeds: a fold's mean deviates by 1/√2, or √(1 + 1/2) with interaction."""
    told = can_show(spec_of(confirm={"top": 2, "seeds": 2, "folds": 5}))
    far = detectable(5, 1)
    assert f"if it lies {far / math.sqrt(2):.1f} standard deviations" in told
    assert f"or {far * math.sqrt(1.5):.1f} and it varies from fold to fold as much" in told
