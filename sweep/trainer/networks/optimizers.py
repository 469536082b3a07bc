"""Optimizers and the learning-rate schedule.

Both of our optimizers run fused: those kernels take a flag on the device, ``found_inf``, and leave
weights and state as they are where it is set. The guard relies on it to withhold a step without
asking the device first. What else a user brings is asked for its manners here.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from sweep.spec.settings.trial_settings import OptimizerSettings


def build_optimizer(
    settings: OptimizerSettings, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum, or AdamW; both fused."""
    if settings.name == "adamw":
        return torch.optim.AdamW(
            parameters, lr=settings.lr, weight_decay=settings.weight_decay, fused=True
        )
    optimizer = torch.optim.SGD(
        parameters,
        lr=settings.lr,
        momentum=settings.momentum,
        nesterov=settings.momentum > 0,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    if settings.momentum > 0:
        _start_momentum(optimizer)
    return optimizer


def _start_momentum(optimizer: torch.optim.SGD) -> None:
    """Begin with a momentum of 0, from which the first step is the same to the last bit.

    Left to itself torch allocates the buffers without filling them and lets the first step write
    them; where ``found_inf`` withholds that step, the second one reads uninitialised memory.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


FUSED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.Adagrad)
"""Those whose fused kernels know ``found_inf``. A subclass may do more in a step than they do."""


def takes_flag(optimizer: torch.optim.Optimizer) -> bool:
    """Whether a step changes nothing, neither weights nor state, where ``found_inf`` is set."""
    hooks = (optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks)
    # A scheduler wraps `step` to count its calls; whoever else replaces it may do anything.
    replaced = vars(optimizer).get("step")
    return (
        type(optimizer) in FUSED
        and all(group.get("fused") for group in optimizer.param_groups)
        and (replaced is None or hasattr(replaced, "_wrapped_by_lr_sched"))
        and not any(hooks)
        and not _lacks_momentum(optimizer)
    )


def _lacks_momentum(optimizer: torch.optim.Optimizer) -> bool:
    """Whether a first step that is withheld would leave it uninitialised: see `_start_momentum`."""
    return any(
        group.get("momentum", 0) > 0 and "momentum_buffer" not in optimizer.state.get(parameter, ())
        for group in optimizer.param_groups
        for parameter in group["params"]
    )


def why_not(optimizer: Any) -> str | None:
    """Why the guard cannot take the steps of what is to be an optimizer; None where it can."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        return "is no torch.optim.Optimizer: derive its class from that"
    if not hasattr(optimizer, "_optimizer_step_pre_hooks"):
        return "does not call super().__init__(params, defaults): without it, it is no optimizer"
    if "closure" in (needed := _needed_of_a_step(optimizer)):
        return (
            "evaluates the loss several times in a step (its `step` needs a closure), so that no"
            " step can be looked at before it is taken: use one without"
        )
    if needed:
        return f"has a `step` that needs `{needed[0]}`, which nobody gives it: use one without"
    if isinstance(optimizer, torch.optim.SparseAdam):
        return "takes sparse gradients, whose norm the guard cannot watch: use another one"
    return None


def _needed_of_a_step(optimizer: torch.optim.Optimizer) -> list[str]:
    """Names of what `step` cannot be called without, beside the optimizer itself."""
    _, *parameters = inspect.signature(type(optimizer).step).parameters.values()
    given = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in given]


def learning_rate(settings: OptimizerSettings, epoch: int, epochs: int) -> float:
    """Learning rate of ``epoch`` (from 0): a function of the epoch alone, so it needs no state.

    poly: ``lr · (1 − epoch / epochs)^exponent`` (nnU-Net's PolyLRScheduler).
    """
    return settings.lr * schedule_share(settings, epoch, epochs)


def schedule_share(settings: OptimizerSettings, epoch: int, epochs: int) -> float:
    """What the schedule leaves of a learning rate in ``epoch``, in (0, 1]."""
    if settings.schedule == "constant":
        return 1.0
    return float((1 - epoch / epochs) ** settings.poly_exponent)


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = value
