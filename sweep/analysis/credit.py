"""What of a trial's Dice its geometric loss can have a part in.

The best Dice of a run may lie in the epochs before its geometric loss acted: then it is the Dice of
the warm-up, whatever the loss did to the run afterwards. Such a trial keeps its rank, for these are
the weights that it leaves; it is marked, and nothing is credited to its loss but what came after.
The line is drawn at the switch-on: in a ramp-up the loss acts already, if not in full.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sweep.analysis.effective import switch_on
from sweep.record import ParameterValue, TrialRecord
from sweep.spec.sweep import SweepSpec

BEFORE, SINCE = "best_before_switch_on", "dice_since_switch_on"
MARK = "*"
"""Behind such an epoch in a table."""
BEFORE_WORDS = "lies before its geometric loss switched on: the loss had no part in it"
"""What is to be said of such a best epoch."""


def dice_since(record: TrialRecord, epoch: int) -> float | None:
    """Best validation Dice from an epoch on, from 0; None where none was measured."""
    values = [e.val_dice for e in record.history[epoch:] if e.val_dice is not None]
    return max((value for value in values if math.isfinite(value)), default=None)


def credited_dice(spec: SweepSpec, record: TrialRecord) -> float | None:
    """Best Dice with the geometric loss at work; of a trial without one simply its best."""
    return dice_since(record, switch_on(spec, record) or 0)


def is_before_switch_on(spec: SweepSpec, record: TrialRecord) -> bool | None:
    """Whether the best epoch lies before the switch-on; None without a loss or a result."""
    start, best = switch_on(spec, record), record.best
    if start is None or best is None or not record.status.has_result:
        return None
    return best.epoch < start


def is_marked(row: Mapping[Any, Any]) -> bool:
    """Whether a row of a ranking says that its best epoch lies before the switch-on."""
    mark = row.get(BEFORE)
    return isinstance(mark, bool | np.bool_) and bool(mark)


def credit_columns(
    ranked: Sequence[TrialRecord], spec: SweepSpec | None
) -> dict[str, list[ParameterValue]]:
    """Columns, a value a record; none where no trial with a result has a geometric loss."""
    if spec is None:
        return {}
    marks = [is_before_switch_on(spec, record) for record in ranked]
    if all(mark is None for mark in marks):
        return {}
    dice = [
        None if mark is None else credited_dice(spec, record)
        for record, mark in zip(ranked, marks, strict=True)
    ]
    return {BEFORE: list(marks), SINCE: list(dice)}
