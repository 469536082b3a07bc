"""A sweep's file that is fitted to a dataset passes `sweep.check --data`, whatever it holds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import tifffile
from click.testing import Result
from PIL import Image
from ruamel.yaml import YAML
from typer.testing import CliRunner

from sweep.api.checked_spec import load_checked
from sweep.cli import app
from sweep.data.nnunet_raw.pixels import RawCase, write_raw
from sweep.machine.hardware import Machine
from sweep.starter.dataset_sizes import DatasetSizes, dataset_sizes
from sweep.starter.fitted_plan import plan

Init = Callable[..., Result]
Shape = tuple[int, ...]


def box(shape: Shape, classes: int = 1) -> np.ndarray[Any, np.dtype[np.uint8]]:
    label = np.zeros(shape, np.uint8)
    for number in range(classes):
        label[tuple(slice(n // 4, n // 4 + max(1, n // (2 + number))) for n in shape)] = number + 1
    return label


def dataset(
    folder: Path,
    shapes: Sequence[Shape],
    spacings: Sequence[Sequence[float]] = ((1.0, 1.0, 1.0),),
    *,
    names: str = "c{}",
    ending: str = ".nii.gz",
    channels: int = 1,
    classes: int = 1,
    description: dict[str, Any] | None = None,
    **more: Any,
) -> Path:
    """A dataset with a case of each shape; the spacings are taken in turn, and each second
    number in a name is that of two cases."""
    kind = np.uint8 if ending == ".png" else np.float32
    cases = [
        RawCase(
            names.format(n, n // 2),
            np.stack([box(shape, classes) * 50] * channels).astype(kind),
            box(shape, classes),
            np.diag([*spacings[n % len(spacings)], 1.0]),
        )
        for n, shape in enumerate(shapes)
    ]
    labels = {"background": 0, **{f"class {n}": n for n in range(1, classes + 1)}}
    scans = [f"scan {n}" for n in range(channels)]
    more = {"labels": labels, "file_ending": ending, "channel_names": scans, **more}
    write_raw(folder, cases, name=folder.name, **more)
    file = folder / "dataset.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **(description or {})}))
    return folder


def rgb(folder: Path) -> Path:
    dataset(folder, [(24, 32)] * 5, ending=".png")
    for file in (folder / "imagesTr").iterdir():
        Image.new("RGB", (32, 24), (10, 20, 30)).save(file)
    file = folder / "dataset.json"
    colours = {"channel_names": {"0": "R", "1": "G", "2": "B"}}
    file.write_text(json.dumps({**json.loads(file.read_text()), **colours}))
    return folder


def tiff(folder: Path) -> Path:
    """Volumes whose files say no spacing."""
    dataset(folder, [(24, 20, 18)] * 2, description={"file_ending": ".tif"})
    for file in folder.glob("*Tr/*"):
        pixels = np.asarray(nibabel.load(file).dataobj).T
        path = file.with_name(file.name.replace(".nii.gz", ".tif"))
        tifffile.imwrite(path, pixels, photometric="minisblack")
        file.unlink()
    return folder


PNG = {"ending": ".png"}
REGIONS = {
    "labels": {"background": 0, "whole": [1, 2], "core": [2]},
    "regions_class_order": [1, 2],
}
ODD: dict[str, Callable[[Path], Path]] = {
    "two images": lambda f: dataset(f, [(24, 32)] * 2, **PNG),
    "images of different sizes": lambda f: dataset(f, [(24, 32), (40, 24), (32, 32)] * 2, **PNG),
    "large images": lambda f: dataset(f, [(700, 520)] * 2, **PNG),
    "tiny images": lambda f: dataset(f, [(8, 10)] * 5, **PNG),
    "RGB": rgb,
    "CT": lambda f: dataset(f, [(24, 20, 18)] * 5, channel_names=["CT"]),
    "oblong pixels": lambda f: dataset(f, [(24, 32)] * 5, [(1.0, 3.0, 1.0)]),
    "oblong pixels of a microscope": lambda f: dataset(f, [(24, 32)] * 5, [(2.3e-5, 6e-5, 1e-3)]),
    "volumes": lambda f: dataset(f, [(24, 20, 18)] * 5),
    "anisotropic volumes": lambda f: dataset(
        f, [(32, 30, 18)] * 5, [(0.5, 0.5, 5.0)], classes=3, channels=2
    ),
    "sagittal volumes": lambda f: dataset(f, [(18, 30, 32)] * 5, [(5.0, 0.5, 0.5)]),
    "flat volumes": lambda f: dataset(f, [(24, 20, 4)] * 5, [(0.5, 0.5, 5.0)]),
    "different spacings": lambda f: dataset(
        f, [(24, 20, 18), (20, 24, 20), (30, 24, 20)] * 2, [(1, 1, 1), (0.5, 1, 2), (2, 2, 2)]
    ),
    "tiny volumes": lambda f: dataset(f, [(16, 8, 6)] * 5),
    "tiny volumes with one fine axis": lambda f: dataset(f, [(8, 8, 16)] * 5, [(0.1, 1.0, 5.0)]),
    "volumes and images": lambda f: dataset(f, [(24, 20), (24, 20, 5)] * 3),
    "regions": lambda f: dataset(f, [(24, 32)] * 5, classes=2, description=REGIONS, **PNG),
    "ignore label": lambda f: dataset(
        f, [(24, 32)] * 5, classes=2,
        description={"labels": {"background": 0, "a": 1, "ignore": 2}}, **PNG,
    ),
    "a class in no label": lambda f: dataset(
        f, [(24, 32)] * 5, description={"labels": {"background": 0, "a": 1, "b": 2}}, **PNG
    ),
    "splits of its own": lambda f: dataset(
        f, [(24, 32)] * 4, splits=[(("c0", "c1"), ("c2", "c3"))], **PNG
    ),
    "several cases of a patient": lambda f: dataset(
        f, [(24, 32)] * 8, names="patient{1}_{0}", **PNG
    ),
    "volumes without a spacing": tiff,
    "test images": lambda f: dataset(
        f, [(24, 32)] * 5, test=[RawCase("t0", box((24, 32))[None] * 50, box((24, 32)))], **PNG
    ),
}  # fmt: skip


@pytest.fixture
def init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Init:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("nnUNet_raw", raising=False)
    return lambda *arguments: CliRunner().invoke(app, ["init", *arguments])


@pytest.mark.parametrize("name", ODD)
def test_file_for_any_dataset_passes_the_check_of_its_pixels_on_a_cpu_and_on_a_gpu(
    init: Init, tmp_path: Path, name: str
) -> None:
    ODD[name](tmp_path / "Dataset001_Odd")
    for memory in ("0", "24"):
        arguments = ("--from", "Dataset001_Odd", "--gpu-memory", memory, "-o", "odd.yaml")
        result = init(*arguments, "--force")
        assert result.exit_code == 0, result.output
        assert result.stdout.splitlines() == ["odd.yaml", "Next: python -m sweep.run odd.yaml"]
        load_checked(tmp_path / "odd.yaml", machine=Machine.any(), pixels=True)


def values_of(file: Path) -> dict[str, Any]:
    return dict(YAML(typ="safe", pure=True).load(file))


def fitted(init: Init, folder: Path, *more: str) -> dict[str, Any]:
    assert init("--from", str(folder), "-o", "space.yaml", "--force", *more).exit_code == 0
    return values_of(Path("space.yaml"))


def test_volumes_are_trained_on_whole_where_there_is_a_gpu(init: Init, tmp_path: Path) -> None:
    folder = ODD["volumes"](tmp_path / "Dataset001_Odd")
    on_cpu = fitted(init, folder, "--gpu-memory", "0")
    on_gpu = fitted(init, folder, "--gpu-memory", "24")
    assert (on_cpu["data"]["spatial"], on_gpu["data"]["spatial"]) == ("slices", "volumes")
    assert on_gpu["data"]["patch_size"] == [20, 24, 20]  # 18 slices, rounded up
    flat = fitted(init, ODD["flat volumes"](tmp_path / "Dataset002_Flat"), "--gpu-memory", "24")
    assert flat["data"]["spatial"] == "slices"


def test_names_that_tell_of_patients_with_several_cases_give_the_groups(
    init: Init, tmp_path: Path
) -> None:
    several = ODD["several cases of a patient"](tmp_path / "Dataset002_Patients")
    data = fitted(init, several)["data"]
    assert (data["groups"], data["folds"]) == ("(patient[0-9]+)", 4)
    hint = "# If a patient has several cases, set `groups`"
    assert hint not in Path("space.yaml").read_text(encoding="utf-8")
    assert "groups" not in fitted(init, ODD["two images"](tmp_path / "Dataset003_Two"))["data"]
    assert hint in Path("space.yaml").read_text(encoding="utf-8")


def test_values_follow_from_the_headers(init: Init, tmp_path: Path) -> None:
    def data(name: str, number: int) -> dict[str, Any]:
        folder = ODD[name](tmp_path / f"Dataset{number:03d}_Odd")
        return dict(fitted(init, folder, "--gpu-memory", "0")["data"])

    assert data("two images", 1)["folds"] == 2
    assert data("oblong pixels", 2)["spacing"] == [1, 1]
    assert data("different spacings", 3)["spacing"] == "median"
    assert data("regions", 4)["geometric_class"] == "all"
    assert data("test images", 5)["test"] == "imagesTs"
    assert "folds" not in data("splits of its own", 6)
    assert data("CT", 7)["normalization"] == "nnunet"
    assert "normalization" not in data("volumes", 8)


def test_spacing_that_no_file_says_is_told_in_the_file_and_on_the_terminal(
    init: Init, tmp_path: Path
) -> None:
    folder = ODD["volumes without a spacing"](tmp_path / "Dataset001_Odd")
    result = init("--from", str(folder), "-o", "odd.yaml")
    words = "is a volume without a spacing: 1×1×1 mm is taken"
    assert words in " ".join(result.stderr.split())
    assert words in Path("odd.yaml").read_text(encoding="utf-8").replace("\n#", "")


@pytest.mark.parametrize("memory", [None, 1.0, 4.0, 24.0, 80.0])
def test_estimated_memory_stays_within_that_of_the_device(
    tmp_path: Path, memory: float | None
) -> None:
    sizes = dataset_sizes(dataset(tmp_path / "Dataset001_Odd", [(160, 150, 140)] * 2))
    assert plan(sizes, memory).memory <= (memory or 2)


def test_patch_ends_where_the_network_needs_it_though_the_device_is_too_small() -> None:
    """The axis of far finer spacing is halved alone, and the others keep their voxels."""
    shapes, spacings = np.array([[187, 130, 110]] * 2), np.array([[0.005, 5.0, 5.0]] * 2)
    sizes = DatasetSizes(None, None, False, "", (), shapes, spacings)  # type: ignore[arg-type]
    assert plan(sizes, 0.2).memory > 0.2


def test_dataset_is_found_by_its_number_and_by_its_name(
    init: Init, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ODD["two images"](tmp_path / "raw" / "Dataset042_Two")
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    for given in ("42", "Dataset042_Two"):
        result = init("--from", given, "--force")
        assert result.stdout.splitlines()[0] == "Dataset042_Two.yaml"
        folder = values_of(tmp_path / "Dataset042_Two.yaml")["data"]["folder"]
        assert folder == str(tmp_path / "raw" / "Dataset042_Two")


def test_file_for_nnunet_names_the_folders_that_the_environment_does_not(
    init: Init, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nnunetv2")
    monkeypatch.delenv("nnUNet_preprocessed", raising=False)
    folder = ODD["anisotropic volumes"](tmp_path / "raw" / "Dataset042_Odd")
    trainer = fitted(init, folder, "--trainer", "nnunet", "--gpu-memory", "24")["trainer"]
    assert (trainer["dataset"], trainer["configuration"]) == (42, "3d_fullres")
    assert trainer["raw"] == str(tmp_path / "raw")
    assert trainer["preprocessed"] == str(tmp_path / "nnUNet_preprocessed")
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path / "prepared"))
    trainer = fitted(init, folder, "--trainer", "nnunet", "--gpu-memory", "0")["trainer"]
    assert trainer["configuration"] == "2d"
    assert trainer.keys().isdisjoint({"raw", "preprocessed"})


def test_file_is_named_so_that_the_sweep_can_be_named_after_it(init: Init, tmp_path: Path) -> None:
    folder = ODD["two images"](tmp_path / "my data: ü 🫀")
    assert init("--from", str(folder)).exit_code == 0
    load_checked(tmp_path / "my-data.yaml")


def test_file_whose_name_no_sweep_can_have_is_refused_as_the_option(
    init: Init, tmp_path: Path
) -> None:
    folder = ODD["two images"](tmp_path / "Dataset001_Odd")
    result = init("--from", str(folder), "-o", str(tmp_path / "my space.yaml"))
    assert result.exit_code == 2
    assert "--output: its file gives the sweep its name, which must be 1 to 100 le" in result.stderr
    assert '"my space"' in result.stderr
    assert not list(tmp_path.glob("*.yaml"))


def test_a_gpu_that_no_trial_may_use_is_none(
    init: Init, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text('#!/bin/sh\n[ "$1" = -L ] && echo "GPU 0: any" || echo 24576\n')
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    ODD["two images"](tmp_path / "Dataset001_Odd")
    assert init("--from", "Dataset001_Odd").exit_code == 0
    assert "sweep.init for a CPU from" in (tmp_path / "Dataset001_Odd.yaml").read_text()


MISTAKES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (lambda folder: None, "--from: {folder} is not a folder; it must hold"),
    "no dataset": (lambda folder: folder.mkdir(), "{folder}/dataset.json: is missing"),
    "one case": (lambda f: dataset(f, [(24, 32)], **PNG), "{folder}: has one case; a sweep"),
    "no image": (
        lambda f: (dataset(f, [(24, 32)] * 2, **PNG) / "imagesTr" / "c0_0000.png").write_text("?"),
        "{folder}/imagesTr/c0_0000.png: cannot be read as an image",
    ),
    "other shapes": (
        lambda f: Image.new("L", (9, 9)).save(
            dataset(f, [(24, 32)] * 2, **PNG) / "labelsTr" / "c0.png"
        ),
        "{folder}/imagesTr/c0_0000.png: is 24×32 pixels, but c0.png 9×9",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_of_the_dataset_is_named_and_nothing_is_written(
    init: Init, tmp_path: Path, name: str
) -> None:
    make, expected = MISTAKES[name]
    folder = tmp_path / "Dataset001_Odd"
    make(folder)
    result = init("--from", str(folder))
    assert result.exit_code == 2
    assert expected.format(folder=folder) in result.stderr
    assert "Traceback" not in result.output
    assert not list(tmp_path.glob("*.yaml"))
