"""Settings that fit a dataset and the memory of the device: patch, batch, network, length.

Rules of thumb in the manner of nnU-Net's planner, so that a first sweep trains. They are not tuned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from pydantic import ValidationError

from sweep.data.files.resampling import resampled_shape, target_spacing
from sweep.data.nnunet_raw.header_survey import OBLONG
from sweep.spec.settings.network_settings import NetworkSettings
from sweep.starter.dataset_sizes import DatasetSizes

MAPS_KEPT = 10
"""Feature maps that a DynUNet keeps for the backward pass, for each channel of a level. Counted
with `torch.autograd.graph.saved_tensors_hooks`: 9.2 to 9.9, in 2D and 3D."""
PEAK = 2
"""Peak memory of a step over what is kept: gradients and work space. Assumed, not measured."""
SHARE = 0.8
"""Share of the device's memory that a step may take."""
FEWEST_SLICES = 16
"""Slices below which volumes are rather trained on slice by slice."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is trained: for a GPU, or for a try on a CPU.

    Args:
        first, most: channels of the first level, and at most of any.
        levels: at most.
        side: longest side of a patch of slices.
        voxels: most voxels of a patch of volumes.
        batch: largest batch of slices.
        steps: of a trial, as a goal.
        epochs: fewest and most.
        steps_per_epoch: at most.
        trials: of the sweep.
    """

    first: int
    most: int
    levels: int
    side: int
    voxels: int
    batch: int
    steps: int
    epochs: tuple[int, int]
    steps_per_epoch: int
    trials: int


ON_GPU = Size(32, 320, 6, 512, 128**3, 16, 10_000, (50, 200), 250, 40)
ON_CPU = Size(8, 64, 4, 128, 64**3, 8, 600, (12, 40), 50, 20)


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings of a sweep that depend on the dataset.

    Args:
        volumes: whether the network sees volumes.
        spacing: of the settings: null, `median`, or millimetres along the axes of a sample.
        shape: median size of a sample after resampling.
        patch: None for whole images.
        channels: of the network's levels.
        batch: samples a step.
        samples: of training, in one fold.
        steps: of an epoch; None: once through the samples.
        epochs: of a trial.
        memory: GiB that a step is estimated to take.
    """

    volumes: bool
    spacing: str | tuple[float, ...] | None
    shape: tuple[int, ...]
    patch: tuple[int, ...] | None
    channels: tuple[int, ...]
    batch: int
    samples: int
    steps: int | None
    epochs: int
    memory: float


def plan(sizes: DatasetSizes, memory: float | None) -> Plan:
    """Fit the settings to a dataset.

    Args:
        sizes: of its images.
        memory: GiB of the GPU; None: trials train on a CPU.
    """
    size, budget = (ON_CPU, 2.0) if memory is None else (ON_GPU, memory * SHARE)
    slices = float(np.median(sizes.shapes[:, 0]))
    volumes = memory is not None and sizes.all_volumes and slices >= FEWEST_SLICES
    axes = 3 if volumes else 2
    spacing = _spacing(sizes, axes)
    shapes, target = _resampled(sizes, spacing, axes)
    median = tuple(int(side) for side in np.median(shapes, axis=0))
    whole = not volumes and (shapes == shapes[0]).all() and max(median) <= size.side
    patch = list(median) if whole else _first_patch(median, size, axes)
    channels, patch = _network(patch, target, size, keep=whole)
    samples = _samples(sizes, volumes)
    smallest = 2 if samples > 2 else 1
    while _gib(channels, patch, target, smallest) > budget and max(patch) > 32:
        before, whole = prod(patch), False
        patch[patch.index(max(patch))] //= 2
        channels, patch = _network(patch, target, size, keep=False)
        if prod(patch) >= before:  # no smaller patch has room for the levels
            break
    most = max(smallest, min(2 if volumes else size.batch, samples // 4))
    batch = smallest
    while 2 * batch <= most and _gib(channels, patch, target, 2 * batch) <= budget:
        batch *= 2
    through = -(-samples // batch)
    fewest, longest = size.epochs
    steps = min(max(through, size.steps // longest), size.steps_per_epoch)
    return Plan(
        volumes=volumes,
        spacing=spacing,
        shape=median,
        patch=None if whole else tuple(patch),
        channels=channels,
        batch=batch,
        samples=samples,
        steps=None if steps == through else steps,
        epochs=min(longest, max(fewest, round(size.steps / steps))),
        memory=_gib(channels, patch, target, batch),
    )


def _samples(sizes: DatasetSizes, volumes: bool) -> int:
    """Training samples of one fold, on average."""
    per_case = 1.0 if volumes else float(sizes.shapes[:, 0].mean())
    if sizes.splits is not None:
        return max(1, round(per_case * len(sizes.splits[0][0])))
    cases = len(sizes.shapes)
    return max(1, round(per_case * (cases - -(-cases // folds(cases)))))


def folds(cases: int) -> int:
    """Folds of cross-validation: five as in nnU-Net, fewer where there are fewer cases."""
    return max(2, min(5, cases))


def _spacing(sizes: DatasetSizes, axes: int) -> str | tuple[float, ...] | None:
    """What `data.spacing` should be."""
    own = sizes.spacings[:, -axes:]
    if not np.isfinite(own).all():
        return None  # a header without a spacing, such as that of a PNG
    plane = np.median(own[:, -2:], axis=0)
    if axes == 2 and plane.max() >= OBLONG * plane.min():
        side = float(f"{plane.min():.4g}")  # microscopes have 0.0002 mm
        return (side, side)
    return "median" if sizes.spacing_differs(axes) else None


def _resampled(
    sizes: DatasetSizes, spacing: str | tuple[float, ...] | None, axes: int
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.int64]], tuple[float, ...] | None]:
    """Shapes of the samples after resampling, ``[N, axes]``, and their spacing if it is known."""
    shapes, own = sizes.shapes[:, -axes:], sizes.spacings[:, -axes:]
    if spacing is None:
        known = bool(np.isfinite(own).all())
        return shapes, tuple(np.median(own, axis=0).tolist()) if known else None
    target = target_spacing(own, shapes) if isinstance(spacing, str) else spacing
    pairs = zip(shapes.tolist(), own.tolist(), strict=True)
    return np.array([resampled_shape(shape, old, target) for shape, old in pairs]), target


def _first_patch(median: Sequence[int], size: Size, axes: int) -> list[int]:
    """The median image, cut down to what is usual."""
    if axes == 2:
        return [min(side, size.side) for side in median]
    patch = list(median)
    while prod(patch) > size.voxels:  # the longest first, as in nnU-Net
        patch[patch.index(max(patch))] = round(max(patch) * 0.9)
    return patch


def _network(
    patch: Sequence[int],
    spacing: Sequence[float] | None,
    size: Size,
    *,
    keep: bool,
) -> tuple[tuple[int, ...], list[int]]:
    """Channels with as many levels as the patch allows, and the patch rounded to fit them.

    Args:
        keep: whether the patch is a whole image, which is padded where it must be.
    """
    for levels in range(size.levels, 2, -1):
        channels = tuple(min(size.most, size.first * 2**level) for level in range(levels))
        network = NetworkSettings(channels=channels)
        try:
            divisor = network.levels(len(patch), patch, spacing).divisor
        except ValidationError:
            continue
        rounded = [-(-side // by) * by for side, by in zip(patch, divisor, strict=True)]
        if levels == 3 or all(side >= 4 * by for side, by in zip(patch, divisor, strict=True)):
            return channels, list(patch) if keep else rounded
    # Too small for three levels in 3D: patches of 16 voxels, which are padded, have room for them,
    # or larger ones where an axis with a far finer spacing than the others is halved alone.
    least = 16 if min(patch) < 16 else 2 * min(patch)
    return _network([max(least, side) for side in patch], spacing, size, keep=False)


def _gib(
    channels: Sequence[int], patch: Sequence[int], spacing: Sequence[float] | None, batch: int
) -> float:
    """Estimate of the memory of a training step in float32, in GiB."""
    levels = NetworkSettings(channels=tuple(channels)).levels(len(patch), patch, spacing)
    kept, divisor = 0.0, 1
    for features, strides in zip(channels, levels.strides, strict=True):
        divisor *= prod(strides)
        kept += features * prod(patch) / divisor
    return PEAK * MAPS_KEPT * 4 * batch * kept / 2**30
