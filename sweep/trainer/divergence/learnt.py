"""What a validation shows about a network: whether it has learnt, and whether it has collapsed.

Both are relative to the Dice of a prediction that ignores the image
(`sweep.trainer.evaluation.trivial_predictions`, `EpochMetrics.trivial_dice`): foreground everywhere
may have a Dice of 0.002 or of 0.9.
"""

from __future__ import annotations

from collections.abc import Sequence

from sweep.spec.settings.trial_settings import GuardSettings
from sweep.vocabulary.epoch_metrics import EpochMetrics

LOST = 0.1
"""Share of the best or the trivial Dice below which a validation counts as collapsed."""


def has_learnt(history: Sequence[EpochMetrics], settings: GuardSettings) -> bool:
    """Whether an epoch has reached ``learnt_dice`` of the way from the trivial Dice to 1."""
    return any(
        epoch.val_dice is not None
        and epoch.predicted_classes != 1
        and epoch.val_dice >= bar(epoch, history, settings)
        for epoch in history
    )


def bar(epoch: EpochMetrics, history: Sequence[EpochMetrics], settings: GuardSettings) -> float:
    """Validation Dice from which an epoch of a history shows that the network has learnt."""
    trivial = epoch.trivial_dice
    if trivial is None:
        # The trivial Dice is unknown. The first validation may be trivial, unless the number of
        # predicted classes is known. Treating it as trivial can only delay a verdict.
        trivial = 0.0 if epoch.predicted_classes is not None else best_dice(history[:1])
    return trivial + settings.learnt_dice * (1 - trivial)


def was_above_trivial(history: Sequence[EpochMetrics]) -> bool:
    """Whether an epoch predicted several classes and scored above the trivial Dice."""
    return any(
        epoch.val_dice is not None
        and epoch.predicted_classes != 1
        and epoch.val_dice > (epoch.trivial_dice or 0.0)
        for epoch in history
    )


def lost_since(history: Sequence[EpochMetrics]) -> int | None:
    """Index in the history of the first of the collapsed epochs at its end.

    A collapsed epoch predicts one class everywhere or next to nothing right. None if the last epoch
    is not collapsed.
    """
    best = best_dice(history)
    since = None
    for place, epoch in reversed(list(enumerate(history))):
        dice = epoch.val_dice
        if dice is None or dice == 1:  # a perfect Dice is never collapsed
            break
        level = max(best, epoch.trivial_dice or 0.0)
        if not (epoch.predicted_classes == 1 or dice == 0 or dice < LOST * level):
            break
        since = place
    return since


def best_dice(history: Sequence[EpochMetrics]) -> float:
    """Best validation Dice; 0 if none was measured."""
    return max((e.val_dice for e in history if e.val_dice is not None), default=0.0)
