"""Every trial of a space, trained to its end in one process: curves to try schedulers on.

    python benchmarks/record.py benchmarks/curves/one_circle_30.yaml

The configurations are those that the sweep itself would train, baseline first, and so is every
number: a trial is a function of its settings. Trials start from the shared warm-up (`Trunk`), one
thread each. The table (`tables.py`) is written beside the space, anew after each trial, so that a
recording which is cut off leaves the trials that it came to.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from tables import Row, write_table

from sweep.search.searchers.searcher import make_searcher
from sweep.spec.load import load_sweep
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.space.presets import PRESETS
from sweep.store.layout import TrialPaths
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.trial.kinds.kind_table import make_ready
from sweep.trial.warmup_snapshots import Trunk
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import ParameterValue, Status


def parameters(spec: SweepSpec) -> Iterator[dict[str, ParameterValue]]:
    """Of each trial, in its order."""
    for preset in spec.presets:
        yield dict(PRESETS[preset].settings)
    searcher = make_searcher(spec, first=len(spec.presets))
    for number in range(len(spec.presets), spec.trials):
        if (drawn := searcher.ask(number)) is not None:
            yield spec.to_train(drawn)


def curve(settings: TrialSettings, folder: Path, trunks: Path) -> Row:
    """One trial, without early stopping."""
    data = make_ready(settings)
    paths, told = TrialPaths(folder), list[EpochMetrics]()
    outcome = fit(
        settings,
        report=told.append,
        checkpoint=Checkpoints(folder),
        data=data,
        trunk=Trunk.of(settings, paths, trunks, range(1, settings.trainer.epochs)),
    )
    return Row(
        settings.loss.ramp.epochs_not_full(settings.trainer.epochs),
        [e.val_dice for e in told],
        outcome.status is Status.DIVERGED,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("space", type=Path)
    parser.add_argument("--to", type=Path, help="the table; default: beside the space")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    spec = load_sweep(arguments.space, ["early_stopping.patience=null", *arguments.overrides])
    target, rows = arguments.to or arguments.space.with_suffix(".json"), list[Row]()
    with tempfile.TemporaryDirectory(prefix="curves-") as scratch:
        for number, searched in enumerate(parameters(spec)):
            folder = Path(scratch) / f"t{number:04d}"
            folder.mkdir()
            rows.append(curve(spec.trial(searched), folder, Path(scratch) / "trunks"))
            shutil.rmtree(folder)
            write_table(target, spec.trainer.epochs, rows)
            print(f"trial {number} of {spec.trials}", file=sys.stderr)


if __name__ == "__main__":
    main()
