"""Optimizers and the learning-rate schedule.

Both of our optimizers run fused. Those kernels take a flag on the device, ``found_inf``, and leave
weights and state unchanged if it is set. The guard relies on it to withhold a step without a
transfer from the device. `takes_flag` and `why_not` examine the optimizers that users bring.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from sweep.plugins.plugin_kinds import OPTIMIZER
from sweep.spec.settings.trial_settings import OptimizerSettings
from sweep.vocabulary.errors import TrainerError


def build_optimizer(
    settings: OptimizerSettings, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum, or AdamW, both fused; or that of a plug-in.

    Raises:
        TrainerError: a plug-in cannot be made with its options, or the guard cannot take its steps.
    """
    if settings.is_plugin:
        return _of_plugin(settings, parameters)
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
        # torch allocates the buffers without filling them, and the first step writes them. If
        # `found_inf` withholds that step, the second one reads uninitialised memory. A momentum of
        # 0 gives the same first step to the last bit.
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def _of_plugin(
    settings: OptimizerSettings, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    name, options = settings.name, dict(settings.options)
    optimizer: torch.optim.Optimizer = OPTIMIZER.build(name, options, [*parameters], lr=settings.lr)
    if (why := why_not(optimizer)) is not None:
        raise TrainerError(f"the optimizer `{name}` {why}")
    optimizer.sweep_settings = {"name": name, "options": options}  # type: ignore[attr-defined]
    return optimizer


FUSED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.Adagrad)
"""Optimizers whose fused kernels take ``found_inf``. A subclass may do more in a step."""


def takes_flag(optimizer: torch.optim.Optimizer) -> bool:
    """Whether a step changes neither weights nor state if ``found_inf`` is set."""
    hooks = (optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks)
    # A scheduler wraps `step` to count its calls. Any other replacement may do anything.
    replaced = vars(optimizer).get("step")
    return (
        type(optimizer) in FUSED
        and all(group.get("fused") for group in optimizer.param_groups)
        and (replaced is None or hasattr(replaced, "_wrapped_by_lr_sched"))
        and not any(hooks)
        # Else a first step that is withheld leaves it uninitialised: see `build_optimizer`.
        and all(
            group.get("momentum", 0) <= 0 or "momentum_buffer" in optimizer.state.get(parameter, ())
            for group in optimizer.param_groups
            for parameter in group["params"]
        )
    )


def why_not(optimizer: Any) -> str | None:
    """Why the guard cannot take the steps of an object as an optimizer's, a clause; None if it
    can."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        return "is no torch.optim.Optimizer: derive its class from that"
    if not hasattr(optimizer, "_optimizer_step_pre_hooks"):
        return "does not call super().__init__(params, defaults): without it, it is no optimizer"
    _, *parameters = inspect.signature(type(optimizer).step).parameters.values()
    given = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in given]
    if "closure" in needed:
        return (
            "evaluates the loss several times in a step (its `step` needs a closure), so that no"
            " step can be looked at before it is taken: use one without"
        )
    if needed:
        return f"has a `step` that needs `{needed[0]}`, which nothing passes to it: use one without"
    if isinstance(optimizer, torch.optim.SparseAdam):
        return "takes sparse gradients, whose norm the guard cannot watch: use another one"
    return None


def learning_rate(settings: OptimizerSettings, epoch: float, epochs: int) -> float:
    """Learning rate of ``epoch`` (from 0): a function of the epoch alone, so it needs no state.

    poly: ``lr · (1 − epoch / epochs)^exponent`` (nnU-Net's PolyLRScheduler). cosine: that of
    torch's CosineAnnealingLR with all epochs (Loshchilov and Hutter 2017, equation 5).
    """
    return settings.lr * schedule_share(settings, epoch, epochs)


def schedule_share(settings: OptimizerSettings, epoch: float, epochs: int) -> float:
    """Factor in (0, 1] by which the schedule scales a learning rate in ``epoch``."""
    match settings.schedule:
        case "constant":
            return 1.0
        case "cosine":
            return (1 + math.cos(math.pi * epoch / epochs)) / 2
        case "poly":
            return float((1 - epoch / epochs) ** settings.poly_exponent)


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = value
