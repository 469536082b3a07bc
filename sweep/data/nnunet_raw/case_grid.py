"""The common grid of the files of one case, from their headers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sweep.data.files.decoding import PALETTE
from sweep.data.files.image_file import read_header, spacing_inside
from sweep.data.files.image_geometry import (
    Array,
    Geometry,
    Orientation,
    cover_the_same,
    doubtful,
    refused,
    squeezed,
    turned,
)
from sweep.data.nnunet_raw.raw_dataset import RawDataset
from sweep.vocabulary.errors import InputError, Mistake, gathering


@dataclass(frozen=True, slots=True)
class CaseGrid:
    """The common grid of a case's channels and label.

    Args:
        geometry: geometry of the first channel, with axes to right, anterior, superior
            (`sweep.data.files.image_geometry`); as stored if the header has no orientation.
        codes: stored orientation, such as ``LPS``; empty if the header has none.
        turns: how each file's axes are reoriented: the channels, then the label.
        stored_shape: pixels along the axes of the first channel's file.
        doubts: what nnU-Net would warn about.
    """

    geometry: Geometry
    codes: str
    turns: tuple[Orientation | None, ...]
    stored_shape: tuple[int, ...]
    doubts: tuple[Mistake, ...] = ()

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of `geometry` that are kept: two for an image, three for a volume.

        An axis of length 1 is dropped, so that nothing is sliced along it.
        """
        return squeezed(self.geometry.shape)

    def laid(self, pixels: Array, file: int) -> Array:
        """The pixels of a file on this grid, ``[…axes]``.

        Args:
            file: index of the file in `turns`.
        """
        turn = self.turns[file]
        whole = pixels if turn is None else turned(pixels.reshape(pixels.shape[:3]), turn)
        return whole.reshape([whole.shape[axis] for axis in squeezed(whole.shape)])

    def as_stored(self, pixels: Array) -> Array:
        """Pixels on this grid, ``[…axes]``, with the axes of the first channel's file: undoes
        `laid`."""
        turn = self.turns[0]
        whole = pixels.reshape(self.geometry.shape)
        if turn is not None:
            back = np.empty_like(turn)
            back[turn[:, 0].astype(int)] = np.column_stack([np.arange(3), turn[:, 1]])
            whole = turned(whole, back)
        return whole.reshape(self.stored_shape)


def look_at(dataset: RawDataset, case: str, *, labelled: bool = True) -> CaseGrid:
    """Compare the headers of a case's files.

    Args:
        labelled: whether the case has a label.

    Raises:
        InputError: with every mistake.
    """
    labels = (dataset.label_path(case),) if labelled else ()
    paths = (*dataset.image_paths(case), *labels)
    headers: dict[Path, Geometry] = {}
    mistakes, doubts = list[Mistake](), list[Mistake]()
    for path in paths:
        with gathering(mistakes):
            headers[path], found = read_header(path)
            doubts += (one for one in found if one.kind != PALETTE or path not in labels)
    first = headers.get(paths[0])
    if first is None:
        raise InputError(mistakes)
    if first.spacing is None and len(first.shape) == 3:
        first = replace(first, spacing=(1.0, 1.0, 1.0))
        doubts.append(_without_spacing(paths[0], case))
    turns = [first.orientation]
    for path in paths[1:]:
        own = headers.get(path, first)  # one that cannot be read is told already
        is_turned = own.codes != first.codes and cover_the_same(first, own)
        turns.append(own.orientation if is_turned else first.orientation)
        if is_turned:
            doubts.append(_turned(path, own, paths[0], first))
            continue
        role = "label" if path in labels else "channel"
        wrong = [*_differences(path, own, paths[0], first, role)]
        mistakes += wrong
        doubts += [] if wrong else _displacements(path, own, paths[0], first, role)
    if mistakes:
        raise InputError(mistakes)
    # Relative to the dataset's folder, because the cache stays valid if the dataset moves.
    below = (replace(one, file=dataset.below(Path(one.file))) for one in doubts)
    grid = first.turned(first.orientation)
    return CaseGrid(grid, first.codes, tuple(turns), first.shape, tuple(below))


def _without_spacing(path: Path, case: str) -> Mistake:
    inside = spacing_inside(path)
    numbers = "[pages, rows, columns]" if inside is None else str([*inside])
    message = (
        f"is a volume without a spacing: 1×1×1 mm is taken, as in nnU-Net; {case}.json beside"
        f' it gives another: {{"spacing": {numbers}}}'
    ) + ("" if inside is None else ", which is what the TIFF itself says")
    return Mistake(message, file=str(path), kind="volume without spacing")


def _turned(path: Path, own: Geometry, image: Path, its: Geometry) -> Mistake:
    message = (
        f"is stored as {own.codes} and {image.name} as {its.codes}, over the same grid: each is"
        " reoriented to RAS by its own header, while nnU-Net would overlay them as stored"
    )
    return Mistake(message, file=str(path), kind="turned")


def _differences(
    path: Path, own: Geometry, image: Path, its: Geometry, role: str
) -> Iterator[Mistake]:
    """What nnU-Net refuses. It compares the image with its label, and a channel with the first."""
    if role == "label":
        path, own, image, its = image, its, path, own
    for what, a, b in refused(own, its):
        message = (
            f"is {a} pixels, but {image.name} {b}"
            if what == "shape"
            else f"has a spacing of {a} mm, but {image.name} of {b} mm"
        )
        yield Mistake(message, file=str(path), kind=f"{what} of {role}")


def _displacements(
    path: Path, own: Geometry, image: Path, its: Geometry, role: str
) -> Iterator[Mistake]:
    """What nnU-Net only warns about."""
    for what, a, b in doubtful(own, its):
        message = (
            f"has the {what} {a}, but {image.name} {b}: their headers do not place them on each"
            " other; they are overlaid pixel by pixel, as in nnU-Net; check that they fit"
        )
        yield Mistake(message, file=str(path), kind=f"{what} of {role}")
