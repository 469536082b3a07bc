"""What a trial reached since its geometric loss switched on, and the score to compare trials by.

The best epoch of a run may lie before its geometric loss acted. Then its Dice is that of the
warm-up, whatever the loss did to the run afterwards. Such a trial keeps its rank, because its
weights are those of that epoch. It is marked, and only later epochs count as an effect of the loss.
The limit is the switch-on: in a ramp-up the loss acts already, if not in full.

To compare what settings did, there is a second reason not to use the best Dice. A pruned trial was
trained for fewer epochs: by the clock `activation` it stops a fixed number of epochs after its own
warm-up, so its Dice shows mostly how long it warmed up. Its comparable score is therefore an
`Expectation`: what the baseline reached in the end, plus what is left of the trial's distance to
it. Without a baseline, pruned trials have no comparable score where the clock stops each at its own
epoch; where all are stopped at the same epochs, their score is used as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.analysis.effective_settings import ramp_of
from sweep.analysis.pruned_expectation import Expectation, expectations
from sweep.analysis.ranked_table import RankedTable
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.record import ParameterValue, Status, TrialRecord, objective_of

BEFORE = "best_before_switch_on"
MARK = "*"
"""Follows such an epoch in a table."""
BEFORE_WORDS = "lies before its geometric loss switched on: the loss had no part in it"
"""What such a best epoch means."""


def score_since_switch_on(spec: SweepSpec, record: TrialRecord) -> float | None:
    """Best score since the geometric loss switched on; of a trial without one simply its best."""
    since = record.scores[ramp_of(spec, record).switch_on or 0 :]
    return max([score for score in since if score is not None], default=None)


def value_since_switch_on(spec: SweepSpec, record: TrialRecord) -> float | None:
    """The same as a value of the objective."""
    score = score_since_switch_on(spec, record)
    return None if score is None else record.objective.turned(score)


def comparable_scores(
    spec: SweepSpec, records: Sequence[TrialRecord], expected: Mapping[str, Expectation]
) -> dict[str, float]:
    """Comparable score by trial id, of the trials that have one.

    Args:
        records: trials with a result.
        expected: their `pruned_expectations`.
    """
    found = {}
    for record in records:
        if (one := expected.get(record.trial_id)) is not None:
            found[record.trial_id] = one.score
        elif record.status is not Status.PRUNED or not spec.compares_gains:
            score = score_since_switch_on(spec, record)
            found |= {} if score is None else {record.trial_id: score}
    return found


def pruned_expectations(
    spec: SweepSpec, records: Sequence[TrialRecord], baseline: TrialRecord | None
) -> dict[str, Expectation]:
    """What the pruned trials would have reached since their switch-on.

    Nothing without a baseline that trained to its end: a user may have stopped it.

    Args:
        records: trials with a result.
        baseline: the trial without a geometric loss, if it has a result.
    """
    if baseline is None or baseline.status is Status.PRUNED:
        return {}
    starts = {one.trial_id: ramp_of(spec, one).switch_on or 0 for one in records}
    return expectations(records, starts, baseline)


def is_before_switch_on(spec: SweepSpec, record: TrialRecord) -> bool | None:
    """Whether the best epoch lies before the switch-on; None without a loss or a result."""
    start, best = ramp_of(spec, record).switch_on, record.best
    if start is None or best is None or not record.status.has_result:
        return None
    return best.epoch < start


def is_marked(row: Mapping[str, Any]) -> bool:
    """Whether a row of a ranking says that its best epoch lies before the switch-on."""
    return row.get(BEFORE) is True


def are_marked(table: RankedTable) -> list[bool]:
    """`is_marked` for each row."""
    return [cell is True for cell in table[BEFORE]] if BEFORE in table else [False] * len(table)


def switch_on_columns(
    ranked: Sequence[TrialRecord], spec: SweepSpec | None
) -> dict[str, list[ParameterValue]]:
    """The columns `BEFORE` and ``dice_since_switch_on``, or likewise of another objective.

    No columns where no trial with a result has a geometric loss.
    """
    if spec is None:
        return {}
    marks = [is_before_switch_on(spec, record) for record in ranked]
    if all(mark is None for mark in marks):
        return {}
    values = [
        None if mark is None else value_since_switch_on(spec, record)
        for record, mark in zip(ranked, marks, strict=True)
    ]
    return {BEFORE: [*marks], f"{objective_of(ranked).stem}_since_switch_on": [*values]}
