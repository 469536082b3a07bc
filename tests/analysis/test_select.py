"""Filters, orders and the Pareto set of a ranking."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from finalists import CLEAR, TIE
from synthetic import diverged_at, trial, write_sweep

from sweep.analysis.ranked_table import RankedTable
from sweep.analysis.ranking.ranking_columns import divider
from sweep.analysis.ranking.ranking_frame import ranking
from sweep.analysis.ranking.row_selection import (
    Condition,
    direction,
    pareto,
    sorted_by,
    where,
)
from sweep.analysis.ranking.several_sweeps import together
from sweep.api.results import SweepResults
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.record import Status


def table_of(*rows: tuple[float, float | None, int]) -> RankedTable:
    """Completed trials of (Dice, HD95, epochs)."""
    records = []
    for number, (dice, distance, epochs) in enumerate(rows):
        best = EpochMetrics(epoch=0, val_dice=dice, metrics={"hd95": distance})
        later = [EpochMetrics(epoch=n, val_dice=0.0) for n in range(1, epochs)]
        records.append(replace(trial(number, Status.COMPLETED, []), history=(best, *later)))
    return ranking(records, [])


@pytest.mark.parametrize(
    ("text", "cell", "holds"),
    [
        ("a > 1", 2, True),
        ("a>=2", 2.0, True),
        ("a < 2", 2, False),
        ("a != x", "y", True),
        ("a == '1'", "1", True),
        ("a == 1", "1", False),
        ("a != 1", "1", True),
        ("a == true", True, True),
        ("a == null", None, True),
        ("a != null", None, False),
        ("a < 5", None, False),
        ("a != 5", None, True),
    ],
)
def test_condition_compares_numbers_with_numbers_and_words_with_words(
    text: str, cell: object, holds: bool
) -> None:
    assert Condition.of(text).holds(cell) is holds


@pytest.mark.parametrize("text", ["", "a", "a >", "> 1", "__import__('os')", "a = 1", "a < null"])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--where"):
        Condition.of(text)


@pytest.mark.parametrize("status", ["early-stopped", "early_stopped", "'early-stopped'"])
def test_status_is_found_in_either_spelling(status: str) -> None:
    table = ranking([trial(0, Status.EARLY_STOPPED, [0.5]), trial(1, Status.COMPLETED, [0.6])], [])
    assert list(where(table, [Condition.of(f"status == {status}")])["trial_id"]) == ["t0000"]
    assert list(where(table, [Condition.of(f"status != {status}")])["trial_id"]) == ["t0001"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("status == complete", "`complete` is not a status of a trial; did you mean `completed`?"),
        (
            "status != early",
            "`early` is not a status of a trial; it is `completed`, `early_stopped`, ",
        ),
        ("status == 3", "`3` is not a status of a trial; it is `completed`, `early_stopped`, "),
        ("status == running", "`running` is not a status of a trial; it is `completed`, "),
    ],
)
def test_unknown_status_is_refused_with_the_one_that_is_meant(text: str, told: str) -> None:
    with pytest.raises(InputError) as refused:
        Condition.of(text)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("val_dice", ("val_dice", True)),
        ("hd95", ("hd95", False)),
        ("delta_baseline", ("delta_baseline", True)),
        ("epochs:desc", ("epochs", True)),
        ("val_dice:asc", ("val_dice", False)),
        ("loss.dice_weight", ("loss.dice_weight", False)),
        ("seconds", ("seconds", False)),
    ],
)
def test_direction_of_a_column_is_known_or_said(key: str, expected: tuple[str, bool]) -> None:
    assert direction(key) == expected


def test_sort_keeps_equals_in_order_and_what_is_empty_behind() -> None:
    table = table_of((0.9, 5.0, 3), (0.8, None, 1), (0.7, 2.0, 1), (0.6, 5.0, 2))
    assert list(sorted_by(table, ["hd95"])["val_dice"]) == [0.7, 0.9, 0.6, 0.8]
    assert list(sorted_by(table, ["hd95", "epochs"])["val_dice"]) == [0.7, 0.6, 0.9, 0.8]


def test_pareto_keeps_who_is_best_at_something() -> None:
    table = table_of((0.9, 5.0, 30), (0.8, 2.0, 30), (0.8, 3.0, 40), (0.7, 9.0, 10), (0.6, None, 1))
    assert list(pareto(table)["val_dice"]) == [0.9, 0.8, 0.7]


def test_without_hd95_dice_and_epochs_decide() -> None:
    table = table_of((0.9, None, 30), (0.8, None, 30), (0.7, None, 10))
    assert list(pareto(table)["val_dice"]) == [0.9, 0.7]


def test_pruned_trials_are_not_on_the_front_and_beat_nobody() -> None:
    records = [
        trial(0, Status.COMPLETED, [0.1, 0.2, 0.9]),
        trial(1, Status.PRUNED, [0.8]),
        trial(2, Status.EARLY_STOPPED, [0.1, 0.7]),
    ]
    assert list(pareto(ranking(records, []))["trial_id"]) == ["t0000", "t0002"]
    assert list(pareto(ranking(records[1:2], []))["trial_id"]) == []


def test_conditions_and_together_keep_the_types_of_the_columns() -> None:
    first = ranking([trial(0, Status.COMPLETED, [0.5], {"a": 1})], ["a"])
    second = ranking(
        [trial(0, Status.COMPLETED, [0.75], {"a": 2}), trial(1, diverged_at(1), [0.9], {"a": 3})],
        ["a"],
    )
    both = together({"x": first, "y": second})
    assert list(both["sweep"]) == ["y", "x", "y"]
    assert list(both["rank"]) == [1, 2, 3]
    assert both.columns["a"].kind == "Int64"
    assert list(where(both, [Condition.of("a <= 2")])["a"]) == [2, 1]


def test_sweep_without_a_finished_trial_adds_nothing() -> None:
    some = ranking([trial(0, Status.COMPLETED, [0.5], {"a": 1})], ["a"])
    none = ranking([], ["b"])
    both = together({"x": none, "y": some})
    assert list(both["sweep"]) == ["y"]
    assert {"a", "b"} <= set(both.columns)


def test_letters_of_two_sweeps_are_not_set_beside_each_other() -> None:
    first, second = ranking(TIE, []), ranking(CLEAR, [])
    assert list(first["group"]) == ["a", "a", "b"]
    both = together({"x": first, "y": second})
    assert not both.known("p_best") + both.known("group")
    assert None not in both["mean_dice"]
    assert list(first["group"]) == ["a", "a", "b"]
    assert divider(both) is None
    assert divider(together({"x": first})) is None


def test_pareto_of_results_has_rows_of_the_frame_under_their_index(tmp_path: Path) -> None:
    records = [trial(n, Status.COMPLETED, [0.5 - n / 8] * (3 - n // 2)) for n in range(4)]
    results = SweepResults(write_sweep(tmp_path / "synthetic", records))
    assert list(results.pareto.index) == [0, 2]
    assert results.pareto.equals(results.frame.loc[[0, 2]])
