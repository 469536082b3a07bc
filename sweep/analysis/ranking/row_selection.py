"""Which rows of a ranking are shown, in which order, with which columns."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

from sweep.analysis.ranked_table import RankedTable
from sweep.analysis.ranking.pareto_ranks import front
from sweep.spec.words.phrases import did_you_mean, near_miss, one_of, quoted, shown
from sweep.vocabulary.class_scores import without_class
from sweep.vocabulary.dominance import unbeaten
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.parameter_values import as_text
from sweep.vocabulary.record import Status

RISING = re.compile(r"iou|nsd|p_best|(.+_)?dice(_(low|high|at_enough|before_end))?")
"""Columns of which more is better, beside those of the objective; of all others less is better."""
OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_CONDITION = re.compile(
    r"\s*(?P<key>[^\s=!<>\[]+(\[[^\]]*\])?)\s*(?P<sign>==|!=|>=|<=|>|<)\s*(?P<value>.*?)\s*"
)
NOTHING = "null"
"""Value of a condition on empty cells."""
PARETO: Mapping[str, bool] = {"val_dice": True, "hd95": False, "epochs": False}
"""Goals besides the objective, and whether more of them is better."""


@dataclass(frozen=True, slots=True)
class Condition:
    """``KEY OP VALUE``, such as ``val_dice > 0.9``.

    Args:
        key: name of a column.
        sign: one of `OPERATORS`.
        value: a number, a truth value, a text, or None for an empty cell.
    """

    key: str
    sign: str
    value: float | bool | str | None

    @classmethod
    def of(cls, text: str) -> Condition:
        """Parses ``text``; raises `InputError` with the expected form."""
        match = _CONDITION.fullmatch(text)
        if match is None or not match["value"]:
            signs = " ".join(OPERATORS)
            message = f"must read like `val_dice > 0.9`, with one of {signs}, but is {shown(text)}"
            raise InputError.single(message, file="--where")
        value = _value(match["value"])
        if match["sign"] not in ("==", "!=") and (isinstance(value, bool | str) or value is None):
            message = f"only numbers can be compared by `{match['sign']}`, not {match['value']}"
            raise InputError.single(message, file="--where")
        if match["key"] == "status" and value is not None:
            value = _status(match["value"])
        return cls(match["key"], match["sign"], value)

    def holds(self, cell: object) -> bool:
        """Whether a cell fulfils it; an empty cell is neither less nor more than anything."""
        if isinstance(cell, tuple) and isinstance(self.value, str):  # [16, 32] or [16,32]
            same = str(as_text(cell)).replace(" ", "") == self.value.replace(" ", "")
            return same if self.sign == "==" else not same
        alike = isinstance(cell, str) == isinstance(self.value, str) and type(cell) is not tuple
        if cell is None or self.value is None or not alike:
            same = cell is None and self.value is None
            return {"==": same, "!=": not same}.get(self.sign, False)
        return OPERATORS[self.sign](cell, self.value)


def where(table: RankedTable, conditions: Sequence[Condition]) -> RankedTable:
    """The rows that fulfil all conditions; `InputError` where a column is unknown."""
    for condition in conditions:
        require_column(table, condition.key, "--where")
        cells = table[condition.key]
        table = table.at(n for n, cell in enumerate(cells) if condition.holds(cell))
    return table


def sorted_by(table: RankedTable, keys: Sequence[str], objective: Objective = DICE) -> RankedTable:
    """The rows sorted by the first key, of equals by the next; a stable sort.

    Diverged and failed trials stay last whatever the keys are, after those with an empty cell.

    Args:
        table: a ranking.
        keys: names of columns, with ``:asc`` or ``:desc`` to override a column's own direction.
        objective: what the trials are ranked by.
    """
    for text in reversed(keys):
        key, rises = direction(text, objective)
        require_column(table, key, "--sort")
        cells = table[key]
        filled = [n for n, cell in enumerate(cells) if cell is not None]
        is_mixed = len({isinstance(cells[n], str) for n in filled}) > 1
        comparable = [str(cell) for cell in cells] if is_mixed else cells
        filled.sort(key=lambda n: comparable[n], reverse=rises)  # stable
        empty = [n for n, cell in enumerate(cells) if cell is None]
        table = table.at([*filled, *empty])
    broken = {status.value for status in Status if not status.has_result}
    return table.at(sorted(range(len(table)), key=lambda n: table["status"][n] in broken))


def direction(key: str, objective: Objective = DICE) -> tuple[str, bool]:
    """Column of a sort key, and whether the largest comes first."""
    name, _, order = key.rpartition(":")
    if order in ("asc", "desc"):
        return name, order == "desc"
    metric = re.escape(objective.metric)
    for one in objective.others:
        if key == one.metric:
            return key, one.mode == "max"
    own = rf"(last_|mean_)?{metric}|{metric}_(low|high|at_enough)|delta_.*"
    if re.fullmatch(own, key, re.DOTALL):
        return key, objective.mode == "max"
    return key, RISING.fullmatch(without_class(key)) is not None


def goals_of(table: RankedTable, objective: Objective = DICE) -> dict[str, bool]:
    """The goals that were measured, the objective before `PARETO`, and whether more is better.

    Of a sweep with several objectives, these are its goals.
    """
    goals = {one.metric: one.mode == "max" for one in objective.each}
    if not objective.others:
        goals |= {name: more for name, more in PARETO.items() if name not in goals}
    return {name: more for name, more in goals.items() if table.known(name)}


def pareto(table: RankedTable, objective: Objective = DICE) -> RankedTable:
    """The rows that no other beats in Dice, HD95 and epochs at once, nor in the objective.

    One row beats another if it is at least as good in all goals and better in one. Where HD95 was
    not measured, it does not count. Rows that lack a goal are left out, and so are pruned trials:
    they trained few epochs because they were stopped, not because few were enough. Of a sweep with
    several objectives: its first front.
    """
    if objective.others:
        return front(table)
    table = unpruned(table)
    goals = goals_of(table, objective)
    cells = zip(*(table[name] for name in goals), strict=True)
    points = {n: point for n, point in enumerate(cells) if None not in point}
    signs = [1.0 if more else -1.0 for more in goals.values()]
    scores = [tuple(map(operator.mul, point, signs)) for point in points.values()]
    return table.at(compress(points, unbeaten(scores)))


def unpruned(table: RankedTable) -> RankedTable:
    """The rows of trials that no scheduler stopped."""
    return table.at(n for n, status in enumerate(table["status"]) if status != Status.PRUNED.value)


def only(table: RankedTable, columns: Sequence[str]) -> RankedTable:
    """The named columns, in that order."""
    for name in columns:
        require_column(table, name, "--columns")
    return table.only(columns)


def require_column(table: RankedTable, name: str, option: str) -> None:
    """Raises `InputError`, with the near miss, where there is no such column."""
    names = list(table)
    if name not in names:
        # A searched parameter may be named as in a table: without its group.
        whole = next((full for full in names if full.endswith(f".{name}")), None)
        hint = did_you_mean(whole or near_miss(name, names))
        message = f"{quoted(name)} is not a column of this ranking{hint}"
        if not hint:
            message += f"; there are {', '.join(names)}"
        raise InputError.single(message, file=option)


def _value(text: str) -> float | bool | str | None:
    if text[:1] == text[-1:] and text[:1] in ("'", '"') and len(text) > 1:
        return text[1:-1]
    if text in ("true", "false", NOTHING):
        return {"true": True, "false": False, NOTHING: None}[text]
    try:
        return float(text)
    except ValueError:
        return text


def _status(text: str) -> str:
    """A status as in a ranking; ``early-stopped`` is accepted for ``early_stopped``."""
    status = text.strip("'\"").replace("-", "_")
    names = [one.value for one in Status if one.is_final]
    if status not in names:
        hint = did_you_mean(near_miss(status, names))
        message = f"{quoted(text)} is not a status of a trial{hint or f'; it is {one_of(names)}'}"
        raise InputError.single(message, file="--where")
    return status
