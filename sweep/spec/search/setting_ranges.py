"""The range of each setting over a sweep, and the defaults of a scheduler that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sweep.spec.search.search_strategy import (
    AnySearcherSettings,
    AshaScheduler,
    HyperbandScheduler,
    StoppingScheduler,
    epochs_in_full,
)
from sweep.spec.space.conditions import Condition
from sweep.spec.space.distributions import Distribution
from sweep.spec.space.linked_space import configurations
from sweep.spec.tree.setting_tree import is_late, value_of
from sweep.vocabulary.geometric_ramp import GeometricRamp
from sweep.vocabulary.parameter_values import is_number

RUNG_FACTOR_OF_GAINS = 2
"""More frequent rungs train fewer epochs and keep the leaders just as often."""

RAMP = ("loss.warmup_epochs", "loss.rampup_epochs")
"""They act only where a geometric term has a weight."""

PARTS, PARTS_IF_LEARNT = 25, 20
"""Of a training, after which share its first rung comes if gains are compared. The proposals of a
searcher that learns resemble each other. To tell them apart where all wait for each other takes
longer; see ``benchmarks/README.md``."""


@dataclass(frozen=True, slots=True)
class SettingRanges:
    """Smallest and largest value of each setting, from the space or else from the base settings.

    Args:
        base: the groups of settings by name. Groups that are not needed can be missing.
        space: the searched settings by dotted name.
    """

    base: Mapping[str, Any]
    space: Mapping[str, Distribution]

    def of(self, key: str) -> tuple[float, float] | None:
        """Smallest and largest number of the setting ``key``; None if it takes no numbers."""
        searched = self.space.get(key)
        if searched is not None and (
            not searched.when or (key in RAMP and not self._acts_undrawn(key))
        ):
            return searched.extent  # its value in the sweep file has no effect
        value = value_of(self.base, key)
        own = (value, value) if is_number(value) else None
        ranges = [each for each in (own, searched.extent if searched else None) if each]
        return (min(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else None

    def _acts_undrawn(self, key: str) -> bool:
        """Whether any configuration that does not draw this setting has a geometric loss."""
        acts = [Condition(weight, above=0) for weight in self.base["loss"].weights.keys]
        asked = [key, *(one.on for one in acts if one.on in self.space)]
        return any(
            key not in drawn
            and any(one.holds(drawn.get(one.on, value_of(self.base, one.on))) for one in acts)
            for drawn in configurations(self.space, asked, acts)
        )

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
        return any(self.largest(key) > 0 for key in self.base["loss"].weights.keys)

    @property
    def default_grace_period(self) -> int:
        """One epoch past the longest ramp-up, at least 1 and at most the epochs trained."""
        latest = self.latest_ramp
        past = latest.full_from + 1 if latest.acts else 1
        return max(1, min(past, self.most_epochs))

    def default_grace_in_full(self, part: int) -> int:
        """One part of so many of the epochs, at least 2, because a single difference has no
        spread."""
        return min(max(2, round(self.most_epochs / part)), self.most_epochs)

    @property
    def most_epochs_in_full(self) -> int:
        """Largest possible `epochs_in_full`: that of the configuration with the earliest full
        ramp."""
        return max(1, epochs_in_full(self.most_epochs, self.earliest_ramp.full_from))


def best_clock(space: Mapping[str, Distribution]) -> Literal["epochs", "activation"]:
    """``activation`` if the warm-up is searched and all trials share the baseline's trunk."""
    has_one_trunk = all(map(is_late, space))
    return "activation" if has_one_trunk and "loss.warmup_epochs" in space else "epochs"


def with_periods(
    scheduler: StoppingScheduler, ranges: SettingRanges, searcher: AnySearcherSettings
) -> StoppingScheduler:
    """The scheduler with its defaults filled in, which depend on clock, space and searcher."""
    since = scheduler.clock == "activation"
    filled: dict[str, object] = {}
    pauses = False
    if isinstance(scheduler, AshaScheduler):
        pauses = not searcher.learns if scheduler.pause is None else scheduler.pause
        filled["pause"] = pauses
        if scheduler.rung_factor is None:
            filled["rung_factor"] = RUNG_FACTOR_OF_GAINS if since else scheduler.reduction_factor
    if scheduler.grace_period is None:
        part = PARTS_IF_LEARNT if pauses and searcher.learns else PARTS
        in_full = ranges.default_grace_in_full(part)
        filled["grace_period"] = in_full if since else ranges.default_grace_period
    scheduler = scheduler.model_copy(update=filled)
    if isinstance(scheduler, HyperbandScheduler) and scheduler.brackets is None:
        rungs = scheduler.rungs(ranges.most_epochs_in_full if since else ranges.most_epochs)
        scheduler = scheduler.model_copy(update={"brackets": max(1, len(rungs))})
    return scheduler
