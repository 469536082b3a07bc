"""Searched settings that no trial is trained for: one curve answers for each of their values.

Patience and its like (the mark `EndsRun`) decide where a run ends, and nothing of what it trains
before. So a run under the most patient of them holds the runs under all others as its beginnings,
and `sweep.vocabulary.early_stopping` says where each would have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product

from sweep.spec.settings.setting_tree import run_ending_keys
from sweep.spec.space.distributions import (
    Distribution,
    Listed,
    LogRandInt,
    LogUniform,
    QUniform,
    RandInt,
    is_number,
)
from sweep.vocabulary.record import ParameterValue

Space = dict[str, Distribution]
"""Distribution of each searched setting, by its dotted name."""

MOST_WHOLE = 12
"""Candidates of a range of whole numbers; of a longer one so many, spread over it."""
MOST_FRACTIONS = 5
"""Candidates of a continuous range, or of one in steps."""


def split(space: Space, *, replay: bool) -> tuple[Space, Space]:
    """The part of a space that is drawn and the one that is replayed: none where it is off."""
    replayed = {key for key in space if replay and key in run_ending_keys()}
    drawn = {key: kind for key, kind in space.items() if key not in replayed}
    return drawn, {key: space[key] for key in space if key in replayed}


def most_patient(replayed: Mapping[str, Distribution]) -> dict[str, ParameterValue]:
    """Values under which no run ends earlier than under any candidate.

    The largest patience, or none at all, and a count from the end of the ramp-up need no proof. Of
    ``min_delta`` it is 0, and not the smallest candidate: whatever exceeds the last improvement by
    more than some D ≥ 0 exceeds every Dice so far, so under 0 it is an improvement too. Between two
    values above 0 there is no such order: the smaller one may take a rise in two steps of which
    the second is too small, where the larger one takes it in one, later.
    """
    return {key: MOST_PATIENT[key](candidate_values(kind)) for key, kind in replayed.items()}


def candidates(replayed: Mapping[str, Distribution]) -> list[dict[str, ParameterValue]]:
    """Every combination of the candidates of each setting, by dotted name; the last varies first.

    All values of a list and of a short range of whole numbers, else some that are spread over it.
    """
    values = map(candidate_values, replayed.values())
    return [dict(zip(replayed, combination, strict=True)) for combination in product(*values)]


def candidate_values(distribution: Distribution) -> Sequence[ParameterValue]:
    """The candidates of one setting: numbers ascending, then what is listed and is none."""
    if isinstance(distribution, Listed):
        numbers = [value for value in distribution.values if is_number(value)]
        others = [value for value in distribution.values if not is_number(value)]
        return [*sorted(numbers), *others]
    low, high = distribution.extent or (0, 0)
    if isinstance(distribution, RandInt):
        if high - low < MOST_WHOLE:
            return range(int(low), int(high) + 1)
        log = isinstance(distribution, LogRandInt)
        return list(dict.fromkeys(round(value) for value in _spread(low, high, MOST_WHOLE, log)))
    if isinstance(distribution, QUniform):
        points = _spread(low, high, min(MOST_FRACTIONS, distribution.size), False)
        return list(dict.fromkeys(map(distribution.nearest, points)))
    points = _spread(low, high, MOST_FRACTIONS, isinstance(distribution, LogUniform))
    return [low, *(float(f"{value:.3g}") for value in points[1:-1]), high]


def _spread(low: float, high: float, count: int, log: bool) -> list[float]:
    """So many numbers from low to high, evenly, or evenly over the orders of magnitude."""
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
"""For each setting that ends runs: of some candidates, the value that ends them last."""
