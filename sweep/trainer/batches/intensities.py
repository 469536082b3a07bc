"""Changes of intensity, on some images of a batch at once.

The list and the defaults of its strengths are nnU-Net's (batchgeneratorsv2). What depends on the
statistics of an image, or on a kernel of its own, is computed image by image: a reduction over a
whole batch may sum in another order than one over a single image, and a sample must look the same
whatever batch it lands in.

Every function may change the images ``[N, C, (D,) H, W]`` in place, and returns the new ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sweep.trainer.batches.pixel_noise import standard_normal
from sweep.trainer.networks.device import to_device

Box = tuple[slice, ...]
"""The part of an image that is not padding."""


def on_rows(images: Tensor, rows: Sequence[int], change: Callable[[Tensor], Tensor]) -> Tensor:
    """A batch of which some images are changed.

    Args:
        images: ``[B, ...]``; it may be changed in place.
        rows: of the images to change.
        change: of these images, ``[N, ...]``; it may change them in place.
    """
    if len(rows) == len(images):
        return change(images)
    places = to_device(np.array(rows), images.device)
    return images.index_copy_(0, places, change(images.index_select(0, places)))


def beside(values: Tensor, images: Tensor) -> Tensor:
    """Values ``[N]`` or ``[N, C]`` in a shape that broadcasts against images."""
    return values.reshape(*values.shape, *[1] * (images.dim() - values.dim()))


def noisy(images: Tensor, std: Tensor, keys: Tensor) -> Tensor:
    """Add Gaussian noise of deviation ``std`` ``[N]``, a function of ``keys`` ``[N, 2]``."""
    noise = standard_normal(keys, images.shape[1:])
    return images.add_(noise.mul_(beside(std, images)))


def brighter(images: Tensor, factors: Tensor) -> Tensor:
    """Multiply by ``factors`` ``[N, C]``."""
    return images.mul_(beside(factors, images))


def contrasted(images: Tensor, factors: Tensor, boxes: Sequence[Box]) -> Tensor:
    """Stretch each channel about its mean by ``factors`` ``[N, C]``, within its own range."""
    for image, factor, pixels in zip(images, factors, _channels(images, boxes), strict=True):
        mean = beside(pixels.mean(dim=1), image)
        low, high = (beside(end, image) for end in torch.aminmax(pixels, dim=1))
        image.sub_(mean).mul_(beside(factor, image)).add_(mean)
        torch.minimum(torch.maximum(image, low, out=image), high, out=image)
    return images


def blurred(images: Tensor, sigmas: Tensor, largest: float) -> Tensor:
    """Blur each channel by a Gaussian of ``sigmas`` ``[N, C]`` voxels, cut off at 4 ``largest``.

    Outside of an image its border voxels go on.
    """
    radius = math.ceil(4 * largest)
    steps = torch.arange(-radius, radius + 1, device=images.device)
    kernels = torch.softmax(-0.5 * (steps / sigmas[..., None]) ** 2, dim=-1)  # [N, C, taps]
    axes = images.dim() - 2
    convolve: Callable[..., Tensor] = {2: F.conv2d, 3: F.conv3d}[axes]
    for place, kernel in enumerate(kernels):
        image = images[place : place + 1]
        for axis in range(axes):
            pads = [radius * (axis == other) for other in reversed(range(axes)) for _ in "ab"]
            taps = kernel.reshape(len(kernel), 1, *(-1 if a == axis else 1 for a in range(axes)))
            padded = F.pad(image, pads, mode="replicate")
            image = convolve(padded, taps, groups=len(kernel))
        images[place] = image[0]
    return images


def coarser(images: Tensor, scales: Sequence[Sequence[float]], axes: Sequence[int]) -> Tensor:
    """Resample each channel to a lower resolution by the nearest voxel, and back linearly.

    Args:
        images: to be changed.
        scales: share of the resolution that is left, ``[N][C]``.
        axes: that are resampled, counted from the first spatial one.
    """
    sides = images.shape[2:]
    mode = {2: "bilinear", 3: "trilinear"}[len(sides)]
    for image, of_channels in zip(images, scales, strict=True):
        for channel, scale in zip(image, of_channels, strict=True):
            size = [
                max(1, round(side * scale)) if axis in axes else side
                for axis, side in enumerate(sides)
            ]
            small = F.interpolate(channel[None, None], size, mode="nearest-exact")
            channel.copy_(F.interpolate(small, sides, mode=mode)[0, 0])
    return images


def retaining(images: Tensor, change: Callable[[Tensor], Tensor], boxes: Sequence[Box]) -> Tensor:
    """``change`` each channel, then restore its mean and standard deviation."""
    before = [_moments(pixels) for pixels in _channels(images, boxes)]
    images = change(images)
    for image, (mean, std), pixels in zip(images, before, _channels(images, boxes), strict=True):
        mean_now, std_now = _moments(pixels)
        scale = std / std_now.clamp(min=torch.finfo(std.dtype).tiny)
        image.sub_(beside(mean_now, image)).mul_(beside(scale, image)).add_(beside(mean, image))
    return images


def ranges(images: Tensor, boxes: Sequence[Box]) -> tuple[Tensor, Tensor]:
    """The smallest and the largest value of each channel, ``[N, C]`` each."""
    low, high = zip(
        *(torch.aminmax(pixels, dim=1) for pixels in _channels(images, boxes)), strict=True
    )
    return torch.stack(low), torch.stack(high)


def _moments(pixels: Tensor) -> tuple[Tensor, Tensor]:
    std, mean = torch.std_mean(pixels, dim=1, correction=0)
    return mean, std


def _channels(images: Tensor, boxes: Sequence[Box]) -> Iterator[Tensor]:
    """The voxels of each image that are not padding, ``[C, voxels]``."""
    for image, box in zip(images, boxes, strict=True):
        yield image[:, *box].flatten(1)
