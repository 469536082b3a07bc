"""One small dataset of nnU-Net, written, planned and preprocessed once for all tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

from sweep.data.sources.shapes_datasets import write_shapes_dataset
from sweep.nnunet.dataset.nnunet_folders import Folders
from sweep.spec.settings.data_settings import ShapesData
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trial.kinds.kind_table import make_ready

if TYPE_CHECKING:
    from sweep.nnunet.training.geometric_trainer import nnUNetTrainerGeometric

SHARED = Path(os.environ["MEDICAL_SWEEP_CACHE"])
"""A folder of this test session, all its processes included."""

MakeTrial = Callable[..., TrialSettings]


@pytest.fixture(autouse=True)
def _no_folders_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("raw", "preprocessed", "results"):
        monkeypatch.delenv(f"nnUNet_{name}", raising=False)


@pytest.fixture(scope="session")
def raw() -> Path:
    """nnU-Net's raw folder with Dataset502: one circle in each of 20 images of 32²."""
    folder = SHARED / "raw"
    images = ShapesData(size=32, count=20, difficulty=0.2)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            write_shapes_dataset(folder, 502, images, test=2)
    return folder


@pytest.fixture(scope="session")
def preprocessed(raw: Path) -> Path:
    """nnU-Net's folder of the same dataset, planned and preprocessed for 2d as a sweep does it
    before its first trial."""
    folder = SHARED / "preprocessed"
    trainer = {"kind": "nnunet", "dataset": 502, "raw": str(raw), "preprocessed": str(folder)}
    make_ready(TrialSettings.model_validate({"trainer": trainer}))
    return folder


@pytest.fixture
def trial(preprocessed: Path) -> MakeTrial:
    """A trial of 3 epochs of 3 steps, switched on at the second; changes are of these groups."""

    def make(trainer: dict[str, Any] | None = None, **groups: dict[str, Any]) -> TrialSettings:
        values: dict[str, Any] = {
            "trainer": {
                "kind": "nnunet",
                "dataset": 502,
                "preprocessed": str(preprocessed),
                "epochs": 3,
                "steps_per_epoch": 3,
                "validation_steps": 2,
                "device": "cpu",
            }
            | (trainer or {}),
            "loss": {
                "warmup_epochs": 1,
                "rampup_epochs": 0,
                "min_area": 5.0,
                "weights": {"boundary": 0.0, "aspect": 0.0},
            }
            | groups.pop("loss", {}),
        }
        return TrialSettings.model_validate(values | groups)

    return make


@pytest.fixture
def trainer(
    trial: MakeTrial, preprocessed: Path, tmp_path: Path
) -> Callable[..., nnUNetTrainerGeometric]:
    """A trainer of such a trial, ready to train an epoch; its results lie in ``tmp_path``."""

    def make(start: bool = True, **groups: Any) -> nnUNetTrainerGeometric:
        from sweep.nnunet.training.nnunet_run import made

        folders = Folders(preprocessed=preprocessed, results=tmp_path / "results")
        trainer = made(trial(**groups), folders)
        if start:
            with folders.in_effect():
                trainer.on_train_start()
        return trainer

    return make
