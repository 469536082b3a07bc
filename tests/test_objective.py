"""What trials are judged by: the value object, its settings, and that its mirror decides alike."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.spec.checks.doubtful_settings import warnings
from sweep.spec.load import load_sweep, load_trial, to_yaml
from sweep.spec.session_changes import continued
from sweep.vocabulary.early_stopping import EarlyStopping
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError, ResultsError
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import Outcome, Status, TrialRecord

HD95 = Objective("hd95", "min")
UP, DOWN = Objective("up", "max"), Objective("down", "min")
SPACE = "space:\n  loss.warmup_epochs: {randint: [1, 4]}\n"
CUSTOM = "trainer: {kind: custom, entry: mine.module:Mine}\n"
numbers = st.one_of(st.none(), st.just(math.nan), st.floats(-1e6, 1e6))


def epochs(values: list[float | None]) -> list[EpochMetrics]:
    """Epochs that measured a value under two names, of which one is the other's mirror."""
    return [
        EpochMetrics(epoch=n, val_dice=None, metrics={"up": v, "down": None if v is None else -v})
        for n, v in enumerate(values)
    ]


def sweep_of(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "space.yaml"
    file.write_text(text + SPACE)
    return file


def refusal(file: Path) -> str:
    with pytest.raises(InputError) as refused:
        load_sweep(file)
    return str(refused.value).removeprefix(f"{file}:")


def test_best_is_the_lowest_finite_value_and_of_equals_the_first() -> None:
    history = [
        EpochMetrics(epoch=n, val_dice=0.9, metrics={"hd95": value})
        for n, value in enumerate([math.nan, 4.0, 2.0, math.inf, 2.0, 3.0])
    ]
    best = HD95.best([EpochMetrics(epoch=9, val_dice=1.0), *history])
    assert best is history[2]
    assert HD95.score(history[2]) == -2.0
    assert HD95.value(history[0]) is None
    assert DICE.best(history) is history[0]


@given(st.lists(numbers, max_size=8), st.integers(1, 4), st.floats(0, 10))
def test_mirrored_metric_has_the_same_best_epoch_and_stops_at_the_same_one(
    values: list[float | None], patience: int, min_delta: float
) -> None:
    history = epochs(values)
    up, down = UP.best(history), DOWN.best(history)
    assert up is down
    assert list(UP.curve(history)) == list(DOWN.curve(history))
    ends = [
        EarlyStopping(patience=patience, min_delta=min_delta).replay(one.curve(history))
        for one in (UP, DOWN)
    ]
    assert ends[0] == ends[1]


def test_trial_without_a_result_has_no_score_but_its_value() -> None:
    history = tuple(epochs([3.0, 1.0]))
    diverged = TrialRecord(
        trial_id="t0000",
        number=0,
        parameters={},
        history=history,
        outcome=Outcome(status=Status.DIVERGED),
        objective=DOWN,
    )
    assert (diverged.value, diverged.score) == (-3.0, None)


def test_only_a_dice_is_known_to_lie_between_0_and_1() -> None:
    assert DICE.bounds == (0.0, 1.0)
    assert DICE.worst == 0.0
    assert HD95.bounds == (-math.inf, math.inf)
    assert HD95.worst is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (None, DICE),
        ("hd95", HD95),
        ({"metric": "hd95", "mode": "min"}, HD95),
        ({"metric": "iou", "mode": None}, Objective("iou", "max")),
        ("nsd", Objective("nsd", "max")),
        ("hd95[left kidney]", Objective("hd95[left kidney]", "min")),
        ({"mode": "max"}, DICE),
    ],
)
def test_objective_of_a_results_folder_is_read_as_it_may_be_written(
    values: object, expected: Objective
) -> None:
    assert Objective.of(values) == expected


@pytest.mark.parametrize("values", [3, [], ["hd95", 3], {"metric": 3}, "loss", {"mode": "best"}])
def test_what_is_no_objective_is_refused(values: object) -> None:
    with pytest.raises(ValueError, match="must be a metric and a mode"):
        Objective.of(values)


def test_dice_of_one_class_is_a_dice_and_is_called_after_the_class() -> None:
    liver = Objective("val_dice[liver]")
    assert liver.bounds == (0.0, 1.0)
    assert liver.tolerance(0.5) == DICE.tolerance(0.5)
    assert (liver.label, liver.short) == ("validation Dice of liver", "Dice of liver")
    assert Objective("mine[liver]").label == "mine[liver]"


def test_interval_of_scores_is_told_from_its_smaller_value_on() -> None:
    assert DICE.interval(0.1, 0.2) == (0.1, 0.2)
    assert HD95.interval(-5.0, -3.0) == (3.0, 5.0)


@pytest.mark.parametrize(
    ("objective", "value", "told"),
    [
        (DICE, 0.00004, "0.0000"),
        (DICE, -0.00004, "0.0000"),
        (HD95, 3.25, "3.2500"),
        (HD95, 0.0, "0.0000"),
        (HD95, -0.5, "−0.5000"),
        (Objective("mse", "min"), 1.25e-6, "1.25e-06"),
        (Objective("count", "max"), 123456.7, "1.2346e+05"),
        (Objective("seconds", "min"), 83.456, "83.46"),
        (Objective("seconds", "min"), 12345.6, "12346"),  # three hours, as a count
    ],
)
def test_value_is_told_by_its_size(objective: Objective, value: float, told: str) -> None:
    assert objective.text(value) == told
    assert objective.signed(value) == (told if told.startswith("−") else f"+{told}")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", DICE),
        ("objective: val_dice\n", DICE),
        ("objective: hd95\n", HD95),
        ("objective: {metric: iou}\n", Objective("iou", "max")),
        ("objective: {metric: solidity, mode: max}\n", Objective("solidity", "max")),
        (CUSTOM + "objective: {metric: surface, mode: min}\n", Objective("surface", "min")),
    ],
)
def test_objective_is_written_as_a_name_or_with_its_mode(
    written: str, expected: Objective, tmp_path: Path
) -> None:
    spec = load_sweep(sweep_of(tmp_path, written))
    assert spec.judged_by == expected
    effective = tmp_path / "effective.yaml"
    effective.write_text(to_yaml(spec))
    assert load_sweep(effective) == spec  # with the mode filled in
    trial = tmp_path / "trial.yaml"
    trial.write_text(to_yaml(spec.trial({"loss.warmup_epochs": 2})))
    assert load_trial(trial).judged_by == expected


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("objective: hd59\n", '1: objective.metric: must be `val_dice`, `iou`, `hd95`, '
         '`nsd`, `compactness`, `solidity` or `eccentricity`, but is "hd59"; did you mean `hd95`?'),
        ("objective: {mode: min, metrics: hd95}\n",
         "1: objective.metrics: `metrics` is not a setting of `objective`; did you mean `metric`?"),
        ("objective: solidity\n", "1: objective.mode: must be `max` or `min`: its name does "
         "not show whether more of `solidity` is better; write `objective: {metric: solidity, "
         "mode: …}`"),
        ("evaluation: {metrics: [iou]}\nobjective: hd95\n",
         "2: objective.metric: `hd95` is not measured: add `hd95` to `evaluation.metrics`"),
        ("objective: 3\n", "1: objective: must be the name of a metric, or `{metric: NAME, mode: "
         "max | min}`, but is 3"),
        ("trainer: {kind: nnunet, dataset: 1}\nobjective: hd95\n", "2: objective.metric: nnU-Net"
         " measures only its pseudo Dice in an epoch: must be `val_dice`"),
        (CUSTOM + "objective: {metric: epochs, mode: min}\n", "2: objective.metric: `epochs` is "
         "what a trial costs, not what it reaches: it can only be listed after another objective, "
         "as in `[val_dice, epochs]`"),
        (CUSTOM + "objective: {metric: cause, mode: min}\n", "2: objective.metric: `cause` is "
         "another column of the ranking: give the metric another name"),
    ],
)  # fmt: skip
def test_objective_that_nobody_measures_is_refused_with_what_would_be_right(
    written: str, told: str, tmp_path: Path
) -> None:
    assert told in refusal(sweep_of(tmp_path, written))


@pytest.mark.parametrize("key", ["objective.metric", "objective.mode"])
def test_objective_is_not_searched(key: str, tmp_path: Path) -> None:
    file = sweep_of(tmp_path, "")
    file.write_text(f"{file.read_text()}  {key}: {{choice: [val_dice, hd95]}}\n")
    assert "cannot be searched: all trials must be compared by the same objective" in refusal(file)


def test_mode_that_prefers_the_worst_is_told(tmp_path: Path) -> None:
    spec = load_sweep(sweep_of(tmp_path, "objective: {metric: hd95, mode: max}\n"))
    told = "`objective.mode: max` makes the trial with the worst HD95 the best"
    assert [text for text in warnings(spec) if text.startswith("`objective")] == [told]


def test_sweep_does_not_go_on_with_another_objective(tmp_path: Path) -> None:
    recorded = load_sweep(sweep_of(tmp_path, ""))
    asked = load_sweep(sweep_of(tmp_path, "objective: hd95\n"))
    with pytest.raises(ResultsError) as refused:
        continued([recorded], asked)
    assert "its trials were compared by val_dice (max), not by hd95 (min)" in str(refused.value)
