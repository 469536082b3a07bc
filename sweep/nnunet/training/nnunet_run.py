"""nnU-Net as a trial of a sweep (``trainer.kind: nnunet``), an epoch at a time.

A trial writes its own results. nnU-Net's folder of results is temporary and is deleted at the end.
`sweep.nnunet.model_export` writes a trial's weights in nnU-Net's format.

An epoch is a function of (seed, epoch) and the state before it, whatever the number of processes
that make its batches (`sweep.nnunet.training.ordered_batches`).
"""

from __future__ import annotations

import json
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sweep.nnunet.command.asked_settings import nnunet_trainer
from sweep.nnunet.dataset.nnunet_datasets import preprocessed_files
from sweep.nnunet.dataset.nnunet_folders import Folders
from sweep.nnunet.training.geometric_trainer import nnUNetTrainerGeometric
from sweep.nnunet.training.nnunet_effective import effective_configuration, replaced
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.tree.setting_tree import value_of
from sweep.trainer.networks.device import choose_device
from sweep.trainer.runs.explain import rate_of
from sweep.trainer.runs.guarded_run import GuardedRun, StepLoss, Validation, copy_to_cpu
from sweep.trainer.runs.run_protocol import EffectiveConfiguration, InTurns, Loop, without_pauses
from sweep.trainer.runs.under_guard import StepAgain
from sweep.vocabulary.divergence import EpsilonFacts, StepValues
from sweep.vocabulary.error_lines import last_line
from sweep.vocabulary.errors import SweepError, SweepFailed


class NnunetTraining(GuardedRun):
    """A run of ``nnUNetTrainerGeometric``.

    Validation Dice is nnU-Net's pseudo Dice: over random patches of the validation cases, pooled,
    mean over the foreground classes. `sweep.nnunet.real_validation` computes the real one.

    Args:
        settings: the whole configuration; its dataset is planned and preprocessed.

    Raises:
        InputError: the dataset or the plans are wrong, or do not fit the settings.
    """

    def __init__(self, settings: TrialSettings) -> None:
        self.settings = settings
        # nnU-Net makes its results folder with the trainer; it is deleted with this object.
        folder = tempfile.TemporaryDirectory(prefix="nnunet-", ignore_cleanup_errors=True)
        self._folders = Folders.of(nnunet_trainer(settings), Path(folder.name))
        self.trainer = made(settings, self._folders)
        self._end = weakref.finalize(self, _close, self.trainer, folder)
        with self._folders.quietly():
            self.trainer.on_train_start()
        self.trainer.logger = LatestValues()
        self.model, self.loss = self.trainer.model, self.trainer.guarded_loss
        self.optimizer, self.guard = self.trainer.optimizer, self.trainer.guard
        self._begun = 0  # epochs whose beginning the trainer has seen

    @property
    def steps_per_epoch(self) -> int:
        return self.trainer.steps_per_epoch

    def steps_in_turns(self, epoch: int, stop: int | None = None) -> InTurns[list[StepValues]]:
        """Without a pause: in one, another run would find nnU-Net's folders in effect."""
        with self._folders.quietly():
            return without_pauses(super().steps_in_turns(epoch, stop))
        yield  # makes this a generator

    @property
    def optimizer_is_own(self) -> bool:
        return self.trainer.optimizer_is_own

    def rate_in_effect(self, epoch: int) -> float | None:
        return rate_of(self.optimizer)

    def warnings(self, epoch: int) -> tuple[str, ...]:
        """After the first epoch: what the sweep replaces of an own trainer class, and the other way
        round.
        """
        if epoch > 0:
            return ()
        asked, own = self.settings, self.trainer.trainer_settings
        named = {"kind": "nnunet", "dataset": own.dataset, "trainer_class": own.trainer_class}
        usual = TrialSettings.model_validate({"trainer": named})
        return (
            *self.trainer.without_effect,
            *(
                f"`{key}` has no effect: {why}"
                for key, why in replaced(self.trainer).items()
                if value_of(asked, key) != value_of(usual, key)
            ),
        )

    def _begin_epoch(self, epoch: int) -> None:
        if epoch > self._begun and self.trainer.trainer_settings.own_code:
            state = copy_to_cpu(self.state_dict())
            for before in range(self._begun, epoch):  # a hook may act in one of them alone
                self._begin(before)
            self.load_state_dict(state)
        self._begin(epoch)

    def _begin(self, epoch: int) -> None:
        self._begun = epoch + 1
        self.trainer.current_epoch = epoch
        self.trainer.on_train_epoch_start()
        self.optimizer = self.trainer.optimizer  # a hook may have made another one

    def _step_losses(self, epoch: int, stop: int | None) -> Iterator[StepLoss]:
        for _ in range(self.steps_per_epoch if stop is None else stop):
            yield self.trainer.loss_of(next(self.trainer.dataloader_train))

    def validate(self, epoch: int) -> Validation:
        with self._folders.quietly():
            found = [dice for dice in self.trainer.validate_epoch() if dice is not None]
        answers = self.trainer.answers
        return Validation(
            dice=float(np.mean(found)) if found else None,
            predicted_classes=answers.predicted_classes(),
            trivial_dice=answers.trivial(),
        )

    def step_again(self, epoch: int, step: int) -> StepAgain | None:
        return self.trainer.step_again(epoch, step)

    def epsilon_facts(self) -> EpsilonFacts | None:
        return self.trainer.epsilon_facts()

    def effective_configuration(self, loop: Loop) -> EffectiveConfiguration:
        with self._folders.quietly():
            return effective_configuration(self.trainer, loop)

    def close(self) -> None:
        self._end()


class LatestValues:
    """A logger with nnU-Net's methods. Its own logger requires the values of every epoch."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def log(self, key: str, value: Any, step: int | None = None) -> None:
        self._values[key] = value

    log_summary = log

    def update_config(self, config: Mapping[str, Any]) -> None:
        """Ignored."""

    def get_value(self, key: str, step: int | None) -> Any:
        return self._values[key]


def made(settings: TrialSettings, folders: Folders) -> nnUNetTrainerGeometric:
    """The trainer of these settings, without network and data.

    Raises:
        InputError: as `NnunetTraining`.
    """
    trainer = nnunet_trainer(settings)
    plans, dataset = (
        json.loads(file.read_text(encoding="utf-8")) for file in preprocessed_files(trainer)
    )
    cls = nnUNetTrainerGeometric.configured(settings)
    with folders.quietly():
        return cls(
            plans | {"continue_training": False},
            trainer.configuration,
            trainer.fold,
            dataset,
            choose_device(settings),
        )


@contextmanager
def trained(
    settings: TrialSettings, weights: Mapping[str, Any], folder: Path, doing: str
) -> Iterator[nnUNetTrainerGeometric]:
    """The trainer of these settings with a trial's weights, to predict with. Inside the context
    nnU-Net's folders are in effect, and it prints nothing.

    Args:
        weights: of its network, as under ``model`` in its ``best.pt``.
        folder: of nnU-Net's results.
        doing: what is done with it, for the message.

    Raises:
        InputError: as `NnunetTraining`.
        SweepFailed: in place of any error of nnU-Net or one of its processes.
    """
    try:
        folders = Folders.of(nnunet_trainer(settings), folder)
        trainer = made(settings, folders)
        with folders.quietly():
            # This also chooses the mirrorings over which a prediction is averaged.
            trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
            trainer.initialize()
            trainer.model.load_state_dict(dict(weights))
            yield trainer
    except SweepError:
        raise
    except Exception as error:
        raise SweepFailed(f"nnU-Net's {doing} failed: {last_line(error)}") from error


def _close(trainer: nnUNetTrainerGeometric, folder: tempfile.TemporaryDirectory[str]) -> None:
    trainer.close()
    folder.cleanup()
