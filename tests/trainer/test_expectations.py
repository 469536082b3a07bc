"""The checklist: what is told, when, and that it is told once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from sweep.spec.settings.trial_settings import Expectation, TrialSettings
from sweep.trial.expectations import training_dice, unmet
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError

MakeTrial = Callable[..., TrialSettings]


def told(
    expected: dict[str, Any],
    dice: Sequence[float | None],
    *,
    loss: float | None = 0.5,
    training: float = 0.9,
) -> list[tuple[int, str]]:
    """What is told over a whole curve, with the epoch."""
    history: list[EpochMetrics] = []
    found = []
    for epoch, value in enumerate(dice):
        terms = {"dice": 1 - training, "ce": 0.1}
        history.append(EpochMetrics(epoch=epoch, val_dice=value, train_loss=loss, terms=terms))
        found += [(epoch, text) for text in unmet([Expectation(**expected)], history)]
    return found


def test_dice_that_was_not_reached_by_its_epoch_is_told_there_and_once() -> None:
    assert told({"epoch": 2, "val_dice": 0.3}, [0.1, 0.2, 0.25, 0.28, 0.5]) == [
        (2, "by epoch 2 a validation Dice of 0.3 was expected, but the best is 0.2500")
    ]
    assert told({"epoch": 2, "val_dice": 0.3}, [0.1, 0.31, 0.2, 0.2]) == []
    assert told({"epoch": 1, "val_dice": 0.3}, [None, None])[0][1].endswith("best is 0.0000")


def test_loss_above_what_was_expected_is_told_and_one_that_is_no_number_too() -> None:
    assert told({"epoch": 1, "train_loss": 0.25}, [0.1, 0.2, 0.3]) == [
        (1, "at epoch 1 a training loss of at most 0.25 was expected, but it is 0.5000")
    ]
    assert told({"epoch": 1, "train_loss": 0.5}, [0.1, 0.2]) == []
    [(_, text)] = told({"epoch": 0, "train_loss": 0.5}, [0.1], loss=None)
    assert text.endswith("but it is not finite or was not reported")


def test_gap_is_told_at_the_first_epoch_that_exceeds_it_from_the_stated_one_on() -> None:
    assert told({"epoch": 1, "max_gap": 0.15}, [0.1, 0.8, 0.7, 0.6]) == [
        (2, "at epoch 2 training Dice (estimated from the loss) is 0.2000 above validation Dice;"
            " at most 0.15 was expected")
    ]  # fmt: skip
    assert [epoch for epoch, _ in told({"max_gap": 0.15}, [0.1, 0.8])] == [0]
    assert told({"max_gap": 0.15}, [0.9, None, 0.95]) == []


def test_gap_of_a_loss_without_a_dice_term_is_told_to_be_unknown_once() -> None:
    history: list[EpochMetrics] = []
    found = []
    for epoch in range(3):
        history.append(EpochMetrics(epoch=epoch, val_dice=0.1, train_loss=0.5))
        found += unmet([Expectation(epoch=1, max_gap=0.15)], history)
    assert found == [
        "at epoch 1 `max_gap` cannot be told: the loss has no term `dice`, which a function gives"
        " to `guard.step`"
    ]


@pytest.mark.parametrize("dice", [0.0, 0.25, 0.9, 1.0])
def test_training_dice_is_read_off_either_dice_term(dice: float) -> None:
    log_cosh = math.log(math.cosh(1 - dice))
    for terms in ({"dice": 1 - dice}, {"logcosh_dice": log_cosh}):
        metrics = EpochMetrics(epoch=0, val_dice=None, terms=terms)
        assert training_dice(metrics) == pytest.approx(dice, abs=1e-7)
    assert training_dice(EpochMetrics(epoch=0, val_dice=None, terms={"ce": 1.0})) is None


def test_warnings_stand_in_the_history_of_the_trial(trial: MakeTrial) -> None:
    history: list[EpochMetrics] = []
    fit(trial("expect={epoch: 1, val_dice: 1.0}"), report=history.append)
    assert [len(metrics.warnings) for metrics in history] == [0, 1, 0, 0]
    assert history[1].warnings[0].startswith("by epoch 1 a validation Dice of 1 was expected")
    assert EpochMetrics.from_json(history[1].to_json()) == history[1]


def test_single_mapping_is_a_list_of_one(trial: MakeTrial) -> None:
    single = trial("expect={epoch: 10, val_dice: 0.3}")
    assert single.expect == trial("expect=[{epoch: 10, val_dice: 0.3}]").expect
    assert single.expect == (Expectation(epoch=10, val_dice=0.3),)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["expect=[{epok: 1, val_dice: 0.3}]"],
         "`epok` is not a setting of `expect.0`; did you mean `epoch`?"),
        (["expect=[{epoch: 1, val_dice: 3.0}]"], "expect.0.val_dice: must be at most 1"),
        (["expect={max_gap: 0.2}", "loss.dice_weight=0"], "`max_gap` needs a Dice term"),
    ],
)  # fmt: skip
def test_mistakes_in_the_checklist_are_told(
    trial: MakeTrial, overrides: list[str], message: str
) -> None:
    with pytest.raises(InputError) as error:
        trial(*overrides)
    assert message in str(error.value)
