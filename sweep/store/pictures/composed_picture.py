"""A picture with its marks laid over it, for readers that show one image: notebooks, trackers."""

from __future__ import annotations

import io
from collections.abc import Iterator

from sweep.store.layout import TrialPaths
from sweep.store.pictures.picture_index import (
    Picture,
    TrialPictures,
    picture_bytes,
    read_pictures,
)
from sweep.vocabulary.errors import ResultsError


def composed(trial: TrialPaths, picture: Picture) -> bytes:
    """The picture as a PNG.

    Raises:
        ResultsError: a file is missing or is no image of the size of the other.
    """
    from PIL import Image

    image, marks = (picture_bytes(trial, name) for name in (picture.image, picture.marks))
    try:
        below, above = (Image.open(io.BytesIO(one), formats=["webp"]) for one in (image, marks))
        together = Image.alpha_composite(below.convert("RGBA"), above.convert("RGBA"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ResultsError(f"{trial.pictures / picture.image}: broken, {error}") from error
    content = io.BytesIO()
    together.convert("RGB").save(content, format="png", optimize=True)
    return content.getvalue()


def titled_pictures(pictures: TrialPictures) -> Iterator[tuple[str, Picture]]:
    """The first picture of each plane, titled ``worst: a, Dice 0.71, axial slice 3 of 9``."""
    for case in pictures.cases:
        dice = "" if case.dice is None else f", Dice {case.dice:.4f}"
        for plane in case.planes:
            number = f"slice {plane.first.position + 1} of {plane.slices}"  # as in the page
            where = "" if plane.slices == 1 else f", {plane.name} {number}"
            yield f"{', '.join(case.reasons)}: {case.case}{dice}{where}", plane.first
    if (batch := pictures.batch) is not None:
        place = f"before step {batch.step} of epoch {batch.epoch}"
        for order, sample in enumerate(batch.samples, start=1):  # a case may be there twice
            yield f"soft mask {order}, {sample.label} {place}: {sample.case}", sample.picture


def titled_pngs(trial: TrialPaths) -> dict[str, bytes]:
    """Title → PNG of what is drawn of a trial; raises as `composed`."""
    found = read_pictures(trial)
    every = () if found is None else titled_pictures(found)
    return {title: composed(trial, picture) for title, picture in every}
