"""Recorded curves of whole sweeps, to try schedulers on without training anything again.

python -m sweep.run benchmarks/curves/one_circle.yaml --results /tmp/curves
python benchmarks/tables.py /tmp/curves/one_circle benchmarks/curves/one_circle.json

`curves/peers_N.json` are sweeps of `peers.yaml` with `--set scheduler=none --set seed=N`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from sweep.record import Status, TrialRecord
from sweep.spec.load import load_sweep
from sweep.store.read import read_records

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


def tables() -> dict[str, Table]:
    """Those that are kept with the benchmarks, by name."""
    return {path.stem: Table.read(path) for path in sorted(CURVES.glob("*.json"))}


def _row(record: TrialRecord) -> dict[str, object]:
    warmup = record.parameters["loss.warmup_epochs"]
    return {
        "warmup": warmup,
        "dice": [round(epoch.val_dice or 0.0, 5) for epoch in record.history],
        "diverged": record.status is Status.DIVERGED,
    }


def main(results: Path, target: Path) -> None:
    records = read_records(results)
    rows = ",\n".join(json.dumps(_row(record)) for record in records)
    epochs = load_sweep(results / "sweep.yaml").trainer.epochs
    target.write_text(f'{{"epochs": {epochs}, "trials": [\n{rows}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
