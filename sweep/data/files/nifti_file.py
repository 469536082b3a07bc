"""NIfTI, by nibabel. Pixels have the order of the file, ``[x, y, z]`` for most."""

from __future__ import annotations

import gzip
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.data.files.decoding import (
    decoding,
    inflated,
    orientation_doubts,
    require_axes,
    require_bytes,
    require_real,
    spacing_doubts,
)
from sweep.data.files.image_geometry import Array, Geometry, spatial
from sweep.vocabulary.errors import Mistake

MOST_TILT = 1.0
"""Degrees by which axes may miss a right angle. Rounding tilts an oblique volume by less."""

_MILLIMETRES = {1: 1000.0, 3: 0.001}  # NIfTI's codes of metres and of micrometres


def read_header(path: Path) -> tuple[Geometry, list[Mistake]]:
    """As `sweep.data.files.image_file.read_header`."""
    import nibabel

    with decoding(path):
        opened = nibabel.load(path)
        header, shape, dtype = opened.header, tuple(opened.shape), opened.get_data_dtype()
        require_bytes(path, prod(shape) * dtype.itemsize, deflated=path.suffix.lower() == ".gz")
        unit = _MILLIMETRES.get(int(header["xyzt_units"]) & 7, 1.0)
        zooms = tuple(unit * float(x) for x in header.get_zooms())
        knows = bool(header["sform_code"] or header["qform_code"])
        affine = _in_millimetres(opened.affine, unit) if knows else None
        sform, qform = (
            _in_millimetres(form(coded=True)[0], unit)
            for form in (header.get_sform, header.get_qform)
        )
        written = _written_spacing(path, type(header))
    shape = spatial(shape)
    colours = f"colours ({', '.join(dtype.names)})" if dtype.names else ""
    require_real(path, colours=colours, is_complex=dtype.kind == "c")
    require_axes(path, shape)
    zooms = zooms[: len(shape)]
    spacing = tuple(x if np.isfinite(x) and x > 0 else 1.0 for x in zooms)
    lengths = None if sform is None else np.linalg.norm(sform[:3, : len(spacing)], axis=0)
    written = written[: len(shape)]
    doubts = list(spacing_doubts(path, written, spacing, lengths, ("pixdim", "sform")))
    if sform is not None and qform is not None:
        by_sform, by_qform = (Geometry(shape, affine=form).codes for form in (sform, qform))
        if by_sform != by_qform:
            message = (
                f"contradicts itself: its `qform` leads to {by_qform or 'nowhere'}, its `sform`"
                f" to {by_sform or 'nowhere'}; the `sform` is used"
            )
            doubts.append(Mistake(message, file=str(path), kind="qform and sform"))
    kept = [axis for axis, pixels in enumerate(shape) if pixels > 1]
    if affine is not None and not np.isfinite(affine).all():
        affine = None
        message = "has nonfinite numbers in its orientation: it is ignored"
        doubts.append(Mistake(message, file=str(path), kind="no orientation"))
    elif affine is not None and (tilt := _tilt(affine[:3, kept])) > MOST_TILT:
        message = (
            f"has axes that miss a right angle by {tilt:.0f}°, as of a tilted gantry: distances in"
            " mm are measured as if they did not, and are not exact"
        )
        doubts.append(Mistake(message, file=str(path), kind="tilted axes"))
    if not knows:
        doubts += orientation_doubts(path, shape, "the right, to the front and up")
    return Geometry(shape, spacing, affine), doubts


def read_pixels(path: Path, *, palette: bool = True) -> Array:
    """In the file's own units (``scl_slope``)."""
    import nibabel

    with decoding(path):
        image: Any = nibabel.load(path)
        if path.suffix.lower() == ".gz":  # nibabel reads as far as the pixels, not to the check sum
            image = type(image).from_bytes(inflated(path.read_bytes()))
        return np.asanyarray(image.dataobj)


def mask(classes: NDArray[np.uint8], like: Path) -> bytes:
    """Affine, `qform`, `sform`, spacing and units of the image are taken over."""
    import nibabel

    with decoding(like):
        image: Any = nibabel.load(like)
    header = image.header.copy()
    header.set_data_dtype(np.uint8)
    header["cal_min"] = header["cal_max"] = 0  # the image's range of grey levels
    # Without an affine, `qform` and `sform` stay as they are, also those that no affine has.
    made = type(image)(classes.reshape(image.shape), None, header)
    content: bytes = made.to_bytes()
    # Without the time, so that the same mask gives the same bytes.
    return gzip.compress(content, mtime=0) if like.suffix.lower() == ".gz" else content


def _in_millimetres(affine: Array | None, unit: float) -> NDArray[np.float64] | None:
    """``affine`` scaled to millimetres as in ITK, from units of ``unit`` millimetres."""
    return None if affine is None else np.diag([unit] * 3 + [1.0]) @ affine


def _tilt(axes: NDArray[np.float64]) -> float:
    """The most by which two of the axes, ``[3, axes]``, miss a right angle, in degrees."""
    lengths = np.linalg.norm(axes, axis=0)
    cosines = axes.T @ axes / np.maximum(np.outer(lengths, lengths), 1e-30)
    return float(np.degrees(np.arcsin(np.abs(np.triu(cosines, 1)).clip(0, 1).max(initial=0))))


def _written_spacing(path: Path, kind: type[Any]) -> tuple[float, ...]:
    """``pixdim`` as written in the file. nibabel returns a repaired one."""
    from nibabel.openers import ImageOpener

    with ImageOpener(path) as opened:
        header = kind.from_fileobj(opened, check=False)
    return tuple(map(float, header["pixdim"][1:8]))
