"""Early stopping as a plain state machine, so that a recorded curve can be replayed through it.

Standard library only: the trainer steps it live, the analysis replays histories through it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class EarlyStopping:
    """Stops after ``patience`` epochs in a row that do not improve the score.

    A score is the objective turned so that more is better (`sweep.vocabulary.objective`). An epoch
    improves if its score exceeds that of the last improvement by more than ``min_delta``. Epochs
    before ``first_epoch`` may improve, but never count against patience: a network that has not
    started to learn, or whose geometric loss still rises, is not stuck.

    Args:
        patience: epochs; None never stops.
        min_delta: of the score.
        first_epoch: the first epoch, from 0, that can count against patience.
    """

    patience: int | None
    min_delta: float
    first_epoch: int = 0
    reference: float = -math.inf
    waited: int = 0

    def update(self, epoch: int, value: float | None) -> bool:
        """Add one epoch's score (None: not measured). Returns whether it is time to stop."""
        if value is not None and value > self.reference + self.min_delta:
            self.reference = value
            self.waited = 0
        elif epoch >= self.first_epoch:
            self.waited += 1
        return self.is_over

    @property
    def is_over(self) -> bool:
        """Whether it is time to stop."""
        return self.patience is not None and self.waited >= self.patience

    def waits(self, curve: Iterable[tuple[int, float | None]]) -> list[int]:
        """Replay a recorded curve of (epoch, score) from its start, whatever the patience is.

        This object stays as it is.

        Returns:
            the number of epochs after which it had waited for 1, 2, 3, … epochs for the first time:
            the n-th is where a patience of n stops it.
        """
        reference, waited = -math.inf, 0  # as `update`; its calls take three times as long
        found: list[int] = []
        for epoch, value in curve:
            if value is not None and value > reference + self.min_delta:
                reference, waited = value, 0
            elif epoch >= self.first_epoch:
                waited += 1
                if waited > len(found):
                    found.append(epoch + 1)
        return found

    def replay(self, curve: Iterable[tuple[int, float | None]]) -> int | None:
        """Add a recorded curve of (epoch, score) up to its stop.

        Returns:
            the number of epochs that would be trained; None if it does not stop.
        """
        for epoch, value in curve:
            if self.update(epoch, value):
                return epoch + 1
        return None
