"""What the shape terms of the loss make of the reference masks themselves.

A compactness that is far from 0 on the reference pulls predictions away from it. That is often the
doing of several components in one mask. `sweep.trainer.losses` computes the term of soft masks; of
hard masks and without ε it is computed here, without torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sweep.data.prepared.outline_length import slope
from sweep.data.prepared.samples import PreparedData, Sample
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.geometric_terms import SHAPE_WEIGHTS
from sweep.spec.settings.loss_settings import LossSettings
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.words.phrases import counted

LOOKED_AT = 100
"""Number of samples that are looked at, spread evenly over the training samples."""
FEW = 0.05
"""Share of masks with several components, or at the border, that is not worth a warning."""
FAR_FROM_A_DISC = 0.5
"""Compactness of the reference that is worth a warning, about that of an ellipse of 1 to 4.6."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """The shapes of one mask.

    Args:
        areas, outlines: of each, in pixels; the border is not an edge.
        at_border: whether each touches it.
    """

    areas: NDArray[np.float64]
    outlines: NDArray[np.float64]
    at_border: NDArray[np.bool_]

    @property
    def joint(self) -> Shapes:
        """All of them as one shape."""
        return Shapes(
            self.areas.sum(keepdims=True),
            self.outlines.sum(keepdims=True),
            np.array([self.at_border.any()]),
        )

    def counting(self, loss: LossSettings) -> Shapes:
        """Those that the shape terms do not leave out."""
        found = self if loss.components == "separate" else self.joint
        kept = found.areas >= loss.min_area
        if loss.border == "ignore":
            kept &= ~found.at_border
        return Shapes(found.areas[kept], found.outlines[kept], found.at_border[kept])


def shapes_of(mask: NDArray[np.bool_]) -> Shapes:
    """The connected components of a mask ``[H, W]``, diagonal neighbours included."""
    label, count = ndimage.label(mask, np.ones((3, 3)))
    numbers = np.arange(1, count + 1)
    # The slope reaches one pixel beyond a mask.
    around = np.where(mask, label, ndimage.maximum_filter(label, 3))
    edges = np.concatenate([label[0], label[-1], label[:, 0], label[:, -1]])
    return Shapes(
        np.bincount(label.ravel(), minlength=count + 1)[1:].astype(np.float64),
        np.asarray(ndimage.sum_labels(slope(mask), around, numbers)).reshape(count),
        np.isin(numbers, edges),
    )


def reference_compactness(masks: Sequence[Shapes], loss: LossSettings) -> float | None:
    """The compactness term of reference masks under these settings; None if none counts."""
    values = []
    for mask in masks:
        counting = mask.counting(loss)
        if counting.areas.size:
            squared = np.maximum(counting.outlines**2, 1)
            terms = 1 - np.minimum(1, 4 * math.pi * counting.areas / squared)
            values.append(np.average(terms, weights=counting.areas))
    return float(np.mean(values)) if values else None


def shape_warnings(settings: TrialSettings, data: PreparedData) -> list[str]:
    """What the shape terms make of the reference masks, for each geometric class; often nothing.

    Volumes are looked at slice by slice, and samples that are larger than the patch at a patch of
    them, placed at random.

    Args:
        settings: of a trial or a sweep.
    """
    sweep = settings if isinstance(settings, SweepSpec) else None
    searched = sweep.space.keys() if sweep else ()
    weights = settings.loss.weights.used
    used = [key for key in SHAPE_WEIGHTS if key.rpartition(".")[2] in weights or key in searched]
    if not used:
        return []
    seen = list(_seen(data.training, settings.data.patch))
    whole = settings.data.patch is None
    found: list[str] = []
    for value in data.geometric_classes:
        masks = [shapes_of(label == value) for label in seen]
        name = data.classes[value]
        if "loss.components" not in searched:
            found += _about_components(name, masks, settings.loss)
        if "loss.border" not in searched:
            found += _about_border(name, masks, settings.loss, "image" if whole else "patch")
        if "loss.weights.compactness" in used:
            found += _about_compactness(name, masks, settings.loss)
    return found


def _about_components(name: str, masks: Sequence[Shapes], loss: LossSettings) -> Iterator[str]:
    of = [mask for mask in masks if mask.counting(loss).areas.size]
    several = [mask for mask in of if (mask.areas >= loss.min_area).sum() > 1]
    if loss.components == "separate" or len(several) <= FEW * len(of):
        return
    now, cured = (
        reference_compactness(of, loss.model_copy(update={"components": kind}))
        for kind in ("joint", "separate")
    )
    yield (
        f"`{name}` has several components in {len(several)} of {len(of)} training masks, which the"
        f" shape terms take as one shape: the reference itself has compactness {_shown(now)}, where"
        f" a disc has 0. With `loss.components: separate` it has {_shown(cured)}"
    )


def _about_border(
    name: str, masks: Sequence[Shapes], loss: LossSettings, what: str
) -> Iterator[str]:
    of = [mask for mask in masks if mask.counting(loss).areas.size]
    cut = [mask for mask in of if mask.counting(loss).at_border.any()]
    if loss.border == "ignore" or len(cut) <= FEW * len(of):
        return
    ignoring = loss.model_copy(update={"border": "ignore"})
    left = sum(mask.counting(ignoring).areas.size > 0 for mask in of)
    yield (
        f"`{name}` touches the border of the {what} in {len(cut)} of {len(of)} training masks."
        " Where it is cut is no part of its outline, so half a disc there counts as a whole one."
        f" `loss.border: ignore` leaves such shapes out; {counted(left, 'mask')} would still count"
    )


def _about_compactness(name: str, masks: Sequence[Shapes], loss: LossSettings) -> Iterator[str]:
    separate = loss.model_copy(update={"components": "separate"})
    value = reference_compactness(masks, separate)
    if value is not None and value > FAR_FROM_A_DISC:
        yield (
            f"the reference masks of `{name}` have compactness {_shown(value)} even component by"
            " component, where a disc has 0: the compactness term pulls predictions away from them."
            " Set `loss.weights.compactness` to 0, or search it from small values"
        )


def _seen(samples: Sequence[Sample], patch: Sequence[int] | None) -> Iterator[NDArray[Any]]:
    """Labels ``[H, W]`` as the loss sees them, of some samples."""
    for n in range(0, len(samples), max(1, len(samples) // LOOKED_AT)):
        label = samples[n].label
        if patch is not None:
            rng = np.random.default_rng(n)
            for axis, (side, most) in enumerate(zip(label.shape, patch, strict=True)):
                start = int(rng.integers(max(0, side - most) + 1))
                label = label.take(range(start, min(start + most, side)), axis)
        yield from label.reshape(-1, *label.shape[-2:])


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
