"""Draw the batch at whose step a trial diverged, with the soft masks just before that step."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sweep.store.pictures.picture_index import BatchPictures, Picture, SamplePicture
from sweep.trial.pictures.slice_drawing import (
    encoded_image,
    encoded_marks,
    grey,
    marks_of_soft_mask,
    picture_size,
    window_of,
)

MOST = 8
"""Soft masks of a batch that are drawn: those with the smallest area. Where a term of the shape
breaks, it is mostly on one of them."""


def draw_batch(
    images: NDArray[np.float32],
    references: NDArray[np.bool_],
    soft: NDArray[np.float32],
    *,
    cases: Sequence[str],
    classes: Sequence[str],
    spacing: Sequence[float] | None,
    place: tuple[int, int],
) -> tuple[BatchPictures, dict[str, bytes]]:
    """Draw the samples of a batch as the network saw them.

    Args:
        images: the channel that is shown, ``[B, (D,) H, W]``.
        references, soft: masks of each class, ``[classes, B, (D,) H, W]``.
        cases: names of the samples' cases, ``[B]``.
        classes: names of the classes.
        spacing: millimetres along ``[(D,) H, W]``; None: unknown.
        place: epoch and step.

    Returns:
        what is drawn, and the files by name.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        areas = soft.reshape(*soft.shape[:2], -1).sum(axis=-1, dtype=np.float64)
    every = [(label, sample) for label in range(len(classes)) for sample in range(len(cases))]
    # One that is not finite comes first, then the smallest.
    order = sorted(every, key=np.where(np.isfinite(areas), areas, -1.0).__getitem__)[:MOST]
    samples, files = [], dict[str, bytes]()
    for label, sample in order:
        position = _shown_slice(references[label, sample], soft[label, sample])
        image, reference, mask = (
            whole if whole.ndim == 2 else whole[position]
            for whole in (images[sample], references[label, sample], soft[label, sample])
        )
        steps = (1.0, 1.0) if spacing is None else spacing[-2:]
        size = picture_size(image.shape, steps)
        name, marks = f"batch{sample}.webp", f"batch{sample}_class{label}_marks.webp"
        if images.ndim == 4:
            name = f"batch{sample}_slice{position:04d}.webp"
        files[name] = encoded_image(grey(image, window_of(images[sample])), size)
        files[marks] = encoded_marks(marks_of_soft_mask(mask, reference, size))
        area = float(areas[label, sample])
        picture = Picture(
            image=name,
            marks=marks,
            position=position,
            wrong=0,
            priority=0,
            size=(size[1], size[0]),
        )
        known = area if math.isfinite(area) else None
        samples.append(
            SamplePicture(
                case=cases[sample], label=classes[label], soft_area=known, picture=picture
            )
        )
    epoch, step = place
    return BatchPictures(epoch=epoch, step=step, of=len(every), samples=tuple(samples)), files


def _shown_slice(reference: NDArray[np.bool_], soft: NDArray[np.float32]) -> int:
    """Of a volume ``[D, H, W]`` the slice with the most reference, else with the most soft mask."""
    if reference.ndim == 2:
        return 0
    counted = (
        reference.sum(axis=(1, 2)) if reference.any() else np.nan_to_num(soft).sum(axis=(1, 2))
    )
    return int(counted.argmax())
