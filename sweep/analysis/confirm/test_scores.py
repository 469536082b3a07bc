"""The finalists on the test split: cases that no trial has trained or validated on.

Nobody is chosen by these numbers: the order is that of the ranking, and they are looked at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.analysis.confirm.paired_statistics import mean_interval
from sweep.spec.space.presets import BASELINE
from sweep.vocabulary.record import TrialRecord, searched

if TYPE_CHECKING:
    import pandas as pd

LEAST_CASES = 20
"""Test cases below which no interval is given: of real ones, those of fewer hold the mean in as few
as 82 of 100, those of 20 in 90 (``benchmarks/README.md``)."""


@dataclass(frozen=True, slots=True)
class Tested:
    """A finalist on the test split.

    Args:
        record: the trial of the search.
        runs: number of its replicates that were evaluated, or 1 for the trial itself.
        dice: case → Dice, the mean over the runs; cases that say nothing are left out.
        hd95: the same of HD95, in pixels.
        low, high: 95 % interval of the mean Dice over cases, by Student's t; NaN for fewer than
            `LEAST_CASES`.
        validation: mean of the best validation Dice of the same runs, the one to compare with.
    """

    record: TrialRecord
    runs: int
    dice: Mapping[str, float]
    hd95: Mapping[str, float]
    low: float
    high: float
    validation: float | None

    @property
    def trial_id(self) -> str:
        return self.record.trial_id

    @property
    def mean(self) -> float:
        return mean(self.dice.values()) or 0.0

    @property
    def mean_hd95(self) -> float | None:
        return mean(self.hd95.values())


@dataclass(frozen=True, slots=True)
class Gain:
    """What the first of the ranking gains over another finalist, case by case.

    Args:
        other: id of the other.
        cases: number of cases that both have a Dice on.
        gain: mean Dice of the first minus that of the other.
        low, high: 95 % interval of the gain, as of `Tested`. There is no p beside it that could
            say something else.
    """

    other: str
    cases: int
    gain: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class HeldOut:
    """All finalists that were tested, as they are ranked.

    Args:
        tested: the finalists.
        over_baseline: the first against the preset of that name, where it was tested and is not
            the first itself.
    """

    tested: tuple[Tested, ...]
    over_baseline: Gain | None

    def of(self, trial_id: str) -> Tested | None:
        return next((one for one in self.tested if one.trial_id == trial_id), None)


def held_out(records: Iterable[TrialRecord], ranked: Sequence[str]) -> HeldOut | None:
    """The finalists on the test split; None if none was evaluated.

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
    found = tuple(_tested(by_id[name], runs[name]) for name in ranked if name in runs)
    found = tuple(one for one in found if one.dice)
    if not found:
        return None
    first, *others = found
    control = next((one for one in others if one.record.preset == BASELINE), None)
    return HeldOut(found, _gain(first, control) if control else None)


def cases_frame(found: HeldOut) -> pd.DataFrame:
    """The rows of test.csv: one a finalist and case, in the order of the ranking."""
    import pandas as pd

    rows = [
        (one.trial_id, case, one.dice.get(case), one.hd95.get(case), one.runs)
        for one in found.tested
        for case in sorted({*one.dice, *one.hd95})
    ]
    kinds = {"trial_id": "string", "case": "string", "dice": "Float64", "hd95": "Float64"}
    kinds |= {"runs": "Int64"}
    return pd.DataFrame(rows, columns=list(kinds), dtype=object).astype(kinds)


def mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return math.fsum(found) / len(found) if found else None


def _tested(record: TrialRecord, runs: Sequence[TrialRecord]) -> Tested:
    # Where there are replicates they alone count: the search chose its own run for its Dice.
    fresh = [run for run in runs if run.replicate is not None] or list(runs)
    dice = _per_case(fresh, "dice")
    low, high = (min(max(bound, 0.0), 1.0) for bound in _interval(list(dice.values())))
    best = [best.val_dice for run in fresh if (best := run.best) and best.val_dice is not None]
    return Tested(record, len(fresh), dice, _per_case(fresh, "hd95"), low, high, mean(best))


def _per_case(runs: Iterable[TrialRecord], name: str) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for run in runs:
        for score in run.test:
            value: float | None = getattr(score, name)
            if value is not None and math.isfinite(value):
                values.setdefault(score.case, []).append(value)
    return {case: mean(found) or 0.0 for case, found in sorted(values.items())}


def _gain(first: Tested, other: Tested) -> Gain:
    found = [first.dice[case] - other.dice[case] for case in first.dice if case in other.dice]
    return Gain(other.trial_id, len(found), mean(found) or 0.0, *_interval(found))


def _interval(values: Sequence[float]) -> tuple[float, float]:
    return mean_interval(values) if len(values) >= LEAST_CASES else (math.nan, math.nan)
