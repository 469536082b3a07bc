"""nnU-Net's real validation: whole cases, sliding windows, mirroring, in the images' own spacing.

nnU-Net reports it at the end of a training. The pseudo Dice of an epoch only approximates it: it
takes random patches, pools all cases and does not mirror. A real validation takes as long as many
epochs, so only finalists get one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
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
        settings: the trial's settings.
        weights: of its network, as under ``model`` in its ``best.pt``.
        folder: where nnU-Net writes its predictions and ``summary.json`` with all values.
        processes: number of processes that write predictions.

    Returns:
        Mean Dice over cases and foreground classes; None if no case has a foreground.

    Raises:
        InputError: the trial's dataset does not exist any more.
        SweepFailed: nnU-Net failed.
    """
    # nnU-Net reads this number once, when it is imported.
    before = nnUNetTrainer.default_num_processes
    try:
        folders = Folders.of(nnunet_trainer(settings), folder)
        trainer = made(settings, folders)
        trainer.output_folder = str(folder)
        trainer.logger = LatestValues()
        nnUNetTrainer.default_num_processes = processes
        with folders.quietly():
            trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
            trainer.initialize()
            trainer.model.load_state_dict(dict(weights))
            trainer.perform_actual_validation()
    except SweepError:
        raise
    except Exception as error:  # of nnU-Net or one of its processes
        raise SweepFailed(f"nnU-Net's validation failed: {last_line(error)}") from error
    finally:
        nnUNetTrainer.default_num_processes = before
    summary = json.loads((folder / "validation" / "summary.json").read_text(encoding="utf-8"))
    dice = summary["foreground_mean"]["Dice"]
    return float(dice) if dice == dice else None
