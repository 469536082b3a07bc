"""The guard for a plain loop: `Trial.guard`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.custom.supervised import checked_loss, why_no_network
from sweep.trainer.divergence.guard import Diverged
from sweep.trainer.networks.optimizers import why_not
from sweep.trainer.runs.returned_values import Method, described
from sweep.trainer.runs.under_guard import UnderGuard
from sweep.vocabulary.divergence import StepValues
from sweep.vocabulary.errors import TrainerError


class FunctionGuard(UnderGuard):
    """Take the optimizer's steps in a function, except those with a nonfinite loss or gradient.

    Gradient clip, policy and limits follow the settings. With ``trainer.amp: fp16`` it scales the
    loss.

    Args:
        settings: the whole configuration.
        model: the function's network.
        optimizer: its optimizer.
        method: the function, for messages.

    Attributes:
        stop: the divergence that ends the trial; None so far.
    """

    keeps = "what the function saved last is from before it"

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
        self.settings = settings
        self._method = method
        self.model, self.optimizer = model, optimizer
        self.begin_guard(fp16=settings.trainer.amp == "fp16")
        self._done: list[StepValues] = []
        self._steps = 0  # of the last whole epoch
        self.stop: Diverged | None = None

    def step(self, loss: Tensor, terms: Mapping[str, Tensor] | None = None) -> None:
        """Call it in place of ``zero_grad``, ``backward`` and ``step``.

        Args:
            loss: a scalar with its graph.
            terms: its terms before their weights, by name, so that a verdict can name the one that
                broke.
        Raises:
            Diverged: ends the trial; need not be caught.
        """
        checked = checked_loss((loss, terms or {}), self._method)
        self._take(lambda: self.guard.step(*checked))

    def begin_epoch(self, epoch: int) -> None:
        """Called by `Trial` when an epoch begins."""
        self._done = []
        self.guard.start_epoch(epoch)

    def end_epoch(self) -> list[StepValues]:
        """The steps of the epoch.

        Raises:
            Diverged: at a step that was not read before, or whose exception the function has
                caught.
        """
        if self.stop is not None:
            raise self.stop
        self._take(self.guard.read)
        self._steps = len(self._done)
        return self._done

    @property
    def steps_per_epoch(self) -> int:
        return self._steps

    @property
    def optimizer_is_own(self) -> bool:
        return True

    def weights_are_finite(self) -> bool:
        return True  # the function saved them, and the guard had read its steps before that

    def state_dict(self) -> dict[str, Any]:
        self._take(self.guard.read)
        return self.guard.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.guard.load_state_dict(state)

    def _take(self, steps: Callable[[], Sequence[StepValues]]) -> None:
        try:
            self._done += steps()
        except Diverged as stop:
            self.stop = stop
            raise
