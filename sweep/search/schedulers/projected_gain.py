"""The gain over the baseline that a trial promises, from the few epochs since its loss acts.

When they are first judged, most trials are below the baseline: some are damaged by their loss for
good, some have dipped and recover, and some have not begun to gain. ``benchmarks/clocks.py``
measures how well the score here separates them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

MOST_POTENTIAL = 3
"""Largest potential of a trial, in standard deviations of the baseline's noise."""
FEWEST_FOR_NOISE = 6


def projected_gain(values: Values, control: Values, full_from: int, noise: float) -> float:
    """The level that a trial has reached beyond the baseline, plus its potential.

    - *Level*: two parts the gain, best so far minus the baseline's best so far; one part the mean
      difference in the later half of the epochs since ``full_from``, where no difference counts as
      worse than ``-noise``. A best cannot fall, so the gain alone would not show damage. How deep
      a trial has fallen says little about how far it will rise, so depth does not count.
    - *Potential*: the standard deviation of the differences, because a trial that changes nothing
      will never gain, plus the rise of its trend in half as many epochs as were seen: the slope of
      the differences less its standard error, if that is positive. Damaged trials scatter and
      recover most, so the potential is at most 3 ``noise``.

    Multiplying all values by a factor, or adding a constant to them, changes no order.

    Args:
        values: of the trial in each epoch, from the first on; higher is better; NaN if nothing was
            measured.
        control: of the baseline in the same epochs.
        full_from: number of epochs before the geometric loss acts in full, fewer than there are.
        noise: standard deviation of the baseline's values from epoch to epoch; see `noise_of`.

    Returns:
        the score; only the trial's best if the baseline has no value, and NaN if the trial has
        none.
    """
    best = _best(values)
    if math.isnan(_best(control)):
        return best
    gain = best - _best(control)
    since = values[full_from:] - control[full_from:]
    known = since[~np.isnan(since)]
    if math.isnan(best) or not len(known):
        return gain
    late = since[len(since) // 2 :]
    late = late[~np.isnan(late)]
    recent = float(np.maximum(late if len(late) else known, -noise).mean())
    potential = float(known.std()) + len(since) / 2 * _rise(since)
    return (2 * gain + recent) / 3 + min(potential, MOST_POTENTIAL * noise)


def noise_of(control: Values) -> float:
    """Standard deviation of the baseline's values from epoch to epoch, without its trend.

    1.4826 times the median distance of the steps from their median, over √2, because a step has the
    noise of two epochs. Only the later half of the epochs counts, at least 6: early ones rise too
    steeply.

    Args:
        control: of the baseline in each epoch so far; NaN if nothing was measured.

    Source: Rousseeuw and Croux, "Alternatives to the Median Absolute Deviation", JASA 1993.
    """
    known = control[~np.isnan(control)]
    steps = np.diff(known[-max(FEWEST_FOR_NOISE, len(known) // 2) :])
    if len(steps) < 2:
        return 0.0
    return float(1.4826 * np.median(np.abs(steps - np.median(steps))) / math.sqrt(2))


def _rise(since: Values) -> float:
    """Slope of the least-squares line less its standard error; 0 if that is not positive."""
    epochs = np.flatnonzero(~np.isnan(since))
    if len(epochs) < 3:
        return 0.0
    times, values = epochs - epochs.mean(), since[epochs] - since[epochs].mean()
    squares = times @ times
    slope = times @ values / squares
    rest = values - slope * times
    error = math.sqrt(rest @ rest / (len(epochs) - 2) / squares)
    return max(0.0, float(slope) - error)


def _best(values: Values) -> float:
    """The highest value; NaN if there is none."""
    known = values[~np.isnan(values)]
    return float(known.max()) if len(known) else math.nan
