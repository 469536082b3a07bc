"""One epoch as nnU-Net's own loop trains it."""

from __future__ import annotations

from sweep.nnunet.training.guarded_trainer import GuardedTrainer
from sweep.trainer.divergence.guard import Diverged
from sweep.trainer.runs.explain import explain
from sweep.vocabulary.divergence import StepValues


def train_epoch(trainer: GuardedTrainer, epoch: int) -> list[StepValues]:
    """The values of the steps of an epoch; raises Diverged with its circumstances."""
    trainer.current_epoch = epoch
    trainer.on_epoch_start()
    trainer.on_train_epoch_start()
    try:
        steps = range(trainer.steps_per_epoch)
        trainer.on_train_epoch_end(
            [trainer.train_step(next(trainer.dataloader_train)) for _ in steps]
        )
    except Diverged as stop:
        raise explain(trainer, stop) from None
    return trainer.steps
