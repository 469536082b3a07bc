"""What a batch costs, against the way of version 0.1, on one core.

    python benchmarks/batches.py

Version 0.1 augmented whole images one after the other with NumPy and MONAI, and cropped them
afterwards; that way is kept here to compare with. Both make the same batches in turn, in one
process and on one thread, and CPU time is told: the median of each, and of the ratio in pairs.
Volumes are new: they are only told beside a batch of theirs without augmentation.

Plain: without augmentation. Every: rotation, scaling and noise, for every sample. nnU-Net's: its
list at its probabilities.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from monai.networks.layers import AffineTransform
from monai.transforms import RandSpatialCrop
from numpy.typing import NDArray
from torch import Tensor

from sweep.data.prepared.samples import CaseArrays, Samples
from sweep.spec.settings.augmentation_settings import AugmentationSettings
from sweep.spec.settings.trainer_settings import MonaiTrainer
from sweep.trainer.batches.augmentation import Augmentation
from sweep.trainer.batches.training_batches import TrainingBatches

Images = NDArray[np.float32]
CASES = (
    # batch, channels, image, patch
    (8, 1, (512, 512), None),
    (8, 3, (512, 512), None),
    (8, 1, (512, 512), (256, 256)),
    (8, 1, (64, 64), None),
    (2, 1, (128, 128, 128), (96, 96, 96)),
)
EVERY = {kind: {"probability": 1.0} for kind in ("rotation", "scaling", "noise")}
NNUNETS = {
    "flips": {"probability": 0.5},
    "rotation": {"probability": 0.2, "degrees": 180},
    "scaling": {"probability": 0.2, "largest": 1.4},
    "noise": {"probability": 0.1},
    "blur": {"probability": 0.1},
    "brightness": {"probability": 0.15},
    "contrast": {"probability": 0.15},
    "low_resolution": {"probability": 0.125},
    "gamma": {"probability": 0.3, "mode": "shifted_retained"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=11)
    pairs = parser.parse_args().pairs
    torch.set_num_threads(1)
    print("batch | before: plain, every | now: plain, every, nnU-Net's | every: now / before")
    for batch, channels, shape, patch in CASES:
        samples = drawn(batch, channels, shape)
        now = {
            name: batches(samples, asked, patch)
            for name, asked in (("plain", {}), ("every", EVERY), ("nnunet", NNUNETS))
        }
        name = f"{batch} x {channels} x {'x'.join(map(str, shape))}"
        name += f" cropped to {'x'.join(map(str, patch))}" if patch else ""
        ways: list[Callable[[int], Any]] = [made(one) for one in now.values()]
        if len(shape) == 2:
            old = partial(before, samples, patch)
            ways += [partial(old, False), partial(old, True)]
        times = [measured(ways, pair) for pair in range(-2, pairs)][2:]  # two to warm up
        told = [f"{1e3 * statistics.median(column):.1f}" for column in zip(*times, strict=True)]
        ratio = "–"
        if len(shape) == 2:
            ratio = f"{statistics.median(row[1] / row[4] for row in times):.2f}"
        earlier = f"{told[3]}, {told[4]} ms" if len(shape) == 2 else "–"
        print(f"{name} | {earlier} | {told[0]}, {told[1]}, {told[2]} ms | {ratio}")


def measured(ways: Sequence[Callable[[int], Any]], pair: int) -> list[float]:
    """Seconds of each way, in alternating order."""
    times = [0.0] * len(ways)
    places = range(len(ways))
    for place in places if pair % 2 else reversed(places):
        start = time.process_time()
        ways[place](max(pair, 0))
        times[place] = time.process_time() - start
    return times


def drawn(count: int, channels: int, shape: Sequence[int]) -> Samples:
    rng = np.random.default_rng(0)
    volumes = len(shape) == 3
    slices = shape[0] if volumes else 1
    cases = []
    for n in range(count):
        images = rng.standard_normal((slices, channels, *shape[-2:]), np.float32)
        labels = rng.integers(0, 3, (slices, *shape[-2:]), np.uint8)
        cases.append(CaseArrays(f"case_{n}", images, labels, (1, 2)))
    return Samples(cases, volumes=volumes)


def batches(
    samples: Samples, asked: dict[str, Any], patch: Sequence[int] | None
) -> TrainingBatches:
    augmentation = Augmentation(
        AugmentationSettings.model_validate(asked), "zscore", samples, seed=0
    )
    settings = MonaiTrainer(batch_size=len(samples))
    divisor = [16] * samples[0].label.ndim
    return TrainingBatches(samples, settings, augmentation, seed=0, patch=patch, divisor=divisor)


def made(source: TrainingBatches) -> Callable[[int], Any]:
    return lambda epoch: source.batch(epoch, 0)


# The way of version 0.1.


def before(
    samples: Samples, patch: Sequence[int] | None, augmented: bool, epoch: int
) -> tuple[Tensor, Tensor]:
    shown = []
    for index, sample in enumerate(samples):
        image, label = sample.image, sample.label
        if augmented:
            rng = np.random.default_rng([0, epoch, index])
            angle, zoom = math.radians(rng.uniform(-15, 15)), rng.uniform(0.8, 1.25)
            image, label = turned_and_zoomed(image, label, angle, zoom)
            std = rng.uniform(0, 0.1)
            image = image + rng.normal(0, std, image.shape).astype(np.float32)
        if patch is not None:
            crop = RandSpatialCrop(patch, random_size=False)
            crop.set_random_state(seed=epoch)
            image = crop(np.array(image)).numpy()
            label = crop(np.array(label[None]), randomize=False).numpy()[0]
        shown.append((image, label))
    images, labels = zip(*shown, strict=True)
    return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(labels))[:, None]


def turned_and_zoomed(
    image: Images, label: NDArray[np.uint8], angle: float, zoom: float
) -> tuple[Images, NDArray[np.uint8]]:
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    matrix = np.array([[cos, -sin], [sin, cos]])
    centre = (np.array(label.shape) - 1) / 2
    theta = torch.from_numpy(np.column_stack([matrix, centre - matrix @ centre])).float()

    def resampled(pixels: Images, mode: str) -> Images:
        transform = AffineTransform(mode=mode, align_corners=True)
        result: Images = transform(torch.from_numpy(pixels)[None], theta)[0].numpy()
        return result

    classes = resampled(label[None].astype(np.float32), "nearest")[0].astype(np.uint8)
    darkest = image.min(axis=(1, 2), keepdims=True)
    return resampled(image - darkest, "bilinear") + darkest, classes


if __name__ == "__main__":
    main()
