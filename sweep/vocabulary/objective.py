"""The objective that trials are compared by: a validation metric and its direction.

Standard library only. Code that compares trials or epochs compares *scores* of an `Objective`: a
higher score is always better. The sign of a minimised metric is changed only here. Users see the
metric's own value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from sweep.vocabulary.class_scores import split_class, without_class
from sweep.vocabulary.epoch_metrics import EpochMetrics

Mode = Literal["max", "min"]

VAL_DICE = "val_dice"
TRAIN_LOSS = "train_loss"
"""A value that every trainer reports. It can be the objective too."""
BETTER: Mapping[str, Mode] = {VAL_DICE: "max", "iou": "max", "hd95": "min", "nsd": "max"}
"""Metrics whose direction is known."""
TOLERANCE = 0.002
"""Negligible difference: of a Dice less than between seeds; of other metrics a share."""


class _Names(NamedTuple):
    """In a sentence, over a column or beside an axis, and where there is little room."""

    label: str
    heading: str
    short: str


DiceOf = Literal["validation", "pseudo", "real validation"]
"""Where a Dice was measured. pseudo: nnU-Net's, on patches, in every epoch. real validation: its
own after a training, on whole cases."""
DICE_NAMES: Mapping[DiceOf, _Names] = {
    "validation": _Names("validation Dice", "val Dice", "Dice"),
    "pseudo": _Names("pseudo Dice", "pseudo Dice", "pseudo Dice"),
    "real validation": _Names("real validation Dice", "real Dice", "real Dice"),
}
NAMES: Mapping[str, _Names] = {
    "iou": _Names("validation IoU", "val IoU", "IoU"),
    "hd95": _Names("HD95", "HD95", "HD95"),
    "nsd": _Names("NSD", "NSD", "NSD"),
}
"""Names of metrics for users. Any other metric has its own name."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric and its direction.

    Args:
        metric: ``val_dice``, or the name of one of `EpochMetrics.metrics`. That of one class is
            ``val_dice[liver]``.
        mode: whether the largest or the smallest value is the best.
        dice: where a ``val_dice`` was measured. It decides only how Dice is called.
    """

    metric: str = VAL_DICE
    mode: Mode = "max"
    dice: DiceOf = field(default="validation", compare=False)

    @classmethod
    def of(cls, values: Any) -> Objective:
        """From the ``objective`` of a spec, also its short form; None gives the default.

        Raises:
            ValueError: it is not a metric and a mode.
        """
        if values is None:
            return DICE
        written = {"metric": values} if isinstance(values, str) else values
        metric = written.get("metric", VAL_DICE) if isinstance(written, Mapping) else None
        if isinstance(metric, str):
            match written.get("mode") or known_mode(metric):
                case "max" | "min" as mode:
                    return cls(metric, mode)
        raise ValueError("`objective` must be a metric and a mode")

    def value(self, epoch: EpochMetrics) -> float | None:
        """The metric in this epoch; None if it was not measured or is not finite."""
        found = self.measured(epoch)
        return found if found is not None and math.isfinite(found) else None

    def measured(self, epoch: EpochMetrics) -> float | None:
        """The metric in this epoch, also if it is not finite; None if it was not measured."""
        return epoch.val_dice if self.metric == VAL_DICE else epoch.metrics.get(self.metric)

    def score(self, epoch: EpochMetrics) -> float | None:
        """The metric in this epoch as a score: higher is better; None as in `value`."""
        value = self.value(epoch)
        return None if value is None else self.turned(value)

    def turned(self, number: float) -> float:
        """A value as a score, or a score as a value; also for differences.

        The sign changes if the metric is minimised.
        """
        return number if self.mode == "max" else -number

    def interval(self, low: float, high: float) -> tuple[float, float]:
        """An interval of scores as one of values, its smaller end first."""
        return (low, high) if self.mode == "max" else (-high, -low)

    def curve(self, history: Iterable[EpochMetrics]) -> Iterator[tuple[int, float | None]]:
        """Epoch and score of each epoch, as early stopping takes them."""
        return ((epoch.epoch, self.score(epoch)) for epoch in history)

    def best(self, history: Iterable[EpochMetrics]) -> EpochMetrics | None:
        """The epoch of the best value, the earliest of equals; None if no epoch has a value."""
        found: EpochMetrics | None = None
        highest = -math.inf
        for epoch in history:
            score = self.score(epoch)
            if score is not None and (score > highest or found is None):
                found, highest = epoch, score
        return found

    @property
    def is_dice(self) -> bool:
        """Whether it is validation Dice, of all classes or of one."""
        return without_class(self.metric) == VAL_DICE

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest possible score: [0, 1] for Dice, unlimited for other metrics."""
        if not self.is_dice:
            return -math.inf, math.inf
        low, high = sorted((self.turned(0.0), self.turned(1.0)))
        return low, high

    @property
    def worst(self) -> float | None:
        """The lowest possible score; None if there is no bound."""
        low, _ = self.bounds
        return low if math.isfinite(low) else None

    def tolerance(self, best: float) -> float:
        """Negligible difference for a value of this size; see `TOLERANCE`."""
        return TOLERANCE if self.is_dice else TOLERANCE * abs(best)

    @property
    def tolerance_words(self) -> str:
        """``up to 0.002 less is tolerated``."""
        size = f"{TOLERANCE:g}" if self.is_dice else f"{100 * TOLERANCE:g} %"
        return f"up to {size} {'less' if self.mode == 'max' else 'more'} is tolerated"

    @property
    def label(self) -> str:
        """The metric in a sentence: ``validation Dice``."""
        return self._names.label

    @property
    def heading(self) -> str:
        """The metric over a column: ``val Dice``."""
        return self._names.heading

    @property
    def short(self) -> str:
        """The metric in a narrow place: ``Dice``."""
        return self._names.short

    @property
    def stem(self) -> str:
        """The metric within the names of columns: ``dice``, as in ``mean_dice``, or its own."""
        return "dice" if self.metric == VAL_DICE else self.metric

    @property
    def highest(self) -> str:
        """What the best value is: ``highest`` or ``lowest``."""
        return "highest" if self.mode == "max" else "lowest"

    @property
    def better(self) -> str:
        """What a better value is: ``higher`` or ``lower``."""
        return "higher" if self.mode == "max" else "lower"

    @property
    def words(self) -> str:
        """Metric and direction: ``val_dice (max)``."""
        return f"{self.metric} ({self.mode})"

    def text(self, value: float) -> str:
        """A value, or a difference of two, for users."""
        size = abs(value)
        decimals = self.is_dice or size == 0 or 1e-2 <= size < 100
        text = f"{size:.4f}" if decimals else f"{size:.5g}"
        return f"−{text}" if value < 0 else text

    @property
    def d3(self) -> str:
        """The format of `text` in D3's terms, for the hover text of a figure."""
        return ".4f" if self.is_dice else ".5~g"

    def signed(self, value: float) -> str:
        """As `text`, with a sign."""
        return self.text(value) if value < 0 else f"+{self.text(value)}"

    @property
    def _names(self) -> _Names:
        metric, label = split_class(self.metric)
        names = DICE_NAMES[self.dice] if metric == VAL_DICE else NAMES.get(metric)
        if names is None:
            return _Names(self.metric, self.metric, self.metric)
        return names if label is None else _Names(*(f"{name} of {label}" for name in names))


def known_mode(metric: str) -> Mode | None:
    """The direction of a metric, also of one class, where it is known."""
    return BETTER.get(without_class(metric))


DICE = Objective()
"""The default objective."""
