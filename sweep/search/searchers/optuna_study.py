"""Our trials in an Optuna study: the truth about their ends, in Optuna's words.

| trial                    | in the study                                                    |
|--------------------------|-----------------------------------------------------------------|
| completed, early-stopped | COMPLETE with its best value; FAIL if none was ever measured    |
| pruned                   | PRUNED with its last value                                      |
| diverged                 | COMPLETE with the worst value, and infeasible: ``diverged`` = 1 |
| failed                   | FAIL: it says nothing about its parameters                      |
| running                  | RUNNING                                                         |

Values are those of the objective, and the study's direction is its own. Every epoch's finite value
is an intermediate one. The worst Dice is 0; of a metric without a bound it is the worst that any
trial so far has reached in its best epoch, the diverged ones too (`Worst`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweep.search.searchers.optuna_space import make_codec
from sweep.spec.space.distributions import Distribution
from sweep.vocabulary.objective import Mode, Objective
from sweep.vocabulary.record import ParameterValue, Status, TrialRecord

IDLE = RandomSampler(seed=0)
"""The sampler of a study where nothing is to be proposed."""


DIRECTIONS: Mapping[Mode, Literal["maximize", "minimize"]] = {"max": "maximize", "min": "minimize"}


def make_study(
    storage: BaseStorage | None = None, name: str | None = None, mode: Mode = "max"
) -> optuna.Study:
    """The study of this name in a storage, made where it is missing; by default one in memory."""
    # It announces every study, and warns of packages that would only make it faster.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(
        storage=storage,
        sampler=IDLE,
        study_name=name,
        direction=DIRECTIONS[mode],
        load_if_exists=True,
    )


class Worst:
    """What a diverged trial counts with: no better than any that there is.

    Its own last epochs will not do, since just before the end they may be far beyond all measure,
    and one such value hides every difference between the others from a sampler that fits them.

    Attributes:
        value: of the objective; None where no trial has shown any yet and it knows no bound.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        bound = objective.worst
        self.value = None if bound is None else objective.turned(bound)

    def see(self, record: TrialRecord) -> None:
        """Take in a trial."""
        best = record.best
        if self._objective.worst is None and best is not None:
            turned = self._objective.turned
            seen = self._objective.value(best)
            known = [turned(value) for value in (self.value, seen) if value is not None]
            self.value = turned(min(known))


class Translator:
    """Trials of one search space, from ours to Optuna's.

    Args:
        space: distribution of each searched parameter under its dotted name.

    Attributes:
        distributions: Optuna's.
    """

    def __init__(self, space: Mapping[str, Distribution]) -> None:
        self._space = space
        self._codecs = {name: make_codec(distribution) for name, distribution in space.items()}
        self.distributions: Mapping[str, BaseDistribution] = {
            name: codec.distribution for name, codec in self._codecs.items()
        }

    def inside(self, parameters: Mapping[str, ParameterValue]) -> dict[str, ParameterValue]:
        """Those that lie in the space; only a trial that has all of them teaches a sampler."""
        return {n: parameters[n] for n, kind in self._space.items() if kind.contains(parameters[n])}

    def encode(self, parameters: Mapping[str, ParameterValue]) -> dict[str, Any]:
        return {name: self._codecs[name].encode(value) for name, value in parameters.items()}

    def decode(self, params: Mapping[str, Any]) -> dict[str, ParameterValue]:
        return {name: codec.decode(params[name]) for name, codec in self._codecs.items()}

    def frozen(self, record: TrialRecord, worst: float | None, **attributes: object) -> FrozenTrial:
        """The trial as it stands, with user attributes.

        A parameter outside the space, of a preset, is one of these.
        Its times are unknown: Optuna fills in the time at which it is added to a study.
        """
        inside = self.inside(record.parameters)
        outside = {n: value for n, value in record.parameters.items() if n not in inside}
        state, value = state_and_value(record, worst)
        values = intermediate_values(record)
        if state is TrialState.PRUNED and values:
            value = values[max(values)]
        return create_trial(
            state=state,
            value=value,
            params=self.encode(inside),
            distributions={name: self.distributions[name] for name in inside},
            user_attrs=outside | attributes,
            intermediate_values=values,
            constraints=constraints(record, worst),
        )


def state_and_value(record: TrialRecord, worst: float | None) -> tuple[TrialState, float | None]:
    """Optuna's state and objective; that of a pruned trial Optuna takes from its last epoch.

    Args:
        worst: value that a diverged trial counts with; None where none is known (`Worst`).
    """
    match record.status:
        case Status.RUNNING:
            return TrialState.RUNNING, None
        case Status.PRUNED:
            return TrialState.PRUNED, None
        case Status.DIVERGED if worst is not None:
            return TrialState.COMPLETE, worst
        case Status.COMPLETED | Status.EARLY_STOPPED if record.best is not None:
            return TrialState.COMPLETE, record.value
        case _:
            return TrialState.FAIL, None


def intermediate_values(record: TrialRecord) -> dict[int, float]:
    """Finite values of the objective by epoch, from 0."""
    return {
        epoch.epoch: value
        for epoch in record.history
        if (value := record.objective.value(epoch)) is not None
    }


def constraints(record: TrialRecord, worst: float | None) -> dict[str, float]:
    """Above 0 where the trial is infeasible; none where it says nothing of its parameters.

    A Gaussian process wants the constraint of feasible trials too.
    """
    if state_and_value(record, worst)[0] in (TrialState.FAIL, TrialState.RUNNING):
        return {}
    return {"diverged": 1.0 if record.status is Status.DIVERGED else -1.0}
