"""The guard for who asks for it in a plain loop: `Trial.guard`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.custom.supervised import checked_loss, why_no_network
from sweep.trainer.divergence.advice import Case
from sweep.trainer.divergence.guard import Diverged, Guard
from sweep.trainer.divergence.verdicts import judge_epochs
from sweep.trainer.networks.optimizers import why_not
from sweep.trainer.runs.end_of_run import is_over
from sweep.trainer.runs.postmortem import diagnose, had_learnt, last_gradient
from sweep.trainer.runs.returned_values import Method, described
from sweep.vocabulary.divergence import StepValues
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import TrainerError
from sweep.vocabulary.record import Cause, Stage


class FunctionGuard:
    """Takes the optimizer's steps in a function: no step whose loss or gradient is not finite.

    Gradient clip, policy and limits are those of the settings; with ``trainer.amp: fp16`` it scales
    the loss.

    Args:
        settings: the whole configuration.
        model, optimizer: of the function.
        method: the function, for messages.

    Attributes:
        stop: what ends the trial, once anything has.
    """

    def __init__(
        self,
        settings: TrialSettings,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        method: Method,
    ) -> None:
        if (why := why_no_network(model)) is not None:
            raise TrainerError(f"{method}: its network, {described(model)}, {why}")
        if (why := why_not(optimizer)) is not None:
            raise TrainerError(f"{method}: its optimizer, {described(optimizer)}, {why}")
        fp16 = settings.trainer.amp == "fp16"
        self._settings = settings
        self._method = method
        self._model, self._optimizer = model, optimizer
        self._guard = Guard(
            model, optimizer, settings.optimizer.gradient_clip, settings.guard, fp16=fp16
        )
        self._done: list[StepValues] = []
        self.stop: Diverged | None = None

    def step(self, loss: Tensor, terms: Mapping[str, Tensor] | None = None) -> None:
        """In place of ``zero_grad``, ``backward`` and ``step``.

        Args:
            loss: a scalar with its graph.
            terms: its terms before their weights, by name, so that a verdict can name the one that
                broke.
        Raises:
            Diverged: ends the trial; need not be caught.
        """
        checked = checked_loss((loss, terms or {}), self._method)
        self._take(lambda: self._guard.step(*checked))

    def begin_epoch(self, epoch: int) -> None:
        """Called for the function, when an epoch begins."""
        self._done = []
        self._guard.start_epoch(epoch)

    def end_epoch(self) -> list[StepValues]:
        """The steps of the epoch.

        Raises:
            Diverged: of a step that was not read before, or that the function has swallowed.
        """
        if self.stop is not None:
            raise self.stop
        self._take(self._guard.read)
        return self._done

    def state_dict(self) -> dict[str, Any]:
        self._take(self._guard.read)
        return self._guard.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._guard.load_state_dict(state)

    def judge(self, history: Sequence[EpochMetrics]) -> Diverged | None:
        """The verdict on the last epoch of a history, if there is one, with the diagnosis."""
        verdict = judge_epochs(
            history,
            self._guard.settings,
            scaled=self._guard.fp16,
            over=is_over(history, self._settings),
        )
        if verdict is None:
            return None
        learnt = had_learnt(history, self._settings)
        return self.explained(Diverged(verdict, self._guard.recent()), learnt=learnt)

    def explained(self, stop: Diverged, *, learnt: bool = True) -> Diverged:
        """The same divergence with its likely cause; the weights that are kept are those that the
        function saved last.
        """
        verdict, recent = stop.divergence, stop.recent
        if verdict.stage is Stage.WEIGHTS:
            verdict = replace(verdict, message=_OVERFLOW)
        case = Case(
            verdict=verdict,
            settings=self._settings,
            had_learnt=learnt,
            gradient=None if verdict.cause is Cause.COLLAPSED else last_gradient(verdict, recent),
        )
        diagnosis = replace(diagnose(case, len(self._done), None), recent=recent)
        return Diverged(replace(verdict, diagnosis=diagnosis), recent)

    def watches(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> bool:
        return self._model is model and self._optimizer is optimizer

    def _take(self, steps: Callable[[], Sequence[StepValues]]) -> None:
        try:
            self._done += steps()
        except Diverged as stop:
            self.stop = stop
            raise


_OVERFLOW = "The step overflowed the weights; what the function saved last is from before it."
