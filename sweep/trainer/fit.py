"""One trial from first to last epoch, without Ray."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweep.data.prepare import prepare
from sweep.data.samples import PreparedData
from sweep.record import EpochMetrics, Outcome, Status
from sweep.spec.settings import TrialSettings
from sweep.stopping import EarlyStopping
from sweep.trainer.checkpoints import Checkpoints
from sweep.trainer.effective import verify
from sweep.trainer.expectations import unmet
from sweep.trainer.guard import Diverged
from sweep.trainer.provenance import record
from sweep.trainer.training import Training


def fit(
    config: TrialSettings,
    *,
    report: Callable[[EpochMetrics], None] | None = None,
    checkpoint: Checkpoints | None = None,
    data: PreparedData | None = None,
    provenance: Path | None = None,
) -> Outcome:
    """Train one configuration and say how it ended.

    Args:
        config: the trial's whole configuration.
        report: called with each epoch's metrics, in order; it may raise to stop the trial.
        checkpoint: where the best and the last state are kept; where it holds a last state, the
            trial goes on from there and reports the epochs before it again. None keeps nothing.
        data: prepared data to share between trials; None prepares ``config.data``.
        provenance: file that records what the trial is really trained with; None records nothing.
    Returns:
        completed, early stopped, or diverged with the guard's verdict.
    Raises:
        NotApplied: what would be trained is not what ``config`` asks for.
    """
    run = epochs(config, checkpoint=checkpoint, data=data, provenance=provenance)
    while True:
        try:
            metrics = next(run)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        if report is not None:
            report(metrics)


def epochs(
    config: TrialSettings,
    *,
    checkpoint: Checkpoints | None = None,
    data: PreparedData | None = None,
    provenance: Path | None = None,
) -> Generator[EpochMetrics, None, Outcome]:
    """`fit` as a generator: yields each epoch when it is trained and saved, returns the outcome."""
    training = Training(config, data or prepare(config.data))
    stopping = early_stopping(config)
    history: list[EpochMetrics] = []
    best: float | None = None
    stop = False
    if checkpoint is not None and (state := checkpoint.load_last()) is not None:
        training.load_state_dict(state["training"])
        history = [EpochMetrics.from_json(line) for line in state["history"]]
        best = max((e.val_dice for e in history if e.val_dice is not None), default=None)
        for metrics in history:
            stop = stopping.update(metrics.epoch, metrics.val_dice)
    live = training.live(stopping, config.trainer.epochs, config.expect)
    told: tuple[str, ...] = ()
    if provenance is not None:
        told = record(provenance, config, live, first_epoch=len(history))
    verify(config, live)
    yield from history
    while (verdict := training.judge(history)) is None:
        if stop or len(history) >= live.epochs:
            finished = len(history) >= live.epochs
            return Outcome(status=Status.COMPLETED if finished else Status.EARLY_STOPPED)
        try:
            metrics = training.run_epoch(len(history))
        except Diverged as end:
            return _diverged(training, end, checkpoint)
        improved = metrics.val_dice is not None and (best is None or metrics.val_dice > best)
        metrics = training.measured(metrics, best=improved)
        told += metrics.warnings + unmet(live.expect, [*history, metrics])
        metrics, told = replace(metrics, warnings=told), ()
        history.append(metrics)
        stop = stopping.update(metrics.epoch, metrics.val_dice)
        if improved:
            best = metrics.val_dice
        if checkpoint is not None:
            if improved:
                checkpoint.save_best({"model": training.model.state_dict(), "epoch": metrics.epoch})
            checkpoint.save_last(_state(training, history))
        yield metrics
    return _diverged(training, verdict, checkpoint)


def early_stopping(config: TrialSettings) -> EarlyStopping:
    """The early stopping that a configuration asks for."""
    settings = config.early_stopping
    after_ramp = config.loss.warmup_epochs + config.loss.rampup_epochs
    return EarlyStopping(
        patience=settings.patience,
        min_delta=settings.min_delta,
        first_epoch=after_ramp if settings.counts_from == "rampup_end" else 0,
    )


def _diverged(training: Training, end: Diverged, checkpoint: Checkpoints | None) -> Outcome:
    """The outcome, its weights and what its step can be reproduced from saved."""
    if checkpoint is not None:
        checkpoint.save_healthy({"model": training.model.state_dict()})
        if end.offending is not None:
            checkpoint.save_offending(end.offending)
    return Outcome.diverged(end.divergence)


def _state(training: Training, history: list[EpochMetrics]) -> dict[str, Any]:
    return {"training": training.state_dict(), "history": [e.to_json() for e in history]}
