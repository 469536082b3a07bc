"""The fronts of a sweep with several objectives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sweep.analysis.ranked_table import RankedTable
from sweep.analysis.report_words import listed
from sweep.vocabulary.dominance import Point, fronts
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import Status, TrialRecord


def pareto_ranks(records: Iterable[TrialRecord]) -> list[int | None]:
    """The front of each trial, from 0: no other trial is at least as good in all objectives as one
    of front 0 and better in one. None without a value.

    Where a cost is an objective, pruned trials are compared among themselves, behind all others.
    They trained few epochs because they were stopped, not because few were enough.
    """
    return _ranks([(record.point, stands_apart(record)) for record in records])


def stands_apart(record: TrialRecord) -> bool:
    """Whether a trial comes behind those that nobody stopped, whatever its point."""
    return record.objective.has_cost and record.status is Status.PRUNED


def pareto_ranks_of_rows(
    rows: Iterable[Mapping[Any, Any]], objective: Objective
) -> list[int | None]:
    """The same of the rows of a ranking, or of several."""
    return _ranks([
        (_row_point(row, objective), objective.has_cost and row["status"] == Status.PRUNED.value)
        for row in rows
    ])  # fmt: skip


def objective_words(row: Mapping[Any, Any], objective: Objective) -> list[str]:
    """The further objectives of the winner, for the comment of a best.yaml."""
    if not objective.others:
        return []
    values = [
        f"{one.label} {one.text(float(row[one.metric]))}"
        for one in objective.others
        if row.get(one.metric) is not None
    ]
    names = listed([one.label for one in objective.each])
    return [
        f"of the trials that no other beats in {names}, the one with the {objective.highest}"
        f" {objective.label}",
        *values,
    ]


def front(table: RankedTable) -> RankedTable:
    """The rows of a ranking that no other beats; all columns."""
    return table.at(n for n, rank in enumerate(table["pareto"]) if rank == 0)


def _ranks(found: Sequence[tuple[Point | None, bool]]) -> list[int | None]:
    """The fronts of points, of which those that stand apart come behind all others."""
    ranks: list[int | None] = [None] * len(found)
    first = 0
    for behind in (False, True):
        group = {
            n: point
            for n, (point, apart) in enumerate(found)
            if point is not None and apart is behind
        }
        own = fronts(list(group.values()))
        for number, rank in zip(group, own, strict=True):
            ranks[number] = first + rank
        first += 1 + max(own, default=-1)
    return ranks


def _row_point(row: Mapping[Any, Any], objective: Objective) -> Point | None:
    values = [row.get(one.metric) for one in objective.each]
    if values[0] is None:
        return None
    return tuple(
        -math.inf if value is None else one.turned(float(value))
        for one, value in zip(objective.each, values, strict=True)
    )
