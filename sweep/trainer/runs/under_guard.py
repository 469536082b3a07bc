"""What takes its steps under a guard: its state, and what `explain` asks where it diverges."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.divergence.guard import Guard
from sweep.vocabulary.divergence import EpsilonFacts, StepValues


@dataclass(frozen=True, slots=True, kw_only=True)
class StepAgain:
    """A step that can be looked at again, for its batch is there.

    Args:
        forward: passes the batch once more, with the network as it is by then; returns what
            ``soft_areas`` takes, and the loss terms with their graph.
        soft_areas: of each sample, in pixels, ``-> [B]``; None where nobody knows the object.
        images: as the network sees them; None where nobody knows which they are.
        cases: of the samples, by name.
        state: given what the step measured, all that it can be reproduced from; call it with the
            weights from before the step. None where that cannot be.
    """

    forward: Callable[[], tuple[Tensor | None, Mapping[str, Tensor]]]
    soft_areas: Callable[[Any], Tensor] | None = None
    images: Tensor | None = None
    cases: tuple[str, ...] = ()
    state: Callable[[StepValues], dict[str, Any]] | None = None


class UnderGuard(ABC):
    """One network whose optimizer steps one guard takes.

    `sweep.trainer.runs.explain` asks it for all that differs between trainers: `rewind`,
    `step_again`, `epsilon_facts`, `steps_per_epoch` and `weights_are_finite`.

    Attributes, which the subclass sets:
        settings: the whole configuration.
        model: the network, on its device.
        optimizer: see `sweep.trainer.divergence.guard`.
        guard: takes its steps; made by `begin_guard`.
        keeps: where a step that overflowed the weights is not taken back, what is from before it;
            a clause.
    """

    settings: TrialSettings
    model: nn.Module
    optimizer: torch.optim.Optimizer
    guard: Guard
    keeps: ClassVar[str] = "nothing is kept from before it"
    _batches_kept: Iterable[tuple[int, int, Any]] = ()

    def begin_guard(self, *, fp16: bool) -> None:
        """Have a new guard take the steps of ``model`` and ``optimizer``, as the settings say.

        Args:
            fp16: scale the loss, as gradients in float16 need.
        """
        clip = self.settings.optimizer.gradient_clip
        self.guard = Guard(self.model, self.optimizer, clip, self.settings.guard, fp16=fp16)

    @property
    @abstractmethod
    def steps_per_epoch(self) -> int:
        """Optimizer steps per epoch; 0 while unknown."""

    def rewind(self, epoch: int, step: int) -> bool:
        """Take the network back to just before a step.

        Returns:
            False where that place cannot be reached.
        """
        return False

    def step_again(self, epoch: int, step: int) -> StepAgain | None:
        """A step of which the guard has told; None where its batch is gone."""
        return None

    def epsilon_facts(self) -> EpsilonFacts | None:
        """The effect of ε on the masks; None if the loss has no square root, or it is unknown."""
        return None

    def weights_are_finite(self) -> bool:
        """Whether the weights that are kept are finite."""
        return self.guard.weights_are_finite

    def factor(self, epoch: int) -> float:
        """g(epoch), the geometric factor."""
        return self.settings.loss.ramp.factor(epoch)

    def keep_batch(self, epoch: int, step: int, batch: Any) -> None:
        """Keep the batch of a step until the guard has judged it."""
        kept = (*self._batches_kept, (epoch, step, batch))
        self._batches_kept = deque(kept, maxlen=self.guard.interval)

    def kept_batch(self, epoch: int, step: int) -> Any | None:
        """What `keep_batch` was given; None where it is gone."""
        return next((b for *place, b in self._batches_kept if place == [epoch, step]), None)

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimizer and guard: with the epoch's number, all that going on needs."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "guard": self.guard.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.guard.load_state_dict(state["guard"])
