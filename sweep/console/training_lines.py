"""One training on a terminal: a line an epoch, and its warnings."""

from __future__ import annotations

import typer

from sweep.console.console_words import print_warnings
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Observer


class TrainingLines(Observer):
    """Prints the epochs of `sweep.api.train_one`."""

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        typer.echo(_line(metrics))
        print_warnings(metrics.warnings)


def _line(metrics: EpochMetrics) -> str:
    dice = "none" if metrics.val_dice is None else f"{metrics.val_dice:.4f}"
    loss = "none" if metrics.train_loss is None else f"{metrics.train_loss:.4f}"
    terms = "  ".join(f"{name} {value:.4f}" for name, value in metrics.terms.items())
    skipped = (
        f"  {metrics.skipped_steps} steps skipped, weights finite" if metrics.skipped_steps else ""
    )
    return (
        f"epoch {metrics.epoch:4d}  val Dice {dice}  loss {loss}  ({terms}){_measured(metrics)}"
        f"  {metrics.seconds:.1f} s{skipped}"
    )


def _measured(metrics: EpochMetrics) -> str:
    """What this epoch measured beside Dice; the references' shapes are the same in every epoch."""
    return "".join(
        f"  {name} {value:.4g}"
        for name, value in metrics.metrics.items()
        if value is not None and not name.startswith("reference_")
    )
