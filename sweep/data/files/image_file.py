"""Read the header and the pixels of one image file, PNG or NIfTI.

Axes. A PNG is ``[rows, columns]``, as nnU-Net sees it. A NIfTI has the order of its file
(``[x, y, z]`` for most), where nnU-Net's SimpleITK reader has ``[z, y, x]``.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.data.files.image_geometry import Array, Geometry, size, unlike
from sweep.vocabulary.errors import InputError, Mistake

_MOST_DEFLATED = 1100  # one byte of a gzip file can stand for at most 1032 bytes
_MILLIMETRES = {1: 1000.0, 3: 0.001}  # NIfTI's codes of metres and of micrometres
_DEEP_COLOURS = {2: "RGB", 4: "grey and alpha", 6: "RGBA"}  # PNG's colour types with several bands


def read_header(path: Path) -> tuple[Geometry, list[Mistake]]:
    """The geometry of a file's pixels, and doubts about its header.

    Raises:
        InputError: it cannot be opened, or its content cannot be used for training.
    """
    if path.suffix != ".png":
        return _nifti_header(path)
    from PIL import Image

    with decoding(path), Image.open(path) as opened:
        shape, frames = (opened.height, opened.width), getattr(opened, "n_frames", 1)
    _require_one_picture(path, frames)
    return Geometry(shape), []


def _nifti_header(path: Path) -> tuple[Geometry, list[Mistake]]:
    import nibabel

    with decoding(path):
        opened = nibabel.load(path)
        header, shape, dtype = opened.header, tuple(opened.shape), opened.get_data_dtype()
        # Refuse a damaged header before memory is allocated for its pixels.
        announced = prod(shape) * dtype.itemsize
        if announced > path.stat().st_size * (_MOST_DEFLATED if path.suffix == ".gz" else 1):
            raise ValueError(
                f"its header announces {announced} bytes of pixels, more than it holds"
            )
        unit = _MILLIMETRES.get(int(header["xyzt_units"]) & 7, 1.0)
        zooms = tuple(unit * float(x) for x in header.get_zooms())
        knows = bool(header["sform_code"] or header["qform_code"])
        affine = _in_millimetres(opened.affine, unit) if knows else None
        sform, qform = (
            _in_millimetres(form(coded=True)[0], unit)
            for form in (header.get_sform, header.get_qform)
        )
        written = _written_spacing(path, type(header))
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    _require_numbers(path, dtype)
    _require_axes(path, shape)
    zooms = zooms[: len(shape)]
    spacing = tuple(x if np.isfinite(x) and x > 0 else 1.0 for x in zooms)
    doubts = list(_spacing_doubts(path, written[: len(shape)], spacing, sform))
    if sform is not None and qform is not None:
        by_sform, by_qform = (Geometry(shape, affine=form).codes for form in (sform, qform))
        if by_sform != by_qform:
            message = (
                f"contradicts itself: its `qform` leads to {by_qform or 'nowhere'}, its `sform`"
                f" to {by_sform or 'nowhere'}; the `sform` is used"
            )
            doubts.append(Mistake(message, file=str(path), kind="qform and sform"))
    if affine is not None and not np.isfinite(affine).all():
        affine = None
        message = "has nonfinite numbers in its orientation: it is ignored"
        doubts.append(Mistake(message, file=str(path), kind="no orientation"))
    return Geometry(shape, spacing, affine), doubts


def read_pixels(path: Path, *, palette: bool = True) -> Array:
    """All numbers of a file, in its own units (``scl_slope``): ``[…spatial]``, a PNG's bands last.

    Args:
        palette: look up the colours of a PNG with a palette, as nnU-Net's reader does. False for
            labels, where the stored numbers are classes.

    Raises:
        InputError: it cannot be read.
    """
    if path.suffix != ".png":
        import nibabel

        with decoding(path):
            return np.asanyarray(nibabel.load(path).dataobj)
    from PIL import Image

    with decoding(path), Image.open(path) as opened:
        if opened.mode != "P" or not palette:
            return np.asarray(opened)
        colours = opened.convert("RGBA" if "transparency" in opened.info else "RGB")
        bands = np.asarray(colours)
        grey = opened.info.get("transparency") is None and (bands == bands[..., :1]).all()
        return np.asarray(colours.getchannel(0)) if grey else bands


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Turn a decoder's errors on a damaged file into an InputError, and silence its prints."""
    log = logging.getLogger("nibabel.global")  # prints without file names
    before = log.disabled
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            log.disabled = True
            yield
    except Exception as error:
        message = f"cannot be read as an image: {type(error).__name__}: {error}"
        raise InputError([Mistake(message, file=str(path), kind="unreadable")]) from error
    finally:
        log.disabled = before


def _in_millimetres(affine: Array | None, unit: float) -> NDArray[np.float64] | None:
    """``affine`` scaled to millimetres as in ITK, from units of ``unit`` millimetres."""
    return None if affine is None else np.diag([unit] * 3 + [1.0]) @ affine


def _written_spacing(path: Path, kind: type[Any]) -> tuple[float, ...]:
    """``pixdim`` as written in the file. nibabel returns a repaired one."""
    from nibabel.openers import ImageOpener

    with ImageOpener(path) as opened:
        header = kind.from_fileobj(opened, check=False)
    return tuple(map(float, header["pixdim"][1:8]))


def _require_one_picture(path: Path, frames: int) -> None:
    """Refuse PNG content that a reader of a single picture does not see."""
    if frames > 1:
        message = (
            f"holds {frames} pictures (an animation, pages): only the first would be read; write"
            " one file per case"
        )
        raise InputError([Mistake(message, file=str(path), kind="frames")])
    with path.open("rb") as opened:
        head = opened.read(26)  # signature, then IHDR, which is always the first chunk
    if head[12:16] == b"IHDR" and head[24] == 16 and head[25] in _DEEP_COLOURS:
        message = (
            f"holds {_DEEP_COLOURS[head[25]]} of 16 bits, but decoders of PNG keep only 8: write"
            " each colour as a grey image of its own, CASE_0000 and so on, which keeps all 16"
        )
        raise InputError([Mistake(message, file=str(path), kind="16-bit colours")])


def _require_axes(path: Path, shape: tuple[int, ...]) -> None:
    if len(shape) in (2, 3) and all(side > 0 for side in shape):  # a damaged header has any number
        return
    message = (
        f"has {len(shape)} axes ({size(shape)}); only 2D images and 3D volumes with at least one"
        " pixel are read"
    )
    if len(shape) > 3:
        message += (
            "; if the last axis holds channels, write one file per channel (CASE_0000, CASE_0001)"
        )
    raise InputError([Mistake(message, file=str(path), kind="axes")])


def _require_numbers(path: Path, dtype: np.dtype[Any]) -> None:
    if dtype.names:
        message = (
            f"holds colours ({', '.join(dtype.names)}), which neither this trainer nor nnU-Net"
            " reads from NIfTI; write each colour as a grey image of its own, CASE_0000"
            " and so on"
        )
    elif dtype.kind == "c":
        message = "holds complex numbers; write magnitude and phase as two channels"
    else:
        return
    raise InputError([Mistake(message, file=str(path), kind="numbers")])


def _spacing_doubts(
    path: Path, written: tuple[float, ...], zooms: tuple[float, ...], sform: Array | None
) -> Iterator[Mistake]:
    if not all(np.isfinite(x) and x > 0 for x in written):
        yield Mistake(
            f"has the spacing {size(written, 'g')} in its `pixdim`, where every number must be"
            f" positive; {size(zooms, 'g')} mm is used, as in nnU-Net",
            file=str(path),
            kind="no spacing",
        )
    elif sform is not None:
        lengths = np.linalg.norm(sform[:3, : len(zooms)], axis=0)
        if not np.allclose(lengths, zooms, rtol=1e-3):
            one, other = unlike(zooms, lengths, "×")
            yield Mistake(
                f"contradicts itself: `pixdim` says a spacing of {one} mm, its `sform` {other};"
                " `pixdim` is used, as in nnU-Net",
                file=str(path),
                kind="pixdim and sform",
            )
