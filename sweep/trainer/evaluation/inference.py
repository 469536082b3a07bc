"""From a case to the classes that a network predicts, on the grid of the case's own files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from monai.inferers import SlidingWindowInferer
from numpy.typing import NDArray
from torch import Tensor

from sweep.data.files.resampling import separate_axis
from sweep.data.prepared.samples import CaseArrays
from sweep.trainer.evaluation.mirroring import mean_over_flips
from sweep.trainer.evaluation.own_grid import classes_on_grid

Network = Callable[[Tensor], Tensor]
"""Images ``[B, C, (D,) H, W]`` whose sides the network can halve → logits ``[B, K, (D,) H, W]``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """How cases are predicted.

    Args:
        network: in the evaluation mode.
        device: of the network.
        divisor: number that each side of an image must be a multiple of, ``[axes]``.
        patch: size of a window along each axis; None: whole images at once.
        tta: test-time augmentation; flips: mean over all mirrored images.
        volumes: whether the network sees whole volumes, or slices.
        batch_size: slices or windows that are predicted at once.
        ignore: label of voxels without a reference. The prediction gets it too, so that they count
            as no class in any comparison.
    """

    network: Network
    device: torch.device
    divisor: Sequence[int]
    patch: Sequence[int] | None = None
    tta: Literal["none", "flips"] = "none"
    volumes: bool = False
    batch_size: int = 1
    ignore: int | None = None

    @torch.inference_mode()
    def classes(self, case: CaseArrays) -> NDArray[np.uint8]:
        """The predicted class of each voxel on the case's own grid, ``[S, H, W]``."""
        found = self._classes(case).numpy()
        if self.ignore is not None:
            found[case.reference == self.ignore] = self.ignore
        return found

    def _classes(self, case: CaseArrays) -> Tensor:
        images = torch.from_numpy(np.array(case.images))  # [S, C, H, W]
        shape = case.reference.shape
        if self.volumes:
            scores = self.scores(images.swapaxes(0, 1)[None].to(self.device))[0]  # [K, S, H, W]
            return classes_on_grid(scores, shape, _separate_axis(case)).cpu()
        found = []
        for part in torch.split(images, self.batch_size):
            scores = self.scores(part.to(self.device)).swapaxes(0, 1)  # [K, B, H, W]
            found.append(classes_on_grid(scores, (len(part), *shape[1:]), separate=0).cpu())
        return torch.cat(found)

    def scores(self, images: Tensor) -> Tensor:
        """Scores of the classes, ``[B, K, (D,) H, W]``: probabilities with TTA, else logits.

        Args:
            images: ``[B, C, (D,) H, W]`` of any size, on the device.
        """
        if self.tta == "flips":
            return mean_over_flips(self.logits, images)
        return self.logits(images)

    def logits(self, images: Tensor) -> Tensor:
        """Logits ``[B, K, (D,) H, W]`` of whole images of any size, in windows if these are set."""
        sides = images.shape[2:]
        missing = [-side % by for side, by in zip(sides, self.divisor, strict=True)]
        padded = F.pad(images, [side for after in reversed(missing) for side in (0, after)])
        infer: Network = self.network
        if self.patch is not None:
            pairs = zip(self.patch, self.divisor, strict=True)
            window = [-(-side // by) * by for side, by in pairs]
            if any(side > own for side, own in zip(padded.shape[2:], window, strict=True)):
                windows = SlidingWindowInferer(
                    window, sw_batch_size=max(4, self.batch_size), overlap=0.5, mode="gaussian"
                )
                infer = partial(windows, network=self.network)
        scores = infer(padded)
        for axis, side in enumerate(sides, 2):
            scores = scores.narrow(axis, 0, side)
        return scores


def _separate_axis(case: CaseArrays) -> int | None:
    """The axis along which slices are copied on the way back to the own grid of a volume."""
    if case.spacing is None or case.own is None:
        return None
    return separate_axis(case.spacing, case.own.spacing)
