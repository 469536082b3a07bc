"""The guard: no optimizer step is ever taken with a loss or gradient that is not finite.

How it avoids a transfer from the device in every step: the losses, the gradient norm and the norm
of the weights stay on the device as one small vector per step. From them the guard computes a flag
on the device and passes it to the fused optimizer as ``found_inf``. If the flag is set, the kernel
leaves weights and momentum unchanged. The vectors are read every `Guard.interval` steps and at the
end of the epoch, in one transfer. So the step at which a trial diverged is known exactly, and the
steps between it and the reading have changed nothing.

Most optimizers do not take such a flag (see `sweep.trainer.networks.optimizers.takes_flag`). For
these, the guard reads the flag before each step and does not take the step if it is set. On a GPU
that costs a transfer in every step.

``on_nonfinite: terminate``: the flag is sticky. Once set, it stays set until the reading, which
ends the trial. ``on_nonfinite: skip``: the flag holds for its own step only, and the next healthy
step is taken. Two counters on the device, of consecutive skipped steps and of those in the epoch,
make the flag sticky once a limit is exceeded. A gradient scaler (fp16) finds its scale by gradients
that overflow. These skip the step under both policies. A nonfinite loss does not.

Batch-norm statistics have seen the batch before the flag is known. If it is set, they are restored,
also on the device. A buffer that was nonfinite from the start, such as a causal mask of -inf, is
not a statistic and is not checked.

A gradient can be finite and the step still overflow the weights. No flag can predict that, so it
ends the trial under both policies: a step can be withheld but not undone. The guard keeps no copy
of the weights. A run is a function of its state at the start of an epoch, so the weights before
that step are recovered by training up to it again (`GuardedRun.rewind`).

On the CPU a reading costs nothing and happens in every step, so the trial ends at that very step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from sweep.spec.settings.trial_settings import GuardSettings
from sweep.trainer.divergence.judging import StepJudge
from sweep.trainer.networks.optimizers import takes_flag
from sweep.vocabulary.divergence import StepValues
from sweep.vocabulary.record import Divergence

READ_EVERY_ON_GPU = 8
"""Steps between two readings on a GPU. Each reading stalls the device's queue once."""


class Diverged(Exception):
    """Ends a trial's training.

    Args:
        divergence: the verdict.
        recent: the last steps up to the one in the verdict.
        offending: the data to reproduce that step, see `sweep.trainer.runs.reproduce`.
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
    """Take the optimizer steps of one training run and check each of them.

    Args:
        model: the network.
        optimizer: any torch optimizer over the network's parameters whose step needs no closure.
        gradient_clip: largest gradient norm of a step; None for no clipping.
        settings: policy and limits.
        fp16: scale the loss, as float16 gradients require.
        late_terms: names of the loss terms that switch on late; None: our geometric terms.

    Attributes:
        scaler: the gradient scaler; inactive without fp16.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        gradient_clip: float | None,
        settings: GuardSettings | None = None,
        *,
        fp16: bool = False,
        late_terms: Collection[str] | None = None,
    ) -> None:
        self.settings = settings or GuardSettings()
        self.gradient_clip = gradient_clip
        self._buffers: list[Tensor] = []
        self._judged: list[Tensor] = []  # the buffers that are checked
        self.watch(model, optimizer)
        device = self._parameters[0].device
        self.fp16 = fp16
        self.scaler = torch.amp.GradScaler(device.type, enabled=fp16)
        self._judge = StepJudge(
            self.settings, gradient_clip=gradient_clip, scaled=fp16, late_terms=late_terms
        )
        self._one = torch.ones((), device=device)
        self._fatal = torch.zeros((), device=device)
        self._in_a_row = torch.zeros((), device=device)
        self._in_epoch = torch.zeros((), device=device)
        self._kept_buffers: list[Tensor] = []
        self._names: tuple[str, ...] = ()
        self._losses: list[Tensor] = []  # one vector per batch of the step to come
        self._norms: list[Tensor] = []  # of the gradient after each of them but the last
        # One vector per step, with the names of its terms and the number of its batches.
        self._unread: list[tuple[tuple[str, ...], int, Tensor]] = []
        self._epoch = self._read_steps = 0

    def watch(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Take the steps of this network and optimizer from now on. The state so far is kept.

        Call it before `start_epoch` if they may have changed.
        """
        self._model, self._optimizer = model, optimizer
        self._takes_flag = takes_flag(optimizer)
        judged, known = {id(b) for b in self._judged}, {id(b) for b in self._buffers}
        self._buffers = list(model.buffers())
        self._judged = [  # only a buffer that was finite when it was new can diverge
            buffer
            for buffer in self._buffers
            if buffer.is_floating_point()
            and (id(buffer) in judged if id(buffer) in known else bool(buffer.isfinite().all()))
        ]
        on_cpu = self._parameters[0].device.type == "cpu"
        self.interval = 1 if on_cpu or not self._takes_flag else READ_EVERY_ON_GPU

    @property
    def weights_are_finite(self) -> bool:
        """Whether the network is finite, except for buffers that never were; reads the device."""
        weights = (p for p in self._model.parameters() if p.is_floating_point())
        return all(bool(torch.isfinite(t).all()) for t in (*weights, *self._judged))

    @property
    def _parameters(self) -> list[Tensor]:
        """The optimizer's current parameters. They may change when layers are unfrozen."""
        return [p for group in self._optimizer.param_groups for p in group["params"]]

    def start_epoch(self, epoch: int, factor: float = 0.0, *, step: int = 0) -> None:
        """Call before the first step of an epoch.

        Args:
            epoch: index from 0.
            factor: the geometric factor of the epoch's loss.
            step: number of the first step.
        """
        self._epoch, self._read_steps = epoch, step
        self._judge.start_epoch(factor)
        self._losses.clear()
        self._norms.clear()
        self._fatal.zero_()
        self._in_epoch.zero_()
        self._in_a_row.fill_(self._judge.skips_in_a_row)
        self.keep_buffers()  # weights and statistics may have been loaded from a checkpoint

    def keep_buffers(self) -> None:
        """Restore the network's buffers as they are now, if the next step is withheld."""
        self._kept_buffers = [buffer.clone() for buffer in self._buffers]

    @property
    def suspicious(self) -> bool:
        """Whether the last steps may turn out to be the beginning of an explosion."""
        return self._judge.suspicious

    def step(self, loss: Tensor, terms: Mapping[str, Tensor]) -> list[StepValues]:
        """`take` a step, then `read` if that is due.

        Returns:
            the values of the steps read in this call: one on a CPU, none or several on a GPU.
        Raises:
            Diverged: with the verdict on one of the steps read.
        """
        self.take(loss, terms)
        return self.read() if self.is_due else []

    @property
    def is_due(self) -> bool:
        """Whether as many steps are unread as one reading fetches."""
        return len(self._unread) >= self.interval

    def take(self, loss: Tensor, terms: Mapping[str, Tensor]) -> None:
        """Backward pass, clipping and optimizer step. The step is withheld if anything is
        nonfinite.

        Args:
            loss: the total (scalar), with its graph.
            terms: each term of it before its weight (scalars).
        """
        self.backward(loss, terms)
        self.take_accumulated()

    def backward(self, loss: Tensor, terms: Mapping[str, Tensor], *, zeroed: bool = False) -> None:
        """Backward pass of one batch. Its gradients are added to those since the last step.

        Args:
            loss: its share of the step's total (scalar), with its graph.
            terms: as of `take`, the same names for each batch of a step; empty: the loss is the
                only one.
            zeroed: whether the caller has zeroed the gradients before a step's first batch.
        """
        self._names = tuple(terms)
        if self._losses:  # which batch broke the gradient is seen only before the next adds to it
            gradients = [p.grad for p in self._parameters if p.grad is not None]
            self._norms.append(nn.utils.get_total_norm(gradients).float())
        elif not zeroed:
            self._optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        losses = [t.detach().float() for t in (*terms.values(), loss)]
        self._losses.append(torch.stack(losses))

    @property
    def accumulated(self) -> int:
        """Number of batches whose gradients wait for a step."""
        return len(self._losses)

    def take_accumulated(self, before: Callable[[], object] | None = None) -> None:
        """Clipping and optimizer step by the gradients of `backward`.

        Of several batches the step's loss is their sum, as the gradient's, and each term their
        mean.

        Args:
            before: called when the gradients are complete, without the scaler's scale.
        """
        scale = self.scaler.scale(self._one)
        self.scaler.unscale_(self._optimizer)
        if before is not None:
            before()
        limit = math.inf if self.gradient_clip is None else self.gradient_clip
        parameters = self._parameters
        grad_norm = nn.utils.clip_grad_norm_(parameters, limit).float()
        batches, (losses, broken_batch) = self.accumulated, self._of_batches(grad_norm)
        withheld = self._withhold(torch.isfinite(losses).all(), torch.isfinite(grad_norm))
        if self._takes_flag:
            # The gradients are already unscaled, so the optimizer gets no scale.
            self._optimizer.found_inf = withheld  # type: ignore[attr-defined]
            self._optimizer.grad_scale = None  # type: ignore[attr-defined]
            self._optimizer.step()
        elif not withheld:
            self._optimizer.step()
        self.scaler.update()
        for buffer, kept in zip(self._buffers, self._kept_buffers, strict=True):
            kept.copy_(torch.where(withheld > 0, kept, buffer))
            buffer.copy_(kept)
        # Of all tensors together; nonfinite if any element is.
        tensors = [*parameters, *self._judged]
        norms = torch._foreach_norm([t.detach() for t in tensors if t.is_floating_point()])
        weight_norm = torch.linalg.vector_norm(torch.stack(norms)).float()
        rest = [grad_norm, weight_norm, scale, withheld, broken_batch]
        self._unread.append((self._names, batches, torch.cat([losses, torch.stack(rest)])))

    def read(self) -> list[StepValues]:
        """Fetch the values still on the device. Call it at the end of an epoch too.

        Raises:
            Diverged: as `step`.
        """
        if not self._unread:
            return []
        unread, self._unread = self._unread, []
        numbers = iter(torch.cat([row for *_, row in unread]).tolist())
        values = []
        for names, batches, row in unread:
            of_step = islice(numbers, len(row))
            *terms, loss, grad_norm, weight_norm, scale, withheld, broken_batch = of_step
            step = StepValues(
                epoch=self._epoch,
                step=self._read_steps,
                terms=dict(zip(names, terms, strict=True)) or {"loss": loss},
                loss=loss,
                grad_norm=grad_norm,
                weight_norm=weight_norm,
                scale=scale if self.fp16 else None,
                skipped=bool(withheld),
                batches=batches,
                broken_batch=int(broken_batch) if broken_batch < batches > 1 else None,
            )
            values.append(step)
            self._read_steps += 1
        for step in values:
            if (verdict := self._judge.judge(step)) is not None:
                raise Diverged(verdict, self.recent((verdict.epoch, verdict.step)))
        return values

    def recent(self, until: tuple[int, int] | None = None) -> tuple[StepValues, ...]:
        """The last steps read, or those up to (epoch, step), oldest first."""
        return self._judge.recent(until)

    def state_dict(self) -> dict[str, Any]:
        """State of the scaler and the judge, as plain values. Call it after `read`."""
        return {"scaler": self.scaler.state_dict(), "judge": self._judge.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._unread.clear()
        self.scaler.load_state_dict(dict(state["scaler"]))
        self._judge.load_state_dict(state["judge"])

    def _of_batches(self, grad_norm: Tensor) -> tuple[Tensor, Tensor]:
        """The terms and the loss of the step, and which of its batches broke the first of them, or
        else the gradient; on the device. The number of batches if none did.
        """
        table, norms = self._losses, [*self._norms, grad_norm]
        self._losses, self._norms = [], []
        if len(table) == 1:
            return table[0], torch.zeros_like(grad_norm)
        losses = torch.stack(table)  # [batches, terms + 1]
        finite = torch.column_stack([losses, torch.stack(norms)]).isfinite().int()
        healthy = finite.cumprod(0).sum(0)  # batches before the first that broke, of each column
        broken = healthy[(healthy < len(table)).int().argmax()].float()
        return torch.cat([losses[:, :-1].mean(0), losses[:, -1:].sum(0)]), broken

    def _withhold(self, loss_is_finite: Tensor, gradient_is_finite: Tensor) -> Tensor:
        """1 if the step must not be taken, else 0; on the device."""
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
