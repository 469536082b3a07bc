from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.store.layout import Layout, trial_id, trial_number


@pytest.mark.parametrize(("number", "name"), [(0, "t0000"), (9999, "t9999"), (10000, "t10000")])
def test_trial_id_has_at_least_four_digits(number: int, name: str) -> None:
    assert trial_id(number) == name
    assert trial_number(name) == number


@given(st.integers(min_value=0))
def test_trial_number_is_the_inverse_of_trial_id(number: int) -> None:
    assert trial_number(trial_id(number)) == number


@given(st.text())
def test_text_is_either_refused_or_the_very_id_that_its_number_has(text: str) -> None:
    try:
        number = trial_number(text)
    except ValueError:
        return
    assert trial_id(number) == text


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        ".",
        "..",
        "../t0000",
        "t0000/..",
        "/t0000",
        "t0000\n",
        "t٠٠٠٠",
        "t-001",
        "t00000",
        "T0000",
    ],
)
def test_hostile_id_leads_nowhere(hostile: str) -> None:
    with pytest.raises(ValueError, match="not the id of a trial"):
        Layout(Path("results/x")).trial(hostile)


def test_negative_number_has_no_id() -> None:
    with pytest.raises(ValueError, match="number=-1"):
        trial_id(-1)


def test_names_are_those_of_the_results_contract() -> None:
    layout = Layout(Path("results/x"))
    trial = layout.trial("t0003")
    names = [
        layout.sweep_yaml,
        layout.ranking_csv,
        layout.best_yaml,
        trial.config,
        trial.history,
        trial.divergence,
    ]
    assert [path.relative_to(layout.folder).as_posix() for path in names] == [
        "sweep.yaml",
        "ranking.csv",
        "best.yaml",
        "trials/t0003/config.yaml",
        "trials/t0003/history.jsonl",
        "trials/t0003/divergence.json",
    ]
