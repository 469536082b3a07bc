"""Survey of a dataset's headers: the slice axis of its volumes, and differences between cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sweep.data.files.image_geometry import PLANES, size
from sweep.data.nnunet_raw.case_grid import CaseGrid, look_at
from sweep.data.nnunet_raw.raw_dataset import RawDataset
from sweep.data.nnunet_raw.splits import enumerated
from sweep.spec.words.phrases import counted
from sweep.vocabulary.errors import Mistake, gathered, gathering

SliceAxis = int | Literal["auto"]
Mask = NDArray[np.bool_]

NO_SPACING = (
    "images can be resampled only where their files hold a spacing in millimetres; pictures do not:"
    " set it to null, or convert them to NIfTI"
)
SAME = 0.01
"""Spacings that differ by less, as a share, count as equal."""
OBLONG = 1.5
"""Ratio of a pixel's sides above which there is a warning, and a fitted file makes them square."""
_THIN = 16  # pixels: the smallest allowed patch
_AXIAL = 2


@dataclass(frozen=True, slots=True)
class Survey:
    """Summary of the headers of all cases.

    Args:
        grids: grid of each case, except cases with a mistake.
        slice_axis: axis along which volumes are cut.
        mistakes: all mistakes of the cases.
        warnings: one sentence for each property that is valid but probably not intended.
        sizes: pixels and spacing of the images in words: ``18×76×78, 1.5×1.5×4 mm``.
    """

    grids: Mapping[str, CaseGrid]
    slice_axis: int
    mistakes: Sequence[Mistake] = ()
    warnings: Sequence[str] = ()
    sizes: str = ""


@dataclass(frozen=True, slots=True)
class _Cases:
    """All cases as arrays, in one order."""

    names: Sequence[str]
    shapes: NDArray[np.int64]  # [N, 3] pixels; 1 along a missing axis
    spacings: NDArray[np.float64]  # [N, 3] mm; NaN along an axis of length 1

    @property
    def volumes(self) -> Mask:
        """``[N]``: whether a case has three axes."""
        volumes: Mask = self.shapes.min(axis=1) > 1
        return volumes

    def counted(self, which: Mask) -> str:
        """``3 of 40 cases (a, b, c)``."""
        total, names = len(self.names), [self.names[n] for n in np.flatnonzero(which).tolist()]
        if len(names) == total:
            return "every case" if total > 1 else f"the only case ({names[0]})"
        return f"{len(names)} of {total} cases ({enumerated(names, most=3)})"

    def are(self, which: Mask, one: str, several: str) -> str:
        """What follows `counted`: ``one``, also after "every case", or ``several``."""
        return one if which.all() or which.sum() == 1 else several


def survey(
    parts: Sequence[RawDataset],
    slice_axis: SliceAxis,
    *,
    volumes: bool = False,
    resampled: bool = False,
) -> Survey:
    """Read the headers of every case of a dataset and of its own test cases.

    Args:
        parts: the dataset, and its test cases if they are used.
        slice_axis: the requested axis; auto: the axis of the coarsest spacing.
        volumes: whether cases are used as whole volumes; then there is nothing to say of slices.
        resampled: whether all cases are brought to one spacing.
    """
    grids: dict[str, CaseGrid] = {}
    mistakes: list[Mistake] = []
    for part in parts:
        for case in part.cases:
            with gathering(mistakes):
                grids[case] = look_at(part, case)
    cases = _as_arrays(grids)
    axis = _coarsest(cases) if slice_axis == "auto" else slice_axis
    warnings = header_doubts(grids)
    mistakes += _without_spacing(grids, resampled=resampled)
    if volumes:
        mistakes += _images_among_volumes(cases)
    else:
        warnings += _about_axis(cases, axis, chosen=slice_axis != "auto", resampled=resampled)
        warnings += _about_thin_slices(cases, axis)
    if not resampled:
        warnings += _about_spacing(cases)
    sizes = _ranges(np.where(cases.shapes > 1, cases.shapes, np.nan), "{:.0f}", same=0.0)
    if spacings := _ranges(cases.spacings):
        sizes += f", {spacings} mm"
    return Survey(grids, axis, mistakes, warnings, sizes)


def header_doubts(grids: Mapping[str, CaseGrid]) -> list[str]:
    """What the headers do not say, or contradict each other in: a sentence for files alike."""
    doubts = gathered(doubt for grid in grids.values() for doubt in grid.doubts)
    return [*map(str, doubts), *_about_orientation(grids)]


def _without_spacing(grids: Mapping[str, CaseGrid], *, resampled: bool) -> Iterator[Mistake]:
    """Pictures, whose files hold no spacing and no orientation, where these are needed."""
    flat = [case for case, grid in grids.items() if grid.geometry.spacing is None]
    if not flat:
        return
    if len(flat) < len(grids):
        message = (
            f"holds volumes, and {counted(len(flat), 'picture')} without a spacing and an"
            f" orientation ({enumerated(flat, most=3)}): make two datasets of them"
        )
        yield Mistake(message, key="data.folder")
    elif resampled:
        yield Mistake(NO_SPACING, key="data.spacing")


def _images_among_volumes(cases: _Cases) -> Iterator[Mistake]:
    if (flat := ~cases.volumes).any():
        message = (
            f"`volumes` needs 3D volumes, but {cases.counted(flat)}"
            f" {cases.are(flat, 'is a 2D image', 'are 2D images')}: use `slices`, which cuts"
            " volumes and takes images as they are"
        )
        yield Mistake(message, key="data.spatial")


def _as_arrays(grids: Mapping[str, CaseGrid]) -> _Cases:
    shapes = np.ones((len(grids), 3), dtype=np.int64)
    spacings = np.full((len(grids), 3), np.nan)
    for row, grid in enumerate(grids.values()):
        geometry = grid.geometry
        for axis in grid.axes:
            shapes[row, axis] = geometry.shape[axis]
            if geometry.spacing is not None and axis < len(geometry.spacing):
                spacings[row, axis] = geometry.spacing[axis]
    return _Cases(list(grids), shapes, spacings)


def _coarsest(cases: _Cases) -> int:
    """The axis of the largest median spacing over all volumes; if equal, the last (axial)."""
    if not cases.volumes.any():
        return _AXIAL
    median = np.median(cases.spacings[cases.volumes], axis=0)
    return int(np.flatnonzero(median >= median.max() / (1 + SAME))[-1])


def _about_orientation(grids: Mapping[str, CaseGrid]) -> Iterator[str]:
    stored = Counter(grid.codes for grid in grids.values() if grid.geometry.spacing is not None)
    if len(stored) < 2:
        return
    usual = stored.most_common(1)[0][0]
    for codes, count in stored.items():
        if codes != usual:
            names = enumerated([case for case, grid in grids.items() if grid.codes == codes], 3)
            how = f"stored as {codes}" if codes else "without an orientation in the header"
            rest = f"as {usual}" if usual else "without one"
            yield (
                f"{count} of {len(grids)} cases ({names}) {'is' if count == 1 else 'are'} {how},"
                f" most {rest}: " + ("all are reoriented to RAS" if codes else "used as stored")
            )


def _about_axis(cases: _Cases, axis: int, *, chosen: bool, resampled: bool) -> Iterator[str]:
    if not cases.volumes.any():
        return
    if not chosen and axis != _AXIAL:  # axial slices are expected
        median = size(np.median(cases.spacings[cases.volumes], axis=0), ".3g")
        yield (
            f"`data.slice_axis: auto` cuts volumes into {PLANES[axis]} slices, along axis {axis}:"
            f" the median spacing is {median} mm (axes to right, anterior, superior)"
        )
    widest = np.fmax.reduce(cases.spacings, axis=1)
    finer = cases.volumes & (cases.spacings[:, axis] * OBLONG <= widest)
    if finer.any():
        first = np.flatnonzero(finer)[0]
        own = cases.spacings[first]
        coarsest = int(np.nanargmax(own))
        yield (
            f"slices are cut along axis {axis}, but the coarsest spacing lies along another in"
            f" {cases.counted(finer)}: {cases.names[first]} has {size(own, '.3g')} mm, so its"
            f" slices have pixels of {size(np.delete(own, axis), '.3g')} mm; `data.slice_axis:"
            f" {coarsest}` cuts it into {PLANES[coarsest]} slices"
        )
    if resampled:  # then the pixels are as the user asked for
        return
    flat = cases.spacings.copy()
    flat[cases.volumes, axis] = np.nan
    oblong = ~finer & (np.fmax.reduce(flat, axis=1) >= OBLONG * np.fmin.reduce(flat, axis=1))
    if oblong.any():
        first = np.flatnonzero(oblong)[0]
        sides = flat[first][np.isfinite(flat[first])]
        yield (
            f"pixels are not square in {cases.counted(oblong)}: {cases.names[first]} has"
            f" {size(sides, '.3g')} mm; the geometric losses and all metrics in pixels see its"
            " shapes stretched"
        )


def _about_spacing(cases: _Cases) -> Iterator[str]:
    differs = np.zeros(len(cases.names), dtype=bool)
    for own in cases.spacings.T:
        if np.isfinite(own).any():
            usual = float(np.nanmedian(own))
            differs |= np.abs(own - usual) > SAME * usual  # False for NaN
    if differs.any():
        yield (
            f"the spacing differs between cases: {_ranges(cases.spacings)} mm;"
            f" {cases.counted(differs)} {cases.are(differs, 'is', 'are')} more than 1 % off"
            " the median. Nothing is resampled: a pixel has a different size in each of them, and"
            " the network sees the same anatomy in several sizes; `data.spacing: median` brings all"
            " cases to one spacing"
        )


def _ranges(values: NDArray[np.float64], form: str = "{:.3g}", same: float = SAME) -> str:
    """The finite numbers of each column of ``[N, 3]``: ``1×1×3``, ``0.5 to 1 × 1 × 3``."""
    texts = []
    for own in (column[np.isfinite(column)] for column in values.T):
        if own.size:
            low, high, usual = own.min(), own.max(), float(np.median(own))
            differ = high > low * (1 + same)
            texts.append(f"{form} to {form}".format(low, high) if differ else form.format(usual))
    return (" × " if any(" to " in text for text in texts) else "×").join(texts)


def _about_thin_slices(cases: _Cases, axis: int) -> Iterator[str]:
    sides = cases.shapes.astype(float)
    sides[cases.volumes, axis] = np.nan
    for row in np.flatnonzero(~cases.volumes):
        # An image has two sides and an axis of length 1.
        sides[row, np.flatnonzero(cases.shapes[row] == 1)[-1]] = np.nan
    shortest = np.fmin.reduce(sides, axis=1)
    thin = shortest < _THIN
    if thin.any():
        worst = int(np.argmin(shortest))
        pixels = size(sides[worst][np.isfinite(sides[worst])], ".0f")
        yield (
            f"slices are thin in {cases.counted(thin)}: those of {cases.names[worst]} have"
            f" {pixels} pixels, which a network of several levels sees mostly as padding"
        )
