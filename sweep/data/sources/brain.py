"""Real anatomy without a download: the MNI152 brain that nilearn ships inside its wheel.

One brain, the average of 152: it shows that the pipeline works on anatomy, and how losses behave on
its shapes. It cannot show how well a model would do on another person's brain.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep.data.nnunet_raw.pixels import RawCase, write_raw
from sweep.data.sources.data_source import DataSource
from sweep.spec.settings.data_settings import BrainData
from sweep.vocabulary.errors import InputError, Mistake

CHANNEL = "T1"
LABELS = {"background": 0, "white_matter": 1}
BRAIN_SLICES = range(9, 151)
"""The axial slices of the template that hold brain, of 189."""

_LEAST_BRAIN = 1000  # pixels: a mere tip of brain, z-scored, is an outlier and nothing else
NO_NILEARN = "the brain needs the package nilearn: pip install 'medical-sweep[brain]'"


def has_nilearn() -> bool:
    """Whether nilearn is installed, without importing it."""
    return importlib.util.find_spec("nilearn") is not None


class BrainSource(DataSource):
    """``source: brain``."""

    packages = ("nilearn",)

    def __init__(self, settings: BrainData) -> None:
        self._settings = settings
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
    """Write axial slices of the MNI152 T1 template in nnU-Net's raw layout, each a case of its own.

    A slice is an 8-bit NIfTI file of one layer, ``[x, y, 1]``: the template is stored in 8 bits,
    and NIfTI keeps where the slice lies in the brain and its 1 mm pixels. Foreground is where the
    white-matter map is at least ``threshold``. The slabs are written as the only split.

    Raises:
        InputError: where nilearn is not installed.

    Source: Fonov et al. 2011, doi:10.1016/j.neuroimage.2010.07.033, as shipped by nilearn.
    """
    t1, white_matter, affine = _templates()
    brain = np.flatnonzero((t1 > 0).sum(axis=(0, 1)) >= _LEAST_BRAIN)
    found = range(int(brain[0]), int(brain[-1]) + 1)
    training, validation = slabs(settings, found)
    test = held_out_slab(settings, found)

    def cases(slices: Sequence[int]) -> Iterator[RawCase]:
        for z in sorted(slices):
            layer = slice(z, z + 1)
            label = (white_matter[..., layer] >= settings.threshold).astype(np.uint8)
            lifted = affine.copy()
            lifted[:3, 3] += affine[:3, 2] * z
            yield RawCase(case_name(z), t1[None, ..., layer], label, lifted)

    write_raw(
        folder,
        cases(training + validation),
        name="MNI152 axial slices",
        channel_names=[CHANNEL],
        labels=LABELS,
        file_ending=".nii.gz",
        splits=[(tuple(map(case_name, training)), tuple(map(case_name, validation)))],
        test=cases(test) if test else None,
    )


def case_name(z: int) -> str:
    """Identifier of an axial slice."""
    return f"mni152_z{z:03d}"


def _templates() -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float64]]:
    """T1 in its 8 bits, white-matter probability in [0, 1], both ``[x, y, z]``, and the affine."""
    if not has_nilearn():
        raise InputError.single(NO_NILEARN, key="data.source")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nilearn's announcements are not for our users
        from nilearn.datasets import load_mni152_template, load_mni152_wm_template

        t1 = load_mni152_template(resolution=1)
        white_matter = load_mni152_wm_template(resolution=1)
    return (
        np.rint(t1.get_fdata() * 255).astype(np.uint8),
        white_matter.get_fdata(dtype=np.float32),
        np.asarray(t1.affine, dtype=np.float64),
    )


def _brain_mistakes(settings: BrainData) -> Iterator[Mistake]:
    if not has_nilearn():
        yield Mistake(NO_NILEARN, key="data.source")
    if settings.test and not held_out_slab(settings):
        yield Mistake(f"{settings.test:g} leaves no slice of the brain", key="data.test")
    training, _ = slabs(settings)
    if not training:
        yield Mistake(
            f"{settings.validation_slices} validation slices with a gap of {settings.gap} on each "
            "side leave no slice of the brain to train on",
            key="data.validation_slices",
        )
    if settings.fold != 0:
        yield Mistake(f"the brain has one fixed split: 0, not {settings.fold}", key="data.fold")
