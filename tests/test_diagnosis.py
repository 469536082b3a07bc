"""Steps and diagnoses pass through strict JSON without loss."""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from sweep.store.files import parsed
from sweep.vocabulary.divergence import Diagnosis, EpsilonFacts, StepValues
from sweep.vocabulary.record import Divergence, Stage

numbers = st.floats(width=32)
steps = st.builds(
    StepValues,
    epoch=st.integers(0, 9),
    step=st.integers(0, 9),
    terms=st.dictionaries(st.sampled_from(["dice", "ce", "aspect"]), numbers),
    loss=numbers,
    grad_norm=numbers,
    weight_norm=numbers,
    scale=st.none() | st.floats(2**-20, 2**20),
    skipped=st.booleans(),
)


def through_json(divergence: Divergence) -> Divergence:
    return parsed(Divergence, json.loads(json.dumps(divergence.to_json(), allow_nan=False)))


@given(recent=st.lists(steps, max_size=3).map(tuple))
def test_divergence_survives_json_to_the_last_bit(recent: tuple[StepValues, ...]) -> None:
    divergence = Divergence(
        cause="nonfinite",
        epoch=5,
        step=2,
        stage=Stage.GRADIENT,
        term="aspect",
        parameter="model.0.weight",
        terms={"dice": "0.5", "aspect": "nan"},
        weights_finite=False,
        message="It broke.",
        diagnosis=Diagnosis(
            likely_cause="ε.",
            setting="loss.sqrt_epsilon",
            advice="Raise it.",
            change={"loss.sqrt_epsilon": 1e-6, "loss.sqrt_mode": "centered"},
            epochs_after_switch_on=0,
            steps_after_switch_on=2,
            recent=recent,
            cases=("shapes_001", "shapes_002"),
            soft_areas=(51.5, None),
            epsilon=EpsilonFacts(
                value=0.0, mode="clamp", gradient_bound=None, bias=0.0, perimeter=60.5
            ),
            replayable=True,
        ),
    )
    assert through_json(divergence) == divergence


def test_divergence_that_an_older_version_wrote_is_still_read() -> None:
    old = {"cause": "nonfinite", "epoch": 1, "step": 0, "message": "It broke.", "stage": "loss"}
    assert parsed(Divergence, old).diagnosis is None


def test_steps_are_equal_bit_for_bit_and_a_nan_equals_a_nan() -> None:
    def step(loss: float) -> StepValues:
        return StepValues(epoch=0, step=0, terms={}, loss=loss, grad_norm=1.0, weight_norm=1.0)

    assert step(math.nan) == step(math.nan)
    assert step(math.inf) != step(-math.inf)
    assert step(0.1) != step(math.nextafter(0.1, 1))
