"""The scores of trials on the same cases: of the test split, or of the validation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweep.analysis.confirm.test_scores import LEAST_CASES, LEAST_GROUPS
from sweep.analysis.figures.sweep_results import Results
from sweep.spec.words.phrases import counted
from sweep.vocabulary.class_scores import ClassScore, mean_over_classes
from sweep.vocabulary.objective import BETTER, VAL_DICE

METRICS = ("dice", "nsd", "hd95")
"""Metrics that rankings are compared by, where they were measured."""
MOST_TRIALS = 10
"""Trials of the validation that are shown: the first of the ranking. Each is a file to read."""
LEAST_TRIALS = 2

Values = Mapping[str, Mapping[str, float]]
"""Metric → case → value."""


@dataclass(frozen=True, eq=False)
class CaseScores:
    """Scores of trials on the cases that all of them have a value for.

    Args:
        split: ``test`` or ``validation``.
        trials: their ids, in the order of the ranking.
        scores: metric → ``[cases, trials]``, higher is better. All metrics have the same cases.
        names: of the cases.
        left_out: number of cases that lack a value of one of them.
        groups: of each case (`data.groups`); empty where nothing is grouped.
    """

    split: str
    trials: tuple[str, ...]
    scores: Mapping[str, NDArray[np.float64]]
    names: tuple[str, ...]
    left_out: int
    groups: tuple[str, ...] = ()

    @property
    def cases(self) -> int:
        """Number of cases."""
        return len(self.names)

    @property
    def is_telling(self) -> bool:
        """Whether there are enough cases and groups to draw from, and trials to compare."""
        is_enough = self.cases >= LEAST_CASES and not self.has_too_few_groups
        return is_enough and len(self.trials) >= LEAST_TRIALS

    @property
    def group_count(self) -> int:
        """Number of groups; 0 where nothing is grouped."""
        return len({*self.groups})

    @property
    def words(self) -> str:
        """``24 test cases of 8 groups``."""
        of = f" of {counted(self.group_count, 'group')}" if self.groups else ""
        return f"{counted(self.cases, f'{self.split} case')}{of}"

    @property
    def has_too_few_groups(self) -> bool:
        """Whether cases are grouped, and these are too few to draw from."""
        return 0 < self.group_count < LEAST_GROUPS


def scores_on_test(results: Results) -> CaseScores | None:
    """The finalists on the test split, each the mean over its runs; None where fewer than two were
    tested."""
    if results.held_out is None:
        return None
    values = {
        one.trial_id: {"dice": one.dice, "hd95": one.hd95, "nsd": one.further.get("nsd", {})}
        for one in results.held_out.tested
    }
    return _gathered("test", values, results.held_out.tested[0].groups)


def scores_on_validation(results: Results) -> CaseScores | None:
    """The first trials of the ranking in their best epochs, in the runs of the search.

    None where fewer than two have a table of their cases, or the tables are of different folds.

    Raises:
        ResultsError: a cases.csv is broken.
    """
    values: dict[str, Values] = {}
    groups: dict[str, str] = {}
    for record in [one for one in results.ended if one.score is not None][:MOST_TRIALS]:
        if rows := results.cases(record.trial_id):
            values[record.trial_id] = {metric: _by_case(rows, metric) for metric in METRICS}
            groups |= {row.case: row.group for row in rows if row.group is not None}
    return _gathered("validation", values, groups)


def _by_case(rows: Iterable[ClassScore], metric: str) -> dict[str, float]:
    """Case → mean over its classes."""
    own: dict[str, list[ClassScore]] = {}
    for row in rows:
        own.setdefault(row.case, []).append(row)
    means = {case: mean_over_classes(scores, metric) for case, scores in own.items()}
    return {case: mean for case, mean in means.items() if mean is not None}


def _gathered(
    split: str, values: Mapping[str, Values], groups: Mapping[str, str]
) -> CaseScores | None:
    trials = tuple(values)
    if len(trials) < LEAST_TRIALS:
        return None
    measured = [m for m in METRICS if all(values[trial].get(m) for trial in trials)]
    if "dice" not in measured:
        return None
    every = {case for trial in trials for case in values[trial]["dice"]}
    shared = [
        case
        for case in sorted(every)
        if all(case in values[trial][metric] for trial in trials for metric in measured)
    ]
    if not shared:
        return None
    scores = {metric: _table(values, trials, shared, metric) for metric in measured}
    known = tuple(groups.get(case, case) for case in shared) if groups else ()
    return CaseScores(split, trials, scores, tuple(shared), len(every) - len(shared), known)


def _table(
    values: Mapping[str, Values], trials: Sequence[str], cases: Sequence[str], metric: str
) -> NDArray[np.float64]:
    table = np.array([[values[trial][metric][case] for trial in trials] for case in cases])
    return table if BETTER.get(metric, BETTER[VAL_DICE]) == "max" else -table
