"""Draw the cases of one trial within a number of bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sweep.data.nnunet_raw.regions import Labelled
from sweep.store.pictures.picture_index import CasePictures, Picture, Plane
from sweep.trial.pictures.segmented_case import (
    SegmentedCase,
    errors,
    shown_slices,
    worst_slice,
    wrong_pixels,
)
from sweep.trial.pictures.slice_drawing import (
    Size,
    encoded_image,
    encoded_marks,
    grey,
    marks_of_errors,
    picture_size,
    window_of,
)
from sweep.vocabulary.class_scores import ClassScore, mean_over_classes

Labels = NDArray[Any]
"""Grey values, labels or kinds of errors, ``[S, H, W]``."""


@dataclass(frozen=True, slots=True)
class CaseToDraw:
    """A case of a trial.

    Args:
        case: its arrays.
        reasons: why it was chosen, as in the index.
        scores: of each class.
        also: axis → slices that must be drawn if there is space.
    """

    case: SegmentedCase
    reasons: tuple[str, ...]
    scores: Sequence[ClassScore]
    also: Mapping[int, Sequence[int]] = field(default_factory=dict)


class Drawn(NamedTuple):
    """What was drawn.

    Args:
        cases: those with a picture.
        files: name → content.
        left_out: pictures that did not fit.
    """

    cases: tuple[CasePictures, ...]
    files: dict[str, bytes]
    left_out: int


class _Wanted(NamedTuple):
    """A slice to draw. They are drawn in this order."""

    priority: int
    axis: int
    number: int
    position: int


def draw_cases(cases: Sequence[CaseToDraw], classes: Labelled, space: int) -> Drawn:
    """Draw slices of some cases, the most telling first, until the space is spent.

    Args:
        space: most bytes of all files together.
    """
    drawings = [_CaseDrawing(one.case, classes) for one in cases]
    wanted = sorted(
        _Wanted(priority, axis, number, position)
        for number, (one, drawing) in enumerate(zip(cases, drawings, strict=True))
        for axis in one.case.directions
        for position, priority in drawing.slices(axis, one.also.get(axis, ())).items()
    )
    pictures: dict[tuple[int, int], list[Picture]] = {}
    files: dict[str, bytes] = {}
    left_out = 0
    for want in wanted:
        if left_out:  # what comes later is less telling
            left_out += 1
            continue
        picture, new = drawings[want.number].draw(want)
        if sum(map(len, (*files.values(), *new.values()))) > space:
            left_out = 1
            continue
        files |= new
        pictures.setdefault((want.number, want.axis), []).append(picture)
    found = (_case_pictures(one, number, pictures) for number, one in enumerate(cases))
    return Drawn(tuple(one for one in found if one.planes), files, left_out)


def _case_pictures(
    one: CaseToDraw, number: int, pictures: Mapping[tuple[int, int], Sequence[Picture]]
) -> CasePictures:
    planes = (
        Plane(
            axis=axis,
            name=one.case.plane_name(axis),
            slices=one.case.reference.shape[axis],
            pictures=tuple(sorted(pictures[number, axis], key=lambda each: each.position)),
        )
        for axis in one.case.directions
        if (number, axis) in pictures
    )
    return CasePictures(
        case=one.case.name,
        reasons=one.reasons,
        dice=mean_over_classes(one.scores, "dice"),
        nsd=mean_over_classes(one.scores, "nsd"),
        classes={own.label: {name: own.value(name) for name in own.values} for own in one.scores},
        planes=tuple(planes),
    )


class _CaseDrawing:
    """Draws the slices of one case."""

    def __init__(self, case: SegmentedCase, classes: Labelled) -> None:
        self._case = case
        self._classes = classes
        self._errors = errors(case.prediction, case.reference, classes)
        self._window = window_of(case.image)

    def slices(self, axis: int, also: Sequence[int]) -> Mapping[int, int]:
        """Position → priority."""
        first = worst_slice(self._case, self._errors, self._classes, axis)
        return shown_slices(self._case, self._classes, axis, first, also)

    def draw(self, want: _Wanted) -> tuple[Picture, dict[str, bytes]]:
        """The picture of a slice, and its two files."""
        case, axis, position = self._case, want.axis, want.position
        reference, prediction, found = (
            slice_of(one, case, axis, position)
            for one in (case.reference, case.prediction, self._errors)
        )
        image = slice_of(case.image, case, axis, position)
        size = size_of(case, axis)
        stem = f"case{want.number}_axis{axis}_{position:04d}"
        name, marks_name = f"{stem}.webp", f"{stem}_marks.webp"
        marks = marks_of_errors(
            self._classes.masks(prediction), self._classes.masks(reference), found, size
        )
        picture = Picture(
            image=name,
            marks=marks_name,
            position=position,
            wrong=int(wrong_pixels(found[None], 0)[0]),
            priority=want.priority,
            size=(size[1], size[0]),
        )
        return picture, {
            name: encoded_image(grey(image, self._window), size),
            marks_name: encoded_marks(marks),
        }


def slice_of(volume: Labels, case: SegmentedCase, axis: int, position: int) -> Labels:
    """A slice ``[rows, columns]`` of an array over the box of a case, turned to be looked at.

    Where the orientation is known, it is turned as radiologists expect: the patient's head or front
    at the top, the patient's right (in a sagittal plane the front) on the left.

    Args:
        position: of the slice on the grid of the case's labels.
    """
    own, there = case.reference.shape[axis], volume.shape[axis]
    taken: Labels = np.take(volume, position * there // own, axis=axis)
    if case.axes is None:
        return taken
    rows, columns = _others(case.axes, axis)
    turned: Labels = (taken.T if rows < columns else taken)[::-1, ::-1]
    return turned


def size_of(case: SegmentedCase, axis: int) -> Size:
    """Size of the pictures of a case's slices along an axis."""
    shape, steps = (
        _others(case.reference.shape, axis),
        [case.step(n) for n in _others(range(3), axis)],
    )
    if case.axes is not None:
        rows, columns = _others(case.axes, axis)
        if rows < columns:
            shape, steps = shape[::-1], steps[::-1]
    return picture_size(shape, steps)


def _others(values: Sequence[int], axis: int) -> list[int]:
    """Those of the two other axes."""
    return [value for number, value in enumerate(values) if number != axis]


def disagreement(
    first: SegmentedCase, second: SegmentedCase, classes: Labelled
) -> Iterator[tuple[int, int]]:
    """Axis → the slice in which most voxels are right in one of two predictions alone.

    Nothing where the references differ in shape: a search may vary the size of drawn images.

    Args:
        first, second: the same case, predicted by two trials.
    """
    if first.reference.shape != second.reference.shape:
        return
    ours, theirs = (errors(one.prediction, one.reference, classes) for one in (first, second))
    apart = np.where((ours == 0) != (theirs == 0), np.uint8(1), np.uint8(0))
    for axis in first.directions:
        counted = wrong_pixels(apart, axis)
        if counted.any():
            yield axis, int(counted.argmax())
