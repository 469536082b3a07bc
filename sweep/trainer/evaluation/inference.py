"""From a case to the classes that a network predicts, on the grid of the case's own files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from monai.inferers import SlidingWindowInferer
from numpy.typing import NDArray
from torch import Tensor

from sweep.data.files.resampling import separate_axis
from sweep.data.nnunet_raw.regions import Regions
from sweep.data.prepared.samples import CaseArrays
from sweep.trainer.evaluation.mirroring import mean_over_flips
from sweep.trainer.evaluation.own_grid import classes_on_grid, regions_on_grid
from sweep.trainer.networks.device import to_device

Network = Callable[[Tensor], Tensor]
"""Images ``[B, C, (D,) H, W]`` whose sides the network can halve → logits ``[B, K, (D,) H, W]``."""

PIXELS_ON_CPU = 2**17
"""Most pixels of a batch of slices on a CPU, whose cache holds no more: eight images of 512² at
once took 1.2 times as long as one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """How cases are predicted.

    Args:
        network: in the evaluation mode.
        device: of the network.
        divisor: number that each side of an image must be a multiple of, ``[axes]``.
        size: of what the network was trained on along each axis, a multiple of the divisor. Smaller
            images are padded to it as they were in training: without that padding, a normalisation
            over the image sees another distribution. None: images of any size.
        in_windows: whether larger images are predicted in windows of this size, not at once.
        tta: test-time augmentation; flips: mean over all mirrored images.
        volumes: whether the network sees whole volumes, or slices.
        batch_size: slices or windows that are predicted at once; fewer large slices on a CPU, see
            `PIXELS_ON_CPU`.
        ignore: label of voxels without a reference. The prediction gets it too, so that they count
            as no class in any comparison.
        regions: what the classes consist of, if they are regions. The network has a channel for
            each, and a prediction holds the labels of their ``class_order``.
    """

    network: Network
    device: torch.device
    divisor: Sequence[int]
    size: Sequence[int] | None = None
    in_windows: bool = False
    tta: Literal["none", "flips"] = "none"
    volumes: bool = False
    batch_size: int = 1
    ignore: int | None = None
    regions: Regions | None = None

    def classes(self, case: CaseArrays) -> NDArray[np.uint8]:
        """The predicted label of each voxel on the case's own grid, ``[S, H, W]``."""
        [(_, found)] = self.predictions([case])
        return found.cpu().numpy()

    @torch.inference_mode()
    def predictions(self, cases: Iterable[CaseArrays]) -> Iterator[tuple[CaseArrays, Tensor]]:
        """Each case with its predicted labels, ``[S, H, W]`` uint8 on its own grid, in order.

        The labels are on the device, and nothing waits for them. Slices of one size go through the
        network together, also those of several cases.
        """
        for _, alike in groupby(cases, lambda one: (one.images.shape[1:], one.reference.shape[1:])):
            if self.volumes:
                for case in alike:
                    image = case.images.swapaxes(0, 1)[None]  # [1, C, D, H, W]
                    scores = self.scores(to_device(image, self.device))[0]  # [K, S, H, W]
                    found = self._on_grid(scores, case.reference.shape, _separate_axis(case))
                    yield case, self._counted(case, found)
            else:
                yield from self._of_slices(list(alike))

    def _of_slices(self, cases: Sequence[CaseArrays]) -> Iterator[tuple[CaseArrays, Tensor]]:
        """`predictions` of cases whose slices have one size, here and on the own grid."""
        slices = [(case, index) for case in cases for index in range(len(case.images))]
        plane = cases[0].reference.shape[1:]
        waiting: list[Tensor] = []  # classes of the slices of one case, [B, H, W] each
        size = self._batch_of(cases[0])
        for first in range(0, len(slices), size):
            batch = slices[first : first + size]
            images = np.stack([case.images[index] for case, index in batch])
            scores = self.scores(to_device(images, self.device)).swapaxes(0, 1)  # [K, B, H, W]
            found = self._on_grid(scores, (len(batch), *plane), separate=0)
            done = 0
            for end, (case, index) in enumerate(batch, 1):
                if index + 1 == len(case.images):
                    yield case, self._counted(case, torch.cat([*waiting, found[done:end]]))
                    waiting, done = [], end
            if done < len(batch):
                waiting.append(found[done:])

    def _on_grid(self, scores: Tensor, shape: Sequence[int], separate: int | None) -> Tensor:
        """Scores ``[K, S, H, W]`` as labels ``[*shape]``."""
        if self.regions is None:
            return classes_on_grid(scores, shape, separate)
        order, are_logits = self.regions.class_order, self.tta == "none"
        return regions_on_grid(scores, shape, separate, order, are_logits=are_logits)

    def _batch_of(self, case: CaseArrays) -> int:
        """How many slices of this size are predicted at once."""
        if self.device.type != "cpu":
            return self.batch_size
        pixels = math.prod(self._padded(case.images.shape[-2:]))
        return min(self.batch_size, max(1, PIXELS_ON_CPU // pixels))

    def _counted(self, case: CaseArrays, classes: Tensor) -> Tensor:
        """The classes with the ignore label where the reference has it: no metric counts them."""
        if self.ignore is None:
            return classes
        reference = to_device(case.reference, classes.device)
        return torch.where(reference == self.ignore, reference, classes)

    def scores(self, images: Tensor) -> Tensor:
        """Scores of the classes, ``[B, K, (D,) H, W]``: probabilities with TTA, else logits.

        Args:
            images: ``[B, C, (D,) H, W]`` of any size, on the device.
        """
        if self.tta == "flips":
            return mean_over_flips(self.logits, images, regions=self.regions is not None)
        return self.logits(images)

    def logits(self, images: Tensor) -> Tensor:
        """Logits ``[B, K, (D,) H, W]`` of whole images of any size, in windows if these are set."""
        sides = images.shape[2:]
        pads = [wanted - side for wanted, side in zip(self._padded(sides), sides, strict=True)]
        around = [(pad // 2, pad - pad // 2) for pad in pads]  # as a training sample is padded
        padded = F.pad(images, [width for both in reversed(around) for width in both])
        infer: Network = self.network
        if self.in_windows and padded.shape[2:] != tuple(self.size or ()):
            windows = SlidingWindowInferer(
                self.size, sw_batch_size=max(4, self.batch_size), overlap=0.5, mode="gaussian"
            )
            infer = partial(windows, network=self.network)
        scores = infer(padded)
        for axis, (side, (before, _)) in enumerate(zip(sides, around, strict=True), 2):
            scores = scores.narrow(axis, before, side)
        return scores

    def _padded(self, sides: Sequence[int]) -> list[int]:
        """Sides of an image once it is padded: at least the size of the training. An image that is
        predicted at once also gets a multiple of the divisor."""
        least = [max(side, low) for side, low in zip(sides, self.size or sides, strict=True)]
        if self.in_windows:
            return least
        return [-(-side // by) * by for side, by in zip(least, self.divisor, strict=True)]


def _separate_axis(case: CaseArrays) -> int | None:
    """The axis along which slices are copied on the way back to the own grid of a volume."""
    if case.spacing is None or case.own is None:
        return None
    return separate_axis(case.spacing, case.own.spacing)
