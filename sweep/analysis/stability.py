"""Where trials diverge: which maps are drawn, and what they say."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.analysis.exhibit import Exhibit
from sweep.analysis.importance import importance_for_divergence
from sweep.analysis.rates import rate_of
from sweep.analysis.results import Results
from sweep.analysis.stability_figure import Map, cell_of, cells_of, draw_maps
from sweep.analysis.words import percent
from sweep.record import TrialRecord
from sweep.spec.extents import WEIGHTS

EPSILON = "loss.sqrt_epsilon"
WARMUP = "loss.warmup_epochs"
FIRST_COLUMNS = (WARMUP, *WEIGHTS)
MOST_MAPS = 4
THIRDS = 3


def stability_map(results: Results) -> Exhibit:
    """Probability of divergence over ε, warm-up and weights, with the trials that it rests on."""
    at_risk = results.at_risk
    pairs = _pairs(results)
    maps = [*pairs, *_thirds(results, pairs)]
    geometry = results.has_geometry
    return Exhibit(
        name="stability",
        title="Where trials diverge",
        finding=_finding(results, at_risk, pairs),
        reading=(
            "Each field tells how many of its trials diverged; its shade is the posterior mean "
            "(k + ½)/(n + 1) of the probability under Jeffreys' prior, its 90 % interval appears "
            "under the pointer. A field without a number has no trial: nothing is known there, "
            "and nothing is smoothed into it. "
            + ("Trials that were pruned before their geometric loss acted, f" if geometry else "F")
            + "ailed ones and presets from outside the space are left out. The other parameters "
            "vary within a field"
            + (
                "; the last row takes the map of the weight that matters most apart by the "
                "length of the warm-up."
                if len(maps) > len(pairs)
                else "."
            )
        ),
        figure=draw_maps(results, at_risk, maps) if at_risk and pairs else None,
    )


def _pairs(results: Results) -> list[Map]:
    """The maps over two parameters: ε against warm-up and weights where these vary."""
    order = _by_importance(results)
    if len(order) < 2:
        return [Map(name, name) for name in order]
    row = EPSILON if EPSILON in order else order[0]
    columns = [name for name in FIRST_COLUMNS if name in order and name != row]
    columns = columns or [name for name in order if name != row][:2]
    return [Map(column, row) for column in columns[:MOST_MAPS]]


def _thirds(results: Results, pairs: Sequence[Map]) -> list[Map]:
    """ε against the weight that matters most, for short, middle and long warm-ups."""
    weights = [name for name in _by_importance(results) if name in WEIGHTS]
    drawn = {name for pair in pairs for name in (pair.across, pair.up)}
    if not weights or not {EPSILON, WARMUP} <= drawn:
        return []
    warmups = results.axes[WARMUP].cells(THIRDS)
    count = len(warmups.labels)
    if not 1 < count <= THIRDS:
        return []
    return [Map(weights[0], EPSILON, (warmups, cell)) for cell in range(count)]


def _by_importance(results: Results) -> list[str]:
    """Varied parameters, the more important for divergence first."""
    found = importance_for_divergence(results)
    order = list(found.shares) if found else []
    return order + [name for name in results.varied if name not in order]


def _finding(results: Results, at_risk: Sequence[TrialRecord], pairs: Sequence[Map]) -> str:
    if not at_risk:
        at_work = " with its geometric loss at work" if results.has_geometry else ""
        return f"No trial has ended{at_work}: nothing to tell yet."
    overall = rate_of(at_risk)
    told = f"{overall.diverged} of {overall.trials} trials at risk diverged."
    if not pairs or overall.diverged in (0, overall.trials):
        low, high = overall.interval
        return f"{told} 90 % interval of the probability: {percent(low)} to {percent(high)}."
    name = pairs[0].up
    cells = cells_of(results, name, len(at_risk))
    rates = {
        label: rate_of([r for r in at_risk if cell_of(cells, r) == cell])
        for cell, label in enumerate(cells.labels)
    }
    seen = {label: rate for label, rate in rates.items() if rate.trials}
    worst = max(seen, key=lambda label: seen[label].mean)
    best = min(seen, key=lambda label: seen[label].mean)
    return (
        f"{told} Most with {name} = {worst}: {seen[worst].words}; fewest with {best}:"
        f" {seen[best].words}. In brackets 90 % intervals of the probability."
    )
