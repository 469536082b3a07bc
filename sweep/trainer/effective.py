"""The configuration as the live objects of a run have it, and its comparison with what was asked.

Nothing here looks at the settings that the run was built from: a value comes from an optimizer's
parameter group, from a module of the network, from the epochs at which the geometric factor rises.
A setting that is added to the schema needs a line in `READERS`, or a reason in `NOT_READ`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sweep.data.samples import PreparedData
from sweep.errors import NotApplied
from sweep.spec.augmentation import AugmentationSettings
from sweep.spec.inactive import inactive_in
from sweep.spec.network import WITHOUT_DEEP_SUPERVISION
from sweep.spec.settings import EvaluationSettings, Expectation, GuardSettings, TrialSettings
from sweep.spec.tree import setting_names, value_of
from sweep.stopping import EarlyStopping
from sweep.trainer.batches import TrainingBatches
from sweep.trainer.guard import Guard
from sweep.trainer.losses import TrainingLoss
from sweep.trainer.network_facts import NetworkFacts, network_facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The objects that train one trial.

    Args:
        autocast: the precision of a forward pass, as a context.
        factor: g(epoch), the geometric factor.
        rate: learning rate of an epoch.
        epochs: most epochs that are trained.
    """

    data: PreparedData
    batches: TrainingBatches
    model: nn.Module
    loss: TrainingLoss
    optimizer: torch.optim.Optimizer
    guard: Guard
    autocast: Callable[[], torch.autocast]
    factor: Callable[[int], float]
    rate: Callable[[int], float]
    stopping: EarlyStopping
    evaluation: EvaluationSettings
    epochs: int
    expect: tuple[Expectation, ...]


def effective(live: Live) -> dict[str, Any]:
    """Every setting that can be read back, by its dotted name; those of ``data`` that it has."""
    data = {f"data.{name}": value for name, value in live.data.origin.items() if name != "dealt"}
    return data | {key: read(live) for key, read in READERS.items()}


def verify(settings: TrialSettings, live: Live) -> None:
    """Compare what was asked for with what the live objects have.

    Settings without effect beside the others are passed over, and those of data made by hand.

    Raises:
        NotApplied: with every setting that is not what was asked for.
    """
    found = effective(live)
    idle = inactive_in(settings)
    differences = {}
    for key in asked_keys(settings):
        if key in idle or key in NOT_READ or (key.startswith("data.") and not live.data.origin):
            continue
        asked = value_of(settings, key)
        expected = RESOLVED[key](asked, live) if key in RESOLVED else asked
        if not _same(expected, found.get(key)):
            differences[key] = (asked, found.get(key))
    if differences:
        raise NotApplied(differences)


def asked_keys(settings: TrialSettings) -> list[str]:
    """Dotted names of the settings that this configuration has; of ``data``, its source's own."""
    own = type(settings.data).model_fields
    return [
        name
        for name in setting_names(TrialSettings)
        if not name.startswith("data.") or name.removeprefix("data.") in own
    ]


def _same(asked: Any, found: Any) -> bool:
    """Equal; floats that went through a formula, up to its rounding."""
    if isinstance(asked, float) and isinstance(found, float):
        return math.isclose(asked, found, rel_tol=1e-9)
    if isinstance(asked, Sequence) and not isinstance(asked, str):
        return isinstance(found, Sequence) and list(asked) == list(found)
    return (type(asked) is type(found) and bool(asked == found)) or asked is found


def _first_epoch(reached: Callable[[int], bool]) -> int:
    """The first epoch at which something that never ends again has begun."""
    return bisect_left(range(2**31), True, key=reached)


def _warmup(live: Live) -> int:
    return _first_epoch(lambda epoch: live.factor(epoch) > 0)


def _rampup_end(live: Live) -> int:
    return _first_epoch(lambda epoch: live.factor(epoch) >= 1)


def _schedule(live: Live) -> str:
    return "poly" if live.rate(live.epochs - 1) < live.rate(0) else "constant"


def _poly_exponent(live: Live) -> float | None:
    """Solves ``rate(e) / rate(0) = (1 − e / epochs)^x`` for x in the middle of the run."""
    middle = live.epochs // 2
    if middle == 0:
        return None
    exponent = math.log(live.rate(middle) / live.rate(0)) / math.log(1 - middle / live.epochs)
    return float(f"{exponent:.12g}")  # 0.9, not the 0.8999999999999999 of the logarithms


def _dropout(live: Live) -> float:
    """Rate of the dropout layers; those of rate 0 are placeholders."""
    layers = [m for m in live.model.modules() if isinstance(m, nn.modules.dropout._DropoutNd)]
    return max((layer.p for layer in layers), default=0.0)


def _counts_from(live: Live) -> str | int:
    names = {_rampup_end(live): "rampup_end", 0: "start"}
    return names.get(live.stopping.first_epoch, live.stopping.first_epoch)


def _geometric_class(live: Live) -> Any:
    """As it was asked for, where the loss does act on that class; else the one it acts on."""
    if live.loss.geometric_class == live.data.geometric_class:
        return live.data.origin.get("geometric_class")
    return live.data.classes[live.loss.geometric_class]


def _augmentation(key: str) -> Callable[[Live], Any]:
    return lambda live: value_of(live.batches.augmentation.settings, key)


def _main_weight(*names: str) -> Callable[[Live], float]:
    """Weight of the main loss's term of one of these names; one of weight 0 is not there."""
    return lambda live: next(
        (term.weight for name, term in live.loss.main.items() if name in names), 0.0
    )


def _amp(live: Live) -> str:
    """The precision that a forward pass has; float16 only counts with its scaler."""
    device = next(live.model.parameters()).device.type
    with live.autocast():
        if not torch.is_autocast_enabled(device):
            return "off"
        name = {torch.bfloat16: "bf16", torch.float16: "fp16"}[torch.get_autocast_dtype(device)]
    return name if (name == "fp16") == live.guard.fp16 else f"{name} with the wrong scaler"


def _guard(key: str) -> Callable[[Live], Any]:
    return lambda live: value_of(live.guard.settings, key)


def _group(live: Live) -> Mapping[str, Any]:
    [group] = live.optimizer.param_groups
    return group


OPTIMIZERS: Mapping[type[torch.optim.Optimizer], str] = {
    torch.optim.SGD: "sgd",
    torch.optim.AdamW: "adamw",
}

READERS: Mapping[str, Callable[[Live], Any]] = {
    "seed": lambda live: live.batches.seed,
    "data.patch_size": lambda live: live.batches.patch_size,
    "data.geometric_class": _geometric_class,
    "trainer.epochs": lambda live: live.epochs,
    "trainer.batch_size": lambda live: len(live.batches.indices(0, 0)),
    "trainer.steps_per_epoch": lambda live: live.batches.steps,
    "trainer.device": lambda live: next(live.model.parameters()).device.type,
    "trainer.threads": lambda live: torch.get_num_threads(),
    "trainer.amp": _amp,
    "trainer.deterministic": lambda live: torch.are_deterministic_algorithms_enabled(),
    "network.name": lambda live: network_facts(live.model).name,
    "network.channels": lambda live: network_facts(live.model).channels,
    "network.deep_supervision": lambda live: network_facts(live.model).deep_supervision,
    "network.dropout": _dropout,
    **{f"augmentation.{key}": _augmentation(key) for key in setting_names(AugmentationSettings)},
    "loss.main": lambda live: live.loss.settings.main,
    "loss.dice_weight": _main_weight("dice", "logcosh_dice"),
    "loss.pixel_weight": _main_weight("ce", "focal"),
    "loss.focal_gamma": lambda live: live.loss.settings.focal_gamma,
    "loss.warmup_epochs": _warmup,
    "loss.rampup_epochs": lambda live: _rampup_end(live) - _warmup(live),
    "loss.weights.compactness": lambda live: live.loss.settings.weights.compactness,
    "loss.weights.boundary": lambda live: live.loss.settings.weights.boundary,
    "loss.weights.aspect": lambda live: live.loss.settings.weights.aspect,
    "loss.weights.kervadec": lambda live: live.loss.settings.weights.kervadec,
    "loss.sqrt_epsilon": lambda live: live.loss.settings.sqrt_epsilon,
    "loss.sqrt_mode": lambda live: live.loss.settings.sqrt_mode,
    "loss.min_area": lambda live: live.loss.settings.min_area,
    "optimizer.name": lambda live: OPTIMIZERS[type(live.optimizer)],
    "optimizer.lr": lambda live: live.rate(0),
    "optimizer.momentum": lambda live: _group(live).get("momentum"),
    "optimizer.weight_decay": lambda live: _group(live)["weight_decay"],
    "optimizer.schedule": _schedule,
    "optimizer.poly_exponent": _poly_exponent,
    "optimizer.gradient_clip": lambda live: live.guard.gradient_clip,
    **{f"guard.{key}": _guard(key) for key in setting_names(GuardSettings)},
    "evaluation.tta": lambda live: live.evaluation.tta,
    "evaluation.metrics": lambda live: list(live.evaluation.metrics),
    "evaluation.every": lambda live: live.evaluation.every,
    "early_stopping.patience": lambda live: live.stopping.patience,
    "early_stopping.min_delta": lambda live: live.stopping.min_delta,
    "early_stopping.counts_from": _counts_from,
    "expect": lambda live: [one.model_dump() for one in live.expect],
}
"""Dotted name → where the run itself has the value.

Loss and augmentation read the settings that they hold at every call: those are what acts.
"""


def _can_supervise(network: NetworkFacts) -> bool:
    return network.name not in WITHOUT_DEEP_SUPERVISION and len(network.channels) > 2


RESOLVED: Mapping[str, Callable[[Any, Live], Any]] = {
    "expect": lambda asked, _: [one.model_dump() for one in asked],
    "data.folder": lambda asked, _: str(Path(asked).resolve()),
    "data.folds": lambda asked, live: (
        asked if live.data.origin["dealt"] else live.data.origin["folds"]
    ),
    "trainer.batch_size": lambda asked, live: min(asked, len(live.data.training)),
    "trainer.steps_per_epoch": lambda asked, live: asked or live.batches.steps,
    "trainer.device": lambda asked, live: (
        ("cuda" if torch.cuda.is_available() else "cpu") if asked == "auto" else asked
    ),
    "network.deep_supervision": lambda asked, live: (
        _can_supervise(network_facts(live.model)) if asked is None else asked
    ),
}
"""What a setting comes to that leaves a part of the choice to the data or the machine."""

NOT_READ: Mapping[str, str] = {
    "trainer.kind": "there is one trainer, and it is the one that reads this back",
}
"""Settings that no live object holds, and why."""
