"""When, and by what, trials are compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from sweep.search.schedulers.comparison import (
    ByProjectedGain,
    ByTrainedEpochs,
    ComparedValue,
    make_comparison,
)
from sweep.search.schedulers.projected_gain import noise_of, projected_gain
from sweep.spec.checks.contradictions import check_sweep
from sweep.spec.checks.doubtful_settings import warnings
from sweep.spec.search.search_strategy import AshaScheduler, trained_epochs
from sweep.spec.search.sweep_spec import SweepSpec

SPACE = {"loss.warmup_epochs": {"randint": [2, 12]}, "loss.sqrt_epsilon": {"choice": [0, 1e-6]}}


def spec_of(**changes: Any) -> SweepSpec:
    values = {"name": "toy", "space": SPACE, "presets": ["baseline"], "trainer": {"epochs": 40}}
    return SweepSpec.model_validate(values | {"loss": {"rampup_epochs": 3}} | changes)


def test_plain_clock_counts_trained_epochs_and_passes_dice_on() -> None:
    comparison = ByTrainedEpochs()
    comparison.start("t0000", 5, None)
    assert comparison.read("t0000", 3, 0.5) == ("t0000", 3, 0.5)
    resource = comparison.read("t0000", 4, None).resource
    assert resource < 1  # nothing to be judged by
    assert list(comparison.late()) == []


def baseline_of(*dice: float | None) -> ByProjectedGain:
    comparison = ByProjectedGain()
    comparison.start("t0000", 100, "baseline")
    for epochs, value in enumerate(dice, start=1):
        comparison.read("t0000", epochs, value)
    return comparison


def read(
    comparison: ByProjectedGain, name: str, switch_on: int, dice: Sequence[float | None]
) -> list[ComparedValue]:
    """All readings of a trial."""
    comparison.start(name, switch_on, None)
    return [comparison.read(name, epochs, value) for epochs, value in enumerate(dice, start=1)]


def test_time_is_that_since_the_switch_on_and_at_most_a_quarter_of_all_epochs() -> None:
    comparison = baseline_of(*[0.5] * 20)
    early = read(comparison, "t0001", 0, [0.5] * 20)
    late = read(comparison, "t0002", 15, [0.5] * 20)
    assert [reading.resource for reading in early] == [n // 4 for n in range(1, 21)]
    assert [max(reading.resource, 0) for reading in late] == [0] * 15 + [1, 2, 3, 4, 5]
    # The inverse, of every time that there is.
    for switch_on, readings in ((0, early), (15, late)):
        for at in range(1, 6):
            first = next(n for n, reading in enumerate(readings, start=1) if reading.resource >= at)
            assert trained_epochs(at, switch_on) == first


def test_score_is_what_the_trial_promises_over_the_baseline_so_far() -> None:
    control = [0.1, 0.2, 0.3, 0.4, 0.5, 0.4, 0.6, 0.6]
    dice = [0.1, 0.2, 0.3, 0.4, 0.6, 0.4, 0.5, 0.7]
    at_8 = read(baseline_of(*control), "t0001", 4, dice)[-1]
    assert at_8 == ("t0001", 2, promise_of(dice, control, 4))


def promise_of(dice: Sequence[float], control: Sequence[float], full_from: int) -> float:
    values, baseline = np.array(dice), np.array(control)
    return projected_gain(values, baseline, full_from, noise_of(baseline))


def test_later_switch_on_has_no_advantage_of_its_longer_training() -> None:
    """Two trials that gain 0.02 on the baseline at once are equal, whenever they switch on."""
    dice = [epoch / 100 for epoch in range(20)]
    comparison = baseline_of(*dice)
    for name, switch_on in (("t0001", 4), ("t0002", 12)):
        gained = [value + 0.02 * (epoch >= switch_on) for epoch, value in enumerate(dice)]
        readings = read(comparison, name, switch_on, gained)
        first = next(reading for reading in readings if reading.resource == 1)
        assert first.score == pytest.approx(0.02)


def test_epoch_that_the_baseline_has_not_reached_has_its_score_when_it_has() -> None:
    comparison = baseline_of(0.1, 0.2, 0.3)
    *_, before, ahead = read(comparison, "t0001", 1, [0.1, 0.2, 0.3, 0.5, 0.6])
    assert (before, ahead) == (("t0001", 1, None), ("t0001", 1, None))
    assert list(comparison.late()) == []
    comparison.read("t0000", 4, 0.4)
    # As it was then, after four epochs.
    control = [0.1, 0.2, 0.3, 0.4]
    assert list(comparison.late()) == [("t0001", 1, promise_of([0.1, 0.2, 0.3, 0.5], control, 1))]
    assert list(comparison.late()) == []
    comparison.end("t0000")
    (last,) = comparison.late()
    values, until_its_end = np.array([0.1, 0.2, 0.3, 0.5, 0.6]), np.array([*control, 0.4])
    assert last.score == projected_gain(values, until_its_end, 1, noise_of(until_its_end[:4]))


def test_trial_that_has_ended_is_not_read_late() -> None:
    comparison = baseline_of(0.1)
    read(comparison, "t0001", 1, [0.1, 0.2, 0.3, 0.5])
    comparison.end("t0001")
    comparison.end("t0000")
    assert list(comparison.late()) == []


def test_baseline_that_has_ended_is_compared_by_its_last_epoch() -> None:
    comparison = baseline_of(0.1, 0.3)
    comparison.end("t0000")
    assert read(comparison, "t0001", 3, [0.1, 0.3, 0.3, 0.4])[-1].score == pytest.approx(0.1)


def test_baseline_without_any_dice_compares_with_nothing() -> None:
    comparison = baseline_of()
    comparison.end("t0000")
    assert read(comparison, "t0001", 1, [0.1, 0.2, 0.3, 0.4])[-1].score == pytest.approx(0.4)


def test_trial_that_trains_an_epoch_again_is_read_as_if_it_had_trained_it_once() -> None:
    comparison, dice = baseline_of(0.1, 0.3, 0.3, 0.4), [0.1, 0.3, 0.5, 0.6]
    read(comparison, "t0001", 1, dice)
    again = [comparison.read("t0001", n, value) for n, value in enumerate(dice, start=1)][2:]
    assert again == [
        reading._replace(trial_id="t0001") for reading in read(comparison, "t0002", 1, dice)[2:]
    ]


def test_trial_that_tells_only_some_epochs_is_read_by_those() -> None:
    comparison = baseline_of(0.1, 0.2, 0.3, 0.4)
    comparison.start("t0001", 1, None)
    score = comparison.read("t0001", 4, 0.5).score
    assert score == pytest.approx(0.1)  # the gain, and the one difference that is known


def test_baseline_is_never_judged_and_neither_is_a_trial_that_never_measured() -> None:
    comparison = baseline_of(0.1, 0.3, 0.3, 0.3)
    assert comparison.read("t0000", 5, 0.9).resource < 1
    assert all(reading.resource < 1 for reading in read(comparison, "t0001", 1, [None] * 4))


def test_gains_are_compared_where_the_warmup_is_searched_beside_a_baseline() -> None:
    spec = spec_of()
    assert spec.compares_gains
    assert isinstance(make_comparison(spec), ByProjectedGain)
    # From a 25th of 40 on; at its end a trial of 40 epochs is at 10.
    assert spec.rungs() == [2, 4, 8]


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
    assert isinstance(make_comparison(spec), ByTrainedEpochs)


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
    assert (spec.scheduler.grace_period, spec.scheduler.clock) == (2, "activation")
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
