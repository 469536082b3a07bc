"""What every searcher promises, whatever its method."""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from sweep.search.searchers.searcher import Searcher, make_searcher
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import Mode, Objective
from sweep.vocabulary.record import Outcome, ParameterValue, Status, TrialRecord

LISTED: dict[str, Any] = {
    "loss.sqrt_epsilon": {"choice": [0, 0.0, 1e-8, 1e-4]},
    "network.deep_supervision": {"choice": [True, 1, "1", None]},
    "early_stopping.patience": {"grid": [4, 8]},
}
SPACE: dict[str, Any] = LISTED | {
    "loss.warmup_epochs": {"randint": [2, 5]},
    "data.count": {"lograndint": [5, 100]},
    "loss.weights.compactness": {"loguniform": [1e-3, 1]},
    "network.dropout": {"uniform": [0.0, 0.5]},
    "optimizer.momentum": {"quniform": [0.1, 0.9, 0.1]},
}
NUMBERS = {key: value for key, value in SPACE.items() if key not in LISTED}
SPACES = {
    "random": SPACE,
    "grid": LISTED,
    "tpe": SPACE,
    "tpe_at_once": SPACE,
    "gp": {key: SPACE[key] for key in ("loss.weights.compactness", "early_stopping.patience")},
    "cmaes": SPACE,
    "cmaes_numbers": NUMBERS,
    "qmc": SPACE,
}
SEARCHERS: dict[str, Any] = {
    "random": "random",
    "grid": "grid",
    "tpe": {"name": "tpe", "startup_trials": 5},
    "tpe_at_once": {"name": "tpe", "startup_trials": 0},
    "gp": {"name": "gp", "startup_trials": 13},  # slow when it learns: in the last of 28 trials
    "cmaes": "cmaes",
    "cmaes_numbers": "cmaes",
    "qmc": "qmc",
}

every_searcher = pytest.mark.parametrize("name", SEARCHERS)


def spec_with(**settings: Any) -> SweepSpec:
    settings = {"replay_patience": False} | settings  # a searcher does not care what it searches
    return SweepSpec.model_validate({"name": "contract", **settings})


def spec_of(name: str, seed: int = 7) -> SweepSpec:
    return spec_with(seed=seed, space=SPACES[name], searcher=SEARCHERS[name])


def searcher_of(name: str, seed: int = 7) -> Searcher:
    return make_searcher(spec_of(name, seed))


def record_of(
    number: int,
    parameters: Mapping[str, ParameterValue],
    status: Status = Status.COMPLETED,
    *dice: float | None,
) -> TrialRecord:
    return TrialRecord(
        trial_id=f"t{number:04d}",
        number=number,
        parameters=parameters,
        history=tuple(EpochMetrics(epoch=i, val_dice=value) for i, value in enumerate(dice)),
        outcome=Outcome(status=status) if status.is_final else None,
    )


def toy_result(number: int, parameters: Mapping[str, ParameterValue]) -> TrialRecord:
    """A result that depends on the parameters, of every status in turn."""
    statuses = [status for status in Status if status.is_final]
    level = zlib.crc32(exact(parameters).encode()) / 2**32
    return record_of(number, parameters, statuses[number % 5], level / 2, None, level, math.nan)


def exact(parameters: Mapping[str, ParameterValue] | None) -> str:
    """Text that differs where a type or a last bit does."""
    return repr(parameters)


def sweep(searcher: Searcher, numbers: range) -> list[TrialRecord]:
    records = []
    for number in numbers:
        parameters = searcher.ask(number)
        assert parameters is not None
        records.append(toy_result(number, parameters))
        searcher.tell(records[-1])
    return records


@functools.cache
def uninterrupted(name: str) -> list[TrialRecord]:
    return sweep(searcher_of(name), range(28))


@every_searcher
def test_proposals_lie_in_the_space_with_its_keys_and_exact_types(name: str) -> None:
    space = spec_of(name).space
    for record in uninterrupted(name):
        assert list(record.parameters) == list(space)
        for key, value in record.parameters.items():
            assert space[key].contains(value), (key, value)
            assert type(value) in (bool, int, float, str, type(None))


@every_searcher
def test_same_seed_proposes_the_same_and_proposals_differ_among_themselves(name: str) -> None:
    once, again = uninterrupted(name), sweep(searcher_of(name), range(28))
    assert [exact(a.parameters) for a in once] == [exact(b.parameters) for b in again]
    assert len({exact(record.parameters) for record in once}) > 20


@pytest.mark.parametrize("name", [name for name in SEARCHERS if name != "grid"])
def test_other_seed_proposes_others(name: str) -> None:
    assert searcher_of(name, seed=7).ask(0) != searcher_of(name, seed=8).ask(0)


@every_searcher
@pytest.mark.parametrize("interrupted_at", [0, 3, 11, 24])
def test_resumed_search_goes_on_bit_for_bit_like_the_uninterrupted_one(
    name: str, interrupted_at: int
) -> None:
    resumed = searcher_of(name)
    for record in uninterrupted(name)[:interrupted_at]:
        resumed.tell(record)
    rest = sweep(resumed, range(interrupted_at, 28))

    expected = [exact(record.parameters) for record in uninterrupted(name)[interrupted_at:]]
    assert [exact(record.parameters) for record in rest] == expected


@every_searcher
@pytest.mark.parametrize("interrupted_at", [4, 17, 25])
def test_resumed_concurrent_search_knows_the_trials_that_still_run(
    name: str, interrupted_at: int
) -> None:
    def go_on(searcher: Searcher, running: list[TrialRecord], numbers: range) -> list[str]:
        """Three at a time; the oldest ends first. What happens is noted in ``events``."""
        asked = []
        for number in numbers:
            if len(running) == 3:
                oldest = running.pop(0)
                events.append(toy_result(oldest.number, oldest.parameters))
                searcher.tell(events[-1])
            parameters = searcher.ask(number)
            assert parameters is not None
            running.append(record_of(number, parameters, Status.RUNNING))
            events.append(running[-1])
            asked.append(exact(parameters))
        return asked

    events: list[TrialRecord] = []
    original = searcher_of(name)
    running: list[TrialRecord] = []
    go_on(original, running, range(interrupted_at))
    resumed = searcher_of(name)
    for event in events:
        resumed.tell(event)
    rest = range(interrupted_at, min(interrupted_at + 6, 28))
    assert go_on(resumed, list(running), rest) == go_on(original, running, rest)


@every_searcher
def test_metric_and_its_negative_lead_to_the_same_proposals(name: str) -> None:
    """Every end, a divergence first of all: before there is any value to count it with."""

    def judged(metric: str, mode: Mode, sign: int) -> list[str]:
        spec = spec_with(
            seed=7,
            space=SPACES[name],
            searcher=SEARCHERS[name],
            trainer={"kind": "custom", "entry": "mine.module:Mine"},
            objective={"metric": metric, "mode": mode},
        )
        searcher = make_searcher(spec)
        asked = []
        for number in range(24):
            parameters = searcher.ask(number)
            assert parameters is not None
            asked.append(exact(parameters))
            result = toy_result((number + 3) % 5, parameters)  # the first two diverge and fail
            values = [e.val_dice for e in result.history] if number > 1 else []
            history = [
                EpochMetrics(
                    epoch=n,
                    val_dice=None,
                    metrics={metric: None if v is None else sign * (90 * v - 30)},
                )
                for n, v in enumerate(values)
            ]
            objective = Objective(metric, mode)
            searcher.tell(
                replace(result, number=number, history=tuple(history), objective=objective)
            )
        return asked

    assert judged("gain", "max", 1) == judged("loss", "min", -1)


@every_searcher
def test_asking_again_before_telling_repeats_the_answer(name: str) -> None:
    searcher = searcher_of(name)
    sweep(searcher, range(8))
    assert exact(searcher.ask(8)) == exact(searcher.ask(8))


@every_searcher
@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("dice", [(), (None,), (math.nan, 0.3), (0.0, 0.9, 0.5)])
def test_every_end_can_be_told_twice_and_the_search_goes_on(
    name: str, status: Status, dice: tuple[float | None, ...]
) -> None:
    searcher = searcher_of(name)
    for number in range(7):
        parameters = searcher.ask(number)
        assert parameters is not None
        searcher.tell(record_of(number, parameters, status, *dice))
        searcher.tell(record_of(number, parameters, status, *dice))
    assert searcher.ask(7) is not None


@every_searcher
def test_search_of_one_value_has_one_answer(name: str) -> None:
    space = {"loss.sqrt_epsilon": {"choice": [0]}}
    searcher = make_searcher(spec_with(space=space, searcher=SEARCHERS[name]))
    for number in range(1 if name == "grid" else 12):
        assert exact(searcher.ask(number)) == "{'loss.sqrt_epsilon': 0}"
        searcher.tell(record_of(number, {"loss.sqrt_epsilon": 0}, Status.COMPLETED, 0.5))


@pytest.mark.parametrize("name", ["random", "tpe"])
def test_own_seed_of_the_searcher_goes_before_that_of_the_sweep(name: str) -> None:
    def first(seed: int, own: int | None) -> object:
        searcher = {"name": name, "seed": own}
        return make_searcher(spec_with(seed=seed, space=SPACE, searcher=searcher)).ask(0)

    assert first(seed=1, own=5) == first(seed=2, own=5) == first(seed=5, own=None)
    assert first(seed=1, own=5) != first(seed=1, own=6)
