"""PNG and BMP, by Pillow: ``[rows, columns]``, as nnU-Net sees them, without a spacing."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep.data.files.decoding import decoding, shown_turned_doubts, unusable
from sweep.data.files.image_geometry import Array, Geometry
from sweep.vocabulary.errors import Mistake

_DEEP_COLOURS = {2: "RGB", 4: "grey and alpha", 6: "RGBA"}  # PNG's colour types with several bands
_GREY_STEPS = {(2, 0): 85, (4, 0): 17}
"""How far decoders move grey of few bits apart, by bits and colour type: white becomes 255."""
_ORIENTATION = 274  # the tag of EXIF


def read_header(path: Path) -> tuple[Geometry, list[Mistake]]:
    """As `sweep.data.files.image_file.read_header`."""
    from PIL import Image

    with decoding(path), Image.open(path) as opened:
        shape, frames = (opened.height, opened.width), getattr(opened, "n_frames", 1)
        exif: Mapping[int, object] = {}
        if "exif" in opened.info:  # behind the pixels it would only be found by reading them
            with suppress(Exception):  # damaged; the pixels may be read all the same
                exif = opened.getexif()
    if frames > 1:
        message = (
            f"holds {frames} pictures (an animation, pages): only the first would be read; write"
            " one file per case"
        )
        raise unusable(path, message, "frames")
    bits, colours = _depth(path)
    if bits == 16 and colours in _DEEP_COLOURS:
        message = (
            f"holds {_DEEP_COLOURS[colours]} of 16 bits, but decoders of PNG keep only 8: write"
            " each colour as a grey image of its own, CASE_0000 and so on, which keeps all 16"
        )
        raise unusable(path, message, "16-bit colours")
    return Geometry(shape), [*shown_turned_doubts(path, exif.get(_ORIENTATION))]


def read_pixels(path: Path, *, palette: bool = True) -> Array:
    """As a decoder and nnU-Net's reader show them; of labels the numbers that are stored."""
    from PIL import Image

    with decoding(path), Image.open(path) as opened:
        if not palette and (step := _GREY_STEPS.get(_depth(path))):
            return np.asarray(opened) // step
        if opened.mode != "P" or not palette:
            return np.asarray(opened)
        colours = opened.convert("RGBA" if "transparency" in opened.info else "RGB")
        bands = np.asarray(colours)
        grey = opened.info.get("transparency") is None and (bands == bands[..., :1]).all()
        return np.asarray(colours.getchannel(0)) if grey else bands


def _depth(path: Path) -> tuple[int, int]:
    """Bits of each number and colour type of a PNG; zeros for another file."""
    with path.open("rb") as file:
        head = file.read(26)  # signature, then IHDR, which is always the first chunk of a PNG
    return (head[24], head[25]) if head[12:16] == b"IHDR" else (0, 0)


def mask(classes: NDArray[np.uint8], like: Path) -> bytes:
    """A grey picture of the kind of ``like``."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(classes).save(content, format=like.suffix[1:])
    return content.getvalue()
