"""Images a second of this trainer, beside the limit, a script as users write it, and nnU-Net's own.

    python benchmarks/throughput.py --device cuda --minutes 9
    python benchmarks/throughput.py --device cpu --small
    python benchmarks/throughput.py --device cpu --small --pairs 40

Who takes steps, on the same images, with the same network, precision and loss:

- *limit*: a bare PyTorch loop, its batches already on the device, no augmentation;
- *ours*, *ours, augmented*: this trainer, its batches and its guard included;
- *script*: MONAI's CacheDataset and DataLoader with ``--workers`` processes, the same augmentations
  with MONAI's transforms (its dictionary transforms go image by image), a plain SGD;
- *nnU-Net*: the ``train_step`` of nnU-Net's plain trainer on its own data loader with as many
  processes, against the same step on one batch that stays on the device. Its network is its own.

*of the limit* is the median over rounds. In a round each takes some steps in turn, in another order
each time, so that whatever else the machine does hits all alike. It is a ratio of wall times on a
GPU, and of CPU times on a CPU. Loaders with processes of their own would fill their queues during
the others' turns: they are measured alone, by wall time, after their queues were emptied.

*busy* is the share of the wall time of a whole epoch, validation included, in which at least one
kernel or copy ran on the GPU: the union of their intervals in ``torch.profiler``'s trace.
*MiB* is the largest memory that torch held on the device.

With ``--pairs`` only *ours*, without augmentation, is compared with the limit, more exactly: a few
steps of each in turn, so often, first the one and then the other. Told are median and quartiles of
the ratio of their times in a pair, and an interval of 95 % of the median by its order statistics.

Where memory runs out, the line says so and the rest goes on. What the time does not suffice for is
listed at the end.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import resource
import statistics
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import CacheDataset
from monai.losses import DiceCELoss
from monai.transforms import (
    Compose,
    EnsureTyped,
    RandAdjustContrastd,
    RandFlipd,
    RandGaussianNoised,
    RandRotated,
    RandZoomd,
)
from scipy.stats import binom
from torch import Tensor
from torch.utils.data import DataLoader

from sweep.data.nnunet_raw.pixels import RawCase, write_raw
from sweep.data.prepared.prepare import prepare
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.networks.device import make_deterministic, set_tf32
from sweep.trainer.networks.network_outputs import as_outputs
from sweep.trainer.runs.monai_run import MonaiTraining

AUGMENTED = {
    "flips": {"probability": 0.5},
    "rotation": {"probability": 0.2, "degrees": 30.0},
    "scaling": {"probability": 0.2, "largest": 1.4},
    "noise": {"probability": 0.1, "std": 0.1},
    "gamma": {"probability": 0.3, "mode": "shifted_retained"},
}
PAIRED_STEPS = 5
MAIN_LOSS_ALONE = {"weights": {"compactness": 0.0, "boundary": 0.0, "aspect": 0.0}}
Take = Callable[[int], None]
"""Takes so many steps; the device may still be at work on them."""


@dataclass(frozen=True)
class Cell:
    """Images of one kind, and the network that learns them."""

    size: tuple[int, ...]
    batch: int
    channels: tuple[int, ...]
    modalities: int = 1
    count: int = 40

    def __str__(self) -> str:
        sides = f"{self.size[-1]}{'²' if len(self.size) == 2 else '³'}"
        plural = "s" * (self.modalities > 1)
        return f"{sides}, {self.modalities} channel{plural}, batch {self.batch}"

    def settings(self, device: str, **groups: Mapping[str, Any]) -> TrialSettings:
        options = {"modalities": self.modalities, "count": self.count, "size": str(self.size)}
        values: dict[str, Any] = {
            "data": {"source": f"{Path(__file__).resolve()}:phantoms", "options": options},
            "trainer": {"batch_size": self.batch, "device": device, "epochs": 10**6},
            "network": {"channels": self.channels},
            "loss": MAIN_LOSS_ALONE,
        }
        if len(self.size) == 3:
            values["data"] |= {"spatial": "volumes", "patch_size": [*self.size]}
        for name, group in groups.items():
            values[name] = values.get(name, {}) | dict(group)
        return TrialSettings.model_validate(values)


LARGE = (
    Cell((512, 512), 8, (32, 64, 128, 256, 512)),
    Cell((96, 96, 96), 2, (32, 64, 128, 256, 320), count=10),
    Cell((64, 64), 32, (16, 32, 64, 128), count=200),
    Cell((256, 256), 16, (32, 64, 128, 256, 512), count=80),
    Cell((512, 512), 8, (32, 64, 128, 256, 512), modalities=2),
    Cell((96, 96, 96), 2, (32, 64, 128, 256, 320), modalities=2, count=10),
    Cell((64, 64), 32, (16, 32, 64, 128), modalities=2, count=200),
    Cell((256, 256), 16, (32, 64, 128, 256, 512), modalities=2, count=80),
)
SMALL = (
    Cell((64, 64), 8, (8, 16, 32, 64)),
    Cell((64, 64), 8, (8, 16, 32, 64), modalities=2),
    Cell((128, 128), 4, (8, 16, 32, 64), count=20),
    Cell((32, 32, 32), 2, (8, 16, 32), count=10),
)


def phantoms(folder: Path, modalities: int, count: int, size: str) -> None:
    """A data source: a noisy ball in each image or volume, at a place of its own."""
    sides = tuple(json.loads(size.replace("(", "[").replace(")", "]")))
    sides = sides if len(sides) == 3 else (1, *sides)
    grid = np.ogrid[tuple(slice(side) for side in sides)]
    rng = np.random.default_rng(0)

    def cases() -> Iterator[RawCase]:
        for number in range(count):
            middles = [side * rng.uniform(0.35, 0.65) for side in sides]
            far = sum((at - m) ** 2 for at, m in zip(grid, middles, strict=True) if at.size > 1)
            label = (far < (0.25 * sides[-1]) ** 2).astype(np.uint8)  # [Z, Y, X]
            noise = rng.normal(0, 0.3, (modalities, *sides))
            image = (label + noise).astype(np.float32)  # [C, Z, Y, X]
            yield RawCase(f"ball_{number:03d}", image.swapaxes(1, 3), label.T, np.eye(4))

    write_raw(
        folder,
        cases(),
        name="Phantoms",
        channel_names=[f"image {n}" for n in range(modalities)],
        labels={"background": 0, "ball": 1},
        file_ending=".nii.gz",
    )


@dataclass
class Bench:
    """What is measured where, and until when."""

    device: str
    workers: int
    seconds: float  # that one contender takes steps in one cell
    until: float
    left_out: list[str] = field(default_factory=list)

    def is_over(self, what: str) -> bool:
        if time.monotonic() < self.until:
            return False
        self.left_out.append(what)
        return True

    def clock(self) -> float:
        """Wall time once the GPU has finished; on a CPU the CPU time of this process."""
        if self.device == "cuda":
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()

    def seconds_of(self, take: Take, steps: int) -> float:
        start = self.clock()
        take(steps)
        return self.clock() - start

    def rounds(self, takes: Mapping[str, Take]) -> dict[str, list[float]]:
        """Seconds a step of each in every round, the order turned by one from round to round."""
        first = next(iter(takes.values()))
        for take in takes.values():
            take(3)
        usual = self.seconds_of(first, 3) / 3
        steps = max(8, min(50, int(self.seconds / 10 / usual)))
        number = max(5, min(25, int(self.seconds / (steps * usual))))
        found: dict[str, list[float]] = {name: [] for name in takes}
        for turn in range(number):
            names = list(takes)
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                found[name].append(self.seconds_of(takes[name], steps) / steps)
        return found


def bare(run: MonaiTraining, *, guarded: bool = False, factor: float = 0.0) -> Take:
    """Forward, backward, clip, fused step over batches that stay on the device.

    Args:
        run: network, loss and optimizer are its own.
        guarded: let its guard take the step.
        factor: of the geometric terms.
    """
    batches = [run.batch(0, step) for step in range(min(4, run.steps_per_epoch))]
    kept = [(b.images.to(run.device), b.labels.to(run.device)) for b in batches]
    turns = itertools.cycle(kept)
    run.model.train()
    run.guard.start_epoch(0, factor)
    parameters = list(run.model.parameters())
    form = run.memory_format

    def take(steps: int) -> None:
        for images, labels in itertools.islice(turns, steps):
            with run.autocast():
                found = run.model(images.contiguous(memory_format=form))
                outputs = as_outputs(found, images.ndim - 2)
            loss, terms = run.loss([output.float() for output in outputs], labels, factor)
            if guarded:
                run.guard.step(loss, terms)
                continue
            run.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters, 12.0)
            run.optimizer.step()

    return take


def ours(run: MonaiTraining) -> Take:
    """Steps of the trainer as a trial takes them."""
    epochs = itertools.count()

    def take(steps: int) -> None:
        run.train_steps(next(epochs), stop=steps)

    return take


def script(run: MonaiTraining, cell: Cell, workers: int) -> Take:
    """What a user writes with MONAI; the network is that of a run."""
    both, axes = ["image", "label"], range(len(cell.size))
    turn = {f"range_{axis}": 0.52 for axis in ("x", "y", "z")[: 1 if len(cell.size) == 2 else 3]}
    augment = Compose([
        EnsureTyped(both, track_meta=False),
        *[RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in axes],
        RandRotated(both, prob=0.2, mode=["bilinear", "nearest"], **turn),
        RandZoomd(both, prob=0.2, min_zoom=0.71, max_zoom=1.4, mode=["bilinear", "nearest"])
        if len(cell.size) == 2
        else RandZoomd(both, prob=0.2, min_zoom=0.71, max_zoom=1.4, mode=["trilinear", "nearest"]),
        RandAdjustContrastd("image", prob=0.3, gamma=(0.67, 1.5), retain_stats=True),
        RandGaussianNoised("image", prob=0.1, std=0.1),
    ])  # fmt: skip
    samples = [
        {"image": np.array(one.image), "label": np.array(one.label[None])}
        for one in run.data.training
    ]
    dataset = CacheDataset(samples, augment, progress=False)
    loader = DataLoader(
        dataset, cell.batch, shuffle=True, drop_last=True, num_workers=workers,
        pin_memory=run.device.type == "cuda", persistent_workers=workers > 0,
    )  # fmt: skip
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    criterion = DiceCELoss(to_onehot_y=True, softmax=True, include_background=False, batch=True)
    run.model.train()
    optimizer = torch.optim.SGD(run.model.parameters(), 0.01, momentum=0.9, nesterov=True)

    def take(steps: int) -> None:
        for batch in itertools.islice(batches, steps):
            images = batch["image"].to(run.device, non_blocking=True)
            labels = batch["label"].to(run.device, non_blocking=True)
            optimizer.zero_grad()
            outputs = as_outputs(run.model(images), len(cell.size))
            shares = [0.5**level for level in range(len(outputs))]
            losses = [
                w * criterion(o, _like(labels, o)) for w, o in zip(shares, outputs, strict=True)
            ]
            loss = torch.stack(losses).sum() / sum(shares)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(run.model.parameters(), 12.0)
            optimizer.step()

    return take


def _like(labels: Tensor, output: Tensor) -> Tensor:
    if labels.shape[2:] == output.shape[2:]:
        return labels
    return torch.nn.functional.interpolate(labels.float(), output.shape[2:], mode="nearest")


def alone(bench: Bench, take: Take, queued: int) -> float:
    """Seconds of wall time a step, once the queue of a loader is empty."""
    take(2)
    start = time.perf_counter()
    take(2)
    usual = (time.perf_counter() - start) / 2
    take(min(queued, int(2 * bench.seconds / max(usual, 1e-4))))
    steps = max(3, int(2 * bench.seconds / max(usual, 1e-4)))
    bench.clock()
    start = time.perf_counter()
    take(steps)
    bench.clock()
    return (time.perf_counter() - start) / steps


def busy_share(cell: Cell, bench: Bench, usual: float) -> str:
    """Share of an augmented epoch, validation included, in which the GPU works."""
    if bench.device != "cuda":
        return "–"
    steps = max(10, int(bench.seconds / usual))
    settings = cell.settings(
        bench.device, augmentation=AUGMENTED, trainer={"steps_per_epoch": steps}
    )
    run = MonaiTraining(settings, prepare(settings.data))
    run.run_epoch(0)
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        start = time.perf_counter()
        run.run_epoch(1)
        torch.cuda.synchronize()
        wall = time.perf_counter() - start
    spans = sorted(
        (event.time_range.start, event.time_range.end)
        for event in profile.events()
        if event.device_type == torch.autograd.DeviceType.CUDA
    )
    worked, end = 0.0, float("-inf")  # microseconds
    for first, last in spans:
        worked += max(0.0, last - max(first, end))
        end = max(end, last)
    return f"{worked / 1e6 / wall:.0%}"


def tell(*columns: object) -> None:
    widths = (34, 22, 11, 13, 7, 8)
    padded = [f"{column!s:<{width}}" for column, width in zip(columns, widths, strict=False)]
    print("  ".join(padded).rstrip(), flush=True)


def memory(bench: Bench) -> str:
    if bench.device != "cuda":
        return "–"
    found = f"{torch.cuda.max_memory_allocated() / 2**20:.0f}"
    torch.cuda.reset_peak_memory_stats()
    return found


def measure_cell(cell: Cell, bench: Bench) -> None:
    """The limit, this trainer and the script on one kind of images."""
    if bench.is_over(str(cell)):
        return

    def made(**groups: Mapping[str, Any]) -> MonaiTraining:
        settings = cell.settings(bench.device, **groups)
        return MonaiTraining(settings, prepare(settings.data))

    many = {"trainer": {"steps_per_epoch": 10**6}}
    makers: dict[str, Callable[[], Take]] = {
        "limit": lambda: bare(made()),
        "ours": lambda: ours(made(**many)),
        "ours, augmented": lambda: ours(made(**many, augmentation=AUGMENTED)),
    }
    if bench.workers == 0:
        makers["script"] = lambda: script(made(), cell, 0)
    takes: dict[str, Take] = {}
    for name, make in makers.items():
        with surviving(f"{cell}, {name}"):
            take = make()
            take(1)
            takes[name] = take
    if "limit" not in takes:
        return
    found = bench.rounds(takes)
    usual = statistics.median(found["limit"])
    held, busy = memory(bench), ""
    with surviving(f"{cell}, busy share"):
        busy = busy_share(cell, bench, usual)
    for name, times in found.items():
        median = statistics.median(times)
        ratio = statistics.median(a / b for a, b in zip(found["limit"], times, strict=True))
        shown = busy if name == "ours, augmented" else ""
        tell(cell, name, f"{cell.batch / median:.1f}", f"{ratio:.3f}", shown, held)
        held = ""
    if bench.workers > 0:
        per_step = alone(bench, script(made(), cell, bench.workers), 3 * bench.workers)
        tell(cell, f"script, {bench.workers} workers", f"{cell.batch / per_step:.1f}",
             f"{usual / per_step:.3f}", "", memory(bench))  # fmt: skip


def measure_pairs(cell: Cell, bench: Bench, pairs: int) -> None:
    """Time of our step ÷ that of the bare loop, in alternating pairs."""
    settings = cell.settings(bench.device, trainer={"steps_per_epoch": 10**6})
    takes = [make(MonaiTraining(settings, prepare(settings.data))) for make in (bare, ours)]
    for take in takes:
        take(2)
    ratios = []
    for pair in range(pairs):
        order = (0, 1) if pair % 2 == 0 else (1, 0)
        seconds = {who: bench.seconds_of(takes[who], PAIRED_STEPS) for who in order}
        ratios.append(seconds[1] / seconds[0])
    ratios.sort()
    low, high = binom.ppf([0.025, 0.975], pairs, 0.5).astype(int)
    quartiles = " to ".join(f"{each:.3f}" for each in np.quantile(ratios, [0.25, 0.75]))
    interval = f"{ratios[max(0, low - 1)]:.3f} to {ratios[min(high, pairs - 1)]:.3f}"
    print(f"{cell!s:<36}{statistics.median(ratios):<24.3f}{quartiles:<16}{interval}", flush=True)


def measure_nnunet(cell: Cell, bench: Bench) -> None:
    """nnU-Net's own step with its own loader, against the same step on a batch that stays."""
    if bench.is_over(f"nnU-Net, {cell}"):
        return
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    from sweep.nnunet.dataset.nnunet_folders import Folders
    from sweep.nnunet.dataset.planning import ensure_preprocessed
    from sweep.spec.settings.trainer_settings import NnunetTrainer

    with tempfile.TemporaryDirectory() as kept:
        raw, preprocessed = Path(kept, "raw"), Path(kept, "preprocessed")
        phantoms(raw / "Dataset001_Phantoms", cell.modalities, cell.count, str(cell.size))
        configuration = "2d" if len(cell.size) == 2 else "3d_fullres"
        asked = NnunetTrainer(
            kind="nnunet", dataset=1, raw=str(raw), preprocessed=str(preprocessed),
            configuration=configuration,
        )  # fmt: skip
        ensure_preprocessed(asked)
        plans, dataset = (
            json.loads((preprocessed / "Dataset001_Phantoms" / name).read_text())
            for name in ("nnUNetPlans.json", "dataset.json")
        )
        plans["configurations"][configuration]["batch_size"] = cell.batch
        folders = Folders(preprocessed=preprocessed, results=Path(kept, "results"))
        own = {"nnUNet_n_proc_DA": str(bench.workers), "nnUNet_compile": "f"}
        with folders.quietly(), folders.in_effect(**own):
            trainer = nnUNetTrainer(
                plans | {"continue_training": False}, configuration, 0, dataset,
                torch.device(bench.device),
            )  # fmt: skip
            trainer.initialize()
            batches, validation = trainer.get_dataloaders()
            trainer.network.train()

            def take(steps: int) -> None:
                for _ in range(steps):
                    trainer.train_step(next(batches))

            fixed = next(batches)

            def limit(steps: int) -> None:
                for _ in range(steps):
                    trainer.train_step(fixed)

            per_limit = alone(bench, limit, 0)
            per_step = alone(bench, take, 3 * bench.workers)
            for loader in (batches, validation):
                if hasattr(loader, "_finish"):
                    loader._finish()
        patch = "×".join(map(str, trainer.configuration_manager.patch_size))
    tell(cell, f"nnU-Net's limit, {patch}", f"{cell.batch / per_limit:.1f}", "1", "", memory(bench))
    tell(cell, "nnU-Net", f"{cell.batch / per_step:.1f}", f"{per_limit / per_step:.3f}")


def measure_shares(cell: Cell, bench: Bench) -> None:
    """What the guard and the geometric terms take of a step of images of this size."""
    if bench.is_over("guard and geometric terms"):
        return
    settings = cell.settings(bench.device, loss={"weights": {}, "warmup_epochs": 0})
    data = prepare(settings.data)
    found = bench.rounds(
        {
            "plain": bare(MonaiTraining(settings, data)),
            "guard": bare(MonaiTraining(settings, data), guarded=True),
            "both": bare(MonaiTraining(settings, data), guarded=True, factor=1.0),
        }
    )
    pairs = list(zip(*found.values(), strict=True))
    guard = statistics.median((guarded - plain) / both for plain, guarded, both in pairs)
    terms = statistics.median((both - guarded) / both for plain, guarded, both in pairs)
    print(f"\nOf a step at {cell}: guard {guard:.1%}, geometric terms {terms:.1%}", flush=True)


def measure_settings(cell: Cell, bench: Bench, *, compiled: bool) -> None:
    """The same step with other settings of it, each in pairs with the defaults."""
    print(f"\nSettings of the step, {cell}, ours without augmentation, against the defaults")
    tell("setting", "", "images/s", "× defaults", "", "MiB")
    fastest = {"amp": "bf16", "channels_last": True}
    variants: dict[str, dict[str, Any]] = {
        "deterministic: false": {"deterministic": False},
        "tf32: true": {"tf32": True},
        "tf32: false": {"tf32": False},
        "channels_last: true": {"channels_last": True},
        "amp: bf16": {"amp": "bf16"},
        "amp: bf16, channels_last: true": fastest,
        "the same, deterministic: false": fastest | {"deterministic": False},
        "compile: true": {"compile": True},
        "CUDA graphs (no setting)": {"compile": True},
    }

    def made(**trainer: Any) -> MonaiTraining:
        settings = cell.settings(bench.device, trainer=trainer | {"steps_per_epoch": 10**6})
        return MonaiTraining(settings, prepare(settings.data))

    for name, trainer in variants.items():
        graphs = "graphs" in name
        if ("compile" in trainer and not compiled) or (graphs and bench.device != "cuda"):
            continue
        if bench.is_over(name):
            continue
        with surviving(name):
            run = made(**trainer)
            if graphs:
                run.model.compile(mode="reduce-overhead")
            takes = {"defaults": in_its_process(made()), "other": in_its_process(run)}
            found = bench.rounds(takes)
            ratio = statistics.median(a / b for a, b in zip(*found.values(), strict=True))
            median = statistics.median(found["other"])
            tell(name, "", f"{cell.batch / median:.1f}", f"{ratio:.3f}", "", memory(bench))


def in_its_process(run: MonaiTraining) -> Take:
    """Steps of a run under its own switches of torch, which belong to the process."""
    take_ours = ours(run)

    def take(steps: int) -> None:
        make_deterministic(run.settings)
        set_tf32(run.settings.trainer.tf32)
        take_ours(steps)

    return take


@contextmanager
def surviving(what: object) -> Iterator[None]:
    """Say what went wrong instead of ending the benchmark; free the device's memory."""
    try:
        yield
    except torch.OutOfMemoryError:
        tell(what, "out of memory")
    except Exception as error:  # noqa: BLE001 - the other measurements go on
        line = traceback.format_exception_only(error)[-1].strip().splitlines()[0]
        tell(what, f"failed: {line[:100]}")
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--minutes", type=float, default=9, help="no measurement begins after them")
    parser.add_argument("--small", action="store_true", help="small images, for a CPU")
    parser.add_argument("--workers", type=int, help="of script and nnU-Net; default 8, small 0")
    parser.add_argument(
        "--pairs", type=int, default=0, help="only our step ÷ the limit's, so often"
    )
    chosen = parser.parse_args()
    workers = (0 if chosen.small else 8) if chosen.workers is None else chosen.workers
    bench = Bench(
        chosen.device,
        workers,
        seconds=1.5,
        until=time.monotonic() + 60 * chosen.minutes,
    )
    name = torch.cuda.get_device_name() if chosen.device == "cuda" else "CPU, one thread"
    print(f"{name}, torch {torch.__version__}, workers {workers}\n")
    cells = SMALL if chosen.small else LARGE
    if chosen.pairs:
        print(f"{'images':<36}{'our step ÷ the limit':<24}{'quartiles':<16}95 % of the median")
        for cell in cells:
            if cell.modalities == 1:
                measure_pairs(cell, bench, chosen.pairs)
        return
    tell("images", "who", "images/s", "of the limit", "busy", "MiB")
    for cell in cells[: len(cells) // 2]:
        with surviving(cell):
            measure_cell(cell, bench)
    with surviving("guard and geometric terms"):
        measure_shares(cells[0], bench)
    measure_settings(cells[0], bench, compiled=not chosen.small)
    print()
    for cell in cells[len(cells) // 2 :]:
        with surviving(cell):
            measure_cell(cell, bench)
    for cell in cells if not chosen.small else cells[:1]:
        if cell.modalities == 1:
            with surviving(f"nnU-Net, {cell}"):
                measure_nnunet(cell, bench)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory of this process on the host: {peak:.0f} MiB")
    if bench.left_out:
        print(f"left out, since the time was over: {'; '.join(bench.left_out)}")


if __name__ == "__main__":
    main()
