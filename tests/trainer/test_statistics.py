"""What reaches the network is held against what its normalisation promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sweep.data.prepared.prepare import prepare
from sweep.spec.load import to_yaml
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.train import command
from sweep.trainer.batches.augmentation import Augmentation
from sweep.trainer.batches.intensity_statistics import check_statistics
from sweep.trainer.runs.monai_run import MonaiTraining
from sweep.vocabulary.epoch_metrics import EpochMetrics

MakeTrial = Callable[..., TrialSettings]
EVERYTHING = [
    "augmentation.flips.probability=0.5",
    "augmentation.rotation={probability: 0.5, degrees: 30}",
    "augmentation.scaling={probability: 0.5, largest: 1.4}",
    "augmentation.noise={probability: 0.5, std: 0.3}",
    "augmentation.gamma={probability: 0.5, mode: before_normalization}",
    "augmentation.blur.probability=0.5",
    "augmentation.brightness.probability=0.5",
    "augmentation.contrast.probability=0.5",
    "augmentation.low_resolution.probability=0.5",
]


def gaussian(channels: int = 1) -> Tensor:
    """Images whose pixels are the quantiles of the standard normal distribution."""
    pixels = torch.special.ndtri((torch.arange(8 * 32 * 32) + 0.5) / (8 * 32 * 32))
    return pixels.reshape(8, 1, 32, 32).repeat(1, channels, 1, 1)


def sparse() -> Tensor:
    """A z-scored image of a bright spot on a flat background: clipping barely moves its mean."""
    image = torch.zeros(8, 1, 32, 32)
    image[..., 10:15, 10:15] = 1
    return (image - image.mean()) / image.std(correction=0)


@pytest.mark.parametrize("plain", [gaussian(), sparse()], ids=["gaussian", "sparse"])
def test_clipped_z_scored_images_are_told(plain: Tensor) -> None:
    message = check_statistics(plain.clamp(min=0), plain, "zscore")
    assert message is not None
    assert "channel 0" in message
    assert "no value below 0" in message


def test_a_clipped_gaussian_has_the_moments_that_the_message_says() -> None:
    message = check_statistics(gaussian().clamp(min=0), gaussian(), "zscore")
    # Of max(z, 0) for a standard normal z: mean 1/√(2π) = 0.40, deviation √(1/2 − 1/(2π)) = 0.58.
    assert message is not None
    assert "mean 0.40 and standard deviation 0.58" in message


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda z: z, None),
        (lambda z: z + 0.2, None),
        (lambda z: 1.3 * z, None),
        (lambda z: z + 0.4, "z-score no longer holds"),
        (lambda z: z - 0.4, "z-score no longer holds"),
        (lambda z: 1.6 * z, "z-score no longer holds"),
        (lambda z: 0.6 * z, "z-score no longer holds"),
        (lambda z: z * float("nan"), "z-score no longer holds"),
    ],
)
def test_a_shift_or_stretch_of_z_scored_images_is_told(change, expected: str | None) -> None:
    message = check_statistics(change(gaussian()), gaussian(), "zscore")
    assert (message or "").endswith(expected or "")
    assert (message is None) == (expected is None)


@pytest.mark.parametrize("place", [-3.0, 5.0])
def test_nnunets_normalisation_promises_no_mean_and_is_held_to_what_it_gives(place: float) -> None:
    plain = gaussian() + place
    assert check_statistics(plain, plain, "nnunet") is None
    message = check_statistics(plain + 0.4, plain, "nnunet") or ""
    assert message.endswith("the normalisation no longer holds")


@pytest.mark.parametrize("raw", [gaussian() * 40 + 100, gaussian().clamp(-4, 4) / 8 + 0.5])
def test_images_that_were_never_z_scored_are_told(raw: Tensor) -> None:
    message = check_statistics(raw, raw, "zscore")
    assert message is not None
    assert "before augmentation, which is far from the 0 and 1 of z-score" in message


def test_every_channel_is_looked_at() -> None:
    shown = gaussian(3)
    shown[:, 2] += 1
    assert (check_statistics(shown, gaussian(3), "zscore") or "").startswith("channel 2 of")


def test_a_channel_that_is_constant_everywhere_promises_nothing() -> None:
    assert check_statistics(torch.zeros(4, 1, 8, 8), torch.zeros(4, 1, 8, 8), "zscore") is None


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ([0.0, 1.0], None),
        ([0.0, 0.2], None),
        ([-1e-4, 1 + 1e-4], None),
        ([-0.1, 0.9], "reaches from -0.10 to 0.90 after augmentation, not from 0 to 1"),
        ([0.0, 1.5], "reaches from 0.00 to 1.50 after augmentation, not from 0 to 1"),
        ([0.0, float("nan")], "reaches from nan to nan after augmentation, not from 0 to 1"),
    ],
)
def test_min_max_images_outside_the_unit_interval_are_told(shown, expected: str | None) -> None:
    images = torch.tensor(shown).reshape(1, 1, 1, 2)
    message = check_statistics(images, torch.zeros(1, 1, 1, 2), "minmax")
    assert message == (expected and f"channel 0 of the training images {expected}")


@pytest.mark.parametrize("normalization", ["zscore", "minmax"])
@pytest.mark.parametrize("patch", ["null", "16"])
@pytest.mark.parametrize("difficulty", [0, 1])
def test_no_augmentation_of_ours_raises_an_alarm(
    trial: MakeTrial, normalization: str, patch: str, difficulty: int
) -> None:
    config = trial(
        *EVERYTHING,
        f"data.normalization={normalization}",
        f"data.patch_size={patch}",
        f"data.difficulty={difficulty}",
        "data.count=40",
    )
    data = prepare(config.data)
    for seed in range(3):
        seeded = config.model_copy(update={"seed": seed})
        assert MonaiTraining(seeded, data).warnings(0) == ()


@pytest.fixture
def clipping(monkeypatch: pytest.MonkeyPatch) -> None:
    """The augmentation of the post-mortem: every image is clipped, whether gamma follows or not."""
    monkeypatch.setattr(Augmentation, "is_off", False)
    monkeypatch.setattr(Augmentation, "recoloured", lambda _, images, *__: images.clip(0))


@pytest.mark.usefixtures("clipping")
def test_clipping_is_told_once_in_the_first_epoch(trial: MakeTrial) -> None:
    config = trial()
    training = MonaiTraining(config, prepare(config.data))
    first, second = training.run_epoch(0), training.run_epoch(1)
    [warning] = first.warnings
    assert "it was clipped" in warning
    assert second.warnings == ()
    assert EpochMetrics.from_json(first.to_json()) == first


@pytest.mark.usefixtures("clipping")
def test_a_warning_is_printed_where_a_trial_is_trained_alone(
    trial: MakeTrial, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "clipped.yaml"
    path.write_text(to_yaml(trial("trainer.epochs=2", "loss.warmup_epochs=1")))
    command(path, results=tmp_path / "results")
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: channel 0 of the training images has no value below 0")
