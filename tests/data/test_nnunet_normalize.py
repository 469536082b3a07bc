"""``data.normalization: nnunet``: nnU-Net's own numbers, from its fingerprint to its arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest
from nnunetv2.experiment_planning.dataset_fingerprint import fingerprint_extractor
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (
    ExperimentPlanner,
)
from nnunetv2.imageio.natural_image_reader_writer import NaturalImage2DIO
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape
from nnunetv2.utilities import utils
from raw_dataset import write_cases

from sweep.data.files.nnunet_normalize import DatasetIntensities
from sweep.data.nnunet_raw.pixels import RawCase, write_raw
from sweep.data.prepared.data_facts import DataFacts
from sweep.data.prepared.prepare import check_pixels, prepare
from sweep.data.prepared.samples import CaseArrays, PreparedData
from sweep.data.sources.source_table import open_source
from sweep.spec.load import load_sweep
from sweep.spec.settings.data_settings import NnunetRawData
from sweep.trial.trainer_check import TrainerCheck

SHAPES = [(20, 18, 12), (17, 21, 9), (24, 16, 10), (19, 19, 11)]
SPACINGS = [(0.71, 0.83, 2.5), (0.9, 0.9, 1.1), (1.3, 0.7, 5.0), (0.77, 0.77, 3.3)]


def scan(shape: Sequence[int], seed: int, dtype: Any = np.int16) -> tuple[Any, Any]:
    """A CT ``[1, X, Y, Z]`` with air, an organ of another brightness in each case, and metal."""
    rng = np.random.default_rng(seed)
    label = np.zeros(shape, np.uint8)
    label[tuple(slice(n // 4, n // 4 + n // 2 + seed % 2) for n in shape)] = 1
    label[tuple(slice(n // 3, n // 2) for n in shape)] = 2
    held = label.astype(float)
    image = rng.normal(-900, 30, shape) + held * (950 + 12 * seed + rng.normal(0, 25, shape))
    image[rng.random(shape) < 0.002] = 3071
    return image[None].astype(dtype), label


def volumes(
    folder: Path,
    channels: Sequence[str],
    *,
    margin: tuple[int, int, int] = (0, 0, 0),
    dtype: Any = np.int16,
    **more: Any,
) -> Path:
    """A dataset of NIfTI volumes; ``margin`` voxels on each side are 0."""
    cases = []
    for seed, (shape, spacing) in enumerate(zip(SHAPES, SPACINGS, strict=True)):
        image, label = scan(shape, seed, dtype)
        rng = np.random.default_rng(100 + seed)
        others = [rng.integers(1, 255, shape).astype(dtype) for _ in channels[1:]]
        image = np.stack([image[0], *others])
        if any(margin):
            inside = tuple(slice(out, n - out) for out, n in zip(margin, shape, strict=True))
            cut = np.zeros_like(image)
            cut[(slice(None), *inside)] = image[(slice(None), *inside)]
            cut[:, shape[0] // 2, shape[1] // 2, shape[2] // 2] = 0  # a hole
            image, label = cut, np.where(cut[0] != 0, label, 0).astype(np.uint8)
        cases.append(RawCase(f"c{seed}", image, label, np.diag([*spacing, 1.0])))
    write_cases(folder, cases, "organ", "tumour", channels=channels, **more)
    return folder


def pictures(folder: Path, channels: Sequence[str]) -> Path:
    """A dataset of PNG images that are mostly 0, with a hole in what is not."""
    rng = np.random.default_rng(5)
    cases = []
    for number in range(4):
        image = np.zeros((1, 24, 30), np.uint8)
        image[:, 4:14, 5:18] = rng.integers(1, 255, (1, 10, 13))
        image[:, 8:10, 9:12] = 0
        label = (image[0] > 120).astype(np.uint8)
        cases.append(RawCase(f"c{number}", image, label))
    labels = {"background": 0, "bright": 1}
    write_raw(folder, cases, name="png", channel_names=channels, labels=labels, file_ending=".png")
    return folder


def settings(folder: Path, **changes: Any) -> NnunetRawData:
    changes = {"folds": 2, "slice_axis": 2, "normalization": "nnunet", **changes}
    return NnunetRawData(source="nnunet_raw", folder=str(folder), **changes)


def cases_of(data: PreparedData) -> dict[str, CaseArrays]:
    sides = (data.training, data.validation, data.test)
    return {case.name: case for side in sides for case in side.case_arrays}


def intensities_of(data: PreparedData) -> DatasetIntensities:
    assert data.intensities is not None
    return data.intensities


# nnU-Net itself


def fingerprint(folder: Path, monkeypatch: pytest.MonkeyPatch, voxels: float) -> Any:
    """What nnU-Net's own extractor finds, in threads where it would start processes."""
    monkeypatch.setattr(fingerprint_extractor, "nnUNet_raw", str(folder.parent))
    monkeypatch.setattr(fingerprint_extractor, "nnUNet_preprocessed", str(folder.parent / "done"))
    monkeypatch.setattr(
        fingerprint_extractor,
        "multiprocessing",
        SimpleNamespace(get_context=lambda _: SimpleNamespace(Pool=ThreadPool)),
    )
    monkeypatch.setattr(utils, "Pool", ThreadPool)
    monkeypatch.setattr(
        fingerprint_extractor, "maybe_convert_to_dataset_name", lambda _: folder.name
    )
    extractor = fingerprint_extractor.DatasetFingerprintExtractor(folder.name, 1)
    extractor.num_foreground_voxels_for_intensitystats = voxels
    extractor.show_progress_bar = False
    return extractor.run()


def schemes(folder: Path, found: Any) -> dict[str, Any]:
    description = json.loads((folder / "dataset.json").read_text())
    planner = SimpleNamespace(dataset_json=description, dataset_fingerprint=found)
    how = ExperimentPlanner.determine_normalization_scheme_and_whether_mask_is_used_for_norm
    names, masked = how(planner)
    return {"normalization_schemes": names, "use_mask_for_norm": masked}


def of_nnunet(
    files: Sequence[Path], plan: dict[str, Any], of: DatasetIntensities, spacing: Any = None
) -> tuple[Any, tuple[slice, ...]]:
    """nnU-Net's array ``[C, z, y, x]`` of a case by our statistics, and the box that it cut out."""
    reader = NaturalImage2DIO if files[0].suffix == ".png" else SimpleITKIO
    _, properties = reader().read_images([str(file) for file in files])
    plans = SimpleNamespace(
        image_reader_writer_class=reader,
        transpose_forward=[0, 1, 2],
        foreground_intensity_properties_per_channel={
            str(n): {}
            if one is None
            else {
                "mean": one.mean,
                "std": one.deviation,
                "percentile_00_5": one.low,
                "percentile_99_5": one.high,
            }
            for n, one in enumerate(of.foreground)
        },
    )
    resample = partial(resample_data_or_seg_to_shape, order=3, force_separate_z=None)
    configuration = SimpleNamespace(
        spacing=spacing or list(properties["spacing"]),
        resampling_fn_data=resample,
        resampling_fn_seg=partial(resample_data_or_seg_to_shape, is_seg=True, order=1),
        **plan,
    )
    image, _, done = DefaultPreprocessor(verbose=False).run_case(
        [str(file) for file in files], None, plans, configuration, {}
    )
    return image, tuple(slice(low, high) for low, high in done["bbox_used_for_cropping"])


def has_zscore(channels: Sequence[str]) -> bool:
    return any(name in ("T1", "T2", "PET", "grey") for name in channels)


def as_nnunet(case: CaseArrays) -> Any:
    """Our ``[z, C, x, y]`` of a volume, or ``[1, C, H, W]`` of an image, as ``[C, z, y, x]``."""
    images = case.images.swapaxes(0, 1)
    return images if len(images[0]) == 1 else images.swapaxes(2, 3)


def files_of(folder: Path, case: str) -> list[Path]:
    return sorted((folder / "imagesTr").glob(f"{case}_*"))


KINDS = {
    "CT of int16": lambda f: volumes(f, ["CT"]),
    "CT of float32": lambda f: volumes(f, ["CT"], dtype=np.float32),
    "CT with a margin of 0": lambda f: volumes(f, ["CT"], margin=(3, 3, 3)),
    "CT and PET": lambda f: volumes(f, ["ct", "PET"]),
    "CT and PET with a margin of 0": lambda f: volumes(f, ["CT", "PET"], margin=(3, 3, 3)),
    "every other name": lambda f: volumes(f, ["noNorm", "rescale_to_0_1", "RGB_to_0_1", "T1"]),
    "MRI": lambda f: volumes(f, ["T1", "T2"]),
    "MRI with a small margin": lambda f: volumes(f, ["T1", "T2"], margin=(1, 0, 0)),
    "MRI without its skull": lambda f: volumes(f, ["T1", "T2"], margin=(3, 3, 3)),
    "PNG": lambda f: pictures(f, ["grey"]),
    "PNG in CT's name": lambda f: pictures(f, ["CT"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_statistics_and_values_are_those_of_nnunet(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = KINDS[kind](tmp_path / "Dataset001_Set")
    data = prepare(settings(folder), tmp_path / "cache")
    of = intensities_of(data)
    found = fingerprint(folder, monkeypatch, voxels=4e6 if any(of.foreground) else 4e3)
    for number, one in enumerate(of.foreground):
        theirs = found["foreground_intensity_properties_per_channel"][number]
        if one is not None:  # nnU-Net draws a million voxels of each case at random, we take all
            near = partial(pytest.approx, abs=0.004 * theirs["std"])
            assert (one.mean, one.deviation) == (near(theirs["mean"]), near(theirs["std"]))
            assert one.low == near(theirs["percentile_00_5"])
            assert one.high == near(theirs["percentile_99_5"])
    plan = schemes(folder, found)
    assert any(plan["use_mask_for_norm"]) == (of.masked and has_zscore(data.channels))
    for name, case in cases_of(data).items():
        expected, box = of_nnunet(files_of(folder, name), plan, of)
        ours = as_nnunet(case)[(slice(None), *box)]
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)


def test_resampled_ct_has_the_values_of_nnunet(tmp_path: Path) -> None:
    folder = volumes(tmp_path / "set", ["CT"])
    target = (2.0, 0.9, 0.9)
    data = prepare(settings(folder, spacing=target, spatial="volumes"), tmp_path / "cache")
    plan = {"normalization_schemes": ["CTNormalization"], "use_mask_for_norm": [False]}
    for name, case in cases_of(data).items():
        expected, _ = of_nnunet(files_of(folder, name), plan, intensities_of(data), [*target])
        np.testing.assert_allclose(as_nnunet(case), expected, rtol=1e-5, atol=1e-5)


# Whose statistics


def test_every_fold_has_the_statistics_of_all_cases_and_the_model_keeps_them(
    tmp_path: Path,
) -> None:
    folder = volumes(tmp_path / "set", ["CT"])
    first, second = (prepare(settings(folder, fold=n), tmp_path / "cache") for n in (0, 1))
    assert first.intensities == second.intensities == first.on_all_cases().intensities
    facts = DataFacts.of(first).to_json()
    assert DataFacts.read(json.loads(json.dumps(facts))).intensities == first.intensities
    [of] = intensities_of(first).foreground
    assert of is not None
    assert first.sizes.endswith(f", CT clipped to {of.low:g} to {of.high:g}")


def test_facts_of_models_from_before_are_read(tmp_path: Path) -> None:
    folder = volumes(tmp_path / "set", ["T1"])
    facts = DataFacts.of(prepare(settings(folder, normalization="zscore"), tmp_path)).to_json()
    assert facts.pop("intensities") is None
    assert DataFacts.read(facts).intensities is None


def test_test_cases_are_left_out_of_the_statistics_and_normalised_by_them(tmp_path: Path) -> None:
    extra = RawCase("far", *scan(SHAPES[0], 60))
    folder = volumes(tmp_path / "set", ["CT"], test=[extra])
    plain = prepare(settings(folder), tmp_path / "cache")
    own = prepare(settings(folder, test="imagesTs"), tmp_path / "cache")
    assert own.intensities == plain.intensities
    [one] = intensities_of(own).foreground
    assert one is not None
    image = np.moveaxis(extra.image[0], 2, 0).astype(np.float32)
    expected = (np.clip(image, one.low, one.high) - one.mean) / one.deviation
    np.testing.assert_allclose(cases_of(own)["far"].images[:, 0], expected, rtol=1e-5)
    shared = prepare(settings(folder, test=0.3), tmp_path / "cache")
    rest = {*shared.training.cases, *shared.validation.cases}
    cases = [scan(SHAPES[n], n) for n in range(4) if f"c{n}" in rest]
    of_rest = DatasetIntensities.of(["CT"], [(i.astype(np.float32), m) for i, m in cases])
    assert shared.intensities == of_rest != plain.intensities


def test_each_case_weighs_the_same_whatever_its_size() -> None:
    def case(voxels: int, value: float) -> tuple[Any, Any]:
        return np.full((1, voxels, 1, 1), value, np.float32), np.ones((voxels, 1, 1), np.uint8)

    [of] = DatasetIntensities.of(["CT"], [case(10, 1), case(10_000, 3)]).foreground
    assert of is not None
    assert (of.low, of.high, of.mean, of.deviation) == (1, 3, 2, 1)


# What is refused, and what is told


def only_mistake(folder: Path, **changes: Any) -> str:
    mistakes, data = check_pixels(settings(folder, **changes))
    assert data is None
    [mistake] = mistakes
    return str(mistake)


def test_ct_without_foreground_is_refused(tmp_path: Path) -> None:
    folder = volumes(tmp_path / "set", ["CT"])
    for seed, shape in enumerate(SHAPES):
        blank = nibabel.Nifti1Image(np.zeros(shape, np.uint8), np.diag([*SPACINGS[seed], 1.0]))
        nibabel.save(blank, folder / "labelsTr" / f"c{seed}.nii.gz")
    assert "`nnunet` takes the intensities of CT from the foreground" in only_mistake(folder)


def test_a_channel_named_rgb_must_hold_bytes(tmp_path: Path) -> None:
    folder = volumes(tmp_path / "set", ["rgb_to_0_1"])
    told = only_mistake(folder)
    assert "the channel `rgb_to_0_1` reaches from -" in told
    assert "must be within 0 and 255" in told


def test_a_broken_file_is_told_once_though_cases_are_read_twice(tmp_path: Path) -> None:
    folder = volumes(tmp_path / "set", ["CT"])
    (folder / "imagesTr" / "c2_0000.nii.gz").write_bytes(b"no image")
    assert "c2_0000.nii.gz" in only_mistake(folder)


@pytest.mark.parametrize(
    ("channel", "normalization", "told"),
    [
        ("CT", "zscore", "`data.normalization: nnunet` scales all cases alike"),
        ("ct", "minmax", "`data.normalization: nnunet` scales all cases alike"),
        ("CT_portal", "zscore", "`data.normalization: nnunet`, and `CT_portal` called `CT`"),
        ("CT_portal", "nnunet", "`data.normalization: nnunet`, and `CT_portal` called `CT`"),
        ("CT", "nnunet", ""),
        ("T2", "zscore", ""),
        ("ductal contrast", "zscore", ""),
    ],
)
def test_ct_that_is_normalised_case_by_case_is_told(
    tmp_path: Path, channel: str, normalization: str, told: str
) -> None:
    folder = volumes(tmp_path / "set", [channel])
    doubts = open_source(settings(folder, normalization=normalization)).doubts()
    assert [told in str(doubt) for doubt in doubts] == ([True] if told else [])


@pytest.mark.parametrize(("space", "count"), [("[nnunet]", 0), ("[nnunet, zscore]", 1)])
def test_a_searched_normalisation_is_judged_by_its_values(
    tmp_path: Path, space: str, count: int
) -> None:
    folder, file = volumes(tmp_path / "set", ["CT"]), tmp_path / "space.yaml"
    file.write_text(
        f"data: {{source: nnunet_raw, folder: {folder}, folds: 2}}\n"
        f"space: {{data.normalization: {{choice: {space}}}}}\n"
    )
    check = TrainerCheck()
    load_sweep(file, check_data=check)
    assert len([text for text in check.warnings if "Hounsfield" in text]) == count
