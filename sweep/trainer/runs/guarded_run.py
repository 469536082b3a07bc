"""A run that lacks only its steps and its validation: base of all trainers except plain functions.

A run is the same whether it is trained in one go, resumed from a checkpoint, or started from
another trial's warm-up. Two things make it so: it depends only on its state at the start of an
epoch, and its randomness is seeded anew at each epoch, by (seed, epoch). A step that overflowed the
weights can therefore be taken back, by training up to it again.
"""

from __future__ import annotations

import dataclasses
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from sweep.trainer.divergence.guard import Diverged
from sweep.trainer.networks.device import seed_everything
from sweep.trainer.networks.optimizers import learning_rate
from sweep.trainer.runs.explain import as_its_own, explain, judge
from sweep.trainer.runs.readers import NOT_READ, Loss, expected, read_back
from sweep.trainer.runs.returned_values import (
    Method,
    count,
    measured,
    validation_dice,
    with_train_loss,
)
from sweep.trainer.runs.run_protocol import (
    EffectiveConfiguration,
    InTurns,
    Loop,
    Run,
    without_pauses,
)
from sweep.trainer.runs.under_guard import UnderGuard, summary
from sweep.vocabulary.divergence import StepValues
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Divergence

StepLoss = tuple[Tensor, Mapping[str, Tensor]]
"""The total of a step (scalar), and its terms before their weights, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """Results of a validation. A number may be one of Python, of NumPy, or a tensor of one element.

    Args:
        dice: validation Dice in [0, 1]; None if no case had a foreground.
        predicted_classes: number of classes that were predicted anywhere; None if not counted.
        metrics: further metrics by name; None for one without a value.
        trivial_dice: Dice of the best prediction that ignores the images, such as foreground
            everywhere; None if unknown.

    >>> import sweep
    >>> sweep.Validation(dice=0.81, metrics={"hd95": 3.2}).dice
    0.81
    """

    dice: float | None
    predicted_classes: int | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    trivial_dice: float | None = None


@dataclass(frozen=True, slots=True)
class EpochStart:
    """The state of a run at the start of an epoch, to train again from.

    Not a tuple: `CustomTraining` searches those of a run for objects with a state.
    """

    epoch: int
    state: Mapping[str, Any]


class GuardedRun(UnderGuard, Run):
    """A `Run` with the steps and the validation of a subclass.

    Attributes, beside those of `UnderGuard`, which the subclass's ``__init__`` sets:
        loss: holds the settings of the loss that it computes.
    """

    loss: Loss
    _snapshot: EpochStart | None = None
    _then: Any = None  # the `arrangement` at that epoch's start

    @abstractmethod
    def _begin_epoch(self, epoch: int) -> None:
        """Get ready for the steps of an epoch: rates, network, ``self.guard.start_epoch``."""

    @abstractmethod
    def _step_losses(self, epoch: int, stop: int | None) -> Iterator[StepLoss]:
        """The loss of each step of an epoch, or of those before ``stop``.

        A step is taken before the next loss is computed. The global generators have been seeded:
        what is drawn is a function of (seed, epoch).
        """

    @abstractmethod
    def validate(self, epoch: int) -> Validation:
        """Validate; the global generators have been seeded anew."""

    def run_epoch(self, epoch: int) -> EpochMetrics:
        """Train one epoch, then validate. See `sweep.trainer.runs.run_protocol.Run`."""
        return without_pauses(self.epoch_in_turns(epoch))

    def epoch_in_turns(self, epoch: int) -> InTurns[EpochMetrics]:
        start = time.perf_counter()
        if self._snapshot is None or not self.guard.suspicious:
            self._snapshot = EpochStart(epoch, copy_to_cpu(self.state_dict()))
            self._then = self.arrangement()
        try:
            steps = yield from self.steps_in_turns(epoch)
        except Diverged as stop:
            raise explain(self, stop) from None
        seed_everything(self.settings.seed, 2, epoch)
        found, by = self.validate(epoch), Method(self.validate, type(self))
        if not isinstance(found, Validation):
            by.refuse(found, "must return Validation(dice=…), of sweep")
        val_dice = validation_dice(found.dice, by)
        classes = count(found.predicted_classes, "`predicted_classes`", by)
        metrics = with_train_loss(
            EpochMetrics(
                epoch=epoch,
                val_dice=val_dice,
                predicted_classes=classes,
                metrics=measured(found.metrics, by),
                trivial_dice=validation_dice(found.trivial_dice, by),
                **summary(steps),
                geometric_factor=self.factor(epoch),
                learning_rate=self.rate_in_effect(epoch),
            ),
            self.settings.judged_by,
        )
        self.end_epoch(epoch, self.settings.judged_by.measured(metrics))
        return dataclasses.replace(
            metrics, warnings=self.warnings(epoch), seconds=time.perf_counter() - start
        )

    def train_steps(self, epoch: int, stop: int | None = None) -> list[StepValues]:
        """Take the steps of an epoch, or those before ``stop``.

        Raises:
            Diverged: as the guard does, without a diagnosis.
        """
        return without_pauses(self.steps_in_turns(epoch, stop))

    def steps_in_turns(self, epoch: int, stop: int | None = None) -> InTurns[list[StepValues]]:
        """`train_steps`, which pauses before each reading of the guard.

        A GPU still has to finish the steps that are read. Another run can launch its own meanwhile.
        """
        seed_everything(self.settings.seed, 1, epoch)
        self._begin_epoch(epoch)
        done: list[StepValues] = []
        for loss, terms in self._step_losses(epoch, stop):
            self.guard.take(loss, terms)
            if self.guard.is_due:
                yield ()
                done += self.guard.read()
        return done + self.guard.read()

    def judge(self, history: Sequence[EpochMetrics]) -> Diverged | None:
        """The verdict on the last epoch of a history, if there is one, with the diagnosis."""
        return judge(self, history)

    def taken_over(self, verdict: Divergence) -> Divergence:
        return as_its_own(self, verdict)

    def measured(self, metrics: EpochMetrics, *, best: bool) -> EpochMetrics:
        return metrics

    def warnings(self, epoch: int) -> tuple[str, ...]:
        """Warnings for the user, reported with this epoch."""
        return ()

    def rate(self, epoch: float) -> float:
        """Learning rate of an epoch."""
        return learning_rate(self.settings.optimizer, epoch, self.settings.trainer.epochs)

    def rate_in_effect(self, epoch: int) -> float | None:
        """Learning rate with which the steps of the epoch were taken."""
        return self.rate(epoch)

    def end_epoch(self, epoch: int, value: float | None) -> None:
        """Called after an epoch's steps and its validation.

        Args:
            value: of the objective; None if the epoch is trained again, up to a step.
        """

    def arrangement(self) -> Any:
        """The objects of this run that an epoch may replace, for `put_back`."""
        return None

    def put_back(self, arrangement: Any) -> None:
        """Restore the objects of an `arrangement`; their state is loaded after that."""

    def rewind(self, epoch: int, step: int) -> bool:
        """Take the run back to just before a step, by training up to it again.

        A run is a function of its state at the start of an epoch: nothing is kept in between.

        Returns:
            False if the step lies before the state that was kept: the run is then taken to it.
        """
        assert self._snapshot is not None, "a run is rewound to where it was trained"
        self.put_back(self._then)
        self.load_state_dict(copy_to_cpu(self._snapshot.state))  # torch keeps what it is given
        if epoch < self._snapshot.epoch:
            return False
        for again in range(self._snapshot.epoch, epoch):
            self.train_steps(again)
            self.end_epoch(again, None)
        self.train_steps(epoch, step)
        return True

    def weights(self) -> dict[str, Any]:
        return self.model.state_dict()

    def effective_configuration(self, loop: Loop) -> EffectiveConfiguration:
        return EffectiveConfiguration(
            effective=read_back(self, loop) | self.effective(),
            expected=expected(self) | self.expected(),
            not_read=self.not_read(),
            model=self.model,
        )

    def effective(self) -> dict[str, Any]:
        """The settings that this kind of trainer adds, read back, by their dotted names."""
        return {}

    def expected(self) -> dict[str, Any]:
        """Effective value of each setting that depends on the data."""
        return {}

    def not_read(self) -> dict[str, str]:
        """Settings that no live object holds, and why."""
        return dict(NOT_READ)


def copy_to_cpu(value: Any) -> Any:
    """A deep copy of nested dicts, lists and tuples whose tensors are on the CPU.

    One copy per epoch costs little; one per step would not.
    """
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: copy_to_cpu(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        copied = map(copy_to_cpu, value)
        if hasattr(value, "_fields"):  # a namedtuple
            return type(value)(*copied)
        return list(copied) if isinstance(value, list) else tuple(copied)
    return value
