"""nnU-Net's real validation: whole cases, sliding windows, mirroring, in the images' own spacing.

nnU-Net reports it at the end of a training. The pseudo Dice of an epoch only approximates it: it
takes random patches, pools all cases and does not mirror. A real validation takes as long as many
epochs, so only finalists get one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from nnunetv2.training.nnUNetTrainer import nnUNetTrainer

from sweep.data.nnunet_raw.case_groups import groups_of
from sweep.nnunet.command.asked_settings import nnunet_trainer
from sweep.nnunet.dataset.grouped_splits import GROUPS_KEY
from sweep.nnunet.training.nnunet_run import LatestValues, trained
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.record import RealValidation


def real_validation(
    settings: TrialSettings, weights: Mapping[str, Any], folder: Path
) -> RealValidation:
    """Predict the validation cases of the trial's fold as nnU-Net does after a training.

    Args:
        settings: the trial's settings.
        weights: of its network, as under ``model`` in its ``best.pt``.
        folder: where nnU-Net writes its predictions and ``summary.json`` with all values.

    Returns:
        Dice of each case and foreground class, and nnU-Net's mean over them. A case whose
        prediction and reference both lack a class has no value there.

    Raises:
        InputError: the trial's dataset does not exist any more.
        SweepFailed: nnU-Net failed.
    """
    before = nnUNetTrainer.default_num_processes
    with trained(settings, weights, folder, "validation") as trainer:
        trainer.output_folder = str(folder)
        trainer.logger = LatestValues()
        # nnU-Net reads this number once, when it is imported.
        nnUNetTrainer.default_num_processes = 1
        try:
            trainer.perform_actual_validation()
        finally:
            nnUNetTrainer.default_num_processes = before
    found = read_summary(folder / "validation" / "summary.json", trainer.dataset_json)
    with suppress(InputError):  # the file with the groups is gone: no reason to lose the scores
        groups = groups_of(nnunet_trainer(settings).groups, sorted(found.cases), GROUPS_KEY)
        found = replace(found, groups=groups)
    return found


def read_summary(file: Path, dataset_json: Mapping[str, Any]) -> RealValidation:
    """nnU-Net's evaluation of a folder of predictions.

    Args:
        file: its ``summary.json``.
        dataset_json: of the dataset; it has the names of the classes.
    """
    names = {  # a label as nnU-Net writes it into a summary: ``1``, or ``(1, 2)`` of a region
        str(tuple(value) if isinstance(value, list) else value): name
        for name, value in dataset_json["labels"].items()
    }
    ending, cases = dataset_json["file_ending"], {}
    by_class: dict[str, list[float]] = {}
    for case in json.loads(file.read_text(encoding="utf-8"))["metric_per_case"]:
        values = {}
        for key, metrics in case["metrics"].items():
            name, dice = names.get(key, key), float(metrics["Dice"])
            values[name] = dice if math.isfinite(dice) else None
            by_class.setdefault(name, []).extend([dice] if math.isfinite(dice) else [])
        cases[Path(case["prediction_file"]).name.removesuffix(ending)] = values
    # nnU-Net's `foreground_mean`, which is NaN where a class is in no case. That class is left out.
    means = [fmean(found) for found in by_class.values() if found]
    return RealValidation(dice=fmean(means) if means else None, cases=cases)
