"""What a trial reached since its geometric loss switched on.

The best epoch of a run may lie before its geometric loss acted. Then its Dice is that of the
warm-up, whatever the loss did to the run afterwards. Such a trial keeps its rank, because these are
the weights that it leaves. It is marked, and only what came after counts as an effect of the loss.
The line is drawn at the switch-on: in a ramp-up the loss acts already, if not in full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.analysis.effective_settings import ramp_of
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import ParameterValue, TrialRecord, objective_of

BEFORE = "best_before_switch_on"
MARK = "*"
"""Behind such an epoch in a table."""
BEFORE_WORDS = "lies before its geometric loss switched on: the loss had no part in it"
"""What such a best epoch means."""


def score_since_switch_on(spec: SweepSpec, record: TrialRecord) -> float | None:
    """Best score with the geometric loss at work; of a trial without one simply its best."""
    since = record.history[ramp_of(spec, record).switch_on or 0 :]
    best = record.objective.best(since)
    return None if best is None else record.objective.score(best)


def value_since_switch_on(spec: SweepSpec, record: TrialRecord) -> float | None:
    """The same as a value of the objective."""
    score = score_since_switch_on(spec, record)
    return None if score is None else record.objective.turned(score)


def since_column(objective: Objective) -> str:
    """Column of what a trial reached since the switch-on: ``dice_since_switch_on``."""
    return f"{objective.stem}_since_switch_on"


def is_before_switch_on(spec: SweepSpec, record: TrialRecord) -> bool | None:
    """Whether the best epoch lies before the switch-on; None without a loss or a result."""
    start, best = ramp_of(spec, record).switch_on, record.best
    if start is None or best is None or not record.status.has_result:
        return None
    return best.epoch < start


def is_marked(row: Mapping[str, Any]) -> bool:
    """Whether a row of a ranking says that its best epoch lies before the switch-on."""
    return row.get(BEFORE) is True


def switch_on_columns(
    ranked: Sequence[TrialRecord], spec: SweepSpec | None
) -> dict[str, list[ParameterValue]]:
    """Columns, a value a record; none where no trial with a result has a geometric loss."""
    if spec is None:
        return {}
    marks = [is_before_switch_on(spec, record) for record in ranked]
    if all(mark is None for mark in marks):
        return {}
    values = [
        None if mark is None else value_since_switch_on(spec, record)
        for record, mark in zip(ranked, marks, strict=True)
    ]
    return {BEFORE: list(marks), since_column(objective_of(ranked)): list(values)}
