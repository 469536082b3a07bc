"""The panel of a divergence, as text."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from typing import Any

from rich.console import Console

from sweep.console.divergence_panel import diagnosis_panel
from sweep.vocabulary.divergence import Diagnosis, EpsilonFacts, StepValues
from sweep.vocabulary.record import Divergence, Stage


def shown(divergence: Divergence, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(diagnosis_panel(divergence))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def step(number: int, **values: Any) -> StepValues:
    usual: dict[str, Any] = {
        "terms": {"dice": 0.25},
        "loss": 0.25,
        "grad_norm": 1.5,
        "weight_norm": 9.0,
    }
    return StepValues(epoch=5, step=number, **(usual | values))


DIAGNOSIS = Diagnosis(
    likely_cause="The root of zero.",
    setting="loss.sqrt_epsilon",
    advice="Raise it.",
    epochs_after_switch_on=2,
    steps_after_switch_on=12,
    recent=(step(1), step(2, terms={"dice": 0.25, "aspect": 0.5}, grad_norm=math.nan)),
    cases=("a", "b"),
    soft_areas=(51.6, None),
    epsilon=EpsilonFacts(value=1e-4, mode="clamp", gradient_bound=50.0, bias=41.0, perimeter=62.8),
)
DIVERGENCE = Divergence(
    cause="nonfinite",
    epoch=5,
    step=2,
    stage=Stage.GRADIENT,
    term="aspect",
    parameter="encoder.0.weight",
    message="It broke.",
    diagnosis=DIAGNOSIS,
)


def test_panel_tells_what_where_why_and_what_to_try() -> None:
    text = shown(DIVERGENCE, width=160)
    for told in (
        "diverged: nonfinite gradient (aspect) at epoch 5 step 2",
        "It broke.",
        "encoder.0.weight",
        "2 epochs (12 steps) after the geometric loss switches on",
        "a (52 px), b (not finite)",
        "slope is at most 50; adds 41 px to the perimeter, where a mask has 63 px",
        "The root of zero.",
        "Raise it.",
    ):
        assert told in text, told
    assert "scale" not in text.lower()


def test_steps_show_terms_that_came_later_as_a_dash_and_broken_values_as_words() -> None:
    rows = [line.split() for line in shown(DIVERGENCE).splitlines()]
    assert ["│", "5", "1", "0.25", "–", "0.25", "1.5", "│"] in rows
    assert ["│", "5", "2", "0.25", "0.5", "0.25", "nan", "│"] in rows


def test_training_that_counts_no_steps_has_no_step_in_the_words_and_the_file_keeps_its_number() -> (
    None
):
    verdict = replace(DIVERGENCE, step=0, counts_steps=False, diagnosis=None)
    about = replace(DIAGNOSIS, steps_after_switch_on=None, recent=())
    text = shown(replace(verdict, diagnosis=about))
    assert "diverged: nonfinite gradient (aspect) at epoch 5 " in text
    assert "epoch 5 (from 0)" in text
    assert "step" not in text
    assert (verdict.to_json()["step"], verdict.to_json()["counts_steps"]) == (0, False)
    assert "counts_steps" not in DIVERGENCE.to_json()  # files of all others are as before


def test_scale_is_shown_where_there_is_a_scaler() -> None:
    scaled = replace(DIAGNOSIS, recent=(step(1, scale=1024.0),))
    assert "1024" in shown(replace(DIVERGENCE, diagnosis=scaled))


def test_weights_that_are_not_finite_are_a_warning() -> None:
    assert "do not use them" in shown(replace(DIVERGENCE, weights_finite=False))


def test_verdict_without_a_diagnosis_is_shown_as_far_as_it_goes() -> None:
    assert "It broke." in shown(replace(DIVERGENCE, diagnosis=None))


def test_panel_fits_a_narrow_terminal() -> None:
    assert max(map(len, shown(DIVERGENCE, width=60).splitlines())) <= 60
