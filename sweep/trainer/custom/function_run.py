"""A user's plain loop as a trainer: a function ``train(config, trial)`` that reports its epochs.

    def train(config, trial):
        model, optimizer, start = ..., ..., 0
        if (state := trial.checkpoint.load()) is not None:  # it resumes
            model.load_state_dict(state["model"]) optimizer.load_state_dict(state["optimizer"])
            start = state["epoch"] + 1
        for epoch in range(start, trial.epochs):
            ... trial.checkpoint.save({"model": model.state_dict(), ..., "epoch": epoch})
            trial.report(epoch, dice=dice)

It needs nothing of this package. Loss, optimizer and shared warm-up are not provided; the guard is,
on request. See docs/how-to/own-trainer.md and examples/function_trainer.py.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from sweep.spec.settings.trainer_settings import CustomTrainer
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.tree.setting_tree import names_in
from sweep.trainer.custom.entry_point import Function, canonical, entry_of
from sweep.trainer.custom.function_guard import FunctionGuard
from sweep.trainer.custom.inverted_function import Inverted
from sweep.trainer.custom.raised_errors import own_errors
from sweep.trainer.custom.trainer_options import Options, asked_for
from sweep.trainer.divergence.guard import Diverged
from sweep.trainer.networks.device import choose_device, make_deterministic, seed_everything
from sweep.trainer.runs.explain import judge, require_finite_loss
from sweep.trainer.runs.returned_values import (
    Method,
    described,
    measured,
    number,
    state,
    tensors,
    validation_dice,
)
from sweep.trainer.runs.run_protocol import EffectiveConfiguration, Ended, Loop, Run
from sweep.trainer.runs.under_guard import summary
from sweep.vocabulary.epoch_metrics import EpochMetrics

DICE_NAMES = frozenset({"dice", "val_dice", "validation_dice", "valid_dice"})
"""Metrics, in lower case, that are meant as the argument ``dice``, which files call `val_dice`."""


class Checkpoint:
    """State from which a function resumes after a pause, an interruption or a lost worker.

    The state of Python's, NumPy's and torch's generators is saved with it. A function that loads it
    before its loop draws the same random numbers as without the interruption.
    """

    def __init__(self, method: Method) -> None:
        self._method = method
        self.kept: dict[str, Any] | None = None
        self.guards: list[FunctionGuard] = []
        self._of_guards: list[Mapping[str, Any] | None] = []  # loaded, not yet given to a guard

    def save(self, state_: Mapping[str, Any]) -> None:
        """Keep a copy of ``state_``, on the disk with the next report. Save before you report.

        Args:
            state_: tensors, numbers and texts, and dicts and lists of them.
        Raises:
            TrainerError: it holds something else.
        """
        guards = [guard.state_dict() for guard in self.guards]
        self.kept = {
            "state": state(state_, self._method),
            "random": _random_state(),
            "guard": guards if len(guards) > 1 else next(iter(guards), None),
        }

    def load(self) -> dict[str, Any] | None:
        """A copy of what was kept with the last report, on the CPU; None in a new trial."""
        if self.kept is None:
            return None
        _set_random_state(self.kept["random"])
        of_guards = self.kept["guard"]
        self._of_guards = list(of_guards) if isinstance(of_guards, list) else [of_guards]
        self.restore_guards()
        return state(self.kept["state"], self._method)

    def restore_guards(self) -> None:
        """Give each guard its loaded state, whichever of the two came first."""
        for place, (guard, state_) in enumerate(zip(self.guards, self._of_guards, strict=False)):
            if state_ is not None:
                guard.load_state_dict(state_)
                self._of_guards[place] = None


class Trial:
    """The second argument of a function, besides its options.

    Attributes:
        epochs: largest number of epochs: ``trainer.epochs``.
        seed: seed of the trial, with which the generators are seeded.
        device: the device of ``trainer.device``.
        checkpoint: see `Checkpoint`.
        reported: number of epochs reported so far, including those before an interruption.
        settings_are_read: whether `settings` was accessed.
        loss_is_broken: whether the last reported ``train_loss`` is NaN or infinite.
    """

    def __init__(
        self, settings: TrialSettings, method: Method, hand_over: Callable[[EpochMetrics], None]
    ) -> None:
        self.epochs = settings.trainer.epochs
        self.seed = settings.seed
        self.device = choose_device(settings)
        self.checkpoint = Checkpoint(method)
        self.reported = 0
        self.settings_are_read = False
        self.loss_is_broken = False
        self._settings = settings
        self._method = method
        self._hand_over = hand_over

    @property
    def settings(self) -> TrialSettings:
        """The whole configuration: ``trial.settings.optimizer.lr``."""
        self.settings_are_read = True
        return self._settings

    def guard(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        settings: TrialSettings | None = None,
    ) -> FunctionGuard:
        """A guard: ``guard.step(compute_loss, *batch)`` replaces ``zero_grad``, ``backward`` and
        ``step``, and so does ``guard.step(loss)``.

        It ends the trial at a step with a nonfinite loss or gradient.

        A guard is for one network and one optimizer. Each further pair needs its own guard.

        Args:
            settings: in place of the trial's, such as those with another precision.
        Raises:
            TrainerError: it cannot take the steps of this optimizer.
        """
        self.settings_are_read = True
        guard = FunctionGuard(settings or self._settings, model, optimizer, self._method)
        guard.begin_epoch(self.reported)
        guards = self.checkpoint.guards
        pairs = [(one.model, one.optimizer) for one in guards]
        same = (n for n, (m, o) in enumerate(pairs) if m is model and o is optimizer)
        place = next(same, len(guards))
        guards[place : place + 1] = [guard]
        self.checkpoint.restore_guards()
        return guard

    def report(
        self, epoch: int, dice: Any = None, *, train_loss: Any = None, **metrics: Any
    ) -> None:
        """Report an epoch. Each is reported once, in order.

        An epoch that was reported before is ignored. So a function may resume from an older
        checkpoint, or begin again.

        Args:
            epoch: index from 0.
            dice: validation Dice in [0, 1]; None if it was not measured.
            train_loss: mean over the epoch; None if it was not measured. NaN or infinity ends the
                trial as diverged, unless ``guard.on_nonfinite`` is ``skip``.
            metrics: further numbers by name; NaN for one that was not measured.
        Raises:
            TrialStopped: the trial is pruned, pauses, or is out of patience.
            TrainerError: one of the arguments is wrong.
        """
        try:
            at = number(epoch)
        except TypeError:
            at = math.nan
        if not (math.isfinite(at) and at >= 0 and at == int(at)):
            self._method.fail(
                f"reported {described(epoch)} as its epoch, but it must be a whole number from 0:"
                " trial.report(epoch, dice=…)"
            )
        guards = self.checkpoint.guards
        if at < self.reported:
            for guard in guards:
                guard.end_epoch()  # reads what a GPU has not told yet
                guard.begin_epoch(self.reported)
            return
        if at > self.reported:
            self._method.fail(
                f"reported epoch {int(at)} where epoch {self.reported} was to come: epochs count"
                " from 0, and each is reported"
            )
        if misnamed := next((name for name in metrics if name.lower() in DICE_NAMES), None):
            self._method.fail(
                f"reported a metric {misnamed!r}: the validation Dice goes to `dice`, as in"
                " trial.report(epoch, dice=…)"
            )
        values = measured({"train_loss": train_loss, **metrics}, self._method)
        loss = values.pop("train_loss")
        self.loss_is_broken = loss is not None and not math.isfinite(loss)
        found = EpochMetrics(
            epoch=self.reported, val_dice=validation_dice(dice, self._method), metrics=values
        )
        steps = [step for guard in guards for step in guard.end_epoch()]
        found = replace(found, **(summary(steps) if steps else {}))
        self.reported += 1
        self._hand_over(found if loss is None else replace(found, train_loss=loss))
        for guard in guards:
            guard.begin_epoch(self.reported)


class FunctionRun(Run):
    """A `Run` of a user's function.

    Args:
        settings: the whole configuration; its ``trainer.options`` are the function's ``config``.
        function: takes (config, trial).

    Attributes:
        method: the function, for messages.
    """

    shares_warmup = False
    """A function may use any setting in any way, so no warm-up can be shared."""

    def __init__(self, settings: TrialSettings, function: Function) -> None:
        assert isinstance(settings.trainer, CustomTrainer)
        asked = settings.trainer.entry
        self.settings = settings
        self.options = Options(settings.trainer.options)
        self._entry, self._asked = entry_of(function, asked), canonical(asked)
        self.method = Method(function, name=asked.rpartition(":")[2])
        self._called = function
        self._function = Inverted[EpochMetrics](self._call)
        self.trial = Trial(settings, self.method, self._function.hand_over)
        self._is_first, self._told_broken = True, False
        self._guard_before: Mapping[str, Any] | None = None  # state of the first guard, loaded
        make_deterministic(settings)
        seed_everything(settings.seed, 0)

    def run_epoch(self, epoch: int) -> EpochMetrics:
        start = time.perf_counter()
        self.trial.reported = epoch
        kept = self.trial.checkpoint.kept
        found = self._function.next()
        for guard in self._guards:
            if guard.stop is not None:  # the function has caught it
                raise guard.stop
        if found is None:
            raise Ended
        try:
            require_finite_loss(found, self.settings)
        except Diverged:
            self.trial.checkpoint.kept = kept  # what it saved in this epoch may be broken too
            raise
        warnings = tuple(self._warnings()) if self._is_first and epoch == 0 else ()
        if not (self._guards or self._told_broken) and (broken := self._broken(found, kept)):
            self._told_broken = True
            warnings += (broken,)
        self._is_first = False
        return replace(found, seconds=time.perf_counter() - start, warnings=warnings)

    def judge(self, history: Sequence[EpochMetrics]) -> Diverged | None:
        guard = self._guards[0] if self._guards else self._stand_in()
        verdict = judge(guard, history) if guard is not None else None
        if verdict is None and len(history) >= self.trial.epochs:
            self._function.finish()  # runs the code after its loop
        return verdict

    def measured(self, metrics: EpochMetrics, *, best: bool) -> EpochMetrics:
        return metrics

    def state_dict(self) -> dict[str, Any]:
        return {
            "checkpoint": self.trial.checkpoint.kept,
            "guard": self._guards[0].state_dict() if self._guards else self._guard_before,
            "told_broken": self._told_broken,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.trial.checkpoint.kept = state["checkpoint"]
        self._guard_before = state.get("guard")  # an older checkpoint has neither
        self._told_broken = state.get("told_broken", False)

    def weights(self) -> dict[str, Any]:
        """The state that the function has saved; empty if none."""
        kept = self.trial.checkpoint.kept
        return {} if kept is None else dict(kept["state"])

    def effective_configuration(self, loop: Loop) -> EffectiveConfiguration:
        effective = {
            "seed": self.trial.seed,
            "trainer.epochs": loop.epochs,
            "trainer.device": self.trial.device.type,
            "trainer.threads": torch.get_num_threads(),
            "trainer.deterministic": torch.are_deterministic_algorithms_enabled(),
            "trainer.entry": self._entry,
            "trainer.options": self.options.unobserved(),
            "guard.on_nonfinite": self.settings.guard.on_nonfinite,
            "early_stopping.patience": loop.stopping.patience,
            "early_stopping.min_delta": loop.stopping.min_delta,
        }
        return EffectiveConfiguration(
            effective=effective,
            expected={"trainer.device": self.trial.device.type, "trainer.entry": self._asked},
            not_read={
                key: "a function reads it, or nobody does"
                for key in names_in(self.settings)
                if key not in effective
            },
            model=None,
        )

    def close(self) -> None:
        """Stop the function where it waits, so that it can clean up."""
        self._function.stop()

    def _call(self) -> None:
        """Runs in its own thread, which receives no signal."""
        with own_errors(self.method):
            found = self._called(self.options, self.trial)
        if isinstance(found, Awaitable | Generator | AsyncGenerator):
            if isinstance(found, Coroutine | Generator):
                found.close()  # it will not be awaited
            self.method.refuse(
                found, "must train when it is called: without `async def` and without `yield`"
            )

    @property
    def _guards(self) -> Sequence[FunctionGuard]:
        return self.trial.checkpoint.guards

    def _stand_in(self) -> FunctionGuard | None:
        """Judges the epochs from before an interruption, until the function has made its guard."""
        if self._guard_before is None:
            return None
        unknown = torch.optim.Optimizer([torch.zeros(())], {})  # without a rate that could be told
        guard = FunctionGuard(self.settings, nn.Identity(), unknown, self.method)
        guard.how_to_see = ""  # the function may do that already: its batches are gone
        guard.load_state_dict(self._guard_before)
        return guard

    def _warnings(self) -> Iterator[str]:
        """Requested settings that the function has not read in its first epoch."""
        yield from self.options.unread()
        if self.trial.settings_are_read:
            return
        for group in ("loss", "optimizer", "guard"):
            for key in asked_for(self.settings, group):
                if key == "guard.on_nonfinite":  # acts on what the function reports
                    continue
                yield (
                    f"`{key}` has no effect: the trainer is a function, which has not read"
                    " trial.settings"
                )

    def _broken(self, found: EpochMetrics, before: Mapping[str, Any] | None) -> str | None:
        """A sign of a divergence that does not end the trial; None if there is none.

        Args:
            found: the epoch that was reported last.
            before: what had been saved before it.
        """
        if self.trial.loss_is_broken:
            return (
                f"train_loss is not finite in epoch {found.epoch}; the trial goes on, because"
                " `guard.on_nonfinite` is skip"
            )
        losses = {k: v for k, v in found.metrics.items() if "loss" in k.lower() and v is not None}
        if (name := next((k for k, v in losses.items() if not math.isfinite(v)), None)) is not None:
            return (
                f"{name} is not finite in epoch {found.epoch}; the trial goes on: only a train_loss"
                " that is not finite, or a guard, ends it"
            )
        kept = self.trial.checkpoint.kept
        if kept is None or kept is before:
            return None
        now = dict(tensors(kept["state"]))
        if (place := next((at for at, one in now.items() if one.isnan().any()), None)) is not None:
            return (
                f"what was saved in epoch {found.epoch} holds NaN, in {place}; the trial goes on,"
                " because neither a guard nor the train_loss that it reported has shown it"
            )
        then = {} if before is None else dict(tensors(before["state"]))
        # Batch normalisation keeps these up to date without any step.
        trained = {at: one for at, one in now.items() if ".running_" not in at}
        if trained and all(
            at in then and torch.equal(one, then[at]) for at, one in trained.items()
        ):
            return (
                f"no weight that was saved in epoch {found.epoch} differs from the epoch before: if"
                " no step was taken, as when a GradScaler skips all of them, nothing is trained"
            )
        return None


def _random_state() -> dict[str, Any]:
    """State of the random generators, as plain values and tensors."""
    numpy_state: dict[str, Any] = np.random.get_state(legacy=False)
    words = numpy_state["state"]
    return {
        "python": random.getstate(),
        "numpy": numpy_state | {"state": words | {"key": words["key"].tolist()}},
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _set_random_state(state_: Mapping[str, Any]) -> None:
    random.setstate(state_["python"])
    words = state_["numpy"]["state"]
    np.random.set_state(
        state_["numpy"] | {"state": words | {"key": np.array(words["key"], np.uint32)}}
    )
    torch.set_rng_state(state_["torch"])
    if state_["cuda"]:
        torch.cuda.set_rng_state_all(state_["cuda"])
