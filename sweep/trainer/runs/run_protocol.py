"""What the loop of a trial asks of whatever trains it: the protocol behind ``trainer.kind``.

A run is a function of its settings and its state at the start of an epoch. Whoever keeps to that
gets the rest from `sweep.trial.fit`: checkpoints, going on after an interruption, shared
warm-ups, early stopping, the decisions of searcher and scheduler, ranking and report.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import nn

from sweep.spec.settings.trial_settings import Expectation
from sweep.trainer.divergence.guard import Diverged
from sweep.vocabulary.early_stopping import EarlyStopping
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import DICE, Objective


@dataclass(frozen=True, slots=True)
class Loop:
    """What decides where a run ends, as `sweep.trial.fit` itself reads it.

    Args:
        epochs: most epochs that are trained.
        objective: what epochs are compared by.
    """

    stopping: EarlyStopping
    epochs: int
    expect: tuple[Expectation, ...] = ()
    objective: Objective = DICE


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveConfiguration:
    """What a run really trains with, read from what trains: for ``provenance.json`` and `verify`.

    Args:
        effective: value of each setting that was read back, by its dotted name.
        expected: what a setting comes to that leaves a part of the choice to data or machine.
        not_read: settings that nothing holds, and why.
        model: the network; None where only the trainer itself knows it.
        cases: how many train and validate, by these two words.
    """

    effective: Mapping[str, Any]
    expected: Mapping[str, Any] = field(default_factory=dict)
    not_read: Mapping[str, str] = field(default_factory=dict)
    model: nn.Module | None
    cases: Mapping[str, int] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where the network is; without one, what ``trainer.device`` comes to."""
        if self.model is None:
            return torch.device(self.effective["trainer.device"])
        return next(self.model.parameters()).device


class Ended(Exception):
    """Raised by `Run.run_epoch`: there is nothing more to train, though epochs are left."""


class Run(Protocol):
    """One training run of one configuration, an epoch at a time."""

    @abstractmethod
    def run_epoch(self, epoch: int) -> EpochMetrics:
        """Train and validate one epoch.

        Args:
            epoch: index from 0.
        Raises:
            Diverged: at the step that the guard condemns; the weights are those from before it.
            Ended: it trains no further epoch.
        """

    @abstractmethod
    def judge(self, history: Sequence[EpochMetrics]) -> Diverged | None:
        """The verdict on the last epoch of a history, if there is one."""

    @abstractmethod
    def measured(self, metrics: EpochMetrics, *, best: bool) -> EpochMetrics:
        """``metrics`` with the costly ones added, where this epoch is one that measures them.

        Args:
            metrics: of the epoch that was just run.
            best: whether its objective is the best so far, which is known only after it.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """With the epoch's number, all that going on needs: tensors and plain values."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""

    @abstractmethod
    def weights(self) -> dict[str, Any]:
        """Of the network, as its best epoch and its last healthy step are kept."""

    @abstractmethod
    def effective_configuration(self, loop: Loop) -> EffectiveConfiguration:
        """What trains, read back."""

    # What a class of somebody else's may leave out.

    shares_warmup: bool = True
    """Whether its warm-up may be that of another trial."""

    def close(self) -> None:
        """Leave whatever is not to outlive the run; it trains no more."""
        return
