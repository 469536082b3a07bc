"""Optimizers and the learning-rate schedule.

Both optimizers run fused: those kernels take a flag on the device, ``found_inf``, and leave weights
and state as they are where it is set. The guard relies on it to withhold a step without asking the
device first.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from sweep.spec.settings import OptimizerSettings


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


def learning_rate(settings: OptimizerSettings, epoch: int, epochs: int) -> float:
    """Learning rate of ``epoch`` (from 0): a function of the epoch alone, so it needs no state.

    poly: ``lr · (1 − epoch / epochs)^exponent`` (nnU-Net's PolyLRScheduler).
    """
    if settings.schedule == "constant":
        return settings.lr
    return float(settings.lr * (1 - epoch / epochs) ** settings.poly_exponent)


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = value
