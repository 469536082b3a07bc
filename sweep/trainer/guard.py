"""The guard: no optimizer step is ever taken with a loss or gradient that is not finite.

How it does so without asking the device in every step. The losses, the gradient norm and the norm
of the weights stay on the device as one small vector a step. From them the guard computes, on the
device, a flag that is sticky (once set it stays set) and hands it to the fused optimizer as
``found_inf``: the kernel itself then leaves weights and momentum as they are. The vectors are read
every `Guard.interval` steps and at the end of the epoch: one transfer. So the step at which a trial
diverged is known exactly, and whatever ran between it and the reading has changed nothing.

On the CPU a reading costs nothing and happens in every step: the trial ends in the very step.

A gradient can be finite and the step still overflow the weights. No flag can foresee that, so the
guard keeps a copy of weights and buffers from the last reading that was healthy and puts it back
(on the CPU: the weights of the step before).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sweep.record import Cause, Divergence, Stage

READ_EVERY_ON_GPU = 8
"""Steps between two readings on a GPU; a reading stalls the device's queue once."""


class Diverged(Exception):
    """Ends a trial's training; carries the verdict. The model holds the last healthy weights."""

    def __init__(self, divergence: Divergence) -> None:
        super().__init__(divergence.message)
        self.divergence = divergence


@dataclass(frozen=True, slots=True, kw_only=True)
class StepValues:
    """What one optimizer step measured, on the host.

    Args:
        step: index in the epoch, from 0.
        terms: each loss term before its weight, by name.
        loss: the total.
        grad_norm: Euclidean norm of the whole gradient before clipping.
        weight_norm: Euclidean norm of all weights after the step.
    """

    step: int
    terms: Mapping[str, float]
    loss: float
    grad_norm: float
    weight_norm: float


class Guard:
    """Takes the optimizer steps of one training run and watches each of them.

    Args:
        model: the network.
        optimizer: a fused optimizer over the network's parameters.
        gradient_clip: largest gradient norm of a step; None for no clipping.
    """

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, gradient_clip: float | None
    ) -> None:
        self._optimizer = optimizer
        self.gradient_clip = gradient_clip
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._buffers = [b for b in model.buffers() if b.is_floating_point()]
        device = self._parameters[0].device
        self.interval = 1 if device.type == "cpu" else READ_EVERY_ON_GPU
        self._tripped = torch.zeros((), device=device)
        self._names: tuple[str, ...] = ()
        self._unread: list[Tensor] = []  # one vector [terms…, loss, grad norm, weight norm] a step
        self._read_steps = 0
        self._epoch = 0
        self._kept = [torch.empty_like(t) for t in self._state()]
        self._keep()

    def start_epoch(self, epoch: int) -> None:
        """Call before the first step of an epoch: steps are counted from here."""
        self._epoch = epoch
        self._read_steps = 0
        # The weights may have been loaded from a checkpoint since.
        self._keep()

    def step(self, loss: Tensor, terms: Mapping[str, Tensor]) -> list[StepValues]:
        """Backward pass, clip and optimizer step; the step is withheld if anything is not finite.

        Args:
            loss: the total (scalar), with its graph.
            terms: each term of it before its weight (scalars).
        Returns:
            the values of the steps read now: one on a CPU, none or several on a GPU.
        Raises:
            Diverged: at the first step that is not finite; the last healthy weights are kept.
        """
        self._names = tuple(terms)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        limit = math.inf if self.gradient_clip is None else self.gradient_clip
        grad_norm = nn.utils.clip_grad_norm_(self._parameters, limit)
        seen = torch.stack([*(t.detach().float() for t in terms.values()), loss.detach().float()])
        healthy = torch.isfinite(seen).all() & torch.isfinite(grad_norm)
        torch.maximum(self._tripped, (~healthy).float(), out=self._tripped)
        self._take_step()
        weight_norm = _norm(self._parameters)
        self._unread.append(torch.cat([seen, torch.stack([grad_norm.float(), weight_norm])]))
        return self.read() if len(self._unread) >= self.interval else []

    def read(self) -> list[StepValues]:
        """Fetch what is still on the device; call it at the end of an epoch too.

        Raises:
            Diverged: as `step`.
        """
        if not self._unread:
            return []
        rows = torch.stack(self._unread).tolist()
        self._unread.clear()
        values = [self._host_values(index, row) for index, row in enumerate(rows)]
        self._read_steps += len(rows)
        for step in values:
            if (verdict := self._judge(step)) is not None:
                self._restore(weights=verdict.stage is Stage.WEIGHTS)
                raise Diverged(verdict)
        self._keep()
        return values

    def _take_step(self) -> None:
        self._optimizer.found_inf = self._tripped  # type: ignore[attr-defined]
        self._optimizer.grad_scale = None  # type: ignore[attr-defined]
        self._optimizer.step()

    def _host_values(self, index: int, row: Sequence[float]) -> StepValues:
        *terms, loss, grad_norm, weight_norm = row
        return StepValues(
            step=self._read_steps + index,
            terms=dict(zip(self._names, terms, strict=True)),
            loss=loss,
            grad_norm=grad_norm,
            weight_norm=weight_norm,
        )

    def _judge(self, values: StepValues) -> Divergence | None:
        broken = [name for name, value in values.terms.items() if not math.isfinite(value)]
        if broken or not math.isfinite(values.loss):
            return self._verdict(values, Stage.LOSS, broken[0] if broken else None)
        if not math.isfinite(values.grad_norm):
            return self._verdict(values, Stage.GRADIENT, None)
        if not math.isfinite(values.weight_norm):
            return self._verdict(values, Stage.WEIGHTS, None)
        return None

    def _verdict(self, values: StepValues, stage: Stage, term: str | None) -> Divergence:
        return Divergence(
            cause=Cause.NONFINITE,
            epoch=self._epoch,
            step=values.step,
            stage=stage,
            term=term,
            terms={name: f"{value:.6g}" for name, value in values.terms.items()},
            message=_sentence(stage, term),
        )

    def _state(self) -> list[Tensor]:
        return [*(p.detach() for p in self._parameters), *self._buffers]

    def _keep(self) -> None:
        torch._foreach_copy_(self._kept, self._state())

    def _restore(self, *, weights: bool) -> None:
        """Undo what the unhealthy step touched: batch-norm statistics, and weights if asked."""
        first = 0 if weights else len(self._parameters)
        for tensor, kept in zip(self._state()[first:], self._kept[first:], strict=True):
            tensor.copy_(kept)


def _norm(tensors: Iterable[Tensor]) -> Tensor:
    """Euclidean norm of all tensors together; not finite where any element is not."""
    detached = [t.detach() for t in tensors]
    norms: list[Tensor] = list(torch._foreach_norm(detached))
    total: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    return total.float()


def _sentence(stage: Stage, term: str | None) -> str:
    match stage:
        case Stage.LOSS:
            what = f"The loss term {term!r}" if term else "The total loss"
            return f"{what} was not finite; the step was not taken."
        case Stage.GRADIENT:
            return "The loss was finite but its gradient was not; the step was not taken."
        case Stage.WEIGHTS:
            return "The step overflowed the weights; it was undone."
