"""Finalists that race: who is dropped when and why, and what is said at the end."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from finalists import finalist, replicate
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import SWEEP_YAML, diverged_at, results_of, trial

from sweep.analysis.confirm.conclusions import reservations, verdict
from sweep.analysis.confirm.confirmation import Confirmation, confirmation
from sweep.analysis.confirm.race import Race, RacePlan, Why, race, runs_of_finalists
from sweep.analysis.confirm.race_words import in_prospect, reason
from sweep.analysis.ranking.finalists import Planned, confirmation_of, race_of
from sweep.analysis.ranking.ranking_frame import ranking_frame
from sweep.spec.search.replicate_plan import blocks
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.record import Outcome, Status, TrialRecord

SEEDS = tuple((seed, 0) for seed in range(1, 11))
TEN = "{{top: 3, seeds: 10}}"
FAILED = Outcome(status=Status.FAILED, cause="the machine")


def spec_of(confirm: str = "{{top: 3, seeds: 5}}", trials: int = 3) -> SweepSpec:
    yaml = SWEEP_YAML.replace("space:", f"confirm: {confirm}\nspace:")
    return results_of(*(trial(n, Status.COMPLETED, [0.5]) for n in range(trials)), yaml=yaml).spec


def plan(count: int, seeds: int = 5, budget: int | None = None) -> RacePlan:
    return RacePlan(SEEDS[:seeds], budget or count * seeds)


def run(records: list[TrialRecord], seeds: int = 5, budget: int | None = None) -> Race:
    runs = runs_of_finalists(records)
    ids = list(dict.fromkeys(one for one, _ in runs))
    return race(plan(len(ids), seeds, budget), ids, runs)


def confirmed(records: list[TrialRecord], spec: SweepSpec) -> Confirmation:
    found = confirmation_of(configured(records), spec)
    assert found is not None
    return found


def configured(records: list[TrialRecord]) -> list[TrialRecord]:
    """The same with a configuration of its own for each trial."""
    return [replace(one, parameters={"loss.warmup_epochs": one.number}) for one in records]


AHEAD = configured(
    [
        *finalist(0, 0.99, 0.795, 0.815, 0.801, 0.812),
        *finalist(1, 0.95, 0.901, 0.909, 0.920, 0.905, 0.911),
        *finalist(2, 0.94, 0.884, 0.902, 0.896, 0.893, 0.889),
    ]
)


def test_nobody_is_behind_before_four_blocks_and_who_is_far_behind_then_is_dropped() -> None:
    started = [r for r in AHEAD if r.replicate is None or r.replicate.seed < 4]
    assert run(started, 10).looks[-1] == ("t0001", "t0002", "t0000")
    assert run(started, 10).dropped == {}
    found = run(AHEAD, 10)
    assert (found.dropped["t0000"].after, found.dropped["t0000"].why) == (4, Why.BEHIND)
    assert found.dropped["t0000"].by == "t0001"


def test_nearly_equal_steps_in_the_first_blocks_tell_nobody_apart() -> None:
    """Runs of two kinds, 0.1 apart: equal finalists so differ in the first two in one of eight."""
    first = finalist(0, 0.99, 0.901, 0.902, 0.800, 0.900, 0.801)
    second = finalist(1, 0.98, 0.801, 0.801, 0.801, 0.902, 0.900)
    assert run([*first, *second]).dropped == {}


def test_race_ends_when_one_is_left_and_names_it_where_it_beat_everybody() -> None:
    found = confirmed(AHEAD, spec_of(TEN))
    assert found.race is not None
    assert found.race.running == ("t0001",)
    assert found.race.block is None
    assert found.race.spent == found.race.most == 4 + 5 + 5
    assert found.winner is not None
    assert found.winner.trial_id == "t0001"
    assert [one.trial_id for one in found.finalists] == ["t0001", "t0002", "t0000"]
    assert verdict(found).endswith(
        "it beats each of the other 2 finalists (paired t-tests, 5 % error over all looks of the"
        " race)."
    )
    assert reservations(found).startswith(
        "The race took 14 of 30 trainings; t0000 dropped after 4 of 10 seeds: behind t0001; t0002"
        " dropped after 5 of 10 seeds: behind t0001. On further seeds"
    )


def test_those_that_were_dropped_stand_below_those_that_are_left_whatever_their_means_are() -> None:
    # The first four are easy ones. Who was dropped after them has the highest mean of all.
    hard = 0.50, 0.52, 0.49, 0.51, 0.50, 0.50
    close = [
        *finalist(0, 0.99, 0.60, 0.79, 0.61, 0.78),
        *finalist(1, 0.95, 0.80, 0.99, 0.81, 0.98, *hard),
        *finalist(2, 0.94, 0.81, 0.97, 0.82, 0.97, 0.51, 0.50, 0.50, 0.50, 0.51, 0.49),
    ]
    found = confirmed(close, spec_of(TEN))
    means = {one.trial_id: one.mean for one in found.finalists}
    assert means["t0000"] > means["t0001"] > means["t0002"]
    assert [one.trial_id for one in found.finalists] == ["t0001", "t0002", "t0000"]
    frame = ranking_frame(configured(close), [], spec_of(TEN))
    assert list(frame["trial_id"]) == ["t0001", "t0002", "t0000"]
    assert list(frame["replicates"]) == [10, 10, 4]
    told = "after 4 of 10 seeds: behind t0001"
    assert list(frame["dropped"].fillna("")) == ["", "", told]


def test_finalist_that_can_hardly_become_first_is_dropped_where_no_winner_is_in_prospect() -> None:
    # Two are level, so nobody will be named. The third is behind, but not by its own test.
    level = [
        *finalist(0, 0.99, 0.900, 0.913, 0.905),
        *finalist(1, 0.98, 0.902, 0.911, 0.906),
        *finalist(2, 0.97, 0.885, 0.906, 0.880),
    ]
    found = run(level)
    assert found.dropped["t0002"].why is Why.HOPELESS
    # Were the second far behind too, the first might be named, and the third has to be beaten.
    apart = [r for r in level if r.configuration_id != "t0001"]
    apart += finalist(1, 0.98, 0.889, 0.898)
    assert all(one.why is Why.BEHIND for one in run(apart).dropped.values())


def test_hopeless_finalist_is_not_said_to_be_beaten_and_no_winner_is_named() -> None:
    level = [
        *finalist(0, 0.99, 0.900, 0.913, 0.905, 0.90, 0.91),
        *finalist(1, 0.98, 0.902, 0.911, 0.906, 0.89, 0.90),
        *finalist(2, 0.97, 0.885, 0.906, 0.880),
    ]
    found = confirmed(level, spec_of())
    assert found.finalists[2].dropped is not None
    assert found.finalists[2].dropped.why is Why.HOPELESS
    assert found.winner is None
    assert "t0000, t0001 and t0002 cannot be told apart" in verdict(found)


def test_finalist_of_which_two_more_replicates_diverged_is_dropped_and_ranks_last() -> None:
    first = finalist(0, 0.99, 0.90, 0.91, 0.92, 0.90, 0.91)
    second = finalist(1, 0.98, 0.89, 0.91, 0.93, 0.89, 0.92)
    third = [trial(2, Status.COMPLETED, [0.97]), replicate(2, 1, 0.99)]
    third += [replicate(2, seed, 0.99, diverged_at(1)) for seed in (2, 3)]
    found = confirmed([*first, *second, *third], spec_of())
    assert found.race is not None
    assert found.race.looks[1] == ("t0000", "t0001")  # one more: behind, not dropped
    assert reason(found.race, "t0002") == "after 3 of 5 seeds: diverged more often than t0000"
    assert [one.trial_id for one in found.behind] == ["t0002"]
    assert "t0002: 2 of 3 replicates diverged" in reservations(found)


def test_finalist_that_diverged_once_more_leads_again_when_the_others_diverge_too() -> None:
    once = [trial(0, Status.COMPLETED, [0.9]), replicate(0, 1, 0.9, diverged_at(1))]
    once += [replicate(0, seed, 0.9) for seed in range(2, 6)]
    later = [*finalist(1, 0.9, 0.6, 0.61, 0.62, 0.6), replicate(1, 5, 0.6, diverged_at(1))]
    found = run([*once, *later])
    assert [*found.looks[:4]] == [("t0001",)] * 4
    assert found.looks[4] == ("t0000", "t0001")
    assert found.running[0] == "t0000"


def test_where_every_replicate_diverges_nobody_is_dropped() -> None:
    records = [
        replicate(number, seed, 0.5, diverged_at(1)) for number in range(3) for seed in range(1, 6)
    ]
    found = run(records)
    assert found.running == ("t0000", "t0001", "t0002")
    assert found.spent == 15


def test_failed_replicate_takes_its_block_from_the_comparison_only() -> None:
    records = [r for r in AHEAD if r.replicate is None or r.replicate.block != (2, 0)]
    records += [replicate(0, 2, 0.815), replicate(1, 2, 0.9, FAILED), replicate(2, 2, 0.902)]
    found = run([*records, replicate(0, 5, 0.803)], 10)
    assert [one.after for one in found.dropped.values()] == [5, 5]


def test_unfinished_block_decides_nothing() -> None:
    complete = run(AHEAD)
    running = replace(replicate(1, 2, 0.909), outcome=None)
    records = [r for r in AHEAD if r.trial_id != "t0001r2"]
    assert run([*records, running]).looks == run(records).looks == complete.looks[:1]


def test_budget_ends_a_race_before_a_block_that_would_exceed_it() -> None:
    tied = [
        *finalist(0, 0.99, 0.90, 0.91, 0.92, 0.90, 0.91),
        *finalist(1, 0.98, 0.91, 0.90, 0.91, 0.91, 0.90),
    ]
    for budget, spent in ((4, 4), (5, 4), (6, 6), (10, 10), (99, 10)):
        found = run(tied, budget=budget)
        assert (found.spent, found.block) == (spent, None)
        assert found.most == spent


scores = st.floats(0.5, 0.99).map(lambda value: round(value, 3))
tables = st.lists(st.lists(scores, min_size=5, max_size=5), min_size=2, max_size=5)


@given(
    tables,
    st.randoms(use_true_random=False),
    st.sets(st.tuples(st.integers(0, 4), st.integers(1, 5))),
)
@settings(max_examples=60, deadline=None)
def test_decisions_depend_neither_on_the_order_of_arrival_nor_on_what_comes_after(
    table: list[list[float]], random: Random, lost: set[tuple[int, int]]
) -> None:
    records = [
        replicate(n, seed, dice, diverged_at(0) if (n, seed) in lost else None)
        for n, own in enumerate(table)
        for seed, dice in enumerate(own, start=1)
    ]
    whole = run(records)
    ids, everything = tuple(f"t{n:04d}" for n in range(len(table))), runs_of_finalists(records)
    shuffled = [*records]
    random.shuffle(shuffled)
    assert race(whole.plan, ids, runs_of_finalists(shuffled)) == whole
    # One block after the other, trained only by those that are left.
    trained: list[TrialRecord] = []
    found = race(whole.plan, ids, {})
    while (block := found.block) is not None:
        new = [everything[one, block] for one in found.running]
        random.shuffle(new)
        for record in new:
            assert race(whole.plan, ids, runs_of_finalists(trained)) == found
            trained.append(record)
        found = race(whole.plan, ids, runs_of_finalists(trained))
    assert found == whole
    assert len(trained) == whole.spent == whole.most <= len(records)
    assert {*found.running, *found.dropped} == {*ids}
    assert sorted(found.order) == sorted(ids)


def test_planned_trials_shrink_as_finalists_are_dropped() -> None:
    spec = spec_of(TEN)
    planned, words = Planned(spec), []
    for record in sorted(AHEAD, key=lambda r: (r.replicate.seed if r.replicate else 0, r.number)):
        planned.add(record)
        if planned.race is not None and planned.race.looks:
            words.append((planned.race.words, planned.total))
    assert list(dict.fromkeys(words))[2:] == [
        ("3 of 3 finalists left after 3 of 10 seeds", 3 + 30),
        ("2 of 3 finalists left after 4 of 10 seeds", 3 + 12 + 6 * 2),
        ("1 of 3 finalists left after 5 of 10 seeds", 3 + 14),
    ]
    found = race_of(spec, AHEAD)
    assert found is not None
    assert planned.total == 3 + found.spent == len(AHEAD)


@pytest.mark.parametrize("confirm", ["{{top: 3, seeds: 4}}", "{{top: 3, seeds: 5, race: false}}"])
def test_without_a_race_the_table_is_compared_as_it_was(confirm: str) -> None:
    assert repr(confirmation_of(AHEAD, spec_of(confirm))) == repr(confirmation(AHEAD))


@pytest.mark.parametrize("blocks_of_displaced", [1, 2, 4, 5])
def test_finalist_that_later_trials_displaced_is_not_in_the_race(blocks_of_displaced: int) -> None:
    level = [
        *finalist(0, 0.99, 0.90, 0.91, 0.92, 0.90, 0.91),
        *finalist(1, 0.98, 0.91, 0.90, 0.91, 0.91, 0.90),
    ]
    displaced = finalist(2, 0.90, *[0.95] * blocks_of_displaced)
    spec = spec_of("{{top: 2, seeds: 5}}")
    found = confirmed([*level, *displaced], spec)
    alone = confirmed(level, spec)
    assert found.race == alone.race
    assert found.race is not None
    assert len(found.race.looks) == 5
    assert [one.trial_id for one in found.finalists][-1] == "t0002"
    assert found.finalists[-1].p_best is None
    assert verdict(found) == verdict(alone)
    assert "t0002 was a finalist before later trials ranked higher" in reservations(found)
    assert "was a finalist" not in reservations(alone)


def test_new_finalist_of_an_extended_sweep_is_in_the_race_with_as_many_blocks_as_it_has() -> None:
    level = [
        *finalist(0, 0.98, 0.90, 0.91, 0.92, 0.90, 0.91),
        *finalist(1, 0.97, 0.91, 0.90, 0.91, 0.91, 0.90),
    ]
    spec = spec_of("{{top: 3, seeds: 5}}")
    for count in range(4):
        new = finalist(3, 0.99, *[0.80] * count)
        found = confirmed([*level, *new], spec).race
        assert found is not None
        is_beaten = count == 3
        assert len(found.looks) == (5 if is_beaten else count)
        assert ("t0003" in found.dropped) == is_beaten


def test_check_says_how_many_trainings_a_race_takes() -> None:
    assert in_prospect(spec_of("{{top: 3, seeds: 5}}")).startswith(
        "confirm: a race of 3 finalists over 5 blocks (a block is a seed on a fold), 6 to 15"
        " trainings. All that are left train a block before the next begins, and whoever cannot win"
        " any more is dropped. Were everybody trained on all blocks: 5 seeds on one fold name the"
        " best of 3 finalists in 80 % of cases if it lies "
    )


def test_race_over_two_folds_names_no_winner_as_two_folds_do_not() -> None:
    spec = spec_of("{{top: 3, seeds: 5, folds: 2}}")
    assert "2 folds name no winner, however far ahead one is" in in_prospect(spec)
    records = [trial(n, Status.COMPLETED, [0.9]) for n in range(3)] + [
        replicate(n, seed, 0.9 - 0.1 * n + 0.001 * (seed % 3), fold=fold)
        for n in range(3)
        for seed, fold in blocks(spec)
    ]
    found = confirmed(records, spec)
    assert found.winner is None
    assert verdict(found).endswith(
        "2 folds cannot tell which finalist is best: it takes 3 that all of them were trained on."
    )
    assert found.race is not None
    assert found.race.dropped["t0002"].why is Why.HOPELESS  # and is not trained for nothing
