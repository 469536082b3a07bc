"""A training that ends after some epochs, as if its process were killed there."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trial.fit import epochs
from sweep.vocabulary.epoch_metrics import EpochMetrics


def cut_short(config: TrialSettings, count: int, **where: Any) -> list[EpochMetrics]:
    """Train up to so many epochs, saved as ``where`` says for `fit`; what they report."""
    told: list[EpochMetrics] = []
    with closing(epochs(config, **where)) as session:
        while len(told) < count:
            told += next(session)
    return told
