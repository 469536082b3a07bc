"""``sweep.predict``: masks that lie exactly on their images, whatever the files look like."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 (its usual name)
import tifffile
import torch
from click.testing import Result
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform
from PIL import Image

import sweep
from sweep.data.nnunet_raw.splits import split
from sweep.spec.load import load_trial
from sweep.trainer.networks.network_outputs import as_outputs
from sweep.trainer.networks.networks import build_network
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.kinds.kind_table import KINDS

Call = Callable[..., Result]
RNG = np.random.default_rng(0)

# After normalisation a channel is above 0 exactly where it was bright. So this network predicts a
# reference that is drawn into the channels exactly, however long it is trained.
NETS = """
import torch

class Bright(torch.nn.Module):
    size_divisor = 1

    def __init__(self, channels, classes, spatial_dims=2):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(()))

    def forward(self, images):
        return torch.cat([0 * images[:, :1], images], dim=1) * (1 + self.gain.abs())
"""
TRIAL = """\
data: {{source: nnunet_raw, folder: {folder}, folds: 2}}
trainer: {{epochs: 1, batch_size: 4, device: cpu}}
network: {{name: "bright_nets:Bright"}}
loss: {{weights: {{compactness: 0, boundary: 0, aspect: 0}}}}
optimizer: {{lr: 1.0e-6}}
"""


@pytest.fixture(autouse=True)
def bright_nets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (folder / "bright_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(folder)
    yield
    sys.modules.pop("bright_nets", None)


def boxes(*shape: int) -> np.ndarray:
    """Classes 1 and 2 in two boxes off the centre, which no flip or transposition leaves there."""
    label = np.zeros(shape, np.uint8)
    wide = [range(n // 5, n // 5 + max(1, n // 3)) if n > 1 else range(1) for n in shape]
    label[np.ix_(*wide)] = 1
    far = [range(3 * n // 5, 3 * n // 5 + max(1, n // 5)) if n > 1 else range(1) for n in shape]
    label[np.ix_(*far)] = 2
    return label


def channels_of(label: np.ndarray) -> list[np.ndarray]:
    """An image of two channels in which exactly the classes are bright."""
    noise = RNG.uniform(0, 0.5, (2, *label.shape))
    return [(200 * (label == n + 1) + noise[n]).astype(np.float32) for n in range(2)]


def write_dataset(folder: Path, files: dict[str, Any], ending: str, channels: int = 2) -> Path:
    """A dataset in nnU-Net's raw layout; ``files``: path below it → nibabel's or PIL's image."""
    for name, image in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(image, path) if ending != ".png" else image.save(path)
    description = {
        "channel_names": {str(n): f"channel {n}" for n in range(channels)},
        "labels": {"background": 0, "one": 1, "two": 2},
        "numTraining": sum("labelsTr" in name for name in files),
        "file_ending": ending,
    }
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


def nifti_case(name: str, label: np.ndarray, affine: np.ndarray, ending: str) -> dict[str, Any]:
    """The files of a case."""
    images = {
        f"imagesTr/{name}_{n:04d}{ending}": nibabel.Nifti1Image(pixels, affine)
        for n, pixels in enumerate(channels_of(label))
    }
    return images | {f"labelsTr/{name}{ending}": nibabel.Nifti1Image(label, affine)}


def stored_as(codes: str, shape: tuple[int, int, int]) -> np.ndarray:
    """An oblique affine with 1 × 1.5 × 4 mm, whose axes lead as ``codes`` says."""
    turned = inv_ornt_aff(ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes)), shape)
    oblique = np.diag([1.0, 1.5, 4.0, 1.0])
    angle = 0.1
    turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    oblique[:2, :2] = np.array(turn) @ oblique[:2, :2]
    oblique[:3, 3] = 10, -20, 30
    return oblique @ turned


def scores(folder: Path) -> list[dict[str, str]]:
    with (folder / "scores.csv").open() as file:
        return list(csv.DictReader(file))


def open_cases(dataset: Path) -> Iterator[str]:
    return (path.name.partition(".")[0] for path in sorted((dataset / "labelsTr").iterdir()))


def both(labels: Path, masks: Path, name: str) -> tuple[Any, Any]:
    """Reference and mask of a case, as nibabel opens them."""
    return nibabel.load(labels / name), nibabel.load(masks / name)


def train(call: Call, folder: Path, dataset: Path, *more: str) -> Path:
    (folder / "own.yaml").write_text(TRIAL.format(folder=dataset))
    done = call("train", "own.yaml", *more)
    assert done.exit_code == 0, done.output
    return folder / "results" / "train-own"


@pytest.mark.parametrize("ending", [".nii.gz", ".nii"])
def test_mask_of_a_volume_lies_on_its_reference_in_every_orientation(
    call: Call, folder: Path, ending: str
) -> None:
    files: dict[str, Any] = {}
    for codes, shape in {
        "RAS": (12, 10, 7), "LPS": (10, 12, 7), "PIR": (12, 7, 11), "SLA": (7, 10, 12),
    }.items():  # fmt: skip
        files |= nifti_case(codes, boxes(*shape), stored_as(codes, shape), ending)
    files |= nifti_case("none", boxes(12, 10, 7), np.eye(4), ending)
    for name, image in files.items():
        if "none" in name:
            image.header["sform_code"] = image.header["qform_code"] = 0
    dataset = write_dataset(folder / "raw", files, ending)
    model = train(call, folder, dataset)
    done = call("predict", str(model), "raw/imagesTr", "-o", "out", "--labels", "raw/labelsTr")
    assert done.exit_code == 0, done.output
    for case in open_cases(dataset):
        label, mask = both(dataset / "labelsTr", folder / "out", f"{case}{ending}")
        np.testing.assert_array_equal(np.asanyarray(mask.dataobj), np.asanyarray(label.dataobj))
        np.testing.assert_array_equal(mask.affine, label.affine)
        assert mask.get_data_dtype() == np.uint8
        image = nibabel.load(dataset / "imagesTr" / f"{case}_0000{ending}")
        for key in ("sform_code", "qform_code", "pixdim", "xyzt_units", "dim"):
            np.testing.assert_array_equal(mask.header[key], image.header[key])
    rows = scores(folder / "out")
    assert [(row["case"], row["class"]) for row in rows][:2] == [("LPS", "one"), ("LPS", "two")]
    assert {row["dice"] for row in rows} == {"1.0"}
    assert {row["hd95"] for row in rows} == {"0.0"}
    assert "Dice 1.0000, IoU 1, HD95 0" in done.stdout
    assert "(distances in mm)" in done.stdout


def test_mask_of_an_image_with_a_layer_axis_has_that_axis(call: Call, folder: Path) -> None:
    files: dict[str, Any] = {}
    for n, shape in enumerate([(16, 20), (16, 20, 1), (1, 20, 16), (20, 1, 16)]):
        files |= nifti_case(f"c{n}", boxes(*shape), np.diag([-1.0, -2, 3, 1]), ".nii.gz")
    dataset = write_dataset(folder / "raw", files, ".nii.gz")
    model = train(call, folder, dataset)
    assert call("predict", str(model), "raw/imagesTr", "-o", "out").exit_code == 0
    for n in range(4):
        label, mask = both(dataset / "labelsTr", folder / "out", f"c{n}.nii.gz")
        assert mask.shape == label.shape
        np.testing.assert_array_equal(np.asanyarray(mask.dataobj), np.asanyarray(label.dataobj))


REAL = """\
data: {{source: nnunet_raw, folder: {folder}, folds: 2, {data}}}
trainer: {{epochs: 2, batch_size: 2, device: cpu}}
network: {network}
loss: {{weights: {{compactness: 0, boundary: 0, aspect: 0}}}}
evaluation: {{tta: flips}}
"""


@pytest.mark.parametrize(
    ("data", "network"),
    [
        ("slice_axis: 0, normalization: minmax", "{name: unet, channels: [4, 8]}"),
        ("spacing: [1.2, 0.9], normalization: nnunet", "{name: unet, channels: [4, 8]}"),
        (
            "spatial: volumes, spacing: median, normalization: minmax",
            "{name: dynunet, channels: [4, 8, 16]}",
        ),
        (
            "spatial: volumes, spacing: [3, 1.2, 1.5], patch_size: [4, 16, 8],"
            " normalization: minmax",
            "{name: unet, channels: [4, 8]}",
        ),
    ],
)
def test_scores_of_the_written_masks_are_those_of_the_validation(
    call: Call, folder: Path, data: str, network: str
) -> None:
    files: dict[str, Any] = {}
    for codes, shape in {
        "RAS": (16, 20, 7), "LPS": (20, 16, 8), "PIR": (16, 9, 20), "SLA": (7, 20, 18),
    }.items():  # fmt: skip
        files |= nifti_case(codes, boxes(*shape), stored_as(codes, shape), ".nii.gz")
    dataset = write_dataset(folder / "raw", files, ".nii.gz")
    described = json.loads((dataset / "dataset.json").read_text())
    described["channel_names"] = {"0": "CT", "1": "PET"}
    (dataset / "dataset.json").write_text(json.dumps(described))
    (folder / "own.yaml").write_text(REAL.format(folder=dataset, data=data, network=network))
    done = call("train", "own.yaml")
    assert done.exit_code == 0, done.output
    model = folder / "results" / "train-own"
    validated = max(
        json.loads(line)["val_dice"] for line in (model / "history.jsonl").read_text().splitlines()
    )
    (dataset / "dataset.json").unlink()  # the model's folder is enough
    done = call("predict", str(model), "raw/imagesTr", "-o", "out", "--labels", "raw/labelsTr")
    assert done.exit_code == 0, done.output
    _, validation = split(list(open_cases(dataset)), 2, 0)
    rows = [row for row in scores(folder / "out") if row["case"] in validation]
    dice = [
        np.mean([float(row["dice"]) for row in rows if row["class"] == name])
        for name in ("one", "two")
    ]
    assert np.mean(dice) == pytest.approx(validated, abs=1e-12)
    assert 0 < validated < 1
    for case in open_cases(dataset):
        label, mask = both(dataset / "labelsTr", folder / "out", f"{case}.nii.gz")
        assert mask.shape == label.shape
        np.testing.assert_array_equal(mask.affine, label.affine)
        # Measured on the files themselves, as a stranger would.
        predicted, wanted = (np.asanyarray(file.dataobj) == 1 for file in (mask, label))
        [row] = [r for r in scores(folder / "out") if (r["case"], r["class"]) == (case, "one")]
        stranger = 2 * (predicted & wanted).sum() / (predicted.sum() + wanted.sum())
        assert float(row["dice"]) == pytest.approx(stranger, abs=1e-12)


def converted(dataset: Path, folder: Path, ending: str) -> Path:
    """The same dataset in another format, written by SimpleITK."""
    shutil.copytree(dataset, folder)
    for path in folder.glob("*Tr/*.nii.gz"):
        image = sitk.ReadImage(str(path))
        for key in image.GetMetaDataKeys():  # those of a NIfTI
            image.EraseMetaData(key)
        sitk.WriteImage(image, str(path).replace(".nii.gz", ending), useCompression=True)
        path.unlink()
    described = json.loads((folder / "dataset.json").read_text()) | {"file_ending": ending}
    (folder / "dataset.json").write_text(json.dumps(described))
    return folder


def test_same_dataset_gives_the_same_training_masks_and_scores_in_every_format(
    call: Call, folder: Path
) -> None:
    files: dict[str, Any] = {}
    for codes, shape in {
        "RAS": (16, 20, 7), "LPS": (20, 16, 8), "PIR": (16, 9, 20), "SLA": (7, 20, 18),
    }.items():  # fmt: skip
        files |= nifti_case(codes, boxes(*shape), stored_as(codes, shape), ".nii.gz")
    dataset = write_dataset(folder / "raw", files, ".nii.gz")
    data = "spatial: volumes, spacing: [3, 1.2, 1.5]"
    network = "{name: dynunet, channels: [4, 8, 16]}"
    found = {}
    for ending in (".nii.gz", ".nrrd", ".mha"):
        name = ending[1:4]
        if ending != ".nii.gz":
            dataset = converted(folder / "raw", folder / name, ending)
        file = folder / f"{name}.yaml"
        file.write_text(REAL.format(folder=dataset, data=data, network=network))
        done = call("train", str(file))
        assert done.exit_code == 0, done.output
        model = folder / "results" / f"train-{name}"
        epochs = [json.loads(line) for line in (model / "history.jsonl").read_text().splitlines()]
        # The first network predicts all.
        for by in {"nii", name}:
            done = call(
                "predict", str(folder / "results" / f"train-{by}"), str(dataset / "imagesTr"),
                "-o", f"{name}-{by}", "--labels", str(dataset / "labelsTr"),
            )  # fmt: skip
            assert done.exit_code == 0, done.output
            assert "(distances in mm)" in done.stdout
            masks = {
                case: sitk.GetArrayFromImage(sitk.ReadImage(f"{name}-{by}/{case}{ending}"))
                for case in open_cases(dataset)
            }
            for case in masks:
                mask, image = (
                    sitk.ReadImage(path)
                    for path in (
                        f"{name}-{by}/{case}{ending}", f"{dataset}/imagesTr/{case}_0000{ending}",
                    )
                )  # fmt: skip
                for of in ("GetSpacing", "GetOrigin", "GetDirection"):
                    np.testing.assert_allclose(getattr(mask, of)(), getattr(image, of)(), 1e-14)
            found[ending, by] = epochs, masks, scores(folder / f"{name}-{by}")
    (first, masks, rows), *others = found.values()
    assert any(mask.any() for mask in masks.values())
    for epochs, own, scored in others:
        for one, other in zip(first, epochs, strict=True):
            assert (one["train_loss"], one["val_dice"]) == (other["train_loss"], other["val_dice"])
        for case, mask in own.items():
            np.testing.assert_array_equal(mask, masks[case])
        assert [row["dice"] for row in scored] == [row["dice"] for row in rows]
        distances = ([float(row["hd95"]) for row in of] for of in (scored, rows))
        np.testing.assert_allclose(*distances, rtol=1e-6)


@pytest.mark.parametrize(("ending", "axes"), [(".tif", 2), (".tif", 3), (".bmp", 2)])
def test_mask_of_a_picture_or_of_pages_is_of_their_kind(
    call: Call, folder: Path, ending: str, axes: int
) -> None:
    for name in ("imagesTr", "labelsTr"):
        (folder / "raw" / name).mkdir(parents=True)
    labels = {f"c{n}": boxes(*(6, 20 + n, 16)[-axes:]) for n in range(4)}
    for case, label in labels.items():
        names = [f"imagesTr/{case}_{n:04d}" for n in range(2)] + [f"labelsTr/{case}"]
        for name, pixels in zip(names, [*channels_of(label), label], strict=True):
            file, numbers = folder / "raw" / f"{name}{ending}", pixels.round().astype(np.uint8)
            if ending == ".tif":
                tifffile.imwrite(file, numbers, photometric="minisblack")
            else:
                Image.fromarray(numbers).save(file)
    dataset = write_dataset(folder / "raw", dict.fromkeys([]), ending)
    description = json.loads((dataset / "dataset.json").read_text()) | {"numTraining": 4}
    (dataset / "dataset.json").write_text(json.dumps(description))
    model = train(call, folder, dataset)
    done = call("predict", str(model), "raw/imagesTr", "-o", "out", "--labels", "raw/labelsTr")
    assert done.exit_code == 0, done.output
    assert ("(distances in pixels)" in done.stdout) == (axes == 2)
    assert {row["dice"] for row in scores(folder / "out")} == {"1.0"}
    for case, label in labels.items():
        file = folder / "out" / f"{case}{ending}"
        mask = tifffile.imread(file) if ending == ".tif" else np.asarray(Image.open(file))
        np.testing.assert_array_equal(mask, label)
        assert mask.dtype == np.uint8
    if ending == ".tif":
        done = call("predict", str(model), "raw/imagesTr", "-o", "out", "--labels", "raw/labelsTr",
                    "--resume")  # fmt: skip
        assert done.exit_code == 0, done.output


def test_unannotated_voxels_are_predicted_but_not_scored(call: Call, folder: Path) -> None:
    files: dict[str, Any] = {}
    for n in range(4):
        seen, affine = boxes(16, 20), np.eye(4)
        files |= nifti_case(f"c{n}", seen, affine, ".nii")
        noted = seen.copy()
        noted[:, :7] = 3  # nobody looked here, where a part of class 1 lies
        files[f"labelsTr/c{n}.nii"] = nibabel.Nifti1Image(noted, affine)
    dataset = write_dataset(folder / "raw", files, ".nii")
    described = json.loads((dataset / "dataset.json").read_text())
    described["labels"]["ignore"] = 3
    (dataset / "dataset.json").write_text(json.dumps(described))
    model = train(call, folder, dataset)
    done = call("predict", str(model), "raw/imagesTr", "-o", "out", "--labels", "raw/labelsTr")
    assert done.exit_code == 0, done.output
    mask = np.asanyarray(nibabel.load("out/c0.nii").dataobj)
    np.testing.assert_array_equal(mask, boxes(16, 20))
    rows = scores(folder / "out")
    assert {row["dice"] for row in rows} == {"1.0"}
    counted = int((boxes(16, 20)[:, 7:] == 1).sum())
    assert {row["n_prediction"] for row in rows if row["class"] == "one"} == {str(counted)}
    assert counted > 0


def png_dataset(folder: Path, cases: int = 4) -> Path:
    files: dict[str, Any] = {}
    for n in range(cases):
        label = boxes(20 + n, 16)
        for channel, pixels in enumerate(channels_of(label)):
            image = Image.fromarray(pixels.round().astype(np.uint8))
            files[f"imagesTr/c{n}_{channel:04d}.png"] = image
        files[f"labelsTr/c{n}.png"] = Image.fromarray(label)
    return write_dataset(folder / "raw", files, ".png")


@pytest.fixture
def png_model(call: Call, folder: Path) -> Path:
    """A model that predicts exactly, trained on ``raw``; its data need not be there any more."""
    model = train(call, folder, png_dataset(folder))
    (folder / "raw" / "dataset.json").unlink()
    return model


def test_mask_of_a_png_is_a_png_of_the_label_values(
    call: Call, folder: Path, png_model: Path
) -> None:
    done = call("predict", str(png_model), "raw/imagesTr", "-o", "out")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-2:] == ["Predicted 4 cases by train-own", f"Masks:  {'out'}"]
    for n in range(4):
        mask, label = (
            np.asarray(Image.open(p / f"c{n}.png")) for p in (Path("out"), Path("raw/labelsTr"))
        )
        np.testing.assert_array_equal(mask, label)
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "c0.png", "c1.png", "c2.png", "c3.png", "prediction.json",
    ]  # fmt: skip


@pytest.mark.parametrize("ending", [".bmp", ".tif", ".tiff"])
def test_pictures_of_another_format_are_predicted_as_those_of_the_training(
    call: Call, folder: Path, png_model: Path, ending: str
) -> None:
    (folder / "others").mkdir()
    for path in (folder / "raw" / "imagesTr").iterdir():
        Image.open(path).save(folder / "others" / f"{path.stem}{ending}")
    done = call("predict", str(png_model), "others", "-o", "out")
    assert done.exit_code == 0, done.output
    for n in range(4):
        mask, label = (
            np.asarray(Image.open(p)) for p in (f"out/c{n}{ending}", f"raw/labelsTr/c{n}.png")
        )
        np.testing.assert_array_equal(mask, label)


def test_pages_are_no_picture_to_a_network_that_was_trained_on_pictures(
    call: Call, folder: Path, png_model: Path
) -> None:
    (folder / "pages").mkdir()
    for n in range(2):
        pages = np.zeros((5, 20, 16), np.uint8)
        tifffile.imwrite(f"pages/a_000{n}.tif", pages, photometric="minisblack")
    done = call("predict", str(png_model), "pages", "-o", "out")
    assert done.exit_code == 2
    assert "pages/a_0000.tif: is a volume of several pages, but the network was" in done.stderr
    assert not Path("out").exists()


def test_weights_that_do_not_know_their_data_need_them_to_be_there(
    call: Call, folder: Path
) -> None:
    model = train(call, folder, png_dataset(folder))
    best = Checkpoints(model).load_best() or {}
    Checkpoints(model).save_best({key: best[key] for key in ("model", "epoch")})
    assert call("predict", str(model), "raw/imagesTr", "-o", "out").exit_code == 0
    for n in range(4):
        mask, label = (
            np.asarray(Image.open(Path(p) / f"c{n}.png")) for p in ("out", "raw/labelsTr")
        )
        np.testing.assert_array_equal(mask, label)
    (folder / "raw" / "dataset.json").unlink()
    done = call("predict", str(model), "raw/imagesTr", "-o", "again")
    assert done.exit_code == 2
    assert "dataset.json: is missing" in done.stderr
    assert not Path("again").exists()


def test_one_file_is_predicted_with_its_other_channels(
    call: Call, folder: Path, png_model: Path
) -> None:
    assert call("predict", str(png_model), "raw/imagesTr/c2_0000.png", "-o", "out").exit_code == 0
    assert [path.name for path in Path("out").glob("*.png")] == ["c2.png"]


def test_every_mistake_in_the_names_and_headers_is_told_before_anything_is_written(
    call: Call, folder: Path, png_model: Path
) -> None:
    images = folder / "raw" / "imagesTr"
    (images / "c1_0001.png").unlink()
    (images / "c3_0001.png").unlink()
    (images / "c0_0002.png").write_bytes((images / "c0_0001.png").read_bytes())
    (images / "note.png").write_bytes(b"")
    done = call("predict", str(png_model), str(images), "-o", "out")
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        "errors:",
        f"{images}: files without a channel number: note.png; the first channel is CASE_0000.png",
        f"{images}: channels of `channel_names` that are missing: c1_0001.png, c3_0001.png",
        f"{images}: channels that `channel_names` does not name: c0_0002.png",
    ]
    for name in ("c0_0002.png", "note.png"):
        (images / name).unlink()
    for name, content in (("c1_0001.png", b"no image"), ("c3_0001.png", b"none either")):
        (images / name).write_bytes(content)
    done = call("predict", str(png_model), str(images), "-o", "out")
    assert done.exit_code == 2
    assert "c1_0001.png: cannot be read as an image" in done.stderr
    assert "the same of 1 more file" in done.stderr
    assert not (folder / "out").exists()


def test_other_files_than_the_network_was_trained_on_are_refused(
    call: Call, folder: Path, png_model: Path
) -> None:
    (folder / "scans").mkdir()
    nibabel.save(nibabel.Nifti1Image(np.ones((9, 9)), np.eye(4)), "scans/a_0000.nii.gz")
    done = call("predict", str(png_model), "scans", "-o", "out")
    assert done.exit_code == 2
    assert "holds no image named CASE_0000.png" in done.stderr
    assert "a_0000.nii.gz" in done.stderr
    done = call("predict", str(png_model), "scans/a_0000.nii.gz", "-o", "out")
    assert "must end in .png" in done.stderr
    assert call("predict", str(png_model), "nowhere", "-o", "out").exit_code == 2


def test_case_with_unusable_pixels_is_left_out_and_told_after_the_others(
    call: Call, folder: Path
) -> None:
    files: dict[str, Any] = {}
    for n in range(4):
        files |= nifti_case(f"c{n}", boxes(12, 10, 7), np.diag([1.0, 1, 3, 1]), ".nii")
    model = train(call, folder, write_dataset(folder / "raw", files, ".nii"))
    broken = np.full((12, 10, 7), np.nan, np.float32)
    path = folder / "raw" / "imagesTr" / "c1_0000.nii"
    nibabel.save(nibabel.Nifti1Image(broken, np.diag([1.0, 1, 3, 1])), path)
    done = call("predict", str(model), "raw/imagesTr", "-o", "out")
    assert done.exit_code == 2
    assert f"{path}: holds pixels that are NaN" in done.stderr
    assert sorted(path.name for path in Path("out").glob("*.nii")) == ["c0.nii", "c2.nii", "c3.nii"]


def test_constant_image_is_predicted_and_told(call: Call, folder: Path, png_model: Path) -> None:
    paths = sorted((folder / "raw" / "imagesTr").glob("c1_*.png"))
    for path in paths:
        Image.fromarray(np.full_like(np.asarray(Image.open(path)), 7)).save(path)
    done = call("predict", str(png_model), str(paths[0]), "-o", "out")
    assert done.exit_code == 0, done.output
    assert Path("out/c1.png").exists()
    for path in paths:
        assert f"imagesTr/{path.name}: the channel" in done.stderr
    assert done.stderr.count("is 7 everywhere: it says nothing about this case") == len(paths)


def test_masks_that_are_there_are_kept_or_replaced_only_as_asked(
    call: Call, folder: Path, png_model: Path
) -> None:
    predict = ("predict", str(png_model), "raw/imagesTr", "-o", "out", "--labels", "raw/labelsTr")
    assert call(*predict).exit_code == 0
    done = call(*predict)
    assert done.exit_code == 2
    assert "holds masks of 4 of 4 cases already (c0, c1, c2 and 1 more)" in done.stderr
    assert "--resume, --overwrite" not in done.stderr
    Path("out/c1.png").unlink()
    wrong = np.asarray(Image.open("out/c0.png")).copy()
    wrong[wrong == 1] = 0
    Image.fromarray(wrong).save("out/c0.png")
    assert call(*predict, "--resume").exit_code == 0
    np.testing.assert_array_equal(np.asarray(Image.open("out/c0.png")), wrong)
    rows = scores(Path("out"))
    assert [row["dice"] for row in rows] == ["0.0", *["1.0"] * 7]
    assert [row["n_prediction"] for row in rows][:1] == ["0"]
    done = call(*predict, "--resume", "--tta")
    assert done.exit_code == 2
    assert "does not say that this model with these options" in done.stderr
    assert call(*predict, "--overwrite", "--tta").exit_code == 0
    assert json.loads(Path("out/prediction.json").read_text())["tta"] == "flips"
    assert call(*predict, "--overwrite", "--resume").exit_code == 2


def test_replaced_masks_of_another_model_are_gone_even_where_no_new_one_follows(
    call: Call, folder: Path, png_model: Path
) -> None:
    predict = ("predict", str(png_model), "raw/imagesTr", "-o", "out")
    assert call(*predict).exit_code == 0
    image = folder / "raw" / "imagesTr" / "c3_0000.png"
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2])
    assert call(*predict, "--overwrite", "--tta").exit_code == 2
    assert not Path("out/c3.png").exists()
    image.write_bytes(whole)
    assert call(*predict, "--resume", "--tta").exit_code == 0
    assert Path("out/c3.png").exists()


def test_output_that_is_named_like_a_file_is_refused(call: Call, png_model: Path) -> None:
    done = call("predict", str(png_model), "raw/imagesTr", "-o", "out/mask.nii.gz")
    assert done.exit_code == 2
    assert "names a file, but masks go to a folder, one `CASE.png` for each case" in done.stderr
    assert not Path("out").exists()


def test_masks_and_scores_of_other_cases_are_never_mixed(
    call: Call, folder: Path, png_model: Path
) -> None:
    predict = ("predict", str(png_model))
    one = "raw/imagesTr/c0_0000.png"
    assert call(*predict, one, "-o", "out", "--labels", "raw/labelsTr").exit_code == 0
    other = "raw/imagesTr/c1_0000.png"
    done = call(*predict, other, "-o", "out")  # the same model, but scores.csv is of c0
    assert done.exit_code == 2
    assert "holds scores of other cases (c0): write to another folder" in done.stderr
    done = call(*predict, other, "-o", "out", "--overwrite", "--tta")
    assert done.exit_code == 2  # c0 would be said to be of this model with flips
    assert "holds masks of other cases (c0) that another model, or this one" in done.stderr
    assert not Path("out/c1.png").exists()
    assert len(scores(Path("out"))) == 2
    assert call(*predict, other, "-o", "out", "--overwrite").exit_code == 0
    assert not Path("out/scores.csv").exists()  # of c0, and nothing was scored now
    assert call(*predict, "raw/imagesTr", "-o", "out", "--resume").exit_code == 0


def test_images_and_references_are_never_overwritten(
    call: Call, folder: Path, png_model: Path
) -> None:
    for place in ("raw/imagesTr", "raw/labelsTr"):
        done = call(
            "predict", str(png_model), "raw/imagesTr", "--labels", "raw/labelsTr", "-o", place,
            "--overwrite",
        )  # fmt: skip
        assert done.exit_code == 2
        assert "write the masks to another folder" in done.stderr


SWEEP = """\
trials: 2
searcher: {name: random, seed: 0}
scheduler: none
presets: []
data: {source: shapes, difficulty: 0, size: 32, count: 10}
trainer: {epochs: 2, batch_size: 4, device: cpu}
network: {name: unet, channels: [4, 8]}
loss: {weights: {compactness: 0, boundary: 0, aspect: 0}}
confirm: {top: 1, seeds: 2}
space: {optimizer.lr: {loguniform: [0.05, 0.2]}}
"""


def test_winner_predicts_the_mean_of_its_replicates_and_single_the_best_of_them(
    call: Call, folder: Path
) -> None:
    (folder / "pair.yaml").write_text(SWEEP)
    results = sweep.run("pair.yaml", executor="local", progress=False)
    best, images = results.best, folder / "images"
    images.mkdir()
    grey = RNG.integers(0, 256, (30, 45), dtype=np.uint8)  # of a size that the network must pad
    Image.fromarray(grey).save(images / "x.png")
    done = sweep.predict(results, images, "out", progress=False)
    replicates = [name for name in results if name.startswith(f"{best.trial_id}r")]
    assert sorted(done.runs) == sorted(replicates)
    assert len(replicates) == 2

    probabilities = []
    for name in done.runs:
        trial = results[name].folder
        settings = load_trial(trial / "config.yaml")
        network = build_network(settings.network, 1, 2).eval()
        network.load_state_dict((Checkpoints(trial).load_best() or {})["model"])
        scaled = (grey - grey.mean()) / grey.std()
        # To the 32 rows of the training images, and to columns that the network can halve.
        padded = np.pad(scaled, ((1, 1), (0, 1))).astype(np.float32)
        with torch.no_grad():
            outputs = as_outputs(network(torch.from_numpy(padded)[None, None]))
            logits = outputs[0][0, :, 1:31, :45]
        probabilities.append(logits.double().softmax(dim=0).numpy())
    expected = np.mean(probabilities, axis=0)
    mask = np.asarray(Image.open(done.masks["x"]))
    clear = np.abs(expected[1] - 0.5) > 1e-4  # what rounding cannot turn
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(mask[clear], expected.argmax(axis=0)[clear])

    alone = sweep.predict(results.folder, images, "alone", single=True, progress=False)
    assert alone.runs == done.runs[:1]
    clear = np.abs(probabilities[0][1] - 0.5) > 1e-4
    found = np.asarray(Image.open(alone.masks["x"]))
    np.testing.assert_array_equal(found[clear], probabilities[0].argmax(axis=0)[clear])

    result = call("predict", str(results[replicates[0]].folder), str(images), "-o", "one")
    assert f"Predicted 1 case by {replicates[0]}" in result.stdout
    assert (
        f"# python -m sweep.predict {results.folder} IMAGES -o OUTPUT"
        in (results.folder / "best.yaml").read_text()
    )
    config = results[replicates[0]].folder / "config.yaml"  # edited after the training
    config.write_text(config.read_text().replace("zscore", "minmax"))
    refused = call("predict", str(results.folder), str(images), "-o", "edited")
    assert refused.exit_code == 2
    assert 'data.normalization: is "minmax", but "zscore" by sweep.yaml' in refused.stderr
    assert not Path("edited").exists()


def test_what_is_no_model_is_refused_in_words(call: Call, folder: Path, results: Path) -> None:
    for model, words in {
        "nowhere": "nowhere does not exist",
        "best.yaml": "best.yaml is a file: name the folder",
        "foo://bucket/sweep": "foo://bucket/sweep: cannot be opened",
        ".": "is not a results folder",
        str(results): "no weights of",
        str(results / "trials" / "t0009"): "t0009",
    }.items():
        done = call("predict", model, "raw", "-o", "out")
        assert done.exit_code == 2, model
        assert words in done.stderr


def test_command_that_predicts_with_nnunets_weights_exists() -> None:
    words = KINDS["nnunet"].predictor
    assert isinstance(words, str)
    scripts = {script.name for script in entry_points(group="console_scripts")}
    assert words.split("`")[1].split()[0] in scripts


def test_weights_of_an_own_trainer_are_refused_with_their_place(
    call: Call, folder: Path, png_model: Path
) -> None:
    text = (png_model / "config.yaml").read_text()
    custom = 'trainer: {kind: custom, entry: "bright_nets.py:Bright", epochs: 1}\n'
    assert "trainer:" in text
    (png_model / "config.yaml").write_text(custom)
    done = call("predict", str(png_model), "raw/imagesTr", "-o", "out")
    assert done.exit_code == 2
    assert "is of a trainer of the kind `custom`: only your own trainer knows" in done.stderr
