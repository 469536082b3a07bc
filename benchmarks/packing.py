"""How many training steps a GPU gives per second when several small trials share it, and how.

    python benchmarks/packing.py --out packing.json [--seconds 1.5] [--most 16] [--sizes 64 128]

Each trial is what a sweep's trial is: a U-Net of its own weights, batches of 8 (3D: 2) that lie on
the device, Dice + CE, in 2D the geometric terms, backward pass, clipping, the guard's flag, and a
fused SGD step that the flag withholds. The ways to share:

- *alone*: one trial after the other, launched kernel by kernel. What a sweep does today.
- *alone, graph*: the same, its step captured once as a CUDA graph and replayed.
- *processes* (and *graph*): as many processes as trials, which the driver gives time in turn.
- *MPS* (and *graph*): the same under NVIDIA's Multi-Process Service, kernels side by side.
- *streams*: one process, a CUDA graph a trial, each replayed on a stream of its own.
- *fused* (and *graph*): one batched model by ``torch.func``: stacked weights, grouped convolutions.

*Ratio* is the steps per second of all trials together over those of *alone*, measured in the same
run; *MiB* is the memory that torch holds, over all processes (what a CUDA context takes comes on
top, about 500 MiB a process). Without a GPU, ``--check`` compares the fused step with single ones.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from monai.networks.nets import UNet
from torch import Tensor, nn

from sweep.spec.settings.geometric_terms import GeometricWeights
from sweep.spec.settings.loss_settings import LossSettings
from sweep.trainer.losses.training_loss import TrainingLoss

CLIP = 12.0
LOSS = LossSettings(
    weights=GeometricWeights(compactness=0.03, boundary=0.01, aspect=0.05),
    sqrt_mode="centered",
    sqrt_epsilon=1e-6,
)
BLOCK = 8
"""Steps between two readings of the guard: what the host waits for."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What each trial trains.

    Args:
        sides: of an image, in pixels.
        batch: images of a step.
    """

    sides: tuple[int, ...]
    channels: tuple[int, ...] = (16, 32, 64, 128)
    batch: int = 8

    @property
    def name(self) -> str:
        return f"{self.sides[0]}{'²³'[len(self.sides) - 2]}"

    def network(self, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        network: nn.Module = UNet(
            spatial_dims=len(self.sides),
            in_channels=1,
            out_channels=2,
            channels=self.channels,
            strides=[2] * (len(self.channels) - 1),
            num_res_units=2,
        )
        return network

    def data(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Discs on noise: images ``[B, 1, …]`` and labels ``[B, 1, …]``."""
        torch.manual_seed(0)
        grids = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in self.sides), indexing="ij")
        disc = (sum(grid**2 for grid in grids) < 0.25).float()  # type: ignore[union-attr]
        labels = disc.expand(self.batch, 1, *self.sides).contiguous()
        images = labels + 0.5 * torch.randn_like(labels)
        return images.to(device), labels.long().to(device)

    @property
    def factor(self) -> float:
        """g: the geometric terms of the loss are written for images."""
        return 1.0 if len(self.sides) == 2 else 0.0


def problems(sizes: list[int]) -> list[Problem]:
    flat = [Problem((n, n), (8, 16, 32, 64) if n == 64 else (16, 32, 64, 128)) for n in sizes]
    return [*flat, Problem((64, 64, 64), (16, 32, 64), batch=2)]


class Single:
    """One trial on its own: call it for a step."""

    def __init__(self, problem: Problem, device: torch.device, seed: int = 0) -> None:
        self.problem = problem
        self.images, self.labels = problem.data(device)
        self.model = problem.network(seed).to(device)
        self.loss = TrainingLoss(LOSS, (1,))
        self.parameters = list(self.model.parameters())
        self.optimizer = torch.optim.SGD(
            self.parameters, lr=0.01, momentum=0.9, nesterov=True, fused=True
        )
        self.measured = torch.zeros(0)

    def __call__(self) -> None:
        self.optimizer.zero_grad(set_to_none=False)
        loss, terms = self.loss([self.model(self.images)], self.labels, self.problem.factor)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.parameters, CLIP)
        losses = torch.stack([*(t.detach() for t in terms.values()), loss.detach()])
        healthy = torch.isfinite(losses).all() & torch.isfinite(norm)
        self.optimizer.found_inf = (~healthy).float()  # type: ignore[attr-defined]
        self.optimizer.grad_scale = None  # type: ignore[attr-defined]
        self.optimizer.step()
        weights = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(self.parameters)))
        self.measured = torch.cat([losses, torch.stack([norm, weights])])


class Fused:
    """Several trials as one batched model: call it for a step of all of them."""

    def __init__(self, problem: Problem, device: torch.device, count: int) -> None:
        self.problem, self.count = problem, count
        self.images, self.labels = problem.data(device)
        models = [problem.network(seed).to(device) for seed in range(count)]
        stacked, _ = torch.func.stack_module_state(models)
        self.weights: dict[str, Tensor] = stacked
        self._base = models[0]
        self.loss = TrainingLoss(LOSS, (1,))
        self.optimizer = torch.optim.SGD(
            list(self.weights.values()), lr=0.01, momentum=0.9, nesterov=True, fused=True
        )
        self.measured = torch.zeros(0)

    def losses(self) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Total ``[trials]`` and terms ``[trials]`` by name."""

        def one(weights: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
            logits = torch.func.functional_call(self._base, weights, (self.images,))
            return self.loss([logits], self.labels, self.problem.factor)

        result: tuple[Tensor, Mapping[str, Tensor]] = torch.func.vmap(one)(self.weights)
        return result

    def __call__(self) -> None:
        self.optimizer.zero_grad(set_to_none=False)
        loss, terms = self.losses()
        loss.sum().backward()  # type: ignore[no-untyped-call]
        gradients = [w.grad for w in self.weights.values() if w.grad is not None]
        norms = torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0).sqrt()
        losses = torch.stack([*(t.detach() for t in terms.values()), loss.detach()])
        healthy = torch.isfinite(losses).all(0) & torch.isfinite(norms)  # [trials]
        # A trial's step is withheld by a gradient of 0: the flag of a fused kernel is for all.
        scale = torch.where(healthy, (CLIP / (norms + 1e-6)).clamp(max=1), torch.zeros_like(norms))
        for gradient in gradients:
            gradient.nan_to_num_(0, 0, 0).mul_(scale.view(-1, *[1] * (gradient.ndim - 1)))
        self.optimizer.step()
        self.measured = torch.cat([losses, norms[None]])


Step = Callable[[], None]


def graphed(step: Step, stream: torch.cuda.Stream | None = None) -> torch.cuda.CUDAGraph:
    """The step, captured."""
    side = stream or torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph


def rate(step: Step, seconds: float) -> float:
    """Calls a second, the host waiting for the device every `BLOCK` calls, as the guard does."""
    for _ in range(3):
        step()
    torch.cuda.synchronize()
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for _ in range(BLOCK):
            step()
        torch.cuda.synchronize()
        calls += BLOCK
    return calls / (time.perf_counter() - start)


@dataclass(frozen=True, slots=True)
class Row:
    """Steps per second of all trials together."""

    problem: str
    way: str
    trials: int
    rate: float
    mib: float


def in_one_process(problem: Problem, counts: list[int], seconds: float) -> Iterator[Row]:
    device = torch.device("cuda")

    def row(way: str, count: int, calls: float, a_call: int) -> Row:
        mib = torch.cuda.max_memory_reserved() / 2**20
        return Row(problem.name, way, count, calls * a_call, mib)

    def fresh() -> None:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()

    fresh()
    yield row("alone", 1, rate(Single(problem, device), seconds), 1)
    fresh()
    yield row("alone, graph", 1, rate(graphed(Single(problem, device)).replay, seconds), 1)
    for count in counts[1:]:
        with suppress(torch.OutOfMemoryError):
            fresh()
            yield row("streams", count, rate(_on_streams(problem, device, count), seconds), count)
        with suppress(torch.OutOfMemoryError):
            fresh()
            yield row("fused", count, rate(Fused(problem, device, count), seconds), count)
        with suppress(torch.OutOfMemoryError):
            fresh()
            graph = graphed(Fused(problem, device, count))
            yield row("fused, graph", count, rate(graph.replay, seconds), count)
            del graph


def _on_streams(problem: Problem, device: torch.device, count: int) -> Step:
    streams = [torch.cuda.Stream() for _ in range(count)]
    trials = [Single(problem, device, seed) for seed in range(count)]
    graphs = [graphed(trial) for trial in trials]

    def step() -> None:
        for stream, graph in zip(streams, graphs, strict=True):
            with torch.cuda.stream(stream):
                graph.replay()

    step.kept = trials  # type: ignore[attr-defined]  # the graphs read and write their memory
    return step


def _worker(pipe: Any, barrier: Any) -> None:
    """Measures what it is told, all workers at once."""
    while (task := pipe.recv()) is not None:
        problem, seconds, as_graph = task
        try:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            trial = Single(problem, torch.device("cuda"))
            step: Step = graphed(trial).replay if as_graph else trial
            for _ in range(3):
                step()
            torch.cuda.synchronize()
            barrier.wait(60)
            answer = rate(step, seconds), torch.cuda.max_memory_reserved() / 2**20
            barrier.wait(60)  # who ends first would leave the others the whole device
            del step, trial
        except (RuntimeError, threading.BrokenBarrierError) as error:
            barrier.abort()
            answer = repr(error)
        pipe.send(answer)


def in_processes(
    way: str, chosen: list[Problem], counts: list[int], seconds: float
) -> Iterator[Row]:
    for count in counts[1:]:
        context = multiprocessing.get_context("spawn")
        barrier = context.Barrier(count)
        pipes, workers = [], []
        for _ in range(count):
            ours, theirs = context.Pipe()
            worker = context.Process(target=_worker, args=(theirs, barrier), daemon=True)
            worker.start()
            pipes.append(ours)
            workers.append(worker)
        for problem in chosen:
            for as_graph in (False, True):
                for pipe in pipes:
                    pipe.send((problem, seconds, as_graph))
                answers = [pipe.recv() for pipe in pipes]
                if wrong := [answer for answer in answers if isinstance(answer, str)]:
                    print(f"{way}, {count} × {problem.name}: {wrong[0]}", flush=True)
                    barrier.reset()
                    continue
                rates, sizes = zip(*answers, strict=True)
                name = f"{way}, graph" if as_graph else way
                yield Row(problem.name, name, count, sum(rates), sum(sizes))
        for pipe in pipes:
            pipe.send(None)
        for worker in workers:
            worker.join(20)


@contextmanager
def mps() -> Iterator[bool]:
    """NVIDIA's Multi-Process Service while the block runs; whether it could be started."""
    folder = tempfile.mkdtemp(prefix="mps-")
    names = ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY")
    os.environ.update(dict.fromkeys(names, folder))
    control = "nvidia-cuda-mps-control"
    try:
        done = subprocess.run([control, "-d"], capture_output=True, text=True, timeout=20)
        print(f"MPS: {done.returncode} {done.stdout} {done.stderr}".strip(), flush=True)
        yield done.returncode == 0
        subprocess.run([control], input="quit\n", text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"MPS: {error}", flush=True)
        yield False
    finally:
        for name in names:
            os.environ.pop(name, None)


def check() -> None:
    """On any device: a fused step is a step of each trial."""
    problem, device, count = Problem((32, 32), (8, 16), batch=2), torch.device("cpu"), 3
    fused = Fused(problem, device, count)
    singles = [Single(problem, device, seed) for seed in range(count)]
    for _ in range(3):
        fused()
        for single in singles:
            single()
    for seed, single in enumerate(singles):
        for name, weight in single.model.named_parameters():
            torch.testing.assert_close(fused.weights[name][seed], weight, rtol=1e-4, atol=1e-5)
    print(f"{count} fused trials are {count} single ones, within 1e-4, after 3 steps")


def table(rows: list[Row]) -> str:
    alone = {row.problem: row.rate for row in rows if row.way == "alone"}
    lines = ["| image | way | trials | steps/s | ratio | MiB |", "|---|---|---|---|---|---|"]
    for row in rows:
        ratio = row.rate / alone[row.problem]
        lines.append(
            f"| {row.problem} | {row.way} | {row.trials} | {row.rate:.0f} | {ratio:.2f} "
            f"| {row.mib:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--most", type=int, default=16)
    parser.add_argument("--sizes", type=int, nargs="*", default=[64, 128, 256, 512])
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if arguments.check:
        check()
        return
    # The defaults of `deterministic: true`, but for cuDNN's search of the fastest algorithm.
    torch.backends.cudnn.benchmark = False
    # Autograd's nodes were made on another stream than they are captured on, as is meant here.
    torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(False)
    counts = [n for n in (1, 2, 4, 8, 16) if n <= arguments.most]
    chosen, rows = problems(arguments.sizes), list[Row]()

    def take(found: Iterator[Row]) -> None:
        for row in found:
            rows.append(row)
            print(row, flush=True)
            if arguments.out:
                lines = [asdict(each) for each in rows]
                arguments.out.write_text(json.dumps(lines, indent=0), encoding="utf-8")

    print(torch.cuda.get_device_name(), torch.__version__, flush=True)
    for problem in chosen:
        take(in_one_process(problem, counts, arguments.seconds))
    few = [n for n in counts if n in (1, 4, 16)]  # a process takes seconds to start
    torch.cuda.empty_cache()
    take(in_processes("processes", chosen, few, arguments.seconds))
    with mps() as runs:
        if runs:
            take(in_processes("MPS", chosen, few, arguments.seconds))
    print(table(rows))


if __name__ == "__main__":
    main()
