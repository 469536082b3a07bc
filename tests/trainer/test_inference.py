"""What a network sees of an image that is predicted: what it saw in training, window by window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from monai.inferers import SlidingWindowInferer
from nnunetv2.inference.sliding_window_prediction import compute_steps_for_sliding_window
from torch import Tensor, nn

from sweep.data.prepared.samples import CaseArrays, PreparedData, Samples
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.evaluation.inference import Inference
from sweep.trainer.runs.monai_run import MonaiTraining

Sides = tuple[int, ...]


class Watched(nn.Module):
    """A network that keeps the images that it is given."""

    def __init__(self, axes: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = (nn.Conv2d if axes == 2 else nn.Conv3d)(1, 3, 3, padding=1)
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images)
        found: Tensor = nn.functional.instance_norm(self.layer(images))
        return found


def data_of(shapes: Sequence[Sides]) -> PreparedData:
    rng = np.random.default_rng(0)
    volumes, cases = len(shapes[0]) == 3, []
    for n, shape in enumerate(shapes):
        image = rng.normal(size=(1, *shape)).astype(np.float32)  # [C, (D,) H, W]
        images = image.swapaxes(0, 1) if volumes else image[None]
        label = np.ones(shape if volumes else (1, *shape), np.uint8)
        cases.append(CaseArrays(f"case_{n}", images, label, (1,)))
    samples = Samples(cases, volumes=volumes)
    return PreparedData(
        channels=("image",),
        classes=("background", "object"),
        geometric_classes=(1,),
        training=samples,
        validation=samples,
    )


def trial_of(axes: int, patch: Sides | None) -> TrialSettings:
    spatial = {"spatial": "volumes"} if axes == 3 else {}
    return TrialSettings.model_validate(
        {
            "data": {"source": "nnunet_raw", "folder": "unused", "patch_size": patch} | spatial,
            "network": {"name": "dynunet", "channels": [4, 8, 16]},
            "trainer": {"batch_size": 1, "device": "cpu"},
        }
    )


@pytest.mark.parametrize(
    ("shapes", "patch"),
    [
        ([(25, 30), (17, 22), (22, 41)], None),
        ([(25, 30), (17, 22), (22, 41)], (48, 64)),
        ([(9, 21, 18), (5, 24, 30)], None),
        ([(9, 21, 18), (5, 24, 30)], (16, 32, 32)),
    ],
)
def test_an_image_smaller_than_those_of_training_is_padded_as_there(
    shapes: Sequence[Sides], patch: Sides | None
) -> None:
    """Unpadded, networks that normalise over an image lost up to 0.18 Dice."""
    axes, data = len(shapes[0]), data_of(shapes)
    run = MonaiTraining(trial_of(axes, patch), data)
    shown = {
        case: run.batches.shown([showing]).images
        for step in range(run.batches.steps)
        for showing in run.batches._showings(0, step)
        for case in [data.training[showing.index].case]
    }
    assert len(shown) == len(shapes)
    run.model.eval()
    seen: list[Tensor] = []
    run.model.register_forward_pre_hook(lambda _, given: seen.append(given[0].clone()))
    for case in data.validation.case_arrays:
        run.inference.classes(case)
        assert torch.equal(seen.pop(), shown[case.name])
    assert not seen


@pytest.mark.parametrize(
    ("sides", "window"),
    [
        ((77, 90), (32, 32)),
        ((20, 90), (32, 32)),
        ((20, 20), (32, 32)),
        ((32, 48), (32, 48)),
        ((65, 64), (64, 64)),
        ((21, 70, 50), (16, 32, 32)),
        ((5, 70, 50), (16, 32, 32)),
        ((1, 33, 31), (16, 32, 32)),
    ],
)
def test_windows_are_those_of_monai_and_as_many_as_nnunets(sides: Sides, window: Sides) -> None:
    network, axes = Watched(len(sides)), len(sides)
    inference = Inference(
        network=network,
        device=torch.device("cpu"),
        divisor=(4,) * axes,
        size=window,
        in_windows=True,
        volumes=axes == 3,
    )
    image = torch.randn(1, 1, *sides, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found = inference.logits(image)
        assert {tuple(images.shape[2:]) for images in network.seen} == {window}
        windows = sum(len(images) for images in network.seen)
        monai = SlidingWindowInferer(window, 4, overlap=0.5, mode="gaussian")(image, network)
    torch.testing.assert_close(found, monai)
    padded = tuple(map(max, sides, window))
    steps = compute_steps_for_sliding_window(padded, window, 0.5)
    assert windows == np.prod([len(along) for along in steps])
