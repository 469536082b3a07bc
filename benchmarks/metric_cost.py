"""What the metrics beside Dice cost, as a share of the epochs that measure them, on one core.

    python benchmarks/metric_cost.py

Epochs of our own trainer on drawn blobs of several classes, in 2D and 3D. CPU time is told: of the
steps, of the validation's predictions, and of the metrics that are measured after them. The masks
that are measured are the references with errors of their outlines as a trained network makes them;
beside them those of the untrained network, which may be specks.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from sweep.data.nnunet_raw.pixels import RawCase, write_raw
from sweep.data.prepared.prepare import prepare
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.evaluation.kept_predictions import KeptPredictions
from sweep.trainer.runs.monai_run import MonaiTraining

Labels = NDArray[np.uint8]
SETS = (
    # cases, shape, classes, batch
    (40, (256, 256), 1, 8),
    (40, (256, 256), 3, 8),
    (10, (64, 64, 64), 3, 2),
    (5, (96, 96, 96), 3, 2),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=3, help="measurements, whose median is told")
    times = parser.parse_args().times
    torch.set_num_threads(1)
    print("validation cases, classes | steps, prediction | hd95 and nsd, shape | share | untrained")
    for cases, shape, classes, batch in SETS:
        with TemporaryDirectory() as folder:
            os.environ["MEDICAL_SWEEP_CACHE"] = folder
            run = training(Path(folder), cases, shape, classes, batch)
            name = f"{len(run.data.validation.case_arrays)} of {'x'.join(map(str, shape))}"
            print(f"{name}, {classes} | {told(run, times)}", flush=True)


def told(run: MonaiTraining, times: int) -> str:
    """One row of the table."""
    steps = seconds(lambda: run.train_steps(0), 1)
    prediction = seconds(run.dice_per_case, 1)
    untrained = seconds(lambda: run._case_metrics({"hd95", "nsd", "shape"}), 1)
    rng, wrong = np.random.default_rng(1), KeptPredictions()
    for case in run.data.validation.case_arrays:
        wrong.add(torch.from_numpy(with_errors(case.reference, rng)))
    run._predicted = wrong
    surface = seconds(lambda: run._case_metrics({"hd95", "nsd"}), times)
    shape = seconds(lambda: run._case_metrics({"shape"}), times)
    share = (surface + shape) / (steps + prediction + surface + shape)
    return (
        f"{steps:.2f}, {prediction:.2f} s | {surface:.3f}, {shape:.3f} s | {share:.1%}"
        f" | {untrained:.2f} s"
    )


def seconds(work: Callable[[], Any], times: int) -> float:
    """Median CPU time."""
    found = []
    for _ in range(times):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return statistics.median(found)


def training(
    folder: Path,
    cases: int,
    shape: tuple[int, ...],
    classes: int,
    batch: int,
) -> MonaiTraining:
    names = {"background": 0} | {f"class {n}": n for n in range(1, classes + 1)}
    raw, spatial = folder / "Dataset001_Blobs", "volumes" if len(shape) == 3 else "slices"
    made = drawn(cases, shape, classes)
    write_raw(raw, made, name="blobs", channel_names=["x"], labels=names, file_ending=".nii.gz")
    settings = TrialSettings.model_validate(
        {
            "data": {
                "source": "nnunet_raw",
                "folder": str(raw),
                "spatial": spatial,
                "geometric_class": "all",
            },
            "trainer": {"batch_size": batch, "device": "cpu"},
            "network": {"name": "dynunet", "channels": (16, 32, 64)},
        }
    )
    return MonaiTraining(settings, prepare(settings.data))


def drawn(cases: int, shape: tuple[int, ...], classes: int) -> Iterator[RawCase]:
    """Smooth blobs: where a blurred noise of a class is high."""
    rng = np.random.default_rng(0)
    for number in range(cases):
        fields = np.stack([smooth(rng, shape, min(shape) / 10) for _ in range(classes)])
        labels = np.where(fields.max(0) > 1.2, 1 + fields.argmax(0), 0).astype(np.uint8)
        image = (labels + rng.normal(0, 0.3, shape)).astype(np.float32)
        yield RawCase(f"case_{number:03d}", image[None], labels, np.eye(4))


def with_errors(labels: Labels, rng: np.random.Generator) -> Labels:
    """Labels ``[S, H, W]`` whose voxels come from about two voxels away, smoothly."""
    flat = len(labels) == 1
    grid = np.indices(labels.shape, dtype=np.float64)
    for axis in range(flat, 3):
        shape = labels.shape[1:] if flat else labels.shape
        grid[axis] += 2 * smooth(rng, shape, 5).reshape(labels.shape)
    found: Labels = map_coordinates(labels, grid, order=0, mode="nearest")
    return found


def smooth(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> NDArray[np.float64]:
    """Blurred noise with a deviation of 1."""
    field: NDArray[np.float64] = gaussian_filter(rng.standard_normal(shape), sigma)
    return field / field.std()


if __name__ == "__main__":
    main()
