"""TIFF, by tifffile: a picture ``[rows, columns]``, or a volume of several pages.

nnU-Net reads a volume ``[pages, rows, columns]``. Here it is ``[columns, rows, pages]``, the order
``[x, y, z]`` of all other volumes, and its axes lead where ITK's do in an image without a
direction. Its spacing lies in a file beside it, as in nnU-Net: ``CASE.json`` with ``{"spacing":
[pages, rows, columns]}``.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.data.files.decoding import (
    AS_ITK,
    PALETTE,
    decoding,
    orientation_doubts,
    require_axes,
    require_real,
    shown_turned_doubts,
    unusable,
)
from sweep.data.files.image_geometry import Array, Geometry, from_lps
from sweep.data.files.json_file import read_object
from sweep.machine.installed_packages import how_to_install
from sweep.vocabulary.errors import InputError, Mistake

_BANDS = ("YXS", "SYX")  # bands of a picture, pixel by pixel or one after the other
_AS_STORED = ("MINISBLACK", "RGB", "YCBCR")
"""What shows the numbers as they are read. YCbCr, as JPEG has it, is read as RGB."""
_MILLIMETRES: Mapping[str, float] = {
    "nm": 1e-6, "um": 1e-3, "\u00b5m": 1e-3, "\u03bcm": 1e-3, "micron": 1e-3, "microns": 1e-3,
    "\\u00B5m": 1e-3, "mm": 1.0, "cm": 10.0, "m": 1000.0,
}  # fmt: skip
"""The units that ImageJ and OME write, with both of Unicode's letters for micro."""


def read_header(path: Path) -> tuple[Geometry, list[Mistake]]:
    """As `sweep.data.files.image_file.read_header`."""
    with _opened(path) as series:
        axes, shape, dtype = series.axes, tuple(series.shape), series.dtype
        doubts = [*_shown_otherwise(path, series.keyframe)]
    require_real(path, is_complex=dtype.kind == "c")
    if axes in _BANDS:
        sides = tuple(n for n, axis in zip(shape, axes, strict=True) if axis != "S")
        return Geometry(sides), doubts
    if "C" in axes:
        message = (
            f"holds {shape[axes.index('C')]} channels: write one file per channel, CASE_0000,"
            " CASE_0001 and so on"
        )
        raise unusable(path, message, "axes")
    require_axes(path, shape)
    if len(shape) == 2:
        return Geometry(shape), doubts
    spacing = _spacing(path)
    steps = spacing or (1.0, 1.0, 1.0)
    affine = from_lps(np.eye(3), steps, (0.0, 0.0, 0.0))
    doubts += orientation_doubts(path, shape, AS_ITK)
    if axes[0] == "T":
        message = "says that its pages are times: they are taken for the slices of a volume"
        doubts.append(Mistake(message, file=str(path), kind="times"))
    return Geometry(shape[::-1], spacing, affine), doubts


def read_pixels(path: Path, *, palette: bool = True) -> Array:
    """Bands last. Of a picture with a palette the stored numbers, as in nnU-Net."""
    with _opened(path) as series:
        try:
            axes, pixels = series.axes, np.asarray(series.asarray())
        except ValueError as error:
            name = f"{path.suffix} with this compression"
            absent = how_to_install(name, "imagecodecs", extra="formats")
            if absent is None or "imagecodecs" not in str(error):
                raise
            raise unusable(path, absent, "imagecodecs") from error
    if axes in _BANDS:
        return np.moveaxis(pixels, axes.index("S"), -1)
    return pixels.T if pixels.ndim == 3 else pixels


def spacing_file(path: Path) -> Path | None:
    """The file with the spacing of a volume: ``CASE.json`` beside ``CASE_0000.tif``."""
    names = (path.stem, re.sub(r"_\d{4}$", "", path.stem))
    return next((f for name in names if (f := path.with_name(f"{name}.json")).is_file()), None)


def spacing_inside(path: Path) -> tuple[float, ...] | None:
    """Millimetres of [pages, rows, columns], as ImageJ or OME wrote them into the file.

    Nobody reads them from there, nnU-Net neither. None: they did not, or in another unit.
    """
    import tifffile

    with decoding(path), tifffile.TiffFile(path) as opened:
        ome, imagej = opened.ome_metadata or "", opened.imagej_metadata or {}
        across, down = opened.pages.first.get_resolution()  # pixels in a unit
    said = dict(re.findall(r'PhysicalSize([XYZ](?:Unit)?)="([^"]*)"', ome))
    units = {said.get(f"{axis}Unit", "\u00b5m") for axis in "ZYX"}
    steps = [said.get(axis) for axis in "ZYX"]
    if imagej and across and down:
        units, steps = {str(imagej.get("unit"))}, [imagej.get("spacing"), 1 / down, 1 / across]
    unit = _MILLIMETRES.get(units.pop()) if len(units) == 1 else None
    if unit is None or None in steps:
        return None
    try:
        found = tuple(float(f"{float(step) * unit:.6g}") for step in steps if step is not None)
    except ValueError:
        return None
    return found if all(0 < step < np.inf for step in found) else None


def mask(classes: NDArray[np.uint8], like: Path) -> bytes:
    """A picture, or a volume with a page for each of the image's."""
    import tifffile

    content, pixels = io.BytesIO(), classes if classes.ndim == 2 else classes.T
    tifffile.imwrite(content, pixels, compression="zlib", photometric="minisblack")
    return content.getvalue()


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The only image of a file, of which nothing is missing."""
    import tifffile

    said = _Said()
    log = logging.getLogger("tifffile")
    with decoding(path):
        log.disabled = False  # it says so, and reads what is there
        log.addHandler(said)
        before, log.propagate = log.propagate, False
        try:
            with tifffile.TiffFile(path) as opened:
                # Pages that lead back to an earlier one are found by counting them all, and else
                # never come to an end.
                found = list(opened.series) if len(opened.pages) and not said.missing else []
                if said.missing or not found:
                    raise ValueError(said.missing or "it holds no image")
                if len(found) > 1:
                    raise unusable(
                        path,
                        f"holds {len(found)} images of different sizes or kinds: only the first"
                        " would be read; write one file per case",
                        "frames",
                    )
                yield found[0]
        finally:
            log.removeHandler(said)
            log.propagate = before


class _Said(logging.Handler):
    """Listens for what tifffile says where pages are missing, as in a file that was cut off."""

    missing = ""

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if any(word in message for word in ("offset", "failed", "circular")):
            self.missing = re.sub(r"<.*?>", "", message).strip()


def _shown_otherwise(path: Path, page: Any) -> Iterator[Mistake]:
    """What a viewer shows of a page that its numbers are not."""
    kind, turned = getattr(page.photometric, "name", page.photometric), page.tags.get("Orientation")
    if "PhotometricInterpretation" in page.tags and kind not in _AS_STORED:
        yield Mistake(
            f"is stored as {kind} (`PhotometricInterpretation`): its numbers are read as they are,"
            " as in nnU-Net, and not the grey values or colours that viewers show",
            file=str(path),
            kind=PALETTE if kind == "PALETTE" else "photometric",
        )
    yield from shown_turned_doubts(path, turned and turned.value)


def _spacing(path: Path) -> tuple[float, ...] | None:
    """Millimetres along ``[x, y, z]``, from the file beside it; None: there is none.

    Raises:
        InputError: it holds something else.
    """
    if (file := spacing_file(path)) is None:
        return None
    found = read_object(file).get("spacing")
    if isinstance(found, list) and len(found) == 3:
        steps = [float(step) for step in found if type(step) in (int, float)]
        if len(steps) == 3 and all(0 < step < np.inf for step in steps):
            return tuple(reversed(steps))
    message = "`spacing` must be three positive numbers, the millimetres of [pages, rows, columns]"
    raise InputError.single(f"{message}, not {found!r}", file=str(file))
