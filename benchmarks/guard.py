"""What the guard costs: guarded and plain steps of the same training, measured in turn.

    python benchmarks/guard.py

Two copies of one training take the same steps in one process, alternately and in alternating order,
so that whatever else the machine does hits both alike. Each pair gives one ratio of their times,
of CPU time on a CPU; the median is told. The plain step is what a careful loop does anyway:
backward, clip, fused optimizer step. The guarded one is read out each time, even on a GPU.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable

import torch

from sweep.data.prepare import prepare
from sweep.data.samples import PreparedData
from sweep.spec.settings import TrialSettings
from sweep.trainer.optimizers import build_optimizer
from sweep.trainer.training import Training

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
    tell("guarded / plain", plain, guarded_step(settings, data), chosen.pairs)
    copying = copying_step(settings, data)
    tell("plain with a copy of weights and momentum / plain", plain, copying, chosen.pairs)


def tell(name: str, plain: Step, other: Step, pairs: int) -> None:
    """Median over pairs of the ratio of their times, and its quartiles."""
    for warm_up in range(3):
        plain(warm_up)
        other(warm_up)
    ratios, times = [], []
    for pair in range(pairs):
        order = (plain, other) if pair % 2 else (other, plain)
        took = {step: timed(step, pair) for step in order}
        ratios.append(took[other] / took[plain])
        times.append(took[plain])
    low, median, high = statistics.quantiles(ratios, n=4)
    print(
        f"{name}: {median:.4f} (quartiles {low:.4f} to {high:.4f}; {pairs} pairs;"
        f" a plain step takes {1e3 * statistics.median(times):.1f} ms)"
    )


def timed(step: Step, number: int) -> float:
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    start = clock()
    step(number)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - start


def guarded_step(settings: TrialSettings, data: PreparedData) -> Step:
    training = Training(settings, data)

    def step(number: int) -> None:
        training.take_step(training.batch(0, number % 4), 0, number)

    return step


def plain_step(settings: TrialSettings, data: PreparedData) -> Step:
    training = Training(settings, data)
    optimizer = build_optimizer(settings.optimizer, training.model.parameters())
    return lambda number: _plain(training, optimizer, number)


def copying_step(settings: TrialSettings, data: PreparedData) -> Step:
    """The plain step after a copy of weights and momentum: the way not taken."""
    training = Training(settings, data)
    optimizer = build_optimizer(settings.optimizer, training.model.parameters())
    state = [p.detach() for p in training.model.parameters()]
    state += [moments["momentum_buffer"] for moments in optimizer.state.values()]
    kept = [torch.empty_like(tensor) for tensor in state]

    def step(number: int) -> None:
        torch._foreach_copy_(kept, state)
        _plain(training, optimizer, number)

    return step


def _plain(training: Training, optimizer: torch.optim.Optimizer, number: int) -> None:
    clip = training.settings.optimizer.gradient_clip or math.inf
    training.model.train()
    passed = training.forward(training.batch(0, number % 4), 0, number)
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(passed.loss)
    torch.nn.utils.clip_grad_norm_(training.model.parameters(), clip)
    optimizer.step()


if __name__ == "__main__":
    main()
