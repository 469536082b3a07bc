"""What the readers of all formats share: errors in our words, and limits on what is read."""

from __future__ import annotations

import logging
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from sweep.data.files.image_geometry import Array, size, squeezed, unlike
from sweep.vocabulary.errors import InputError, Mistake

_MOST_DEFLATED = 1100  # one byte of a gzip file can stand for at most 1032 bytes
AS_ITK = "the left, to the back and up"
"""Where ITK takes the axes x, y and z to lead in a file without an orientation."""
PALETTE = "palette"
"""Kind of a doubt that a label has not: its classes are the numbers that are stored."""
_PRINTING = ("nibabel.global", "tifffile")  # loggers that print without a file's name

_NO_IMAGE = {
    b"version https://git-lfs": "a pointer of Git LFS; `git lfs pull` fetches the image itself",
    b"/annex/objects/": "a pointer of git-annex; `git annex get` fetches the image itself",
    b"<!doctype html": "a web page, which a download gave in the place of the image",
    b"<html": "a web page, which a download gave in the place of the image",
}
"""What stands in the place of an image that was never fetched, by its first bytes."""


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Turn a decoder's errors on a damaged file into an InputError, and silence its prints."""
    logs = {log: log.disabled for log in map(logging.getLogger, _PRINTING)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for log in logs:
                log.disabled = True
            _require_image(path)
            yield
    except InputError:
        raise
    except Exception as error:
        message = f"cannot be read as an image: {type(error).__name__}: {error}"
        raise unusable(path, message, "unreadable") from error
    finally:
        for log, before in logs.items():
            log.disabled = before


def _require_image(path: Path) -> None:
    """Refuse what stands in the place of an image."""
    with path.open("rb") as file:
        first = file.read(max(map(len, _NO_IMAGE))).lower()
    found = [words for start, words in _NO_IMAGE.items() if first.startswith(start)]
    if found or not first:
        message = f"cannot be read as an image: it is {found[0] if found else 'empty'}"
        raise unusable(path, message, "unreadable")


def unusable(path: Path, message: str, kind: str) -> InputError:
    """The error of one file."""
    return InputError([Mistake(message, file=str(path), kind=kind)])


def require_bytes(path: Path, announced: int, *, deflated: bool) -> None:
    """Refuse a damaged header before memory is allocated for its pixels.

    Args:
        announced: bytes of all pixels.
        deflated: whether they may be compressed.

    Raises:
        ValueError: the file cannot hold so many.
    """
    if announced > path.stat().st_size * (_MOST_DEFLATED if deflated else 1):
        raise ValueError(f"its header announces {announced} bytes of pixels, more than it holds")


def inflated(content: bytes) -> bytes:
    """What a stream of gzip or zlib holds, after its check sums were compared.

    Bytes behind the stream are passed over, as by ITK.

    Raises:
        ValueError: it was cut off.
        zlib.error: it is damaged.
    """
    parts, rest = list[bytes](), content
    while not parts or rest.startswith(b"\x1f\x8b"):  # gzip may have several members
        stream = zlib.decompressobj(zlib.MAX_WBITS | 32)  # of either
        parts.append(stream.decompress(rest))
        if not stream.eof:
            raise ValueError("its compressed part was cut off")
        rest = stream.unused_data
    return b"".join(parts)


def require_axes(path: Path, shape: Sequence[int]) -> None:
    """Refuse anything but an image or a volume.

    Raises:
        InputError: there are other axes, or one of no length.
    """
    if len(shape) in (2, 3) and all(side > 0 for side in shape):  # a damaged header has any number
        return
    message = (
        f"has {len(shape)} axes ({size(shape)}); only 2D images and 3D volumes with at least one"
        " pixel are read"
    )
    if len(shape) > 3:
        message += (
            "; if the last axis holds channels, write one file per channel (CASE_0000, CASE_0001);"
            " if it holds times, one case per time"
        )
    raise unusable(path, message, "axes")


def require_real(path: Path, *, colours: str = "", is_complex: bool = False) -> None:
    """Refuse a volume with several numbers a voxel.

    Args:
        colours: what these are; empty for a single number.

    Raises:
        InputError: there are.
    """
    if colours:
        message = (
            f"holds {colours}, which neither this trainer nor nnU-Net reads from such a file;"
            " write each as a grey image of its own, CASE_0000 and so on"
        )
    elif is_complex:
        message = "holds complex numbers; write magnitude and phase as two channels"
    else:
        return
    raise unusable(path, message, "numbers")


def spacing_doubts(
    path: Path,
    written: Sequence[float],
    used: Sequence[float],
    lengths: Array | None,
    fields: tuple[str, str],
) -> Iterator[Mistake]:
    """What a header's spacing is doubtful for.

    Args:
        written: as in the file.
        used: after repair, in millimetres.
        lengths: of the steps along the axes in the world; None if the header does not say.
        fields: names of the fields of both.
    """
    spacing_field, world_field = (f"`{name}`" for name in fields)
    if not all(np.isfinite(x) and x > 0 for x in written):
        yield Mistake(
            f"has the spacing {size(written, 'g')} in its {spacing_field}, where every number must"
            f" be positive; {size(used, 'g')} mm is used, as in nnU-Net",
            file=str(path),
            kind="no spacing",
        )
    elif lengths is not None and not np.allclose(lengths, used, rtol=1e-3):
        one, other = unlike(used, lengths, "×")
        yield Mistake(
            f"contradicts itself: {spacing_field} says a spacing of {one} mm, its {world_field}"
            f" {other}; {spacing_field} is used, as in nnU-Net",
            file=str(path),
            kind="spacing and world",
        )


def orientation_doubts(path: Path, shape: Sequence[int], taken: str) -> Iterator[Mistake]:
    """What is taken for the orientation of a volume whose file says none; nothing of an image.

    Args:
        taken: where its axes are taken to lead.
    """
    if len(squeezed(shape)) > 2:
        yield Mistake(
            f"says no orientation: its axes are taken to lead to {taken}; which slices are axial,"
            " and which side of a picture is the left, depends on that",
            file=str(path),
            kind="no orientation said",
        )


def shown_turned_doubts(path: Path, orientation: object) -> Iterator[Mistake]:
    """A picture that viewers turn or mirror.

    Args:
        orientation: the tag of TIFF and EXIF: 1 is as stored, 2 to 8 are turned or mirrored, and
            any other value means nothing.
    """
    if orientation in range(2, 9):
        yield Mistake(
            f"says that viewers shall turn or mirror it (orientation {orientation}): its pixels are"
            " read as they are stored, as in nnU-Net; a label that was drawn in a viewer may not"
            " lie on it",
            file=str(path),
            kind="shown turned",
        )
