"""A run that lacks only its steps and its validation: base of every trainer but our own.

Two things make it one and the same run whether it is trained in one go, goes on from a checkpoint,
or starts from another trial's warm-up: its state at an epoch's start is all that it goes on from,
and its randomness is seeded anew at each epoch, by (seed, epoch). So a step that overflowed the
weights can be taken back too: by training up to it once more.
"""

from __future__ import annotations

import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from sweep.spec.settings.setting_tree import names_in, value_of
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.divergence.advice import Case
from sweep.trainer.divergence.blame import first_broken_gradient, forward_order, unchanged_buffers
from sweep.trainer.divergence.guard import Diverged, Guard
from sweep.trainer.divergence.verdicts import broken_part, judge_epochs
from sweep.trainer.networks.device import seed_everything
from sweep.trainer.networks.optimizers import learning_rate
from sweep.trainer.runs.end_of_run import is_over
from sweep.trainer.runs.epoch_summary import summary
from sweep.trainer.runs.postmortem import blame, diagnose, had_learnt, last_gradient
from sweep.trainer.runs.returned_values import (
    Method,
    count,
    measured,
    validation_dice,
    with_train_loss,
)
from sweep.trainer.runs.rewind_snapshot import Snapshot
from sweep.trainer.runs.run_parts import EXPECTED, PART_READERS, Loss, Parts
from sweep.trainer.runs.run_protocol import Account, Loop
from sweep.vocabulary.divergence import StepValues
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Cause, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What a validation found. A number may be one of Python, of NumPy, or a tensor of one element.

    Args:
        dice: validation Dice in [0, 1]; None where no case had a foreground.
        predicted_classes: how many classes were predicted anywhere; None where nobody counted.
        metrics: further metrics by name; None where no case says anything.
        trivial_dice: Dice of the best answer that does not look at the images, such as foreground
            everywhere; None where nobody knows it.
    """

    dice: float | None
    predicted_classes: int | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    trivial_dice: float | None = None


class GuardedRun(ABC):
    """Implements `sweep.trainer.runs.run_protocol.Run` on what a subclass builds and does.

    Attributes, which the subclass's ``__init__`` sets:
        settings: the whole configuration.
        model: the network, on its device.
        loss: holds the settings of the loss that it computes.
        optimizer: see `sweep.trainer.divergence.guard`.
        guard: takes its steps.
    """

    settings: TrialSettings
    model: nn.Module
    loss: Loss
    optimizer: torch.optim.Optimizer
    guard: Guard
    _snapshot: Snapshot | None = None
    _then: Any = None  # see `put_back`

    @property
    @abstractmethod
    def steps_per_epoch(self) -> int:
        """Optimizer steps an epoch."""

    @abstractmethod
    def train_steps(self, epoch: int, stop: int | None) -> list[StepValues]:
        """Take the steps of an epoch, those before ``stop`` alone where it is given.

        The global generators have been seeded: what is drawn is a function of (seed, epoch).

        Raises:
            Diverged: as the guard does.
        """

    @abstractmethod
    def terms_again(self, epoch: int, step: int) -> Mapping[str, Tensor] | None:
        """The loss terms of a step that was just withheld, with their graph; None if it is gone."""

    @abstractmethod
    def validate(self, epoch: int) -> Validation:
        """Look at the validation cases; seeded anew as well."""

    def run_epoch(self, epoch: int) -> EpochMetrics:
        """Train one epoch, then validate. See `sweep.trainer.runs.run_protocol.Run`."""
        start = time.perf_counter()
        if self._snapshot is None or not self.guard.suspicious:
            self._snapshot = Snapshot.take(epoch, self.state_dict())
            self._then = self.arrangement()
        try:
            steps = self._train(epoch, None)
        except Diverged as stop:
            raise self._explain_step(stop) from None
        seed_everything(self.settings.seed, 2, epoch)
        found = self._validated(epoch)
        metrics = with_train_loss(
            EpochMetrics(
                epoch=epoch,
                val_dice=found.dice,
                metrics=found.metrics,
                **summary(steps),
                geometric_factor=self.factor(epoch),
                learning_rate=self.rate_in_effect(epoch),
                predicted_classes=found.predicted_classes,
                trivial_dice=found.trivial_dice,
            ),
            self.settings.judged_by,
        )
        self.end_epoch(epoch, self.settings.judged_by.measured(metrics))
        return dataclasses.replace(
            metrics, warnings=self.warnings(epoch), seconds=time.perf_counter() - start
        )

    def judge(self, history: Sequence[EpochMetrics]) -> Diverged | None:
        """The verdict on the last epoch of a history, if there is one, with the diagnosis."""
        verdict = judge_epochs(
            history,
            self.guard.settings,
            scaled=self.guard.fp16,
            over=is_over(history, self.settings),
        )
        if verdict is None:
            return None
        recent = self.guard.recent()
        if verdict.cause is Cause.ZOMBIE:  # explained by its first step
            recent = self.guard.recent((verdict.epoch, 0))
            stage, term = broken_part(recent[-1]) or (None, None)
            verdict = dataclasses.replace(verdict, step=0, stage=stage, term=term)
            return self._explain_step(Diverged(verdict, recent))
        case = Case(
            verdict=verdict,
            settings=self.settings,
            had_learnt=had_learnt(history, self.settings),
        )
        return self._diagnosed(case, recent)

    def measured(self, metrics: EpochMetrics, *, best: bool) -> EpochMetrics:
        return metrics

    def warnings(self, epoch: int) -> tuple[str, ...]:
        """Sentences for the user on what is likely not meant, told with this epoch."""
        return ()

    def factor(self, epoch: int) -> float:
        """g(epoch), the geometric factor."""
        return self.settings.loss.ramp.factor(epoch)

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch."""
        return learning_rate(self.settings.optimizer, epoch, self.settings.trainer.epochs)

    def rate_in_effect(self, epoch: int) -> float | None:
        """Learning rate that the steps of the epoch were taken with."""
        return self.rate(epoch)

    def end_epoch(self, epoch: int, value: float | None) -> None:  # noqa: B027 - few need it
        """What follows an epoch's steps and its validation; ``value``, of the objective, is None
        when it is trained again, up to a step.
        """

    def arrangement(self) -> Any:
        """What an epoch may exchange of this run's own objects, for `put_back`."""
        return None

    def put_back(self, then: Any) -> None:  # noqa: B027 - few need it
        """Go back to the objects of an `arrangement`; their state is loaded after that."""

    def autocast(self) -> torch.autocast:
        """The precision of a forward pass."""
        amp = self.settings.trainer.amp
        device = next(self.model.parameters()).device.type
        kind = torch.bfloat16 if amp == "bf16" else torch.float16
        return torch.autocast(device, dtype=kind, enabled=amp in ("bf16", "fp16"))

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "guard": self.guard.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.guard.load_state_dict(state["guard"])

    def weights(self) -> dict[str, Any]:
        return self.model.state_dict()

    def weights_are_finite(self) -> bool:
        return self.guard.weights_are_finite

    def account(self, loop: Loop) -> Account:
        parts = Parts(
            seed=self.settings.seed,
            steps=self.steps_per_epoch,
            model=self.model,
            loss=self.loss,
            optimizer=self.optimizer,
            guard=self.guard,
            autocast=self.autocast,
            factor=self.factor,
            rate=self.rate,
            loop=loop,
        )
        asked = EXPECTED.keys() & set(names_in(self.settings))
        return Account(
            effective={key: read(parts) for key, read in PART_READERS.items()} | self.effective(),
            expected={key: EXPECTED[key](value_of(self.settings, key), parts) for key in asked}
            | self.expected(),
            not_read=self.not_read(),
            model=self.model,
            cases=self.cases(),
        )

    def effective(self) -> dict[str, Any]:
        """The settings of this kind's own, read back, by their dotted names."""
        return {}

    def expected(self) -> dict[str, Any]:
        """What settings come to that leave a part of the choice to this kind's data."""
        return {}

    def not_read(self) -> dict[str, str]:
        """Settings that no live object holds, and why."""
        return {"trainer.kind": "it decides who trains, and so who reads the settings back"}

    def cases(self) -> dict[str, int]:
        """How many cases train and validate, by these two words."""
        return {}

    def _validated(self, epoch: int) -> Validation:
        """What the validation found, as plain values."""
        found, by = self.validate(epoch), Method(self.validate, type(self))
        if not isinstance(found, Validation):
            by.refuse(found, "must return Validation(dice=…), of sweep")
        return Validation(
            dice=validation_dice(found.dice, by),
            predicted_classes=count(found.predicted_classes, "`predicted_classes`", by),
            metrics=measured(found.metrics, by),
            trivial_dice=validation_dice(found.trivial_dice, by),
        )

    def _train(self, epoch: int, stop: int | None) -> list[StepValues]:
        seed_everything(self.settings.seed, 1, epoch)
        return self.train_steps(epoch, stop)

    def _rewind(self, epoch: int, step: int) -> None:
        """Take the run back to just before a step, as `sweep.trainer.runs.monai_run` does."""
        assert self._snapshot is not None, "a run is rewound to where it was trained"
        self.put_back(self._then)
        self.load_state_dict(self._snapshot.state)
        for again in range(self._snapshot.epoch, epoch):
            self._train(again, None)
            self.end_epoch(again, None)
        self._train(epoch, step)

    def _explain_step(self, stop: Diverged) -> Diverged:
        """The same divergence with its circumstances; the weights are those before that step."""
        verdict = stop.divergence
        if verdict.stage is Stage.WEIGHTS or verdict.cause is Cause.EXPLODED:
            self._rewind(verdict.epoch, verdict.step)
        return self._explained(stop)

    def _explained(self, stop: Diverged) -> Diverged:
        """What the step and those before it tell; the weights are those before it."""
        verdict = stop.divergence
        if verdict.stage is Stage.GRADIENT and verdict.cause is not Cause.EXPLODED:
            with unchanged_buffers(self.model), forward_order(self.model) as order:
                terms = self.terms_again(verdict.epoch, verdict.step)
                found = terms and first_broken_gradient(self.model, terms, order)
            verdict = blame(verdict, *found) if found else verdict
        gradient = last_gradient(verdict, stop.recent)
        case = Case(verdict=verdict, settings=self.settings, gradient=gradient)
        return self._diagnosed(case, stop.recent)

    def _diagnosed(self, case: Case, recent: tuple[StepValues, ...]) -> Diverged:
        verdict = dataclasses.replace(
            case.verdict,
            weights_finite=self.weights_are_finite(),
            diagnosis=dataclasses.replace(
                diagnose(case, self.steps_per_epoch, None), recent=recent
            ),
        )
        return Diverged(verdict, recent)
