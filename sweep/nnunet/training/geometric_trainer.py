"""``nnUNetTrainerGeometric``: what nnU-Net's own command trains with."""

from __future__ import annotations

from sweep.nnunet.command.asked_settings import told
from sweep.nnunet.training.command_record import begin, write_divergence
from sweep.nnunet.training.guarded_trainer import GuardedTrainer
from sweep.trainer.divergence.guard import Diverged
from sweep.trainer.runs.explain import explain


class nnUNetTrainerGeometric(GuardedTrainer):  # noqa: N801 - nnU-Net looks for this name
    """`GuardedTrainer` with nnU-Net's own loop, which records what it does."""

    _alone = False  # whether that loop runs

    def on_train_start(self) -> None:
        super().on_train_start()
        if self._alone:
            begin(self)

    def run_training(self) -> None:
        """nnU-Net's own loop, which ends at the step that the guard condemns.

        Raises:
            SystemExit: with code 1, the run having diverged or something else being in effect
                than was asked for; with 2 where what was asked for is wrong.
        """
        self._alone = True
        try:
            with told(alone=True):
                super().run_training()
        except Diverged as stop:
            write_divergence(self, explain(self, stop).divergence)
            raise SystemExit(1) from None
        finally:
            self.close()
