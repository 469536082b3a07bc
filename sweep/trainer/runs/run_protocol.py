"""What the loop of a trial calls to train: the protocol behind ``trainer.kind``.

A run is a function of its settings and its state at the start of an epoch. For a run that keeps to
that, `sweep.trial.fit` provides the rest: checkpoints, resuming after an interruption, shared
warm-ups, early stopping, the decisions of searcher and scheduler, ranking and report.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from sweep.spec.settings.trial_settings import Expectation, TrialSettings
from sweep.vocabulary.class_scores import ClassScore
from sweep.vocabulary.early_stopping import EarlyStopping
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import DICE, Objective

if TYPE_CHECKING:  # imported to look at a user's trainer, which may need no torch
    import torch
    from torch import nn

    from sweep.trainer.divergence.guard import Diverged
    from sweep.vocabulary.record import Divergence


@dataclass(frozen=True, slots=True)
class Loop:
    """What decides where a run ends, as `sweep.trial.fit` itself reads it.

    Args:
        stopping: early stopping, at its beginning.
        epochs: largest number of epochs that are trained.
        expect: what a healthy run reaches.
        objective: what epochs are compared by.
    """

    stopping: EarlyStopping
    epochs: int
    expect: tuple[Expectation, ...] = ()
    objective: Objective = DICE

    @classmethod
    def of(cls, config: TrialSettings) -> Self:
        """The loop of a configuration."""
        settings = config.early_stopping
        stopping = EarlyStopping(
            patience=settings.patience,
            min_delta=settings.min_delta,
            first_epoch=config.loss.ramp.full_from if settings.counts_from == "rampup_end" else 0,
        )
        return cls(stopping, config.trainer.epochs, config.expect, config.judged_by)


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveConfiguration:
    """What a run really trains with, read from what trains: for ``provenance.json`` and `verify`.

    Args:
        effective: value of each setting that was read back, by its dotted name.
        expected: effective value of each setting that depends on data or machine.
        not_read: settings that no object holds, and why.
        model: the network; None if only the trainer itself knows it.
        cases: numbers of cases, under the keys ``training`` and ``validation``.
        classes: what the dataset says of them beside their names: ``regions``, whether they are
            regions that may overlap, and ``ignore``, the label to ignore or None.
    """

    effective: Mapping[str, Any]
    expected: Mapping[str, Any] = field(default_factory=dict)
    not_read: Mapping[str, str] = field(default_factory=dict)
    model: nn.Module | None
    cases: Mapping[str, int] = field(default_factory=dict)
    classes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Device of the network; without one, the effective ``trainer.device``."""
        import torch

        if self.model is None:
            return torch.device(self.effective["trainer.device"])
        return next(self.model.parameters()).device


class Ended(Exception):
    """Raised by `Run.run_epoch`: the training has ended by itself before its last epoch."""


Returned = TypeVar("Returned")
InTurns = Generator[tuple[()], None, Returned]
"""Work that pauses wherever another run of this process may take its turn.

There it yields ``()``: it has nothing to report.
"""


def without_pauses(work: InTurns[Returned]) -> Returned:
    """What work returns that is done in one go."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            returned: Returned = end.value
            return returned


class Run(Protocol):
    """One training run of one configuration, an epoch at a time."""

    @abstractmethod
    def run_epoch(self, epoch: int) -> EpochMetrics:
        """Train and validate one epoch.

        Args:
            epoch: index from 0.
        Raises:
            Diverged: at the step that has a verdict; the weights are those from before it.
            Ended: the run trains no further epoch.
        """

    @abstractmethod
    def judge(self, history: Sequence[EpochMetrics]) -> Diverged | None:
        """The verdict on the last epoch of a history, if there is one."""

    @abstractmethod
    def measured(self, metrics: EpochMetrics, *, best: bool) -> EpochMetrics:
        """``metrics`` with the costly ones added, if this epoch measures them.

        Args:
            metrics: of the epoch that was just run.
            best: whether its objective is the best so far, which is known only after the epoch.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All that resuming needs, with the epoch's number: tensors and plain values."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` gave."""

    @abstractmethod
    def weights(self) -> dict[str, Any]:
        """Of the network, as they are kept of its best epoch and its last healthy step."""

    @abstractmethod
    def effective_configuration(self, loop: Loop) -> EffectiveConfiguration:
        """The configuration, read back from the objects that train."""

    # A user's class may leave these out.

    def epoch_in_turns(self, epoch: int) -> InTurns[EpochMetrics]:
        """`run_epoch`, with pauses. This one has none."""
        return self.run_epoch(epoch)
        yield  # makes this a generator

    shares_warmup: bool = True
    """Whether it may start from another trial's warm-up."""

    def taken_over(self, verdict: Divergence) -> Divergence:
        """The verdict on that warm-up, as this run tells it."""
        return verdict

    def data_facts(self) -> dict[str, Any]:
        """What a prediction needs to know of the training data, kept beside the weights."""
        return {}

    def class_scores(self) -> tuple[ClassScore, ...]:
        """What the last validation measured on each class of each case; empty if it kept nothing.

        After `measured` with ``best``, it holds the costly metrics too.
        """
        return ()

    def close(self) -> None:
        """Release what must not outlive the run, which trains no more."""
        return
