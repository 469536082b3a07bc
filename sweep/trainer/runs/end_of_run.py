"""Where a training ends by its own settings."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.early_stopping import EarlyStopping
from sweep.vocabulary.epoch_metrics import EpochMetrics


def early_stopping(config: TrialSettings) -> EarlyStopping:
    """The early stopping that a configuration asks for."""
    settings = config.early_stopping
    return EarlyStopping(
        patience=settings.patience,
        min_delta=settings.min_delta,
        first_epoch=config.loss.ramp.full_from if settings.counts_from == "rampup_end" else 0,
    )


def is_over(history: Sequence[EpochMetrics], config: TrialSettings) -> bool:
    """Whether nothing comes after these epochs: they are all, or patience has ended."""
    if len(history) >= config.trainer.epochs:
        return True
    return early_stopping(config).replay(config.judged_by.curve(history)) is not None
