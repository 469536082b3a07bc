"""What the guard says of faults that users of public repositories reported, and whether it is true.

    python benchmarks/bug_reports.py [--aside] [--words] [NAME …]

Each report is a small training with the fault that its thread tells: as a class of `CustomTraining`
and as a function under `trial.guard`, which is given the loss, or what computes it (`again`). It is
trained again without the fault, and must end then. The advice names places where the fault may lie:

- right: only where it lies; open: there and elsewhere;
- cures: elsewhere, but the training ends with the advised setting;
- wrong: elsewhere, and it does not end with it;
- silent: nothing is told, and the training ends; refused: an error names the fault;
- healthy: nothing is told of a training without a fault.

`ASIDE` were measured once, after the rules had been mended on the others.
"""

from __future__ import annotations

import argparse
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn

from sweep import CustomTraining, Validation
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.runs.tried_cures import changed
from sweep.trial.fit import fit
from sweep.vocabulary.divergence import Diagnosis
from sweep.vocabulary.errors import SweepError

SIDE, STEPS, EPOCHS, LATE = 16, 4, 3, 6
"""Pixels, steps and epochs of a training, and the step from which late faults act."""

Terms = Mapping[str, Tensor]


def plain(cured: bool) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 1))


def drawn(step: int, cured: bool) -> tuple[Tensor, Tensor]:
    """Noisy discs."""
    one = torch.Generator().manual_seed(step)
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    at = torch.randint(5, 11, (2, 2, 1, 1), generator=one)
    label = ((y - at[:, 0]) ** 2 + (x - at[:, 1]) ** 2 < 16).long()[:, None]
    return label + 0.3 * torch.randn(label.shape, generator=one), label


def ce(z: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(z, y[:, 0].long())


@dataclass(frozen=True)
class Report:
    """A reported fault.

    Args:
        what: the fault, as the report's thread or its fix tells it.
        fault: where it lies; several if each of them is a true answer; none for a healthy one.
        loss: (logits, labels, step, cured) to the terms that are added up.
        batch: (step, cured) to images and labels.
        network: (cured) to the network.
        settings: of the trial; ``cure``: those of the cure.
    """

    what: str
    fault: tuple[str, ...]
    loss: Callable[[Tensor, Tensor, int, bool], Terms] = lambda z, y, step, cured: {"ce": ce(z, y)}
    batch: Callable[[int, bool], tuple[Tensor, Tensor]] = drawn
    network: Callable[[bool], nn.Module] = plain
    settings: Mapping[str, Any] = field(default_factory=dict)
    cure: Mapping[str, Any] = field(default_factory=dict)
    optimizer: Callable[[nn.Module, bool], torch.optim.Optimizer] | None = None
    scheduler: Callable[[torch.optim.Optimizer, bool], Any] | None = None
    as_function: bool = True


def fg(z: Tensor) -> Tensor:
    return z.softmax(1)[:, 1:]


# Losses ------------------------------------------------------------------------------------------


def dice_in_half(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    p, truth = fg(z), (y == 1).to(z.dtype)
    p, truth = (p.float(), truth.float()) if cured else (p.half(), truth.half())
    overlap, sizes = (p * truth).sum(), (p + truth).sum()
    return {"dice": 1 - (2 * overlap + 1).float() / (sizes + 1).float()}


def focal(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    z = z * (400 if step >= LATE else 1)  # confident, as late in a training
    p, eps, gamma = z.softmax(1)[:, 1:], 1e-8, 0.5
    inside = eps if cured else 0.0
    positive = (1 - p + inside) ** gamma * y * (p + eps).log()
    negative = (p + inside) ** gamma * (1 - y) * (1 - p + eps).log()
    return {"focal": -(positive + negative).mean()}


def focal_of_ce(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    values = F.cross_entropy(z, y[:, 0], reduction="none")
    if step >= LATE:  # as that version of torch rounds
        values = values - values.min() - 1e-7
    base = 1 - (-values).exp()
    return {"focal": ((base.clamp(min=1e-8) if cured else base) ** 0.5 * values).mean()}


def sobel(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    kernel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])[None, None] / 8
    p = torch.where(torch.tensor(step >= LATE), fg(z) * 0, fg(z))
    gx, gy = F.conv2d(p, kernel), F.conv2d(p, kernel.mT)
    edges = (gx**2 + gy**2 + (1e-6 if cured else 0)).sqrt().mean()
    return {"ce": ce(z, y), "edges": 0.1 * edges}


def angle(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    a = F.normalize(z, dim=1)
    b = F.normalize(F.one_hot(y[:, 0], 2).permute(0, 3, 1, 2).float(), dim=1)
    if step >= LATE:
        a = torch.where(y == 1, a * 0 + b, a)  # these pixels are answered perfectly
    limit = 1 - 1e-6 if cured else 1.0
    return {"angle": (a * b).sum(1).clamp(-limit, limit).acos().mean()}


def where_root(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    x = z[:, 1] - z[:, 0]
    inner = torch.where(x > 0, x, torch.ones_like(x)) if cured else x
    soft = torch.where(x > 0, inner.sqrt(), x)
    return {"ce": ce(z, y), "soft": 0.01 * (soft - y[:, 0]).square().mean()}


def contrast(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    p = fg(z).flatten(1)
    if step >= LATE:
        p = p * 0 + p.mean(1, keepdim=True)
    spread = (p.var(1) + 1e-8).sqrt() if cured else p.std(1)
    return {"ce": ce(z, y), "contrast": 0.1 * spread.mean()}


def half_norm(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    wrong = (fg(z) - y).flatten(1)
    if step >= LATE:
        wrong = wrong * (wrong.abs() > wrong.abs().median())
    wrong = wrong.abs() + 1e-6 if cured else wrong
    return {"ce": ce(z, y), "sparse": 1e-6 * wrong.abs().pow(0.5).sum(1).square().mean()}


def orientation(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    p = fg(z) * (0.0 if step >= LATE else 1.0)
    dx, dy = p[..., 1:, :-1] - p[..., :-1, :-1], p[..., :-1, 1:] - p[..., :-1, :-1]
    small = 1e-6 if cured else 0.0
    return {"ce": ce(z, y), "orientation": 0.01 * torch.atan2(dy + small, dx + small).cos().mean()}


def axes(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    p = fg(z)[:, 0]
    at = torch.linspace(-1, 1, SIDE)
    if step >= LATE:
        p = p * 0 + p.mean()
    xx = (p * at[None, None, :] ** 2).mean((1, 2))
    yy = (p * at[None, :, None] ** 2).mean((1, 2))
    yy = torch.where((xx - yy).abs() < 1e-6, xx, yy)
    xy = (p * at[None, None, :] * at[None, :, None]).mean((1, 2)) * (0 if step >= LATE else 1)
    moments = torch.stack([xx, xy, xy, yy], 1).view(-1, 2, 2)
    moments = moments + torch.diag(torch.tensor([0.0, 1e-3])) if cured else moments
    _, vectors = torch.linalg.eigh(moments)
    return {"ce": ce(z, y), "axes": 0.01 * vectors[:, 0].abs().sum()}


def ignoring(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    found = F.cross_entropy(z, y[:, 0], ignore_index=255, reduction="sum")
    count = (y != 255).sum()
    return {"ce": found / (count.clamp(min=1) if cured else count)}


def only_ignored(step: int, cured: bool) -> tuple[Tensor, Tensor]:
    x, y = drawn(step, cured)
    return x, (torch.full_like(y, 255) if step == LATE else y)


def at_edges(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    values = F.cross_entropy(z, y[:, 0], reduction="none")
    truth = y[:, 0].float()
    edge = (F.max_pool2d(truth, 3, 1, 1) - truth) > 0
    chosen = values[edge]
    at_edge = chosen.sum() / max(chosen.numel(), 1) if cured else chosen.mean()
    return {"ce": values.mean(), "edge": at_edge}


def empty(step: int, cured: bool) -> tuple[Tensor, Tensor]:
    x, y = drawn(step, cured)
    return x, (torch.zeros_like(y) if step == LATE else y)


def masked_after(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    known = ~y.isnan()
    target = y.nan_to_num() if cured else y
    return {"mse": F.mse_loss(fg(z), target, reduction="none")[known].mean()}


def masked_first(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    known = ~y.isnan()
    return {"mse": F.mse_loss(z[:, 1:][known], y[known])}


def unknown(step: int, cured: bool) -> tuple[Tensor, Tensor]:
    x, y = drawn(step, cured)
    y = y.float()
    y[:, :, :4] = torch.nan
    return x, y


def late_unknown(step: int, cured: bool) -> tuple[Tensor, Tensor]:
    return (unknown if step >= LATE else drawn)(step, cured)


def log_p(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    p = (z * (400 if step >= LATE else 1)).softmax(1).gather(1, y)
    return {"nll": -(p.clamp(min=1e-8) if cured else p).log().mean()}


def raw_log(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    spread = F.softplus(z[:, :1]) + 1e-3 if cured else z[:, :1] + (4 if step < LATE else 0)
    wrong = (z[:, 1:] - y).abs()
    return {"log": (wrong / spread + spread.log()).mean()}


def reverse_kl(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    z = z * (400 if step >= LATE else 1)
    teacher = F.one_hot(y[:, 0], 2).permute(0, 3, 1, 2).float() * 0.8 + 0.1
    if cured:
        log_q = z.log_softmax(1)
        return {"kl": (log_q.exp() * (log_q - teacher.log())).sum(1).mean()}
    return {"kl": F.kl_div(teacher.log(), z.softmax(1), reduction="none").sum(1).mean()}


def level_set(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    sdf = z[:, 1:] + 0.5
    inside = torch.sigmoid(-1500 * sdf) if cured else 1 / (1 + (1500 * sdf).exp())
    return {"ce": ce(z, y), "heaviside": 0.01 * (inside - y).square().mean()}


def focal_tversky(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    p = fg(z)
    y = y / 255 if cured else y
    tp, fn, fp = (p * y).sum(), (y * (1 - p)).sum(), ((1 - y) * p).sum()
    return {"tversky": (1 - (tp + 1) / (tp + 0.7 * fn + 0.3 * fp + 1)) ** 0.75}


def to_255(step: int, cured: bool) -> tuple[Tensor, Tensor]:
    x, y = drawn(step, cured)
    return x, 255 * y


def generalised_dice(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    p, truth = z.softmax(1), F.one_hot(y[:, 0], 2).permute(0, 3, 1, 2).float()
    sizes = truth.sum((0, 2, 3))
    weight = 1 / (sizes.clamp(min=1) if cured else sizes) ** 2
    overlap, both = (p * truth).sum((0, 2, 3)), (p + truth).sum((0, 2, 3))
    return {"gdl": 1 - 2 * (weight * overlap).sum() / (weight * both).sum()}


def dice_0_0(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    p = fg(z)
    if step >= LATE:
        p = p * (p > 0.999)  # nothing is found
    smooth = 1e-5 if cured else 0.0
    overlap, sizes = (p * y).sum((1, 2, 3)), (p + y).sum((1, 2, 3))
    return {"ce": ce(z, y), "dice": (1 - (2 * overlap + smooth) / (sizes + smooth)).mean()}


def exp_of(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    return {"exp": (z[:, 1:].exp() * (1 - y) + (-z[:, 1:]).exp() * y).mean()}


def boundary_alone(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    from scipy.ndimage import distance_transform_edt as edt

    maps = [edt(one == 0) - edt(one == 1) for one in y[:, 0].numpy()]
    distance = torch.tensor(maps, dtype=torch.float32)[:, None]
    boundary = (fg(z) * distance.clamp(min=-0.1)).mean()
    return {"ce": ce(z, y), "boundary": 0.01 * boundary} if cured else {"boundary": boundary}


# Networks ----------------------------------------------------------------------------------------


class Net(nn.Module):
    """``plain`` with something between its two layers."""

    def __init__(self, between: Callable[[Tensor], Tensor], first: int = 1) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(first, 8, 3, padding=1), nn.Conv2d(8, 2, 1)
        self.between = Between(between)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.between(self.first(x).relu()))


class Between(nn.Module):
    def __init__(self, how: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        return self.how(x)


def over_the_batch(cured: bool) -> nn.Module:
    """Normalises over the batch, also where that is a single sample."""

    def how(x: Tensor) -> Tensor:
        return (x - x.mean(0)) / (x.std(0, unbiased=not cured) + 1e-5)

    return Net(how)


def last_of_one(step: int, cured: bool) -> tuple[Tensor, Tensor]:
    x, y = drawn(step, cured)
    return (x[:1], y[:1]) if step == LATE + 1 else (x, y)


def pooled(cured: bool) -> nn.Module:
    def how(x: Tensor) -> Tensor:
        one = x.mean((2, 3), keepdim=True)
        spread = one.var((2, 3), keepdim=True, unbiased=not cured)
        return x + (one - one.mean((2, 3), keepdim=True)) / (spread + 1e-5).sqrt()

    return Net(how)


class Attention(nn.Module):
    """Attends to the tokens that the image has; an empty image has none."""

    def __init__(self, cured: bool) -> None:
        super().__init__()
        self.embed, self.head = nn.Conv2d(1, 8, 4, 4), nn.Conv2d(8, 2, 1)
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)
        self.cured = cured

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x).flatten(2).mT
        absent = F.max_pool2d(x.abs(), 4).flatten(1) == 0
        if self.cured:
            absent = absent & ~absent.all(1, keepdim=True)
        seen, _ = self.attend(tokens, tokens, tokens, key_padding_mask=absent)
        return F.interpolate(
            self.head(seen.mT.unflatten(2, (SIDE // 4, SIDE // 4))), scale_factor=4
        )


def with_air(step: int, cured: bool) -> tuple[Tensor, Tensor]:
    x, y = drawn(step, cured)
    if step >= LATE:
        x, y = x.clone(), y.clone()
        x[0], y[0] = 0, 0
    return x, y


class Normalises(nn.Module):
    """Divides each image by its deviation, as VarNet does."""

    def __init__(self, cured: bool) -> None:
        super().__init__()
        self.inner, self.small = plain(cured), 1e-5 if cured else 0.0

    def forward(self, x: Tensor) -> Tensor:
        mean, spread = x.mean((1, 2, 3), keepdim=True), x.std((1, 2, 3), keepdim=True)
        return self.inner((x - mean) / (spread + self.small))


def margin(cured: bool) -> nn.Module:
    def how(x: Tensor) -> Tensor:
        x = torch.cat([x[:, :1] + 1, x[:, 1:] * 0], 1)  # one channel is left
        cosine = F.normalize(x, dim=1)
        low = 1e-6 if cured else 0.0
        return x + (1 - cosine**2).clamp(low, 1).sqrt()

    return Net(how)


class TooLarge(nn.Module):
    """Initial weights of deviation 1 in each of many layers."""

    def __init__(self, cured: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU()]
        for _ in range(4):
            layers += [nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()]
        self.all = nn.Sequential(*layers, nn.Conv2d(32, 2, 1))
        if not cured:
            for one in self.all:
                if isinstance(one, nn.Conv2d):
                    nn.init.normal_(one.weight, 0, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.all(x)


def unset(cured: bool) -> nn.Module:
    model = plain(cured)
    if not cured:
        model[0].weight.data[0] = -torch.inf  # what torch.empty may hold
    return model


class Factor(nn.Module):
    """Batch statistics that are divided by a factor of 0 at first."""

    def __init__(self, cured: bool) -> None:
        super().__init__()
        self.register_buffer("factor", torch.tensor(float(cured)))
        self.inner = plain(cured)

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = x.mean() * self.factor, x.var() * self.factor
        return self.inner((x - mean / self.factor) / (variance / self.factor).sqrt())


def minus_infinity(cured: bool) -> nn.Module:
    """Rules a class out by a logit of -inf, which BCE multiplies by 0."""
    model = plain(cured)

    def rule_out(module: nn.Module, inputs: Any, z: Tensor) -> Tensor:
        low = -30.0 if cured else -torch.inf
        return torch.where(inputs[0] < -0.9, low, z)

    model.register_forward_hook(rule_out)
    return model


def bce(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    return {"bce": F.binary_cross_entropy_with_logits(z[:, 1:], y.float())}


class Wide(nn.Module):
    """Activations beyond 65,504 that come back to usual ones."""

    def __init__(self, cured: bool) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(3e5 * x)) / 1e5


# Batches -----------------------------------------------------------------------------------------


def own_deviation(step: int, cured: bool) -> tuple[Tensor, Tensor]:
    x, y = with_air(step, cured)
    spread = x.std((1, 2, 3), keepdim=True)
    return (x - x.mean((1, 2, 3), keepdim=True)) / (spread.clamp(min=1e-8) if cured else spread), y


def bad_voxels(step: int, cured: bool) -> tuple[Tensor, Tensor]:
    x, y = drawn(step, cured)
    if step >= LATE and not cured:
        x[1, 0, 3, 3:5] = torch.nan
    return x, y


def infinite_voxels(step: int, cured: bool) -> tuple[Tensor, Tensor]:
    x, y = drawn(step, cured)
    if step >= LATE and not cured:
        x[0, 0, 0, 0] = -torch.inf
    return x, y


# Optimizers --------------------------------------------------------------------------------------


def half_network(cured: bool) -> nn.Module:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = plain(cured)
            self.inner[0].bias.data[0] = -9  # a unit that is off
            self.inner[0].weight.data[0] = 0
            self.inner = self.inner.bfloat16() if cured else self.inner.half()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x.to(next(self.parameters()).dtype)).float()

    return Half()


def adam(model: nn.Module, cured: bool) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-4 if cured else 1e-8)


def sgd(model: nn.Module, cured: bool) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=1e-2)


def ever_rising(optimizer: torch.optim.Optimizer, cured: bool) -> Any:
    up = 1.0 if cured else 1e8
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: up**epoch)


class Sigma(nn.Module):
    """A weight of the loss that is learnt, by its value and not by its logarithm."""

    def __init__(self, cured: bool) -> None:
        super().__init__()
        self.inner, self.sigma = plain(cured), nn.Parameter(torch.tensor(0.05))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.inner(x), self.sigma.expand(len(x), 1, *x.shape[2:])], 1)


def uncertain(z: Tensor, y: Tensor, step: int, cured: bool) -> Terms:
    sigma = z[:, 2].mean()
    precision, log = ((-sigma).exp(), sigma) if cured else (1.0, sigma.log())
    return {"ce": ce(z[:, :2], y) * precision, "sigma": 0.3 * log}


FAST = {"optimizer": {"lr": 1e4, "gradient_clip": None}}
HALF = {"trainer": {"amp": "fp16"}}
OFF = {"trainer": {"amp": "off"}}

REPORTS: Mapping[str, Report] = {
    "qubvel-org/segmentation_models.pytorch#463": Report(
        "sums of Dice over 65,504 in float16",
        ("precision", "loss"),
        dice_in_half,
        batch=lambda step, cured: tuple(
            F.interpolate(t.float(), scale_factor=32) for t in drawn(step, cured)
        ),
        settings=HALF,
    ),
    "kornia/kornia#918": Report("power below 1 of a probability of 0 or 1", ("loss",), focal),
    "kaidic/LDAM-DRW#17": Report("root of a negative 1 - p", ("loss",), focal_of_ce),
    "chaddy1004/sobel-operator-pytorch#1": Report("root of a flat Sobel", ("loss",), sobel),
    "pytorch/pytorch#8069": Report("acos at 1", ("loss",), angle),
    "pytorch/pytorch#187297": Report(
        "root in the branch that `where` drops", ("loss",), where_root
    ),
    "pytorch/pytorch#4320": Report("std of a constant, mended in torch", (), contrast),
    "pytorch/pytorch#44452": Report("p-norm with p < 1 at 0", ("loss",), half_norm),
    "pytorch/pytorch#98276": Report("atan2(0, 0), mended in torch", (), orientation),
    "pytorch/pytorch#23133": Report("eigenvectors of equal eigenvalues", ("loss",), axes),
    "ultralytics/ultralytics#25096": Report(
        "mean over no pixel: all ignored", ("loss", "data"), ignoring, only_ignored
    ),
    "Deci-AI/super-gradients#912": Report(
        "mean over no pixel: no edge", ("loss",), at_edges, empty
    ),
    "pytorch/pytorch#121416": Report(
        "NaN targets that are masked after the loss", ("loss", "data"), masked_after, late_unknown
    ),
    "torchgeo/torchgeo#3760": Report(
        "NaN targets on purpose, and a rate that is far too high",
        ("rate",),
        masked_first,
        unknown,
        settings=FAST,
        cure={"optimizer": {"lr": 1e-2}},
    ),
    "janelia-cellmap/cellmap-segmentation-challenge#162": Report(
        "NaN targets on purpose: healthy", (), masked_first, unknown
    ),
    "Project-MONAI/MONAI#1092": Report(
        "a constant image divided by its deviation", ("data",), batch=own_deviation
    ),
    "Project-MONAI/MONAI#1846": Report("NaN voxels", ("data",), batch=bad_voxels),
    "NRCan/geo-deep-learning#68": Report("infinite pixels", ("data",), batch=infinite_voxels),
    "pytorch/pytorch#8860": Report(
        "eps of Adam is 0 in float16", ("optimizer",), network=half_network, optimizer=adam
    ),
    "milesial/Pytorch-UNet#479": Report(
        "activations over 65,504 in float16", ("precision",), network=Wide, settings=HALF, cure=OFF
    ),
    "switchablenorms/Switchable-Normalization#5": Report(
        "variance of one value in the network", ("network",), network=pooled
    ),
    "digantamisra98/EvoNorm#4": Report(
        "deviation over a last batch of one",
        ("network",),
        network=over_the_batch,
        batch=last_of_one,
    ),
    "pytorch/pytorch#24816": Report(
        "attention in which all is masked", ("network",), network=Attention, batch=with_air
    ),
    "facebookresearch/fastMRI#139": Report(
        "the network divides by the deviation of air",
        ("network", "data"),
        network=Normalises,
        batch=with_air,
    ),
    "ronghuaiyang/arcface-pytorch#91": Report(
        "root of 1 - cos² in the network", ("network",), network=margin
    ),
    "JunMa11/SegWithDistMap#12": Report("1 / (1 + exp(1500 x)) by hand", ("loss",), level_set),
    "QunBB/DeepLearning#1": Report(
        "logarithm of a learnt weight below 0",
        ("loss",),
        uncertain,
        network=Sigma,
        settings={"optimizer": {"lr": 0.01}},
    ),
    "mattpoggi/mono-uncertainty#13": Report("logarithm of a raw output", ("loss",), raw_log),
    "MakazhanAlpamys/Soup#719": Report(
        "reverse KL of a softmax that underflows", ("loss",), reverse_kl
    ),
    "dunbar12138/DSNeRF#97": Report("logarithm of a weight of 0", ("loss",), log_p),
    "YunYang1994/TensorFlow2.0-Examples#8": Report(
        "a warm-up of the rate that never ends", ("rate",), scheduler=ever_rising, as_function=False
    ),
    "MIC-DKFZ/nnUNet#2197": Report(
        "a rate that is far too high",
        ("rate",),
        settings=FAST,
        cure={"optimizer": {"lr": 1e-2}},
        as_function=False,
    ),
    "shruti-jadon/Semantic-Segmentation-Loss-Functions#2": Report(
        "masks of 0 and 255 under a power below 1",
        ("data", "loss"),
        focal_tversky,
        to_255,
        settings={"optimizer": {"lr": 0.05}},
    ),
    "Project-MONAI/MONAI#371": Report(
        "class weights of 1 / 0", ("loss", "data"), generalised_dice, empty
    ),
    "YuanXue1993/SegAN#6": Report("Dice of 0 / 0", ("loss",), dice_0_0, empty),
    "VinceShieh/spark-ffm#12": Report(
        "initial weights far too large under exp", ("weights",), exp_of, network=TooLarge
    ),
    "joe-siyuan-qiao/WeightStandardization#8": Report(
        "initial weights far too large", ("weights",), network=TooLarge
    ),
    "justchenhao/BIT_CD#38": Report("initial weights of -inf", ("weights",), network=unset),
    "chenxi116/TF-deeplab#3": Report(
        "statistics divided by a factor of 0", ("network",), network=Factor
    ),
    "pytorch/pytorch#49844": Report(
        "logits of -inf under BCE", ("network", "loss"), bce, network=minus_infinity
    ),
    "NVIDIA/apex#318": Report(
        "a gradient that is NaN at any scale",
        ("loss",),
        where_root,
        settings=HALF | {"guard": {"skipped_in_a_row": 6}},
    ),
    "LIVIAETS/boundary-loss#57": Report(
        "boundary loss alone",
        ("loss",),
        boundary_alone,
        settings={"optimizer": {"lr": 0.1}, "guard": {"collapsed_epochs": 2}},
    ),
    "huggingface/accelerate#139": Report(
        "the scale is found in few steps: healthy", (), settings=HALF
    ),
    "PengchengShi1220/cbDice#6": Report(
        "a NaN now and then that is skipped: healthy",
        (),
        ignoring,
        only_ignored,
        settings={"guard": {"on_nonfinite": "skip"}},
    ),
}
ASIDE = {
    "JunMa11/SegWithDistMap#12",
    "LIVIAETS/boundary-loss#57",
    "MIC-DKFZ/nnUNet#2197",
    "NRCan/geo-deep-learning#68",
    "PengchengShi1220/cbDice#6",
    "Project-MONAI/MONAI#371",
    "VinceShieh/spark-ffm#12",
    "YuanXue1993/SegAN#6",
    "chenxi116/TF-deeplab#3",
    "digantamisra98/EvoNorm#4",
    "dunbar12138/DSNeRF#97",
    "janelia-cellmap/cellmap-segmentation-challenge#162",
    "pytorch/pytorch#121416",
    "pytorch/pytorch#23133",
    "pytorch/pytorch#24816",
    "pytorch/pytorch#4320",
    "pytorch/pytorch#49844",
    "qubvel-org/segmentation_models.pytorch#463",
    "ronghuaiyang/arcface-pytorch#91",
    "switchablenorms/Switchable-Normalization#5",
    "torchgeo/torchgeo#3760",
    "ultralytics/ultralytics#25096",
}
"""Half of them, drawn by the hash of the name before any was run."""

# Training ----------------------------------------------------------------------------------------


class AsClass(CustomTraining):
    @property
    def report(self) -> Report:
        return REPORTS[self.options["report"]]

    @property
    def cured(self) -> bool:
        return bool(self.options["cured"])

    def build_model(self) -> nn.Module:
        return self.report.network(self.cured)

    def build_scheduler(self, optimizer: torch.optim.Optimizer) -> Any:
        made = self.report.scheduler
        return None if made is None else made(optimizer, self.cured)

    def batches(self, epoch: int) -> Iterator[Any]:
        for step in range(epoch * STEPS, (epoch + 1) * STEPS):
            x, y = self.report.batch(step, self.cured)
            yield {"images": x, "labels": y, "step": step}

    def compute_loss(self, batch: Any, factor: float) -> tuple[Tensor, Terms]:
        with self.autocast():
            z = self.model(batch["images"])
        terms = self.report.loss(z.float(), batch["labels"], batch["step"], self.cured)
        return sum(terms.values(), torch.zeros(())), terms

    def validate(self, epoch: int) -> Validation:
        return Validation(**validated(self.model))


class AsClassWithItsOptimizer(AsClass):
    def build_optimizer(self) -> torch.optim.Optimizer:
        assert self.report.optimizer is not None
        return self.report.optimizer(self.model, self.cured)


def as_function(config: Any, trial: Any, again: bool = False) -> None:
    """``again``: whether the guard can compute a loss again."""
    report, cured = REPORTS[config["report"]], bool(config["cured"])
    model = report.network(cured)
    rate = trial.settings.optimizer.lr
    optimizer = (report.optimizer or sgd)(model, cured)
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] if report.optimizer else rate
    guard, half = trial.guard(model, optimizer), trial.settings.trainer.amp == "fp16"

    def compute_loss(x: Tensor, y: Tensor, step: int) -> tuple[Tensor, Terms]:
        with guard.autocast() if again else torch.autocast("cpu", torch.float16, enabled=half):
            z = model(x)
        terms = report.loss(z.float(), y, step, cured)
        return sum(terms.values(), torch.zeros(())), terms

    for epoch in range(trial.epochs):
        for step in range(epoch * STEPS, (epoch + 1) * STEPS):
            batch = *report.batch(step, cured), step
            if again:
                guard.step(compute_loss, *batch)
            else:
                guard.step(*compute_loss(*batch))
        trial.report(epoch, **validated(model, all_of_it=False))


as_function_again = partial(as_function, again=True)
ENTRIES = ("AsClass", "as_function", "as_function_again")


def validated(model: nn.Module, all_of_it: bool = True) -> dict[str, Any]:
    x, y = drawn(1000, True)
    with torch.no_grad():
        found = model(x)[:, :2].argmax(1, keepdim=True)
    dice = float(2 * (found * y).sum() / (found + y).sum().clamp(min=1))
    if not all_of_it:
        return {"dice": dice}
    classes = len(found.unique())
    return {"dice": dice, "predicted_classes": classes, "trivial_dice": 0.3}


def settings_of(name: str, entry: str, cured: bool) -> TrialSettings:
    report = REPORTS[name]
    entry += "WithItsOptimizer" * (entry == "AsClass" and report.optimizer is not None)
    values: dict[str, Any] = {
        "trainer": {"kind": "custom", "entry": f"{Path(__file__).resolve()}:{entry}"},
        "optimizer": {"lr": 1e-2, "gradient_clip": None, "schedule": "constant"},
        "guard": {"learnt_by": None, "collapsed_epochs": None},
    }
    values["trainer"] |= {"epochs": EPOCHS, "device": "cpu"}
    values["trainer"]["options"] = {"report": name, "cured": cured}
    for group, of_group in (*report.settings.items(), *(report.cure.items() if cured else ())):
        values[group] = values.get(group, {}) | of_group
    return TrialSettings.model_validate(values)


NAMED = (  # what an advice names, by its words; the first that fits
    (r"^The batch contains|^The images of the batch contain", {"data"}),
    (r"module .* answers usual values", {"network"}),
    (r"answers are, and so is the gradient that enters it: the network", {"network"}),
    (r"network's answers are: the loss (?!or)", {"loss"}),
    (r"^The untrained network", {"weights"}),
    (r"^The batch holds .* the loss or the network", {"data", "loss", "network", "rate"}),
    (r"^The batch holds a value that is not finite, the loss", {"data", "loss", "rate"}),
    (r"or the batch holds a value", {"data", "loss", "network"}),
    (r"though (the batch and )?the network's answers are", {"loss", "network"}),
    (r"^Either a value left the range of float16", {"precision", "loss", "network"}),
    (r"^float16 ends", {"precision"}),
    (r"^With eps", {"optimizer"}),
    (r"loss alone does not lead to the labels", {"rate", "loss"}),
    (r"^A gradient of norm", {"clip"}),
    (r"learning rate", {"rate"}),
    (r"skipping their steps", {"data", "loss", "network"}),
)


def named(cause: str) -> set[str]:
    return next((names for words, names in NAMED if re.search(words, cause)), {"?"})


def outcome(name: str, entry: str, words: bool) -> str:
    torch.manual_seed(0)
    report = REPORTS[name]
    try:
        verdict = fit(settings_of(name, entry, False)).divergence
    except SweepError as error:
        return f"refused: {error}"
    if verdict is None:
        return "healthy" if not report.fault else "silent"
    assert verdict.diagnosis is not None
    cause, names = verdict.diagnosis.likely_cause, named(verdict.diagnosis.likely_cause)
    sort = "open" if names - set(report.fault) else "right"
    sort = sort if names & set(report.fault) else "wrong"
    if words:
        at = f"{verdict.cause} {verdict.stage} {verdict.term} {verdict.parameter}"
        print(f"    {at} {verdict.epoch}/{verdict.step}: {cause} {verdict.diagnosis.advice}")
    if sort == "wrong" and followed(name, entry, verdict.diagnosis):
        sort = "cures"
    if report.fault:
        ends = fit(settings_of(name, entry, True)).divergence
        sort += "" if ends is None else f" (its cure breaks: {ends.message})"
    return sort


def followed(name: str, entry: str, diagnosis: Diagnosis) -> bool:
    """Whether the same training ends with the advised value of a setting."""
    to = re.search(rf"{diagnosis.setting} to ([^ ,]+?)[.,]?( |$)", diagnosis.advice)
    tenfold = "your optimizer tenfold" in diagnosis.advice
    if to is None and not tenfold:
        return False
    settings = settings_of(name, entry, False)
    change = (
        {"optimizer.lr": settings.optimizer.lr / 10}
        if to is None
        else {diagnosis.setting: yaml.safe_load(to[1])}
    )
    return fit(changed(settings, change)).divergence is None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--aside", action="store_true", help="those that were only measured")
    parser.add_argument("--words", action="store_true", help="print what is said")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    counts: Counter[str] = Counter()
    for name, report in REPORTS.items():
        if name not in (asked.names or [name]) or (name in ASIDE) is not asked.aside:
            continue
        print(f"{name}: {report.what} ({', '.join(report.fault) or 'no fault'})", flush=True)
        for entry in ENTRIES if report.as_function else ENTRIES[:1]:
            found = outcome(name, entry, asked.words)
            print(f"  {entry:17} {found}", flush=True)
            counts[f"{entry:17} {found.partition(' (')[0].partition(':')[0]}"] += 1
    print("\n".join(f"{count:3} {what}" for what, count in sorted(counts.items())))


if __name__ == "__main__":
    main()
