"""Optuna's samplers for several objectives.

| trial                             | in the study                                                |
|-----------------------------------|-------------------------------------------------------------|
| completed, early-stopped, pruned  | COMPLETE with its point; FAIL if it has none                |
| diverged                          | COMPLETE with the worst value of each, and infeasible       |
| failed                            | FAIL                                                        |
| at a rung, waiting or training    | as if it were pruned, for the sampler                       |
| before its first rung             | RUNNING                                                     |

A study of several objectives has neither intermediate values nor a use for PRUNED: Optuna's
samplers would rank all pruned trials alike, behind everything else, or not see them. A pruned trial
counts with the point that it reached, but with the worst cost, because its own is the scheduler's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from optuna.trial import FrozenTrial, TrialState

from sweep.search.searchers.optuna_evidence import FEASIBLE, Evidence
from sweep.search.searchers.optuna_search import OptunaSearch
from sweep.search.searchers.optuna_study import Translator, constraints
from sweep.vocabulary.dominance import Point
from sweep.vocabulary.record import Status, TrialRecord


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
    state, values = state_and_values(record, worst)
    return translator.written(
        record,
        attributes,
        state=state,
        values=values,
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

    def _known(self) -> Iterable[tuple[int, FrozenTrial]]:
        return [(index, self._told(self._evidence[index])) for index in sorted(self._changed)]

    def _told(self, known: Evidence) -> FrozenTrial:
        """The trial in Optuna's terms. It counts as running while a value that it needs is unknown.

        One that has reached a rung counts with its point there, as if it were pruned.
        """
        ended, worst = known.ended, self._worst.values
        broken: Mapping[str, float] = FEASIBLE
        if ended is not None:
            needs = ended.status is Status.DIVERGED or ended.point is not None
            state, values = state_and_values(ended, worst)
            if needs and state is TrialState.FAIL:
                return known.proposed
            broken = constraints(ended, 0.0)
        elif isinstance(known.score, tuple):
            state, values = TrialState.COMPLETE, self._at_rung(known.score)
            if values is None:
                return known.proposed
        else:
            return known.proposed
        feasible = broken if state is TrialState.COMPLETE else {}
        return known.in_study(state, feasible, values=values)

    def _at_rung(self, point: Point) -> list[float] | None:
        """The values of a trial at a rung, with the worst for costs and for what is missing."""
        values = []
        each = self._objective.each
        for one, score, worst in zip(each, point, self._worst.values, strict=True):
            value = worst if one.is_cost or score == -math.inf else one.turned(score)
            if value is None:
                return None
            values.append(value)
        return values
