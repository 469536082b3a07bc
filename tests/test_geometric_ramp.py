"""When the geometric loss is off, rises and acts in full: asked of one object by all sides."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sweep.spec.settings.loss_settings import LossSettings
from sweep.vocabulary.geometric_ramp import GeometricRamp

epochs = st.integers(0, 50)
ramps = st.builds(
    lambda off, rise, acts: GeometricRamp(off, off + rise, acts), epochs, epochs, st.booleans()
)


def test_factor_is_zero_in_the_warmup_then_rises_linearly_to_one() -> None:
    factors = [GeometricRamp(3, 6).factor(epoch) for epoch in range(9)]
    assert factors == [0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1]


def test_without_a_rampup_the_geometric_loss_switches_on_at_once() -> None:
    assert [GeometricRamp(2, 2).factor(epoch) for epoch in range(4)] == [0, 0, 1, 1]
    assert GeometricRamp(0, 0).factor(0) == 1


@given(ramps)
def test_its_two_epochs_are_the_first_of_a_factor_above_zero_and_of_one(
    ramp: GeometricRamp,
) -> None:
    factors = [ramp.factor(epoch) for epoch in range(102)]
    assert factors == sorted(factors)
    assert next(epoch for epoch, factor in enumerate(factors) if factor > 0) == ramp.off_until
    assert factors.index(1) == ramp.full_from


@given(ramps, st.integers(1, 120))
def test_epochs_of_a_training_are_counted_by_what_acts_in_them(
    ramp: GeometricRamp, length: int
) -> None:
    acting = [ramp.factor(epoch) if ramp.acts else 0.0 for epoch in range(length)]
    assert ramp.epochs_off(length) == sum(factor == 0 for factor in acting)
    assert ramp.epochs_not_full(length) == sum(factor < 1 for factor in acting)
    assert ramp.is_missed_in(length) == (ramp.acts and not any(acting))


def test_switch_on_of_a_loss_without_any_weight_is_none_and_its_epochs_stay() -> None:
    weights = {"compactness": 0, "boundary": 0, "aspect": 0}
    loss = {"warmup_epochs": 4, "rampup_epochs": 2}
    ramp = LossSettings.model_validate(loss).ramp
    assert ramp == GeometricRamp(off_until=4, full_from=6, acts=True)
    assert (ramp.switch_on, ramp.since_switch_on(7), ramp.since_switch_on(1)) == (4, 3, -3)
    without = LossSettings.model_validate(loss | {"weights": weights}).ramp
    assert without == GeometricRamp(off_until=4, full_from=6, acts=False)
    assert (without.switch_on, without.since_switch_on(7)) == (None, None)
