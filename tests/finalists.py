"""Finalists with their replicates, made up, and what they reach on a test split."""

from __future__ import annotations

from dataclasses import replace

from synthetic import trial

from sweep.vocabulary.record import CaseScore, Outcome, Replicate, Status, TrialRecord


def replicate(
    number: int,
    seed: int,
    dice: float,
    outcome: Status | Outcome | None = None,
    epochs: int = 3,
    fold: int = 0,
) -> TrialRecord:
    curve = [0.1] * (epochs - 1) + [dice]
    record = trial(number, outcome or Status.COMPLETED, curve)
    return replace(
        record,
        trial_id=f"t{number:04d}r{seed}" + f"f{fold}" * bool(fold),
        replicate=Replicate(f"t{number:04d}", seed, fold),
    )


def finalist(number: int, dice: float, *replicates: float, epochs: int = 3) -> list[TrialRecord]:
    """A trial of the search and its replicates of seeds 1, 2, …"""
    return [
        trial(number, Status.COMPLETED, [dice]),
        *(replicate(number, n, value, epochs=epochs) for n, value in enumerate(replicates, 1)),
    ]


CLEAR = [*finalist(0, 0.99, 0.80, 0.81, 0.82, 0.80), *finalist(1, 0.95, 0.90, 0.91, 0.92, 0.905)]
TIE = [
    *finalist(0, 0.99, 0.90, 0.91, 0.92, 0.93, epochs=9),
    *finalist(1, 0.95, 0.91, 0.90, 0.93, 0.91),
    *finalist(2, 0.94, 0.70, 0.71, 0.72, 0.73),
]


CASES = ("a", "b", "c", "d", "e", "f")


def scored(record: TrialRecord, *dice: float | None, hd95: float = 2.0) -> TrialRecord:
    scores = [CaseScore(case=c, dice=d, hd95=hd95) for c, d in zip(CASES, dice, strict=False)]
    return replace(record, test=tuple(scores))


def confirmed() -> list[TrialRecord]:
    """Two finalists of two replicates each; the second is better on every test case."""
    first, *own = finalist(0, 0.95, 0.92, 0.93)
    second, *others = finalist(1, 0.94, 0.90, 0.91)
    dice = [[0.8, 0.7, 0.6, 0.5, 0.4, 0.3], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]]
    return [
        scored(first, *[0.0] * 6),  # of the search: it does not count beside replicates
        *(scored(run, *values) for run, values in zip(own, dice, strict=True)),
        replace(second, preset="baseline"),
        *(scored(run, *[0.9, 0.8, 0.72, 0.61, 0.53, 0.44]) for run in others),
    ]
