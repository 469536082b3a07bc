"""The finalists on the test split: cases that no trial has trained or validated on.

Nothing is chosen by these numbers: the order is that of the ranking, and they are measured once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from statistics import fmean
from typing import TYPE_CHECKING

from sweep.analysis.confirm.paired_statistics import mean_interval
from sweep.data.nnunet_raw.case_groups import subject
from sweep.spec.space.presets import BASELINE
from sweep.vocabulary.class_scores import mean_over_classes, of_class
from sweep.vocabulary.record import TrialRecord, representing, searched

if TYPE_CHECKING:
    import pandas as pd

LEAST_CASES = 20
"""Test cases below which no interval is given: on real cases, intervals of fewer hold the mean in
as few as 82 of 100 samples, those of 20 in 90 (``benchmarks/README.md``)."""
LEAST_GROUPS = 5
"""Groups of test cases below which no interval is given, either."""
FEW_GROUPS = 10
"""Groups below which an interval over them comes with a caution (``benchmarks/groups.py``)."""


@dataclass(frozen=True, slots=True)
class Tested:
    """A finalist on the test split.

    Args:
        record: the trial of the search.
        runs: number of its replicates that were evaluated, or 1 for the trial itself.
        dice: case → Dice, the mean over the runs; cases without a value are left out.
        hd95: the same for HD95.
        further: column of test.csv → the same for it: further metrics, and each metric per class.
        low, high: 95 % interval of the mean Dice over cases, by Student's t; NaN for fewer than
            `LEAST_CASES`, or than `LEAST_GROUPS`.
        validation: mean of the best validation Dice of the same runs, for comparison.
        groups: case → its group (`data.groups`), over which the interval then is; empty where
            nothing is grouped.
    """

    record: TrialRecord
    runs: int
    dice: Mapping[str, float]
    hd95: Mapping[str, float]
    further: Mapping[str, Mapping[str, float]]
    low: float
    high: float
    validation: float | None
    groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def trial_id(self) -> str:
        return self.record.trial_id

    @property
    def mean(self) -> float:
        """Mean Dice over the cases."""
        return fmean(self.dice.values())

    @property
    def group_count(self) -> int:
        """Number of groups of the cases with a Dice; 0 where nothing is grouped."""
        return len({self.groups.get(case, case) for case in self.dice}) if self.groups else 0

    @property
    def mean_hd95(self) -> float | None:
        """Mean HD95 over the cases; None where it was not measured."""
        return fmean(self.hd95.values()) if self.hd95 else None


@dataclass(frozen=True, slots=True)
class Gain:
    """What the first of the ranking gains over another finalist, case by case.

    Args:
        cases: number of cases on which both have a Dice.
        gain: mean Dice of the first minus that of the other.
        low, high: 95 % interval of the gain, as in `Tested`. There is no p-value beside it, which
            could contradict it.
    """

    cases: int
    gain: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class HeldOut:
    """All finalists that were tested.

    Args:
        tested: the finalists in the order of the ranking.
        over_baseline: what the first gains over the baseline, where that was tested and is not the
            first.
    """

    tested: tuple[Tested, ...]
    over_baseline: Gain | None


def held_out(records: Iterable[TrialRecord], ranked: Sequence[str]) -> HeldOut | None:
    """The finalists on the test split; None where none was evaluated.

    Args:
        records: of all trials of a sweep.
        ranked: ids of the search's trials, best first.
    """
    records = list(records)
    by_id = {record.trial_id: record for record in searched(records)}
    runs: dict[str, list[TrialRecord]] = {}
    for record in records:
        if record.test and record.configuration_id in by_id:
            runs.setdefault(record.configuration_id, []).append(record)
    found = [_tested(by_id[name], runs[name]) for name in ranked if name in runs]
    tested = tuple(one for one in found if one.dice)
    if not tested:
        return None
    first = tested[0]
    control = next((one for one in tested[1:] if one.record.preset == BASELINE), None)
    if control is None:
        return HeldOut(tested, None)
    both = [case for case in first.dice if case in control.dice]
    gains = [first.dice[case] - control.dice[case] for case in both]
    low, high = interval_over_cases(dict(zip(both, gains, strict=True)), first.groups)
    gain = fmean(gains) if gains else 0.0
    return HeldOut(tested, Gain(len(both), gain, low, high))


def interval_over_cases(
    values: Mapping[str, float], groups: Mapping[str, str]
) -> tuple[float, float]:
    """95 % interval of the mean of cases, over their groups where they have any; NaN for too few.

    Args:
        values: case → value.
        groups: case → group; empty where nothing is grouped.
    """
    known = [groups.get(case, case) for case in values] if groups else None
    if known is not None and len(set(known)) < LEAST_GROUPS:
        return math.nan, math.nan
    return mean_interval([*values.values()], LEAST_CASES, known)


def subjects_of(cases: Iterable[str]) -> list[str]:
    """The subjects of cases by their names, in the order of the cases; a case that names none is
    one of its own. Empty where no two cases are of the same subject."""
    cases = list(cases)
    found = dict.fromkeys(subject(case) or case for case in cases)
    return list(found) if len(found) < len(cases) else []


def cases_frame(found: HeldOut) -> pd.DataFrame:
    """The rows of test.csv: one per finalist and case, in the order of the ranking.

    Columns ``trial_id, case, dice, hd95, runs``, means over the classes; then further metrics; then
    ``dice[CLASS]`` and so on, where there are several classes. Where cases are grouped, ``group``
    is the last.
    """
    import pandas as pd

    further = list(dict.fromkeys(name for one in found.tested for name in one.further))
    is_grouped = any(one.groups for one in found.tested)
    rows = [
        (
            *(one.trial_id, case, one.dice.get(case), one.hd95.get(case), one.runs),
            *(one.further.get(name, {}).get(case) for name in further),
            *([one.groups.get(case)] if is_grouped else []),
        )
        for one in found.tested
        for case in sorted({*one.dice, *one.hd95})
    ]
    kinds = {"trial_id": "string", "case": "string", "dice": "Float64", "hd95": "Float64"}
    kinds |= {"runs": "Int64", **dict.fromkeys(further, "Float64")}
    kinds |= {"group": "string"} if is_grouped else {}
    return pd.DataFrame(rows, columns=list(kinds), dtype=object).astype(kinds)


def _tested(record: TrialRecord, runs: Sequence[TrialRecord]) -> Tested:
    # Where there are replicates, only they count: the search chose its own run for its Dice.
    fresh = representing(runs)
    dice = _per_case(fresh, "dice")
    groups = {one.case: one.group for run in fresh for one in run.test if one.group is not None}
    bounds = interval_over_cases(dice, groups)
    low, high = (min(max(bound, 0.0), 1.0) for bound in bounds)
    best = [best.val_dice for run in fresh if (best := run.best) and best.val_dice is not None]
    validation = fmean(best) if best else None
    hd95, further = _per_case(fresh, "hd95"), _further(fresh)
    return Tested(record, len(fresh), dice, hd95, further, low, high, validation, groups)


def _per_case(runs: Iterable[TrialRecord], name: str) -> dict[str, float]:
    return _means((one.case, getattr(one, name)) for run in runs for one in run.test)


def _further(runs: Sequence[TrialRecord]) -> dict[str, dict[str, float]]:
    """`Tested.further`."""
    cases = [case for run in runs for case in run.test]
    every = [score for case in cases for score in case.classes]
    names = list(dict.fromkeys(name for score in every for name in score.values))
    labels = list(dict.fromkeys(score.label for score in every))
    found = {
        name: _means((one.case, mean_over_classes(one.classes, name)) for one in cases)
        for name in names
        if name not in ("dice", "hd95")
    }
    if len(labels) > 1:
        for name, label in product(names, labels):
            values = ((one.case, one.value(name)) for one in every if one.label == label)
            found[of_class(name, label)] = _means(values)
    return found


def _means(values: Iterable[tuple[str, float | None]]) -> dict[str, float]:
    """Case → mean of its finite values."""
    found: dict[str, list[float]] = {}
    for case, value in values:
        if value is not None and math.isfinite(value):
            found.setdefault(case, []).append(value)
    return {case: fmean(own) for case, own in sorted(found.items())}
