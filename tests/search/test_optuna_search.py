from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState

from sweep.search.searchers.optuna_samplers import OptunaMethod, cmaes, gp, qmc, tpe
from sweep.search.searchers.optuna_search import OptunaSearch
from sweep.search.searchers.random_search import RandomSearch
from sweep.search.searchers.searcher import Searcher
from sweep.spec.space.distributions import Choice, Distribution, LogUniform, RandInt, Uniform
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import Outcome, ParameterValue, Status, TrialRecord

HD95 = Objective("hd95", "min")
SPACE: dict[str, Distribution] = {
    "loss.sqrt_epsilon": Choice((0, 1e-8, 1e-6, 1e-4)),
    "loss.weights.compactness": LogUniform(1e-3, 1.0),
    "loss.warmup_epochs": RandInt(0, 21),
}


def ended(
    number: int,
    parameters: Mapping[str, ParameterValue],
    status: Status,
    *dice: float | None,
) -> TrialRecord:
    return TrialRecord(
        trial_id=f"t{number:04d}",
        number=number,
        parameters=parameters,
        history=tuple(EpochMetrics(epoch=i, val_dice=value) for i, value in enumerate(dice)),
        outcome=Outcome(status=status),
    )


@pytest.mark.parametrize(
    "adopted", [False, True], ids=["asked here", "asked by an earlier session"]
)
@pytest.mark.parametrize(
    ("status", "dice", "state", "value", "diverged"),
    [
        (Status.COMPLETED, (0.2, 0.8, 0.7), TrialState.COMPLETE, 0.8, -1.0),
        (Status.EARLY_STOPPED, (0.8, 0.7), TrialState.COMPLETE, 0.8, -1.0),
        (Status.COMPLETED, (None, math.nan), TrialState.FAIL, None, None),
        (Status.COMPLETED, (), TrialState.FAIL, None, None),
        (Status.PRUNED, (0.2, 0.5, 0.4), TrialState.PRUNED, 0.4, -1.0),
        (Status.PRUNED, (None,), TrialState.PRUNED, None, -1.0),
        (Status.DIVERGED, (0.9, 0.0), TrialState.COMPLETE, 0.0, 1.0),
        (Status.DIVERGED, (), TrialState.COMPLETE, 0.0, 1.0),
        (Status.FAILED, (0.9,), TrialState.FAIL, None, None),
    ],
)
def test_study_is_told_the_truth(
    adopted: bool,
    status: Status,
    dice: tuple[float | None, ...],
    state: TrialState,
    value: float | None,
    diverged: float | None,
) -> None:
    parameters = OptunaSearch(SPACE, 7, tpe(10)).ask(0)
    searcher = OptunaSearch(SPACE, 7, tpe(10))
    if not adopted:
        searcher.ask(0)
    searcher.tell(ended(0, parameters, status, *dice))

    [trial] = searcher.study.trials
    assert trial.state is state
    assert trial.value == value
    assert trial.constraints.get("diverged") == diverged
    assert trial.intermediate_values == {
        epoch: d for epoch, d in enumerate(dice) if d is not None and math.isfinite(d)
    }


def test_nothing_stays_running_when_every_trial_has_ended() -> None:
    searcher = OptunaSearch(SPACE, 7, tpe(3))
    for number in range(20):
        status = [status for status in Status if status.is_final][number % 5]
        searcher.tell(ended(number, searcher.ask(number), status, math.nan))
    assert TrialState.RUNNING not in {trial.state for trial in searcher.study.trials}


def test_trial_that_is_told_twice_stands_once_in_the_study() -> None:
    searcher = OptunaSearch(SPACE, 7, tpe(10))
    record = ended(0, searcher.ask(0), Status.COMPLETED, 0.5)
    searcher.tell(record)
    searcher.tell(record)
    assert len(searcher.study.trials) == 1


def test_running_trial_of_an_interrupted_sweep_is_taken_in_and_can_end() -> None:
    parameters = OptunaSearch(SPACE, 7, tpe(10)).ask(0)
    searcher = OptunaSearch(SPACE, 7, tpe(10))
    running = replace(ended(0, parameters, Status.COMPLETED, 0.5), outcome=None)

    searcher.tell(running)
    assert [trial.state for trial in searcher.study.trials] == [TrialState.RUNNING]
    assert repr(searcher.ask(0)) == repr(parameters)

    searcher.tell(replace(running, outcome=Outcome(status=Status.COMPLETED)))
    assert [trial.state for trial in searcher.study.trials] == [TrialState.COMPLETE]


def diverges(parameters: Mapping[str, ParameterValue]) -> bool:
    """As in a sweep of the users: ε = 0 always, a small ε under a large weight."""
    epsilon, weight = parameters["loss.sqrt_epsilon"], parameters["loss.weights.compactness"]
    assert isinstance(epsilon, int | float)
    assert isinstance(weight, float)
    return epsilon == 0 or (epsilon <= 1e-6 and weight > 0.03)


def toy_trial(
    number: int, parameters: Mapping[str, ParameterValue], best_weight: float = 0.01
) -> TrialRecord:
    weight = parameters["loss.weights.compactness"]
    assert isinstance(weight, float)
    dice = 0.9 - 0.02 * math.log10(weight / best_weight) ** 2
    if diverges(parameters):
        return ended(number, parameters, Status.DIVERGED, dice, 0.0)
    return ended(number, parameters, Status.COMPLETED, dice / 2, dice)


def count_diverged(searcher: Searcher, best_weight: float) -> int:
    """Diverged trials among 60."""
    diverged = 0
    for number in range(60):
        parameters = searcher.ask(number)
        assert parameters is not None
        searcher.tell(toy_trial(number, parameters, best_weight))
        diverged += diverges(parameters)
    return diverged


@pytest.mark.parametrize("method", [tpe(10), cmaes()], ids=["tpe", "cmaes"])
@pytest.mark.parametrize(
    ("best_weight", "share"),
    [
        pytest.param(0.01, 0.5, id="best weight is a healthy one"),
        pytest.param(0.03, 0.7, id="best weight lies at the brink"),
    ],
)
def test_search_that_is_told_of_divergence_proposes_fewer_diverged_trials_than_random_search(
    method: OptunaMethod, best_weight: float, share: float
) -> None:
    seeds = range(5)
    random = sum(count_diverged(RandomSearch(SPACE, seed), best_weight) for seed in seeds)
    learnt = sum(count_diverged(OptunaSearch(SPACE, seed, method), best_weight) for seed in seeds)
    assert learnt < share * random


def test_gaussian_process_keeps_away_from_where_trials_diverged() -> None:
    """Its constraint is fitted from the ten random trials on; about 5 of 10 random ones diverge."""
    searcher = OptunaSearch(SPACE, 0, gp(startup_trials=10))
    diverged = []
    for number in range(20):
        parameters = searcher.ask(number)
        searcher.tell(toy_trial(number, parameters))
        diverged.append(diverges(parameters))
    assert sum(diverged[:10]) >= 4
    assert sum(diverged[10:]) <= 1


def test_pruned_trials_count_for_a_generation_of_cmaes() -> None:
    """Of 60 trials only the first completes, and the Dice is x: proposals of x grow."""
    searcher = OptunaSearch({"x": Uniform(0, 1), "y": Uniform(0, 1)}, 7, cmaes())
    proposed = []
    for number in range(60):
        parameters = searcher.ask(number)
        x = float(str(parameters["x"]))
        proposed.append(x)
        status = Status.PRUNED if number else Status.COMPLETED
        searcher.tell(ended(number, parameters, status, x / 2, x))
    assert sum(proposed[:12]) / 12 < 0.7
    assert sum(proposed[-12:]) / 12 > 0.9


def test_preset_takes_no_place_in_a_sobol_sequence() -> None:
    space = {"x": Uniform(0, 1), "y": Uniform(0, 1)}
    preset = ended(0, {"x": 0.5, "y": 0.5}, Status.COMPLETED, 0.5)

    def proposals(first: int) -> list[dict[str, ParameterValue]]:
        searcher = OptunaSearch(space, 7, qmc(sequence=7), first)
        for number in range(first):
            searcher.tell(replace(preset, number=number))
        return [searcher.ask(number) for number in range(first, first + 16)]

    assert proposals(first=1)[:10] == proposals(first=3)[:10]
    # Of a Sobol' sequence each 16 successive points have one in each sixteenth of every axis.
    assert sorted(int(16 * float(str(p["x"]))) for p in proposals(first=1)) == [*range(16)]


TWELVE_TRIALS_THEN_ONE = """
from sweep.search.searchers.optuna_samplers import OptunaMethod, cmaes, gp, qmc, tpe
from sweep.search.searchers.optuna_search import OptunaSearch
import test_optuna_search as toy
searcher = OptunaSearch(toy.SPACE, 7, tpe(5))
for number in range(12):
    searcher.tell(toy.toy_trial(number, searcher.ask(number)))
print(searcher.ask(12))
"""


def test_proposals_are_the_same_in_every_process() -> None:
    def proposal(hash_seed: str) -> str:
        here = str(Path(__file__).parent)
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": here}
        command = [sys.executable, "-c", TWELVE_TRIALS_THEN_ONE]
        return subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True
        ).stdout

    assert proposal("1") == proposal("2") != ""


def test_searchers_by_name_import_optuna_only_where_it_is_asked_for_and_never_torch() -> None:
    code = """
import sys
import sweep.search.searchers.searcher, sweep.search.schedulers.scheduler
assert not {"optuna", "torch", "ray", "pandas"} & set(sys.modules)
import sweep.search.searchers.optuna_search
assert not {"torch", "ray"} & set(sys.modules)
from sweep.search.searchers.optuna_samplers import cmaes, gp, qmc, tpe
for method in (cmaes(), gp(10), qmc(1), tpe(10)):
    method.make(0)
assert not {"torch", "ray", "cmaes", "scipy"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_trial_of_a_preset_inside_the_space_runs_and_ends_in_the_study() -> None:
    parameters = {
        "loss.sqrt_epsilon": 1e-4, "loss.weights.compactness": 0.01, "loss.warmup_epochs": 20
    }  # fmt: skip
    searcher = OptunaSearch(SPACE, 7, tpe(10))
    record = replace(ended(0, parameters, Status.COMPLETED, 0.5), preset="geometric-v2.3")
    searcher.tell(replace(record, outcome=None))
    [trial] = searcher.study.trials
    assert (trial.state, trial.params["loss.weights.compactness"]) == (TrialState.RUNNING, 0.01)
    searcher.ask(1)
    searcher.tell(record)
    assert searcher.study.trials[0].value == 0.5


@pytest.mark.parametrize(
    "outside",
    [
        {"loss.sqrt_epsilon": 1e-2},
        {"loss.weights.compactness": 0.0},
        {"loss.warmup_epochs": 21},
    ],
)
def test_trial_of_a_preset_outside_the_space_is_not_told_to_the_study(
    outside: dict[str, ParameterValue],
) -> None:
    searcher = OptunaSearch(SPACE, 7, tpe(10))
    record = ended(0, searcher.ask(0) | outside, Status.COMPLETED, 0.5)
    searcher = OptunaSearch(SPACE, 7, tpe(10))
    searcher.tell(replace(record, outcome=None))
    searcher.tell(record)
    assert searcher.study.trials == []
    assert searcher.ask(1)


def measured(
    number: int, parameters: Mapping[str, ParameterValue] | None, status: Status, *values: float
) -> TrialRecord:
    """A trial that is judged by how small its HD95 is."""
    record = ended(number, parameters, status, *(0.5 for _ in values))
    history = tuple(
        replace(epoch, metrics={"hd95": value})
        for epoch, value in zip(record.history, values, strict=True)
    )
    return replace(record, history=history, objective=HD95)


def test_diverged_trial_counts_with_the_worst_that_any_has_reached_in_its_best_epoch() -> None:
    searcher = OptunaSearch(SPACE, 7, tpe(10), objective=HD95)
    ends: list[tuple[Status, tuple[float, ...]]] = [
        (Status.DIVERGED, ()),  # nothing is known yet: it is told with the next
        (Status.COMPLETED, (90.0, 4.0)),
        (Status.DIVERGED, (8.0, 1e30)),
        (Status.COMPLETED, (6.0,)),
        (Status.DIVERGED, (2.0,)),
    ]
    states = []
    for number, (status, values) in enumerate(ends):
        searcher.tell(measured(number, searcher.ask(number), status, *values))
        states.append([trial.state.name for trial in searcher.study.trials])
    assert searcher.study.direction.name == "MINIMIZE"
    assert [trial.value for trial in searcher.study.trials] == [4.0, 4.0, 8.0, 6.0, 8.0]
    assert [trial.constraints["diverged"] for trial in searcher.study.trials] == [1, -1, 1, -1, 1]
    assert states[:2] == [["RUNNING"], ["COMPLETE", "COMPLETE"]]


def test_earlier_sweep_that_begins_with_a_divergence_teaches_that_too() -> None:
    searcher = OptunaSearch(SPACE, 7, tpe(10), objective=HD95)
    parameters = searcher.ask(0)
    searcher.learn(measured(0, parameters, Status.DIVERGED))
    assert searcher.study.trials[1:] == []
    searcher.learn(measured(1, parameters, Status.COMPLETED, 3.0))
    assert [trial.value for trial in searcher.study.trials[1:]] == [3.0, 3.0]
