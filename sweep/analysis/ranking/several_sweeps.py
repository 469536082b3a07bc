"""Several sweeps in one ranking, and whether their results may be compared at all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from sweep.analysis.ranked_table import Column, RankedTable
from sweep.analysis.ranking.pareto_ranks import pareto_ranks_of_rows
from sweep.spec.settings.data_settings import DATA_SOURCES, CommonData
from sweep.spec.settings.objective_settings import PARETO_RANK
from sweep.spec.words.phrases import shown
from sweep.vocabulary.class_scores import without_class
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import Status

TRAINING_ONLY = frozenset({"patch_size", "oversample_foreground", "spacing", "spatial"})
"""Settings of ``data`` that do not change the cases on which a trial is measured: whole ones, on
the grids of their own files. Only the brain is cut into other cases by `spatial`."""
WITHIN_ONE = ["p_best", "group"]
"""Columns that compare the finalists of one sweep with each other; empty in a joint ranking."""


def together(tables: Mapping[str, RankedTable], objective: Objective = DICE) -> RankedTable:
    """The rows of several rankings in one order, by the best of the objective in the search.

    Means over replicates do not count here, since each sweep may have used other seeds. The columns
    `WITHIN_ONE` are left empty.

    Args:
        tables: name of the sweep → its ranking.
        objective: of all of them.

    Returns:
        A new ``rank``, then ``sweep``, then all columns that any of them has.
    """
    named = [_named(name, table) for name, table in tables.items()]
    filled = [one for one in named if len(one)] or named[:1]
    rows = [row for one in filled for row in one.rows()]
    rows.sort(key=lambda row: _place(row, objective))
    if objective.others:
        ranks = pareto_ranks_of_rows(rows, objective)
        rows = [row | {PARETO_RANK: rank} for row, rank in zip(rows, ranks, strict=True)]
        rows.sort(key=lambda row: math.inf if row[PARETO_RANK] is None else row[PARETO_RANK])
    found = {}
    for name in dict.fromkeys(name for one in named for name in one):
        kinds = {one.columns[name].kind for one in filled if name in one}
        kind = kinds.pop() if len(kinds) == 1 else "object"
        found[name] = Column([row.get(name) for row in rows], kind)
    return RankedTable(found | {"rank": Column([*range(1, len(rows) + 1)], "Int64")})


def _named(name: str, table: RankedTable) -> RankedTable:
    """One of several rankings: with the sweep's name, and what is its own alone left empty."""
    first = {"rank": table.columns["rank"], "sweep": Column([name] * len(table), "string")}
    empty = {
        column: Column([None] * len(table), table.columns[column].kind)
        for column in WITHIN_ONE
        if column in table
    }
    return RankedTable({**first, **table.columns, **empty})


def common_objective(objectives: Mapping[str, Objective]) -> Objective:
    """The objective that several sweeps have in common.

    Raises:
        InputError: they have different objectives, so there is no order of all their trials.
    """
    (first, found), *others = objectives.items()
    for name, objective in others:
        if objective != found:
            raise InputError.single(
                f"{first} is ranked by {found.words} and {name} by {objective.words}: they cannot"
                " be ranked together; rank them one at a time"
            )
    return found


def incomparable(
    specs: Mapping[str, Mapping[str, Any]], objective: Objective = DICE
) -> Iterator[str]:
    """A sentence for each pair of sweeps that were not measured on the same cases in one way.

    Args:
        specs: name of the sweep → the values of its effective spec.
    """
    measured = {name: _measured_on(spec, objective) for name, spec in specs.items()}
    for (a, one), (b, other) in combinations(measured.items(), 2):
        # A fingerprint stands for the folder and the groups, where both have one.
        has_fingerprints = None not in (one.get("data.fingerprint"), other.get("data.fingerprint"))
        placed = ("data.folder", "data.groups")
        passed_over = placed if has_fingerprints else ("data.fingerprint",)
        differences = [
            f"`{key}` {shown(one.get(key))} and {shown(other.get(key))}"
            for key in one | other
            if one.get(key) != other.get(key) and key not in passed_over
        ]
        if differences:
            yield (
                f"{a} and {b} were measured on different data ({', '.join(differences)}): their "
                f"{objective.short} is not comparable"
            )


def _measured_on(spec: Mapping[str, Any], objective: Objective) -> dict[str, Any]:
    found = {}
    if isinstance(data := spec.get("data"), dict):
        source = DATA_SOURCES.get(str(data.get("source")), CommonData)
        left_out = TRAINING_ONLY - ({"spatial"} if source.spatial_makes_cases else set())
        found = {f"data.{key}": data[key] for key in data if key not in left_out}
    if isinstance(evaluation := spec.get("evaluation"), dict):
        found["evaluation.tta"] = evaluation.get("tta")
        if without_class(objective.metric) == "nsd":
            found["evaluation.nsd_tolerance"] = evaluation.get("nsd_tolerance")
    return found


def _place(row: Mapping[Any, Any], objective: Objective) -> tuple[int, float, float, int]:
    if (value := row.get(objective.metric)) is not None:
        return 0, -objective.turned(value), -(row["val_dice"] or 0.0), row["epochs"]
    last = {Status.DIVERGED: 2, Status.FAILED: 3}
    return last.get(Status(row["status"]), 1), 0.0, 0.0, 0
