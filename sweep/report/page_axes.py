"""What the reader's own figure begins with: a map of the settings that matter most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.parameters.importance import by_importance, importance_for_dice, order_words


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstAxes:
    """What the figure shows before anybody chooses, and a column that the ranking does not have.

    Args:
        names: the first two settings of `by_importance`; empty where fewer than two vary, or
            no trial is compared.
        order: what that order rests on, in words.
        title: of the comparable value.
        about: a sentence that explains it.
        values: the `Results.comparable_values` by trial; empty where they are those of the ranking.
        expected: trials of which it is expected, not measured.
    """

    names: tuple[str, ...]
    order: str
    title: str
    about: str
    values: dict[str, float]
    expected: tuple[str, ...]


def first_axes(results: Results) -> FirstAxes:
    """Those of a sweep."""
    names = tuple(by_importance(results)[:2]) if results.compared else ()
    values = {one: float(f"{value:.7g}") for one, value in results.comparable_values.items()}
    ranked: dict[str, Any] = {one.trial_id: one.value for one in results.ranked_inside}
    is_told = any(abs(value - ranked[one]) > 1e-6 for one, value in values.items())
    return FirstAxes(
        names=names if len(names) == 2 else (),
        order=order_words(importance_for_dice(results)),
        title=f"comparable {results.objective.short}",
        about=results.compared_words,
        values=values if is_told or len(values) < len(ranked) else {},
        expected=tuple(results.expected),
    )
