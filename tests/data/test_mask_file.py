"""From a grid to files and back, and masks beside the images that they belong to."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 (its usual name)
from hypothesis import given
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, inv_ornt_aff

from sweep.data.files.image_file import write_mask
from sweep.data.files.image_geometry import Geometry
from sweep.data.nnunet_raw.case_grid import CaseGrid
from sweep.data.prepared.case_arrays import as_stored

ORIENTATIONS = [
    "".join(axes) for order in permutations(("RL", "AP", "SI")) for axes in product(*order)
]
SHAPE = st.tuples(*[st.integers(1, 4)] * 3).filter(lambda shape: sum(n > 1 for n in shape) >= 2)


def test_there_are_48_orientations() -> None:
    assert len(set(ORIENTATIONS)) == 48


@given(codes=st.sampled_from(ORIENTATIONS), shape=SHAPE, slice_axis=st.integers(0, 2))
def test_pixels_laid_on_the_grid_and_stored_again_are_where_they_were(
    codes: str, shape: tuple[int, int, int], slice_axis: int
) -> None:
    affine = np.linalg.inv(inv_ornt_aff(axcodes2ornt(codes), shape))
    file = Geometry(shape, (1.0, 1.0, 1.0), affine)
    assert file.codes == codes
    grid = CaseGrid(file.turned(file.orientation), codes, (file.orientation,), shape)
    stored = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    laid = grid.laid(stored, 0)
    np.testing.assert_array_equal(grid.as_stored(laid), stored)
    slices = np.moveaxis(laid, slice_axis, 0) if laid.ndim == 3 else laid[None]
    np.testing.assert_array_equal(as_stored(slices, grid, slice_axis), stored)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (0, 2), (1, 1)])
def test_mask_has_the_geometry_of_its_image_for_nibabel_and_for_itk(
    tmp_path: Path, ending: str, codes: tuple[int, int]
) -> None:
    affine = np.diag([-0.5, 0.75, 3.0, 1.0])
    affine[:3, 3] = 7, 8, -9
    image = nibabel.Nifti1Image(np.linspace(-900, 900, 60, dtype=np.int16).reshape(5, 4, 3), affine)
    image.header.set_slope_inter(0.5, 10)  # must not scale the classes
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, codes[0])
    image.set_sform(affine, codes[1])
    like, path = tmp_path / f"image{ending}", tmp_path / f"mask{ending}"
    nibabel.save(image, like)
    classes = (np.arange(60) % 256).astype(np.uint8).reshape(5, 4, 3)
    write_mask(path, classes, like)
    mask, own = nibabel.load(path), nibabel.load(like)
    np.testing.assert_array_equal(np.asanyarray(mask.dataobj), classes)
    np.testing.assert_array_equal(mask.affine, own.affine)
    assert mask.header["qform_code"] == own.header["qform_code"]
    assert mask.header["sform_code"] == own.header["sform_code"]
    assert mask.header.get_xyzt_units() == own.header.get_xyzt_units()
    # The reader of nnU-Net and of most viewers.
    seen, wanted = sitk.ReadImage(str(path)), sitk.ReadImage(str(like))
    for of in ("GetSpacing", "GetOrigin", "GetDirection", "GetSize"):
        assert getattr(seen, of)() == getattr(wanted, of)()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(seen), classes.T)


def test_mask_of_an_image_with_a_broken_orientation_has_that_too(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.zeros((5, 4, 3), np.int16), np.eye(4))
    image.header["srow_x"][0] = np.nan  # read with a warning, as if there were no orientation
    like, path = tmp_path / "image.nii", tmp_path / "mask.nii"
    like.write_bytes(image.header.binaryblock + bytes(4) + bytes(120))
    write_mask(path, np.ones((5, 4, 3), np.uint8), like)
    mask, own = nibabel.load(path), nibabel.load(like)
    assert np.asanyarray(mask.dataobj).all()
    np.testing.assert_array_equal(mask.affine, own.affine)
    assert mask.header["sform_code"] == own.header["sform_code"] > 0


def test_same_mask_gives_the_same_bytes_and_nothing_else_is_left(tmp_path: Path) -> None:
    like = tmp_path / "image.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5), np.float32), np.eye(4)), like)
    for name in ("one.nii.gz", "two.nii.gz"):
        write_mask(tmp_path / name, np.ones((3, 4, 5), np.uint8), like)
    assert (tmp_path / "one.nii.gz").read_bytes() == (tmp_path / "two.nii.gz").read_bytes()
    assert len(list(tmp_path.iterdir())) == 3
