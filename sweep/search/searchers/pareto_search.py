"""Optuna's samplers for several objectives.

| trial                             | in the study                                                |
|-----------------------------------|-------------------------------------------------------------|
| completed, early-stopped, pruned  | COMPLETE with its point; FAIL if it has none                |
| diverged                          | COMPLETE with the worst value of each, and infeasible       |
| failed                            | FAIL                                                        |
| running                           | RUNNING                                                     |

A study of several objectives has neither intermediate values nor a use for PRUNED: Optuna's
samplers would rank all pruned trials alike, behind everything else, or not see them. A pruned trial
counts with the point that it reached, but with the worst cost, because its own is the scheduler's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweep.search.searchers.optuna_samplers import OptunaMethod
from sweep.search.searchers.optuna_search import OptunaSearch
from sweep.search.searchers.optuna_study import IDLE, Translator, constraints, make_study
from sweep.spec.space.distributions import Distribution
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import Status, TrialRecord


class WorstPoint:
    """The values of a diverged trial, none better than any other trial's: see `Worst`.

    Attributes:
        values: of each objective; None where it has no bound and no trial has shown a value yet.
    """

    def __init__(self, objective: Objective) -> None:
        self._each = objective.each
        self.values = [None if one.worst is None else one.turned(one.worst) for one in self._each]

    def see(self, record: TrialRecord) -> None:
        """Consider a trial."""
        best = record.best
        for place, one in enumerate(self._each):
            seen = None if best is None else one.of_trial(record.history, best)
            if one.worst is None and seen is not None:
                known = [
                    one.turned(value) for value in (self.values[place], seen) if value is not None
                ]
                self.values[place] = one.turned(min(known))

    @property
    def is_known(self) -> bool:
        return None not in self.values

    def is_needed(self, record: TrialRecord) -> bool:
        """Whether the trial lacks a value of its own."""
        point = record.point
        return record.status is Status.DIVERGED or (point is not None and -math.inf in point)


def state_and_values(
    record: TrialRecord, worst: Sequence[float | None]
) -> tuple[TrialState, list[float] | None]:
    """Optuna's state and values; `worst` fills what is missing."""
    if record.status is Status.RUNNING:
        return TrialState.RUNNING, None
    best = record.best if record.status.has_result else None
    pruned, values = record.status is Status.PRUNED, list[float]()
    for one, least in zip(record.objective.each, worst, strict=True):
        own = (
            None if best is None or (pruned and one.is_cost) else one.of_trial(record.history, best)
        )
        value = least if own is None else own
        if value is None:
            return TrialState.FAIL, None
        values.append(value)
    if best is None and record.status is not Status.DIVERGED:
        return TrialState.FAIL, None
    return TrialState.COMPLETE, values


def frozen_point(
    translator: Translator,
    record: TrialRecord,
    worst: Sequence[float | None],
    **attributes: object,
) -> FrozenTrial:
    """The trial in its present state, with user attributes: see `Translator.frozen`."""
    inside = translator.inside(record.parameters)
    outside = {n: value for n, value in record.parameters.items() if n not in inside}
    state, values = state_and_values(record, worst)
    return create_trial(
        state=state,
        values=values,
        params=translator.encode(inside),
        distributions={name: translator.distributions[name] for name in inside},
        user_attrs=outside | attributes,
        constraints=constraints(record, 0.0) if state is TrialState.COMPLETE else {},
    )


class ParetoSearch(OptunaSearch):
    """`OptunaSearch` of several objectives, each in its direction.

    TPE takes the first fronts for its good trials, and of a front that only partly fits the subset
    of the largest hypervolume. GP maximises the expected gain in hypervolume. Both keep to where
    trials do not diverge.

    Args: as of `OptunaSearch`.

    Source: Ozaki et al., "Multiobjective Tree-Structured Parzen Estimator", JAIR 2022.
    """

    def __init__(
        self,
        space: Mapping[str, Distribution],
        seed: int,
        method: OptunaMethod,
        first: int,
        objective: Objective,
    ) -> None:
        super().__init__(space, seed, method, first, objective)
        self.study = make_study(mode=objective.mode, others=[one.mode for one in objective.others])
        self._worst_point = WorstPoint(objective)

    def learn(self, record: TrialRecord) -> None:
        def add() -> None:
            self.study.add_trial(frozen_point(self._translator, record, self._worst_point.values))

        self._when_measured(record, add)

    def _when_measured(self, record: TrialRecord, add: Callable[[], None]) -> None:
        self._worst_point.see(record)
        known = self._worst_point.is_known
        if not known and self._worst_point.is_needed(record):
            self._unmeasured.append(add)
            return
        while known and self._unmeasured:
            self._unmeasured.pop(0)()
        add()

    def _finish(self, trial: optuna.Trial, record: TrialRecord) -> None:
        self.study.sampler = IDLE
        state, values = state_and_values(record, self._worst_point.values)
        if state is TrialState.COMPLETE:
            for name, broken in constraints(record, 0.0).items():
                trial.set_constraint(name, broken)
        self.study.tell(trial, values, state)
