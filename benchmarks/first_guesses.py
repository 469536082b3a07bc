"""How often the first guess about an own loop that breaks names what was really at fault.

    python benchmarks/first_guesses.py --trainings 250

Own loops train under `trial.guard` until they break by themselves: by rates from 1e-3 to 1e30, by
an image that is constant and divided by its deviation, by a mask that is empty under a loss that
divides by it. Each that broke is trained again with a usual rate, with sound data, and with a clip:
what lets it train to its end was at fault, or would have cured it. Where nothing does, it is the
loss, which is one guess with the batch.

The rule was chosen on other networks, losses, optimizers and seeds (`CHOSEN`), and was not changed
after these (`UNSEEN`) had been looked at. "before" is the guess without the size of the weights.
"""

from __future__ import annotations

import argparse
import itertools
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.custom.function_guard import FunctionGuard
from sweep.trainer.divergence.advice import CLIP
from sweep.trainer.divergence.guard import Diverged
from sweep.trainer.runs.explain import explain
from sweep.trainer.runs.returned_values import Method

RATES = (1e-3, 1e-1, 1e1, 1e3, 3e5, 1e10, 1e20, 1e30)
USUAL, MOST_BROKEN_DATA = 1e-3, 1e-1
CASES, SIDE, EPOCHS = 32, 24, 6


def conv(channels_in: int, channels_out: int) -> nn.Module:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1)


def dice(logits: Tensor, labels: Tensor, smooth: float) -> Tensor:
    p, truth = logits.softmax(1)[:, 1], (labels == 1).float()
    overlap, sizes = (p * truth).sum((1, 2)), p.sum((1, 2)) + truth.sum((1, 2))
    return (1 - (2 * overlap + smooth) / (sizes + smooth)).mean()


def recall(p: Tensor, labels: Tensor) -> Tensor:
    truth = (labels == 1).float()  # without a guard against an empty mask
    return ((p * truth).sum((1, 2)) / truth.sum((1, 2))).mean()


def likelihood(z: Tensor, y: Tensor) -> Tensor:
    return z.softmax(1).gather(1, y[:, None])


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "conv": lambda: nn.Sequential(conv(1, 8), nn.ReLU(), conv(8, 8), nn.ReLU(), conv(8, 2)),
    "batch norm": lambda: nn.Sequential(conv(1, 8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 2)),
    "instance norm": lambda: nn.Sequential(
        conv(1, 8), nn.InstanceNorm2d(8, affine=True), nn.LeakyReLU(), conv(8, 2)
    ),
    "tanh": lambda: nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.Tanh(), conv(8, 2)),
    "gelu": lambda: nn.Sequential(conv(1, 8), nn.GroupNorm(2, 8), nn.GELU(), conv(8, 2)),
}
LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "ce": F.cross_entropy,
    "dice + ce": lambda z, y: F.cross_entropy(z, y) + dice(z, y, 1.0),
    "mse": lambda z, y: F.mse_loss(z[:, 1], y.float()),
    "log": lambda z, y: -likelihood(z, y).log().mean(),
    "bce": lambda z, y: F.binary_cross_entropy_with_logits(z[:, 1], y.float()),
    "huber": lambda z, y: F.huber_loss(z[:, 1], 4 * y.float() - 2),
    "log cosh": lambda z, y: (z[:, 1] - y.float()).cosh().log().mean(),
    "focal": lambda z, y: ((1 - likelihood(z, y)) ** 2 * -likelihood(z, y).log()).mean(),
    "ce - recall": lambda z, y: F.cross_entropy(z, y) - recall(z.softmax(1)[:, 1], y),
}
OPTIMIZERS: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd with momentum": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
CHOSEN = (["conv", "batch norm"], ["ce", "dice + ce", "mse", "log"], ["sgd with momentum", "adam"])
UNSEEN = (
    ["instance norm", "tanh", "gelu"],
    ["bce", "huber", "log cosh", "focal", "ce - recall"],
    ["adamw", "rmsprop", "sgd"],
)


@dataclass(frozen=True)
class Loop:
    """A training; ``broken``: no data, or the kind of one case that is."""

    network: str
    loss: str
    optimizer: str
    seed: int
    rate: float
    broken: str = ""
    clip: float | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trainings", type=int, default=250, help="drawn from the grid")
    parser.add_argument("--chosen", action="store_true", help="those that the rule was chosen on")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    names = CHOSEN if asked.chosen else UNSEEN
    grid = [
        Loop(*one, rate, broken)
        for one in itertools.product(*names, (0, 1) if asked.chosen else (10, 11))
        for rate, broken in itertools.product(RATES, ("", "constant image", "empty mask"))
        if not broken or rate <= MOST_BROKEN_DATA
    ]
    count, right = Counter[str](), {"before": Counter[str](), "after": Counter[str]()}
    for loop in random.Random(5).sample(grid, min(asked.trainings, len(grid))):
        if (guesses := train(loop)) is None:
            continue
        cures = cures_of(loop)
        count[" or ".join(cures)] += 1
        for when, guess in zip(right, guesses, strict=True):
            right[when][" or ".join(cures)] += guess in cures
    print(f"{count.total()} of {min(asked.trainings, len(grid))} trainings broke")
    for cures in sorted(count):
        shares = (f"{when} {found[cures]}" for when, found in right.items())
        print(f"  at fault: {cures:14} {count[cures]:4} named {', '.join(shares)}")
    for when, found in right.items():
        print(f"{when}: {found.total() / max(count.total(), 1):.0%}")


def cures_of(loop: Loop) -> list[str]:
    """What lets the same training reach its end; else it is its loss."""
    tried = {
        "rate": replace(loop, rate=USUAL),
        "data": replace(loop, broken=""),
        "clip": replace(loop, clip=CLIP),
    }
    found = [name for name, other in tried.items() if other != loop and train(other) is None]
    return found or ["data"]  # the batch and the loss on it are one guess


def train(loop: Loop) -> tuple[str, str] | None:
    """The first guess without and with the size of the weights; None where nothing broke."""
    torch.manual_seed(loop.seed)
    model = NETWORKS[loop.network]()
    settings = TrialSettings.model_validate(
        {
            "trainer": {"kind": "custom", "entry": "own.py:train", "device": "cpu"},
            "optimizer": {"gradient_clip": loop.clip},
            "loss": {"weights": {"compactness": 0.0, "boundary": 0.0, "aspect": 0.0}},
        }
    )
    optimizer = OPTIMIZERS[loop.optimizer](model.parameters(), lr=loop.rate)
    guard = FunctionGuard(settings, model, optimizer, Method(train))
    images, labels = data(loop)
    for epoch in range(EPOCHS):
        guard.begin_epoch(epoch)
        for batch in torch.randperm(CASES).split(4):
            try:
                guard.step(LOSSES[loop.loss](model(images[batch]), labels[batch]))
            except Diverged as stop:
                return guesses_of(guard, stop)
        guard.end_epoch()
    return None


def guesses_of(guard: FunctionGuard, stop: Diverged) -> tuple[str, str]:
    verdict = explain(guard, stop).divergence
    assert verdict.diagnosis is not None
    applied = [values.grad_norm for values in stop.recent if not values.skipped]
    before = "rate" if verdict.cause == "exploded" else "data"
    if applied and applied[-1] > CLIP and guard.settings.optimizer.gradient_clip is None:
        before = "clip"
    if verdict.diagnosis.setting == "optimizer.gradient_clip":
        return before, "clip"
    return before, "data" if verdict.diagnosis.likely_cause.startswith("The batch") else "rate"


def data(loop: Loop) -> tuple[Tensor, Tensor]:
    """Noisy discs, each normalised by its own deviation as many loaders do."""
    drawn = torch.Generator().manual_seed(loop.seed)
    down, right = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    images, labels = [], []
    for case in range(CASES):
        y, x = torch.randint(6, 18, (2,), generator=drawn).tolist()
        radius = int(torch.randint(3, 6, (1,), generator=drawn))
        label = ((down - y) ** 2 + (right - x) ** 2 < radius**2).long()
        image = 100 * label + 30 * torch.randn(SIDE, SIDE, generator=drawn)
        if case == loop.seed and loop.broken == "constant image":
            image = torch.full_like(image, 37.0)
        if case == loop.seed and loop.broken == "empty mask":
            label = torch.zeros_like(label)
        images.append((image - image.mean()) / image.std())
        labels.append(label)
    return torch.stack(images)[:, None], torch.stack(labels)


if __name__ == "__main__":
    main()
