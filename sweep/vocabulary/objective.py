"""The objective that trials are compared by: a validation metric and its direction.

Standard library only. Code that compares trials or epochs compares *scores* of an `Objective`: a
higher score is always better. The sign of a minimised metric is changed only here. Users see the
metric's own value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any, Literal, NamedTuple

from sweep.vocabulary.class_scores import split_class, without_class
from sweep.vocabulary.dominance import Point
from sweep.vocabulary.epoch_metrics import EpochMetrics, column, metric_column

Mode = Literal["max", "min"]

VAL_DICE = "val_dice"
TRAIN_LOSS = "train_loss"
"""A value that every trainer reports. It can be the objective too."""
BETTER: Mapping[str, Mode] = {VAL_DICE: "max", "iou": "max", "hd95": "min", "nsd": "max"}
"""Metrics whose direction is known."""
COSTS: Mapping[str, str] = {"epochs": "epochs", "seconds": "seconds"}
"""What a trial costs, which can be a further objective: less is better. Epochs that it took over
from a shared warm-up count as if it had trained them itself."""
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
        others: further objectives of a sweep with several, of which this is the first. It alone
            decides the best epoch, early stopping and whatever else needs one number.
    """

    metric: str = VAL_DICE
    mode: Mode = "max"
    dice: DiceOf = field(default="validation", compare=False)
    others: tuple[Objective, ...] = ()

    @classmethod
    def of(cls, values: Any) -> Objective:
        """From the ``objective`` of a spec, also its short form; None gives the default.

        Raises:
            ValueError: it is not a metric and a mode.
        """
        if values is None:
            return DICE
        if isinstance(values, list) and values:
            first, *others = map(cls.of, values)
            return replace(first, others=tuple(others))
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

    def curve(self, history: Sequence[EpochMetrics]) -> Iterator[tuple[int, float | None]]:
        """Epoch and score of each epoch, as early stopping takes them."""
        return zip(column(history, "epoch"), self.scores(history), strict=True)

    def values(self, history: Sequence[EpochMetrics]) -> Sequence[float | None]:
        """The `value` in each epoch."""
        is_dice = self.metric == VAL_DICE
        measured = column(history, VAL_DICE) if is_dice else metric_column(history, self.metric)
        if None not in measured and all(map(math.isfinite, measured)):  # as nearly always
            return measured
        return [None if v is None or not math.isfinite(v) else v for v in measured]

    def scores(self, history: Sequence[EpochMetrics]) -> Sequence[float | None]:
        """The `score` in each epoch."""
        values = self.values(history)
        return values if self.mode == "max" else [None if v is None else -v for v in values]

    def best(self, history: Sequence[EpochMetrics]) -> EpochMetrics | None:
        """The epoch of the best `merit`, the earliest of equals; None if no epoch has a value."""
        place = self.best_place(history, self.scores(history))
        return None if place is None else history[place]

    def best_place(
        self, history: Sequence[EpochMetrics], scores: Sequence[float | None]
    ) -> int | None:
        """The place of that epoch. Args: scores: of the history, or of its first epochs."""
        known: Any = [one for one in scores if one is not None] if None in scores else scores
        if not known:
            return None
        most = max(known)
        place = scores.index(most)
        if self.metric != VAL_DICE and scores.count(most) > 1:
            dices = DICE.values(history)
            equals = [n for n, score in enumerate(scores) if score == most]
            place = max(equals, key=lambda n: -math.inf if (d := dices[n]) is None else d)
        return place

    def merit(self, epoch: EpochMetrics) -> tuple[float, float] | None:
        """What epochs are compared by: the score, of equal ones validation Dice; None without a
        score.

        A metric that many epochs saturate, such as an NSD of 1, does not decide between them.
        """
        score = self.score(epoch)
        dice = epoch.val_dice
        known = dice is not None and math.isfinite(dice)
        return None if score is None else (score, dice if known and dice is not None else -math.inf)

    @property
    def each(self) -> tuple[Objective, ...]:
        """All objectives of the sweep, the first first, each alone."""
        return (replace(self, others=()), *self.others)

    @property
    def is_cost(self) -> bool:
        """Whether it is what a trial costs, not what it reaches."""
        return self.metric in COSTS

    @property
    def has_cost(self) -> bool:
        """Whether one of the objectives of the sweep is a cost."""
        return any(one.is_cost for one in self.others)

    def of_trial(self, history: Sequence[EpochMetrics], best: EpochMetrics) -> float | None:
        """This objective alone of a trial: the metric in the epoch ``best``, or what its whole
        history cost."""
        if self.metric == "epochs":
            return len(history)
        if self.metric == "seconds":
            seconds: float = sum(column(history, "seconds"))
            return seconds
        return self.value(best)

    def point(self, history: Sequence[EpochMetrics]) -> Point | None:
        """The score of each objective in the best epoch of the first one; None without any.

        All are of that one epoch, because its weights are the model that the trial has. A missing
        value is −∞.
        """
        best = self.best(history)
        if best is None:
            return None
        values = ((one, one.of_trial(history, best)) for one in self.each)
        return tuple(-math.inf if v is None else one.turned(v) for one, v in values)

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
    def opening(self) -> str:
        """`short` where a sentence or a title begins. A metric's own name stays as it is."""
        return self.short[:1].upper() + self.short[1:] if self.is_dice else self.short

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
    def criterion(self) -> str:
        """In a sentence: ``validation Dice (higher is better)``; of several objectives, each."""
        parts = [f"{one.label} ({one.better} is better)" for one in self.each]
        return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)

    @property
    def order(self) -> str:
        """How trials are ranked: ``by`` the `criterion`, of several objectives front by front."""
        return f"front by front, by {self.criterion}" if self.others else f"by {self.criterion}"

    @property
    def words(self) -> str:
        """Metric and direction: ``val_dice (max)``; of several objectives, each."""
        return ", ".join(f"{one.metric} ({one.mode})" for one in self.each)

    def text(self, value: float) -> str:
        """A value, or a difference of two, for users."""
        if self.is_cost:
            return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
        size = abs(value)
        decimals = self.is_dice or size == 0 or 1e-2 <= size < 100
        text = f"{size:.4f}" if decimals else f"{size:.5g}"
        return f"−{text}" if value < 0 and float(text) else text

    @property
    def d3(self) -> str:
        """The format of `text` in D3's terms, for the hover text of a figure."""
        return ".4f" if self.is_dice else ".5~g"

    def signed(self, value: float) -> str:
        """As `text`, with a sign."""
        text = self.text(value)
        return text if text.startswith(("−", "-")) else f"+{text}"

    @property
    def _names(self) -> _Names:
        metric, label = split_class(self.metric)
        names = DICE_NAMES[self.dice] if metric == VAL_DICE else NAMES.get(metric)
        if names is None:
            return _Names(self.metric, self.metric, self.metric)
        return names if label is None else _Names(*(f"{name} of {label}" for name in names))


def mean_of_runs(scores: Iterable[float]) -> float:
    """Mean of the scores of one configuration, to 12 significant digits.

    Else rounding errors would rank equal means: in floats, that of 0.8 and 0.84 is larger than that
    of 0.82 and 0.82.
    """
    return float(f"{fmean(scores):.12g}")


def known_mode(metric: str) -> Mode | None:
    """The direction of a metric, also of one class, where it is known."""
    return "min" if metric in COSTS else BETTER.get(without_class(metric))


DICE = Objective()
"""The default objective."""
