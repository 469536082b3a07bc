"""Real anatomy without a download: the MNI152 brain that nilearn ships inside its wheel.

One brain, the average of 152: it shows that the pipeline works on anatomy, and how losses behave on
its shapes. It cannot show how well a model would do on another person's brain.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep.data.nnunet_raw.labels import geometric_labels
from sweep.data.nnunet_raw.pixels import RawCase, write_raw
from sweep.data.sources.data_source import DataSource
from sweep.machine.installed_packages import how_to_install
from sweep.spec.settings.data_settings import BrainData
from sweep.vocabulary.errors import InputError, Mistake

CHANNEL = "T1"
LABELS = {
    "white_matter": {"background": 0, "white_matter": 1},
    "both": {"background": 0, "white_matter": 1, "grey_matter": 2},
}
"""Classes by ``data.tissues``."""
BRAIN_SLICES = range(9, 151)
"""The axial slices of the template that hold brain, of 189."""

MIDLINE = 98
"""The sagittal slice of the template between both hemispheres, where x is 0 mm."""

_LEAST_SHARE = 0.1  # of a block: one of fewer voxels of brain is hardly anatomy
_LEAST_BRAIN = 1000  # pixels: a mere tip of brain, z-scored, is an outlier and nothing else


class BrainSource(DataSource):
    """``source: brain``."""

    packages = ("nilearn",)

    def __init__(self, settings: BrainData) -> None:
        self._settings = settings
        self.spacing = settings.spacing
        self.geometric_class = settings.geometric_class
        self.classes = tuple(LABELS[settings.tissues])[1:]
        super().__init__(settings, _brain_mistakes(settings))

    def raw(self, folder: Path) -> Path:
        write_brain(folder, self._settings)
        return folder


def slabs(
    settings: BrainData, brain: range = BRAIN_SLICES
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Slices to train on and to validate on.

    The validation slab lies in the middle of the brain. ``gap`` slices on each side of it are in
    neither set, because neighbouring slices are nearly the same picture.

    Args:
        settings: thickness, gap and step, in slices of 1 mm.
        brain: the slices that hold brain.
    """
    start = brain.start + (len(brain) - settings.validation_slices) // 2
    stop = start + settings.validation_slices
    below = range(brain.start, start - settings.gap, settings.step)
    first = max((z + 1 for z in held_out_slab(settings, brain)), default=stop) + settings.gap
    above = range(first, brain.stop, settings.step)
    return (*below, *above), tuple(range(start, stop, settings.step))


def held_out_slab(settings: BrainData, brain: range = BRAIN_SLICES) -> tuple[int, ...]:
    """Slices of the test: a slab above that of the validation, with a gap on each side of it.

    Args:
        settings: ``test`` is the slab's share of the slices that hold brain.
        brain: these slices.
    """
    if not isinstance(settings.test, float) or not settings.test:
        return ()
    start = brain.start + (len(brain) + settings.validation_slices) // 2 + settings.gap
    stop = min(start + max(1, round(settings.test * len(brain))), brain.stop)
    return tuple(range(start, stop, settings.step))


def write_brain(folder: Path, settings: BrainData) -> None:
    """Write the MNI152 T1 template in nnU-Net's raw layout, its slabs as the only split.

    As slices: each axial slice is a case, an 8-bit NIfTI file of one layer, ``[x, y, 1]``. As
    volumes: each `Block` is a case. The template is stored in 8 bits, and NIfTI keeps where a case
    lies in the brain and its millimetres. A voxel belongs to the tissue whose probability is at
    least ``threshold``, and to the more probable one of two.

    Source: Fonov et al. 2011, doi:10.1016/j.neuroimage.2010.07.033, as shipped by nilearn.
    """
    template = _template(settings)
    brain = np.flatnonzero((template.t1 > 0).sum(axis=(0, 1)) >= _LEAST_BRAIN)
    found = range(int(brain[0]), int(brain[-1]) + 1)
    training, validation = slabs(settings, found)
    test = held_out_slab(settings, found)
    if settings.spatial == "volumes":
        box = template.box
        sides = [blocks(side, settings, box) for side in (training, validation, test)]
        sides = [[one for one in side if template.holds_brain(one)] for side in sides]
    else:
        sides = [[_layer(z) for z in sorted(side)] for side in (training, validation, test)]
    names = [tuple(block.name for block in side) for side in sides]

    def cases(side: Sequence[Block]) -> Iterator[RawCase]:
        return (template.case(block) for block in side)

    write_raw(
        folder,
        cases([*sides[0], *sides[1]]),
        name=f"MNI152 axial {settings.spatial}",
        channel_names=[CHANNEL],
        labels=LABELS[settings.tissues],
        file_ending=".nii.gz",
        splits=[(names[0], names[1])],
        test=cases(sides[2]) if test else None,
    )


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the template that is a case.

    Args:
        name: identifier of the case.
        x, y, z: voxels of the template along each axis; ``z`` may leave some out.
    """

    name: str
    x: slice
    y: slice
    z: slice


def blocks(slices: Sequence[int], settings: BrainData, box: tuple[slice, slice]) -> list[Block]:
    """The blocks that some slices of the brain are cut into.

    Each slab is cut into parts of at most the thickness of the validation slab, and each of those
    into four quarters: left and right hemisphere, posterior and anterior.

    Args:
        slices: of one or more slabs, every ``step``-th one.
        box: voxels of the template along x and y that hold brain.
    """
    x, y = box
    halves = (("left", slice(x.start, MIDLINE)), ("right", slice(MIDLINE, x.stop)))
    middle = (y.start + y.stop) // 2
    ends = (("posterior", slice(y.start, middle)), ("anterior", slice(middle, y.stop)))
    thickest = -(-settings.validation_slices // settings.step)
    numbers = np.array(sorted(slices), dtype=int)
    slabs = np.split(numbers, np.flatnonzero(np.diff(numbers) > settings.step) + 1)
    parts = [
        part
        for slab in slabs
        if len(slab)
        for part in np.array_split(slab, -(-len(slab) // thickest))
    ]
    return [
        Block(
            f"{case_name(int(part[0]))}_{hemisphere}_{end}",
            across,
            along,
            slice(int(part[0]), int(part[-1]) + 1, settings.step),
        )
        for part in parts
        for hemisphere, across in halves
        for end, along in ends
    ]


def _layer(z: int) -> Block:
    return Block(case_name(z), slice(None), slice(None), slice(z, z + 1))


def case_name(z: int) -> str:
    """Identifier of an axial slice."""
    return f"mni152_z{z:03d}"


@dataclass(frozen=True, slots=True)
class _Template:
    """The template with its labels, ``[x, y, z]``, and its affine."""

    t1: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    affine: NDArray[np.float64]

    @property
    def box(self) -> tuple[slice, slice]:
        """Voxels along x and y that hold brain."""
        x, y, _ = (np.flatnonzero(self.t1.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
        return slice(int(x[0]), int(x[-1]) + 1), slice(int(y[0]), int(y[-1]) + 1)

    def holds_brain(self, block: Block) -> bool:
        """Whether more of a block than a corner is brain."""
        return bool((self.t1[block.x, block.y, block.z] > 0).mean() >= _LEAST_SHARE)

    def case(self, block: Block) -> RawCase:
        index = (block.x, block.y, block.z)
        starts = [one.start or 0 for one in index]
        affine = self.affine @ np.diag([1.0, 1.0, block.z.step or 1, 1.0])
        affine[:3, 3] = (self.affine @ [*starts, 1])[:3]
        return RawCase(block.name, self.t1[index][None], self.labels[index], affine)


def _template(settings: BrainData) -> _Template:
    """The template as nilearn ships it: T1 in its 8 bits, and labels of the settings' tissues."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nilearn's announcements are not for our users
        from nilearn import datasets

        t1 = datasets.load_mni152_template(resolution=1)
        white = datasets.load_mni152_wm_template(resolution=1).get_fdata(dtype=np.float32)
        labels = (white >= settings.threshold).astype(np.uint8)
        if settings.tissues == "both":
            grey = datasets.load_mni152_gm_template(resolution=1).get_fdata(dtype=np.float32)
            labels[(grey >= settings.threshold) & (grey > white)] = 2
    return _Template(
        t1=np.rint(t1.get_fdata() * 255).astype(np.uint8),
        labels=labels,
        affine=np.asarray(t1.affine, dtype=np.float64),
    )


def _brain_mistakes(settings: BrainData) -> Iterator[Mistake]:
    if absent := how_to_install("brain", "nilearn"):
        yield Mistake(absent, key="data.source")
    if settings.test and not held_out_slab(settings):
        yield Mistake(f"{settings.test:g} leaves no slice of the brain", key="data.test")
    training, _ = slabs(settings)
    if not training:
        yield Mistake(
            f"{settings.validation_slices} validation slices with a gap of {settings.gap} on each "
            "side leave no slice of the brain to train on",
            key="data.validation_slices",
        )
    try:
        geometric_labels(LABELS[settings.tissues], settings.geometric_class)
    except InputError as error:
        yield from error.mistakes
    if settings.fold != 0:
        yield Mistake(f"the brain has one fixed split: 0, not {settings.fold}", key="data.fold")
