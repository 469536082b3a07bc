"""What a prediction scores that has not looked at the image: where learning begins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def trivial_dice(
    shares: Floats,
    pooled: Floats,
    everywhere: Sequence[Sequence[float]] | None = None,
    foreground: float | None = None,
) -> float | None:
    """The highest mean Dice of the answers that are the same for every pixel of every case.

    These answers are: one foreground class everywhere, each in turn; and the foreground classes at
    random, in proportion to their pixels, which is the best of all random ones. With a share ``p``
    of a case's pixels in a class and a share ``q`` of the answer, Dice is ``2 p q / (p + q)`` (the
    expected one, where the answer is random). Background everywhere scores 0.

    Args:
        shares: p of each case and foreground class, ``[cases, classes]``.
        pooled: p of each class over all cases together, ``[classes]``.
        everywhere: of regions, which share pixels: q of each class for each label that can be
            predicted everywhere, ``[labels, classes]``.
        foreground: of regions the share of pixels in any of them, over all cases together.
    Returns:
        Mean over cases, then classes, as the validation takes it (a class that is in neither
        reference nor answer is left out); None where no case has a foreground.
    """
    foreground = float(pooled.sum()) if foreground is None else foreground
    if foreground == 0:
        return None
    constant = np.eye(len(pooled)) if everywhere is None else np.array(everywhere, np.float64)
    answers = [*constant, pooled / foreground]
    return max(_mean(shares, answer) for answer in answers)


def _mean(shares: Floats, answer: Floats) -> float:
    total = shares + answer
    dice = np.divide(2 * shares * answer, total, out=np.full_like(total, np.nan), where=total > 0)
    has_value = ~np.isnan(dice).all(axis=0)
    return float(np.mean(np.nanmean(dice[:, has_value], axis=0)))
