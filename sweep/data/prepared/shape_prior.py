"""What the shape terms of the loss make of the reference masks themselves.

A compactness that is far from 0 on the reference pulls predictions away from it. That is often the
doing of several components in one mask. `sweep.trainer.losses` computes the term of soft masks; of
hard masks and without ε it is computed here, without torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sweep.data.nnunet_raw.splits import told_of_classes
from sweep.data.prepared.outline_length import slope
from sweep.data.prepared.samples import PreparedData
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.geometric_terms import weight_keys
from sweep.spec.settings.loss_settings import LossSettings
from sweep.spec.settings.trainer_settings import MonaiTrainer
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.words.phrases import counted

LOOKED_AT, VOLUMES_LOOKED_AT = 100, 20
"""Number of images or slices, and of volumes, that are looked at, spread evenly."""
TOLD_OF = weight_keys(("compactness", "aspect"))
"""Weights of the terms that several components or a cut mislead."""
FEW = 0.05
"""Share of masks with several components, or at the border, that is not worth a warning."""
FAR_FROM_A_DISC = 0.5
"""Compactness of a mask that is no disc any more, about that of an ellipse of 1 to 4.6."""
MANY = 0.25
"""Share of such masks that is worth a warning. A mean over all masks would hide a ring behind the
solid slices at its ends."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """The shapes of one mask.

    Args:
        axes: 2 of an image, 3 of a volume.
        sizes, outlines: area and perimeter of each in pixels, or volume and surface in the finest
            spacing; the border is not an edge.
        at_border: whether each touches it.
    """

    axes: int
    sizes: NDArray[np.float64]
    outlines: NDArray[np.float64]
    at_border: NDArray[np.bool_]

    def large(self, loss: LossSettings) -> NDArray[np.bool_]:
        """Whether each is large enough for the shape terms."""
        least = loss.min_area if self.axes == 2 else loss.min_volume
        return np.asarray(self.sizes >= least)

    def counting(self, loss: LossSettings) -> Shapes:
        """Those that the shape terms do not leave out."""
        found = self if loss.components == "separate" else self._joint
        kept = found.large(loss)
        if loss.border == "ignore":
            kept = kept & ~found.at_border
        return Shapes(self.axes, found.sizes[kept], found.outlines[kept], found.at_border[kept])

    @property
    def _joint(self) -> Shapes:
        if not self.sizes.size:  # an empty mask is no shape, also where any area is large enough
            return self
        return Shapes(
            self.axes,
            self.sizes.sum(keepdims=True),
            self.outlines.sum(keepdims=True),
            np.array([self.at_border.any()]),
        )

    @property
    def compactness(self) -> float:
        """The mean of the term, weighted by size; there must be a shape."""
        outlines = np.maximum(self.outlines, 1)
        if self.axes == 2:
            ratios = 4 * math.pi * self.sizes / outlines**2
        else:
            ratios = 36 * math.pi * self.sizes**2 / outlines**3
        return float(np.average(1 - np.minimum(1, ratios), weights=self.sizes))


def shapes_of(mask: NDArray[np.bool_], spacing: Sequence[float] = ()) -> Shapes:
    """The connected components of a mask ``[(D,) H, W]``, diagonal neighbours included.

    Args:
        spacing: size of a voxel along D, H, W, in its smallest; none for images.
    """
    whole = ndimage.find_objects(mask.astype(np.uint8))
    # The slope reaches one pixel beyond a mask; what lies further out costs only time.
    box = tuple(slice(max(0, part.start - 2), part.stop + 2) for part in (whole or [()])[0])
    near = mask[box]
    label, count = ndimage.label(near, np.ones((3,) * mask.ndim))
    around = np.where(near, label, ndimage.maximum_filter(label, 3))
    numbers = np.arange(1, count + 1)
    voxel = math.prod(spacing)
    outlines = np.asarray(ndimage.sum_labels(slope(near, spacing), around, numbers))
    at_border = [
        any(
            inner.start + outer.start == 0 or inner.stop + outer.start == length
            for inner, outer, length in zip(found, box, mask.shape, strict=True)
        )
        for found in ndimage.find_objects(label)
    ]
    return Shapes(
        mask.ndim,
        voxel * np.bincount(label.ravel(), minlength=count + 1)[1:].astype(np.float64),
        voxel * outlines.reshape(count),
        np.array(at_border, dtype=bool),
    )


About = Callable[[str, Sequence[Shapes], LossSettings, str], str | None]
"""The name of a class, its masks, the loss, and what the masks are of: to a warning or None."""


def reference_compactness(masks: Sequence[Shapes], loss: LossSettings) -> float | None:
    """The mean of the compactness term over reference masks; None if none counts."""
    values = _compactness_of_each(masks, loss)
    return math.fsum(values) / len(values) if values else None


def _compactness_of_each(masks: Sequence[Shapes], loss: LossSettings) -> list[float]:
    """The compactness term of each reference mask that counts under these settings."""
    counting = [mask.counting(loss) for mask in masks]
    return [shapes.compactness for shapes in counting if shapes.sizes.size]


def shape_warnings(settings: TrialSettings, data: PreparedData) -> list[str]:
    """What the shape terms make of the reference masks, for each geometric class; often nothing.

    Of a sample that is larger than the patch, a patch at random is looked at.

    Args:
        settings: of a trial or a sweep.
    """
    sweep = settings if isinstance(settings, SweepSpec) else None
    searched = sweep.space.keys() if sweep else ()
    weights = settings.loss.weights.used
    used = [key for key in TOLD_OF if key.rpartition(".")[2] in weights or key in searched]
    if not used:
        return []
    seen, spacing = _seen(settings, data)
    masks = {
        data.classes[value]: [shapes_of(data.mask(label, value), spacing) for label in seen]
        for value in data.geometric_classes
    }
    whose = "patches of training masks" if settings.data.patch else "training masks"
    what = "patch" if settings.data.patch else "volume" if spacing else "image"
    found: list[str] = []
    if "loss.components" not in searched:
        found += _of_each(masks, _about_components, settings.loss, whose)
    if "loss.border" not in searched:
        found += _of_each(masks, partial(_about_border, what=what), settings.loss, whose)
    if "loss.weights.compactness" in used:
        found += _of_each(masks, _about_compactness, settings.loss, whose)
    return found


def _of_each(
    masks: Mapping[str, Sequence[Shapes]], about: About, loss: LossSettings, whose: str
) -> list[str]:
    """What ``about`` tells of the masks of each class, where it tells anything."""
    told = ((name, about(name, own, loss, whose)) for name, own in masks.items())
    return told_of_classes({name: text for name, text in told if text is not None})


def _seen(
    settings: TrialSettings, data: PreparedData
) -> tuple[list[NDArray[np.uint8]], tuple[float, ...]]:
    """Labels of some samples as the shape terms see them, images or volumes, with the spacing of
    volumes in their smallest."""
    assert isinstance(settings.trainer, MonaiTrainer)
    samples, patch = data.training, settings.data.patch
    labels = []
    most = VOLUMES_LOOKED_AT if samples.volumes else LOOKED_AT
    for n in range(0, len(samples), max(1, len(samples) // most)):
        label = samples[n].label
        if patch is not None:
            rng = np.random.default_rng(n)
            for axis, (side, length) in enumerate(zip(label.shape, patch, strict=True)):
                start = int(rng.integers(max(0, side - length) + 1))
                label = label.take(range(start, min(start + length, side)), axis)
        labels.append(label)
    if samples.volumes and settings.trainer.geometry == "volume":
        spacing = data.spacing or (1.0, 1.0, 1.0)
        return labels, tuple(step / min(spacing) for step in spacing)
    images = [image for label in labels for image in label.reshape(-1, *label.shape[-2:])]
    return images[:: max(1, len(images) // LOOKED_AT)], ()


def _round(masks: Sequence[Shapes]) -> str:
    return "a ball" if masks[0].axes == 3 else "a disc"


def _about_components(
    name: str, masks: Sequence[Shapes], loss: LossSettings, whose: str
) -> str | None:
    of = [mask for mask in masks if mask.counting(loss).sizes.size]
    several = [mask for mask in of if mask.large(loss).sum() > 1]
    if loss.components == "separate" or len(several) <= FEW * len(of):
        return None
    now, cured = (
        reference_compactness(of, loss.model_copy(update={"components": kind}))
        for kind in ("joint", "separate")
    )
    return (
        f"`{name}` has several components in {len(several)} of {len(of)} {whose}, which the"
        f" shape terms take as one shape: the reference itself has compactness {_shown(now)}, where"
        f" {_round(masks)} has 0. With `loss.components: separate` it has {_shown(cured)}"
    )


def _about_border(
    name: str, masks: Sequence[Shapes], loss: LossSettings, whose: str, *, what: str
) -> str | None:
    of = [mask for mask in masks if mask.counting(loss).sizes.size]
    cut = [mask for mask in of if mask.counting(loss).at_border.any()]
    if loss.border == "ignore" or len(cut) <= FEW * len(of):
        return None
    ignoring = loss.model_copy(update={"border": "ignore"})
    left = sum(mask.counting(ignoring).sizes.size > 0 for mask in of)
    return (
        f"`{name}` touches the border of the {what} in {len(cut)} of {len(of)} {whose}."
        f" Where it is cut is no part of its outline, so half {_round(masks)} there counts as a"
        " whole one. `loss.border: ignore` leaves such shapes out;"
        f" {counted(left, 'mask')} would still count"
    )


def _about_compactness(
    name: str, masks: Sequence[Shapes], loss: LossSettings, whose: str
) -> str | None:
    separate = loss.model_copy(update={"components": "separate"})
    values = _compactness_of_each(masks, separate)
    far = [value for value in values if value > FAR_FROM_A_DISC]
    if not far or len(far) < MANY * len(values):
        return None
    return (
        f"{len(far)} of {len(values)} {whose} of `{name}` have a compactness above"
        f" {FAR_FROM_A_DISC}, {_shown(math.fsum(far) / len(far))} on average, even component by"
        f" component, where {_round(masks)} has 0: the compactness term pulls predictions away"
        " from them. Set `loss.weights.compactness` to 0, or search it from small values"
    )


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
