"""What takes its steps under a guard: its state, its steps, and what `explain` needs to know."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.divergence.guard import Guard
from sweep.vocabulary.divergence import EpsilonFacts, StepValues


@dataclass(frozen=True, slots=True, kw_only=True)
class StepAgain:
    """A step that can be examined again, because its batch was kept.

    Args:
        forward: passes the batch through the network as it is now. It returns the argument of
            ``soft_areas``, and the loss terms with their graph.
        loss_with: given other settings of the loss or the precision, and ``inputs`` or such with
            other values, the total loss of the batch, with its graph. It raises an error if the
            trainer cannot take other settings.
        soft_areas: of each sample and geometric class, in pixels, ``-> [B, classes]``; None if
            the classes are unknown.
        inputs: what the network and the loss are given: tensors, also in lists, tuples and dicts.
        cases: names of the samples' cases.
        state: given what the step measured, all that it can be reproduced from; call it with the
            weights from before the step. None if the step cannot be reproduced.
        called: what sentences call it.
    """

    forward: Callable[[], tuple[Tensor | None, Mapping[str, Tensor]]]
    loss_with: Callable[[TrialSettings, Any], Tensor]
    soft_areas: Callable[[Any], Tensor] | None = None
    inputs: Any = None
    cases: tuple[str, ...] = ()
    state: Callable[[StepValues], dict[str, Any]] | None = None
    called: str = "that step"


class UnderGuard(ABC):
    """One network whose optimizer steps one guard takes.

    `sweep.trainer.runs.explain` uses what differs between trainers: `rewind`, `step_again`,
    `epsilon_facts`, `steps_per_epoch` and `weights_are_finite`.

    Attributes, which the subclass sets:
        settings: the whole configuration.
        model: the network, on its device.
        optimizer: see `sweep.trainer.divergence.guard`.
        guard: takes its steps; made by `begin_guard`.
        keeps: a clause that names what is kept from before a step that overflowed the weights, if
            the step cannot be taken back.
        how_to_see: a sentence that names what would show where a step broke, if none of its batches
            is kept.
    """

    settings: TrialSettings
    model: nn.Module
    optimizer: torch.optim.Optimizer
    guard: Guard
    keeps: ClassVar[str] = "nothing is kept from before it"
    how_to_see: str = ""
    _batches_kept: Sequence[tuple[int, int, Any]] = ()

    def begin_guard(self, *, fp16: bool) -> None:
        """Make the guard of ``model`` and ``optimizer``, by the settings.

        Args:
            fp16: scale the loss, as gradients in float16 require.
        """
        self.guard = Guard(
            self.model,
            self.optimizer,
            self.settings.optimizer.gradient_clip,
            self.settings.guard,
            fp16=fp16,
            late_terms=[name for name, _ in self.settings.loss.weights],
        )

    @property
    @abstractmethod
    def steps_per_epoch(self) -> int:
        """Optimizer steps per epoch; 0 while unknown."""

    def rewind(self, epoch: int, step: int) -> bool:
        """Take the network back to just before a step.

        Returns:
            False if that place cannot be reached.
        """
        return False

    def step_again(self, epoch: int, step: int) -> StepAgain | None:
        """A step that the guard has read; None if its batch was not kept."""
        return None

    @property
    def optimizer_is_own(self) -> bool:
        """Whether the user's code made the optimizer, without the settings' learning rate."""
        return False

    def epsilon_facts(self) -> EpsilonFacts | None:
        """The effect of ε on the masks; None if it is unknown, or the loss has no square root."""
        return None

    def weights_are_finite(self) -> bool:
        """Whether the weights that are kept are finite."""
        return self.guard.weights_are_finite

    def factor(self, epoch: int) -> float:
        """g(epoch), the geometric factor."""
        return self.settings.loss.ramp.factor(epoch)

    def autocast(self) -> torch.autocast:
        """The precision of a forward pass, by ``trainer.amp``; off is float32."""
        amp = self.settings.trainer.amp
        device = next(self.model.parameters()).device.type
        kind = torch.float16 if amp == "fp16" else torch.bfloat16
        return torch.autocast(device, dtype=kind, enabled=amp in ("bf16", "fp16"))

    def keep_batch(self, epoch: int, step: int, batch: Any) -> None:
        """Keep the batch of a step until the guard has judged it."""
        kept = (*self._batches_kept, (epoch, step, batch))
        self._batches_kept = deque(kept, maxlen=self.guard.interval)

    def kept_batch(self, epoch: int, step: int) -> Any | None:
        """The batch that `keep_batch` was given last; None if it is not kept any more.

        A function that goes back to an older checkpoint takes steps of the same place again.
        """
        kept = reversed(self._batches_kept)
        return next((b for *place, b in kept if place == [epoch, step]), None)

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimizer and guard: with the epoch's number, all that resuming needs."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "guard": self.guard.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` gave."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.guard.load_state_dict(state["guard"])


def summary(steps: Sequence[StepValues]) -> dict[str, Any]:
    """Means and counts of the steps of an epoch, under the names of `EpochMetrics`."""
    taken = [values for values in steps if not values.skipped]
    terms: dict[str, list[float]] = defaultdict(list)
    for values in taken:
        for name, value in values.terms.items():
            terms[name].append(value)
    return {
        "train_loss": float(np.mean([values.loss for values in taken])) if taken else None,
        "grad_norm": float(np.mean([values.grad_norm for values in taken])) if taken else None,
        "terms": {name: float(np.mean(values)) for name, values in terms.items()},
        "steps": len(taken),
        "skipped_steps": len(steps) - len(taken),
        "weight_norm": steps[-1].weight_norm,
        "scale": steps[-1].scale,
    }
