"""The checklist of a healthy run: the expectations that an epoch did not meet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from sweep.spec.settings.trial_settings import Expectation
from sweep.vocabulary.epoch_metrics import EpochMetrics


def unmet(expectations: Iterable[Expectation], history: Sequence[EpochMetrics]) -> tuple[str, ...]:
    """One sentence for each expectation that the last epoch of ``history`` is the first to miss."""
    return tuple(sentence for one in expectations for sentence in _unmet(one, history))


def training_dice(metrics: EpochMetrics) -> float | None:
    """Estimate of the training Dice: 1 minus the Dice term of the loss; None without one.

    A log-cosh Dice term ``log cosh D`` is solved for D.
    """
    terms = metrics.terms
    if (dice := terms.get("dice")) is not None:
        return 1 - dice
    if (logcosh := terms.get("logcosh_dice")) is not None:
        return 1 - math.acosh(math.exp(max(0.0, logcosh)))
    return None


def _unmet(expected: Expectation, history: Sequence[EpochMetrics]) -> Iterator[str]:
    last = history[-1]
    if last.epoch == expected.epoch:
        best = max((e.val_dice for e in history if e.val_dice is not None), default=0.0)
        if expected.val_dice is not None and best < expected.val_dice:
            yield (
                f"by epoch {last.epoch} a validation Dice of {expected.val_dice:g} was expected,"
                f" but the best is {best:.4f}"
            )
        loss, most = last.train_loss, expected.train_loss
        if most is not None and (loss is None or loss > most):
            found = "not finite or was not reported" if loss is None else f"{loss:.4f}"
            yield (
                f"at epoch {last.epoch} a training loss of at most {most:g} was expected,"
                f" but it is {found}"
            )
        if expected.max_gap is not None and training_dice(last) is None:
            yield (
                f"at epoch {last.epoch} `max_gap` cannot be told: the loss has no term `dice`,"
                " which a function gives to `guard.step`"
            )
    if expected.max_gap is not None and last.epoch >= expected.epoch:
        gaps = [
            0.0 if training is None or e.val_dice is None else training - e.val_dice
            for e, training in ((e, training_dice(e)) for e in history)
            if e.epoch >= expected.epoch
        ]
        if gaps[-1] > expected.max_gap and all(gap <= expected.max_gap for gap in gaps[:-1]):
            yield (
                f"at epoch {last.epoch} training Dice (estimated from the loss) is"
                f" {gaps[-1]:.4f} above validation Dice; at most {expected.max_gap:g} was expected"
            )
