"""What is said of the finalists, word for word."""

from __future__ import annotations

from dataclasses import replace

from finalists import CLEAR, TIE, finalist, replicate
from synthetic import diverged_at, trial

from sweep.analysis.confirm.conclusions import (
    reservations,
    selection_bias,
    unseen,
    verdict,
    warnings,
)
from sweep.analysis.confirm.confirmation import Confirmation, confirmation
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.record import Outcome, Status, TrialRecord


def found(*records: TrialRecord) -> Confirmation:
    result = confirmation(records)
    assert result is not None
    return result


def test_winner_is_called_best_with_its_interval_where_it_holds_and_how_it_was_tested() -> None:
    told = verdict(found(*CLEAR))
    assert told.startswith("t0001 is best on fold 0: mean validation Dice 0.9087 (95 %: 0.89")
    assert told.endswith("beats the other finalist (two-sided paired t-tests, all p < 0.05).")


def test_of_a_users_own_loop_no_fold_is_told() -> None:
    own = {"kind": "custom", "entry": "train.py:Own"}
    space = {"optimizer.lr": {"choice": [0.1, 0.2]}}
    spec = SweepSpec.model_validate({"name": "x", "trials": 2, "trainer": own, "space": space})
    for records, start in (
        (CLEAR, "t0001 is best: "),
        (TIE, "t0000 and t0001 cannot be told apart: "),
    ):
        result = confirmation(records, spec)
        assert result is not None
        assert verdict(result).startswith(start)


def test_those_that_cannot_be_told_apart_are_named_with_what_could_be_shown() -> None:
    told = verdict(found(*TIE))
    assert told.startswith("t0000 and t0001 cannot be told apart on fold 0: t0000 has the highest")
    assert "t0000 has the highest mean validation Dice 0.9150 (95 %: " in told
    assert "best with probability " in told
    assert "the cheapest of them is t0001, with 3 epochs on average. With the spread" in told
    assert "; all of them take 3 epochs on average. With" in verdict(
        found(*finalist(0, 0.99, 0.90, 0.91, 0.92), *finalist(1, 0.95, 0.91, 0.90, 0.93))
    )
    # Two others and four seeds take 3.43 deviations. The differences of the three pairs have
    # variances of 2.25e-4, 0 and 2.25e-4: one configuration deviates by √(0.75e-4) = 0.00866.
    assert told.endswith(
        "With the spread seen here, 4 seeds name a winner in some 70 % of cases if it leads by"
        " about 0.0297; the lead is 0.0025."
    )


def test_two_seeds_cannot_tell_however_far_apart_the_means_are() -> None:
    assert verdict(found(*finalist(0, 0.5, 0.12, 0.122), *finalist(1, 0.5, 0.019, 0.019))) == (
        "t0000 has the highest mean validation Dice 0.1210 over 2 replicates; 2 seeds cannot tell"
        " which finalist is best: it takes 3 that all of them were trained on."
    )


def test_two_folds_cannot_tell_whatever_the_number_of_seeds() -> None:
    records = [
        record
        for number, dice in ((0, 0.9), (1, 0.5))
        for record in (
            trial(number, Status.COMPLETED, [0.9]),
            *(
                replicate(number, seed, dice + 0.001 * seed, fold=fold)
                for seed in range(1, 6)
                for fold in range(2)
            ),
        )
    ]
    assert verdict(found(*records)) == (
        "t0000 has the highest mean validation Dice 0.9030 over 10 replicates on 2 folds; 2 folds"
        " cannot tell which finalist is best: it takes 3 that all of them were trained on."
    )


def test_dice_over_several_folds_is_not_set_beside_that_of_one_as_luck_of_the_search() -> None:
    folds = [replicate(0, 1, 0.8, fold=fold) for fold in range(3)]
    assert selection_bias(found(trial(0, Status.COMPLETED, [0.9]), *folds)) == (
        "Over all folds t0000 averages 0.1000 less than in its run of the search."
    )


def test_mean_that_is_the_highest_for_lack_of_the_hard_seeds_wins_nothing() -> None:
    hard = [replicate(1, seed, 0.10) for seed in (4, 5)]
    told = verdict(
        found(*finalist(0, 0.99, 0.90, 0.90, 0.91), *finalist(1, 0.95, 0.95, 0.95, 0.961), *hard)
    )
    assert told.startswith("t0000 has the highest mean validation Dice 0.9033")
    assert told.endswith(
        "but not on the replicates that it shares with another finalist; no winner is named."
    )


def test_fall_from_the_search_to_further_seeds_stands_beside_that_of_the_other_finalists() -> None:
    assert selection_bias(found(*CLEAR)) == (
        "On further seeds t0001 averages 0.0413 less than in its run of the search, the other"
        " finalist 0.1825 less."
    )
    assert selection_bias(found(*finalist(0, 0.8, 0.9, 0.9))) == (
        "On further seeds t0000 averages 0.1000 more than in its run of the search."
    )


def test_replicates_under_way_and_failed_ones_are_told() -> None:
    running = replace(replicate(1, 9, 0.9), outcome=None)
    assert "so far; 1 replicate still to end" in verdict(found(*CLEAR, running))
    failed = replicate(0, 9, 0.9, Outcome(status=Status.FAILED, cause="OSError: no"))
    assert warnings(found(*CLEAR, failed)) == [
        "t0000: 1 of 5 replicates failed and is not counted."
    ]
    assert verdict(found(*finalist(0, 0.9, 0.8, 0.8))).endswith("to compare with.")


def test_finalist_of_which_one_diverged_is_said_to_rank_behind_and_why() -> None:
    records = [*finalist(2, 0.9, 0.97, 0.98, 0.97), replicate(2, 4, 0.9, diverged_at(1))]
    assert verdict(found(*CLEAR, *records)).startswith("t0001 is best on fold 0: ")
    assert warnings(found(*CLEAR, *records)) == [
        "t0002: 1 of 4 replicates diverged; its mean is that of the others.",
        "t0002 ranks behind, whatever the mean: more replicates diverged than of t0001.",
    ]
    assert verdict(found(*CLEAR[:5], *records)).endswith(
        "more replicates of t0002 diverged, so it is not compared."
    )


def test_where_every_replicate_diverged_there_is_nothing_to_say_of_dice() -> None:
    gone = [trial(0, Status.COMPLETED, [0.9]), replicate(0, 1, 0.9, diverged_at(1))]
    assert verdict(found(*gone)) == ("No replicate of t0000 has a result: all that ended diverged.")
    assert selection_bias(found(*gone)) == ""
    assert warnings(found(*gone)) == ["t0000: 1 of 1 replicate diverged; it has no mean."]


def test_what_an_interval_takes_for_granted_stands_beside_it_with_the_number_of_runs() -> None:
    told = reservations(found(*CLEAR))
    # 1 − (0.05 / 2)^(1/4) = 0.602: the upper end of Clopper and Pearson's interval of 0 of 4.
    assert told.endswith(
        "The interval of t0001 allows for its being the first of 2, and assumes that further runs"
        " are like these 4. None of these lies far off, but up to 60 % of all runs may (95 %"
        " confidence)."
    )
    alone = found(*finalist(0, 0.9, 0.8, 0.81, 0.82, 0.8)).finalists[0]
    assert unseen(alone) == (  # 1 − 0.05^(1/4) = 0.527
        "The interval of t0000 assumes that further runs are like these 4. None of these lies far"
        " off, but up to 53 % of all runs may (95 % confidence)."
    )
    assert unseen(found(*finalist(0, 0.9, 0.8, 0.8)).finalists[0]) == ""  # two have no interval
    assert unseen(found(*finalist(0, 0.9, 0.8, 0.8, 0.8)).finalists[0]) == (  # 1 − 0.05^(1/3)
        "The 3 runs of t0000 have the same value, so there is no interval: up to 63 % of all runs"
        " may have others (95 % confidence)."
    )


def test_replicate_far_from_the_others_is_told_instead_of_hidden_in_a_wide_interval() -> None:
    lost = found(*finalist(0, 0.95, 0.91, 0.60, 0.90, 0.905, 0.90), *finalist(1, 0.94, 0.8, 0.81))
    assert warnings(lost) == [
        "t0000: 1 of 5 replicates reached 0.6000, the others 0.9000 to 0.9100. The mean and its"
        " interval describe neither."
    ]
    assert unseen(lost.finalists[0]) == ""  # what it would leave room for was seen
    lucky = found(*finalist(0, 0.9, 0.1, 0.12, 0.9, 0.11))
    assert "1 of 4 replicates reached 0.9000, the others 0.1000 to 0.1200." in warnings(lucky)[0]


def test_kinds_of_outcome_are_those_of_one_fold_because_folds_differ_in_how_hard_they_are() -> None:
    def on_folds(*dice: float) -> list[TrialRecord]:
        runs = [
            replicate(0, seed, value + 0.001 * seed, fold=fold)
            for seed in (1, 2, 3)
            for fold, value in enumerate(dice)
        ]
        return [trial(0, Status.COMPLETED, [0.9]), *runs]

    assert warnings(found(*on_folds(0.9, 0.6, 0.9))) == []
    lost = [*on_folds(0.9, 0.6, 0.9), replicate(0, 4, 0.2, fold=1)]
    assert "1 of 4 replicates on fold 1 reached 0.2000, the others" in warnings(found(*lost))[0]


def test_run_far_off_is_told_too_where_each_fold_has_one() -> None:
    """As by default, one seed on each of five folds: nobody knows whether the run or the fold."""
    runs = [replicate(0, 1, dice, fold=n) for n, dice in enumerate((0.9, 0.91, 0.3, 0.9, 0.89))]
    told = found(trial(0, Status.COMPLETED, [0.9]), *runs)
    assert warnings(told) == [
        "t0000: 1 of 5 replicates on 5 folds reached 0.3000, the others 0.8900 to 0.9100. That may"
        " be the runs or their folds: the interval takes neither to lie so far off."
    ]
    assert unseen(told.finalists[0]) == ""
