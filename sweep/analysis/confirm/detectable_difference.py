"""What difference a confirmation can show, reported before it trains anything."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sweep.analysis.confirm.paired_comparison import LEAST_UNITS, LEVEL
from sweep.spec.search.replicate_plan import confirmed_folds, most_finalists
from sweep.spec.words.phrases import counted

if TYPE_CHECKING:
    from sweep.spec.search.sweep_spec import SweepSpec

POWER = 0.8
"""Share of confirmations that name a leader which is ahead by the reported difference."""
EXAMPLE = 0.01
"""Deviation from seed to seed, in Dice, of the example in the sentence."""
DRAWS, BATCH = 8_000, 1_000


def detectable(units: int, others: int) -> float:
    """How far the best must lie above each of the others to be named in `POWER` of all cases.

    Simulated with normal noise and a fixed seed, to within about 1 %. All others are taken to be
    equal, which is the hardest case.

    Args:
        units: seeds, or folds where there are several.
        others: number of finalists besides the best.

    Returns:
        In standard deviations of one configuration's units; infinite below `LEAST_UNITS`, and where
        there are no others.
    """
    if units < LEAST_UNITS or others < 1:
        return math.inf
    import numpy as np
    from scipy.special import stdtrit

    rng = np.random.default_rng(0)
    critical = float(stdtrit(units - 1, 1 - LEVEL / 2)) / math.sqrt(units)
    needed = []
    for _ in range(DRAWS // BATCH):
        noise = rng.standard_normal((BATCH, units, others + 1))
        differences = noise[..., :1] - noise[..., 1:]
        lead = critical * differences.std(axis=1, ddof=1) - differences.mean(axis=1)
        needed.append(lead.max(axis=1))
    return float(np.quantile(np.concatenate(needed), POWER))


def can_show(spec: SweepSpec) -> str:
    """A sentence on what the confirmation of a sweep can show; empty for a sweep without one."""
    if spec.confirm is None:
        return ""
    seeds, folds = spec.confirm.seeds, len(confirmed_folds(spec))
    others = most_finalists(spec) - 1
    if others < 1:
        return "confirm: with a single finalist there is nothing to compare."
    units = seeds if folds == 1 else folds
    once = "of several folds each counts once, whatever the number of seeds"
    if units < LEAST_UNITS:
        what = "seeds" if folds == 1 else "folds"
        none = f"confirm: {units} {what} name no winner, however far ahead one is:"
        if folds == 1:
            return f"{none} it takes {LEAST_UNITS}."
        return (
            f"{none} {once}, and it takes {LEAST_UNITS}. `folds: 1` compares seeds instead, and"
            " what is said then holds on that fold."
        )
    far = detectable(units, others)
    best = f"name the best of {others + 1} finalists in {100 * POWER:.0f} % of cases if it lies"
    each = "the other" if others == 1 else f"each of the other {others}"
    if folds == 1:
        return (
            f"confirm: {seeds} seeds on one fold {best} {far:.1f} standard deviations from seed to"
            f" seed above {each} ({far * EXAMPLE:.3f} Dice where runs of one configuration deviate"
            f" by {EXAMPLE:g}). What is said then holds on that fold."
        )
    alike, unlike = far / math.sqrt(seeds), far * math.sqrt(1 + 1 / seeds)
    return (
        f"confirm: {counted(folds, 'fold')} of {counted(seeds, 'seed')} {best} {alike:.1f} standard"
        f" deviations from seed to seed above {each} and all folds agree on that, or {unlike:.1f}"
        f" and it varies from fold to fold as much as runs do from seed to seed ({once})."
    )
