"""nnU-Net's real validation: whole cases, sliding windows, mirroring, in the images' own spacing.

nnU-Net reports it at the end of a training. The pseudo Dice of an epoch only approximates it:
random patches, all cases pooled, no mirroring. A real validation takes as long as many epochs, so
only finalists get one.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nnunetv2.training.nnUNetTrainer import nnUNetTrainer

from sweep.nnunet.command.asked_settings import nnunet_trainer
from sweep.nnunet.dataset.nnunet_folders import Folders
from sweep.nnunet.training.nnunet_run import LatestValues, made
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.errors import SweepError, SweepFailed
from sweep.vocabulary.record import last_line


def real_validation(
    settings: TrialSettings, weights: Mapping[str, Any], folder: Path, *, processes: int = 1
) -> float | None:
    """Predict the validation cases of the trial's fold as nnU-Net does after a training.

    Args:
        settings: of the trial.
        weights: of its network, as its ``best.pt`` holds them under ``model``.
        folder: where nnU-Net leaves its predictions and ``summary.json``, each value in it.
        processes: that write predictions beside the one that predicts.
    Returns:
        mean Dice over cases and foreground classes; None where nothing is to be found in any case.
    Raises:
        InputError: the dataset that it was trained on is gone.
        SweepFailed: nnU-Net failed.
    """
    try:
        _validate(settings, weights, folder, processes)
    except SweepError:
        raise
    except Exception as error:  # of nnU-Net's, or of one of its processes
        raise SweepFailed(f"nnU-Net's validation failed: {last_line(error)}") from error
    summary = json.loads((folder / "validation" / "summary.json").read_text(encoding="utf-8"))
    dice = summary["foreground_mean"]["Dice"]
    return float(dice) if dice == dice else None


def _validate(
    settings: TrialSettings, weights: Mapping[str, Any], folder: Path, processes: int
) -> None:
    folders = Folders.of(nnunet_trainer(settings), folder)
    trainer = made(settings, folders)
    trainer.output_folder = str(folder)
    trainer.logger = LatestValues()
    with folders.in_effect(), contextlib.redirect_stdout(io.StringIO()), _at_once(processes):
        trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        trainer.initialize()
        trainer.model.load_state_dict(dict(weights))
        trainer.perform_actual_validation()


@contextlib.contextmanager
def _at_once(processes: int) -> Iterator[None]:
    """Processes that nnU-Net starts for a validation; it reads their number when it is imported."""
    module = nnUNetTrainer  # of the trainer's name
    before = module.default_num_processes
    module.default_num_processes = processes
    try:
        yield
    finally:
        module.default_num_processes = before
