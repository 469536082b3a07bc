"""Training on whole volumes, ``data.spatial: volumes``: from a raw dataset to its best epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from cut_short import cut_short
from foreign import trial as foreign_trial
from foreign import write_trainer
from raw_dataset import write_cases

from sweep.data.nnunet_raw.pixels import RawCase
from sweep.data.prepared.prepare import prepare
from sweep.data.prepared.unfit_data import unfit
from sweep.spec.settings.network_settings import NetworkName
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.evaluation.mirroring import mirrors
from sweep.trainer.runs.monai_run import MonaiTraining
from sweep.trainer.runs.reproduce import replay
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import TrainerError
from sweep.vocabulary.record import Status

SPACING = (4.0, 1.0, 1.0)
"""Of the volumes, in mm: their slices are far apart."""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six noisy balls in volumes of 12 slices of 24 × 28 pixels, 4 mm apart."""
    folder = tmp_path_factory.mktemp("raw") / "Dataset003_Balls"
    rng = np.random.default_rng(0)
    z, y, x = np.ogrid[:12, :24, :28]

    def cases() -> Iterator[RawCase]:
        for number in range(6):
            far = ((z - 6) * 2) ** 2 + (y - 12) ** 2 + (x - 10 - number) ** 2
            label = (far < 64).astype(np.uint8)  # [Z, Y, X]
            image = (label + rng.normal(0, 0.1, label.shape)).astype(np.float32)
            affine = np.diag([*reversed(SPACING), 1.0])
            yield RawCase(f"ball_{number}", image.T[None], label.T, affine)

    write_cases(folder, cases(), "ball")
    return folder


def config(raw: Path, **changes: Any) -> TrialSettings:
    """Three epochs of two steps on patches; no geometric term."""
    values: dict[str, dict[str, Any]] = {
        "data": {
            "source": "nnunet_raw",
            "folder": str(raw),
            "spatial": "volumes",
            "patch_size": [8, 16, 16],
        },
        "trainer": {"epochs": 3, "batch_size": 2, "device": "cpu"},
        "network": {"name": "dynunet", "channels": [4, 8, 16]},
        "optimizer": {"lr": 0.1, "momentum": 0.9},
        "augmentation": {
            kind: {"probability": 0.0}
            for kind in ("flips", "rotation", "scaling", "noise", "gamma")
        },
        "loss": {"weights": {"compactness": 0.0, "boundary": 0.0, "aspect": 0.0}},
    }
    for name, group in changes.items():
        values[name] = values.get(name, {}) | group
    return TrialSettings.model_validate(values)


def train(settings: TrialSettings, **options: Any) -> tuple[list[EpochMetrics], Any]:
    """What a trial reports without its wall times, and how it ended."""
    history: list[EpochMetrics] = []
    outcome = fit(settings, report=history.append, **options)
    return [replace(metrics, seconds=0.0) for metrics in history], outcome


def channels_of(name: str) -> list[int]:
    if name == "basic_unet_plus_plus":
        return [2, 2, 2, 2, 2]
    return [8, 16, 32] if name.startswith("segresnet") else [4, 8, 16]


@pytest.mark.parametrize("name", get_args(NetworkName))
def test_every_network_trains_on_volumes_and_predicts_them_in_windows(raw: Path, name: str) -> None:
    network = {"name": name, "channels": channels_of(name)}
    data = {"patch_size": [8, 16, 20]}  # rounded up to what each can halve
    history, outcome = train(config(raw, network=network, data=data, trainer={"epochs": 1}))
    assert outcome.status is Status.COMPLETED
    [epoch] = history
    assert epoch.steps == 2
    assert epoch.val_dice is not None


def test_ball_is_learnt(raw: Path) -> None:
    history, _ = train(config(raw, trainer={"epochs": 8, "steps_per_epoch": 6}))
    assert history[-1].val_dice is not None
    assert history[-1].val_dice > 0.8


def test_dynunet_keeps_slices_that_are_far_apart(raw: Path) -> None:
    settings = config(raw)
    run = MonaiTraining(settings, prepare(settings.data))
    assert run.data.spacing == SPACING
    assert run.model.strides == ((1, 1, 1), (1, 2, 2), (1, 2, 2))  # type: ignore[comparison-overlap]
    assert run.batch(0, 0).images.shape == (2, 1, 8, 16, 16)


def test_patch_without_room_for_the_levels_is_refused_once_the_spacing_is_known(raw: Path) -> None:
    settings = config(raw, network={"channels": [4, 8, 16, 32]})
    [mistake] = unfit(settings, prepare(settings.data))
    assert mistake.key == "network.channels"
    assert str(mistake) == (
        "network.channels: patches of [8, 16, 16] voxels 4 × 1 × 1 mm apart leave room for 3"
        " levels, since 4 voxels must be left along an axis that is halved, but there are 4: must"
        " be at most 3 levels, or patches such as [16, 32, 32]"
    )


def test_resumed_training_is_the_uninterrupted_one_bit_for_bit(raw: Path, tmp_path: Path) -> None:
    settings = config(raw, network={"dropout": 0.2})
    whole, _ = train(settings)
    cut_short(settings, 1, checkpoint=Checkpoints(tmp_path))
    resumed, _ = train(settings, checkpoint=Checkpoints(tmp_path))
    assert resumed == whole


def test_training_that_no_longer_improves_is_stopped_early(raw: Path) -> None:
    settings = config(raw, early_stopping={"patience": 1, "min_delta": 0.9, "counts_from": "start"})
    history, outcome = train(settings)
    assert outcome.status is Status.EARLY_STOPPED
    assert len(history) == 2


@pytest.mark.parametrize("patch", [[8, 16, 16], None])
def test_step_that_diverged_is_replayed_bit_for_bit(
    raw: Path, tmp_path: Path, patch: list[int] | None
) -> None:
    settings = config(
        raw,
        optimizer={"lr": 1e30},
        network={"name": "dynunet", "channels": [4, 4, 4]},
        data={"patch_size": patch},
    )
    _, outcome = train(settings, checkpoint=Checkpoints(tmp_path))
    verdict = outcome.divergence
    assert (verdict.cause, verdict.epoch) == ("nonfinite", 0)
    assert verdict.weights_finite
    offending = torch.load(tmp_path / "offending.pt", weights_only=True)
    assert replay(settings, verdict, offending).is_exact


def test_prediction_with_flips_is_the_mean_over_eight_mirror_images_in_windows(raw: Path) -> None:
    settings = config(raw, evaluation={"tta": "flips"})
    run = MonaiTraining(settings, prepare(settings.data))
    run.model.eval()
    volume = torch.randn(1, 1, 12, 24, 28, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = run.inference.scores(volume)
        flips = [
            run.inference.logits(volume.flip(axes)).softmax(1).flip(axes) for axes in mirrors(3)
        ]
    assert len(flips) == 8
    torch.testing.assert_close(found, sum(flips) / 8)


NETS = """
import torch

class Flat(torch.nn.Conv2d):
    def __init__(self, channels, classes):
        super().__init__(channels, classes, 3, padding=1)

def either(channels, classes, spatial_dims=2):
    return [torch.nn.Conv2d, torch.nn.Conv3d][spatial_dims - 2](channels, classes, 3, padding=1)
"""


def test_network_plugin_is_told_how_many_axes_there_are_if_it_asks(
    raw: Path, tmp_path: Path
) -> None:
    (tmp_path / "nets_of_axes.py").write_text(NETS)
    network = {"name": f"{tmp_path}/nets_of_axes.py:either"}
    settings = config(raw).model_dump() | {"network": network}
    history, _ = train(TrialSettings.model_validate(settings))
    assert len(history) == 3


def test_network_plugin_for_images_is_refused_in_words_for_volumes(
    raw: Path, tmp_path: Path
) -> None:
    (tmp_path / "flat_nets.py").write_text(NETS)
    network = {"name": f"{tmp_path}/flat_nets.py:Flat"}
    settings = config(raw).model_dump() | {"network": network}
    with pytest.raises(
        TrainerError,
        match=r"flat_nets.py:Flat` must process volumes \[2, 1, 8, 16, 16\] \(`data.spatial:"
        r" volumes`\), but fails: .* If it has a parameter `spatial_dims`, it is called with 3",
    ):
        train(TrialSettings.model_validate(settings))


def test_class_of_a_user_trains_on_volumes(tmp_path: Path) -> None:
    entry = write_trainer(
        tmp_path,
        "def build_model(self):\n    return nn.Conv3d(1, 2, 1)\n"
        "def batches(self, epoch):\n"
        "    labels = torch.rand(2, 1, 4, 4, 4).round().long()\n"
        "    yield labels + 0.1 * torch.randn(labels.shape), labels\n",
    )
    history, outcome = train(foreign_trial(entry))
    assert outcome.status is Status.COMPLETED
    assert [epoch.steps for epoch in history] == [1, 1, 1]
    assert history[-1].train_loss is not None
