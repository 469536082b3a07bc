"""The range of each setting over the configurations of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sweep.spec.search.search_strategy import epochs_in_full
from sweep.spec.space.distributions import Distribution
from sweep.vocabulary.geometric_ramp import GeometricRamp


class SettingRanges:
    """Smallest and largest value of each setting, from the space or else from the base settings.

    Args:
        base: the groups of settings by name. Groups that are not needed can be missing.
        space: the searched settings by dotted name.
    """

    def __init__(self, base: Mapping[str, Any], space: Mapping[str, Distribution]) -> None:
        self._base = base
        self._space = space

    def of(self, key: str) -> tuple[float, float] | None:
        """Smallest and largest number of the setting ``key``; None if it takes no numbers."""
        if key in self._space:
            return self._space[key].extent
        group, *rest = key.split(".")
        value = self._base[group]
        for part in rest:
            value = getattr(value, part)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return (value, value) if is_number else None

    def smallest(self, key: str) -> float:
        """Smallest number of a setting; 0 if it takes no numbers."""
        return (self.of(key) or (0, 0))[0]

    def largest(self, key: str) -> float:
        """Largest number of a setting; 0 if it takes no numbers."""
        return (self.of(key) or (0, 0))[1]

    @property
    def most_epochs(self) -> int:
        """Epochs of the longest configuration."""
        return int(self.largest("trainer.epochs"))

    @property
    def earliest_ramp(self) -> GeometricRamp:
        """The ramp of the configuration whose geometric loss acts first."""
        return self._ramp(self.smallest)

    @property
    def latest_ramp(self) -> GeometricRamp:
        """The ramp of the configuration whose geometric loss acts last."""
        return self._ramp(self.largest)

    def _ramp(self, number: Callable[[str], float]) -> GeometricRamp:
        warmup = number("loss.warmup_epochs")
        return GeometricRamp(
            off_until=int(warmup),
            full_from=int(warmup + number("loss.rampup_epochs")),
            acts=self.uses_geometric_loss,
        )

    @property
    def uses_geometric_loss(self) -> bool:
        """Whether a geometric term has a weight in any configuration."""
        return any(self.largest(key) > 0 for key in self._base["loss"].weights.keys)

    @property
    def default_grace_period(self) -> int:
        """One epoch past the longest ramp-up, at least 1 and at most the epochs trained."""
        latest = self.latest_ramp
        past = latest.full_from + 1 if latest.acts else 1
        return max(1, min(past, self.most_epochs))

    @property
    def default_grace_in_full(self) -> int:
        """A 25th of the epochs, at least 2, because a single difference has no spread."""
        return min(max(2, round(self.most_epochs / 25)), self.most_epochs)

    @property
    def most_epochs_in_full(self) -> int:
        """Largest possible `epochs_in_full`: that of the configuration with the earliest full
        ramp."""
        return max(1, epochs_in_full(self.most_epochs, self.earliest_ramp.full_from))
