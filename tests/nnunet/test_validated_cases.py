"""What nnU-Net's real validation predicted, read back for pictures."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from sweep.data.nnunet_raw.raw_dataset import open_raw
from sweep.nnunet.validated_cases import validated_cases
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.layout import TrialPaths
from sweep.trial.kinds.kind_table import kind_of
from sweep.vocabulary.errors import ResultsError


def settings_of(raw: Path) -> TrialSettings:
    trainer = {"kind": "nnunet", "dataset": 502, "raw": str(raw)}
    return TrialSettings.model_validate({"trainer": trainer})


def test_predicted_cases_are_read_on_the_grid_of_their_references(
    raw: Path, tmp_path: Path
) -> None:
    dataset = open_raw(next(raw.glob("Dataset502*")))
    first, second = dataset.cases[:2]
    predictions = tmp_path / "nnunet" / "validation"
    predictions.mkdir(parents=True)
    # The reference of the second case in the place of a prediction of the first.
    shutil.copy(dataset.label_path(second), predictions / dataset.label_path(first).name)
    segmenter = kind_of(settings_of(raw)).segmenter
    assert not isinstance(segmenter, str)
    found = segmenter(settings_of(raw), TrialPaths(tmp_path))
    assert found.cases == (first,)
    case, prediction = found.segment(first)
    assert prediction.shape == case.reference.shape == (1, 32, 32)
    shutil.copy(dataset.label_path(second), predictions / dataset.label_path(second).name)
    (other, same) = validated_cases(settings_of(raw), tmp_path / "nnunet").case(second)
    assert np.array_equal(same, other.reference)
    assert np.array_equal(prediction, other.reference)
    assert found.facts.classes == dataset.classes


def test_without_a_real_validation_it_is_said_that_there_is_none(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="has predicted no case"):
        validated_cases(settings_of(raw), tmp_path / "nnunet")
