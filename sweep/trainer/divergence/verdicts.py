"""The verdicts, as pure functions of measured values. No torch, no device, no clock.

`StepJudge` sees each step: `Cause.NONFINITE`, `Cause.ZOMBIE` and `Cause.EXPLODED`. `judge_epochs`
sees the history: `Cause.COLLAPSED`, and the zombie of a whole epoch.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sweep.spec.settings.geometric_terms import TERMS
from sweep.spec.settings.trial_settings import GuardSettings
from sweep.trainer.divergence.learnt import bar, best_dice, has_learnt, lost_since
from sweep.trainer.divergence.running_levels import RunningLevel, Streak
from sweep.vocabulary.divergence import StepValues
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Cause, Divergence, Stage

RECENT = 10
"""Number of steps before a divergence that are reported with it."""

GRADIENT = "gradient"
"""Name of the gradient norm among the watched main loss terms."""

LEARNING = 20
"""Steps used to estimate the usual gradient norm before outliers are flagged."""

QUIET = 0.1
"""Smallest level. Thirty times next to nothing is still next to nothing."""


class StepJudge:
    """Judge the steps of one run in their order.

    A main loss term is an outlier if it is a multiple of its value in the untrained network. No
    healthy run stays there, whatever its learning rate. A running mean would follow a slow
    explosion, and late in training it would make an ordinary batch look like one.

    The gradient norm after clipping is compared with the highest value of its running mean since
    the geometric factor last changed, because a large geometric weight multiplies the norm without
    being a fault. The geometric terms are not watched.

    Args:
        settings: policy and limits.
        gradient_clip: largest gradient norm of a step; None for no clipping.
        scaled: whether a gradient scaler is used, which overflows on purpose.
    """

    def __init__(
        self, settings: GuardSettings, *, gradient_clip: float | None, scaled: bool
    ) -> None:
        self._settings = settings
        self._clip = math.inf if gradient_clip is None else gradient_clip
        self._scaled = scaled
        self._start: dict[str, float] = {}  # main loss terms in the run's first step
        self._gradient = RunningLevel()
        self._skips, self._outliers = Streak(), Streak()
        self._skipped_in_epoch = 0
        self._factor = 0.0
        kept = RECENT + 1 + max(settings.skipped_in_a_row, settings.exploded_steps)
        self._recent: deque[StepValues] = deque(maxlen=kept)

    def start_epoch(self, factor: float) -> None:
        """Call before the first step of an epoch, with its geometric factor."""
        self._skipped_in_epoch = 0
        if factor != self._factor:
            self._factor = factor
            self._gradient = RunningLevel()

    def judge(self, values: StepValues) -> Divergence | None:
        """The verdict after a step, if any. If several steps led to it, it names the first."""
        self._recent.append(values)
        if not math.isfinite(values.weight_norm):
            return verdict(values, Cause.NONFINITE, Stage.WEIGHTS, None, _OVERFLOW)
        broken = broken_part(values)
        if broken is not None:
            return self._judge_broken(values, *broken)
        self._skips.end()
        return self._judge_size(values)

    @property
    def suspicious(self) -> bool:
        """Whether the steps so far may turn out to be the beginning of an explosion."""
        return self._outliers.length > 0

    @property
    def skips_in_a_row(self) -> int:
        return self._skips.length

    def recent(self, until: tuple[int, int] | None = None) -> tuple[StepValues, ...]:
        """The last steps, oldest first, or those up to (epoch, step)."""
        steps = (v for v in self._recent if until is None or v.place <= until)
        return tuple(steps)[-RECENT - 1 :]

    def state_dict(self) -> dict[str, Any]:
        """The state needed to continue, as plain values."""
        return {
            "start": dict(self._start),
            "gradient": asdict(self._gradient),
            "factor": self._factor,
            "skips": self._skips.to_json(),
            "outliers": self._outliers.to_json(),
            "recent": [values.to_json() for values in self._recent],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._start = dict(state["start"])
        self._gradient = RunningLevel(**state["gradient"])
        self._factor = state["factor"]
        self._recent.clear()
        self._recent.extend(StepValues.from_json(line) for line in state["recent"])
        self._skips = Streak.from_json(state["skips"])
        self._outliers = Streak.from_json(state["outliers"])

    def _judge_broken(
        self, values: StepValues, stage: Stage, term: str | None
    ) -> Divergence | None:
        forgiven = self._settings.on_nonfinite == "skip"
        calibrating = self._scaled and stage is Stage.GRADIENT
        if not (forgiven or calibrating):
            return verdict(values, Cause.NONFINITE, stage, term, _nonfinite_words(stage, term))
        self._skipped_in_epoch += 1
        first = self._skips.count(values)
        if self._skips.length >= self._settings.skipped_in_a_row:
            what = f"{self._skips.length} consecutive steps were skipped"
            return self._zombie(first, what)
        limit = self._settings.skipped_per_epoch
        if limit is not None and self._skipped_in_epoch > limit:
            return self._zombie(values, f"{self._skipped_in_epoch} steps of one epoch were skipped")
        return None

    def _zombie(self, values: StepValues, what: str) -> Divergence:
        stage, term = broken_part(values) or (None, None)
        message = (
            f"{what}, because their loss or gradient was not finite; training makes no progress."
        )
        return verdict(values, Cause.ZOMBIE, stage, term, message)

    def _judge_size(self, values: StepValues) -> Divergence | None:
        main = {n: v for n, v in values.terms.items() if n not in TERMS}
        self._start = self._start or main
        name, times = self._furthest_out(main, min(values.grad_norm, self._clip))
        limit = self._settings.exploded_factor
        if limit is None or times <= limit:
            self._outliers.end()
            self._gradient.add(min(values.grad_norm, self._clip))
            return None
        first = self._outliers.count(values)
        if self._outliers.length < self._settings.exploded_steps:
            return None
        stage, term = (Stage.GRADIENT, None) if name == GRADIENT else (Stage.LOSS, name)
        what, level = (
            ("The gradient norm", "its usual level")
            if term is None
            else (f"The loss term {term!r}", "that of the untrained network")
        )
        message = (
            f"{what} rose to {times:.3g} times {level}; loss or gradient were outliers for"
            f" {self._outliers.length} consecutive steps."
        )
        return verdict(first, Cause.EXPLODED, stage, term, message)

    def _furthest_out(self, main: Mapping[str, float], gradient: float) -> tuple[str, float]:
        """The watched quantity that is furthest above its level, and how many times."""
        times = {n: v / max(self._start[n], QUIET) for n, v in main.items() if n in self._start}
        if self._gradient.steps >= LEARNING:
            times[GRADIENT] = gradient / max(self._gradient.peak, QUIET)
        name = max(times, key=times.__getitem__, default=GRADIENT)
        return name, times.get(name, 0.0)


def judge_epochs(
    history: Sequence[EpochMetrics], settings: GuardSettings, *, scaled: bool, over: bool = False
) -> Divergence | None:
    """The verdict on the last epoch of a history, given those before it.

    Args:
        scaled: whether a gradient scaler is used, which skips steps on purpose.
        over: whether the training ends here. A network that is collapsed then has failed. During
            training, one that has never learnt may still start to learn.
    """
    if not history:
        return None
    last = history[-1]
    if last.skipped_steps and not last.steps and not scaled:
        # The next epoch would start from the same weights. With a scaler, the scale has changed.
        message = "Every step of the epoch was skipped; training makes no progress."
        return _verdict_on_epoch(last, Cause.ZOMBIE, message)
    if (place := _collapsed_at(history, settings, over=over)) is not None:
        message = _collapse_words(history, place, settings)
        return _verdict_on_epoch(history[place], Cause.COLLAPSED, message)
    late = settings.learnt_by is not None and last.epoch >= settings.learnt_by
    measured = any(epoch.val_dice is not None for epoch in history)
    if late and measured and not has_learnt(history, settings):
        message = (
            f"The network has not learnt by epoch {settings.learnt_by}: its best validation Dice is"
            f" {best_dice(history):.4f}, below {bar(last, history, settings):.4g}"
            f"{_trivial_words(last)}."
        )
        return _verdict_on_epoch(last, Cause.COLLAPSED, message)
    return None


def _collapsed_at(
    history: Sequence[EpochMetrics], settings: GuardSettings, *, over: bool
) -> int | None:
    """Index of the first epoch of a collapse that lasts to the end; None if there is none."""
    count, place = settings.collapsed_epochs, lost_since(history)
    if count is None or place is None:
        return None
    lasted = len(history) - place
    if lasted >= count and has_learnt(history[:place], settings):
        return place
    return place if over and lasted >= min(count, len(history)) else None


def _collapse_words(history: Sequence[EpochMetrics], place: int, settings: GuardSettings) -> str:
    nothing = "one class everywhere or next to nothing right"
    since = f"since epoch {history[place].epoch}"
    if has_learnt(history[:place], settings):
        return f"The network had learnt, but {since} predicts {nothing}."
    return (
        f"The training ended with a network that, {since}, predicts {nothing}; its best validation"
        f" Dice was {best_dice(history):.4f}{_trivial_words(history[-1])}."
    )


def _trivial_words(epoch: EpochMetrics) -> str:
    """Words for the trivial Dice, if known."""
    if epoch.trivial_dice is None:
        return ""
    return f" (a prediction that ignores the images has {epoch.trivial_dice:.4f})"


def broken_part(values: StepValues) -> tuple[Stage, str | None] | None:
    """Stage and term of the first nonfinite value before the optimizer step."""
    for name, value in values.terms.items():
        if not math.isfinite(value):
            return Stage.LOSS, name
    if not math.isfinite(values.loss):
        return Stage.LOSS, None
    if not math.isfinite(values.grad_norm):
        return Stage.GRADIENT, None
    return None


def verdict(
    values: StepValues, cause: Cause, stage: Stage | None, term: str | None, message: str
) -> Divergence:
    """A verdict on one step."""
    return Divergence(
        cause=cause,
        epoch=values.epoch,
        step=values.step,
        stage=stage,
        term=term,
        terms={name: f"{value:.6g}" for name, value in values.terms.items()},
        message=message,
    )


def _verdict_on_epoch(epoch: EpochMetrics, cause: Cause, message: str) -> Divergence:
    return Divergence(
        cause=cause,
        epoch=epoch.epoch,
        step=max(0, epoch.steps + epoch.skipped_steps - 1),
        terms={n: f"{value:.6g}" for n, value in epoch.terms.items() if value is not None},
        message=message,
    )


_OVERFLOW = "The step overflowed the weights; it was undone."


def _nonfinite_words(stage: Stage, term: str | None) -> str:
    if stage is Stage.GRADIENT:
        return "The loss was finite but its gradient was not; the step was not taken."
    what = f"The loss term {term!r}" if term else "The total loss"
    return f"{what} was not finite; the step was not taken."
