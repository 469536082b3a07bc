"""Comparison and scheduler together, on sweeps in which the loss damages many trials."""

from __future__ import annotations

import numpy as np

from sweep.search.schedulers.comparison import ByProjectedGain
from sweep.search.schedulers.decision import Decision
from sweep.search.schedulers.halving import Halving
from sweep.vocabulary.record import Status

EPOCHS, TRIALS, NOISE = 50, 20, 0.004


def drawn(seed: int) -> tuple[list[float], list[tuple[int, list[float]]]]:
    """A baseline, and the switch-on and validation Dice of each trial.

    Half of the trials differ from the baseline by up to 0.01, the others lose something in every
    epoch, up to a bound between 0.05 and 0.5.
    """
    draw = np.random.default_rng(seed)
    clean = 0.9 * (1 - np.exp(-np.arange(1, EPOCHS + 1) / 7))
    baseline, trials = clean + draw.normal(0, NOISE, EPOCHS), []
    for number in range(TRIALS):
        switch_on = int(draw.integers(0, EPOCHS // 2))
        left = EPOCHS - switch_on
        effect = np.full(left, draw.uniform(-0.01, 0.01))
        if number % 2:
            effect = -draw.uniform(0, draw.uniform(0.05, 0.5), left)
        own = clean[switch_on:] + effect + draw.normal(0, NOISE, left)
        trials.append((switch_on, [*baseline[:switch_on].tolist(), *own.tolist()]))
    return baseline.tolist(), trials


def lost(seed: int) -> float:
    """By how much the best trial that trained to its end is behind the best of all."""
    baseline, trials = drawn(seed)
    comparison, scheduler = ByProjectedGain(), Halving(rungs=[2, 4, 8], reduction_factor=3)
    comparison.start("baseline", EPOCHS, "baseline")
    for epochs, dice in enumerate(baseline, start=1):
        comparison.read("baseline", epochs, dice)
    names = {f"t{number:04d}": trial for number, trial in enumerate(trials)}
    reached = dict.fromkeys(names, 0)
    for name, (switch_on, _) in names.items():
        comparison.start(name, switch_on, None)
        scheduler.start(name)
    going, best = list(names), -1.0
    while going:
        name = going.pop()
        while (epochs := reached[name]) < EPOCHS:
            reached[name] += 1
            reading = comparison.read(name, epochs + 1, names[name][1][epochs])
            if reading.resource >= 1 and scheduler.report(*reading) is Decision.PAUSE:
                break
        else:
            scheduler.end(name, Status.COMPLETED)
            best = max(best, *names[name][1])
        going += [other for other, decided in scheduler.decided() if decided is Decision.CONTINUE]
    return max(max(dice) for _, dice in trials) - best


def test_best_trial_is_found_among_many_that_their_loss_damages() -> None:
    """In 35 of these 40 sweeps; by the gain plus the deviation of the differences in none."""
    assert sum(lost(seed) <= 0.005 for seed in range(40)) >= 32
