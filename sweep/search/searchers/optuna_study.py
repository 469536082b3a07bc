"""Our trials in an Optuna study: their true ends in Optuna's terms.

| trial                    | in the study                                                    |
|--------------------------|-----------------------------------------------------------------|
| completed, early-stopped | COMPLETE with its best value; FAIL if none was ever measured    |
| pruned                   | PRUNED with its last value                                      |
| diverged                 | COMPLETE with the worst value, and infeasible: ``diverged`` = 1 |
| failed                   | FAIL: it says nothing about its parameters                      |
| running                  | RUNNING                                                         |

Values and direction are the objective's. Every epoch's finite value is an intermediate one. The
worst Dice is 0. For a metric without a bound the worst value is the worst best epoch of all trials
so far, also the diverged ones (`Worst`).
"""

from __future__ import annotations

import copy
from collections.abc import Container, Mapping
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweep.search.searchers.optuna_space import make_codec, suggest
from sweep.spec.space.distributions import Distribution
from sweep.spec.space.linked_space import depends_on, drawn_in, holds, in_order, lies_in
from sweep.vocabulary.objective import DICE, Mode, Objective
from sweep.vocabulary.record import ParameterValue, Status, TrialRecord

IDLE = RandomSampler(seed=0)
"""The sampler of a study that proposes nothing."""

DIRECTIONS: Mapping[Mode, Literal["maximize", "minimize"]] = {"max": "maximize", "min": "minimize"}


def make_study(
    storage: BaseStorage | None = None, name: str | None = None, objective: Objective = DICE
) -> optuna.Study:
    """The study of this name in a storage, created if it is missing; by default one in memory.

    Args:
        storage: where it is kept.
        name: of the study.
        objective: what its trials are judged by.
    """
    # Optuna announces every study, and warns of packages that would only make it faster.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(
        storage=storage,
        sampler=IDLE,
        study_name=name,
        directions=[DIRECTIONS[one.mode] for one in objective.each],
        load_if_exists=True,
    )


class RetoldTrials(InMemoryStorage):
    """The trials of one study in memory, of each of which more can be told at any time.

    Optuna changes no trial that has a value. But what a pruned or waiting trial is worth changes at
    each rung, and to make a study anew for each proposal takes time that grows with its square.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[int, FrozenTrial] = {}

    def retell(self, number: int, trial: FrozenTrial) -> None:
        """Put a trial in the place of the one with this number, which the study has begun."""
        trial.number = number
        self._told[number] = trial

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._told.get(trial_id) or super().get_trial(trial_id)  # of one study: its number

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        begun = super().get_all_trials(study_id, deepcopy=False)
        trials = [self._told.get(number, trial) for number, trial in enumerate(begun)]
        if states is not None:
            trials = [trial for trial in trials if trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        return BaseStorage.get_best_trial(self, study_id)


class Worst:
    """The values of a diverged trial in a study: not better than any other trial's.

    Its own last epochs cannot be used. Just before the end they may be huge, and one huge value
    hides all differences between the others from a sampler that fits them.

    Attributes:
        values: of each objective; None where it has no bound and no trial has shown a value yet.
    """

    def __init__(self, objective: Objective) -> None:
        self._each = objective.each
        self.values = [None if one.worst is None else one.turned(one.worst) for one in self._each]

    @property
    def value(self) -> float | None:
        """That of the first objective."""
        return self.values[0]

    def see(self, record: TrialRecord) -> bool:
        """Consider a trial; whether a value has changed."""
        best, before = record.best, [*self.values]
        for place, one in enumerate(self._each):
            seen = None
            if one.worst is None and best is not None:
                seen = one.of_trial(record.history, best)
            if seen is not None:
                known = [one.turned(v) for v in (self.values[place], seen) if v is not None]
                self.values[place] = one.turned(min(known))
        return self.values != before


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
        """The parameters inside the space; none that depends on one outside it."""
        drawn, found = drawn_in(self._space, parameters), set[str]()
        for name in in_order(self._space):
            needed = self._space.keys() & depends_on(self._space[name])
            is_known = name in drawn and needed <= found
            if is_known and holds(self._space[name], parameters[name], parameters):
                found.add(name)
        return {name: parameters[name] for name in drawn if name in found}

    def is_inside(self, parameters: Mapping[str, ParameterValue]) -> bool:
        """Whether all are. A sampler learns only from such trials."""
        return lies_in(self._space, parameters)

    def encode(self, parameters: Mapping[str, ParameterValue]) -> dict[str, Any]:
        return self.alone(parameters)

    def alone(self, parameters: Mapping[str, ParameterValue]) -> dict[str, Any]:
        """Values that depend on no other, also where the trial draws only some of them."""
        return {name: self._codecs[name].encode(value) for name, value in parameters.items()}

    def completed(self, parameters: Mapping[str, ParameterValue]) -> dict[str, Any]:
        """The same for a study, with what stands there for parameters that are not drawn."""
        return self.encode(parameters)

    def suggested(self, trial: optuna.Trial) -> optuna.Trial:
        """The trial with its parameters, as its study's sampler proposes them."""
        for name, distribution in self.distributions.items():
            suggest(trial, name, distribution)
        return trial

    def sampler(self, inner: BaseSampler) -> BaseSampler:
        """The sampler as this space needs it."""
        return inner

    def decode(self, params: Mapping[str, Any]) -> dict[str, ParameterValue]:
        return {name: codec.decode(params[name]) for name, codec in self._codecs.items()}

    def proposed(self, record: TrialRecord) -> FrozenTrial:
        """The trial without a result, which has all parameters inside the space."""
        return self.written(record, {}, state=TrialState.RUNNING)

    def frozen(self, record: TrialRecord, worst: float | None, **attributes: object) -> FrozenTrial:
        """The trial in its present state, with user attributes.

        A preset's parameter outside the space becomes an attribute too. The trial's times are
        unknown: Optuna fills in the time at which the trial is added to a study.
        """
        state, value = state_and_value(record, worst)
        values = intermediate_values(record)
        if state is TrialState.PRUNED and values:
            value = values[max(values)]
        return self.written(
            record,
            attributes,
            state=state,
            value=value,
            intermediate_values=values,
            constraints=constraints(record, worst),
        )

    def written(
        self, record: TrialRecord, attributes: Mapping[str, object], **told: Any
    ) -> FrozenTrial:
        """The trial with its parameters, user attributes, and what else is told of it."""
        inside = self.inside(record.parameters)
        outside = {n: value for n, value in record.parameters.items() if n not in inside}
        params = self.completed(inside)
        return create_trial(
            params=params,
            distributions={name: self.distributions[name] for name in params},
            user_attrs={**outside, **attributes},
            **told,
        )


def state_and_value(record: TrialRecord, worst: float | None) -> tuple[TrialState, float | None]:
    """Optuna's state and value. Optuna takes the value of a pruned trial from its last epoch.

    Args:
        worst: value of a diverged trial; None if it is not known (`Worst`).
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
    """Above 0 if the trial is infeasible; empty if it says nothing about its parameters.

    A Gaussian process needs the constraint of feasible trials too.
    """
    if state_and_value(record, worst)[0] in (TrialState.FAIL, TrialState.RUNNING):
        return {}
    return {"diverged": 1.0 if record.status is Status.DIVERGED else -1.0}
