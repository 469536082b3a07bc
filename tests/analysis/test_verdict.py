"""What is said of the finalists, word for word."""

from __future__ import annotations

from dataclasses import replace

from finalists import CLEAR, TIE, finalist, replicate
from synthetic import diverged_at

from sweep.analysis.confirmation import Confirmation, confirmation
from sweep.analysis.verdict import selection_bias, verdict, warnings
from sweep.record import TrialRecord


def found(*records: TrialRecord) -> Confirmation:
    result = confirmation(records)
    assert result is not None
    return result


def test_winner_is_called_best_with_its_interval_and_how_it_was_tested() -> None:
    told = verdict(found(*CLEAR))
    assert told.startswith("t0001 is best: mean validation Dice 0.9088 (95 %: 0.89")
    assert told.endswith("beats each of the other 1 finalists (paired t-test, Holm, p < 0.05).")


def test_those_that_cannot_be_told_apart_are_named_with_the_cheapest() -> None:
    told = verdict(found(*TIE))
    assert told.startswith("t0000 and t0001 cannot be told apart (paired t-test, Holm, p ≥ 0.05):")
    assert told.endswith("the cheapest of them is t0001, with 3 epochs on average.")
    assert "t0000 has the highest mean validation Dice 0.9150 (95 %: " in told
    assert "best with probability " in told


def test_selection_bias_is_the_dice_of_the_search_minus_that_of_further_seeds() -> None:
    assert selection_bias(found(*CLEAR)) == (
        "On other seeds t0001 reaches 0.0412 less than in the search, which chose it for its Dice."
    )


def test_replicates_under_way_and_diverged_ones_are_told() -> None:
    running = replace(replicate(1, 9, 0.9), outcome=None)
    assert "so far; 1 replicate still to end" in verdict(found(*CLEAR, running))
    assert warnings(found(*CLEAR, replicate(0, 9, 0.9, diverged_at(1)))) == [
        "t0000: 1 of 5 replicates diverged and counts with Dice 0."
    ]
    assert verdict(found(*finalist(0, 0.9, 0.8, 0.8))).endswith("to compare with.")
