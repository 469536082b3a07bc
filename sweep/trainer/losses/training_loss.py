"""The training loss: main loss plus ``g(epoch)`` times the weighted geometric terms.

``L = Σᵢ vᵢ main(outputᵢ) + g · Σ weight · term(output₀)``, where main is Dice + CE or another of
`main_losses`, and the terms are those of `sweep.spec.settings.geometric_terms`.

With deep supervision the network gives a list of outputs, finest first: the main loss is summed
over all of them with weights 1, 1/2, 1/4, … normalised to 1 (as nnU-Net does), the geometric part
sees the first alone. All is computed in float32, whatever the precision of the outputs.

Volumes ``[B, C, D, H, W]`` are treated as images are. Their geometric terms see them slice by slice
or as whole bodies, as ``geometry`` says.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from sweep.data.nnunet_raw.regions import Regions, class_mask
from sweep.spec.settings.geometric_terms import Geometry
from sweep.spec.settings.loss_settings import LossSettings
from sweep.trainer.losses.geometric_loss import (
    distances_for,
    geometric_terms,
    held_where_ignored,
    soft_areas,
    soft_masks,
)
from sweep.trainer.losses.main_losses import build_main_loss


class TrainingLoss:
    """Computes the total and its terms, so that a guard can name the one that broke.

    Args:
        settings: which terms, with which weights.
        geometric_classes: numbers of the classes that the geometric terms act on, each a mask of
            its own.
        geometry: how the geometric terms treat volumes; without effect on images.
        spacing: size of a voxel along D, H, W in any unit; None: all sides are equal.
        ignore: label of voxels that no loss looks at.
        regions: what the classes consist of, if they are regions. The network has a channel under a
            sigmoid for each, and none for the background.

    Attributes:
        was_called: whether any loss was computed by it.
    """

    def __init__(
        self,
        settings: LossSettings,
        geometric_classes: Sequence[int],
        *,
        geometry: Geometry = "slices",
        spacing: Sequence[float] | None = None,
        ignore: int | None = None,
        regions: Regions | None = None,
    ) -> None:
        self.settings = settings
        self.geometric_classes = tuple(geometric_classes)
        self.geometry = geometry
        self.spacing = spacing or (1.0, 1.0, 1.0)
        self.ignore = ignore
        self.regions = regions
        self.main = build_main_loss(settings, ignore, regions)
        self._weights = settings.weights.model_dump()
        self.was_called = False

    def with_settings(self, settings: LossSettings) -> TrainingLoss:
        """The loss of the same classes and images by other settings."""
        return TrainingLoss(
            settings,
            self.geometric_classes,
            geometry=self.geometry,
            spacing=self.spacing,
            ignore=self.ignore,
            regions=self.regions,
        )

    def __call__(
        self,
        outputs: Sequence[Tensor],
        target: Tensor,
        factor: float,
        distances: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of one batch.

        Args:
            outputs: logits ``[B, C, (D,) H, W]``, finest first; the finest of the target's size,
                the others of that or a lower resolution.
            target: class indices ``[B, 1, (D,) H, W]``, or the label to ignore; of regions the
                integers of the label files.
            factor: g(epoch); at 0 the geometric terms are not computed at all.
            distances: what `distances` made of the target.
        Returns:
            the total (scalar) and the terms before weight and factor (scalars by name).
        """
        self.was_called = True
        with torch.autocast(device_type=target.device.type, enabled=False):
            weights = self.main_weights
            terms = self._main_terms(outputs, target)
            if factor > 0:
                p = self.soft_masks(outputs[0])  # [classes · B, (D,) H, W]
                if self.ignore is not None:
                    p = held_where_ignored(p, target[:, 0] != self.ignore)
                late = geometric_terms(self.settings, p, distances, self._spacing_of(target))
                weights |= {name: factor * self._weights[name] for name in late}
                terms |= late
            total = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        return total, terms

    @property
    def main_weights(self) -> dict[str, float]:
        """Weight of each term of the main loss, without those of weight 0."""
        return {name: term.weight for name, term in self.main.items()}

    def distances(self, target: Tensor, factor: float) -> Tensor | None:
        """The distance maps of the target that this factor's loss needs, if any.

        Args:
            target: as in a call; `distances_for` waits for one on a GPU.
        """
        if factor == 0:
            return None
        spacing = self._spacing_of(target)
        if self.regions is None:
            return distances_for(self.settings, target, self.geometric_classes, spacing)
        # Regions overlap, so each is a sample of its own, whose only class is 1.
        masks = [class_mask(target, n, self.regions) for n in self.geometric_classes]
        return distances_for(self.settings, torch.cat(masks).byte(), (1,), spacing)

    def soft_areas(self, logits: Tensor) -> Tensor:
        """Soft area in pixels of each geometric class, ``[B, C, (D,) H, W] -> [B, classes]``."""
        return soft_areas(logits, self._channels, regions=self.regions is not None)

    def soft_masks(self, logits: Tensor) -> Tensor:
        """Soft masks of the geometric classes, ``[B, C, …] -> [classes · B, …]``."""
        return soft_masks(logits, self._channels, regions=self.regions is not None)

    @property
    def _channels(self) -> Sequence[int]:
        """Channels of the geometric classes."""
        if self.regions is None:
            return self.geometric_classes
        return [number - 1 for number in self.geometric_classes]

    def _spacing_of(self, target: Tensor) -> Sequence[float] | None:
        """The spacing of volumes that the geometric terms see as such."""
        return self.spacing if self.geometry == "volume" and target.ndim == 5 else None

    def _main_terms(self, outputs: Sequence[Tensor], target: Tensor) -> dict[str, Tensor]:
        shares = [0.5**level for level in range(len(outputs))]
        targets = [_resized(target, output) for output in outputs]
        return {
            name: torch.stack(
                [
                    share / sum(shares) * term.value(output, at_its_size)
                    for share, output, at_its_size in zip(shares, outputs, targets, strict=True)
                ]
            ).sum()
            for name, term in self.main.items()
        }


def _resized(target: Tensor, output: Tensor) -> Tensor:
    """The target ``[B, 1, (D,) H, W]`` at the resolution of an output, by its nearest pixels."""
    size = output.shape[2:]
    if target.shape[2:] == size:
        return target
    return F.interpolate(target.float(), size, mode="nearest-exact")
