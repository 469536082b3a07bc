"""The guard where Lightning takes an optimizer's steps: a precision plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.plugins import Precision
from torch import Tensor
from torch.optim import Optimizer

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.custom.function_guard import FunctionGuard
from sweep.trainer.custom.supervised import checked_loss
from sweep.trainer.runs.returned_values import Method


class TrainingStep:
    """A module's ``training_step``: what it was called with, and the terms of its loss.

    Terms are the numbers that it logs or returns beside the loss and that the loss is made of, as
    its graph shows.

    Attributes:
        called: its arguments, by their place and by their name.
        terms: of the last call.
    """

    def __init__(self, module: LightningModule) -> None:
        self._step, self._log = module.training_step, module.log
        self.method = Method(module.training_step, type(module))
        self.called: tuple[tuple[Any, ...], dict[str, Any]] = (), {}
        self.terms: dict[str, Tensor] = {}
        self._logged: dict[str, Any] = {}
        self._is_again = False

    @contextmanager
    def watched(self, module: LightningModule) -> Iterator[None]:
        @wraps(self._step)  # Lightning reads its signature
        def training_step(*args: Any, **named: Any) -> Any:
            self.called = args, named
            return self._output(*args, **named)

        with replaced(module, "training_step", training_step), replaced(module, "log", self._noted):
            yield

    def again(self, *args: Any, **named: Any) -> tuple[Any, dict[str, Tensor]]:
        """The loss and its terms, computed again. Nothing is logged."""
        self._is_again = True
        try:
            output = self._output(*args, **named)
        finally:
            self._is_again = False
        return (output["loss"] if isinstance(output, Mapping) else output), self.terms

    def _noted(self, name: str, value: Any, *args: Any, **named: Any) -> None:
        self._logged[name] = value
        if not self._is_again:
            self._log(name, value, *args, **named)

    def _output(self, *args: Any, **named: Any) -> Any:
        self._logged.clear()
        output = self._step(*args, **named)
        beside = output if isinstance(output, Mapping) else {"loss": output}
        found = {
            name: value
            for name, value in {**self._logged, **beside}.items()
            if isinstance(value, Tensor) and value.numel() == 1 and value.grad_fn is not None
        }
        self._logged.clear()
        loss = beside.get("loss")
        parts = parts_of(loss, found) if isinstance(loss, Tensor) else set()
        self.terms = {name: value for name, value in found.items() if name in parts}
        return output


class GuardedPrecision(Precision):
    """Lets a guard take the steps, clip the gradient and choose the precision.

    Attributes:
        settings: the trial's, with what the Trainer says of precision and clip.
        guard: made when the fit starts, when the optimizer exists.
    """

    guard: FunctionGuard

    def __init__(self, precision: Any, step: TrainingStep, settings: TrialSettings) -> None:
        self.precision, self.settings = precision, settings
        self._step = step

    @contextmanager
    def forward_context(self) -> Iterator[None]:
        with self.guard.autocast():
            yield

    def backward(  # type: ignore[override]  # as that of `Precision` itself
        self, tensor: Tensor, model: LightningModule, *args: Any, **named: Any
    ) -> None:
        total, _ = checked_loss((tensor, {}), self._step.method)
        again = partial(self._loss_again, model.trainer, model.current_epoch)
        # The module's `optimizer_zero_grad` was called, which may keep some gradients.
        self.guard.accumulate(total, self._step.terms, (again, self._step.called), zeroed=True)

    def optimizer_step(  # type: ignore[override]  # as that of `Precision` itself
        self, optimizer: Any, model: LightningModule, closure: Callable[[], Any], **named: Any
    ) -> Any:
        found = closure()  # calls `training_step` and `backward`
        if self.guard.guard.accumulated:  # else it returned None: there is no step to take
            self.guard.take_step(partial(self._after_closure, model, optimizer))
        return found

    def clip_gradients(self, optimizer: Optimizer, *args: Any, **named: Any) -> None:
        """The guard clips them."""

    def _loss_again(self, trainer: Trainer, epoch: int, *args: Any, **named: Any) -> Any:
        progress = trainer.fit_loop.epoch_progress.current  # an epoch may have begun since
        with replaced(progress, "completed", epoch), self.train_step_context():
            return self._step.again(*args, **named)


def parts_of(loss: Tensor, found: Mapping[str, Tensor]) -> set[str]:
    """Names of those that the loss is computed from, not counting itself."""
    nodes = {name: value.grad_fn for name, value in found.items()}
    wanted, seen = set(nodes.values()) - {loss.grad_fn}, {loss.grad_fn}
    todo = [loss.grad_fn]
    while todo and wanted - seen:
        node = todo.pop()
        new = {one for one, _ in getattr(node, "next_functions", ()) if one is not None} - seen
        seen |= new
        todo += new
    return {name for name, node in nodes.items() if node in wanted & seen}


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """An object with another attribute, inside the context."""
    is_own, before = name in vars(owner), getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
        if not is_own and name in vars(owner):  # a method of its class
            delattr(owner, name)
