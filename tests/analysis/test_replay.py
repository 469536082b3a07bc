"""What trials would have come to under another early stopping, and what is told of it."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from synthetic import SWEEP_YAML, diverged_at, trial, write_sweep

from sweep.analysis.effective_settings import read_spec
from sweep.analysis.patience.patience_replay import (
    Candidates,
    Replay,
    Tradeoff,
    enough_of_each,
    replays,
    tradeoff,
)
from sweep.analysis.ranking.ranking_frame import ranking_json, write_ranking
from sweep.console.sweep_summary import print_patience
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.replayed_settings import candidates
from sweep.vocabulary.early_stopping import EarlyStopping
from sweep.vocabulary.record import ParameterValue, Replicate, Status, TrialRecord

# Patience counts from epoch 4. Patience 3 stops after epoch 6, 5 after 13, 8 after epoch 16.
CURVE = [0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4, 0.4, 0.7, *[0.7] * 8]
OTHERS: dict[str, ParameterValue] = {
    "loss.warmup_epochs": 2,
    "loss.weights.compactness": 0.1,
    "loss.sqrt_epsilon": 1e-6,
}


def trained(n: int, status: Status, curve: Sequence[float | None]) -> TrialRecord:
    return trial(n, status, curve, {**OTHERS, "early_stopping.patience": 8})


def spec_of(space: dict[str, object] | None = None, **changes: object) -> SweepSpec:
    values: dict[str, object] = {
        "name": "x",
        "space": space or {"early_stopping.patience": {"choice": [3, 5, 8]}},
        "loss": {"warmup_epochs": 2, "rampup_epochs": 2},
        "early_stopping": {"min_delta": 0.0},
        "trainer": {"epochs": 20},
        "presets": [],
    }
    return SweepSpec.model_validate(values | changes)


def replayed(record: TrialRecord, patience: int | None) -> Replay | None:
    setting: dict[str, ParameterValue] = {"early_stopping.patience": patience}
    return next(replays(record, Candidates(spec_of(), [setting]).stoppings(record)))


def test_replay_tells_dice_best_epoch_and_epochs_of_a_shorter_patience() -> None:
    record = trained(0, Status.EARLY_STOPPED, CURVE)
    assert replayed(record, 3) == Replay(value=0.4, best_epoch=3, epochs=7)
    assert replayed(record, 5) == Replay(value=0.7, best_epoch=8, epochs=14)
    assert replayed(record, 8) == Replay(value=0.7, best_epoch=8, epochs=17)


def test_patience_of_zero_in_an_edited_record_is_like_one_and_no_crash() -> None:
    record = trained(0, Status.COMPLETED, [0.1, 0.2])  # never waits
    assert replayed(record, 0) == replayed(record, 1) == Replay(value=0.2, best_epoch=1, epochs=2)


def test_record_answers_for_nothing_that_would_have_gone_on_after_its_end() -> None:
    assert replayed(trained(0, Status.EARLY_STOPPED, CURVE), 9) is None
    assert replayed(trained(0, Status.EARLY_STOPPED, CURVE), None) is None
    pruned = trained(0, Status.PRUNED, CURVE[:10])
    assert replayed(pruned, 3) == Replay(value=0.4, best_epoch=3, epochs=7)
    assert replayed(pruned, 5) is None
    broken = replace(pruned, outcome=diverged_at(10))
    assert replayed(broken, 3) == Replay(value=0.4, best_epoch=3, epochs=7)
    assert replayed(broken, 5) is None


def test_trial_that_came_to_its_last_epoch_answers_for_every_patience() -> None:
    record = trained(0, Status.COMPLETED, CURVE)
    assert replayed(record, None) == Replay(value=0.7, best_epoch=8, epochs=17)


def test_epochs_that_measured_nothing_are_waited_for_and_never_best() -> None:
    record = trained(0, Status.EARLY_STOPPED, [None] * 8)
    assert replayed(record, 3) == Replay(value=None, best_epoch=None, epochs=7)


CURVES = st.lists(st.none() | st.sampled_from([0.5, 0.501, 0.51, 0.6]), min_size=20, max_size=20)


@given(
    curve=CURVES,
    patience=st.lists(st.integers(1, 9) | st.none(), min_size=1, max_size=3, unique=True),
    min_delta=st.lists(st.sampled_from([0.0, 5e-4, 0.005, 0.05]), min_size=1, unique=True),
    counts_from=st.lists(st.sampled_from(["start", "rampup_end"]), min_size=1, unique=True),
)
def test_what_is_trained_answers_for_every_candidate_as_if_that_had_been_trained(
    curve: list[float | None],
    patience: list[int | None],
    min_delta: list[float],
    counts_from: list[str],
) -> None:
    spec = spec_of(
        {
            "early_stopping.patience": {"choice": patience},
            "early_stopping.min_delta": {"choice": min_delta},
            "early_stopping.counts_from": {"choice": counts_from},
        }
    )

    def train(stopping: EarlyStopping) -> list[float | None]:
        """A trainer whose Dice stands in a table; ``curve`` is all that it could train."""
        return curve[: stopping.replay(enumerate(curve)) or len(curve)]

    parameters = spec.to_train({})
    blank = trial(0, None, [], parameters)
    dice = train(Candidates(spec, [{}]).stoppings(blank)[0])
    status = Status.COMPLETED if len(dice) == len(curve) else Status.EARLY_STOPPED
    record = trial(0, status, dice, parameters)
    for setting in candidates(spec.replayed):
        [told] = replays(record, Candidates(spec, [setting]).stoppings(record))
        really = train(Candidates(spec, [setting]).stoppings(blank)[0])
        assert told is not None
        assert told.epochs == len(really)
        assert told.value == max((d for d in really if d is not None), default=None)


def test_enough_is_the_smallest_patience_within_the_tolerance() -> None:
    record = trained(0, Status.EARLY_STOPPED, CURVE)
    found = enough_of_each(spec_of(), [record])[0]
    assert found is not None
    setting, ended = found
    assert (setting, ended.epochs) == ({"early_stopping.patience": 5}, 14)
    close = trained(0, Status.EARLY_STOPPED, [0.4015 if d == 0.7 else d for d in CURVE])
    found = enough_of_each(spec_of(), [close])[0]
    assert found is not None
    assert found[0] == {"early_stopping.patience": 3}  # it loses 0.0015


def test_enough_is_not_told_of_what_cannot_be_known() -> None:
    spec = spec_of()
    assert enough_of_each(spec, [trained(0, Status.PRUNED, CURVE[:10])])[0] is None
    assert enough_of_each(spec, [trained(0, Status.EARLY_STOPPED, [None] * 12)])[0] is None
    diverged = replace(trained(0, Status.COMPLETED, CURVE), outcome=diverged_at(17))
    assert enough_of_each(spec, [diverged])[0] is None
    ended = trained(0, Status.COMPLETED, CURVE)
    assert enough_of_each(spec_of(replay_patience=False), [ended])[0] is None


def test_of_several_settings_those_are_shown_that_no_cheaper_one_equals() -> None:
    spec = spec_of(
        {
            "early_stopping.patience": {"choice": [3, 5, None]},
            "early_stopping.counts_from": {"choice": ["start", "rampup_end"]},
        }
    )
    parameters = spec.to_train({})
    found = tradeoff(spec, [trial(0, Status.COMPLETED, [*CURVE, 0.7, 0.7, 0.7], parameters)])
    assert found is not None
    assert found.heading == "patience · counts_from"
    told = [(step.label, round(step.lost, 9), step.epochs) for step in found.steps]
    # Epochs 4 to 7 bring nothing: patience 5 sees 0.7 in epoch 8 whenever it counts.
    assert told == [
        ("3 · start", 0.3, 7),
        ("3 · rampup_end", 0.3, 7),
        ("5 · start", 0.0, 14),
        ("5 · rampup_end", 0.0, 14),
        ("never · start", 0.0, 20),
        ("never · rampup_end", 0.0, 20),
    ]
    assert [step.label for step in found.front] == ["3 · start", "5 · start"]
    assert found.enough.label == "5 · start"


def answered(folder: Path, *more: TrialRecord) -> Path:
    records = [
        trained(0, Status.EARLY_STOPPED, CURVE),
        trained(1, Status.EARLY_STOPPED, [d - 0.05 for d in CURVE]),
        trained(2, Status.PRUNED, CURVE[:8]),
        trial(3, diverged_at(4), CURVE[:4], {**OTHERS, "early_stopping.patience": 8}),
        *more,
    ]
    return write_sweep(folder, records, SWEEP_YAML + "early_stopping: {{min_delta: 0}}\n")


def test_ranking_has_what_was_trained_and_what_would_have_been_enough(tmp_path: Path) -> None:
    ranking = write_ranking(answered(tmp_path / "x"))
    rows = json.loads(ranking_json(ranking.table))
    keys = (
        "trial_id",
        "early_stopping.patience",
        "enough_patience",
        "val_dice_at_enough",
        "epochs_at_enough",
    )
    assert [tuple(row[key] for key in keys) for row in rows] == [
        ("t0000", 8, 5, 0.7, 14),
        ("t0001", 8, 5, pytest.approx(0.65), 14),
        ("t0002", 8, None, None, None),  # pruned before patience 5 would have ended it
        ("t0003", 8, None, None, None),  # diverged
    ]


def test_best_yaml_names_the_patience_that_would_have_been_enough(tmp_path: Path) -> None:
    folder = answered(tmp_path / "x")
    write_ranking(folder)
    lines = (folder / "best.yaml").read_text(encoding="utf-8").splitlines()
    # These made-up trials have another config.yaml than their sweep gave them, which is told first.
    told = [line for line in lines if not line.startswith("# NOT as it was trained: ")]
    assert told[2] == (
        "# in this one run early_stopping.patience 5 would have reached validation Dice 0.7 after "
        "14 of 17 epochs (up to 0.002 less is tolerated)"
    )


def test_ranking_without_replay_has_no_such_columns(tmp_path: Path) -> None:
    text = SWEEP_YAML + "replay_patience: false\n"
    folder = write_sweep(tmp_path / "x", [trained(0, Status.EARLY_STOPPED, CURVE)], text)
    ranking = write_ranking(folder)
    assert not [name for name in ranking.table if "enough" in str(name)]
    assert ranking.patience is None


def printed(found: Tradeoff) -> list[list[str]]:
    text = io.StringIO()
    print_patience(Console(file=text, width=100), found)
    return [line.split() for line in text.getvalue().splitlines() if line.strip()]


def test_table_tells_dice_lost_best_dice_and_epochs_of_each_patience(tmp_path: Path) -> None:
    folder = answered(
        tmp_path / "x", *(trained(n, Status.EARLY_STOPPED, CURVE) for n in range(4, 8))
    )
    found = write_ranking(folder).patience
    assert found is not None
    assert found == tradeoff(read_spec(folder), [
        trained(1, Status.EARLY_STOPPED, [d - 0.05 for d in CURVE]),
        trained(0, Status.EARLY_STOPPED, CURVE),
        *(trained(n, Status.EARLY_STOPPED, CURVE) for n in range(4, 8)),
    ])  # fmt: skip
    head, _, *rows, sentence = printed(found)
    assert " ".join(head) == "patience Dice lost on average at most best Dice epochs spent"
    assert rows == [
        ["3", "0.3000", "0.3000", "0.4000", "42"],
        ["5", "0.0000", "0.0000", "0.7000", "84", "enough"],
        ["8", "0.0000", "0.0000", "0.7000", "102"],
    ]
    assert " ".join(sentence) == (
        "patience 5 is enough: the cheapest that costs the average of 6 trials at most 0.002 Dice."
    )


def test_table_says_where_no_shorter_patience_is_enough() -> None:
    late = [0.1, 0.2, 0.3, 0.4, *[0.4] * 7, 0.7, 0.7]  # patience 3 and 5 do not see the 0.7
    found = tradeoff(spec_of(), [trained(n, Status.COMPLETED, late) for n in range(6)])
    assert found is not None
    assert " ".join(printed(found)[-1]) == (
        "No patience under 8 is enough: each costs the average of 6 trials more than 0.002 Dice."
    )


def test_two_curves_are_too_few_to_call_a_patience_enough(tmp_path: Path) -> None:
    found = write_ranking(answered(tmp_path / "x")).patience
    assert found is not None
    _, _, *rows, sentence = printed(found)
    assert [row[0] for row in rows] == ["3", "5", "8"]
    assert not [row for row in rows if "enough" in row]
    assert " ".join(sentence) == (
        "Too few to say: 2 curves ran on to where each patience ends it, and it takes 6 to call one"
        " enough."
    )


def test_curves_of_six_epochs_are_too_short_to_call_a_patience_enough() -> None:
    short = [0.1, 0.5, 0.5, 0.5, 0.5, 0.5]
    found = tradeoff(spec_of(), [trained(n, Status.COMPLETED, short) for n in range(9)])
    assert found is not None
    assert (found.curves, found.longest, found.is_telling) == (9, 6, False)
    *rows, sentence = printed(found)
    assert not [row for row in rows if "enough" in row]
    assert " ".join(sentence) == (
        "The longest curve of these trials has 6 epochs: it takes 10 to call a patience enough."
    )


def repeated(record: TrialRecord, seed: int, curve: Sequence[float | None]) -> TrialRecord:
    again = trained(record.number, record.status, curve)
    return replace(
        again,
        trial_id=f"{record.trial_id}r{seed}",
        replicate=Replicate(of=record.trial_id, seed=seed, fold=0),
    )


def test_replicates_are_further_curves_and_their_configuration_counts_once() -> None:
    first, second = (trained(n, Status.EARLY_STOPPED, CURVE) for n in range(2))
    flat = [0.1, 0.2, 0.3, 0.4, *[0.4] * 8]  # patience 3 loses nothing of it
    again = [repeated(second, seed, flat) for seed in (1, 2)]
    found = tradeoff(spec_of(), [first, second, *again])
    assert found is not None
    assert (found.curves, found.configurations) == (4, 2)
    # Of the first 0.3 are lost, of the second 0.3, 0 and 0: 0.1 in the mean.
    assert found.steps[0].lost == pytest.approx((0.3 + 0.1) / 2)
    assert found.steps[0].most_lost == pytest.approx(0.3)
    assert found.average == "the average of 2 configurations (4 curves)"


def test_run_that_no_patience_can_end_does_not_dilute_what_the_others_lose() -> None:
    ended = trained(0, Status.EARLY_STOPPED, CURVE)
    full = [0.1 * n for n in range(1, 4)] + [0.4] * 17
    late = trained(1, Status.COMPLETED, full)  # patience 3 counts from epoch 15 + 2: up to 20
    late = replace(late, parameters={**late.parameters, "loss.warmup_epochs": 15})
    early = replace(late, parameters={**late.parameters, "loss.warmup_epochs": 14})
    assert tradeoff(spec_of(), [ended, late]) == tradeoff(spec_of(), [ended])
    assert tradeoff(spec_of(), [late]) is None
    found = tradeoff(spec_of(), [ended, early])
    assert found is not None
    assert found.curves == 2


def test_candidates_that_come_to_nearly_the_same_are_told_and_not_drawn() -> None:
    late = [0.1] * 16 + [0.4] * 4
    parameters = {**OTHERS, "loss.warmup_epochs": 13, "early_stopping.patience": 8}
    trials = [trial(n, Status.COMPLETED, late, parameters) for n in range(6)]
    found = tradeoff(spec_of(), trials)
    assert found is not None
    # Patience 3 would end at 18 of 20, if it did not see the rise in epoch 16.
    assert found.is_flat
    assert not Tradeoff(found.steps[:1] + tuple(
        replace(step, lost=0.1) for step in found.steps[1:]
    ), 6, 6, 20).is_flat  # fmt: skip
