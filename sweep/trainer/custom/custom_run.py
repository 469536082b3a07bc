"""``trainer.kind: custom``: a user's own PyTorch loop in a sweep.

The user writes a class that defines network, batches and validation: see `CustomTraining`,
docs/how-to/own-trainer.md and examples/custom_trainer.py. For a plain loop, use a function as in
`sweep.trainer.custom.function_run`.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

import sweep.trainer.custom.own_schedules as schedules
from sweep.spec.settings.trainer_settings import CustomTrainer
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.custom.entry_point import canonical, entry_of
from sweep.trainer.custom.held_state import (
    Beginning,
    add_groups,
    groups_of,
    late_groups,
    load_states,
    stateful,
    states,
)
from sweep.trainer.custom.supervised import (
    OwnBatch,
    answers,
    checked_batch,
    checked_loss,
    why_no_network,
)
from sweep.trainer.custom.trainer_options import Options, asked_for
from sweep.trainer.losses.training_loss import TrainingLoss
from sweep.trainer.networks.device import choose_device, make_deterministic, seed_everything
from sweep.trainer.networks.optimizers import build_optimizer, why_not
from sweep.trainer.runs.guarded_run import GuardedRun, StepLoss
from sweep.trainer.runs.readers import of_groups, optimizer_name
from sweep.trainer.runs.returned_values import Method, described
from sweep.trainer.runs.run_protocol import EffectiveConfiguration, Loop
from sweep.trainer.runs.under_guard import StepAgain
from sweep.vocabulary.error_lines import last_line
from sweep.vocabulary.errors import TrainerError


class CustomTraining(GuardedRun):
    """Base class of a user's own loop. Three methods must be added.

    `build_model`, `batches` and `validate` are required. Loss with geometric terms, optimizer,
    schedule, gradient clip, guard, precision and seeds follow the settings, as with our own
    trainer. `compute_loss`, `build_optimizer` and `build_scheduler` may be replaced. A subclass may
    also set ``self.optimizer`` or ``self.scheduler`` itself. An epoch is trained with the two that
    exist when it begins.

    Methods should draw random numbers from Python's, NumPy's or torch's global generators. These
    are seeded with (seed, epoch) before each call.

    Args:
        settings: the whole configuration; `options` are ``trainer.options``.

    >>> import sweep, torch
    >>> class Mine(sweep.CustomTraining):
    ...     def build_model(self):
    ...         return torch.nn.Conv2d(1, 2, 3, padding=1)
    ...
    ...     def batches(self, epoch):
    ...         yield torch.rand(4, 1, 32, 32), torch.randint(0, 2, (4, 32, 32))
    ...
    ...     def validate(self, epoch):
    ...         return sweep.Validation(dice=0.5)
    """

    loss: TrainingLoss
    scheduler: LRScheduler | None
    geometric_class: int | Sequence[int] = 1
    """Channel of the output that the geometric terms act on, or several."""
    accumulate_grad_batches: int = 1
    """Number of batches whose gradients a step averages; fewer at the end of an epoch."""
    _began: Beginning | None = None

    def __init__(self, settings: TrialSettings) -> None:
        assert isinstance(settings.trainer, CustomTrainer)
        self.settings = settings
        self.trainer = settings.trainer
        self.options = Options(settings.trainer.options)
        self.device = choose_device(settings)
        make_deterministic(settings)
        # The loss needs it. Its first import draws random numbers, so it comes before the seed.
        import monai.losses  # noqa: F401

        seed_everything(settings.seed, 0)
        self.model = self._built_model().to(self.device)
        chosen = self.geometric_class
        classes = (chosen,) if isinstance(chosen, int) else tuple(chosen)
        self.loss = TrainingLoss(settings.loss, classes)
        if "optimizer" not in vars(self):  # else `build_model` has made it
            self.optimizer = self.build_optimizer()
        if "scheduler" not in vars(self):
            self.scheduler = self.build_scheduler(self.optimizer)
        self._made_here = self.optimizer
        self._look_at_optimizer()
        self.begin_guard(fp16=settings.trainer.amp == "fp16")
        self._steps = 0
        self._rate: float | None = None
        self._position = 0  # of the scheduler

    @abstractmethod
    def build_model(self) -> nn.Module:
        """The network with initial weights. Called once, by ``__init__``."""

    @abstractmethod
    def batches(self, epoch: int) -> Iterable[Any]:
        """The batches of an epoch in order: ``(images, labels)``, or what `compute_loss` takes.

        With ``trainer.steps_per_epoch``, the batches of that number of steps are used, if necessary
        repeatedly.
        """

    def build_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer of ``self.model``: any torch optimizer whose step needs no closure.

        Parameter groups can have their own learning rates; the schedule scales each of them.
        Parameters outside the optimizer are not trained.
        """
        return build_optimizer(self.settings.optimizer, self.model.parameters())

    def build_scheduler(self, optimizer: torch.optim.Optimizer) -> LRScheduler | None:
        """A torch learning-rate scheduler; None: use the schedule of the settings.

        It is stepped after each epoch, unless the class has done that itself in the epoch.
        `ReduceLROnPlateau` is stepped by the objective, and must have its mode.
        """
        return None

    def compute_loss(self, batch: Any, factor: float) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss of a batch (scalar), and its terms before their weights, by name.

        Args:
            batch: one of `batches`; here images ``[B, C, H, W]`` and labels ``[B, 1, H, W]``.
            factor: g(epoch), the geometric factor.
        """
        gave, built = Method(self.batches, type(self)), Method(self.build_model, type(self))
        batch = OwnBatch.of(batch, gave)
        with self.autocast():
            outputs = answers(self.model, batch.images.to(self.device), gave, built)
        checked_batch(batch, outputs[0], gave)
        distances = self.loss.distances(batch.labels.cpu(), factor)
        return self.loss(
            [output.float() for output in outputs],
            batch.labels.to(self.device),
            factor,
            None if distances is None else distances.to(self.device),
        )

    @property
    def steps_per_epoch(self) -> int:
        """The requested number, or that of the last epoch; 0 before the first."""
        return self.trainer.steps_per_epoch or self._steps

    def _begin_epoch(self, epoch: int) -> None:
        self._look_at_optimizer()
        size = self.accumulate_grad_batches
        if not (isinstance(size, int) and size >= 1):
            raise TrainerError(
                f"{entry_of(type(self))}: its accumulate_grad_batches is {described(size)}, but it"
                " must be the number of batches of a step, a whole number from 1"
            )
        if self.scheduler is None:
            optimizer, epochs = self.settings.optimizer, self.trainer.epochs
            schedules.follow(optimizer, self.optimizer, epoch, epochs)
        else:
            self._position = schedules.position(self.scheduler)
        self._remember_beginning()
        self.guard.watch(self.model, self.optimizer)
        self.guard.start_epoch(epoch, self.factor(epoch))
        self.model.train()

    def _step_losses(self, epoch: int, stop: int | None) -> Iterator[StepLoss]:
        count = 0
        batches, size = iter(self._epoch(epoch)), self.accumulate_grad_batches
        for step in itertools.count():
            of_step = list(itertools.islice(batches, 0 if step == stop else size))
            if not of_step:
                break
            self.keep_batch(epoch, step, of_step)
            for batch in of_step[:-1]:
                self.guard.backward(*self._loss_of(batch, epoch, len(of_step)))
            yield self._loss_of(of_step[-1], epoch, len(of_step))
            groups = self.optimizer.param_groups
            if step == 0 and all(p.grad is None for group in groups for p in group["params"]):
                raise TrainerError(
                    f"{entry_of(type(self))}: no parameter that its optimizer holds has a gradient:"
                    " the loss does not depend on any of them"
                )
            count += 1
        if stop is None:
            self._steps = count
        self._rate = schedules.rate(self.optimizer)

    def step_again(self, epoch: int, step: int) -> StepAgain | None:
        of_step = self.kept_batch(epoch, step)
        if of_step is None:
            return None
        batch = of_step[self.guard.recent((epoch, step))[-1].broken_batch or 0]

        def forward() -> tuple[None, Mapping[str, Tensor]]:
            return None, self._loss_of(batch, epoch)[1]

        def loss_with(settings: TrialSettings, inputs: Any) -> Tensor:
            other = copy(self)
            other.settings, other.loss = settings, self.loss.with_settings(settings.loss)
            return other._loss_of(inputs, epoch)[0]

        return StepAgain(forward=forward, loss_with=loss_with, inputs=batch)

    def rate_in_effect(self, epoch: int) -> float | None:
        return self._rate

    def end_epoch(self, epoch: int, value: float | None) -> None:
        if self.scheduler is not None and schedules.position(self.scheduler) == self._position:
            schedules.step(self.scheduler, value)

    def state_dict(self) -> dict[str, Any]:
        """With all other objects of this one that have a state: see `held_state`."""
        own: dict[str, Any] = {"steps": self._steps}
        if self.scheduler is not None:
            own["scheduler"] = self.scheduler.state_dict()
        if held := states(self._held()):
            own["held"] = held
        if self._began is not None and (added := self._late_groups()):
            own["added_groups"] = added
        return super().state_dict() | own

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        rates = [group.get("initial_lr") for group in self.optimizer.param_groups]
        added = len(self.optimizer.param_groups) - len(self._remember_beginning().groups)
        try:
            add_groups(self.optimizer, self.model, state.get("added_groups", ())[added:])
            super().load_state_dict(state)
        except (RuntimeError, ValueError, KeyError) as error:
            here, why = entry_of(type(self)), last_line(error)
            raise TrainerError(
                f"{here}: the network and the optimizer that it makes are others than those of its"
                f" checkpoint; what an epoch changes of them is lost: {why}"
            ) from error
        schedules.remember(self.optimizer, rates)  # a checkpoint of version 0.1 has none
        self._steps = state.get("steps", 0)
        here, held, found = entry_of(type(self)), self._held(), dict(state.get("held", {}))
        if "scheduler" in state:
            found["scheduler"] = state["scheduler"]
        if self.scheduler is not None:
            held["scheduler"] = self.scheduler
            if "scheduler" not in state:
                raise TrainerError(f"{here}: its checkpoint has no state of self.scheduler")
        load_states(held, found, here)

    def arrangement(self) -> Any:
        groups = list(self.optimizer.param_groups)
        return self.optimizer, groups, groups_of(self.optimizer), self.scheduler

    def put_back(self, arrangement: Any) -> None:
        self.optimizer, groups, parameters, self.scheduler = arrangement
        self.optimizer.param_groups[:] = groups
        for group, of_group in zip(groups, parameters, strict=True):
            group["params"] = list(of_group)

    def require_resumable(self) -> None:
        """Raise `TrainerError` if an epoch has made state that a resumed trial would not have."""
        if self._began is None or type(self).load_state_dict is not CustomTraining.load_state_dict:
            return
        here, began = entry_of(type(self)), self._began
        if self.optimizer is not began.optimizer:
            raise TrainerError(
                f"{here}: has replaced self.optimizer in an epoch, which a trial that goes on does"
                " not have: make it in build_optimizer, with all its groups"
            )
        if self._late_groups() is None:
            raise TrainerError(
                f"{here}: has changed the parameters of self.optimizer in an epoch, which a trial"
                " that goes on does not have: make all groups in build_optimizer, and freeze what"
                " is to wait with requires_grad_(False)"
            )
        if late := sorted(states(self._held()).keys() - began.held):
            raise TrainerError(
                f"{here}: has made self.{late[0]} in an epoch, which a trial that goes on does not"
                " have: make it in __init__, or keep it in state_dict and load_state_dict"
            )

    def warnings(self, epoch: int) -> tuple[str, ...]:
        """After the first epoch: options that nothing has read, settings of a loss and of an
        optimizer that the class has replaced, parameters that the optimizer does not hold.
        """
        if epoch > 0:
            return ()
        of_loss = () if self.loss.was_called else asked_for(self.settings, "loss")
        return (
            *self.options.unread(),
            *(f"`{k}` has no effect: compute_loss does not call self.loss" for k in of_loss),
            *sorted(schedules.unheeded(self.settings.optimizer, self.optimizer, self.scheduler)),
            *schedules.left_out(self.model, self.optimizer),
        )

    def effective_configuration(self, loop: Loop) -> EffectiveConfiguration:
        self._look_at_optimizer()  # a subclass may have set its own since
        return super().effective_configuration(loop)

    def effective(self) -> dict[str, Any]:
        found = {
            "trainer.entry": entry_of(type(self), self.trainer.entry),
            "trainer.options": self.options.unobserved(),
        }
        if not self.optimizer_is_own and self.scheduler is None:
            return found
        groups = self.optimizer.param_groups
        return found | {
            "optimizer.name": optimizer_name(self.optimizer),
            "optimizer.lr": of_groups(self.optimizer, "initial_lr"),
            "optimizer.groups": [schedules.group_words(group) for group in groups],
            "optimizer.schedule": schedules.name(self.settings.optimizer, self.scheduler),
        }

    def not_read(self) -> dict[str, str]:
        own: dict[str, str] = {}
        if self.optimizer_is_own:
            own |= dict.fromkeys(schedules.OF_OPTIMIZER, "the class makes its own optimizer")
        if self.scheduler is not None:
            why = "the class has a learning-rate scheduler of its own"
            own |= dict.fromkeys(schedules.OF_SCHEDULE, why)
        return super().not_read() | {f"optimizer.{key}": why for key, why in own.items()}

    def expected(self) -> dict[str, Any]:
        return {"trainer.entry": canonical(self.trainer.entry)}

    @property
    def optimizer_is_own(self) -> bool:
        replaced = type(self).build_optimizer is not CustomTraining.build_optimizer
        return replaced or self.optimizer is not self._made_here

    def _held(self) -> dict[str, Any]:
        known = [*self.model.modules(), self.optimizer, self._made_here, self.scheduler, self.guard]
        return stateful(vars(self), {id(one) for one in (*known, self.options)})

    def _remember_beginning(self) -> Beginning:
        if self._began is None:
            held = frozenset(states(self._held()))
            self._began = Beginning(self.optimizer, groups_of(self.optimizer), held)
        return self._began

    def _late_groups(self) -> list[list[str]] | None:
        return late_groups(self._remember_beginning().groups, self.optimizer, self.model)

    def _built_model(self) -> nn.Module:
        model, by = self.build_model(), Method(self.build_model, type(self))
        if not isinstance(model, nn.Module):
            by.refuse(model, "must return a torch.nn.Module")
        if (why := why_no_network(model)) is not None:
            by.fail(f"returned {described(model)}, which {why}")
        if not any(p.requires_grad for p in model.parameters()):
            by.fail(f"returned {described(model)} without a parameter that requires a gradient")
        return model

    def _look_at_optimizer(self) -> None:
        """Raise `TrainerError` if the guard cannot step the optimizer, or the optimizer trains
        nothing.
        """
        optimizer, here = self.optimizer, entry_of(type(self))
        if (why := why_not(optimizer)) is not None:
            raise TrainerError(f"{here}: its optimizer, {described(optimizer)}, {why}")
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if held.isdisjoint(map(id, self.model.parameters())):
            raise TrainerError(
                f"{here}: its optimizer holds no parameter of self.model; after replacing"
                " self.model, create self.optimizer again, from self.model.parameters()"
            )
        schedules.require_known(vars(self), optimizer, self.settings.judged_by, here)
        schedules.remember(optimizer)

    def _loss_of(self, batch: Any, epoch: int, batches: int = 1) -> StepLoss:
        found = self.compute_loss(batch, self.factor(epoch))
        loss, terms = checked_loss(found, Method(self.compute_loss, type(self)))
        return (loss if batches == 1 else loss / batches), terms

    def _epoch(self, epoch: int) -> Iterator[Any]:
        """The batches of an epoch, in the requested number."""
        steps, count, by = self.trainer.steps_per_epoch, 0, Method(self.batches, type(self))
        wanted = None if steps is None else steps * self.accumulate_grad_batches
        while True:
            before, found = count, self.batches(epoch)
            if not isinstance(found, Iterable):
                by.refuse(found, "must return the batches of the epoch, such as a DataLoader")
            for batch in found:
                yield batch
                count += 1
                if count == wanted:
                    return
            if count == before:
                by.fail(f"returned no batch for epoch {epoch}")
            if wanted is None:
                return
