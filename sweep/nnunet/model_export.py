"""Export a trial's weights as a model folder for nnU-Net's predictor and commands.

    nnunet_model/
      plans.json  dataset.json
      fold_0/checkpoint_best.pth

Source of the layout: nnU-Net 2.8.1, ``nnUNetPredictor.initialize_from_trained_model_folder`` and
``nnUNetTrainer.save_checkpoint``.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sweep.nnunet.command.asked_settings import nnunet_trainer
from sweep.nnunet.command.trainer_copies import TRAINER
from sweep.nnunet.dataset.nnunet_folders import Folders
from sweep.nnunet.training.nnunet_run import made
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.files import atomic_write_bytes, write_json

CHECKPOINT = "checkpoint_best.pth"


def export_model(settings: TrialSettings, best: Mapping[str, Any], folder: Path) -> Path:
    """Write a model folder of nnU-Net.

    Args:
        settings: the trial's settings.
        best: content of its ``best.pt``: weights and epoch.
        folder: the model folder; an earlier model of the same fold is replaced.

    Returns:
        The checkpoint file.

    Raises:
        InputError: the trial's dataset does not exist any more.
    """
    with tempfile.TemporaryDirectory(prefix="nnunet-") as scratch:
        folders = Folders.of(nnunet_trainer(settings), Path(scratch))
        trainer = made(settings, folders)
        with folders.quietly():
            # This also chooses the mirrorings over which a prediction is averaged.
            trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        checkpoint = {
            "network_weights": best["model"],
            "optimizer_state": None,
            "grad_scaler_state": None,
            "logging": {},
            "_best_ema": None,
            "current_epoch": best["epoch"] + 1,
            "init_args": trainer.my_init_kwargs | {"device": torch.device("cpu")},
            "trainer_name": TRAINER,
            "inference_allowed_mirroring_axes": trainer.inference_allowed_mirroring_axes,
        }
        plans, dataset = trainer.plans_manager.plans, trainer.dataset_json
    file = folder / f"fold_{trainer.fold}" / CHECKPOINT
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(folder / "plans.json", plans)
    write_json(folder / "dataset.json", dataset)
    content = io.BytesIO()
    torch.save(checkpoint, content)
    with content.getbuffer() as view:
        atomic_write_bytes(file, view)
    return file
