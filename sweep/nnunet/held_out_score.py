"""A trial's weights on the test images of nnU-Net's raw dataset, by nnU-Net's own predictor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from nnunetv2.evaluation.evaluate_predictions import compute_metrics_on_folder
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from sweep.data.nnunet_raw.case_groups import groups_of
from sweep.data.nnunet_raw.raw_dataset import TEST_LABELS_FOLDER, RawFiles
from sweep.nnunet.command.asked_settings import nnunet_trainer
from sweep.nnunet.dataset.grouped_splits import GROUPS_KEY
from sweep.nnunet.dataset.nnunet_datasets import need_dataset
from sweep.nnunet.real_validation import read_summary
from sweep.nnunet.training.nnunet_run import trained
from sweep.spec.settings.data_settings import TEST_FOLDER
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.record import CaseScore


def held_out_score(
    settings: TrialSettings, weights: Mapping[str, Any], folder: Path
) -> tuple[CaseScore, ...]:
    """Predict ``imagesTs`` as ``nnUNetv2_predict`` does, and compare with ``labelsTs``.

    Args:
        settings: the trial's settings.
        weights: of its network, as under ``model`` in its ``best.pt``.
        folder: where the masks are written, and nnU-Net's ``summary.json`` with the values of each
            case and class.

    Returns:
        Dice of each case, the mean over the foreground classes that its reference or its prediction
        has; None if they have none.

    Raises:
        InputError: the trial's dataset does not exist any more.
        SweepFailed: nnU-Net failed.
    """
    raw = need_dataset(nnunet_trainer(settings), "raw")
    summary = folder / "summary.json"
    with trained(settings, weights, folder, "prediction") as trainer:
        folder.mkdir(parents=True, exist_ok=True)
        labels, ending = trainer.label_manager, str(trainer.dataset_json["file_ending"])
        images = RawFiles.under(raw, ending, TEST_FOLDER, TEST_LABELS_FOLDER)
        files = {
            case: [str(images.images_in / f"{case}_{n:04d}{ending}") for n in sorted(channels)]
            for case, channels in sorted(images.images.items())
        }
        trainer.set_deep_supervision_enabled(False)
        predictor = nnUNetPredictor(
            device=trainer.device,
            perform_everything_on_device=trainer.device.type == "cuda",
            allow_tqdm=False,
        )
        predictor.manual_initialization(
            trainer.network,
            trainer.plans_manager,
            trainer.configuration_manager,
            [trainer.model.state_dict()],
            trainer.dataset_json,
            trainer.__class__.__name__,
            trainer.inference_allowed_mirroring_axes,
        )
        with torch.no_grad():
            # Given a folder, nnU-Net would look for its files in processes.
            predictor.predict_from_files_sequential(
                [*files.values()], [str(folder / case) for case in files]
            )
        compute_metrics_on_folder(
            str(raw / TEST_LABELS_FOLDER),
            str(folder),
            str(summary),
            trainer.plans_manager.image_reader_writer_class(),
            ending,
            labels.foreground_regions if labels.has_regions else labels.foreground_labels,
            labels.ignore_label,
            num_processes=1,
        )
    found = read_summary(summary, trainer.dataset_json).cases
    groups = groups_of(nnunet_trainer(settings).groups, sorted(found), GROUPS_KEY)
    return tuple(
        CaseScore(case=case, dice=_mean(classes), group=groups.get(case))
        for case, classes in sorted(found.items())
    )


def _mean(classes: Mapping[str, float | None]) -> float | None:
    values = [dice for dice in classes.values() if dice is not None]
    return fmean(values) if values else None
