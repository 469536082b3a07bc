"""Learning rates of a user's own optimizer: by the settings' schedule, or by one of his own.

Each parameter group has the rate that it began with (``initial_lr``, as torch's own schedulers
call it); the schedule of the settings scales it. Whoever sets rates himself, with a scheduler or by
hand, is left alone.
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

OF_OPTIMIZER = ("name", "lr", "momentum", "weight_decay")
OF_SCHEDULE = ("lr", "momentum", "schedule", "poly_exponent")
"""Settings below ``optimizer`` that an optimizer, or a scheduler, of a user's own takes the place
of."""


def remember(optimizer: torch.optim.Optimizer, began: Sequence[Any] = ()) -> None:
    """Keep the rate that each group begins with, also of a group that was added since.

    Args:
        began: what the first groups are known to have begun with, where they do not say.
    """
    for group, first in zip_longest(optimizer.param_groups, began):
        if group is not None and "lr" in group:
            group.setdefault("initial_lr", group["lr"] if first is None else first)


def follow(
    settings: OptimizerSettings, optimizer: torch.optim.Optimizer, epoch: int, epochs: int
) -> None:
    """Set the rates of ``epoch`` by the settings' schedule.

    Without effect from the epoch on at which somebody else has changed a rate.
    """
    groups = [group for group in optimizer.param_groups if "initial_lr" in group]
    before = schedule_share(settings, max(0, epoch - 1), epochs)
    now = schedule_share(settings, epoch, epochs)
    for group in groups:
        is_new = group["lr"] is group["initial_lr"] or group["lr"] == group["initial_lr"]
        if is_new or group["lr"] == group["initial_lr"] * before:
            group["lr"] = group["initial_lr"] * now


def rate(optimizer: torch.optim.Optimizer) -> float | None:
    """The rate now, of the first group; None where it has none."""
    value = optimizer.param_groups[0].get("lr")
    return None if value is None else number(value)


def position(scheduler: LRScheduler) -> int:
    """How often it was stepped."""
    first = getattr(scheduler, "_schedulers", [scheduler])[0]  # a ChainedScheduler counts nothing
    return int(getattr(scheduler, "last_epoch", first.last_epoch))


def step(scheduler: LRScheduler, value: float | None) -> None:
    """Go on to the next epoch.

    Args:
        value: of the objective; None where nothing was measured, which a plateau is no part of.
    """
    if not isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step()
    elif value is not None:
        scheduler.step(value)


def name(settings: OptimizerSettings, scheduler: LRScheduler | None) -> str:
    """Of the schedule that acts."""
    if scheduler is None:
        return settings.schedule
    return f"{type(scheduler).__module__}.{type(scheduler).__qualname__}"


def group_words(group: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter group with what it is set to: numbers, texts and switches."""
    count = sum(p.numel() for p in group["params"])
    plain = {k: _plain(v) for k, v in group.items() if k not in ("params", "lr", "initial_lr")}
    lr = {"lr": _plain(group.get("initial_lr"))}
    return {"parameters": count} | lr | {k: v for k, v in plain.items() if v is not None}


def unheeded(
    asked: OptimizerSettings, optimizer: torch.optim.Optimizer, scheduler: LRScheduler | None
) -> Iterator[str]:
    """What was asked of the optimizer, beyond the defaults, and is not what steps."""
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
    """That parameters which require a gradient are not the optimizer's."""
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
    """Look at the schedulers that a training holds.

    Args:
        attributes: of the training.
        objective: what steps a plateau.
        here: names it, for messages.
    Raises:
        TrainerError: one would be lost on resuming, or would not act.
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
    """What `provenance.json` can hold of a value; None where that is nothing."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    try:
        return number(value)
    except TypeError:
        return None
