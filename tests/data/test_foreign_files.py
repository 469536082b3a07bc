"""Files as other people write them, odd but legal, against nnU-Net's own reader and its checks.

Each kind is written once a case; nnU-Net's verdict is the oracle of ours, but for what is marked.
"""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 (its usual name)
import tifffile
from nnunetv2.experiment_planning.verify_dataset_integrity import check_cases, verify_labels
from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json
from PIL import Image

from sweep.data.prepared.prepare import check_pixels
from sweep.spec.settings.data_settings import NnunetRawData

RNG = np.random.default_rng(3)
SIDE = 24
RAS, LPS = np.diag([1.0, 1, 1, 1]), np.diag([-1.0, -1, 1, 1])
REFUSED, TOLD, TAKEN = "refused", "told", "taken"

Pixels = Any
Save = Callable[[Path], object]


def ball(*shape: int) -> Pixels:
    """A mask off the centre, so that no flip and no transposition leaves it where it is."""
    where = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    inside = [abs(x - 0.4 * n) <= 0.2 * n for x, n in zip(where, shape, strict=True)]
    return np.all(inside, axis=0).astype(np.uint8)


def nifti(
    pixels: Pixels,
    affine: Pixels = RAS,
    *,
    spacing: tuple[float, ...] | None = None,
    dtype: Any = None,
    codes: tuple[int, int] | None = None,
    qform: Pixels = None,
    endianness: str = "<",
) -> Save:
    """An image that nibabel saves; ``spacing`` overwrites ``pixdim`` alone."""

    def save(path: Path) -> None:
        header = nibabel.Nifti1Header(endianness=endianness)
        header.set_data_dtype(pixels.dtype)
        image = nibabel.Nifti1Image(pixels, affine, header)
        if dtype is not None:
            image.set_data_dtype(dtype)
        if spacing is not None:
            image.header["pixdim"][1 : 1 + len(spacing)] = spacing
        if codes is not None:
            image.set_sform(affine, codes[1])
            image.set_qform(affine if qform is None else qform, codes[0])
        nibabel.save(image, path)

    return save


def png(pixels: Pixels, mode: str | None = None, palette: list[int] | None = None) -> Save:
    def save(path: Path) -> None:
        image = Image.fromarray(pixels, mode) if mode else Image.fromarray(pixels)
        if palette is not None:
            image.putpalette(palette)
        image.save(path)

    return save


def itk(pixels: Pixels, affine: Pixels = RAS) -> Save:
    """An image that SimpleITK saves, in the format of its name."""

    def save(path: Path) -> None:
        image = sitk.GetImageFromArray(pixels.T, isVector=False)
        if pixels.ndim == 3:
            steps, to_lps = np.linalg.norm(affine[:3, :3], axis=0), np.diag([-1.0, -1, 1])
            image.SetDirection((to_lps @ affine[:3, :3] / steps).ravel().tolist())
            image.SetOrigin((to_lps @ affine[:3, 3]).tolist())
            image.SetSpacing(steps.tolist())
        sitk.WriteImage(image, str(path), useCompression=True)

    return save


def cut_off(save: Save, rest: int = 900) -> Save:
    """The same file without its end, as after a copy to a full disk."""

    def cut(path: Path) -> None:
        save(path)
        path.write_bytes(path.read_bytes()[:-rest])

    return cut


def tiff(pixels: Pixels, spacing: list[float] | None = None, **options: Any) -> Save:
    """A TIFF ``[rows, columns]`` or ``[pages, rows, columns]``, and the file beside it."""

    def save(path: Path) -> None:
        tifffile.imwrite(path, pixels, **({"photometric": "minisblack"} | options))
        if spacing is not None:
            name = path.stem.removesuffix("_0000")
            path.with_name(f"{name}.json").write_text(json.dumps({"spacing": spacing}))

    return save


def without_photometric(save: Save) -> Save:
    """The same TIFF with the field under a number that means nothing here."""

    def patched(path: Path) -> None:
        save(path)
        field, unknown = (struct.pack("<HHI", code, 3, 1) for code in (262, 263))
        path.write_bytes(path.read_bytes().replace(field, unknown, 1))

    return patched


def with_header(save: Save, offset: int, layout: str, *values: float) -> Save:
    """The same file with other numbers at a place of its header, as nibabel would not write them.

    Source: the fields of ``nifti1.h``: dim at 40, datatype at 70, pixdim at 76, xyzt_units at 123.
    """

    def patched(path: Path) -> None:
        save(path)
        content = bytearray(gzip.decompress(path.read_bytes()))
        struct.pack_into(layout, content, offset, *values)
        path.write_bytes(gzip.compress(bytes(content)))

    return patched


def in_unit(pixels: Pixels, affine: Pixels, unit: str) -> Save:
    """A volume whose header measures in metres or micrometres."""

    def save(path: Path) -> None:
        image = nibabel.Nifti1Image(pixels, affine)
        image.header.set_xyzt_units(unit)
        nibabel.save(image, path)

    return save


def animated(pixels: Pixels) -> Save:
    def save(path: Path) -> None:
        frames = [Image.fromarray(pixels), Image.fromarray(pixels[::-1])]
        frames[0].save(path, "PNG", save_all=True, append_images=frames[1:])

    return save


def pages(pixels: Pixels) -> Save:
    """A TIFF of several pages under the name of a PNG, which is opened all the same."""

    def save(path: Path) -> None:
        Image.fromarray(pixels).save(
            path, "TIFF", save_all=True, append_images=[Image.fromarray(pixels[::-1])]
        )

    return save


def with_exif(pixels: Pixels, exif: Image.Exif | bytes) -> Save:
    return lambda path: Image.fromarray(pixels).save(path, exif=exif)


SEEN_TURNED = Image.Exif()
SEEN_TURNED[274] = 6


def written_png(head: tuple[int, ...], rows: Sequence[bytes]) -> Save:
    """A PNG of a kind that Pillow does not write.

    Args:
        head: width, height, bits and colour type.
    """

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    def save(path: Path) -> None:
        packed = zlib.compress(b"".join(b"\0" + row for row in rows))
        chunks = chunk(b"IHDR", struct.pack(">IIBBBBB", *head, 0, 0, 0)) + chunk(b"IDAT", packed)
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks + chunk(b"IEND", b""))

    return save


def deep_colours(pixels: Pixels) -> Save:
    """RGB of 16 bits, ``[H, W, 3]``."""
    head = (pixels.shape[1], pixels.shape[0], 16, 2)
    return written_png(head, [row.astype(">u2").tobytes() for row in pixels])


def grey(bits: int, pixels: Pixels) -> Save:
    """Grey of 2 or 4 bits, ``[H, W]``."""
    digits = np.unpackbits(pixels[..., None], axis=-1)[..., -bits:].reshape(len(pixels), -1)
    head = (pixels.shape[1], pixels.shape[0], bits, 0)
    return written_png(head, [np.packbits(row).tobytes() for row in digits])


def followed(save: Save) -> Save:
    """The same file with bytes behind its end."""

    def longer(path: Path) -> None:
        save(path)
        path.write_bytes(path.read_bytes() + b"more")

    return longer


def scan(mask: Pixels, dtype: Any = np.float32) -> Pixels:
    return (100 * mask + RNG.integers(0, 50, mask.shape)).astype(dtype)


def turned(pixels: Pixels, affine: Pixels, codes: str) -> tuple[Pixels, Pixels]:
    """The same volume, stored in another orientation under a header that says so."""
    image = nibabel.Nifti1Image(pixels, affine)
    there = nibabel.orientations.axcodes2ornt(tuple(codes))
    here = nibabel.orientations.io_orientation(affine)
    other = image.as_reoriented(nibabel.orientations.ornt_transform(here, there))
    return np.asarray(other.dataobj), other.affine


FLAT, VOLUME = ball(SIDE, SIDE + 4), ball(SIDE, SIDE + 4, SIDE + 8)
COARSE = ball(SIDE, SIDE + 4, 20)
OBLIQUE = nibabel.affines.from_matvec(
    nibabel.eulerangles.euler2mat(0.3, 0.2, 0.1) @ np.diag([1, 1, 3]), [5, 6, 7]
)
SHEARED = np.eye(4)
SHEARED[0, 1] = 0.3
MOVED = RAS.copy()
MOVED[:3, 3] = 4, 0, 0
COLOURS = RNG.integers(0, 2**16, (3, 256), dtype=np.uint16)
RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


@dataclass(frozen=True)
class Kind:
    """A way to write a case.

    Args:
        images: the files of the channels.
        label: its label.
        verdict: ours.
        words: some of what we say; empty where nothing is.
        nnunet: nnU-Net's verdict, where it is not ours, and why that is right.
        ending: of the files.
        shape: of the sample's slices, ``[S, H, W]``.
    """

    images: list[Save]
    label: Save
    verdict: str
    words: str = ""
    nnunet: tuple[str, str] | None = None
    ending: str = ".nii.gz"
    shape: tuple[int, int, int] | None = None
    description: dict[str, Any] = field(default_factory=dict)


TURNED = turned(VOLUME, RAS, "LPS")
PERMUTED = turned(VOLUME, RAS, "SLP")
KINDS = {
    # Axes.
    "volume": Kind([nifti(scan(VOLUME))], nifti(VOLUME), TAKEN, shape=(32, 24, 28)),
    "2D": Kind([nifti(scan(FLAT))], nifti(FLAT), TAKEN, shape=(1, 24, 28)),
    "leading axis of 1": Kind(
        [nifti(scan(FLAT)[None])], nifti(FLAT[None]), TAKEN, shape=(1, 24, 28)
    ),
    "middle axis of 1": Kind(
        [nifti(scan(FLAT)[:, None])], nifti(FLAT[:, None]), TAKEN, shape=(1, 24, 28)
    ),
    "trailing axis of 1": Kind(
        [nifti(scan(FLAT)[..., None])], nifti(FLAT[..., None]), TAKEN, shape=(1, 24, 28)
    ),
    "4D, the last of 1": Kind(
        [nifti(scan(VOLUME)[..., None])], nifti(VOLUME[..., None]), TAKEN, shape=(32, 24, 28)
    ),
    "2D beside a trailing axis of 1": Kind(
        [nifti(scan(FLAT))], nifti(FLAT[..., None]), TAKEN,
        nnunet=(REFUSED, "it makes up a spacing of 999 for the one and not for the other"),
    ),
    "coarse first axis": Kind(
        [nifti(scan(COARSE.T), np.diag([5.0, 1, 1, 1]))],
        nifti(COARSE.T, np.diag([5.0, 1, 1, 1])),
        TAKEN, "cuts volumes into sagittal slices", shape=(20, 28, 24),
    ),
    "coarse axis stored first of an axial stack": Kind(
        [nifti(*turned(scan(COARSE), np.diag([1.0, 1, 5, 1]), "SAR"))],
        nifti(*turned(COARSE, np.diag([1.0, 1, 5, 1]), "SAR")),
        TAKEN, shape=(20, 24, 28),
    ),
    "channels in a fourth axis": Kind(
        [nifti(np.stack([scan(VOLUME)] * 2, -1))], nifti(VOLUME),
        REFUSED, "has 4 axes (24×28×32×2)",
    ),
    "a channel in [H, W, 1, C]": Kind(
        [nifti(np.stack([scan(FLAT)[..., None]] * 3, -1))], nifti(FLAT[..., None]),
        REFUSED, "has 4 axes (24×28×1×3)",
    ),
    # Geometry.
    "label of another spacing": Kind(
        [nifti(scan(VOLUME), np.diag([3.0, 3, 3, 1]))], nifti(VOLUME, np.diag([1.0, 1, 5, 1])),
        REFUSED, "has a spacing of 3×3×3 mm, but c0.nii.gz of 1×1×5 mm",
    ),
    "label of hardly another spacing": Kind(
        [nifti(scan(VOLUME))], nifti(VOLUME, np.diag([1.0, 1, 1.0001, 1])),
        REFUSED, "has a spacing of 1×1×1 mm, but c0.nii.gz of 1×1×1.0001 mm",
    ),
    "label of a spacing below the tolerance": Kind(
        [nifti(scan(VOLUME))], nifti(VOLUME, np.diag([1.0, 1, 1.000001, 1])), TAKEN
    ),
    "label of another shape": Kind(
        [nifti(scan(VOLUME))], nifti(VOLUME[:-1]), REFUSED, "is 24×28×32 pixels, but c0.nii.gz 23×"
    ),
    "label of another origin": Kind(
        [nifti(scan(VOLUME))], nifti(VOLUME, MOVED), TOLD, "has the origin 4, 0, 0, but c0_0000"
    ),
    "label turned about an axis": Kind(
        [nifti(scan(VOLUME))],
        nifti(VOLUME, nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(0.1))),
        TOLD, "has the direction",
    ),
    "label whose header says LPS": Kind(
        [nifti(scan(VOLUME))], nifti(VOLUME, LPS), TOLD, "has the orientation LPS, but c0_0000.nii"
    ),
    "label stored as LPS over the same grid": Kind(
        [nifti(scan(VOLUME))], nifti(*TURNED), TOLD, "is stored as LPS"
    ),
    "label stored with other axes over the same grid": Kind(
        [nifti(scan(VOLUME))], nifti(*PERMUTED), TOLD, "is stored as SLP",
        nnunet=(REFUSED, "it compares arrays; the headers say that they lie on each other"),
    ),
    "channel of another spacing": Kind(
        [nifti(scan(VOLUME)), nifti(scan(VOLUME), np.diag([2.0, 2, 2, 1]))], nifti(VOLUME),
        REFUSED, "c0_0001.nii.gz: has a spacing of 2×2×2 mm, but c0_0000.nii.gz of 1×1×1 mm",
    ),
    "channel of another shape": Kind(
        [nifti(scan(VOLUME)), nifti(scan(VOLUME)[1:])], nifti(VOLUME),
        REFUSED, "c0_0001.nii.gz: is 23×28×32 pixels, but c0_0000.nii.gz 24×28×32",
    ),
    "channel of another origin": Kind(
        [nifti(scan(VOLUME)), nifti(scan(VOLUME), MOVED)], nifti(VOLUME),
        TOLD, "c0_0001.nii.gz: has the origin 4, 0, 0",
    ),
    "oblique": Kind([nifti(scan(VOLUME), OBLIQUE)], nifti(VOLUME, OBLIQUE), TAKEN),
    "sheared": Kind(
        [nifti(scan(VOLUME), SHEARED)], nifti(VOLUME, SHEARED),
        TAKEN, "has axes that miss a right angle by 17°",
    ),
    "sheared along an axis of one pixel": Kind(
        [nifti(scan(VOLUME)[..., 12:13], SHEARED[:, [0, 2, 1, 3]])],
        nifti(VOLUME[..., 12:13], SHEARED[:, [0, 2, 1, 3]]), TAKEN,
    ),
    "no orientation in the header": Kind(
        [nifti(scan(VOLUME), codes=(0, 0))], nifti(VOLUME, codes=(0, 0)),
        TAKEN, "says no orientation: its axes are taken to lead to the right, to the front and up",
    ),
    "label without an orientation": Kind(
        [nifti(scan(VOLUME))], nifti(VOLUME, codes=(0, 0)), TOLD, "has the orientation none"
    ),
    "image by qform, label by sform": Kind(
        [nifti(scan(VOLUME), OBLIQUE, codes=(1, 0))], nifti(VOLUME, OBLIQUE, codes=(0, 1)), TAKEN
    ),
    "qform and sform at odds": Kind(
        [nifti(scan(VOLUME), codes=(1, 1), qform=LPS)], nifti(VOLUME, codes=(1, 1), qform=LPS),
        TAKEN, "its `qform` leads to LPS, its `sform` to RAS",
    ),
    "pixdim and sform at odds": Kind(
        [nifti(scan(VOLUME), spacing=(1, 1, 4))], nifti(VOLUME, spacing=(1, 1, 4)),
        TAKEN, "`pixdim` says a spacing of 1×1×4 mm, its `sform` 1×1×1",
    ),
    "header of a negative size": Kind(
        [with_header(nifti(scan(VOLUME)), 42, "<h", -24)], nifti(VOLUME),
        REFUSED, "has 3 axes (-24×28×32); only 2D images and 3D volumes with at least one pixel",
    ),
    "size of 0": Kind(
        [with_header(nifti(scan(VOLUME)), 46, "<h", 0)], nifti(VOLUME), REFUSED, "axes (24×28×0)"
    ),
    "image in metres, label in millimetres": Kind(
        [in_unit(scan(VOLUME), np.diag([0.001, 0.001, 0.003, 1]), "meter")],
        in_unit(VOLUME, np.diag([1.0, 1, 3, 1]), "mm"),
        TAKEN,
    ),
    "image and label in micrometres": Kind(
        [in_unit(scan(VOLUME), 1000 * MOVED, "micron")], in_unit(VOLUME, MOVED, "mm"), TAKEN
    ),
    "image in metres by mistake": Kind(
        [in_unit(scan(VOLUME), RAS, "meter")], in_unit(VOLUME, RAS, "mm"),
        REFUSED, "has a spacing of 1000×1000×1000 mm, but c0.nii.gz of 1×1×1 mm",
    ),
    "unit that NIfTI does not have": Kind(
        [with_header(nifti(scan(VOLUME)), 123, "B", 5)], nifti(VOLUME), TAKEN
    ),
    "spacing of 0": Kind(
        [with_header(nifti(scan(VOLUME)), 88, "<f", 0)], nifti(VOLUME),
        TAKEN, "has the spacing 1×1×0 in its `pixdim`, where every number must be positive; 1×1×1",
    ),
    "negative spacing": Kind(
        [with_header(nifti(scan(VOLUME), np.diag([1.0, 1, 3, 1])), 88, "<f", -3)],
        with_header(nifti(VOLUME, np.diag([1.0, 1, 3, 1])), 88, "<f", -3),
        TAKEN, "1×1×3 mm is used, as in nnU-Net",
    ),
    "spacing of NaN": Kind(
        [with_header(nifti(scan(VOLUME)), 88, "<f", float("nan"))], nifti(VOLUME),
        TAKEN, "has the spacing 1×1×nan",
    ),
    # Numbers.
    "type of numbers that NIfTI does not have": Kind(
        [with_header(nifti(scan(VOLUME)), 70, "<h", 77)], nifti(VOLUME),
        REFUSED, "c0_0000.nii.gz: cannot be read as an image",
    ),
    "float mask under an int16 header": Kind(
        [nifti(scan(VOLUME))], nifti(VOLUME * np.float32(0.9999999997671694), dtype=np.int16), TAKEN
    ),
    "float64 mask that is nearly 1": Kind(
        [nifti(scan(VOLUME))], nifti(VOLUME * 0.9999999997671694), TAKEN
    ),
    "float mask that is not 1": Kind(
        [nifti(scan(VOLUME))], nifti(VOLUME * np.float32(0.9999999)),
        REFUSED, "holds the value 0.9999999, but",
    ),
    "boolean mask as int64": Kind([nifti(scan(VOLUME))], nifti(VOLUME, dtype=np.int64), TAKEN),
    "class that nobody named": Kind(
        [nifti(scan(VOLUME))], nifti(VOLUME * 2), REFUSED, "holds the value 2, but"
    ),
    "scaled image": Kind([nifti(scan(VOLUME), dtype=np.uint8)], nifti(VOLUME), TAKEN),
    "NaN": Kind(
        [nifti(np.where(VOLUME, np.nan, scan(VOLUME)))], nifti(VOLUME),
        REFUSED, "that are NaN", nnunet=(TAKEN, "ITK puts 0 in the place of NaN without a word"),
    ),
    "constant image": Kind(
        [nifti(np.full(VOLUME.shape, 7, np.int16))], nifti(VOLUME), TAKEN, "is 7 everywhere"
    ),
    "contrast beyond 32-bit floats": Kind(
        [nifti(1e9 + 0.1 * scan(VOLUME, np.float64))], nifti(VOLUME), REFUSED, "contrast is lost",
        nnunet=(TAKEN, "it trains on what is left: nothing"),
    ),
    "colours in NIfTI": Kind(
        [nifti(np.zeros(VOLUME.shape, RGB))], nifti(VOLUME), REFUSED, "holds colours (R, G, B)"
    ),
    "complex numbers": Kind(
        [nifti(scan(VOLUME).astype(np.complex64))], nifti(VOLUME),
        REFUSED, "holds complex numbers", nnunet=(TAKEN, "it drops the imaginary part"),
    ),
    # PNG.
    "grey PNG": Kind([png(scan(FLAT, np.uint8))], png(FLAT), TAKEN, ending=".png"),
    "PNG with a bilevel label": Kind(
        [png(scan(FLAT, np.uint8))], png(FLAT > 0), TAKEN, ending=".png"
    ),
    "PNG with a palette of greys": Kind(
        [png(scan(FLAT, np.uint8), "P", [n // 3 for n in range(768)])], png(FLAT),
        TAKEN, ending=".png", nnunet=(REFUSED, "it reads three equal channels"),
    ),
    "PNG with a palette of colours": Kind(
        [png(scan(FLAT, np.uint8), "P", [*range(256)] * 3)], png(FLAT),
        REFUSED, "holds 3 channels", ending=".png",
    ),
    "PNG of equal colours": Kind(
        [png(np.stack([scan(FLAT, np.uint8)] * 3, -1))], png(FLAT),
        TAKEN, ending=".png", nnunet=(REFUSED, "it reads three equal channels"),
    ),
    "grey PNG with an opaque layer": Kind(
        [png(np.stack([scan(FLAT, np.uint8), np.full_like(FLAT, 255)], -1))], png(FLAT),
        TAKEN, ending=".png", nnunet=(REFUSED, "it reads two channels"),
    ),
    "PNG with a label of equal colours": Kind(
        [png(scan(FLAT, np.uint8))], png(np.stack([FLAT] * 3, -1)), TAKEN, ending=".png"
    ),
    "animated PNG": Kind(
        [animated(scan(FLAT, np.uint8))], png(FLAT), REFUSED, "holds 2 pictures", ending=".png"
    ),
    "animated PNG as a label": Kind(
        [png(scan(FLAT, np.uint8))], animated(FLAT), REFUSED, "holds 2 pictures", ending=".png"
    ),
    "pages under the name of a PNG": Kind(
        [pages(scan(FLAT, np.uint8))], png(FLAT), REFUSED, "holds 2 pictures", ending=".png",
        nnunet=(TAKEN, "it reads the first page without a word"),
    ),
    "PNG of 16 bits": Kind(
        [png(300 * scan(FLAT, np.uint16))], png(FLAT), TAKEN, ending=".png"
    ),
    "PNG of 16-bit colours": Kind(
        [deep_colours(40000 + np.stack([scan(FLAT, np.uint16)] * 3, -1))], png(FLAT),
        REFUSED, "holds RGB of 16 bits, but decoders of PNG keep only 8", ending=".png",
        nnunet=(REFUSED, "for another reason: one name for three channels"),
    ),
    "PNG label with a palette": Kind(
        [png(scan(FLAT, np.uint8))], png(FLAT, "P", [0, 0, 0, 255, 0, 0]), TAKEN, ending=".png",
        nnunet=(REFUSED, "it looks the colours up; the numbers are the classes"),
    ),
    "PNG label of 2 bits": Kind(
        [grey(4, scan(FLAT, np.uint8) // 10)], grey(2, FLAT), TAKEN, ending=".png",
        nnunet=(REFUSED, "its decoder turns 1 into 85"),
    ),
    "PNG label of 4 bits": Kind(
        [png(scan(FLAT, np.uint8))], grey(4, FLAT), TAKEN, ending=".png",
        nnunet=(REFUSED, "its decoder turns 1 into 17"),
    ),
    # NRRD, MHA, GIPL.
    "volume of NRRD": Kind(
        [itk(scan(VOLUME))], itk(VOLUME), TAKEN, ending=".nrrd", shape=(32, 24, 28)
    ),
    "oblique MHA": Kind([itk(scan(VOLUME), OBLIQUE)], itk(VOLUME, OBLIQUE), TAKEN, ending=".mha"),
    "GIPL": Kind(
        [itk(scan(VOLUME))], itk(VOLUME), TAKEN, "says no orientation", ending=".gipl",
        shape=(32, 24, 28),
    ),
    "coarse first axis of MHA": Kind(
        [itk(scan(COARSE.T), np.diag([5.0, 1, 1, 1]))], itk(COARSE.T, np.diag([5.0, 1, 1, 1])),
        TAKEN, "cuts volumes into sagittal slices", ending=".mha", shape=(20, 28, 24),
    ),
    "channel of another spacing in MHA": Kind(
        [itk(scan(VOLUME)), itk(scan(VOLUME), np.diag([2.0, 2, 2, 1]))], itk(VOLUME),
        REFUSED, "c0_0001.mha: has a spacing of 2×2×2 mm, but c0_0000.mha of 1×1×1 mm",
        ending=".mha",
    ),
    "label of NRRD of another origin": Kind(
        [itk(scan(VOLUME))], itk(VOLUME, MOVED), TOLD, "has the origin 4, 0, 0, but c0_0000",
        ending=".nrrd",
    ),
    "label of NRRD of another origin, by rounding": Kind(
        [itk(scan(VOLUME))], itk(VOLUME, nibabel.affines.from_matvec(np.eye(3), [1e-6] * 3)),
        TAKEN, ending=".nrrd", nnunet=(TOLD, "next to 0, it compares to 1e-8"),
    ),
    "label of NRRD stored as LPS over the same grid": Kind(
        [itk(scan(VOLUME))], itk(*TURNED), TOLD, "is stored as LPS", ending=".nrrd"
    ),
    "float mask of MHA that is not 1": Kind(
        [itk(scan(VOLUME))], itk(VOLUME * np.float32(1.0000001)),
        REFUSED, "holds the value 1.0000001, but", ending=".mha",
    ),
    "MHA of NaN": Kind(
        [itk(np.where(VOLUME, np.nan, scan(VOLUME)).astype(np.float32))], itk(VOLUME),
        REFUSED, "NaN, infinite", ending=".mha",
    ),
    "MHA that was cut off": Kind(
        [cut_off(itk(scan(VOLUME)))], itk(VOLUME), REFUSED, "cannot be read as an im", ending=".mha"
    ),
    "channels in a fourth axis of NRRD": Kind(
        [itk(np.stack([scan(VOLUME)] * 2, -1))], itk(VOLUME), REFUSED, "has 4 axes (24×28×32×2)",
        ending=".nrrd",
    ),
    # TIFF and BMP.
    "grey TIFF": Kind([tiff(scan(FLAT))], tiff(FLAT), TAKEN, ending=".tif", shape=(1, 24, 28)),
    "TIFF of several pages": Kind(
        [tiff(scan(VOLUME))], tiff(VOLUME), TAKEN, "is a volume without a spacing: 1×1×1 mm is",
        ending=".tif", shape=(24, 32, 28),
    ),
    "TIFF with ImageJ's spacing": Kind(
        [
            tiff(
                scan(VOLUME), imagej=True, photometric=None, resolution=(4, 5),
                metadata={"axes": "ZYX", "spacing": 1.5, "unit": "um"},
            )
        ],
        tiff(VOLUME), TAKEN,
        'c0.json beside it gives another: {"spacing": [0.0015, 0.0002, 0.00025]}, which is what',
        ending=".tif",
    ),
    "TIFF with OME's spacing": Kind(
        [
            tiff(
                scan(VOLUME), ome=True,
                metadata={"axes": "ZYX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.2}
                | {f"PhysicalSize{axis}Unit": "mm" for axis in "XYZ"} | {"PhysicalSizeZ": 1.5},
            )
        ],
        tiff(VOLUME), TAKEN, '{"spacing": [1.5, 0.2, 0.25]}, which is what', ending=".tif",
    ),
    "TIFF of times": Kind(
        [tiff(scan(VOLUME), [5, 1, 1], ome=True, metadata={"axes": "TYX"})],
        tiff(VOLUME, [5, 1, 1]), TAKEN, "says that its pages are times", ending=".tif",
    ),
    "TIFF with a spacing beside it": Kind(
        [tiff(scan(VOLUME), [5, 1, 1])], tiff(VOLUME, [5, 1, 1]), TAKEN, "says no orientation",
        ending=".tiff", shape=(24, 32, 28),
    ),
    "TIFF with a spacing beside the image alone": Kind(
        [tiff(scan(VOLUME), [5, 1, 1])], tiff(VOLUME), TAKEN, "says no orientation", ending=".tiff",
        nnunet=(REFUSED, "it makes up a spacing of 1 for the label"),
    ),
    "TIFF with another spacing beside its label": Kind(
        [tiff(scan(VOLUME), [5, 1, 1])], tiff(VOLUME, [4, 1, 1]),
        REFUSED, "has a spacing of 1×1×5 mm, but c0.tiff of 1×1×4 mm", ending=".tiff",
    ),
    "TIFF that was cut off": Kind(
        [cut_off(tiff(scan(VOLUME), compression="zlib"))], tiff(VOLUME),
        REFUSED, "cannot be read as an image", ending=".tif",
    ),
    "TIFF of colours with one name": Kind(
        [tiff(np.stack([FLAT, 1 - FLAT, FLAT], -1), photometric="rgb")], tiff(FLAT),
        REFUSED, "holds 3 channels", ending=".tif",
    ),
    "TIFF of equal colours with one name": Kind(
        [tiff(np.stack([scan(FLAT, np.uint8)] * 3, -1), photometric="rgb")], tiff(FLAT),
        TAKEN, ending=".tif", nnunet=(REFUSED, "it reads three equal channels"),
    ),
    "TIFF with a palette": Kind(
        [tiff(scan(FLAT, np.uint8), photometric="palette", colormap=COLOURS)], tiff(FLAT),
        TAKEN, "is stored as PALETTE (`PhotometricInterpretation`): its numbers are read as they",
        ending=".tif",
    ),
    "TIFF label with a palette": Kind(
        [tiff(scan(FLAT, np.uint8))], tiff(FLAT, photometric="palette", colormap=COLOURS),
        TAKEN, ending=".tif",
    ),
    "TIFF label in which 0 is white": Kind(
        [tiff(scan(FLAT, np.uint8))], tiff(FLAT, photometric="miniswhite"),
        TAKEN, "c0.tif: is stored as MINISWHITE (`PhotometricInterpretation`)", ending=".tif",
    ),
    "TIFF in which 0 is white": Kind(
        [tiff(scan(FLAT, np.uint8), photometric="miniswhite")], tiff(FLAT),
        TAKEN, "is stored as MINISWHITE (`PhotometricInterpretation`)", ending=".tif",
    ),
    "TIFF that does not say what 0 is": Kind(
        [without_photometric(tiff(scan(FLAT, np.uint8)))], tiff(FLAT), TAKEN, ending=".tif"
    ),
    "TIFF that viewers turn": Kind(
        [tiff(scan(FLAT, np.uint8), extratags=[(274, 3, 1, 6, True)])], tiff(FLAT),
        TAKEN, "says that viewers shall turn or mirror it (orientation 6)", ending=".tif",
    ),
    "PNG that viewers turn": Kind(
        [with_exif(scan(FLAT, np.uint8), SEEN_TURNED)], png(FLAT),
        TAKEN, "says that viewers shall turn or mirror it (orientation 6)", ending=".png",
    ),
    "PNG with EXIF that cannot be read": Kind(
        [with_exif(scan(FLAT, np.uint8), b"damaged")], png(FLAT), TAKEN, ending=".png",
        nnunet=(REFUSED, "it reads the EXIF before the pixels"),
    ),
    "grey BMP": Kind([png(scan(FLAT, np.uint8))], png(FLAT), TAKEN, ending=".bmp"),
    # Files as they are damaged, or only odd.
    "compressed NIfTI that was cut off": Kind(
        [cut_off(nifti(scan(VOLUME)))], nifti(VOLUME), REFUSED, "cannot be read as an image",
        nnunet=(TAKEN, "ITK reads what is there, and invents the rest"),
    ),
    "compressed NIfTI with bytes behind it": Kind(
        [followed(nifti(scan(VOLUME)))], followed(nifti(VOLUME)), TAKEN
    ),
    "compressed NRRD with bytes behind it": Kind(
        [followed(itk(scan(VOLUME)))], followed(itk(VOLUME)), TAKEN, ending=".nrrd"
    ),
    "compressed MHA with bytes behind it": Kind(
        [followed(itk(scan(VOLUME)))], followed(itk(VOLUME)), TAKEN, ending=".mha"
    ),
    "NIfTI that was cut off": Kind(
        [cut_off(nifti(scan(VOLUME)))], nifti(VOLUME), REFUSED, "cannot be read as an image",
        ending=".nii",
    ),
    "NIfTI of big bytes": Kind(
        [nifti(scan(VOLUME, np.dtype(">i2")), endianness=">")], nifti(VOLUME), TAKEN
    ),
}  # fmt: skip


def write(folder: Path, kind: Kind, cases: int = 4) -> dict[str, Any]:
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    for case in range(cases):
        for channel, save in enumerate(kind.images):
            save(folder / "imagesTr" / f"c{case}_{channel:04d}{kind.ending}")
        kind.label(folder / "labelsTr" / f"c{case}{kind.ending}")
    description = {
        "channel_names": {str(n): f"scan {n}" for n in range(len(kind.images))},
        "labels": {"background": 0, "ball": 1},
        "numTraining": cases,
        "file_ending": kind.ending,
    }
    (folder / "dataset.json").write_text(json.dumps(description))
    return description


def verdict_of_nnunet(folder: Path, kind: Kind, description: dict[str, Any], capfd: Any) -> str:
    """What `nnUNetv2_plan_and_preprocess --verify_dataset_integrity` says of the first case."""
    images = [
        str(folder / "imagesTr" / f"c0_{n:04d}{kind.ending}") for n in range(len(kind.images))
    ]
    label = str(folder / "labelsTr" / f"c0{kind.ending}")
    try:
        reader = determine_reader_writer_from_dataset_json(description, images[0], verbose=False)
        named = verify_labels(label, reader, [0, 1])
        fine = check_cases(images, label, len(images), reader) and named
    except Exception:  # noqa: BLE001 (it lets its readers' errors through)
        return REFUSED
    said = capfd.readouterr().out
    return (
        (TOLD if "WARNING! Not all" in said or "Warning: " in said else TAKEN) if fine else REFUSED
    )


@pytest.mark.filterwarnings("ignore")  # of what nnU-Net calls
@pytest.mark.parametrize("name", KINDS)
def test_kind_of_file_is_read_as_nnunet_reads_it(name: str, tmp_path: Path, capfd: Any) -> None:
    kind = KINDS[name]
    description = write(tmp_path / "raw", kind)
    oracle = verdict_of_nnunet(tmp_path / "raw", kind, description, capfd)
    assert oracle == (kind.nnunet[0] if kind.nnunet else kind.verdict)

    capfd.readouterr()  # of the oracle
    settings = NnunetRawData(source="nnunet_raw", folder=str(tmp_path / "raw"), folds=2)
    mistakes, data = check_pixels(settings)
    warnings = [] if data is None else data.warnings
    said = "\n".join([*map(str, mistakes), *warnings])
    assert capfd.readouterr().err == ""  # nothing is printed without a file's name
    assert bool(mistakes) == (kind.verdict == REFUSED), said
    assert kind.words in said
    told = [
        text for text in warnings if "holds the same pixels" not in text
    ]  # four cases of a kind
    assert kind.words or not told
    assert bool(warnings) or kind.verdict != TOLD
    if mistakes:
        assert len(mistakes) == 1, said
        assert str(tmp_path / "raw") in said
        assert "the same of 3 more files" in said
        return
    assert data is not None
    sample = next(iter(data.training))
    if kind.shape is not None:
        slices = len(data.training) // len(data.training.cases)
        assert (slices, *sample.label.shape) == kind.shape
    # Bright is where the label is, in whatever orientation each was stored.
    if "constant" not in name:
        images = np.stack([one.image[0] for one in data.training])
        inside = np.stack([one.label for one in data.training]) == 1
        assert images[inside].mean() > images[~inside].mean() + 1
