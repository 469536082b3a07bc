"""How the files of one case lie to each other, read off their headers: one case, one grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.data.files.image_file import read_header
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
    """The one grid of a case's channels and label.

    Args:
        geometry: of the first channel, turned so that its axes lead to right, anterior, superior
            (`sweep.data.files.image_geometry`); as it is where the header does not tell.
        codes: how it is stored, such as ``LPS``; empty where the header does not tell.
        turns: how each file's axes are brought to that: those of the channels, then the label's.
        doubts: what nnU-Net would warn of.
    """

    geometry: Geometry
    codes: str
    turns: tuple[Orientation | None, ...]
    doubts: tuple[Mistake, ...] = ()

    @property
    def axes(self) -> tuple[int, ...]:
        """Of `geometry` those that are kept: two of an image, three of a volume.

        An axis of length 1 is none, so that nothing is ever sliced along it.
        """
        return squeezed(self.geometry.shape)

    def laid(self, pixels: Array, file: int) -> Array:
        """The pixels of one of the files on this grid, ``[…axes]``.

        Args:
            file: its place in `turns`.
        """
        turn = self.turns[file]
        if turn is None:
            shape = pixels.shape
            return pixels.reshape([shape[axis] for axis in squeezed(shape)])
        whole = turned(pixels.reshape(pixels.shape[:3]), turn)
        return whole.reshape([whole.shape[axis] for axis in squeezed(whole.shape)])


def look_at(dataset: RawDataset, case: str) -> CaseGrid:
    """Compare the headers of a case's files.

    Raises:
        InputError: with every mistake of them.
    """
    paths = (*dataset.image_paths(case), dataset.label_path(case))
    headers: dict[Path, Geometry] = {}
    mistakes: list[Mistake] = []
    doubts: list[Mistake] = []
    for path in paths:
        with gathering(mistakes):
            headers[path], found = read_header(path)
            doubts += found
    first = headers.get(paths[0])
    if first is None:
        raise InputError(mistakes)
    turns = [first.orientation]
    for path in paths[1:]:
        other = headers.get(path)
        turns.append(first.orientation)
        if other is None:
            continue
        if other.codes != first.codes and cover_the_same(first, other):
            turns[-1] = other.orientation
            told = (
                f"is stored as {other.codes} and {paths[0].name} as {first.codes}, over the same"
                " grid: each is turned to RAS by its own header, where nnU-Net would lay them onto"
                " each other as stored"
            )
            doubts.append(Mistake(told, file=str(path), kind="turned"))
            continue
        role = "label" if path == paths[-1] else "channel"
        wrong = list(_differences(path, other, paths[0], first, role))
        mistakes += wrong
        if not wrong:
            doubts += _contradictions(path, other, paths[0], first, role)
    if mistakes:
        raise InputError(mistakes)
    # Below the dataset's folder, for a cache outlives the place where it lies.
    below = (replace(one, file=str(Path(one.file).relative_to(dataset.folder))) for one in doubts)
    return CaseGrid(first.turned(first.orientation), first.codes, tuple(turns), tuple(below))


def _differences(
    path: Path, own: Geometry, image: Path, its: Geometry, role: str
) -> Iterator[Mistake]:
    if role == "label":
        path, own, image, its = image, its, path, own
    for what, a, b in refused(own, its):
        message = (
            f"is {a} pixels, but {image.name} {b}"
            if what == "shape"
            else f"has a spacing of {a} mm, but {image.name} of {b} mm"
        )
        yield Mistake(message, file=str(path), kind=f"{what} of {role}")


def _contradictions(
    path: Path, own: Geometry, image: Path, its: Geometry, role: str
) -> Iterator[Mistake]:
    for what, a, b in doubtful(own, its):
        yield Mistake(
            f"has the {what} {a}, but {image.name} {b}: by their headers they do not lie on each"
            " other; they are laid onto each other pixel by pixel, as nnU-Net does; look whether"
            " they fit",
            file=str(path),
            kind=f"{what} of {role}",
        )
