"""2D networks by name, from MONAI. All of them give logits ``[B, C, H, W]`` of the input's size.

With deep supervision they give a list in training: first these logits, then the predictions of up
to three lower levels of the decoder, finest first, at their own resolution or at the input's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
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
from torch import Tensor, nn

from sweep.plugins.plugin_kinds import NETWORK
from sweep.spec.settings.network_settings import NetworkSettings
from sweep.trainer.networks.attention_unet import SupervisedAttentionUnet
from sweep.vocabulary.errors import TrainerError
from sweep.vocabulary.record import ParameterValue

MOST_HEADS = 3
"""Lower levels that predict under deep supervision, at most."""


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


def build_network(
    settings: NetworkSettings, channels: int, classes: int, *, spatial_dims: int = 2
) -> nn.Module:
    """The network of ``settings`` for images of ``channels`` channels; seed torch before.

    Args:
        spatial_dims: 2 for images, 3 for volumes.

    Returns:
        a module; in training mode its output may hold deep supervision (see `as_outputs`).
    Raises:
        TrainerError: a plug-in returns something else. Its own errors pass: they are those of a
            trial with these options.
    """
    if not settings.is_plugin:
        shape = {"spatial_dims": spatial_dims, "in_channels": channels, "out_channels": classes}
        network: nn.Module = BUILDERS[settings.name](settings, shape)
        return network
    options = dict(settings.options)
    network = NETWORK.resolve(settings.name, options)(channels, classes, **options)
    if not isinstance(network, nn.Module):
        raise TrainerError(
            f"the network `{settings.name}` must be a torch.nn.Module, but is"
            f" {type(network).__name__}"
        )
    network.sweep_facts = NetworkFacts(settings.name, [], False, options)  # type: ignore[assignment]
    return network


def size_divisor(settings: NetworkSettings) -> int:
    """Number of pixels that the sides of an input must be a multiple of."""
    if settings.is_plugin:
        return int(getattr(NETWORK.resolve(settings.name, settings.options), "size_divisor", 1))
    return int(2 ** (len(settings.channels) - 1))


def as_outputs(output: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """What a network returned as a list of ``[B, C, H, W]``, finest first.

    MONAI's DynUNet stacks its deep supervision on a new axis, ``[B, S, C, H, W]``; others return a
    list or a single tensor. An evaluation takes element 0.
    """
    if isinstance(output, Tensor):
        return list(output.unbind(1)) if output.ndim == 5 else [output]
    return list(output)


def _heads(settings: NetworkSettings) -> int:
    """How many lower levels predict: all but the two coarsest, up to `MOST_HEADS`."""
    if settings.deep_supervision is False:
        return 0
    return min(MOST_HEADS, len(settings.channels) - 2)


Shape = Mapping[str, int]
"""MONAI's names for the dimensions of a network, and its numbers of input and output channels."""


def _dynunet(settings: NetworkSettings, shape: Shape, *, residual: bool = False) -> Any:
    levels, heads = len(settings.channels), _heads(settings)
    return DynUNet(
        **shape,
        kernel_size=[3] * levels,
        strides=[1] + [2] * (levels - 1),
        upsample_kernel_size=[2] * (levels - 1),
        filters=list(settings.channels),
        dropout=settings.dropout or None,
        deep_supervision=heads > 0,
        deep_supr_num=max(1, heads),
        res_block=residual,
    )


def _unet(settings: NetworkSettings, shape: Shape) -> Any:
    return UNet(
        **shape,
        channels=settings.channels,
        strides=[2] * (len(settings.channels) - 1),
        num_res_units=2,
        dropout=settings.dropout,
    )


def _attention_unet(settings: NetworkSettings, shape: Shape) -> Any:
    common: dict[str, Any] = {
        **shape,
        "channels": settings.channels,
        "strides": [2] * (len(settings.channels) - 1),
        "dropout": settings.dropout,
    }
    heads = _heads(settings)
    return SupervisedAttentionUnet(heads=heads, **common) if heads else AttentionUnet(**common)


class FinestFirst(nn.Module):
    """U-Net++ with its finest prediction first, and alone in evaluation. MONAI's lists it last, and
    lists all of them in evaluation too.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> list[Tensor]:
        outputs: list[Tensor] = self.network(images)[::-1]
        return outputs if self.training else outputs[:1]


def _basic_unet_plus_plus(settings: NetworkSettings, shape: Shape) -> nn.Module:
    return FinestFirst(
        BasicUNetPlusPlus(
            **shape,
            features=(*settings.channels, settings.channels[0]),
            deep_supervision=_heads(settings) > 0,
            dropout=settings.dropout,
        )
    )


def _segresnet(settings: NetworkSettings, shape: Shape) -> Any:
    levels = len(settings.channels)
    return SegResNet(
        **shape,
        init_filters=settings.channels[0],  # it doubles them at each level by itself
        blocks_down=[1] + [2] * (levels - 1),
        blocks_up=[1] * (levels - 1),
        dropout_prob=settings.dropout or None,
    )


def _segresnet_ds(settings: NetworkSettings, shape: Shape) -> Any:
    return SegResNetDS(
        **shape,
        init_filters=settings.channels[0],
        blocks_down=(1, *[2] * (len(settings.channels) - 1)),
        norm="instance",  # batches are small
        dsdepth=1 + _heads(settings),
    )


BUILDERS: Mapping[str, Callable[[NetworkSettings, Shape], Any]] = {
    "dynunet": _dynunet,
    "residual_dynunet": partial(_dynunet, residual=True),
    "unet": _unet,
    "attention_unet": _attention_unet,
    "basic_unet_plus_plus": _basic_unet_plus_plus,
    "segresnet": _segresnet,
    "segresnet_ds": _segresnet_ds,
}


def network_facts(model: nn.Module) -> NetworkFacts:
    """Read the settings of a network back, from its own modules.

    Raises:
        TypeError: it is not one of `build_network`.
    """
    facts = getattr(model, "sweep_facts", None)
    if isinstance(facts, NetworkFacts):
        return facts
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
