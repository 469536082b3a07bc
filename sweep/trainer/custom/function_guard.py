"""The guard for a plain loop: `Trial.guard`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, overload

import torch
from torch import Tensor, nn

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.custom.supervised import checked_loss, why_no_network
from sweep.trainer.divergence.guard import Diverged
from sweep.trainer.networks.optimizers import why_not
from sweep.trainer.runs.explain import explain
from sweep.trainer.runs.returned_values import Method, described
from sweep.trainer.runs.under_guard import StepAgain, UnderGuard
from sweep.vocabulary.divergence import StepValues
from sweep.vocabulary.errors import TrainerError

LossOfBatch = Callable[..., Tensor | tuple[Tensor, Mapping[str, Tensor]]]
"""Given a batch, its loss (scalar, with its graph), or the loss and its terms by name."""
Batch = tuple[Sequence[Any], Mapping[str, Any]]
"""The arguments of a `LossOfBatch`: by their place, and by their name."""


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
        stop: the divergence that ends the trial, with its circumstances; None so far.
    """

    keeps = "what the function saved last is from before it"
    how_to_see = "guard.step(compute_loss, *batch) would show where it broke."

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
        self._names: list[str] = []  # of the terms of the last batch
        self._steps = 0  # of the last whole epoch
        self._casts = False  # whether `autocast` was asked for
        self._epoch = self._taken = 0  # the epoch, and its steps so far
        self._of_step: list[tuple[LossOfBatch, Batch] | None] = []  # its batches so far
        self.stop: Diverged | None = None

    @overload
    def step(self, loss: Tensor | None = ..., terms: Mapping[str, Tensor] | None = ...) -> None: ...
    @overload
    def step(self, loss: LossOfBatch, *batch: Any, **named: Any) -> None: ...
    def step(self, loss: Any = None, *given: Any, **named: Any) -> None:
        """Call it in place of ``zero_grad``, ``backward`` and ``step``.

        ``step(loss, terms)`` takes what was computed; ``step(compute_loss, *batch)`` computes it.
        Only the second can be computed again, to find what broke: the network, a term, the batch.

        Args:
            loss: a scalar with its graph; None after `backward`, which had it.
            terms: its terms before their weights, by name, so that a verdict can name the one that
                broke.
            batch: what `LossOfBatch` is called with. It is kept until the step has been judged.
        Raises:
            Diverged: ends the trial; need not be caught.
            TrainerError: there is no loss, or it is of another form.
        """
        if loss is not None:
            self.backward(loss, *given, **named)
        elif not self.guard.accumulated:
            self._method.fail(
                "called guard.step() without a loss: guard.step(loss), or guard.backward(loss) for"
                " each batch before it"
            )
        self.take_step()

    def take_step(self, before: Callable[[], object] | None = None) -> None:
        """The step by all that was accumulated; ``before`` as of `Guard.take_accumulated`."""
        self.guard.take_accumulated(before)
        self.keep_batch(self._epoch, self._taken, self._of_step)
        self._of_step = []
        self._taken += 1
        if self.guard.is_due:
            self._take(self.guard.read)

    @overload
    def backward(self, loss: Tensor, terms: Mapping[str, Tensor] | None = ...) -> None: ...
    @overload
    def backward(self, loss: LossOfBatch, *batch: Any, **named: Any) -> None: ...
    def backward(self, loss: Any, *given: Any, **named: Any) -> None:
        """Call it in place of ``loss.backward()`` for each batch of a step, then `step`.

        It adds up gradients as torch does: where a step is to take the mean over n batches, give it
        ``loss / n``. The terms need no division: of a step they are the mean over its batches.

        Args:
            loss, terms, batch: as of `step`.
        Raises:
            TrainerError: they are of another form, or the terms are not those of the step's other
                batches.
        """
        again = (loss, (given, named)) if callable(loss) else None
        if again and not (self._taken or self.guard.accumulated):
            self.guard.keep_buffers()  # a checkpoint may have been loaded since the guard was made
        self.accumulate(
            *(self._checked(*again) if again else self._given(loss, *given, **named)), again
        )

    def accumulate(
        self,
        total: Tensor,
        terms: Mapping[str, Tensor],
        again: tuple[LossOfBatch, Batch] | None,
        *,
        zeroed: bool = False,
    ) -> None:
        """`backward` of a loss that has been computed and checked.

        Args:
            again: what computes it again, and of which batch; None if nothing can.
            zeroed: as of `Guard.backward`.
        """
        names = list(terms)
        if self.guard.accumulated and names != self._names:
            self._method.fail(
                f"gave the terms {names} of one batch and {self._names} of another of the same"
                " step, but they must be the same, in the same order"
            )
        self._names = names
        self.guard.backward(total, terms, zeroed=zeroed)
        self._of_step.append(again)

    def autocast(self) -> torch.autocast:
        """The precision of ``trainer.amp``: ``with guard.autocast(): logits = model(images)``.

        In a `LossOfBatch`, another one can be tried on a step that broke.
        """
        self._casts = True
        return super().autocast()

    def step_again(self, epoch: int, step: int) -> StepAgain | None:
        of_step = self.kept_batch(epoch, step)
        if of_step is None:
            return None
        kept = of_step[self.guard.recent((epoch, step))[-1].broken_batch or 0]
        if kept is None:
            return None
        compute_loss, batch = kept

        def forward() -> tuple[None, Mapping[str, Tensor]]:
            loss, terms = self._checked(compute_loss, batch)
            return None, terms or {"loss": loss}

        def loss_with(settings: TrialSettings, inputs: Any) -> Tensor:
            asked, self.settings, self._casts = self.settings, settings, False
            try:
                loss = self._checked(compute_loss, inputs)[0]
            finally:
                self.settings = asked
            read = {"trainer": settings.trainer} if self._casts else {}
            if asked.model_copy(update=read) != settings:
                raise TrainerError("the function does not read here what was changed")
            return loss

        return StepAgain(forward=forward, loss_with=loss_with, inputs=batch)

    def begin_epoch(self, epoch: int) -> None:
        """Called by `Trial` when an epoch begins."""
        self._done = []
        self._epoch, self._taken, self._of_step = epoch, 0, []
        self.guard.start_epoch(epoch)

    def end_epoch(self) -> list[StepValues]:
        """The steps of the epoch.

        Raises:
            Diverged: at a step that was not read before, or whose exception the function has
                caught.
        """
        if self.stop is not None:
            raise self.stop
        self._require_whole_steps()
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
        self._require_whole_steps()
        self._take(self.guard.read)
        return self.guard.state_dict() | {"steps": len(self._done) or self._steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.guard.load_state_dict(state)
        self._steps = state.get("steps", 0)  # an older checkpoint has none

    def _given(
        self, loss: Any, terms: Any = None, *more: Any, **named: Any
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """A loss and its terms, checked; no terms if none are named."""
        if not (isinstance(loss, Tensor) and isinstance(terms, Mapping | None)) or more or named:
            beside = [described(one) for one in (terms, *more) if one is not None]
            self._method.fail(
                f"gave the guard {', '.join([described(loss), *beside])}, but it takes (loss,"
                " terms), of which the loss must be a tensor with its graph and the terms a dict,"
                " or (compute_loss, *batch)"
            )
        total, found = checked_loss((loss, terms or {}), self._method)
        return total, found if terms else {}

    def _checked(
        self, compute_loss: LossOfBatch, batch: Batch
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        found, by = compute_loss(*batch[0], **batch[1]), Method(compute_loss)
        if isinstance(found, Tensor):
            found = found, {}
        total, named = checked_loss(found, by)
        return total, named if found[1] else {}

    def _require_whole_steps(self) -> None:
        """Gradients without a step are in no checkpoint: a trial that goes on would lose them."""
        if self.guard.accumulated:
            self._method.fail(
                f"saved or reported an epoch after {self.guard.accumulated} times guard.backward"
                " without a guard.step: take a step with the last batch of an epoch too, as in `if"
                " (index + 1) % n == 0 or index + 1 == len(batches): guard.step()`"
            )

    def _take(self, steps: Callable[[], Sequence[StepValues]]) -> None:
        try:
            self._done += steps()
        except Diverged as stop:
            # Of the first, also where the function goes on after it; here and now, where the
            # function's network, and what its loss reads, are what they were in that step.
            self.stop = self.stop or explain(self, stop)
            raise self.stop from None
