"""Learning rates of a user's own optimizer: by the settings' schedule, or by the user's own.

Each parameter group has an initial rate (``initial_lr``, as in torch's own schedulers), which the
schedule of the settings scales. Rates that the user sets, with a scheduler or by hand, stay
unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from sweep.spec.settings.trial_settings import OptimizerSettings
from sweep.trainer.networks.optimizers import schedule_share
from sweep.trainer.runs.readers import of_groups, optimizer_name
from sweep.trainer.runs.returned_values import described, number
from sweep.vocabulary.errors import TrainerError
from sweep.vocabulary.objective import Objective

OF_OPTIMIZER = ("name", "lr", "momentum", "weight_decay", "options")
OF_SCHEDULE = ("lr", "momentum", "schedule", "poly_exponent")
"""Settings below ``optimizer`` that a user's own optimizer, or scheduler, replaces."""


def remember(optimizer: torch.optim.Optimizer, began: Sequence[Any] = ()) -> None:
    """Keep the initial rate of each group, also of groups that were added since.

    Args:
        began: known initial rates of the first groups, for groups that have not kept theirs.
    """
    for group, first in zip_longest(optimizer.param_groups, began):
        if group is not None and "lr" in group:
            group.setdefault("initial_lr", group["lr"] if first is None else first)


def follow(
    settings: OptimizerSettings, optimizer: torch.optim.Optimizer, epoch: int, epochs: int
) -> None:
    """Set the rates of ``epoch`` by the settings' schedule.

    It has no effect on a group from the epoch on in which the user's code has changed its rate.
    """
    groups = [group for group in optimizer.param_groups if "initial_lr" in group]
    before = schedule_share(settings, max(0, epoch - 1), epochs)
    now = schedule_share(settings, epoch, epochs)
    for group in groups:
        is_new = group["lr"] is group["initial_lr"] or group["lr"] == group["initial_lr"]
        if is_new or group["lr"] == group["initial_lr"] * before:
            group["lr"] = group["initial_lr"] * now


def rate(optimizer: torch.optim.Optimizer) -> float | None:
    """Current rate of the first group; None if it has none."""
    value = optimizer.param_groups[0].get("lr")
    return None if value is None else number(value)


def position(scheduler: LRScheduler) -> int:
    """Number of times that a scheduler was stepped."""
    first = getattr(scheduler, "_schedulers", [scheduler])[0]  # a ChainedScheduler counts nothing
    return int(getattr(scheduler, "last_epoch", first.last_epoch))


def step(scheduler: LRScheduler, value: float | None) -> None:
    """Step a scheduler to the next epoch.

    Args:
        value: of the objective; None if it was not measured. A plateau is then not stepped.
    """
    if not isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step()
    elif value is not None:
        scheduler.step(value)


def name(settings: OptimizerSettings, scheduler: LRScheduler | None) -> str:
    """Name of the schedule that has an effect."""
    if scheduler is None:
        return settings.schedule
    return f"{type(scheduler).__module__}.{type(scheduler).__qualname__}"


def group_words(group: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a parameter group: numbers, texts and switches."""
    count = sum(p.numel() for p in group["params"])
    others = {k: v for k, v in group.items() if k not in ("params", "lr", "initial_lr")}
    plain = {key: found for key, v in others.items() if (found := _plain(v)) is not None}
    return {"parameters": count, "lr": _plain(group.get("initial_lr"))} | plain


def unheeded(
    asked: OptimizerSettings, optimizer: torch.optim.Optimizer, scheduler: LRScheduler | None
) -> Iterator[str]:
    """A sentence for each setting of the optimizer that is not its default and has no effect."""
    written = {
        key: value
        for key, field in OptimizerSettings.model_fields.items()
        if (value := getattr(asked, key)) != field.default
    }
    if scheduler is not None:
        for key in {"schedule", "poly_exponent"} & written.keys():
            yield f"`optimizer.{key}` has no effect: {name(asked, scheduler)} sets the rates"
        written = {key: value for key, value in written.items() if key not in OF_SCHEDULE}
    steps = optimizer_name(optimizer)
    has = {"name": steps, "lr": of_groups(optimizer, "initial_lr")}
    has |= {key: of_groups(optimizer, key) for key in ("momentum", "weight_decay")}
    for key in written.keys() & has.keys():
        found, value = has[key], written[key]
        if value not in (found if isinstance(found, list) else [found]):
            says = "none" if found is None else found
            yield f"`optimizer.{key}` is {value} in the configuration, but {steps} has {says}"


def left_out(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[str]:
    """A sentence about parameters that require a gradient and are not in the optimizer, if any."""
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    free = [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in held]
    if free:
        yield (
            f"{len(free)} parameter tensors of the network are not in its optimizer and stay as"
            f" they are: {', '.join(free[:3])}{', …' if free[3:] else ''}"
        )


def require_known(
    attributes: Mapping[str, Any], optimizer: torch.optim.Optimizer, objective: Objective, here: str
) -> None:
    """Check the schedulers that a training holds.

    Args:
        attributes: of the training.
        objective: what steps a plateau.
        here: names the training, for messages.
    Raises:
        TrainerError: one would be lost on resuming, or would have no effect.
    """
    for attribute, value in attributes.items():
        is_other = attribute != "scheduler" and isinstance(value, LRScheduler)
        if is_other and getattr(value, "optimizer", optimizer) is optimizer:
            raise TrainerError(
                f"{here}: keeps a learning-rate scheduler as self.{attribute}, which is not"
                " stepped after an epoch: call it self.scheduler, or return it from"
                " build_scheduler(optimizer)"
            )
    scheduler = attributes.get("scheduler")
    if scheduler is None:
        return
    if not isinstance(scheduler, LRScheduler):
        raise TrainerError(
            f"{here}: its scheduler, {described(scheduler)}, is no"
            " torch.optim.lr_scheduler.LRScheduler: derive its class from that"
        )
    if getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise TrainerError(f"{here}: its scheduler acts on another optimizer than self.optimizer")
    if isinstance(scheduler, ReduceLROnPlateau) and scheduler.mode != objective.mode:
        raise TrainerError(
            f'{here}: its ReduceLROnPlateau has mode="{scheduler.mode}", but it is stepped by the'
            f' objective, {objective.words}: give it mode="{objective.mode}"'
        )


def _plain(value: Any) -> Any:
    """A value as `provenance.json` can hold it; None if it cannot."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    try:
        return number(value)
    except TypeError:
        return None
