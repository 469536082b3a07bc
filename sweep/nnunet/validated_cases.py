"""The cases that nnU-Net's real validation predicted, read back to be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep.data.nnunet_raw.case_grid import look_at
from sweep.data.nnunet_raw.pixels import load_case
from sweep.data.nnunet_raw.raw_dataset import RawDataset, open_raw
from sweep.data.prepared.case_arrays import prepared_case, written_mask
from sweep.data.prepared.data_facts import DataFacts
from sweep.data.prepared.samples import CaseArrays
from sweep.nnunet.command.asked_settings import nnunet_trainer
from sweep.nnunet.dataset.nnunet_datasets import need_dataset
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.errors import ResultsError

SLICE_AXIS = 2
"""Volumes are read as `sweep.data` reads them, with their axes to right, anterior, superior."""


@dataclass(frozen=True, slots=True)
class ValidatedCases:
    """Predictions of a real validation.

    Args:
        dataset: the raw images and references.
        predictions: folder of the predicted masks.
        cases: those that are predicted.
    """

    dataset: RawDataset
    predictions: Path
    cases: tuple[str, ...]

    @property
    def facts(self) -> DataFacts:
        """Of the dataset; nothing is known of the samples that nnU-Net made of it."""
        return DataFacts(
            channels=self.dataset.channel_names,
            classes=self.dataset.classes,
            file_ending=self.dataset.file_ending,
            slice_axis=SLICE_AXIS,
            ignore=self.dataset.ignore,
            regions=self.dataset.regions,
            sample_shape=(),
        )

    def case(self, name: str) -> tuple[CaseArrays, NDArray[np.uint8]]:
        """A case with its reference, and its predicted labels ``[S, H, W]``.

        Raises:
            InputError: one of its files cannot be read, or they do not fit each other.
        """
        grid = look_at(self.dataset, name)
        image, label = load_case(self.dataset, name, grid)
        case = prepared_case(
            self.dataset,
            name,
            image,
            label,
            grid,
            slice_axis=SLICE_AXIS,
            normalization="zscore",
        )
        mask = written_mask(self.dataset, name, self.predictions, SLICE_AXIS)
        if self.dataset.ignore is not None:
            mask = np.where(case.labels == self.dataset.ignore, case.labels, mask)
        return case, mask


def validated_cases(settings: TrialSettings, folder: Path) -> ValidatedCases:
    """The cases that `sweep.nnunet.real_validation` predicted into a folder.

    Raises:
        InputError: the raw dataset does not exist any more, or cannot be read.
        ResultsError: there are no predictions.
    """
    predictions = folder / "validation"
    dataset = open_raw(need_dataset(nnunet_trainer(settings), "raw"))
    names = (
        case for case in dataset.cases if (predictions / f"{case}{dataset.file_ending}").exists()
    )
    if not (cases := tuple(names)):
        raise ResultsError(
            "nnU-Net's real validation, which a sweep runs for its finalists, has predicted no case"
        )
    return ValidatedCases(dataset, predictions, cases)
