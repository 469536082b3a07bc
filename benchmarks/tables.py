"""Recorded curves of whole sweeps, to try schedulers on without training anything again.

`record.py` trains and writes them; `curves/peers_N.json` are those of `peers.yaml` with `seed=N`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

CURVES = Path(__file__).with_name("curves")


@dataclass(frozen=True, slots=True)
class Curve:
    """One trial, trained to its end.

    Args:
        warmup: epochs before its switch-on.
        dice: validation Dice of each epoch; shorter where it diverged.
        diverged: whether it did, in the epoch after the last.
    """

    warmup: int
    dice: tuple[float, ...]
    diverged: bool

    @property
    def best(self) -> float:
        """What a ranking sees: nothing of a trial that diverged."""
        return 0.0 if self.diverged else max(self.dice)


@dataclass(frozen=True, slots=True)
class Table:
    """All trials of one sweep.

    Args:
        epochs: of a whole trial.
        baseline: the trial without geometric loss, which is everybody's trunk.
        trials: the others.
    """

    epochs: int
    baseline: Curve
    trials: tuple[Curve, ...]

    @classmethod
    def read(cls, path: Path) -> Table:
        values = json.loads(path.read_text(encoding="utf-8"))
        baseline, *trials = (
            Curve(row["warmup"], tuple(row["dice"]), row["diverged"]) for row in values["trials"]
        )
        return cls(values["epochs"], baseline, tuple(trials))


def tables(group: str = "") -> dict[str, Table]:
    """Those that are kept with the benchmarks, by name.

    Args:
        group: folder of them; empty: the twelve that the rules were first chosen on.
    """
    return {path.stem: Table.read(path) for path in sorted((CURVES / group).glob("*.json"))}


@dataclass(frozen=True, slots=True)
class Row:
    """A trial as it is written; see `Curve`. None: an epoch in which nothing was measured."""

    warmup: int
    dice: list[float | None]
    diverged: bool


def write_table(target: Path, epochs: int, rows: list[Row]) -> None:
    """Write the trials of a sweep, the baseline first, five decimals each."""
    lines = ",\n".join(
        json.dumps(asdict(row) | {"dice": [round(dice or 0.0, 5) for dice in row.dice]})
        for row in rows
    )
    target.write_text(f'{{"epochs": {epochs}, "trials": [\n{lines}\n]}}\n', encoding="utf-8")
