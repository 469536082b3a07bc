"""What a sampler is told of a trial: what it is worth so far.

| trial                            | in the sampler's study                                        |
|----------------------------------|---------------------------------------------------------------|
| completed, early-stopped         | COMPLETE with its best value; FAIL if none was ever measured  |
| pruned                           | PRUNED: the step is the number of rungs that it has reached,  |
|                                  | the value its score at the last of them                       |
| past a rung, waiting or training | the same, until more is known                                 |
| diverged                         | COMPLETE with the worst value, infeasible: ``diverged`` = 1   |
| with replicates in the search    | COMPLETE; all values are those of `by_place`                  |
| failed                           | FAIL: it says nothing about its parameters                    |
| before its first rung            | RUNNING                                                       |

The value at which a pruned trial happened to stop would mislead. With the clock ``activation`` it
depends on the warm-up: at the same rung a trial with a long one has trained longer. The score at
the rung is what the scheduler compared it by.

To Optuna 5.0 a RUNNING trial is never more than its parameters, whatever intermediate values it
has: TPE counts it among the bad ones (`TPESampler`, ``constant_liar``), the Gaussian process as one
of unknown value. So a trial that waits is told like a pruned one.

This is not the study that users open (`sweep.tracking.study_file`), which has the true ends.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from optuna.trial import FrozenTrial, TrialState, create_trial

from sweep.search.searchers.optuna_study import constraints, state_and_value
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import Status, TrialRecord, place_of_runs

FEASIBLE: Mapping[str, float] = {"diverged": -1.0}


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of a trial.

    Args:
        proposed: the trial as it began, with what its sampler noted in it.
        ended: the trial at its end; None before.
        rung: number of rungs that it has reached.
        score: its score at the last of them, higher is better, of several objectives a tuple of
            scores; None if there is none.
        replicated: scores of its replicates in the search.
        diverged: number of its replicates in the search that diverged.
    """

    proposed: FrozenTrial
    ended: TrialRecord | None = None
    rung: int = 0
    score: Any = None
    replicated: tuple[float, ...] = ()
    diverged: int = 0

    @property
    def has_further_runs(self) -> bool:
        """Whether a replicate of it in the search has a score, or diverged."""
        return bool(self.replicated or self.diverged)

    def trial(self, objective: Objective, worst: float | None) -> FrozenTrial:
        """The trial in Optuna's terms; see the head of this file.

        Args:
            objective: of the sweep.
            worst: value of a diverged trial. While it is None, such a trial counts as running.
        """
        ended = self.ended
        if ended is not None and ended.status is not Status.PRUNED:
            if ended.status is Status.DIVERGED and worst is None:
                return self.proposed
            state, value = state_and_value(ended, worst)
            return self.told(state, value, constraints(ended, worst))
        if self.score is not None:
            return self.told(TrialState.PRUNED, objective.turned(self.score), FEASIBLE)
        return self.proposed if ended is None else self.told(TrialState.PRUNED, None, FEASIBLE)

    def told(
        self, state: TrialState, value: float | None, broken: Mapping[str, float]
    ) -> FrozenTrial:
        """The trial with this state, value and constraints."""
        at_a_rung = {self.rung: value} if state is TrialState.PRUNED and value is not None else {}
        return self.in_study(state, broken, value=value, intermediate_values=at_a_rung)

    def in_study(
        self, state: TrialState, broken: Mapping[str, float], **values: Any
    ) -> FrozenTrial:
        """The trial with this state, constraints, and its value or values."""
        return create_trial(
            state=state,
            params=self.proposed.params,
            distributions=self.proposed.distributions,
            system_attrs=dict(self.proposed.system_attrs),  # constraints are added to them
            constraints=dict(broken),
            **values,
        )

    def place(
        self, trial: FrozenTrial, value: float, objective: Objective
    ) -> tuple[float, int, int, float]:
        """Among all trials, ascending from the worst: by the rungs reached, then as the ranking
        does by their runs (`place_of_runs`)."""
        if trial.constraints["diverged"] > 0:
            return -math.inf, 0, 0, 0.0
        rungs = self.rung if trial.state is TrialState.PRUNED else math.inf
        return rungs, *place_of_runs(objective.turned(value), self.replicated, self.diverged)


def by_place(
    evidence: Sequence[Evidence], objective: Objective, worst: float | None
) -> list[FrozenTrial]:
    """All trials, for a sampler that learns from COMPLETE ones alone and takes values as numbers.

    Scores of different rungs cannot be compared as numbers: of a gain of 0.1 mm and an HD95 of 5 mm
    neither is the smaller. Neither can means over different numbers of runs. So where any trial has
    one, the value is the normal score of the trial's place, Φ⁻¹((place − 1/2) / n); equal trials
    share a place.

    Source: Salinas, Shen and Perrone, "A Quantile-based Approach for Hyperparameter Transfer
    Learning", ICML 2020, Section 3.
    """
    trials = [known.trial(objective, worst) for known in evidence]
    at_rungs = any(one.state is TrialState.PRUNED and one.value is not None for one in trials)
    if not at_rungs and not any(known.has_further_runs for known in evidence):
        return trials
    places = {
        number: known.place(trial, trial.value, objective)
        for number, (known, trial) in enumerate(zip(evidence, trials, strict=True))
        if trial.value is not None
    }
    ascending = sorted(places.values())
    for number, place in places.items():
        middle = (bisect_left(ascending, place) + bisect_right(ascending, place)) / 2
        value = objective.turned(NormalDist().inv_cdf(middle / len(ascending)))
        broken = trials[number].constraints
        trials[number] = evidence[number].told(TrialState.COMPLETE, value, broken)
    return trials
