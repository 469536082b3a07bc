"""Whether what is said of the rank stability of trials holds: all equal, and one ahead.

    python benchmarks/rank_stability.py [NOISE …]
    python benchmarks/rank_stability.py --real FOLDER

A trial's score on a case is the case's level plus the trial's advantage plus noise. *normal*: noise
of one deviation. *skewed*: the negative of a lognormal, as Dice near 1 is. *unequal*: every other
trial has noise three times as large.

As distances of outlines are: *distances* are the negative of a lognormal whose median differs from
case to case by a factor of 2 and from trial to trial by 1.6, and *missed structures* are the same,
but one case in 30 of each trial counts with the image's diagonal, 50 times the median.

``--real``: samples of the cases of published trainings (`real_trainings.py`), three architectures
of nnU-Net. *Equal*: architectures are dealt anew in each case, so that none is better; *as they
are*: a first that is not that of all cases is wrong.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from real_trainings import cases_of, read_real

from sweep.analysis.resampling.rank_bootstrap import LEVEL, RankBootstrap

SAMPLES, DRAWS = 2000, 400
NOISES = ("normal", "skewed", "unequal", "distances", "missed structures")
WITH_POWER = ("normal", "distances", "missed structures")
DIAGONAL, MISSED = 50.0, 1 / 30


def sample(
    rng: np.random.Generator, cases: int, trials: int, ahead: float, noise: str
) -> NDArray[np.float64]:
    """Scores ``[cases, trials]``; the first trial is ahead, in deviations of a difference."""
    own = rng.standard_normal((cases, trials))
    if noise in ("distances", "missed structures"):
        scores = -np.exp(0.7 * rng.standard_normal((cases, 1)) + 0.47 * own)
        if noise == "missed structures":
            scores[rng.random(scores.shape) < MISSED] = -DIAGONAL
        if ahead:
            scores[:, 0] += ahead * _deviation(noise) / cases**0.5
        return scores
    if noise == "skewed":
        own = (np.exp(0.5) - np.exp(own)) / 2.16  # mean 0, deviation 1
    if noise == "unequal":
        own[:, 1::2] *= 3
    level = 2 * rng.standard_normal((cases, 1))
    own[:, 0] += ahead * np.sqrt(2 / cases)
    return level + own


@cache
def _deviation(noise: str) -> float:
    """Standard deviation of the difference of two equal trials on a case."""
    pair = sample(np.random.default_rng(0), 1_000_000, 2, 0.0, noise)
    return float((pair[:, 0] - pair[:, 1]).std())


def shares(cases: int, trials: int, ahead: float, noise: str, seed: int) -> tuple[float, ...]:
    """Mean share of draws in which the first stays first; how often that is steady, and wrongly."""
    rng = np.random.default_rng(seed)
    stays, steady, wrong = [], 0, 0
    for number in range(SAMPLES):
        found = RankBootstrap(sample(rng, cases, trials, ahead, noise), DRAWS, number)
        first = int(found.means.argmax())
        share = float(found.frequencies[first, 0])
        stays.append(share)
        steady += share >= LEVEL
        wrong += share >= LEVEL and (ahead == 0 or first != 0)
    return float(np.mean(stays)), steady / SAMPLES, wrong / SAMPLES


def real(folder: Path) -> None:
    print("| dataset | cases | equal: stays first in | steady | as they are: steady | and wrong |")
    print("|---|---|---|---|---|---|")
    for name, architectures in read_real(folder):
        by_case = [cases_of(one) for one in architectures.values()]
        table = np.array([[one[case] for one in by_case] for case in by_case[0]])
        best = int(table.mean(axis=0).argmax())
        for cases in (20, 50):
            rng, rows = np.random.default_rng(1), []
            for number in range(SAMPLES // 2):
                scores = table[rng.integers(len(table), size=cases)]
                equal = RankBootstrap(rng.permuted(scores, axis=1), DRAWS, number)
                found = RankBootstrap(scores, DRAWS, number)
                first = int(found.means.argmax())
                share = equal.frequencies[int(equal.means.argmax()), 0]
                steady = found.frequencies[first, 0] >= LEVEL
                rows.append((share, share >= LEVEL, steady, steady and first != best))
            stays, *told = np.mean(rows, axis=0)
            cells = " | ".join(f"{share:.1%}" for share in told)
            print(f"| {name} | {cases} | {stays:.2f} | {cells} |", flush=True)


def main() -> None:
    if sys.argv[1:2] == ["--real"]:
        real(Path(sys.argv[2]))
        return
    if unknown := set(sys.argv[1:]) - {*NOISES}:
        raise SystemExit(f"there is no noise {unknown}: it is one of {NOISES}")
    print("| noise | cases | trials | ahead | stays first in | steady | steady and wrong |")
    print("|---|---|---|---|---|---|---|")
    for noise in sys.argv[1:] or NOISES:
        for cases in (10, 20, 50):
            for trials in (2, 5, 10):
                for ahead in (0.0, 4.0) if noise in WITH_POWER else (0.0,):
                    stays, steady, wrong = shares(
                        cases, trials, ahead, noise, seed=1000 + cases + trials
                    )
                    print(
                        f"| {noise} | {cases} | {trials} | {ahead:g} | {stays:.2f} |"
                        f" {100 * steady:.1f} % | {100 * wrong:.1f} % |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
