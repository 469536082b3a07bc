"""Our learning-rate schedule under nnU-Net's name for it."""

from __future__ import annotations

import torch

from sweep.spec.settings.trial_settings import OptimizerSettings
from sweep.trainer.networks.optimizers import learning_rate, set_learning_rate


class NnunetRate:
    """What nnU-Net calls ``lr_scheduler``: a function of the epoch alone.

    With the schedule ``poly`` and exponent 0.9 it is nnU-Net's PolyLRScheduler.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, settings: OptimizerSettings, epochs: int
    ) -> None:
        self._optimizer = optimizer
        self._settings = settings
        self._epochs = epochs

    def __call__(self, epoch: int) -> float:
        """Learning rate of an epoch, from 0."""
        return learning_rate(self._settings, epoch, self._epochs)

    def step(self, epoch: int) -> None:
        """Set the rate of an epoch."""
        set_learning_rate(self._optimizer, self(epoch))
