"""When, and by what, trials are compared."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.search.clock import SinceActivation, TrainedEpochs, make_clock
from sweep.spec.check import check_sweep
from sweep.spec.strategy import AshaScheduler
from sweep.spec.sweep import SweepSpec
from sweep.spec.warn import warnings

SPACE = {"loss.warmup_epochs": {"randint": [2, 12]}, "loss.sqrt_epsilon": {"choice": [0, 1e-6]}}


def spec_of(**changes: Any) -> SweepSpec:
    values = {"name": "toy", "space": SPACE, "presets": ["baseline"], "trainer": {"epochs": 40}}
    return SweepSpec.model_validate(values | {"loss": {"rampup_epochs": 3}} | changes)


def test_plain_clock_counts_trained_epochs_and_passes_dice_on() -> None:
    clock = TrainedEpochs()
    clock.start("t0000", 5, None)
    assert clock.read("t0000", 3, 0.5) == (3, 0.5)
    assert clock.read("t0000", 4, None) == (4, None)


def baseline_of(*dice: float | None) -> SinceActivation:
    clock = SinceActivation()
    clock.start("t0000", 100, "baseline")
    for epochs, value in enumerate(dice, start=1):
        clock.read("t0000", epochs, value)
    return clock


def test_gain_is_the_best_so_far_minus_the_baselines_in_the_same_epoch() -> None:
    clock = baseline_of(0.1, 0.4, 0.3, 0.5)
    clock.start("t0001", 2, None)
    assert clock.read("t0001", 1, 0.1) == (-1, None)
    assert clock.read("t0001", 2, 0.4) == (0, None)
    assert clock.read("t0001", 3, 0.45) == (1, pytest.approx(0.05))
    assert clock.read("t0001", 4, 0.2) == (2, pytest.approx(-0.05))


def test_later_switch_on_has_no_advantage_of_its_longer_training() -> None:
    """Two trials that gain 0.02 on the baseline at once are equal, whenever they switch on."""
    dice = [epoch / 100 for epoch in range(20)]
    clock = baseline_of(*dice)
    for name, warmup in (("t0001", 2), ("t0002", 12)):
        clock.start(name, warmup, None)
        for epochs in range(1, warmup + 1):
            clock.read(name, epochs, dice[epochs - 1])
        time, gain = clock.read(name, warmup + 1, dice[warmup] + 0.02)
        assert (time, gain) == (1, pytest.approx(0.02))


def test_epoch_that_the_baseline_has_not_reached_has_no_score_yet() -> None:
    clock = baseline_of(0.1, 0.2)
    clock.start("t0001", 1, None)
    assert clock.read("t0001", 3, 0.4) == (2, None)
    clock.read("t0000", 3, 0.3)
    assert clock.read("t0001", 3, 0.4) == (2, pytest.approx(0.1))


def test_baseline_that_has_ended_is_compared_by_its_last_epoch() -> None:
    clock = baseline_of(0.1, 0.3)
    clock.end("t0000")
    clock.start("t0001", 1, None)
    assert clock.read("t0001", 9, 0.4) == (8, pytest.approx(0.1))


def test_baseline_without_any_dice_compares_with_nothing() -> None:
    clock = baseline_of()
    clock.end("t0000")
    clock.start("t0001", 1, None)
    assert clock.read("t0001", 2, 0.4) == (1, pytest.approx(0.4))


def test_baseline_is_never_judged_and_neither_is_a_trial_that_never_measured() -> None:
    clock = baseline_of(0.1, 0.3)
    time, _ = clock.read("t0000", 3, 0.9)
    assert time < 1
    clock.start("t0001", 1, None)
    assert clock.read("t0001", 2, None) == (1, None)


def test_gains_are_compared_where_the_warmup_is_searched_beside_a_baseline() -> None:
    spec = spec_of()
    assert spec.compares_gains
    assert isinstance(make_clock(spec), SinceActivation)
    # 3 epochs of ramp-up and a tenth of 40; the first to switch on trains 38 epochs from there.
    assert spec.rungs() == [7, 14, 28]


@pytest.mark.parametrize(
    "changes",
    [
        {"presets": []},
        {"space": {"loss.sqrt_epsilon": {"choice": [0, 1e-6]}}},
        {"space": {**SPACE, "optimizer.lr": {"choice": [0.1, 0.01]}}},
        {"scheduler": {"name": "asha", "clock": "epochs"}},
        {"scheduler": "none"},
    ],
    ids=["no_baseline", "one_warmup", "several_trunks", "asked_for", "no_scheduler"],
)
def test_else_trained_epochs_count(changes: dict[str, Any]) -> None:
    spec = spec_of(**changes)
    assert not spec.compares_gains
    assert isinstance(make_clock(spec), TrainedEpochs)


def unset(**changes: Any) -> SweepSpec:
    """A sweep whose file says nothing of presets."""
    values = spec_of(**changes).model_dump(mode="json") | {"scheduler": "asha"} | changes
    del values["presets"]
    return SweepSpec.model_validate(values)


def test_baseline_is_the_first_trial_without_being_asked_for_where_gains_can_be_compared() -> None:
    spec = unset()
    assert spec.presets == ("baseline",)
    assert spec.compares_gains
    assert spec == spec_of(scheduler="asha")
    assert SweepSpec.model_validate(spec.model_dump(mode="json") | {"presets": None}) == spec


def test_baseline_comes_with_a_clock_that_is_asked_for() -> None:
    space = {"loss.sqrt_epsilon": {"choice": [0, 1e-6]}}
    scheduler = {"name": "asha", "clock": "activation"}
    assert unset(space=space, scheduler=scheduler).presets == ("baseline",)


@pytest.mark.parametrize(
    "changes",
    [
        {"space": {"loss.sqrt_epsilon": {"choice": [0, 1e-6]}}},
        {"space": {**SPACE, "optimizer.lr": {"choice": [0.1, 0.01]}}},
        {"scheduler": {"name": "asha", "clock": "epochs"}},
        {"scheduler": "none"},
    ],
    ids=["one_warmup", "several_trunks", "another_clock", "no_scheduler"],
)
def test_no_baseline_is_trained_that_nobody_asked_for_and_nothing_compares_with(
    changes: dict[str, Any],
) -> None:
    assert unset(**changes).presets == ()
    assert not unset(**changes).compares_gains


def test_baseline_counts_as_a_trial_and_a_grid_makes_room_for_it() -> None:
    grid = {"loss.warmup_epochs": {"grid": [2, 4, 6]}}
    values = {"name": "toy", "space": grid, "searcher": "grid"}
    assert SweepSpec.model_validate(values).trials == 4
    assert SweepSpec.model_validate(values | {"scheduler": "none"}).trials == 3


def test_first_judgement_that_is_filled_in_is_possible_in_the_shortest_training() -> None:
    spec = unset(trainer={"epochs": 3}, loss={"rampup_epochs": 10})
    assert isinstance(spec.scheduler, AshaScheduler)
    assert (spec.scheduler.grace_period, spec.scheduler.clock) == (3, "activation")
    assert list(check_sweep(spec)) == []


def test_sweep_of_the_baseline_alone_is_told() -> None:
    spec = spec_of(trials=1)
    assert "1 trial: all for presets and enqueued configurations, none for what is searched" in (
        warnings(spec)
    )


def test_gains_without_a_baseline_are_a_mistake() -> None:
    spec = spec_of(presets=[], scheduler={"name": "asha", "clock": "activation"})
    [finding] = [f for f in check_sweep(spec) if f.path == ("scheduler", "clock")]
    assert "add `presets: [baseline]`" in finding.message


def test_clock_that_was_filled_in_is_read_back_as_the_same_spec() -> None:
    spec = spec_of()
    assert SweepSpec.model_validate(spec.model_dump(mode="json")) == spec
