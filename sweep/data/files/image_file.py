"""Read the header and the pixels of one image file, and write a mask that lies on it.

Axes. A picture is ``[rows, columns]``, as nnU-Net sees it. A volume is ``[x, y, z]``, where
nnU-Net's readers have ``[z, y, x]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sweep.data.files import itk_file, nifti_file, plain_picture, tiff_file
from sweep.data.files.image_geometry import Array, Geometry
from sweep.machine.installed_packages import how_to_install
from sweep.store.files import atomic_write_bytes
from sweep.vocabulary.errors import Mistake


class _Format(Protocol):
    """What the module of a format has."""

    def read_header(self, path: Path, /) -> tuple[Geometry, list[Mistake]]:
        """As `read_header` below."""

    def read_pixels(self, path: Path, /, *, palette: bool) -> Array:
        """As `read_pixels` below."""

    def mask(self, classes: NDArray[np.uint8], like: Path, /) -> bytes:
        """The content of the file that `write_mask` writes."""


_FORMATS: Mapping[str, _Format] = {
    ".png": plain_picture,
    ".bmp": plain_picture,
    ".tif": tiff_file,
    ".tiff": tiff_file,
    ".nii": nifti_file,
    ".nii.gz": nifti_file,
    ".nrrd": itk_file,
    ".mha": itk_file,
    ".gipl": itk_file,
}
FILE_ENDINGS = tuple(_FORMATS)
"""Those of nnU-Net's readers, in small or capital letters."""
READ_ALIKE = ((".nii", ".nii.gz", ".nrrd", ".mha"), (".png", ".bmp", ".tif", ".tiff"))
"""Endings of files that give the same arrays of the same image; a TIFF may also be a volume."""


def read_header(path: Path) -> tuple[Geometry, list[Mistake]]:
    """The geometry of a file's pixels, and doubts about its header.

    Raises:
        InputError: it cannot be opened, or its content cannot be used for training.
    """
    return _format(path).read_header(path)


def read_pixels(path: Path, *, palette: bool = True) -> Array:
    """All numbers of a file: ``[…spatial]``, a picture's bands last.

    Args:
        palette: look up the colours of a PNG or BMP with a palette, and let grey of 2 or 4 bits go
            to 255, as decoders do. False for labels, where the stored numbers are classes.

    Raises:
        InputError: it cannot be read.
    """
    return _format(path).read_pixels(path, palette=palette)


def write_mask(path: Path, classes: NDArray[np.uint8], like: Path) -> None:
    """Write classes as 8-bit integers, as a whole or not at all.

    The mask lies exactly on its image: what the format says of the geometry is the image's.

    Args:
        path: with the ending of ``like``.
        classes: with the axes of the image, ``[…spatial]``; those of length 1 may be missing.
        like: the image.

    Raises:
        InputError: ``like`` cannot be read any more.
        SweepFailed: ``path`` cannot be written.
    """
    atomic_write_bytes(path, _format(like).mask(classes, like))


def has_bands(path: Path) -> bool:
    """Whether a file of this name may hold several channels of a picture."""
    return _format(path) in (plain_picture, tiff_file)


def is_flat(ending: str) -> bool:
    """Whether files of this ending hold neither a volume nor a spacing."""
    return _FORMATS[ending.lower()] is plain_picture


def files_read(path: Path) -> list[Path]:
    """The file, and another one that is read for it."""
    beside = tiff_file.spacing_file(path) if _format(path) is tiff_file else None
    return [path, *([beside] if beside else [])]


def spacing_inside(path: Path) -> tuple[float, ...] | None:
    """Millimetres of [pages, rows, columns] that a TIFF says itself, where nobody reads them."""
    return tiff_file.spacing_inside(path) if _format(path) is tiff_file else None


def absent_reader(ending: str) -> str | None:
    """How to install what reads files of this ending; None if it is installed."""
    if _FORMATS[ending.lower()] is not itk_file:
        return None
    return how_to_install(ending, "SimpleITK", extra="formats")


def _format(path: Path) -> _Format:
    ending = path.suffix.lower()
    return _FORMATS[".nii.gz" if ending == ".gz" else ending]
