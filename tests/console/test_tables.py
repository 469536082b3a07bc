from __future__ import annotations

import io
from dataclasses import replace

import pytest
from finalists import finalist
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from synthetic import SPACE, SWEEP_YAML, drawn, results_of
from synthetic import trial as made_up

from sweep.analysis.ranked_table import Column, RankedTable, number_column
from sweep.analysis.ranking.ranking_frame import ranking
from sweep.console.ranking_table import _columns, causes, ranking_table
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import DICE
from sweep.vocabulary.record import (
    Divergence,
    Outcome,
    ParameterValue,
    Stage,
    Status,
    TrialRecord,
)

NO_EFFECT = "– under a setting: null, or without effect in that trial."
PARAMETERS = ["loss.warmup_epochs", "loss.weights.compactness", "network.name", "data.fold"]
DIVERGENCE = Divergence(
    cause="nonfinite", epoch=3, step=0, stage=Stage.GRADIENT, term="aspect", message="NaN"
)


def trial(
    number: int, outcome: Outcome | None, *dice: float | None, **more: ParameterValue
) -> TrialRecord:
    values: dict[str, ParameterValue] = dict(
        zip(PARAMETERS, [number, 0.123456, "unet", None], strict=True)
    )
    return TrialRecord(
        trial_id=f"t{number:04d}",
        number=number,
        parameters=values | more,
        history=tuple(EpochMetrics(epoch=e, val_dice=d, seconds=1) for e, d in enumerate(dice)),
        outcome=outcome,
    )


@pytest.fixture
def table() -> RankedTable:
    records = [
        trial(0, Outcome(status=Status.COMPLETED), 0.1, 0.81239, 0.3),
        trial(1, Outcome.diverged(DIVERGENCE), 0.9),
        trial(2, Outcome(status=Status.EARLY_STOPPED), 0.95),
        trial(3, Outcome(status=Status.FAILED, cause="ValueError: no [red]way[/red]"), None),
        trial(4, Outcome(status=Status.PRUNED, cause="stopped by asha after 1 epochs"), None),
        trial(5, None, 0.99),
    ]
    return ranking(records, PARAMETERS)


def rows(table: RankedTable, parameters: list[str], width: int) -> list[list[str]]:
    """The cells of each line below the header."""
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(ranking_table(table, parameters, width=width))
    lines = console.export_text().splitlines()
    [rule] = [n for n, line in enumerate(lines) if line.startswith((" ─", "─", "╶"))][:1]
    return [line.split() for line in lines[rule + 1 :] if line.strip()]


def test_best_epoch_before_the_switch_on_bears_a_mark_that_is_explained(
    table: RankedTable,
) -> None:
    marks = Column([True, False, None, None, None], "boolean")
    marked = table.beside({"best_before_switch_on": marks})
    found = rows(marked, PARAMETERS, 160)
    assert [row[4] for row in found[:2]] == ["0*", "1"]
    assert " ".join(word for row in found[5:] for word in row) == (
        "* This epoch lies before its geometric loss switched on: the loss had no part in it. "
        + NO_EFFECT
    )


def test_mark_of_a_column_that_is_left_out_becomes_a_sentence_with_names(
    table: RankedTable,
) -> None:
    marks = Column([True, False, None, None, None], "boolean")
    marked = table.beside({"best_before_switch_on": marks})
    words = " ".join(word for row in rows(marked, PARAMETERS, 48) for word in row)
    assert "*" not in words
    assert words.endswith(
        "The best epoch of t0002 lies before its geometric loss switched on: the loss had no part"
        " in it."
    )


def test_heading_of_several_lines_is_the_whole_name() -> None:
    names = ["loss.warmup_epochs", "optimizer.name", "loss.weights.aspect"]
    columns = _columns(ranking([], names), names, DICE, (), "")
    assert ["".join(column.heading.split()) for column in columns[-3:]] == [
        "warmup_epochs",
        "optimizer.name",
        "weights.aspect",
    ]


def test_column_says_when_a_race_dropped_whom_once_somebody_was_dropped() -> None:
    race = SWEEP_YAML.replace("space:", "confirm: {{top: 3, seeds: 10}}\nspace:")
    means = {
        0: (0.795, 0.815, 0.801, 0.812),
        1: (0.901, 0.909, 0.920, 0.905, 0.911),
        2: (0.884, 0.902, 0.896, 0.893, 0.889),
    }
    records = [
        replace(one, parameters={"loss.warmup_epochs": n})  # each has its own configuration
        for n, dice in means.items()
        for one in finalist(n, 0.99 - n / 100, *dice)
    ]
    spec = results_of(*records[:1], trials=3, yaml=race).spec
    first = [one for one in records if one.replicate is None or one.replicate.seed == 1]
    early, late = (ranking(some, [], spec) for some in (first, records))
    assert "dropped" in early
    assert "dropped" not in [column.name for column in _columns(early, [], DICE, (), "")]
    [column] = [one for one in _columns(late, [], DICE, (), "") if one.name == "dropped"]
    assert column.heading == "dropped"
    assert {*column.cells} == {
        "–",
        "after 4 of 10 seeds",
        "after 5 of 10 seeds",
    }


def test_wide_table_has_a_column_a_parameter(table: RankedTable) -> None:
    assert rows(table, PARAMETERS, 160) == [
        ["1", "t0002", "early-stopped", "0.9500", "0", "1", "2", "0.123", "unet", "–"],
        ["2", "t0000", "completed", "0.8124", "1", "3", "0", "0.123", "unet", "–"],
        ["3", "t0004", "pruned", "–", "–", "1", "4", "0.123", "unet", "–"],
        ["4", "t0001", "diverged", "–", "–", "1", "1", "0.123", "unet", "–"],
        ["5", "t0003", "failed", "–", "–", "1", "3", "0.123", "unet", "–"],
        NO_EFFECT.split(),
    ]


def test_narrower_table_names_once_what_all_rows_share(table: RankedTable) -> None:
    *table, shared, explained = rows(table, PARAMETERS, 65)
    assert " ".join(explained) == NO_EFFECT
    assert table[0] == ["1", "t0002", "early-stopped", "0.9500", "0", "1", "2", "–"]
    assert " ".join(shared) == "In every row: weights.compactness=0.123 network.name=unet"


def test_narrowest_table_gathers_the_parameters_that_differ_in_one_column() -> None:
    names = [f"group.parameter_{letter}" for letter in "abcdefgh"]
    records = [
        trial(n, Outcome(status=Status.COMPLETED), 0.9 - n / 10, **dict.fromkeys(names, n + 0.125))
        for n in range(2)
    ]
    table = rows(ranking(records, names), names, 60)
    assert table[0] == ["1", "t0000", "completed", "0.9000", "1", "parameter_a=0.125"]
    assert table[1] == ["parameter_b=0.125"]
    assert len(table) == 2 * len(names)


@given(
    width=st.integers(60, 200),
    presets=st.booleans(),
    measured=st.booleans(),
    status=st.sampled_from([Status.PRUNED, Status.EARLY_STOPPED]),
)
def test_no_width_cuts_a_value(width: int, presets: bool, measured: bool, status: Status) -> None:
    records = [drawn(number) for number in range(4)]
    parameters = {**records[3].parameters, "loss.weights.compactness": 0.00119}
    records[3] = replace(records[3], outcome=Outcome(status=status), parameters=parameters)
    if presets:
        records[0] = replace(records[0], preset="geometric-v2.3")
    if measured:
        measures = [replace(e, metrics={"hd95": 3.25}) for e in records[0].history]
        records[0] = replace(records[0], history=tuple(measures))
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(ranking_table(ranking(records, SPACE), list(SPACE), width=width))
    lines = console.export_text().splitlines()
    words = {word.rpartition("=")[2] for line in lines for word in line.split()}
    assert "…" not in "".join(lines)
    assert max(map(len, lines)) <= width
    for record in records:
        assert {f"{value:.3g}" for value in record.parameters.values()} <= words


@pytest.mark.parametrize("width", [160, 100, 60])
def test_names_of_trials_and_statuses_are_never_cut_off(table: RankedTable, width: int) -> None:
    cells = [row for row in rows(table, PARAMETERS, width) if row[0].isdigit()]
    assert [row[1:3] for row in cells] == [
        ["t0002", "early-stopped"],
        ["t0000", "completed"],
        ["t0004", "pruned"],
        ["t0001", "diverged"],
        ["t0003", "failed"],
    ]


@pytest.mark.parametrize("width", [160, 100])
def test_parameters_whose_last_names_are_the_same_keep_their_own_values(width: int) -> None:
    names = ["network.name", "optimizer.name"]
    record = trial(0, Outcome(status=Status.COMPLETED), 0.5, **{"optimizer.name": "sgd"})
    [row] = rows(ranking([record], names), names, width)
    assert "unet" in " ".join(row)
    assert "sgd" in " ".join(row)


@pytest.mark.parametrize("width", [160, 60])
def test_table_of_no_trial_is_a_header(width: int) -> None:
    assert rows(ranking([], PARAMETERS), PARAMETERS, width) == []


def test_title_stands_above_the_table(table: RankedTable) -> None:
    console = Console(file=io.StringIO(), width=160, record=True)
    console.print(ranking_table(table, PARAMETERS, title="quickstart"))
    assert console.export_text().splitlines()[0].strip() == "quickstart"


def test_causes_are_those_of_the_diverged_and_the_failed_in_the_order_of_the_ranking(
    table: RankedTable,
) -> None:
    assert [line.plain for line in causes(table)] == [
        "t0001 diverged: nonfinite gradient (aspect) at epoch 3 step 0",
        "t0003 failed: ValueError: no [red]way[/red]",
    ]


def test_trials_whose_shown_digits_are_equal_are_called_a_tie_and_no_others() -> None:
    done = Outcome(status=Status.COMPLETED)
    names = PARAMETERS[:1]
    values = (0.9, 0.90001, 0.8, 0.80001, 0.7)
    level = ranking([trial(n, done, value) for n, value in enumerate(values)], names)
    assert " ".join(rows(level, names, 160)[-1]) == (
        "t0000 and t0002: a tie with the trial above, in these digits."
    )
    apart = ranking([trial(n, done, 0.9 - n / 1000) for n in range(3)], names)
    assert len(rows(apart, names, 160)) == 3


def test_gain_over_the_baseline_is_explained_where_it_is_shown(table: RankedTable) -> None:
    gained = table.beside({"delta_baseline": number_column([0.1, 0.0, None, None, None])})
    sentence = "Δ baseline of a pruned trial: against the baseline after as many epochs."
    of_pruned = gained.beside({"status": Column(["pruned", *gained["status"][1:]], "string")})
    told = [" ".join(row) for row in rows(of_pruned, PARAMETERS, 160)]
    assert sentence in told
    assert sentence not in [" ".join(row) for row in rows(gained, PARAMETERS, 160)]
    marks = Column([True, False, None, None, None], "boolean")
    before = gained.beside({"best_before_switch_on": marks})
    since = "Δ baseline of a trial with *: by its best since the switch-on."
    assert since in [" ".join(row) for row in rows(before, PARAMETERS, 160)]
    assert since not in [" ".join(row) for row in rows(gained, PARAMETERS, 160)]
    without = table.beside({"delta_baseline": number_column([None] * 5)})
    assert "baseline" not in str(rows(without, PARAMETERS, 160))


def test_the_preset_of_a_trial_is_shown_where_there_are_any() -> None:
    records = [
        replace(trial(0, Outcome(status=Status.COMPLETED), 0.9), preset="geometric-v2.3"),
        trial(1, Outcome(status=Status.COMPLETED), 0.5),
    ]
    first, second, _ = rows(ranking(records, PARAMETERS), PARAMETERS, 160)
    assert first[:4] == ["1", "t0000", "geometric-v2.3", "completed"]
    assert second[:4] == ["2", "t0001", "–", "completed"]


def test_without_room_for_their_column_presets_are_named_below_the_table() -> None:
    records = [
        replace(trial(0, Outcome(status=Status.COMPLETED), 0.9), preset="geometric-v2.3"),
        trial(1, Outcome(status=Status.COMPLETED), 0.5),
    ]
    first, *_, last = rows(ranking(records, PARAMETERS), PARAMETERS, 60)
    assert first[:3] == ["1", "t0000", "completed"]
    assert " ".join(last) == "Presets: t0000 is geometric-v2.3"


def test_line_divides_the_confirmed_from_those_of_one_run_and_says_what_it_means() -> None:
    """A confirmed baseline far below an unconfirmed trial is not thereby better than it."""
    control = finalist(1, 0.03, 0.02, 0.02, 0.02)
    records = [*finalist(0, 0.9, 0.8, 0.8, 0.8), *control, made_up(2, Status.COMPLETED, [0.09])]
    table = ranking(records, [])
    shown = printed(table)
    numbers = [line.split()[0] for line in shown if line.split()]
    assert numbers[2:6] == ["1", "2", "─", "3"]
    assert any(
        line.startswith("Above the line: leaders that were trained again,") for line in shown
    )
    for part in (table.head(2), table.at([2]), table.at([2, 0, 1])):
        assert not any("Above the line" in line for line in printed(part))


def printed(table: RankedTable) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=160).print(ranking_table(table, []))
    return out.getvalue().splitlines()
