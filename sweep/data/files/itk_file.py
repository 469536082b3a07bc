"""NRRD, MHA and GIPL, by SimpleITK. Pixels are ``[x, y, z]``, as those of the same NIfTI."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.data.files.decoding import (
    AS_ITK,
    decoding,
    inflated,
    orientation_doubts,
    require_axes,
    require_bytes,
    require_real,
    spacing_doubts,
    unusable,
)
from sweep.data.files.image_geometry import Array, Geometry, from_lps, size, spatial
from sweep.store.files import writing
from sweep.vocabulary.errors import Mistake

_GIPL_HEADER = 256
_FORMATS = {".nrrd": "NrrdImageIO", ".mha": "MetaImageIO", ".gipl": "GiplImageIO"}
_FIELDS = {
    ".nrrd": ("spacings", "space directions"),
    ".mha": ("ElementSpacing", "TransformMatrix"),
    ".gipl": ("pixdim", "matrix"),
}
"""What a format calls the spacing and the direction."""
_NEEDED = ("NDims", "DimSize", "ElementType", "ElementDataFile")
"""Without these, MetaIO prints its own complaints on the terminal."""


def read_header(path: Path) -> tuple[Geometry, list[Mistake]]:
    """As `sweep.data.files.image_file.read_header`."""
    kind = path.suffix.lower()
    with _decoding(path):
        text, start = _text_fields(path)
        if kind == ".mha":
            _require_fields(text, path.stat().st_size - start)
        image = _information(path)
        shape, spacing, origin = image.GetSize(), image.GetSpacing(), image.GetOrigin()
        direction = np.array(image.GetDirection()).reshape(len(shape), len(shape))
        numbers, single = image.GetNumberOfComponents(), _single(image)
        announced = prod(shape) * single.GetSizeOfPixelComponent()
        # ITK reads a GIPL that was cut off, with any numbers for the rest.
        is_raw = _stored(text) == "raw" and not _elsewhere(text)
        require_bytes(path, announced + (start if is_raw else 0), deflated=not is_raw)
    if other := _elsewhere(text):
        message = (
            f"keeps its pixels in another file ({other}): write header and pixels into one file"
        )
        raise unusable(path, message, "detached")
    require_real(
        path,
        colours=f"{numbers} numbers for each voxel (colours, vectors)" if numbers > 1 else "",
        is_complex="complex" in single.GetPixelIDTypeAsString(),
    )
    shape = spatial(shape)
    require_axes(path, shape)
    axes, fields = len(shape), _FIELDS[kind]
    written, direction = spacing[:axes], direction[:axes, :axes]
    if not all(np.isfinite(x) and x != 0 for x in written):
        message = f"has the spacing {size(written, 'g')}; every number must be positive"
        raise unusable(path, message, "no spacing")
    used = tuple(map(abs, written))
    lengths = np.linalg.norm(direction, axis=0) * used
    doubts = [*spacing_doubts(path, written, used, lengths, fields), *_unit_doubts(path, text)]
    if not _says_spacing(kind, text, axes):
        message = (
            f"does not say the spacing of every axis: {size(used, 'g')} mm is taken, as in nnU-Net"
        )
        doubts.append(Mistake(message, file=str(path), kind="spacing not said"))
    if not _says_orientation(kind, text):
        doubts += orientation_doubts(path, shape, AS_ITK)
    return Geometry(shape, used, from_lps(direction, written, origin[:axes])), doubts


def read_pixels(path: Path, *, palette: bool = True) -> Array:
    """All numbers of the file."""
    import SimpleITK as sitk  # noqa: N813 (its usual name)

    with _decoding(path):
        text, start = _text_fields(path)
        if _stored(text) in ("gzip", "gz", "zlib"):  # ITK passes over a wrong check sum
            inflated(path.read_bytes()[start:])
        pixels: Array = sitk.GetArrayFromImage(_reader(path).Execute())
    return pixels.T


def mask(classes: NDArray[np.uint8], like: Path) -> bytes:
    """Spacing, origin and direction of the image are taken over."""
    import SimpleITK as sitk  # noqa: N813 (its usual name)

    with _decoding(like):
        image = _information(like)
    made = sitk.GetImageFromArray(classes.reshape(image.GetSize()).T, isVector=False)
    made.SetSpacing(image.GetSpacing())
    made.SetOrigin(image.GetOrigin())
    made.SetDirection(image.GetDirection())
    with writing(Path("a temporary file")), TemporaryDirectory() as folder:
        file = Path(folder) / f"mask{like.suffix.lower()}"
        try:
            sitk.WriteImage(made, str(file), useCompression=True)
        except RuntimeError as error:  # the disk is full
            raise OSError(_reason(error)) from error
        return file.read_bytes()


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """As `decoding`, with the one line of ITK's errors that says what is wrong."""
    with decoding(path):
        try:
            yield
        except RuntimeError as error:
            raise ValueError(_reason(error)) from error


def _reason(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # MetaIO's reason is the last error of the operating system, whatever that was.
    told = [line for line in lines if not line.startswith("Reason:")]
    return re.sub(r"\(0x[0-9a-f]+\)", "", told[-1])


def _reader(path: Path) -> Any:
    """A reader that knows the format. ITK guesses it by the ending, if that has small letters."""
    import SimpleITK as sitk  # noqa: N813 (its usual name)

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO(_FORMATS[path.suffix.lower()])
    return reader


def _information(path: Path) -> Any:
    """A reader that has read the header."""
    reader = _reader(path)
    reader.ReadImageInformation()
    return reader


def _single(reader: Any) -> Any:
    """A voxel of the type that a reader has found."""
    import SimpleITK as sitk  # noqa: N813 (its usual name)

    return sitk.Image([1, 1], reader.GetPixelID())


def _text_fields(path: Path) -> tuple[dict[str, str], int]:
    """The fields of the text at the top of a NRRD or MHA, by their names in small letters.

    Also the number of bytes before the pixels. A GIPL has no text.
    """
    is_nrrd, found = path.suffix.lower() == ".nrrd", dict[str, str]()
    if path.suffix.lower() == ".gipl":
        return found, _GIPL_HEADER
    with path.open("rb") as opened:
        for line in opened:
            name, _, value = line.decode("latin-1").partition(":" if is_nrrd else "=")
            found[name.strip().lower()] = value.strip()
            if not line.strip() or name.strip() == "ElementDataFile":  # the last one
                break
        return found, opened.tell()


def _require_fields(text: Mapping[str, str], follow: int) -> None:
    """Refuse an MHA that MetaIO would complain of, or read other pixels from.

    Without the size of compressed pixels, it takes the whole file for them, finds that they are
    none, and returns any numbers.

    Args:
        follow: bytes after the header.

    Raises:
        ValueError: a field is missing, or announces more than the file holds.
    """
    is_zlib = _stored(text) == "zlib" and not _elsewhere(text)
    needed = (*_NEEDED, *(["CompressedDataSize"] if is_zlib else []))
    if absent := [name for name in needed if not text.get(name.lower())]:
        raise ValueError(f"its header has no {' and no '.join(absent)}")
    if is_zlib and int(text["compresseddatasize"]) > follow:
        announced = text["compresseddatasize"]
        raise ValueError(f"its header announces {announced} bytes of pixels, but {follow} follow")


def _stored(text: Mapping[str, str]) -> str:
    """How the pixels are stored: ``raw``, ``gzip``, ``zlib``, ``text`` and so on."""
    is_zlib = text.get("compresseddata", "").lower() == "true"
    return "zlib" if is_zlib else text.get("encoding", "raw").lower()


def _elsewhere(text: Mapping[str, str]) -> str:
    """Another file with the pixels, of which nobody would see that it changed; empty if none."""
    file = text.get("elementdatafile", "LOCAL")
    return text.get("data file", text.get("datafile", "" if file.upper() == "LOCAL" else file))


def _says_spacing(kind: str, text: Mapping[str, str], axes: int) -> bool:
    """Whether there is a spacing along each axis; ITK takes 1 where there is none."""
    if kind != ".nrrd":  # MetaIO falls back on the size of a voxel; a GIPL always has one
        return kind == ".gipl" or not {"elementspacing", "elementsize"}.isdisjoint(text)
    steps = text.get("space directions") or text.get("spacings", "")
    said = re.findall(r"\(.*?\)|\S+", steps.lower())[:axes]
    return len(said) == axes and {"none", "nan"}.isdisjoint(said)


def _says_orientation(kind: str, text: Mapping[str, str]) -> bool:
    if kind == ".nrrd":
        return {"space", "space directions"} <= text.keys()
    # Three names of one field of a MHA. A GIPL has no fields.
    return not {"transformmatrix", "orientation", "rotation"}.isdisjoint(text)


def _unit_doubts(path: Path, text: Mapping[str, str]) -> Iterator[Mistake]:
    named = " ".join(text.get(name, "") for name in ("space units", "units", "distanceunits"))
    other = sorted(set(re.findall(r"[^\s\"]+", named)) - {"mm"})
    if other:
        yield Mistake(
            f"measures in {', '.join(other)}, but ITK, and so nnU-Net, takes its spacing for"
            " millimetres; so do we: write it in mm",
            file=str(path),
            kind="unit",
        )
