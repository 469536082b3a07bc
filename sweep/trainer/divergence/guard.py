"""The guard: no optimizer step is ever taken with a loss or gradient that is not finite.

How it does so without asking the device in every step. The losses, the gradient norm and the norm
of the weights stay on the device as one small vector a step. From them the guard computes, on the
device, a flag and hands it to the fused optimizer as ``found_inf``: where it is set, the kernel
itself leaves weights and momentum as they are. The vectors are read every `Guard.interval` steps
and at the end of the epoch: one transfer. So the step at which a trial diverged is known exactly,
and whatever ran between it and the reading has changed nothing.

Most optimizers know no such flag (see `sweep.trainer.networks.optimizers.takes_flag`). Before a
step of theirs the guard reads the flag and, where it is set, does not take the step: on a GPU that
costs a transfer in every step.

``on_nonfinite: terminate``: the flag is sticky. Once set it stays set until the reading, which ends
the trial. ``on_nonfinite: skip``: the flag concerns its own step alone and the next healthy step is
taken; two counters on the device, of the skipped steps in a row and of the epoch, make it sticky
where a limit is exceeded. With a gradient scaler (fp16) a gradient that overflows is how the scaler
finds its scale: it skips a step under both policies, a loss that is not finite does not.

Batch-norm statistics have seen the batch before the flag is known; where it is set they are put
back, on the device too. A buffer that was not finite to begin with, such as a causal mask of -inf,
is no statistic and is not judged.

A gradient can be finite and the step still overflow the weights. No flag can foresee that, and it
ends the trial under both policies: a step can be withheld, not undone. The guard keeps no copy of
the weights for it: a run is a function of its state at the start of an epoch, so whoever wants the
weights before that step trains up to it again (`GuardedRun.rewind`).

On the CPU a reading costs nothing and happens in every step: the trial ends in the very step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sweep.spec.settings.trial_settings import GuardSettings
from sweep.trainer.divergence.verdicts import StepJudge
from sweep.trainer.networks.optimizers import takes_flag
from sweep.vocabulary.divergence import StepValues
from sweep.vocabulary.record import Divergence

READ_EVERY_ON_GPU = 8
"""Steps between two readings on a GPU; a reading stalls the device's queue once."""


class Diverged(Exception):
    """Ends a trial's training.

    Args:
        divergence: the verdict.
        recent: the last steps up to the one that it names.
        offending: what that step can be reproduced from, see `sweep.trainer.runs.reproduce`.
    """

    def __init__(
        self,
        divergence: Divergence,
        recent: Sequence[StepValues] = (),
        offending: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(divergence.message)
        self.divergence = divergence
        self.recent = tuple(recent)
        self.offending = offending


class Guard:
    """Takes the optimizer steps of one training run and watches each of them.

    Args:
        model: the network.
        optimizer: any optimizer of torch over the network's parameters whose step needs no closure.
        gradient_clip: largest gradient norm of a step; None for no clipping.
        settings: policy and limits.
        fp16: scale the loss, as gradients in float16 need.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        gradient_clip: float | None,
        settings: GuardSettings | None = None,
        *,
        fp16: bool = False,
    ) -> None:
        self.settings = settings or GuardSettings()
        self.gradient_clip = gradient_clip
        self._buffers: list[Tensor] = []
        self._judged: list[Tensor] = []  # of the buffers
        self.watch(model, optimizer)
        device = self._parameters[0].device
        self.fp16 = fp16
        self._scaler = torch.amp.GradScaler(device.type, enabled=fp16)
        self._judge = StepJudge(self.settings, gradient_clip=gradient_clip, scaled=fp16)
        self._one = torch.ones((), device=device)
        self._fatal = torch.zeros((), device=device)
        self._in_a_row = torch.zeros((), device=device)
        self._in_epoch = torch.zeros((), device=device)
        self._kept_buffers: list[Tensor] = []
        self._names: tuple[str, ...] = ()
        self._unread: list[Tensor] = []  # one vector a step, see `_measured`
        self._epoch = self._read_steps = 0

    def watch(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Take the steps of these from now on; what was judged so far stays.

        Call it before `start_epoch` where they may be others than before.
        """
        self._model, self._optimizer = model, optimizer
        self._takes_flag = takes_flag(optimizer)
        self._watch_buffers(list(model.buffers()))
        on_cpu = self._parameters[0].device.type == "cpu"
        self.interval = 1 if on_cpu or not self._takes_flag else READ_EVERY_ON_GPU

    def _watch_buffers(self, buffers: list[Tensor]) -> None:
        """Of each buffer that is new, see whether it is finite: only such a one can diverge."""
        judged, known = {id(b) for b in self._judged}, {id(b) for b in self._buffers}
        self._judged = [
            buffer
            for buffer in buffers
            if buffer.is_floating_point()
            and (id(buffer) in judged if id(buffer) in known else bool(buffer.isfinite().all()))
        ]
        self._buffers = buffers

    @property
    def weights_are_finite(self) -> bool:
        """Whether the network is, buffers included that were to begin with; asks the device."""
        weights = (p for p in self._model.parameters() if p.is_floating_point())
        return all(bool(torch.isfinite(t).all()) for t in (*weights, *self._judged))

    @property
    def _parameters(self) -> list[Tensor]:
        """What the optimizer steps, as it is now: a network may be thawed as it goes."""
        return [p for group in self._optimizer.param_groups for p in group["params"]]

    def start_epoch(self, epoch: int, factor: float = 0.0, *, step: int = 0) -> None:
        """Call before the first step of an epoch.

        Args:
            epoch: index from 0.
            factor: the geometric factor of its loss.
            step: steps are counted from here.
        """
        self._epoch, self._read_steps = epoch, step
        self._judge.start_epoch(factor)
        self._fatal.zero_()
        self._in_epoch.zero_()
        self._in_a_row.fill_(self._judge.skips_in_a_row)
        # Weights and statistics may have been loaded from a checkpoint since.
        self._kept_buffers = [buffer.clone() for buffer in self._buffers]

    @property
    def suspicious(self) -> bool:
        """Whether the last steps may yet be told as the beginning of an explosion."""
        return self._judge.suspicious

    def step(self, loss: Tensor, terms: Mapping[str, Tensor]) -> list[StepValues]:
        """Backward pass, clip and optimizer step; the step is withheld if anything is not finite.

        Args:
            loss: the total (scalar), with its graph.
            terms: each term of it before its weight (scalars).
        Returns:
            the values of the steps read now: one on a CPU, none or several on a GPU.
        Raises:
            Diverged: with the verdict on one of the steps read.
        """
        self._names = tuple(terms)
        self._optimizer.zero_grad(set_to_none=True)
        scale = self._scaler.scale(self._one)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(self._optimizer)
        limit = math.inf if self.gradient_clip is None else self.gradient_clip
        parameters = self._parameters
        grad_norm = nn.utils.clip_grad_norm_(parameters, limit).float()
        losses = torch.stack([t.detach().float() for t in (*terms.values(), loss)])
        withheld = self._withhold(torch.isfinite(losses).all(), torch.isfinite(grad_norm))
        self._take_step(withheld)
        self._scaler.update()
        self._put_back_buffers(withheld)
        rest = [grad_norm, _norm([*parameters, *self._judged]), scale, withheld]
        self._unread.append(torch.cat([losses, torch.stack(rest)]))
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
            if (verdict := self._judge.judge(step)) is not None:
                raise Diverged(verdict, self.recent((verdict.epoch, verdict.step)))
        return values

    def recent(self, until: tuple[int, int] | None = None) -> tuple[StepValues, ...]:
        """The last steps that were read, or those up to a place (epoch, step), oldest first."""
        return self._judge.recent(until)

    @property
    def scaler(self) -> torch.amp.GradScaler:
        """Of the loss; it does nothing but with fp16."""
        return self._scaler

    def state_dict(self) -> dict[str, Any]:
        """The scaler's and the judge's state, as plain values; call it where nothing is unread."""
        return {"scaler": self._scaler.state_dict(), "judge": self._judge.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._unread.clear()
        self._scaler.load_state_dict(dict(state["scaler"]))
        self._judge.load_state_dict(state["judge"])

    def _withhold(self, loss_is_finite: Tensor, gradient_is_finite: Tensor) -> Tensor:
        """1 where the step must not be taken, else 0; on the device."""
        broken = (~(loss_is_finite & gradient_is_finite)).float()
        if self.settings.on_nonfinite == "terminate":
            fatal = (~loss_is_finite).float() if self.fp16 else broken
            torch.maximum(self._fatal, fatal, out=self._fatal)
        if self.settings.on_nonfinite == "skip" or self.fp16:
            self._in_a_row.add_(1).mul_(broken)
            self._in_epoch.add_(broken)
            exceeded = self._in_a_row >= self.settings.skipped_in_a_row
            if self.settings.skipped_per_epoch is not None:
                exceeded |= self._in_epoch > self.settings.skipped_per_epoch
            torch.maximum(self._fatal, exceeded.float(), out=self._fatal)
        return torch.maximum(self._fatal, broken)

    def _take_step(self, withheld: Tensor) -> None:
        if not self._takes_flag:
            if not withheld:
                self._optimizer.step()
            return
        # The gradients are unscaled already: the optimizer is told of no scale.
        self._optimizer.found_inf = withheld  # type: ignore[attr-defined]
        self._optimizer.grad_scale = None  # type: ignore[attr-defined]
        self._optimizer.step()

    def _put_back_buffers(self, withheld: Tensor) -> None:
        for buffer, kept in zip(self._buffers, self._kept_buffers, strict=True):
            kept.copy_(torch.where(withheld > 0, kept, buffer))
            buffer.copy_(kept)

    def _host_values(self, index: int, row: Sequence[float]) -> StepValues:
        *terms, loss, grad_norm, weight_norm, scale, withheld = row
        return StepValues(
            epoch=self._epoch,
            step=self._read_steps + index,
            terms=dict(zip(self._names, terms, strict=True)),
            loss=loss,
            grad_norm=grad_norm,
            weight_norm=weight_norm,
            scale=scale if self.fp16 else None,
            skipped=bool(withheld),
        )


def _norm(tensors: Iterable[Tensor]) -> Tensor:
    """Euclidean norm of all tensors together; not finite where any element is not."""
    detached = [t.detach() for t in tensors if t.is_floating_point()]
    norms: list[Tensor] = list(torch._foreach_norm(detached))
    total: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    return total.float()
