"""The configuration of any run, read from the objects that train.

If an object holds the value, nothing here reads the settings that the run was built from. The value
comes from an optimizer's parameter group, from the epochs at which the geometric factor rises, or
from the guard. A loss, a guard and an early stopping read the settings that they hold at every
call, so those take effect.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Container, Mapping
from operator import attrgetter
from typing import Any, Protocol

import torch
from torch import nn

from sweep.spec.settings.geometric_terms import weight_keys
from sweep.spec.settings.loss_settings import LossSettings
from sweep.spec.settings.trial_settings import GuardSettings, TrialSettings
from sweep.spec.tree.setting_tree import names_in, setting_names, value_of
from sweep.trainer.divergence.guard import Guard
from sweep.trainer.networks.device import choose_device
from sweep.trainer.runs.run_protocol import Loop


class Loss(Protocol):
    """A loss that reads the settings that it holds at every call."""

    @property
    def settings(self) -> LossSettings: ...

    @property
    def main_weights(self) -> Mapping[str, float]: ...


class Trains(Protocol):
    """The objects that train one trial, for every kind of trainer.

    ``autocast`` is the precision of a forward pass, as a context; ``factor`` is g(epoch), the
    geometric factor; ``rate`` the learning rate of an epoch.
    """

    settings: TrialSettings
    model: nn.Module
    loss: Loss
    optimizer: torch.optim.Optimizer
    guard: Guard

    @property
    def steps_per_epoch(self) -> int: ...

    def autocast(self) -> torch.autocast: ...

    def factor(self, epoch: int) -> float: ...

    def rate(self, epoch: float) -> float: ...


def read_back(run: Trains, loop: Loop, without: Container[str] = ()) -> dict[str, Any]:
    """Every setting that all runs have, by its dotted name, except those that nothing holds."""
    of_run = {key: read(run) for key, read in READERS.items() if key not in without}
    of_loop = {key: read(run, loop) for key, read in LOOP_READERS.items() if key not in without}
    of_plugins = {} if "loss.main" in without else run.loss.settings.weights.of_plugins
    return of_run | of_loop | dict(zip(weight_keys(of_plugins), of_plugins.values(), strict=True))


def expected(run: Trains) -> dict[str, Any]:
    """Effective value of each setting that depends on the machine."""
    asked = EXPECTED.keys() & set(names_in(run.settings))
    return {key: EXPECTED[key](value_of(run.settings, key), run) for key in asked}


def _off_until(run: Trains) -> int:
    return bisect_left(range(2**31), True, key=lambda epoch: run.factor(epoch) > 0)


def _full_from(run: Trains) -> int:
    return bisect_left(range(2**31), True, key=lambda epoch: run.factor(epoch) >= 1)


def _poly_exponent(run: Trains, loop: Loop) -> float | None:
    """Solves ``rate(e) / rate(0) = (1 − e / epochs)^x`` for x in the middle of the run."""
    middle = loop.epochs // 2
    if middle == 0:
        return None
    exponent = math.log(run.rate(middle) / run.rate(0)) / math.log(1 - middle / loop.epochs)
    return float(f"{exponent:.12g}")  # 0.9, not the 0.8999999999999999 of the logarithms


def _schedule(run: Trains, loop: Loop) -> str:
    """By the rates of a quarter and the middle of the run, which may lie between two epochs."""
    quarter, middle = (run.rate(loop.epochs * part) / run.rate(0) for part in (0.25, 0.5))
    if math.isclose(middle, 0.5) and math.isclose(quarter, (1 + math.sqrt(0.5)) / 2):
        return "cosine"
    return "poly" if middle < 1 else "constant"


def _counts_from(run: Trains, loop: Loop) -> str | int:
    first = loop.stopping.first_epoch
    return {_full_from(run): "rampup_end", 0: "start"}.get(first, first)


def _main_weight(*names: str) -> Callable[[Trains], float]:
    """Weight of the main loss's term of one of these names. Terms of weight 0 are left out."""
    return lambda run: next(
        (weight for name, weight in run.loss.main_weights.items() if name in names), 0.0
    )


def _amp(run: Trains) -> str:
    """Precision of a forward pass; float16 counts only with its scaler."""
    device = next(run.model.parameters()).device.type
    with run.autocast():
        if not torch.is_autocast_enabled(device):
            return "off"
        name = {torch.bfloat16: "bf16", torch.float16: "fp16"}[torch.get_autocast_dtype(device)]
    return name if (name == "fp16") == run.guard.fp16 else f"{name} with the wrong scaler"


def held(where: str, key: str) -> Callable[[Any], Any]:
    """Reader of a setting that an object of a run holds, such as ``guard.settings``."""
    holder = attrgetter(where)
    return lambda run: value_of(holder(run), key)


def of_groups(optimizer: torch.optim.Optimizer, key: str) -> Any:
    """Value of the parameter groups under a name: a list if they differ."""
    values = [group.get(key) for group in optimizer.param_groups]
    return values[0] if all(value == values[0] for value in values) else values


def optimizer_name(optimizer: torch.optim.Optimizer) -> str:
    """As in ``optimizer.name``; the class of an optimizer that no setting names."""
    kind = type(optimizer)
    named = OPTIMIZERS.get(kind) or f"{kind.__module__}.{kind.__qualname__}"
    return str(_of_plugin(optimizer).get("name", named))


def _of_plugin(optimizer: torch.optim.Optimizer) -> Mapping[str, Any]:
    """Name and options by which a plug-in was made; empty for any other optimizer."""
    found: Mapping[str, Any] = getattr(optimizer, "sweep_settings", {})
    return found


OPTIMIZERS: Mapping[type[torch.optim.Optimizer], str] = {
    torch.optim.SGD: "sgd",
    torch.optim.AdamW: "adamw",
}

READERS: Mapping[str, Callable[[Trains], Any]] = {
    "seed": lambda run: run.settings.seed,
    "trainer.steps_per_epoch": lambda run: run.steps_per_epoch,
    "trainer.device": lambda run: next(run.model.parameters()).device.type,
    "trainer.threads": lambda run: torch.get_num_threads(),
    "trainer.amp": _amp,
    "trainer.deterministic": lambda run: torch.are_deterministic_algorithms_enabled(),
    **{f"loss.{key}": held("loss.settings", key) for key in setting_names(LossSettings)},
    "loss.dice_weight": _main_weight("dice", "logcosh_dice"),
    "loss.pixel_weight": _main_weight("ce", "focal"),
    "loss.warmup_epochs": _off_until,
    "loss.rampup_epochs": lambda run: _full_from(run) - _off_until(run),
    "optimizer.name": lambda run: optimizer_name(run.optimizer),
    "optimizer.options": lambda run: _of_plugin(run.optimizer).get("options", {}),
    "optimizer.lr": lambda run: run.rate(0),
    "optimizer.momentum": lambda run: of_groups(run.optimizer, "momentum"),
    "optimizer.weight_decay": lambda run: of_groups(run.optimizer, "weight_decay"),
    "optimizer.gradient_clip": lambda run: run.guard.gradient_clip,
    **{f"guard.{key}": held("guard.settings", key) for key in setting_names(GuardSettings)},
}
"""Dotted name → where a run itself has the value."""

LOOP_READERS: Mapping[str, Callable[[Trains, Loop], Any]] = {
    "trainer.epochs": lambda _, loop: loop.epochs,
    "optimizer.schedule": _schedule,
    "optimizer.poly_exponent": _poly_exponent,
    "early_stopping.patience": lambda _, loop: loop.stopping.patience,
    "early_stopping.min_delta": lambda _, loop: loop.stopping.min_delta,
    "early_stopping.counts_from": _counts_from,
    "expect": lambda _, loop: [one.model_dump() for one in loop.expect],
    "objective.metric": lambda _, loop: loop.objective.metric,
    "objective.mode": lambda _, loop: loop.objective.mode,
}
"""Dotted name → where the loop, which ends a run, has the value."""

EXPECTED: Mapping[str, Callable[[Any, Trains], Any]] = {
    "expect": lambda asked, _: [one.model_dump() for one in asked],
    "trainer.steps_per_epoch": lambda asked, run: asked or run.steps_per_epoch,
    "trainer.device": lambda _, run: choose_device(run.settings).type,
}
"""Effective value of each setting that depends on the machine."""

NOT_READ = {"trainer.kind": "it decides who trains, and so who reads the settings back"}
"""Settings that no object of any run holds, and why."""
