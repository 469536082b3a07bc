"""The same image in every format: the same arrays, and a mask that lies on it.

The oracle is SimpleITK, which reads the volumes of nnU-Net and of most viewers.
"""

from __future__ import annotations

import bz2
import gzip
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 (its usual name)
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sweep.data.files.image_file import FILE_ENDINGS, read_header, read_pixels, write_mask
from sweep.data.nnunet_raw.case_grid import look_at
from sweep.data.nnunet_raw.images_to_predict import open_images
from sweep.data.nnunet_raw.pixels import load_image
from sweep.data.nnunet_raw.raw_dataset import RawDataset, open_raw
from sweep.data.nnunet_raw.raw_fingerprint import fingerprint
from sweep.data.nnunet_raw.regions import Labelled
from sweep.data.prepared.prepare import check_pixels
from sweep.machine import installed_packages
from sweep.spec.settings.data_settings import NnunetRawData
from sweep.vocabulary.errors import InputError

WITH_A_WORLD = (".nii", ".nii.gz", ".nrrd", ".mha")
ORIENTATIONS = ["".join(a) for order in permutations(("RL", "AP", "SI")) for a in product(*order)]
TYPES = (np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64)
RNG = np.random.default_rng(0)


def itk_image(
    pixels: Any, codes: str = "LPS", spacing: Any = (0.7, 1.3, 2.9), angles: Any = (0, 0, 0)
) -> sitk.Image:
    """A volume ``[x, y, z]`` whose axes lead as ``codes`` says, turned by ``angles``."""
    turn = nibabel.eulerangles.euler2mat(*angles)
    axes = nibabel.orientations.inv_ornt_aff(nibabel.orientations.axcodes2ornt(codes), pixels.shape)
    to_world = np.diag([-1, -1, 1]) @ turn @ np.linalg.inv(axes)[:3, :3]
    image = sitk.GetImageFromArray(pixels.T)
    image.SetDirection(to_world.ravel().tolist())
    image.SetSpacing(spacing)
    image.SetOrigin((-12.3, 4.56, 78.9))
    return image


def one_image(file: Path, channels: int = 1) -> RawDataset:
    labelled, names = Labelled(classes=("background",)), [f"c{n}" for n in range(channels)]
    return open_images(file, channels=names, labelled=labelled, file_ending="".join(file.suffixes))


def read(file: Path) -> Any:
    dataset = one_image(file)
    case = dataset.cases[0]
    return load_image(dataset, case, look_at(dataset, case, labelled=False))


def said_of(file: Path) -> str:
    """What is told of a file that is refused, by its header or by its pixels."""
    with pytest.raises(InputError) as caught:
        read(file)
    assert str(file) in str(caught.value)
    return str(caught.value)


@given(
    codes=st.sampled_from(ORIENTATIONS),
    angles=st.tuples(*[st.floats(-0.6, 0.6)] * 3),
    spacing=st.tuples(*[st.floats(0.1, 9)] * 3),
    dtype=st.sampled_from(TYPES),
)
def test_same_volume_gives_the_same_arrays_and_masks_in_every_format(
    tmp_path_factory: pytest.TempPathFactory, codes: str, angles: Any, spacing: Any, dtype: Any
) -> None:
    folder = tmp_path_factory.mktemp("formats")
    image = itk_image(RNG.uniform(0, 99, (5, 6, 7)).astype(dtype), codes, spacing, angles)
    classes = RNG.integers(0, 3, (5, 6, 7), dtype=np.uint8)
    seen = {}
    for ending in WITH_A_WORLD:
        file, mask = (folder / f"{name}{ending}" for name in ("case", "mask"))
        sitk.WriteImage(image, str(file), useCompression=True)
        dataset = open_images(
            file, channels=["c"], labelled=Labelled(classes=("a",)), file_ending=ending
        )
        grid = look_at(dataset, "case", labelled=False)
        assert grid.doubts == ()
        seen[ending] = grid, load_image(dataset, "case", grid)
        # The mask, as SimpleITK opens it, lies on the image, as SimpleITK opens that.
        write_mask(mask, classes, file)
        found, own = sitk.ReadImage(str(mask)), sitk.ReadImage(str(file))
        for of in ("GetSpacing", "GetOrigin", "GetDirection", "GetSize"):
            # To the last bit but in a NRRD, which has spacing and direction in one vector.
            np.testing.assert_allclose(getattr(found, of)(), getattr(own, of)(), atol=1e-14)
        assert found.GetPixelID() == sitk.sitkUInt8
        np.testing.assert_array_equal(sitk.GetArrayFromImage(found), classes.T)
    first, arrays = seen[".nii.gz"]
    for grid, pixels in seen.values():
        np.testing.assert_array_equal(pixels, arrays)
        assert grid.codes == first.codes
        assert grid.geometry.shape == first.geometry.shape
        # NIfTI's header has 32-bit floats.
        np.testing.assert_allclose(grid.geometry.spacing, first.geometry.spacing, rtol=1e-6)
        np.testing.assert_allclose(grid.geometry.affine, first.geometry.affine, atol=1e-4)


@pytest.mark.parametrize("ending", [*WITH_A_WORLD, ".gipl"])
def test_flat_image_of_two_axes_is_read_in_every_format(tmp_path: Path, ending: str) -> None:
    pixels = RNG.integers(0, 99, (8, 5), dtype=np.int16)
    image = sitk.GetImageFromArray(pixels.T)
    image.SetSpacing((0.5, 2.0))
    file = tmp_path / f"a{ending}"
    sitk.WriteImage(image, str(file))
    geometry, doubts = read_header(file)
    assert doubts == []
    assert geometry.shape[:2] == (8, 5)  # that of a GIPL is (8, 5, 1)
    assert geometry.spacing is not None
    assert (geometry.spacing[:2], geometry.codes) == ((0.5, 2.0), "LPS")
    grid = look_at(one_image(file), "a", labelled=False)
    assert len(grid.axes) == 2
    stored = pixels[::-1, ::-1]  # to the right and to the front
    np.testing.assert_array_equal(load_image(one_image(file), "a", grid)[0], stored)
    write_mask(tmp_path / f"m{ending}", pixels.astype(np.uint8), file)
    np.testing.assert_array_equal(np.squeeze(read_pixels(tmp_path / f"m{ending}")), pixels)


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".gipl", ".tif", ".bmp"])
def test_same_mask_has_the_same_bytes_in_every_format(tmp_path: Path, ending: str) -> None:
    like, shape = tmp_path / f"a{ending}", (5, 6, 7)
    if ending == ".bmp":
        shape = (5, 6)
        Image.new("L", (6, 5)).save(like)
    elif ending == ".tif":
        tifffile.imwrite(like, np.zeros((7, 6, 5), np.uint16), photometric="minisblack")
    else:
        sitk.WriteImage(itk_image(np.zeros(shape, np.float32)), str(like))
    classes = RNG.integers(0, 3, shape, dtype=np.uint8)
    for name in ("one", "two"):
        write_mask(tmp_path / f"{name}{ending}", classes, like)
    one, two = (tmp_path / f"{name}{ending}" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    np.testing.assert_array_equal(read_pixels(one, palette=False), classes)
    assert len(list(tmp_path.iterdir())) == 3


# ITK's formats: what their headers may say.

VOXELS = np.arange(24, dtype=np.int16).reshape(2, 3, 4)  # [z, y, x]


def nrrd(lines: str, content: bytes = VOXELS.tobytes(), sizes: str = "4 3 2") -> bytes:
    axes, encoding = len(sizes.split()), "" if "encoding" in lines else "encoding: raw\n"
    head = f"NRRD0004\ntype: short\ndimension: {axes}\nsizes: {sizes}\nendian: little\n"
    return f"{head}{lines}{encoding}\n".encode() + content


def mha(lines: str, content: bytes = VOXELS.tobytes(), file: str = "LOCAL") -> bytes:
    head = "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
    last = f"DimSize = 4 3 2\nElementType = MET_SHORT\nElementDataFile = {file}\n"
    return (head + lines + last).encode() + content


def deflated_mha(content: bytes, more: int = 0) -> bytes:
    size = len(content) + more
    return mha(f"CompressedData = True\nCompressedDataSize = {size}\n", content)


def space(name: str) -> str:
    return f"space: {name}\nspace directions: (-1,0,0) (0,2,0) (0,0,3)\nspace origin: (1,2,3)\n"


TAKEN = "says no orientation: its axes are taken to lead to the left, to the back and up"

READ = {
    "nrrd in RAS": (".nrrd", nrrd(space("right-anterior-superior")), "LAS", []),
    "nrrd in LAS": (".nrrd", nrrd(space("left-anterior-superior")), "RAS", []),
    "nrrd in LPS": (".nrrd", nrrd(space("left-posterior-superior")), "RPS", []),
    "nrrd without a space": (".nrrd", nrrd("spacings: 1 2 3\n"), "LPS", [TAKEN]),
    "nrrd as text": (
        ".nrrd", nrrd("spacings: 1 2 3\nencoding: text\n", " ".join(map(str, range(24))).encode()),
        "LPS", [TAKEN],
    ),
    "nrrd of big bytes": (
        ".nrrd",
        nrrd("spacings: 1 2 3\n", VOXELS.astype(">i2").tobytes()).replace(b": little", b": big"),
        "LPS", [TAKEN],
    ),
    "nrrd of negative spacing": (
        ".nrrd", nrrd("spacings: -1 2 3\n"), "RPS",
        ["has the spacing -1×2×3 in its `spacings`, where every number must be positive; 1×2×3 mm",
         TAKEN],
    ),
    "nrrd of an unknown spacing": (
        ".nrrd", nrrd("spacings: nan 2 3\n"), "LPS",
        ["does not say the spacing of every axis: 1×2×3 mm is taken, as in nnU-Net", TAKEN],
    ),
    "nrrd with an axis that leads nowhere": (
        ".nrrd", nrrd(space("LPS").replace("(-1,0,0)", "none")), "LPS",
        ["does not say the spacing of every axis"],
    ),
    "mha with the size of a voxel": (".mha", mha("ElementSize = 1 2 3\n"), "LPS", [TAKEN]),
    "nrrd in micrometres": (
        ".nrrd", nrrd(space("LPS") + 'space units: "um" "um" "um"\n'), "RPS",
        ["measures in um, but ITK, and so nnU-Net, takes its spacing for millimetres"],
    ),
    "nrrd in millimetres": (
        ".nrrd", nrrd(space("LPS") + 'space units: "mm" "mm" "mm"\n'), "RPS", [],
    ),
    "mha": (".mha", mha("ElementSpacing = 1 2 3\n"), "LPS", [TAKEN]),
    "mha of big bytes": (
        ".mha",
        mha("ElementSpacing = 1 2 3\n", VOXELS.astype(">i2").tobytes()).replace(
            b"MSB = False", b"MSB = True"
        ),
        "LPS", [TAKEN],
    ),
    "mha with a scaled direction": (
        ".mha", mha("ElementSpacing = 1 2 3\nTransformMatrix = 2 0 0 0 2 0 0 0 2\n"), "LPS",
        ["`ElementSpacing` says a spacing of 1×2×3 mm, its `TransformMatrix` 2×4×6"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_header_of_itk_is_read_as_itk_reads_it(name: str, tmp_path: Path) -> None:
    ending, content, codes, told = READ[name]
    file = tmp_path / f"a{ending}"
    file.write_bytes(content)
    oracle = sitk.ReadImage(str(file))
    geometry, doubts = read_header(file)
    assert geometry.spacing == tuple(map(abs, oracle.GetSpacing())) == (1, 2, 3)
    assert geometry.codes == codes
    assert geometry.affine is not None
    for index in [(0, 0, 0), (3, 1, 1)]:
        world = geometry.affine @ [*index, 1]
        np.testing.assert_allclose(
            world[:3] * [-1, -1, 1], oracle.TransformIndexToPhysicalPoint(index)
        )
    np.testing.assert_array_equal(read_pixels(file), VOXELS.T)
    for doubt, part in zip(doubts, told, strict=True):
        assert part in str(doubt)


@pytest.mark.parametrize(("ending", "content"), [(".nrrd", nrrd("")), (".mha", mha(""))])
def test_spacing_that_a_header_does_not_say_is_told(
    ending: str, content: bytes, tmp_path: Path
) -> None:
    file = tmp_path / f"a{ending}"
    file.write_bytes(content)
    geometry, doubts = read_header(file)
    assert geometry.spacing == sitk.ReadImage(str(file)).GetSpacing() == (1, 1, 1)
    assert "does not say the spacing of every axis: 1×1×1 mm is taken" in str(doubts[0])


REFUSED = {
    "nrrd with its pixels elsewhere": (
        ".nrrd", nrrd("data file: b.raw\n", b""), "keeps its pixels in another file (b.raw)",
    ),
    "mha with its pixels elsewhere": (
        ".mha", mha("", b"", file="b.raw"), "keeps its pixels in another file (b.raw)",
    ),
    "nrrd of colours": (
        ".nrrd",
        nrrd("kinds: RGB-color domain domain domain\n", VOXELS.tobytes() * 3, "3 4 3 2"),
        "holds 3 numbers for each voxel (colours, vectors)",
    ),
    "mha of vectors": (
        ".mha", mha("ElementNumberOfChannels = 2\n", VOXELS.tobytes() * 2), "holds 2 numbers for",
    ),
    "nrrd of four axes": (
        ".nrrd", nrrd("spacings: 1 2 3 1\n", VOXELS.tobytes() * 2, "4 3 2 2"),
        "has 4 axes (4×3×2×2)",
    ),
    "mha of spacing 0": (
        ".mha", mha("ElementSpacing = 0 2 3\n"), "has the spacing 0×2×3; every number must be po",
    ),
    "mha of spacing NaN": (
        ".mha", mha("ElementSpacing = nan 2 3\n"), "; every number must be positive",
    ),
    "mha with a direction of 0": (
        ".mha", mha("TransformMatrix = 0 0 0 0 0 0 0 0 0\n"), "cannot be read as an image",
    ),
    "nrrd of a size of 0": (".nrrd", nrrd("", b"", "4 0 2"), "cannot be read as an image"),
    "mha of a negative size": (
        ".mha", mha("").replace(b"= 4 3", b"= -4 3"), "bytes of pixels, more than it holds",
    ),
    "huge mha": (
        ".mha", mha("").replace(b"4 3 2", b"40000 40000 400"), "bytes of pixels, more than it",
    ),
    "nrrd that was cut off": (
        ".nrrd", nrrd("spacings: 1 2 3\n")[:-5], "more than it holds",
    ),
    "mha that was cut off": (".mha", mha("")[:-5], "more than it holds"),
    "mha by zlib that was cut off": (
        ".mha", deflated_mha(zlib.compress(VOXELS.tobytes())[:-5]),
        "its compressed part was cut off",
    ),
    "mha by zlib without its size": (  # ITK reads any numbers
        ".mha", mha("CompressedData = True\n", zlib.compress(VOXELS.tobytes())),
        "its header has no CompressedDataSize",
    ),
    "mha by zlib of a larger size": (
        ".mha", deflated_mha(zlib.compress(VOXELS.tobytes()), more=1),
        "bytes of pixels, but ",
    ),
    "mha of no size": (
        ".mha", mha("").replace(b"DimSize", b"Dims"), "its header has no DimSize",
    ),
    "nrrd by gzip that was cut off": (
        ".nrrd", nrrd("encoding: gzip\n", gzip.compress(VOXELS.tobytes())[:-5]),
        "its compressed part was cut off",
    ),
    "nrrd by bzip2": (
        ".nrrd", nrrd("encoding: bzip2\n", bz2.compress(VOXELS.tobytes())),
        "bzip2 encoding not available",
    ),
    "nothing": (".mha", b"", "cannot be read as an image"),
    "something else": (".nrrd", b"junk\0" * 99, "cannot be read as an image"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_file_of_itk_that_would_be_misread_is_refused_by_its_name(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ending, content, words = REFUSED[name]
    file = tmp_path / f"a{ending}"
    (tmp_path / "b.raw").write_bytes(VOXELS.tobytes())
    file.write_bytes(content)
    said = said_of(file)
    assert words in said
    assert "0x" not in said
    assert "\n" not in said
    assert capfd.readouterr() == ("", "")  # MetaIO prints on the terminal


@pytest.mark.parametrize("ending", FILE_ENDINGS)
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "a pointer of Git LFS; `git",
        ),
        ("/annex/objects/MD5E-s4--0.nii.gz\n", "a pointer of git-annex; `git annex get` fetches"),
        ("<!DOCTYPE html><title>Sign in</title>", "a web page, which a download gave"),
        ("", "empty"),
    ],
)
def test_what_stands_in_the_place_of_an_image_is_told_as_what_it_is(
    ending: str, content: str, words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / f"a{ending}"
    file.write_text(content, encoding="utf-8")
    assert f"cannot be read as an image: it is {words}" in said_of(file)
    assert capfd.readouterr() == ("", "")  # ITK has much to say of a file that is none of its own


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha", ".png"])
def test_file_with_a_flipped_bit_never_gives_other_pixels(tmp_path: Path, ending: str) -> None:
    pixels = RNG.normal(100, 30, (20, 20) if ending == ".png" else (20, 20, 20)).astype(np.uint8)
    file = tmp_path / f"a{ending}"
    if ending == ".png":
        Image.fromarray(pixels).save(file)
    else:
        sitk.WriteImage(itk_image(pixels, "LPS"), str(file), useCompression=True)
    content, refused = file.read_bytes(), 0
    for place in RNG.integers(len(content) // 4, len(content), 40):
        flipped = bytearray(content)
        flipped[place] ^= 1 << RNG.integers(8)
        file.write_bytes(flipped)
        try:
            np.testing.assert_array_equal(read_pixels(file), pixels)
        except InputError as error:
            assert "cannot be read as an image" in str(error)  # noqa: PT017 (either may be)
            refused += 1
    assert refused > 20


def test_gipl_that_was_cut_off_is_refused_though_itk_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "a.gipl"
    sitk.WriteImage(itk_image(VOXELS.T.copy()), str(file))
    np.testing.assert_array_equal(read_pixels(file), VOXELS.T)
    file.write_bytes(file.read_bytes()[:-5])
    assert sitk.ReadImage(str(file)).GetSize() == (4, 3, 2)
    assert "bytes of pixels, more than it holds" in said_of(file)


# TIFF, with tifffile as the oracle, which nnU-Net reads it with.

GREY, COLOURS = RNG.integers(0, 255, (8, 9), np.uint8), RNG.integers(0, 255, (8, 9, 3), np.uint8)
PAGES = RNG.integers(0, 3000, (5, 8, 9)).astype(np.uint16)
TIFFS: dict[str, tuple[Any, dict[str, Any]]] = {
    "picture": (GREY, {}),
    "picture of 16 bits": (PAGES[0], {}),
    "picture by LZW": (GREY, {"compression": "lzw"}),
    "picture of 64-bit floats": (GREY / 7, {}),
    "black and white": (GREY > 99, {"photometric": "minisblack"}),
    "tiled picture": (PAGES[0], {"tile": (16, 16)}),
    "big endian": (PAGES[0], {"byteorder": ">"}),
    "volume": (PAGES, {"photometric": "minisblack"}),
    "volume of three pages": (PAGES[:3], {"photometric": "minisblack"}),
    "volume by deflate": (PAGES, {"compression": "zlib", "photometric": "minisblack"}),
    "stack of ImageJ": (PAGES, {"imagej": True, "metadata": {"axes": "ZYX"}}),
    "stack of OME": (PAGES, {"ome": True, "metadata": {"axes": "ZYX"}}),
}


@pytest.mark.parametrize("name", TIFFS)
def test_tiff_is_read_as_tifffile_reads_it(name: str, tmp_path: Path) -> None:
    pixels, options = TIFFS[name]
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, pixels, **options)
    oracle = tifffile.imread(file)
    if pixels.ndim == 3:
        oracle = oracle.T[::-1, ::-1]  # [x, y, z] to the right, to the front, upwards
    np.testing.assert_array_equal(read(file)[0], oracle.astype(np.float32))


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_of_a_tiff_are_channels_with_all_their_bits(
    tmp_path: Path, planar: bool, dtype: Any
) -> None:
    file, pixels = tmp_path / "a_0000.tif", (COLOURS * np.dtype(dtype).itemsize).astype(dtype)
    tifffile.imwrite(
        file, np.moveaxis(pixels, -1, 0) if planar else pixels, photometric="rgb",
        planarconfig="separate" if planar else "contig",
    )  # fmt: skip
    dataset = one_image(file, channels=3)
    image = load_image(dataset, "a", look_at(dataset, "a", labelled=False))
    np.testing.assert_array_equal(image, np.moveaxis(pixels, -1, 0))


def test_bmp_is_read_as_pillow_reads_it(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.bmp")
    np.testing.assert_array_equal(read(tmp_path / "a.bmp")[0], GREY)
    Image.fromarray(COLOURS).save(tmp_path / "b_0000.bmp")
    dataset = one_image(tmp_path / "b_0000.bmp", channels=3)
    image = load_image(dataset, "b", look_at(dataset, "b", labelled=False))
    np.testing.assert_array_equal(image, np.moveaxis(COLOURS, -1, 0))


def two_sizes(file: Path) -> None:
    with tifffile.TiffWriter(file) as opened:
        opened.write(PAGES, photometric="minisblack")
        opened.write(GREY)


TIFFS_REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "channels": (
        lambda file: tifffile.imwrite(file, PAGES, imagej=True, metadata={"axes": "CYX"}),
        "holds 5 channels: write one file per channel",
    ),
    "volume with channels": (
        lambda file: tifffile.imwrite(
            file, PAGES[:4].reshape(2, 2, 8, 9), imagej=True, metadata={"axes": "ZCYX"}
        ),
        "holds 2 channels: write one file per channel",
    ),
    "four axes": (
        lambda file: tifffile.imwrite(
            file, PAGES[:4].reshape(2, 2, 8, 9), imagej=True, metadata={"axes": "TZYX"}
        ),
        "has 4 axes (2×2×8×9)",
    ),
    "pages of two sizes": (two_sizes, "holds 2 images of different sizes or kinds"),
    "complex numbers": (lambda file: tifffile.imwrite(file, PAGES * 1j), "holds complex numbers"),
    "nothing": (lambda file: file.write_bytes(b""), "it is empty"),
}


@pytest.mark.parametrize("name", TIFFS_REFUSED)
def test_tiff_that_would_be_misread_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    write, words = TIFFS_REFUSED[name]
    file = tmp_path / "a.tif"
    write(file)
    assert words in said_of(file)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"bigtiff": True}])
def test_tiff_that_was_cut_off_is_never_read_as_fewer_pages(
    tmp_path: Path, options: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, PAGES, photometric="minisblack", metadata=None, **options)
    content = file.read_bytes()
    np.testing.assert_array_equal(read(file)[0], PAGES.T[::-1, ::-1])
    for share in (0.02, 0.3, 0.5, 0.7, 0.9):
        file.write_bytes(content[: int(share * len(content))])
        assert "cannot be read as an image" in said_of(file)
    assert capfd.readouterr().err == ""


def test_volume_without_an_orientation_is_told_with_what_is_taken(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(VOXELS)
    sitk.WriteImage(image, str(tmp_path / "a.gipl"))
    [doubt] = read_header(tmp_path / "a.gipl")[1]
    assert TAKEN in str(doubt)
    bare = nibabel.Nifti1Image(VOXELS.T, None)
    bare.to_filename(tmp_path / "a.nii")
    geometry, [doubt] = read_header(tmp_path / "a.nii")
    assert (geometry.codes, "to the right, to the front and up" in str(doubt)) == ("", True)


def test_spacing_of_a_tiff_lies_beside_it_as_in_nnunet(tmp_path: Path) -> None:
    for file in (tmp_path / "a_0000.tif", tmp_path / "b.tif"):
        tifffile.imwrite(file, PAGES, photometric="minisblack")
    bare, doubts = read_header(tmp_path / "a_0000.tif")
    assert (bare.shape, bare.spacing) == ((9, 8, 5), None)
    assert [TAKEN in str(doubt) for doubt in doubts] == [True]
    grid = look_at(one_image(tmp_path / "b.tif"), "b", labelled=False)
    assert grid.geometry.spacing == (1, 1, 1)
    assert "b.json beside it gives another" in str(grid.doubts[1])
    for name in "ab":
        (tmp_path / f"{name}.json").write_text('{"spacing": [4, 0.5, 0.25]}')
    for file in (tmp_path / "a_0000.tif", tmp_path / "b.tif"):
        geometry, _ = read_header(file)
        assert (geometry.spacing, geometry.codes) == ((0.25, 0.5, 4), "LPS")
    for content in ('{"spacing": [4, 0.5]}', '{"spacing": [4, 0, 1]}', "{}", '{"spacing": "1"}'):
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(InputError, match=r"a.json: `spacing` must be three positive numbers"):
            read_header(tmp_path / "a_0000.tif")


# Datasets.


def write_dataset(folder: Path, cases: dict[str, Any], ending: str, write: Any) -> Path:
    """A dataset of one channel, whose labels are where images are bright."""
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    for case, pixels in cases.items():
        write(folder / "imagesTr" / f"{case}_0000{ending}", pixels)
        write(folder / "labelsTr" / f"{case}{ending}", (pixels > 99).astype(np.uint8))
    description = {
        "channel_names": {"0": "scan"},
        "labels": {"background": 0, "bright": 1},
        "numTraining": len(cases),
        "file_ending": ending,
    }
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


def by_tifffile(path: Path, pixels: Any) -> None:
    tifffile.imwrite(path, pixels, photometric="minisblack")


def checked(folder: Path, **settings: Any) -> str:
    found, data = check_pixels(
        NnunetRawData(source="nnunet_raw", folder=str(folder), folds=2, **settings)
    )
    return "\n".join([*map(str, found), *([] if data is None else data.warnings)])


def test_all_endings_are_read_in_capital_letters_too(tmp_path: Path) -> None:
    pixels = {f"c{n}": (30 * GREY[n:, :, None].repeat(4, 2)).astype(np.uint8) for n in range(4)}

    def write(path: Path, own: Any) -> None:
        small = path.with_name(path.name.lower())
        match small.suffix:
            case ".tif" | ".tiff":
                by_tifffile(small, own.T)
            case ".png" | ".bmp":
                Image.fromarray(own[..., 0]).save(small)
            case _:
                sitk.WriteImage(itk_image(own, spacing=(1, 1, 1)), str(small))
        small.rename(path)

    for ending in FILE_ENDINGS:
        folder = write_dataset(tmp_path / ending[1:], pixels, ending.upper(), write)
        settings = NnunetRawData(source="nnunet_raw", folder=str(folder), folds=2)
        mistakes, data = check_pixels(settings)
        assert (mistakes, data is None) == ([], False)


def test_changed_spacing_beside_a_tiff_is_other_data(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "raw", {"a": PAGES, "b": PAGES}, ".tif", by_tifffile)
    seen = set()
    for spacing in (None, [1, 1, 1], [2, 1, 1]):
        if spacing is not None:
            (folder / "imagesTr" / "a.json").write_text(json.dumps({"spacing": spacing}))
        seen.add(fingerprint([open_raw(folder)], tmp_path / "cache"))
    assert len(seen) == 3


def test_pictures_among_volumes_are_refused(tmp_path: Path) -> None:
    cases = {"a": PAGES, "b": PAGES[0], "c": PAGES}
    folder = write_dataset(tmp_path / "raw", cases, ".tif", by_tifffile)
    assert "holds volumes, and 1 picture without a spacing and an orientation (b)" in checked(
        folder
    )


def test_pictures_cannot_be_resampled(tmp_path: Path) -> None:
    cases = {name: PAGES[n] for n, name in enumerate("abcd")}
    folder = write_dataset(tmp_path / "raw", cases, ".tif", by_tifffile)
    assert "data.spacing: images can be resampled only where" in checked(folder, spacing="median")
    assert "`volumes` needs 3D volumes" in checked(folder, spatial="volumes")


def test_package_that_is_absent_is_named_with_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volumes = {name: PAGES[: 3 + n].T.copy() for n, name in enumerate("ab")}
    folder = write_dataset(
        tmp_path / "raw",
        volumes,
        ".mha",
        lambda path, own: sitk.WriteImage(itk_image(own), str(path)),
    )
    monkeypatch.setattr(installed_packages.importlib.util, "find_spec", lambda _: None)
    words = r"`.mha` needs the package SimpleITK: pip install 'medical-sweep\[formats\]'"
    with pytest.raises(InputError, match=r"dataset.json: " + words):
        open_raw(folder)
    with pytest.raises(InputError, match=words):
        one_image(folder / "imagesTr" / "a_0000.mha")


def test_tiff_whose_compression_needs_a_package_says_which(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, compression="lzw")
    code = f"""
import sys
sys.modules["imagecodecs"] = None  # as where it is not installed
from pathlib import Path
from sweep.data.files.image_file import read_pixels
from sweep.vocabulary.errors import InputError
try:
    read_pixels(Path({str(tmp_path / "a.tif")!r}))
except InputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        f"{tmp_path / 'a.tif'}: `.tif with this compression` needs the package imagecodecs:"
        " pip install 'medical-sweep[formats]'\n"
    )


@pytest.mark.parametrize("ending", FILE_ENDINGS)
def test_file_with_any_damage_is_read_or_refused_and_never_hangs(
    tmp_path: Path, ending: str
) -> None:
    rng, file = np.random.default_rng(1), tmp_path / f"a{ending}"
    if ending in (".tif", ".tiff"):
        by_tifffile(file, PAGES)
    elif ending in (".png", ".bmp"):
        Image.fromarray(GREY).save(file)
    else:
        sitk.WriteImage(itk_image(PAGES.T.copy()), str(file))
    content = file.read_bytes()
    refused = 0
    for _ in range(60):
        damaged, place = bytearray(content), rng.integers(min(len(content), 600))
        match rng.integers(3):
            case 0:
                damaged[place] = rng.integers(256)
            case 1:
                del damaged[place : place + rng.integers(1, 9)]
            case _:
                damaged[place:place] = b"%d" % rng.integers(1000)
        file.write_bytes(damaged)
        try:
            geometry, _ = read_header(file)
            pixels = read_pixels(file)
            assert pixels.shape[: len(geometry.shape)] == geometry.shape
        except InputError as error:
            assert str(file) in str(error)  # noqa: PT017 (either may be)
            refused += 1
    assert refused > 5


def test_tiff_whose_pages_lead_back_to_the_first_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, PAGES[:2], photometric="minisblack", metadata=None)
    with tifffile.TiffFile(file) as opened:
        first, second = (page.offset for page in opened.pages)
        tags = len(opened.pages[1].tags)
    content = bytearray(file.read_bytes())
    struct.pack_into("<I", content, second + 2 + 12 * tags, first)
    file.write_bytes(content)
    assert "circular reference" in said_of(file)
