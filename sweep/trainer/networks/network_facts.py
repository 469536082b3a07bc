"""What a network is, read from its own modules and not from the settings that it was built from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monai.networks.blocks import UnetResBlock
from monai.networks.nets import (
    AttentionUnet,
    BasicUNetPlusPlus,
    DynUNet,
    SegResNet,
    SegResNetDS,
    UNet,
)
from torch import nn

from sweep.trainer.networks.attention_unet import SupervisedAttentionUnet
from sweep.trainer.networks.networks import FinestFirst, Origin
from sweep.vocabulary.record import ParameterValue


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """The settings of a network, read back; of a plug-in, only its name and options.

    Args:
        name: as in ``network.name``.
        channels: feature maps of each level, finest first.
        deep_supervision: whether lower levels of the decoder predict in training.
        options: what a plug-in was called with.
    """

    name: str
    channels: list[int]
    deep_supervision: bool
    options: Mapping[str, ParameterValue] = field(default_factory=dict)


def network_facts(model: nn.Module) -> NetworkFacts:
    """Read a network of `sweep.trainer.networks.networks` back.

    Raises:
        TypeError: it is not one of them.
    """
    origin = getattr(model, "sweep_origin", None)
    if isinstance(origin, Origin):
        return NetworkFacts(origin.name, [], False, origin.options)
    match model:
        case DynUNet():
            name = "residual_dynunet" if model.conv_block is UnetResBlock else "dynunet"
            return NetworkFacts(name, list(model.filters), model.deep_supervision)
        case UNet():
            return NetworkFacts("unet", list(model.channels), False)
        case SupervisedAttentionUnet():
            return NetworkFacts("attention_unet", list(model.network.channels), True)
        case AttentionUnet():
            return NetworkFacts("attention_unet", list(model.channels), False)
        case FinestFirst(network=BasicUNetPlusPlus() as inner):
            blocks = (getattr(inner, f"conv_{level}_0") for level in range(5))
            widths = [next(block.parameters()).shape[0] for block in blocks]
            return NetworkFacts("basic_unet_plus_plus", widths, inner.deep_supervision)
        case SegResNet():
            return NetworkFacts("segresnet", _doubled(model), False)
        case SegResNetDS():
            return NetworkFacts("segresnet_ds", _doubled(model), model.dsdepth > 1)
        case _:
            raise TypeError(f"not a network of this package: {type(model).__name__}")


def _doubled(model: Any) -> list[int]:
    return [model.init_filters * 2**level for level in range(len(model.blocks_down))]
