"""Plug-ins of every kind that another package brings."""

import json
import random

import numpy as np
import torch
from PIL import Image

from sweep.search.schedulers.decision import Decision, OnArrival
from sweep.tracking.tracker import Tracker


class Net(torch.nn.Module):
    """Two convolutions; called with the images' channels, the classes, and `network.options`."""

    size_divisor = 2  # sides of images are padded to a multiple of it

    def __init__(self, channels, classes, width=8):
        super().__init__()
        self.down = torch.nn.Conv2d(channels, width, 3, stride=2, padding=1)
        self.up = torch.nn.ConvTranspose2d(width, classes, 2, stride=2)

    def forward(self, images):  # [B, channels, H, W] -> logits [B, classes, H, W]
        return self.up(self.down(images).relu())


def smoothed(logits, target, smoothing=0.1):
    """A main loss: logits `[B, classes, H, W]` and class indices `[B, 1, H, W]` to a scalar; called
    with `loss.main_options` too."""
    labels = target[:, 0]
    return torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)


def total_variation(p):
    """A loss term: soft masks `[B, H, W]` to `[B]`, the slopes of each mask over its area."""
    slopes = p.diff(dim=1).abs().sum(dim=(1, 2)) + p.diff(dim=2).abs().sum(dim=(1, 2))
    return slopes / p.sum(dim=(1, 2)).clamp(min=1)


def area_error(prediction, reference):
    """A metric: two boolean masks `[H, W]` of one class to a number; None where it has none."""
    if not reference.any():
        return None
    return abs(int(prediction.sum()) - int(reference.sum())) / int(reference.sum())


def squares(folder, count=12, side=32):
    """A data source: writes bright squares to ``folder``, in nnU-Net's raw layout."""
    chance = np.random.default_rng(0)
    images, labels = folder / "imagesTr", folder / "labelsTr"
    images.mkdir()
    labels.mkdir()
    for number in range(count):
        top, left = chance.integers(2, side // 2, size=2)
        label = np.zeros((side, side), np.uint8)
        label[top : top + side // 3, left : left + side // 3] = 1
        image = (label * 120 + chance.integers(0, 80, label.shape)).astype(np.uint8)
        Image.fromarray(image).save(images / f"square_{number:03d}_0000.png")
        Image.fromarray(label).save(labels / f"square_{number:03d}.png")
    description = {
        "channel_names": {"0": "brightness"},
        "labels": {"background": 0, "square": 1},
        "numTraining": count,
        "file_ending": ".png",
    }
    (folder / "dataset.json").write_text(json.dumps(description))


class MiddleDraw:
    """Draws a few values of each setting and takes the middle one. Results teach it nothing."""

    def __init__(self, space, seed, draws=3):
        self.space, self.seed, self.draws = space, seed, draws

    def ask(self, number):  # a function of seed and number: a resumed sweep asks it again
        chance = random.Random(f"{self.seed}-{number}")
        return {name: self._one(kind, chance) for name, kind in self.space.items()}

    def _one(self, distribution, chance):
        drawn = [distribution.sample(chance) for _ in range(self.draws)]
        numbers = all(isinstance(value, int | float) for value in drawn)
        return sorted(drawn)[len(drawn) // 2] if numbers else drawn[0]

    def tell(self, record):
        """A trial has ended, or runs: `record.score` is what it reached, more is better."""

    def learn(self, record):
        """The same of a trial of an earlier sweep (`warm_start`)."""


class Threshold(OnArrival):
    """Stops a trial that is more than ``gap`` behind the best value so far of the same epoch."""

    def __init__(self, grace_period, max_epochs, gap=0.3):
        self.judged, self.gap = range(grace_period, max_epochs), gap
        self.best, self.out = {}, set()

    def report(self, trial_id, epochs, value):  # more is better; None: not measured
        if trial_id in self.out:
            return Decision.STOP
        if value is None or epochs not in self.judged:
            return Decision.CONTINUE
        best = max(value, self.best.get(epochs, value))
        if not value >= best - self.gap:  # also where it is NaN
            self.out.add(trial_id)
            return Decision.STOP
        self.best[epochs] = best
        return Decision.CONTINUE

    def end(self, trial_id, status):
        self.out.add(trial_id)


class Lines(Tracker):
    """A line for each trial that has ended, in `lines.txt` of the results folder."""

    def __init__(self, tracked):
        self.path, self.lines = tracked.layout.folder / "lines.txt", {}

    def trial_ended(self, record):  # told again where a sweep goes on: by id, none comes twice
        self.lines[record.trial_id] = f"{record.trial_id} {record.status} {record.value}\n"

    def close(self):
        self.path.write_text("".join(self.lines.values()))
