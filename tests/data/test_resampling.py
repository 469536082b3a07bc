"""Resampling: nnU-Net's own numbers, nothing shifted, predictions measured on the file's grid."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (
    ExperimentPlanner,
)
from nnunetv2.preprocessing.resampling.default_resampling import (
    compute_new_shape,
    determine_do_sep_z_and_axis,
    resample_data_or_seg_to_shape,
)
from raw_dataset import write_cases
from scipy.ndimage import center_of_mass
from torch import Tensor

from sweep.data.files.resampling import (
    resample_image,
    resample_labels,
    resampled_shape,
    separate_axis,
    target_spacing,
)
from sweep.data.nnunet_raw.case_grid import look_at
from sweep.data.nnunet_raw.pixels import RawCase, load_case
from sweep.data.nnunet_raw.raw_dataset import open_raw
from sweep.data.nnunet_raw.regions import Labelled
from sweep.data.prepared.case_arrays import as_stored, prepared_case, resampled
from sweep.data.prepared.prepare import check_pixels, prepare
from sweep.data.prepared.samples import CaseArrays
from sweep.data.sources.source_table import check_data
from sweep.spec.settings.data_settings import NnunetRawData
from sweep.trainer.evaluation.inference import Inference
from sweep.trainer.evaluation.own_grid import classes_on_grid, resized

Steps = Sequence[float]
RNG = np.random.default_rng(7)
NAMED = Labelled(classes=("background", "one", "two", "three"))
SPACINGS: list[tuple[Steps, Steps]] = [
    ((1, 1, 1), (1.3, 0.9, 1.1)),
    ((5, 1, 1), (3.2, 0.8, 1.3)),
    ((1, 1, 1), (4, 1, 1)),  # only the target is anisotropic
    ((1, 0.8, 4), (1, 1, 3)),
    ((0.2, 1.25, 1.25), (1, 1, 1)),  # two coarse axes: none is separate
    ((1, 5, 1), (1.1, 2.5, 1)),  # an even factor: every border is a tie
    ((5, 1, 1), (5 * 14 / 55, 1, 1)),  # a tie of 14 slices that rounding decides
    ((1, 5, 1), (1, 5 * 12 / 47, 1)),  # and of 12
]


@pytest.mark.parametrize(("spacing", "target"), SPACINGS)
def test_images_and_labels_are_bit_for_bit_those_of_nnunet(spacing: Steps, target: Steps) -> None:
    image = RNG.normal(size=(2, 14, 17, 19)).astype(np.float32)
    labels = RNG.integers(0, 4, (14, 17, 19)).astype(np.uint8)
    shape = resampled_shape(labels.shape, spacing, target)
    assert shape == tuple(compute_new_shape(labels.shape, spacing, target))
    separate = separate_axis(spacing, target)
    assert separate == determine_do_sep_z_and_axis(None, spacing, target)[1]
    how: dict[str, Any] = {"new_shape": shape, "current_spacing": spacing, "new_spacing": target}
    of_nnunet = resample_data_or_seg_to_shape(image, **how, order=3, force_separate_z=None)
    np.testing.assert_array_equal(resample_image(image, shape, separate), of_nnunet)
    of_nnunet = resample_data_or_seg_to_shape(
        labels[None], **how, is_seg=True, order=1, force_separate_z=None
    )
    np.testing.assert_array_equal(resample_labels(labels, shape, separate), of_nnunet[0])


@pytest.mark.parametrize(("spacing", "target"), SPACINGS)
def test_scores_return_as_those_of_nnunet(spacing: Steps, target: Steps) -> None:
    scores = RNG.normal(size=(3, 9, 12, 11)).astype(np.float32)
    shape, separate = resampled_shape((9, 12, 11), spacing, target), separate_axis(spacing, target)
    of_nnunet = resample_data_or_seg_to_shape(
        scores, shape, spacing, target, order=1, force_separate_z=None
    )
    own = np.stack([resized(score, shape, separate) for score in torch.from_numpy(scores)])
    np.testing.assert_allclose(own, of_nnunet, atol=1e-5)
    classes = classes_on_grid(torch.from_numpy(scores), shape, separate)
    np.testing.assert_array_equal(classes, own.argmax(axis=0))


@pytest.mark.parametrize(
    ("spacings", "shapes"),
    [
        ([(1, 1, 1), (2, 1, 1.5), (1.2, 0.9, 1)], [(50, 60, 70)] * 3),
        ([(5, 1, 1), (10, 1.2, 1.2), (10, 1, 1)], [(12, 200, 200)] * 3),  # the finest slices count
        ([(5, 1, 1), (10, 1.2, 1.2), (10, 1, 1)], [(90, 200, 200)] * 3),  # as many slices as rows
        ([(0.5, 1, 1), (0.6, 1.2, 1.2), (10, 1, 1), (10, 1, 1), (10, 1, 1)], [(9, 99, 99)] * 5),
    ],
)
def test_target_is_that_of_nnunet(spacings: list[Steps], shapes: list[Steps]) -> None:
    planner = object.__new__(ExperimentPlanner)
    planner.overwrite_target_spacing, planner.anisotropy_threshold = None, 3
    planner.dataset_fingerprint = {"spacings": spacings, "shapes_after_crop": shapes}
    own = target_spacing(np.array(spacings, float), np.array(shapes))
    np.testing.assert_array_equal(own, planner.determine_fullres_target_spacing())


def ellipsoid(shape: Steps, spacing: Steps, radius: float) -> np.ndarray:
    """A ball of this radius in millimetres, in the middle of the box."""
    middle = [(side - 1) / 2 for side in shape]
    offsets = np.ogrid[tuple(slice(0, side) for side in shape)]
    squares = [((at - m) * s) ** 2 for at, m, s in zip(offsets, middle, spacing, strict=True)]
    return (sum(squares) <= radius**2).astype(np.uint8)  # type: ignore[call-overload]


def case_of(label: np.ndarray, spacing: Steps) -> CaseArrays:
    image = label[:, None].astype(np.float32)
    return CaseArrays("a", image, label, (1,), tuple(map(float, spacing)))


def sees_all(images: Tensor) -> Tensor:
    """A network whose prediction is the image, which here is the label."""
    return torch.cat([1 - images, images], dim=1)


@pytest.mark.parametrize(
    ("spacing", "target"),
    [
        ((1, 1, 1), (1.7, 1.7, 1.7)),
        ((1, 1, 1), (0.6, 0.8, 0.7)),
        ((2, 0.8, 0.8), (1.5, 1.2, 1.2)),
        ((2, 0.8, 0.8), (1.2, 1.2)),
    ],
)
def test_perfect_prediction_on_the_resampled_grid_is_nearly_perfect_on_the_own(
    spacing: Steps, target: Steps
) -> None:
    label = ellipsoid((30, 44, 48), spacing, 14)
    case = resampled(case_of(label, spacing), target, NAMED)
    assert case.own is not None
    assert case.own_spacing == tuple(map(float, spacing))
    assert case.labels.shape != label.shape
    seen = case_of(case.labels, case.spacing or ())  # what a perfect network would answer
    volumes = len(target) == 3
    inference = Inference(
        network=sees_all, device=torch.device("cpu"), divisor=(1,) * len(target), volumes=volumes
    )
    own = CaseArrays("a", seen.images, case.labels, (1,), case.spacing, case.own)
    predicted = inference.classes(own)
    assert predicted.shape == label.shape
    dice = 2 * (predicted & label).sum() / (predicted.sum() + label.sum())
    assert dice > 0.97
    # It lies where it lay: a shift by half a voxel would move the centre by 0.5.
    np.testing.assert_allclose(center_of_mass(predicted), center_of_mass(label), atol=0.06)


def test_linear_ramp_keeps_its_values_at_each_place() -> None:
    ramp = np.broadcast_to(np.arange(40, dtype=np.float32), (1, 12, 12, 40))
    new = resample_image(ramp, (12, 12, 25))[0, 5, 5]
    places = (np.arange(25) + 0.5) * 40 / 25 - 0.5  # centres of the new voxels on the old grid
    np.testing.assert_allclose(new[4:-4], places[4:-4], atol=1e-3)


def test_extent_in_millimetres_is_kept() -> None:
    case = case_of(ellipsoid((20, 30, 31), (2, 1, 1), 9), (2, 1, 1))
    new = resampled(case, (1.7, 1.3, 1.3), NAMED)
    assert new.spacing is not None
    np.testing.assert_allclose(np.multiply(new.labels.shape, new.spacing), (40, 30, 31))
    np.testing.assert_allclose(new.spacing, (1.7, 1.3, 1.3), rtol=0.03)


def test_case_with_the_same_number_of_voxels_is_not_touched() -> None:
    case = case_of(ellipsoid((20, 30, 31), (1, 1, 1), 9), (1, 1, 1))
    assert resampled(case, (1.01, 1, 0.99), NAMED) is case


def write_spacings(folder: Path, spacings: list[Steps], shape: Steps = (24, 20, 12)) -> Path:
    """A dataset of NIfTI volumes ``[x, y, z]`` with these spacings."""
    cases = []
    for n, spacing in enumerate(spacings):
        label = ellipsoid(shape, spacing, 7)
        image = (label * 80 + RNG.integers(0, 20, tuple(shape))).astype(np.uint8)
        cases.append(RawCase(f"c{n}", image[None], label, np.diag([*spacing, 1.0])))
    write_cases(folder, cases, "ball")
    return folder


def raw(folder: Path, **changes: Any) -> NnunetRawData:
    return NnunetRawData(source="nnunet_raw", folder=str(folder), **{"folds": 2, **changes})


MIXED: list[Steps] = [(1, 1, 2), (1, 1, 2), (0.8, 0.8, 2), (1, 1, 3)]


def test_volumes_of_mixed_spacings_become_one_and_keep_their_own_labels(tmp_path: Path) -> None:
    folder = write_spacings(tmp_path / "raw", MIXED)
    data = prepare(raw(folder, spatial="volumes", spacing="median"), tmp_path / "cache")
    assert data.origin["spacing"] == [2, 1, 1]  # the slice axis first
    assert data.warnings == ()
    assert data.sizes.endswith("0.8 to 1 × 0.8 to 1 × 2 to 3 mm, resampled to 1×1×2 mm")
    cases = {c.name: c for side in (data.training, data.validation) for c in side.case_arrays}
    assert cases["c0"].own is None
    assert cases["c2"].labels.shape == (12, 19, 16)
    assert cases["c3"].labels.shape == (18, 24, 20)
    for name, case in cases.items():
        label = np.asarray(nibabel.load(folder / "labelsTr" / f"{name}.nii.gz").dataobj)
        np.testing.assert_array_equal(case.reference, np.moveaxis(label, 2, 0))
    assert cases["c3"].own_spacing == (3, 1, 1)
    assert data.training[0].image.shape[1:] == data.training[0].label.shape


def test_slices_are_resampled_in_their_plane_only(tmp_path: Path) -> None:
    folder = write_spacings(tmp_path / "raw", MIXED)
    data = prepare(raw(folder, spacing=[2, 0.5]), tmp_path / "cache")
    assert {sample.label.shape for sample in data.training} <= {(12, 40), (10, 32)}
    for case in (*data.training.case_arrays, *data.validation.case_arrays):
        assert len(case.labels) == 12
        assert case.own is not None


def test_image_of_one_layer_is_resampled_in_its_plane(tmp_path: Path) -> None:
    shape, label = (24, 20, 1), np.zeros((24, 20, 1), np.uint8)
    label[4:12, 5:13] = 1
    write_cases(
        tmp_path / "raw",
        [RawCase(f"c{n}", label[None] * 9, label, np.diag([2.0, 1, 7, 1])) for n in range(4)],
        "box",
    )
    data = prepare(raw(tmp_path / "raw", spacing=(1, 1)), tmp_path / "cache")
    assert data.training[0].label.shape == (48, 20)
    assert data.training.case_arrays[0].reference.shape == (1, *shape[:2])
    median = prepare(raw(tmp_path / "raw", spacing="median"), tmp_path / "cache")
    assert median.origin["spacing"] == [2, 1]


def test_spacing_in_another_unit_is_told_with_the_file_in_place_of_a_size_without_end(
    tmp_path: Path,
) -> None:
    for unit in (1000.0, 0.01):  # a header in metres, one in decimetres
        folder = write_spacings(tmp_path / f"raw{unit}", [(1, 1, 1), [unit] * 3])
        (huge,), _ = check_pixels(raw(folder, spatial="volumes", spacing=(1, 1, 1)))
        assert str(huge.file).endswith("c1_0000.nii.gz")
        assert "mm from pixel to pixel" in huge.message
        assert (" GiB, more than this machine has" in huge.message) is (unit > 1)


def test_median_does_not_look_at_test_cases(tmp_path: Path) -> None:
    folder = write_spacings(tmp_path / "raw", MIXED)
    for share in (0.0, 0.5):
        settings = raw(folder, spatial="volumes", spacing="median", test=share)
        data = prepare(settings, tmp_path / "cache")
        rest = {c.name for side in (data.training, data.validation) for c in side.case_arrays}
        expected = np.median([MIXED[int(name[1:])] for name in sorted(rest)], axis=0)
        assert data.origin["spacing"] == pytest.approx(expected[[2, 0, 1]])  # stored in 32 bits


def test_data_have_the_spacing_they_were_resampled_to_in_each_fold(tmp_path: Path) -> None:
    """Not that of their whole voxels: 2.03 and 1.98 mm would give networks of other strides."""
    folder = write_spacings(tmp_path / "raw", [(1, 1, 1.55), (1, 1, 1.49)] * 2)
    for fold in (0, 1):
        data = prepare(raw(folder, spatial="volumes", spacing=(2, 1, 1), fold=fold))
        steps = {case.spacing[0] for case in data.training.case_arrays if case.spacing}
        assert 2 not in steps
        assert data.spacing == (2, 1, 1)
    assert prepare(raw(folder, spacing=(0.9, 1.1))).spacing == (0.9, 1.1)


def test_spacing_is_content_of_the_cache_and_opens_again(tmp_path: Path) -> None:
    folder = write_spacings(tmp_path / "raw", MIXED)
    settings = raw(folder, spatial="volumes", spacing=(2, 1, 1))
    first, again = (prepare(settings, tmp_path / "cache") for _ in range(2))
    for one, other in zip(first.training, again.training, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
    prepare(settings.model_copy(update={"spacing": None}), tmp_path / "cache")
    assert len([path for path in (tmp_path / "cache").iterdir() if path.is_dir()]) == 2


def test_differing_spacings_are_told_with_their_cure_and_the_cure_ends_it(tmp_path: Path) -> None:
    folder = write_spacings(tmp_path / "raw", MIXED)
    _, data = check_pixels(raw(folder))
    assert data is not None
    [told] = data.warnings
    assert told.endswith("`data.spacing: median` brings all cases to one spacing")
    _, data = check_pixels(raw(folder, spacing="median"))
    assert data is not None
    assert data.warnings == ()


def test_png_holds_neither_millimetres_nor_volumes(write_grey: Any) -> None:
    messages = [str(m) for m in check_data(raw(write_grey(), spacing="median", spatial="volumes"))]
    assert [message.partition(": ")[0] for message in messages] == ["data.spatial", "data.spacing"]
    assert messages[0].endswith("needs 3D volumes, but the dataset holds .png images: use `slices`")
    assert "convert them to NIfTI" in messages[1]


def test_image_among_volumes_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_spacings(tmp_path / "raw", MIXED)
    for path in folder.glob("*/c1*"):
        nibabel.save(
            nibabel.Nifti1Image(np.asarray(nibabel.load(path).dataobj)[..., :1], np.eye(4)), path
        )
    prepare(raw(folder))  # its slices, in the same cache, are no reason to let it pass
    mistakes, _ = check_pixels(raw(folder, spatial="volumes"))
    assert [str(mistake) for mistake in mistakes] == [
        "data.spatial: `volumes` needs 3D volumes, but 1 of 4 cases (c1) is a 2D image: use"
        " `slices`, which cuts volumes and takes images as they are"
    ]


@pytest.mark.parametrize(
    ("spatial", "spacing"), [("slices", [1, 1, 1]), ("volumes", [1, 1]), ("volumes", [0, 1, 1])]
)
def test_spacing_has_a_positive_number_for_each_axis(spatial: str, spacing: list[float]) -> None:
    with pytest.raises(ValueError, match=r"must be|greater than 0"):
        NnunetRawData(source="nnunet_raw", folder="x", spatial=spatial, spacing=spacing)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SLP", "AIR"])
def test_prediction_returns_to_the_axes_of_its_file(tmp_path: Path, codes: str) -> None:
    folder = write_spacings(tmp_path / "raw", [(1, 1.5, 3)] * 2)
    for path in folder.glob("*/*.nii.gz"):
        image = nibabel.load(path)
        nibabel.save(image.as_reoriented(nibabel.orientations.axcodes2ornt(codes)), path)
    dataset = open_raw(folder)
    grid = look_at(dataset, "c1")
    image, label = load_case(dataset, "c1", grid)
    for axis in range(3):
        case = prepared_case(
            dataset, "c1", image, label, grid, slice_axis=axis, normalization="zscore"
        )
        stored = np.asarray(nibabel.load(folder / "labelsTr" / "c1.nii.gz").dataobj)
        np.testing.assert_array_equal(as_stored(case.reference, grid, axis), stored)


@pytest.mark.parametrize("shape", [(24, 20), (24, 20, 1), (24, 1, 20), (1, 24, 20)])
def test_prediction_of_an_image_gets_its_axes_of_length_1_back(tmp_path: Path, shape: Any) -> None:
    pixels = RNG.integers(0, 2, shape).astype(np.uint8)
    write_cases(
        tmp_path / "raw", [RawCase("c", pixels[None], pixels, np.diag([-2.0, 1, 3, 1]))], "box"
    )
    dataset = open_raw(tmp_path / "raw")
    grid = look_at(dataset, "c", labelled=False)
    image, label = load_case(dataset, "c", grid=look_at(dataset, "c"))
    case = prepared_case(dataset, "c", image, label, grid, slice_axis=2, normalization="zscore")
    np.testing.assert_array_equal(as_stored(case.reference, grid, 2), pixels)


def test_patch_that_is_mostly_padding_is_told_of_volumes(tmp_path: Path) -> None:
    folder = write_spacings(tmp_path / "raw", [(1, 1, 1)] * 4)
    settings = raw(folder, spatial="volumes", patch_size=[32, 24, 24])
    [told] = prepare(settings, tmp_path / "cache").warnings
    assert told.startswith(
        "more than half of a training patch is padding in 2 of 2 training cases: c1 has 12×24×20"
        " voxels, and `data.patch_size` is 32×24×24"
    )
    fits = raw(folder, spatial="volumes", patch_size=[16, 24, 24])
    assert prepare(fits, tmp_path / "cache").warnings == ()


def test_damaged_labels_of_the_own_grid_are_packed_again(tmp_path: Path) -> None:
    settings = raw(write_spacings(tmp_path / "raw", MIXED), spatial="volumes", spacing="median")
    expected = [
        np.array(c.reference) for c in prepare(settings, tmp_path / "c").training.case_arrays
    ]
    [packed] = (tmp_path / "c").glob("*/own.u8")
    packed.write_bytes(packed.read_bytes()[:-1])
    found = prepare(settings, tmp_path / "c").training.case_arrays
    for case, reference in zip(found, expected, strict=True):
        np.testing.assert_array_equal(case.reference, reference)
