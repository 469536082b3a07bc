"""When the geometric loss of a trial is off, when it rises, and when it acts in full."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GeometricRamp:
    """``g(epoch)``: 0 in the warm-up, then a linear rise that is above 0 at once and ends at 1.

    A trial without geometric terms has the two epochs in its settings too. They count for its
    patience, so that it can be compared with other trials. The properties that say when the loss
    acts also depend on `acts`.

    Args:
        off_until: first epoch, from 0, whose factor is above 0.
        full_from: first epoch whose factor is 1.
        acts: whether any geometric term has a weight.
    """

    off_until: int
    full_from: int
    acts: bool = True

    def factor(self, epoch: int) -> float:
        """The ramp's k-th epoch (from 0) has ``(k + 1) / (full_from − off_until + 1)``."""
        if epoch < self.off_until:
            return 0.0
        return min(1.0, (epoch - self.off_until + 1) / (self.full_from - self.off_until + 1))

    @property
    def switch_on(self) -> int | None:
        """First epoch in which the loss acts; None if no term has a weight."""
        return self.off_until if self.acts else None

    def since_switch_on(self, epoch: int) -> int | None:
        """Epochs from the switch-on to this one, negative before it; None if there is none."""
        return epoch - self.off_until if self.acts else None

    def is_missed_in(self, epochs: int) -> bool:
        """Whether a training of this many epochs ends before its switch-on."""
        return self.acts and self.off_until >= epochs

    def epochs_off(self, epochs: int) -> int:
        """Number of a training's epochs before the switch-on; all if there is none."""
        return min(self.off_until, epochs) if self.acts else epochs

    def epochs_not_full(self, epochs: int) -> int:
        """Number of a training's epochs before the loss acts in full; all if it never does."""
        return min(self.full_from, epochs) if self.acts else epochs
