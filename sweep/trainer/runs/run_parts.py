"""The objects that train a trial, whatever the kind of its trainer, and what they were set to.

Nothing here looks at the settings that the run was built from: a value comes from an optimizer's
parameter group, from the epochs at which the geometric factor rises, from the guard.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from sweep.spec.settings.geometric_terms import WEIGHTS
from sweep.spec.settings.setting_tree import setting_names, value_of
from sweep.spec.settings.trial_settings import GuardSettings, LossSettings
from sweep.trainer.divergence.guard import Guard
from sweep.trainer.runs.run_protocol import Loop


class Weighted(Protocol):
    """A term of a main loss."""

    @property
    def weight(self) -> float: ...


class Loss(Protocol):
    """A loss that reads the settings that it holds at every call: those are what acts."""

    @property
    def settings(self) -> LossSettings: ...

    @property
    def main(self) -> Mapping[str, Weighted]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The objects that train one trial, whatever the kind of its trainer.

    Args:
        seed: of all that is random.
        steps: optimizer steps an epoch.
        autocast: the precision of a forward pass, as a context.
        factor: g(epoch), the geometric factor.
        rate: learning rate of an epoch.
        loop: what ends it.
    """

    seed: int
    steps: int
    model: nn.Module
    loss: Loss
    optimizer: torch.optim.Optimizer
    guard: Guard
    autocast: Callable[[], torch.autocast]
    factor: Callable[[int], float]
    rate: Callable[[int], float]
    loop: Loop


def _first_epoch(reached: Callable[[int], bool]) -> int:
    """The first epoch at which something that never ends again has begun."""
    return bisect_left(range(2**31), True, key=reached)


def _off_until(parts: Parts) -> int:
    return _first_epoch(lambda epoch: parts.factor(epoch) > 0)


def _full_from(parts: Parts) -> int:
    return _first_epoch(lambda epoch: parts.factor(epoch) >= 1)


def _schedule(parts: Parts) -> str:
    return "poly" if parts.rate(parts.loop.epochs - 1) < parts.rate(0) else "constant"


def _poly_exponent(parts: Parts) -> float | None:
    """Solves ``rate(e) / rate(0) = (1 − e / epochs)^x`` for x in the middle of the run."""
    middle = parts.loop.epochs // 2
    if middle == 0:
        return None
    exponent = math.log(parts.rate(middle) / parts.rate(0)) / math.log(
        1 - middle / parts.loop.epochs
    )
    return float(f"{exponent:.12g}")  # 0.9, not the 0.8999999999999999 of the logarithms


def _counts_from(parts: Parts) -> str | int:
    first = parts.loop.stopping.first_epoch
    return {_full_from(parts): "rampup_end", 0: "start"}.get(first, first)


def _main_weight(*names: str) -> Callable[[Parts], float]:
    """Weight of the main loss's term of one of these names; one of weight 0 is not there."""
    return lambda parts: next(
        (term.weight for name, term in parts.loss.main.items() if name in names), 0.0
    )


def _amp(parts: Parts) -> str:
    """The precision that a forward pass has; float16 only counts with its scaler."""
    device = next(parts.model.parameters()).device.type
    with parts.autocast():
        if not torch.is_autocast_enabled(device):
            return "off"
        name = {torch.bfloat16: "bf16", torch.float16: "fp16"}[torch.get_autocast_dtype(device)]
    return name if (name == "fp16") == parts.guard.fp16 else f"{name} with the wrong scaler"


def _loss(key: str) -> Callable[[Parts], Any]:
    return lambda parts: value_of(parts.loss.settings, key.removeprefix("loss."))


def _guard(key: str) -> Callable[[Parts], Any]:
    return lambda parts: value_of(parts.guard.settings, key)


def of_groups(optimizer: torch.optim.Optimizer, key: str) -> Any:
    """What the parameter groups have under a name: one value where all have the same."""
    values = [group.get(key) for group in optimizer.param_groups]
    return values[0] if all(value == values[0] for value in values) else values


def optimizer_name(optimizer: torch.optim.Optimizer) -> str:
    """As ``optimizer.name`` has it; of one that no setting names, its class."""
    kind = type(optimizer)
    return OPTIMIZERS.get(kind) or f"{kind.__module__}.{kind.__qualname__}"


OPTIMIZERS: Mapping[type[torch.optim.Optimizer], str] = {
    torch.optim.SGD: "sgd",
    torch.optim.AdamW: "adamw",
}

PART_READERS: Mapping[str, Callable[[Parts], Any]] = {
    "seed": lambda parts: parts.seed,
    "trainer.epochs": lambda parts: parts.loop.epochs,
    "trainer.steps_per_epoch": lambda parts: parts.steps,
    "trainer.device": lambda parts: next(parts.model.parameters()).device.type,
    "trainer.threads": lambda parts: torch.get_num_threads(),
    "trainer.amp": _amp,
    "trainer.deterministic": lambda parts: torch.are_deterministic_algorithms_enabled(),
    "loss.main": lambda parts: parts.loss.settings.main,
    "loss.dice_weight": _main_weight("dice", "logcosh_dice"),
    "loss.pixel_weight": _main_weight("ce", "focal"),
    "loss.focal_gamma": lambda parts: parts.loss.settings.focal_gamma,
    "loss.warmup_epochs": _off_until,
    "loss.rampup_epochs": lambda parts: _full_from(parts) - _off_until(parts),
    **{
        key: _loss(key)
        for key in (*WEIGHTS, "loss.sqrt_epsilon", "loss.sqrt_mode", "loss.min_area")
    },
    "optimizer.name": lambda parts: optimizer_name(parts.optimizer),
    "optimizer.lr": lambda parts: parts.rate(0),
    "optimizer.momentum": lambda parts: of_groups(parts.optimizer, "momentum"),
    "optimizer.weight_decay": lambda parts: of_groups(parts.optimizer, "weight_decay"),
    "optimizer.schedule": _schedule,
    "optimizer.poly_exponent": _poly_exponent,
    "optimizer.gradient_clip": lambda parts: parts.guard.gradient_clip,
    **{f"guard.{key}": _guard(key) for key in setting_names(GuardSettings)},
    "early_stopping.patience": lambda parts: parts.loop.stopping.patience,
    "early_stopping.min_delta": lambda parts: parts.loop.stopping.min_delta,
    "early_stopping.counts_from": _counts_from,
    "expect": lambda parts: [one.model_dump() for one in parts.loop.expect],
    "objective.metric": lambda parts: parts.loop.objective.metric,
    "objective.mode": lambda parts: parts.loop.objective.mode,
}
"""Dotted name → where a run itself has the value."""


EXPECTED: Mapping[str, Callable[[Any, Parts], Any]] = {
    "expect": lambda asked, _: [one.model_dump() for one in asked],
    "trainer.steps_per_epoch": lambda asked, parts: asked or parts.steps,
    "trainer.device": lambda asked, _: (
        ("cuda" if torch.cuda.is_available() else "cpu") if asked == "auto" else asked
    ),
}
"""What a setting comes to that leaves a part of the choice to the machine."""
