"""What the headers of a whole dataset say: its slice axis, and what its cases do not share."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from raw_dataset import write_cases

from sweep.data.nnunet_raw.pixels import RawCase
from sweep.data.prepared.prepare import check_pixels, prepare
from sweep.spec.settings.data_settings import NnunetRawData
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trial.kinds.kind_table import make_ready
from sweep.vocabulary.errors import InputError

Spacing = tuple[float, float, float]


def stacks(
    folder: Path, spacings: list[Spacing], shape: tuple[int, int, int] = (20, 24, 28)
) -> Path:
    """A dataset with a case of each spacing."""
    label = np.zeros(shape, np.uint8)
    label[tuple(slice(n // 3, n // 2 + 1) for n in shape)] = 1
    write_cases(
        folder,
        [
            RawCase(f"c{n}", label[None] * (50 + n), label, np.diag([*spacing, 1.0]))
            for n, spacing in enumerate(spacings)
        ],
        "box",
    )
    return folder


def settings_of(folder: Path, **changes: Any) -> NnunetRawData:
    return NnunetRawData(source="nnunet_raw", folder=str(folder), **{"folds": 2, **changes})


def warnings_of(folder: Path, **changes: Any) -> list[str]:
    mistakes, data = check_pixels(settings_of(folder, **changes))
    assert mistakes == []
    assert data is not None
    return list(data.warnings)


@pytest.mark.parametrize(
    ("spacings", "axis"),
    [
        ([(1.0, 1.0, 1.0)] * 4, 2),
        ([(1.0, 1.0, 0.995)] * 4, 2),  # as good as equal
        ([(5.0, 1.0, 1.0)] * 4, 0),
        ([(1.0, 5.0, 1.0)] * 4, 1),
        ([(1.0, 1.0, 5.0)] * 4, 2),
        ([(5.0, 1.0, 1.0)] * 3 + [(1.0, 1.0, 9.0)], 0),  # the median decides
        ([(3.0, 3.0, 1.0)] * 4, 1),
    ],
)
def test_auto_cuts_along_the_axis_of_the_coarsest_spacing_and_says_so_unless_axial(
    tmp_path: Path, spacings: list[Spacing], axis: int
) -> None:
    data = prepare(settings_of(stacks(tmp_path / "raw", spacings)))
    plane = ("sagittal", "coronal", "axial")[axis]
    told = f"`data.slice_axis: auto` cuts volumes into {plane} slices"
    assert any(warning.startswith(told) for warning in data.warnings) == (axis != 2)
    assert data.origin["slice_axis"] == axis
    assert len(data.training) == len(data.training.cases) * (20, 24, 28)[axis]
    assert data.training[0].label.shape == tuple(np.delete((20, 24, 28), axis))


def test_axis_that_is_asked_for_is_taken_and_a_coarser_one_told(tmp_path: Path) -> None:
    folder = stacks(tmp_path / "raw", [(1.0, 1.0, 1.0)] * 3 + [(5.0, 1.0, 1.0)])
    warnings = warnings_of(folder, slice_axis=2)
    assert warnings[0].startswith(
        "slices are cut along axis 2, but the coarsest spacing lies along another in 1 of 4 cases"
        " (c3): c3 has 5×1×1 mm, so its slices have pixels of 5×1 mm; `data.slice_axis: 0`"
    )
    assert not any("auto" in warning for warning in warnings)
    assert prepare(settings_of(folder, slice_axis=2)).origin["slice_axis"] == 2


def test_equal_spacings_along_the_asked_axis_are_nothing_to_tell(tmp_path: Path) -> None:
    assert warnings_of(stacks(tmp_path / "raw", [(1.0, 1.0, 5.0)] * 4), slice_axis=2) == []


def test_spacings_that_differ_are_told_with_their_range_and_how_many(tmp_path: Path) -> None:
    spacings = [(1.0, 1.0, 5.0)] * 5 + [(1.005, 1.0, 5.0), (0.5, 0.5, 5.0), (1.0, 1.0, 3.0)]
    [told] = warnings_of(stacks(tmp_path / "raw", spacings), slice_axis=2)
    assert told.startswith(
        "the spacing differs between cases: 0.5 to 1 × 0.5 to 1 × 3 to 5 mm; 2 of 8 cases (c6, c7)"
        " are more than 1 % off the median. Nothing is resampled"
    )
    assert told.endswith("`data.spacing: median` brings all cases to one spacing")


def test_every_case_is_one_as_its_verb_says(tmp_path: Path) -> None:
    [told] = warnings_of(stacks(tmp_path / "raw", [(1.0, 1.0, z) for z in (3.0, 4.0)]))
    assert "; every case is more than 1 % off the median" in told
    flat = stacks(tmp_path / "flat", [(1.0, 1.0, 1.0)] * 4, shape=(20, 24, 1))
    [mistake], _ = check_pixels(settings_of(flat, spatial="volumes"))
    assert "needs 3D volumes, but every case is a 2D image: use `slices`" in str(mistake)


def test_pixels_that_are_no_squares_are_told(tmp_path: Path) -> None:
    [told] = warnings_of(stacks(tmp_path / "raw", [(1.0, 2.0, 5.0)] * 4), slice_axis=2)
    assert told.startswith("pixels are not square in every case: c0 has 1×2 mm")


def test_thin_slices_are_told(tmp_path: Path) -> None:
    folder = stacks(tmp_path / "raw", [(1.0, 1.0, 1.0)] * 4, shape=(9, 24, 28))
    [told] = warnings_of(folder, slice_axis=2)
    assert told.startswith("slices are thin in every case: those of c0 have 9×24 pixels")
    assert warnings_of(folder, slice_axis=0) == []


def test_case_that_is_stored_otherwise_than_the_rest_is_turned_and_named(tmp_path: Path) -> None:
    folder = stacks(tmp_path / "raw", [(1.0, 1.0, 5.0)] * 4)
    before = prepare(settings_of(folder, slice_axis=2))
    for path in folder.glob("*/c2*"):
        image = nibabel.load(path)
        codes = nibabel.orientations.axcodes2ornt("SLP")
        nibabel.save(image.as_reoriented(codes), path)
    [told] = warnings_of(folder, slice_axis=2)
    assert (
        told
        == "1 of 4 cases (c2) is stored as "
        + "".join(nibabel.aff2axcodes(nibabel.load(folder / "labelsTr" / "c2.nii.gz").affine))
        + ", most as RAS: all are reoriented to RAS"
    )
    after = prepare(settings_of(folder, slice_axis=2))
    for one, other in zip(before.training, after.training, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.label, other.label)


def test_channel_that_is_the_same_everywhere_is_told_once_with_a_count(tmp_path: Path) -> None:
    label = np.eye(16, dtype=np.uint8)
    write_cases(
        tmp_path / "raw",
        [RawCase(f"c{n}", np.stack([label * (9 + n), label * 0 + 3]), label) for n in range(25)],
        "line",
        channels=["T1", "missing"],
        ending=".png",
    )
    [told] = warnings_of(tmp_path / "raw")
    assert told == (
        "imagesTr/c0_0001.png: the channel `missing` is 3 everywhere: it says"
        " nothing about this case; the same of 24 more files, such as c1_0001.png"
    )


def test_copy_of_an_image_is_told_with_the_case_that_has_it(tmp_path: Path) -> None:
    label = np.eye(16, dtype=np.uint8)
    images = np.random.default_rng(0).integers(0, 255, (6, 1, 16, 16)).astype(np.uint8)
    images[3] = images[1]
    images[4:] = 7  # what is blank is no copy
    write_cases(
        tmp_path / "raw",
        [RawCase(f"c{n}", image, label) for n, image in enumerate(images)],
        "line",
        ending=".png",
    )
    copied, blank = sorted(warnings_of(tmp_path / "raw"))
    assert copied.startswith("imagesTr/c3_0000.png: holds the same pixels as the image of c1: a")
    assert copied.endswith("keep them together by `data.groups`")
    assert "c4_0000.png: the channel `scan` is 7 everywhere" in blank


def test_mistake_of_every_file_is_told_once_with_a_count(tmp_path: Path) -> None:
    folder = stacks(tmp_path / "raw", [(1.0, 1.0, 1.0)] * 25)
    for path in (folder / "labelsTr").iterdir():
        image = nibabel.load(path)
        nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj) * 7, image.affine), path)
    (folder / "imagesTr" / "c3_0000.nii.gz").write_bytes(b"no image")
    with pytest.raises(InputError) as caught:
        prepare(settings_of(folder))
    unreadable, unnamed = str(caught.value).splitlines()
    assert "/imagesTr/c3_0000.nii.gz: cannot be read as an image" in unreadable
    assert "/labelsTr/c0.nii.gz: holds the value 7, but `labels` of dataset.json names" in unnamed
    assert unnamed.endswith("; the same of 23 more files, such as c1.nii.gz")


def test_warnings_are_told_by_the_cache_too(tmp_path: Path) -> None:
    folder = stacks(tmp_path / "raw", [(5.0, 1.0, 1.0)] * 4)
    first = prepare(settings_of(folder))
    assert first.warnings
    assert prepare(settings_of(folder)).warnings == first.warnings


@pytest.mark.parametrize(("side", "refused"), [(8, True), (9, False)])
def test_image_that_the_network_halves_to_a_single_pixel_is_refused_before_a_trial(
    tmp_path: Path, side: int, refused: bool
) -> None:
    label = np.zeros((5, side), np.uint8)
    label[1:4, 2:6] = 1
    write_cases(
        tmp_path / "raw",
        [RawCase(f"c{n}", label[None] * 50, label) for n in range(4)],
        "box",
        ending=".png",
    )
    settings = TrialSettings(data=settings_of(tmp_path / "raw"))  # four levels
    padded = settings.model_copy(update={"data": settings_of(tmp_path / "raw", patch_size=16)})
    assert make_ready(padded) is not None  # as every image then is, by validation too
    if refused:
        with pytest.raises(InputError, match="4 levels leave a single pixel of 8"):
            make_ready(settings)
    else:
        assert make_ready(settings) is not None
