"""The configuration of a run of our own trainer, read from its live objects.

Nothing here reads the settings that the run was built from. A value comes from a module of the
network, from the batches or from the data. `sweep.trainer.runs.readers` reads what every trainer
has. A new setting needs a line in `READERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from sweep.data.prepared.samples import PreparedData
from sweep.spec.settings.augmentation_settings import AugmentationSettings
from sweep.spec.settings.data_settings import FOREGROUND_SHARES
from sweep.spec.settings.evaluation_settings import EvaluationSettings
from sweep.spec.settings.network_settings import WITHOUT_DEEP_SUPERVISION
from sweep.spec.tree.setting_tree import setting_names
from sweep.trainer.batches.training_batches import TrainingBatches
from sweep.trainer.losses.training_loss import TrainingLoss
from sweep.trainer.networks.device import is_channels_last, tf32_in_effect
from sweep.trainer.networks.networks import network_facts
from sweep.trainer.runs.readers import held


class Live(Protocol):
    """The objects that train one trial of our own trainer, besides those of every run."""

    model: nn.Module
    loss: TrainingLoss
    data: PreparedData
    batches: TrainingBatches
    evaluation: EvaluationSettings


def effective(live: Live) -> dict[str, Any]:
    """Every setting of our own trainer that can be read back; of ``data``, those of its source."""
    data = {f"data.{name}": value for name, value in live.data.origin.items() if name != "dealt"}
    return data | {key: read(live) for key, read in READERS.items()}


def _dropout(live: Live) -> float:
    """Rate of the dropout layers; those of rate 0 are placeholders."""
    layers = [m for m in live.model.modules() if isinstance(m, nn.modules.dropout._DropoutNd)]
    return max((layer.p for layer in layers), default=0.0)


def _geometric_class(live: Live) -> Any:
    """The requested classes if the loss acts on them; else those that the loss acts on."""
    if live.loss.geometric_classes == live.data.geometric_classes:
        return live.data.origin.get("geometric_class")
    return tuple(live.data.classes[value] for value in live.loss.geometric_classes)


def _side_or_sides(patch: Sequence[int] | None) -> int | list[int] | None:
    """One number for a square or a cube."""
    if patch is None:
        return None
    return patch[0] if len({*patch}) == 1 else [*patch]


READERS: Mapping[str, Callable[[Live], Any]] = {
    "seed": lambda live: live.batches.seed,
    "data.spatial": lambda live: "volumes" if live.data.training.volumes else "slices",
    "data.patch_size": lambda live: _side_or_sides(live.batches.patch),
    "data.oversample_foreground": lambda live: live.batches.foreground.share,
    "data.geometric_class": _geometric_class,
    "trainer.geometry": lambda live: live.loss.geometry,
    "trainer.batch_size": lambda live: len(live.batches.indices(0, 0)),
    "trainer.tf32": lambda live: tf32_in_effect(),
    "trainer.channels_last": lambda live: is_channels_last(live.model),
    "trainer.compile": lambda live: live.model._compiled_call_impl is not None,
    "network.name": lambda live: network_facts(live.model).name,
    "network.channels": lambda live: network_facts(live.model).channels,
    "network.deep_supervision": lambda live: network_facts(live.model).deep_supervision,
    "network.dropout": _dropout,
    "network.options": lambda live: dict(network_facts(live.model).options),
    **{
        f"augmentation.{key}": held("batches.augmentation.settings", key)
        for key in setting_names(AugmentationSettings)
    },
    **{f"evaluation.{key}": held("evaluation", key) for key in setting_names(EvaluationSettings)},
}
"""Dotted name → where the run itself has the value.

Augmentation and evaluation read the settings that they hold at every call, so those take effect.
"""


def _deep_supervision(asked: bool | None, live: Live) -> bool:
    facts = network_facts(live.model)
    if asked is None:
        return facts.name not in WITHOUT_DEEP_SUPERVISION and len(facts.channels) > 2
    return asked


RESOLVED: Mapping[str, Callable[[Any, Live], Any]] = {
    "data.folder": lambda asked, _: str(Path(asked).resolve()),
    "data.fingerprint": lambda _, live: live.data.origin.get("fingerprint"),
    "data.slice_axis": lambda asked, live: (
        live.data.origin["slice_axis"] if asked == "auto" else asked
    ),
    "data.spacing": lambda asked, live: live.data.origin["spacing"] if asked == "median" else asked,
    "data.folds": lambda asked, live: (
        asked if live.data.origin["dealt"] else live.data.origin["folds"]
    ),
    "data.patch_size": lambda asked, _: asked if isinstance(asked, int) else _side_or_sides(asked),
    "data.oversample_foreground": lambda asked, live: (
        FOREGROUND_SHARES[3 if live.data.training.volumes else 2] if asked is None else asked
    ),
    "trainer.batch_size": lambda asked, live: min(asked, len(live.data.training)),
    "network.deep_supervision": _deep_supervision,
}
"""Effective value of each setting that depends on the data."""
