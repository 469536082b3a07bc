"""The verdicts: for each cause of divergence its rule, the words of its message and its cures.

A new verdict is a class here, with its place in `VERDICTS`. Its limits are fields of
`GuardSettings`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise, takewhile
from typing import Any

from sweep.trainer.divergence.advice import (
    Advice,
    Case,
    clip_the_gradient,
    examine_the_batch,
    examine_the_loss,
    examine_the_network,
    examine_the_plugin,
    examine_the_start,
    lower_a_weight,
    lower_the_broken_weight,
    lower_the_dominant_weight,
    lower_the_far_too_high_own_rate,
    lower_the_own_rate,
    lower_the_rate,
    lower_the_weight_decay,
    raise_epsilon,
    raise_the_optimizers_epsilon,
    widen_the_precision,
)
from sweep.trainer.divergence.learnt import bar, best_dice, has_learnt, lost_since
from sweep.trainer.divergence.verdict import Broken, RunningLevel, Streak, Verdict, broken_part
from sweep.vocabulary.divergence import StepValues
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Divergence, Stage

LEARNING = 20
"""Steps used to estimate the usual gradient norm before outliers are flagged."""

QUIET = 0.1
"""Smallest level. Thirty times next to nothing is still next to nothing."""


class Nonfinite(Verdict):
    """A loss, a gradient or the weights are not finite, and the step is not forgiven."""

    cause = "nonfinite"
    cures = (
        examine_the_plugin,
        raise_epsilon,
        raise_the_optimizers_epsilon,
        lower_the_dominant_weight,
        widen_the_precision,
        lower_the_broken_weight,
        examine_the_network,
        examine_the_start,
        examine_the_loss,
        lower_the_weight_decay,
        lower_the_far_too_high_own_rate,
        clip_the_gradient,
    )

    def judge_step(self, values: StepValues, broken: Broken | None) -> Divergence | None:
        if not math.isfinite(values.weight_norm):
            message = "The step overflowed the weights; it was undone."
            return self.on_step(values, message, Stage.WEIGHTS)
        if broken is None or self.settings.on_nonfinite == "skip":
            return None
        stage, term = broken
        if stage is Stage.LOSS:
            what = f"The loss term {term!r}" if term else "The total loss"
            message = f"{what} was not finite; the step was not taken."
        elif self.scaled:  # the scaler looks for its scale
            return None
        else:
            message = "The loss was finite but its gradient was not; the step was not taken."
        return self.on_step(values, message, stage, term)

    def judge_epochs(self, history: Sequence[EpochMetrics], *, over: bool) -> Divergence | None:
        # Only a loop that reports its own mean can have such a value: ours leave these steps out.
        last = history[-1]
        loss = last.train_loss
        if loss is None or math.isfinite(loss) or self.settings.on_nonfinite == "skip":
            return None
        message = f"The training loss reported for epoch {last.epoch}, {loss}, is not finite."
        return replace(self.on_epoch(last, message), stage=Stage.LOSS)


def stop_skipping(case: Case) -> Advice | None:
    """Where steps were skipped because the settings say so."""
    if case.settings.guard.on_nonfinite != "skip":
        return None
    return Advice(
        "The same batches break in every epoch: skipping their steps does not help.",
        "guard.on_nonfinite",
        "Set guard.on_nonfinite to terminate and examine the first step that breaks.",
    )


@dataclass
class Zombie(Verdict):
    """Steps with nonfinite values are skipped, so often that training makes no progress."""

    cause = "zombie"
    cures = (*Nonfinite.cures, stop_skipping)
    skipped_in_epoch: int = 0

    @property
    def steps_needed(self) -> int:
        return self.settings.skipped_in_a_row

    def start_epoch(self, factor: float) -> None:
        self.skipped_in_epoch = 0

    def judge_step(self, values: StepValues, broken: Broken | None) -> Divergence | None:
        if broken is None:
            self.streak = Streak()
            return None
        self.skipped_in_epoch += 1
        first = self.streak.count(values)
        limit = self.settings.skipped_per_epoch
        if self.streak.length >= self.settings.skipped_in_a_row:
            what = f"{self.streak.length} consecutive steps were skipped"
        elif limit is not None and self.skipped_in_epoch > limit:
            first, what = values, f"{self.skipped_in_epoch} steps of one epoch were skipped"
        else:
            return None
        message = (
            f"{what}, because their loss or gradient was not finite; training makes no progress."
        )
        return self.on_step(first, message, *(broken_part(first) or (None, None)))

    def judge_epochs(self, history: Sequence[EpochMetrics], *, over: bool) -> Divergence | None:
        last = history[-1]
        if not last.skipped_steps or last.steps:
            return None
        # The next epoch would start from the same weights. With a scaler, the scale has changed:
        # it may fit in the next, if there is one, and a single step may be skipped to find it.
        skipped = takewhile(lambda epoch: not epoch.steps, reversed(history))
        if self.scaled and not (over and sum(epoch.skipped_steps for epoch in skipped) > 1):
            return None
        message = "Every step of the epoch was skipped; training makes no progress."
        return self.on_epoch(last, message)

    def state_dict(self) -> dict[str, Any]:
        return {"skips": self.streak.to_json()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.streak = Streak.from_json(state["skips"])


@dataclass
class Exploded(Verdict):
    """Consecutive steps are outliers, though all their values are finite.

    A main loss term is an outlier if it is a multiple of its value in the untrained network. No
    healthy run stays there, whatever its learning rate. A running mean would follow a slow
    explosion, and late in training it would make an ordinary batch look like one.

    The gradient norm after clipping is compared with the highest value of its running mean since
    the geometric factor last changed, because a large geometric weight multiplies the norm without
    being a fault. The geometric terms are not watched.
    """

    cause = "exploded"
    cures = (
        examine_the_start,
        lower_the_weight_decay,
        lower_a_weight,
        clip_the_gradient,
        lower_the_own_rate,
    )
    moves_weights = True

    start: Mapping[str, float] = field(default_factory=dict)
    """Main loss terms in the run's first step."""
    gradient: RunningLevel = field(default_factory=RunningLevel)
    factor: float = 0.0

    @property
    def steps_needed(self) -> int:
        return self.settings.exploded_steps

    def start_epoch(self, factor: float) -> None:
        if factor != self.factor:
            self.factor = factor
            self.gradient = RunningLevel()

    def judge_step(self, values: StepValues, broken: Broken | None) -> Divergence | None:
        if broken is not None:
            return None
        main = {n: value for n, value in values.terms.items() if n not in self.late_terms}
        self.start = self.start or main
        clip = math.inf if self.gradient_clip is None else self.gradient_clip
        gradient = min(values.grad_norm, clip)
        term, times = self._furthest_out(main, gradient)
        limit = self.settings.exploded_factor
        if limit is None or times <= limit:
            self.streak = Streak()
            self.gradient.add(gradient)
            return None
        first = self.streak.count(values)
        if self.streak.length < self.settings.exploded_steps:
            return None
        if term is None:
            stage, what, level = Stage.GRADIENT, "The gradient norm", "its usual level"
        else:
            stage, what = Stage.LOSS, f"The loss term {term!r}"
            level = "that of the untrained network"
        message = (
            f"{what} rose to {times:.3g} times {level}; loss or gradient were outliers for"
            f" {self.streak.length} consecutive steps."
        )
        return self.on_step(first, message, stage, term)

    def state_dict(self) -> dict[str, Any]:
        return {
            "start": dict(self.start),
            "gradient": asdict(self.gradient),
            "factor": self.factor,
            "outliers": self.streak.to_json(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.start = dict(state["start"])
        self.gradient = RunningLevel(**state["gradient"])
        self.factor = state["factor"]
        self.streak = Streak.from_json(state["outliers"])

    def _furthest_out(self, main: Mapping[str, float], gradient: float) -> tuple[str | None, float]:
        """The largest multiple of its level, and the loss term that has it; None: the gradient."""
        times: dict[str | None, float] = {
            name: value / max(self.start[name], QUIET)
            for name, value in main.items()
            if name in self.start
        }
        if self.gradient.steps >= LEARNING:
            times[None] = gradient / max(self.gradient.peak, QUIET)
        name = max(times, key=times.__getitem__, default=None)
        return name, times.get(name, 0.0)


FALLING = 0.01
"""Share by which each epoch's loss lies below that of the one before while a network learns."""


def still_falling(history: Sequence[EpochMetrics]) -> bool:
    """Whether the loss fell in each epoch of the second half, by `FALLING` at least."""
    losses = [epoch.train_loss for epoch in history[(len(history) - 1) // 2 :]]
    return len(losses) > 2 and all(
        before is not None and after is not None and before - after > FALLING * abs(before)
        for before, after in pairwise(losses)
    )


def train_longer(case: Case) -> Advice | None:
    """For a network that was learning when the training ended."""
    if case.had_learnt or not case.still_falling or case.rate_is_far_too_high:
        return None
    epochs, rate = case.settings.trainer.epochs, case.settings.optimizer.lr
    return Advice(
        f"The training was too short: its loss still fell in the last of {epochs} epochs.",
        "trainer.epochs",
        f"Try trainer.epochs at {2 * epochs}"
        + ("." if case.optimizer_is_own else f", or optimizer.lr at {10 * rate:g}."),
    )


def try_other_rates(case: Case) -> Advice | None:
    """For a network that was never better than a prediction that ignores the images."""
    if case.had_learnt:
        return None
    if case.rate_is_far_too_high:
        return lower_the_rate(case)
    rate, own = case.settings.optimizer.lr, case.optimizer_is_own
    return Advice(
        "The network never left its first prediction: usually the learning rate is far too low or"
        " far too high, or the loss alone does not lead to the labels, as where a class is rare.",
        case.own_code if own else "optimizer.lr",
        "Try the learning rate of your optimizer ten times lower and ten times higher."
        if own
        else f"Try optimizer.lr at {rate / 10:g} and at {rate * 10:g}.",
    )


class Collapsed(Verdict):
    """Validations find nothing, after the network had learnt or at the end of the training; or the
    network has not learnt in time.

    During training, a network that has never learnt may still start to learn.
    """

    cause = "collapsed"
    cures = (
        lower_the_weight_decay,
        lower_the_dominant_weight,
        train_longer,
        try_other_rates,
        lower_a_weight,
        clip_the_gradient,
        lower_the_own_rate,
    )

    def judge_epochs(self, history: Sequence[EpochMetrics], *, over: bool) -> Divergence | None:
        settings, last, best = self.settings, history[-1], best_dice(history)
        trivial = (
            ""
            if last.trivial_dice is None
            else f" (a prediction that ignores the images has {last.trivial_dice:.4f})"
        )
        count, place = settings.collapsed_epochs, lost_since(history)
        if count is not None and place is not None:
            lasted, had_learnt = len(history) - place, has_learnt(history[:place], settings)
            if (had_learnt and lasted >= count) or (over and lasted >= min(count, len(history))):
                since = f"since epoch {history[place].epoch}"
                nothing = "one class everywhere or next to nothing right"
                message = (
                    f"The network had learnt, but {since} predicts {nothing}."
                    if had_learnt
                    else f"The training ended with a network that, {since}, predicts {nothing};"
                    f" its best validation Dice was {best:.4f}{trivial}."
                )
                return self.on_epoch(history[place], message)
        late = settings.learnt_by is not None and last.epoch >= settings.learnt_by
        measured = any(epoch.val_dice is not None for epoch in history)
        if late and measured and not has_learnt(history, settings):
            message = (
                f"The network has not learnt by epoch {settings.learnt_by}: its best validation"
                f" Dice is {best:.4f}, below {bar(last, history, settings):.4g}{trivial}."
            )
            return self.on_epoch(last, message)
        return None


VERDICTS = {verdict.cause: verdict for verdict in (Nonfinite, Zombie, Exploded, Collapsed)}
"""Every verdict by its cause. They are tried in this order."""


def advise(case: Case) -> Advice:
    """The advice of the first cure that fits."""
    return every_advice(case)[0]


def every_advice(case: Case) -> list[Advice]:
    """The advice of each cure that fits, the likeliest first. The last one fits everywhere."""
    verdict = VERDICTS[case.verdict.cause]
    cures = (examine_the_batch, *verdict.cures, lower_the_rate)
    found = [advice for cure in cures if (advice := cure(case)) is not None]
    # Weights that earlier steps have ruined are not mended by a change in the last one.
    return [replace(one, change={}) for one in found] if verdict.moves_weights else found


def has_moved_weights(verdict: Divergence) -> bool:
    """Whether the weights were changed by the steps that led to a verdict."""
    return verdict.stage is Stage.WEIGHTS or VERDICTS[verdict.cause].moves_weights
