"""Searched settings that no trial is trained for, since one curve answers for all their values.

Settings with the mark `EndsRun`, such as patience, decide where a run ends, but not what it trains
before. So the run with the most patient values contains the runs with all others as its beginnings.
`sweep.vocabulary.early_stopping` finds where each of them ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product

from sweep.spec.space.distributions import (
    Distribution,
    Interval,
    Listed,
    QRandInt,
    QUniform,
    WholeNumbers,
)
from sweep.spec.tree.setting_tree import run_ending_keys
from sweep.vocabulary.parameter_values import is_number
from sweep.vocabulary.record import ParameterValue

Space = dict[str, Distribution]
"""Distribution of each searched setting, by its dotted name."""

MOST_WHOLE = 12
"""Most candidates of a range of whole numbers. In a longer range they are spread evenly."""
MOST_FRACTIONS = 5
"""Candidates of a continuous range, or of one in steps."""


def split(space: Space, *, replay: bool) -> tuple[Space, Space]:
    """The part of a space that is drawn, and the part replayed, empty without ``replay``."""
    replayed = {key: kind for key, kind in space.items() if replay and key in run_ending_keys()}
    return {key: kind for key, kind in space.items() if key not in replayed}, replayed


def most_patient(replayed: Mapping[str, Distribution]) -> dict[str, ParameterValue]:
    """Values with which no run ends earlier than with any candidate.

    This is plain for the largest patience, or null, and for a count from the end of the ramp-up.
    For ``min_delta`` it is 0, not the smallest candidate. A Dice that exceeds the last improvement
    by more than some D ≥ 0 exceeds every Dice so far, so it is an improvement with 0 too. Two
    values above 0 have no such order. With the smaller one, a rise can come in two steps of which
    the second is too small, while with the larger one it counts at once, later.
    """
    return {key: MOST_PATIENT[key](candidate_values(kind)) for key, kind in replayed.items()}


def candidates(replayed: Mapping[str, Distribution]) -> list[dict[str, ParameterValue]]:
    """Every combination of the candidates by dotted name. The last varies first."""
    values = map(candidate_values, replayed.values())
    return [dict(zip(replayed, combination, strict=True)) for combination in product(*values)]


def candidate_values(distribution: Distribution) -> Sequence[ParameterValue]:
    """The candidates of one setting: ascending numbers, then listed values that are not numbers.

    All values of a list or of a short range of whole numbers, else some spread over the range.
    """
    if isinstance(distribution, Listed):
        numbers = [value for value in distribution.values if is_number(value)]
        others = [value for value in distribution.values if not is_number(value)]
        return [*sorted(numbers), *others]
    assert isinstance(distribution, Interval)
    low, high = distribution.extent
    if isinstance(distribution, WholeNumbers):
        if distribution.size <= MOST_WHOLE:
            return distribution.values
        if isinstance(distribution, QRandInt):
            places = _spread(0, distribution.size - 1, MOST_WHOLE, False)
            return [distribution.values[round(place)] for place in places]
        points = _spread(low, high, MOST_WHOLE, distribution.is_log)
        return list(dict.fromkeys(map(round, points)))
    if isinstance(distribution, QUniform):
        points = _spread(low, high, min(MOST_FRACTIONS, distribution.size), False)
        return list(dict.fromkeys(map(distribution.nearest, points)))
    points = _spread(low, high, MOST_FRACTIONS, distribution.is_log)
    rounded = (float(f"{value:.3g}") for value in points[1:-1])
    return list(dict.fromkeys([low, *(min(max(one, low), high) for one in rounded), high]))


def _spread(low: float, high: float, count: int, log: bool) -> list[float]:
    """``count`` numbers from low to high, evenly, or evenly over the orders of magnitude."""
    shares = [n / (count - 1) for n in range(count)]
    if log:
        return [low * (high / low) ** share for share in shares]
    return [low * (1 - share) + high * share for share in shares]


def _largest_patience(values: Sequence[ParameterValue]) -> ParameterValue:
    numbers = [value for value in values if is_number(value)]
    return None if None in values or not numbers else numbers[-1]


MOST_PATIENT: Mapping[str, Callable[[Sequence[ParameterValue]], ParameterValue]] = {
    "early_stopping.patience": _largest_patience,
    "early_stopping.min_delta": lambda values: 0.0,
    "early_stopping.counts_from": lambda values: (
        "rampup_end" if "rampup_end" in values else "start"
    ),
}
"""For each setting that ends runs, the choice among candidates that ends them last."""
