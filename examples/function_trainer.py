"""A plain PyTorch loop in a sweep: noisy discs, a small network, Adam, nothing of this package.

    python -m sweep.run examples/function.yaml

It is searched, pruned, paused, resumed and ranked like any trainer. It has no guard, no geometric
losses and no shared warm-up: see docs/how-to/own-trainer.md.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def train(config: dict[str, Any], trial: Any) -> None:
    """Segment discs of one brightness in noise; ``config`` is ``trainer.options``."""
    model = network(config["width"]).to(trial.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=config["lr"])
    start = 0
    if (state := trial.checkpoint.load()) is not None:  # after a pause, or an interruption
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        start = state["epoch"] + 1
    for epoch in range(start, trial.epochs):
        model.train()
        for _ in range(8):
            images, labels = discs(4)
            loss = F.cross_entropy(model(images.to(trial.device)), labels.to(trial.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        trial.checkpoint.save(
            {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}
        )
        trial.report(epoch, train_loss=loss, **validated(model, trial.device))


def network(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, width, 5, padding=2),
        nn.ReLU(),
        nn.Conv2d(width, width, 5, padding=2),
        nn.ReLU(),
        nn.Conv2d(width, 2, 1),
    )


@torch.inference_mode()
def validated(model: nn.Module, device: torch.device) -> dict[str, Tensor]:
    """Dice and precision over images that are the same in every epoch and trial."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        images, labels = discs(16)
    model.eval()
    found = model(images.to(device)).argmax(dim=1).cpu()
    both = (found * labels).sum()
    return {"dice": 2 * both / (found.sum() + labels.sum()), "precision": both / found.sum()}


def discs(count: int, noise: float = 0.3, side: int = 32) -> tuple[Tensor, Tensor]:
    """Images ``[B, 1, H, W]`` and labels ``[B, H, W]``, drawn from torch's generator."""
    centre, radius = torch.rand(count, 2, 1, 1) * side, torch.rand(count, 1, 1) * 6 + 4
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    inside = (y - centre[:, 0]) ** 2 + (x - centre[:, 1]) ** 2 <= radius**2
    labels = inside.long()
    return (labels + noise * torch.randn(labels.shape))[:, None], labels
