"""What the guard costs: guarded and plain steps of the same training, measured in turn.

    python benchmarks/guard.py

Two copies of one training take the same steps in one process, alternately and in alternating order,
so that whatever else the machine does hits both alike. Each pair gives one ratio of their times,
of CPU time on a CPU; the median is told. The plain step is what a careful loop does anyway:
backward, clip, fused optimizer step. The guarded one is read out each time, even on a GPU.

Forward and backward pass are most of a step and most of the noise. The last line leaves them out:
what the guard adds to a step of the same network whose loss is the mean of its weights.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable

import torch

from sweep.data.prepared.prepare import prepare
from sweep.data.prepared.samples import PreparedData
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.divergence.guard import Guard
from sweep.trainer.networks.optimizers import build_optimizer
from sweep.trainer.runs.monai_run import MonaiTraining

Step = Callable[[int], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--size", type=int, default=128, help="side of the images in pixels")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--policy", choices=["terminate", "skip"], default="terminate")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    chosen = parser.parse_args()
    settings = TrialSettings.model_validate(
        {
            "data": {"source": "shapes", "size": chosen.size, "count": 40},
            "trainer": {"batch_size": chosen.batch, "device": chosen.device},
            "network": {"name": "dynunet", "channels": (16, 32, 64, 128)},
            "loss": {"warmup_epochs": 0},
            "guard": {"on_nonfinite": chosen.policy},
        }
    )
    data = prepare(settings.data)
    plain = plain_step(settings, data)
    print(f"{chosen.size} x {chosen.size}, batch {chosen.batch}, {chosen.device}, {chosen.policy}")
    step_time = tell("guarded / plain", plain, guarded_step(settings, data), chosen.pairs)
    copying = copying_step(settings, data)
    tell("plain with a copy of weights and momentum / plain", plain, copying, chosen.pairs)
    pairs = measure(*optimizer_steps(settings, data), 10 * chosen.pairs)
    added = statistics.median(guarded - plain for plain, guarded in pairs)
    print(f"the guard alone adds {1e3 * added:.2f} ms, {added / step_time:.2%} of a plain step")


def tell(name: str, plain: Step, other: Step, pairs: int) -> float:
    """Print the median over pairs of the ratio of their times; the plain step's median, seconds."""
    times = measure(plain, other, pairs)
    low, median, high = statistics.quantiles([b / a for a, b in times], n=4)
    usual = statistics.median(a for a, _ in times)
    print(
        f"{name}: {median:.4f} (quartiles {low:.4f} to {high:.4f}; {pairs} pairs;"
        f" a plain step takes {1e3 * usual:.1f} ms)"
    )
    return usual


def measure(one: Step, other: Step, pairs: int) -> list[tuple[float, float]]:
    """Seconds of the two steps, taken in turn and in alternating order."""
    for warm_up in range(3):
        one(warm_up)
        other(warm_up)
    times = []
    for pair in range(pairs):
        order = (one, other) if pair % 2 else (other, one)
        took = {step: timed(step, pair) for step in order}
        times.append((took[one], took[other]))
    return times


def timed(step: Step, number: int) -> float:
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    start = clock()
    step(number)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - start


def guarded_step(settings: TrialSettings, data: PreparedData) -> Step:
    training = MonaiTraining(settings, data)

    def step(number: int) -> None:
        training.take_step(training.batch(0, number % 4), 0, number)

    return step


def plain_step(settings: TrialSettings, data: PreparedData) -> Step:
    training = MonaiTraining(settings, data)
    optimizer = build_optimizer(settings.optimizer, training.model.parameters())
    return lambda number: _plain(training, optimizer, number)


def copying_step(settings: TrialSettings, data: PreparedData) -> Step:
    """The plain step after a copy of weights and momentum: the way not taken."""
    training = MonaiTraining(settings, data)
    optimizer = build_optimizer(settings.optimizer, training.model.parameters())
    state = [p.detach() for p in training.model.parameters()]
    state += [moments["momentum_buffer"] for moments in optimizer.state.values()]
    kept = [torch.empty_like(tensor) for tensor in state]

    def step(number: int) -> None:
        torch._foreach_copy_(kept, state)
        _plain(training, optimizer, number)

    return step


def optimizer_steps(settings: TrialSettings, data: PreparedData) -> tuple[Step, Step]:
    """A plain and a guarded step of the same network with next to no forward pass."""

    def made() -> tuple[list[torch.nn.Parameter], torch.optim.Optimizer, Guard]:
        model = MonaiTraining(settings, data).model
        optimizer = build_optimizer(settings.optimizer, model.parameters())
        guard = Guard(model, optimizer, settings.optimizer.gradient_clip, settings.guard)
        guard.start_epoch(0)
        return list(model.parameters()), optimizer, guard

    parameters, optimizer, _ = made()
    others, _, guard = made()

    def plain(_number: int) -> None:
        loss = torch.stack([p.mean() for p in parameters]).sum()
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        clip = settings.optimizer.gradient_clip or math.inf
        torch.nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()

    def guarded(_number: int) -> None:
        loss = torch.stack([p.mean() for p in others]).sum()
        guard.step(loss, dict.fromkeys(("dice", "ce", "compactness", "boundary", "aspect"), loss))

    return plain, guarded


def _plain(training: MonaiTraining, optimizer: torch.optim.Optimizer, number: int) -> None:
    clip = training.settings.optimizer.gradient_clip or math.inf
    training.model.train()
    passed = training.forward(training.batch(0, number % 4), 0, number)
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(passed.loss)
    torch.nn.utils.clip_grad_norm_(training.model.parameters(), clip)
    optimizer.step()


if __name__ == "__main__":
    main()
