"""Write a predicted mask as a file that lies exactly on its image: its header is the image's."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.data.files.image_file import decoding
from sweep.store.files import atomic_write_bytes


def write_mask(path: Path, classes: NDArray[np.uint8], like: Path) -> None:
    """Write classes as 8-bit integers, as a whole or not at all.

    Args:
        path: with the ending of ``like``.
        classes: with the axes of the image, ``[…spatial]``; those of length 1 may be missing.
        like: the image. Affine, `qform`, `sform`, spacing and units of a NIfTI are taken over.

    Raises:
        InputError: ``like`` cannot be read any more.
        SweepFailed: ``path`` cannot be written.
    """
    make = _png if path.suffix == ".png" else _nifti
    atomic_write_bytes(path, make(classes, like))


def _png(classes: NDArray[np.uint8], _like: Path) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(classes).save(content, format="png")
    return content.getvalue()


def _nifti(classes: NDArray[np.uint8], like: Path) -> bytes:
    import nibabel

    with decoding(like):
        image: Any = nibabel.load(like)
    header = image.header.copy()
    header.set_data_dtype(np.uint8)
    header["cal_min"] = header["cal_max"] = 0  # the image's range of grey levels
    # An unchanged affine leaves `qform` and `sform` as they are.
    mask = type(image)(classes.reshape(image.shape), image.affine, header)
    content: bytes = mask.to_bytes()
    # Without the time, so that the same mask gives the same bytes.
    return gzip.compress(content, mtime=0) if like.suffix == ".gz" else content
