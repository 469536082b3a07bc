"""Rules for naming a winner that are not taken, to compare with: see `confirmation.py`."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from sweep.analysis.confirm.paired_statistics import holm, paired_p

Array = NDArray[np.float64]


def by_blocks(values: Array) -> bool:
    """The rule before: every block counts, Holm over all pairs."""
    table = values.reshape(-1, values.shape[-1])
    pairs = list(combinations(range(table.shape[1]), 2))
    rows = np.array([table[:, i] - table[:, j] for i, j in pairs])
    apart = dict(zip(pairs, holm(list(paired_p(rows))), strict=True))
    first = int(table.mean(axis=0).argmax())
    return all(p < 0.05 for pair, p in apart.items() if first in pair)


def pooled(values: Array) -> bool:
    """What was not taken: one variance for all finalists, which leaves more degrees of freedom."""
    table = values.mean(axis=0) if values.shape[1] > 1 else values[:, 0]
    n, count = table.shape
    residual = table - table.mean(axis=0)
    residual -= residual.mean(axis=1, keepdims=True)
    freedom = (n - 1) * (count - 1)
    second, first = np.sort(table.mean(axis=0))[-2:]
    error = math.sqrt(2 * (residual**2).sum() / freedom / n)
    return bool(first - second > stdtrit(freedom, 0.975) * error)
