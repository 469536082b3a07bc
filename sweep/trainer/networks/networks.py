"""2D networks by name, from MONAI. All of them give logits ``[B, C, H, W]`` of the input's size.

With deep supervision they give, in training, a list: that first, then what up to three lower levels
of the decoder predict, finest first, of their own resolution or enlarged to the input's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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


def build_network(settings: NetworkSettings, channels: int, classes: int) -> nn.Module:
    """The network of ``settings`` for images of ``channels`` channels; seed torch before.

    Returns:
        a module; in training mode its output may hold deep supervision (see `as_outputs`).
    """
    if settings.is_plugin:
        return _of_plugin(settings, channels, classes)
    return BUILDERS[settings.name](settings, channels, classes)


def size_divisor(settings: NetworkSettings) -> int:
    """What the sides of an input must be a multiple of, in pixels."""
    if settings.is_plugin:
        return int(getattr(NETWORK.resolve(settings.name, settings.options), "size_divisor", 1))
    return int(2 ** (len(settings.channels) - 1))


@dataclass(frozen=True, slots=True)
class Origin:
    """By which name and options a plug-in was called that returned a network."""

    name: str
    options: Mapping[str, ParameterValue]


def _of_plugin(settings: NetworkSettings, channels: int, classes: int) -> nn.Module:
    """Errors of the plug-in itself pass: they are those of a trial with these options."""
    options = dict(settings.options)
    network = NETWORK.resolve(settings.name, options)(channels, classes, **options)
    if not isinstance(network, nn.Module):
        raise TrainerError(
            f"the network `{settings.name}` must be a torch.nn.Module, but is"
            f" {type(network).__name__}"
        )
    network.sweep_origin = Origin(settings.name, options)  # type: ignore[assignment]
    return network


def as_outputs(output: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """What a network returned as a list of ``[B, C, H, W]``, finest first.

    MONAI's DynUNet stacks its deep supervision on a new axis, ``[B, S, C, H, W]``; others return a
    list or a single tensor. Whoever evaluates takes element 0.
    """
    if isinstance(output, Tensor):
        return list(output.unbind(1)) if output.ndim == 5 else [output]
    return list(output)


def _heads(settings: NetworkSettings) -> int:
    """How many lower levels predict: all but the two coarsest, up to `MOST_HEADS`."""
    if settings.deep_supervision is False:
        return 0
    return min(MOST_HEADS, len(settings.channels) - 2)


def _dynunet(
    settings: NetworkSettings, channels: int, classes: int, *, residual: bool = False
) -> nn.Module:
    levels = len(settings.channels)
    heads = _heads(settings)
    network: nn.Module = DynUNet(
        spatial_dims=2,
        in_channels=channels,
        out_channels=classes,
        kernel_size=[3] * levels,
        strides=[1] + [2] * (levels - 1),
        upsample_kernel_size=[2] * (levels - 1),
        filters=list(settings.channels),
        dropout=settings.dropout or None,
        deep_supervision=heads > 0,
        deep_supr_num=max(1, heads),
        res_block=residual,
    )
    return network


def _residual_dynunet(settings: NetworkSettings, channels: int, classes: int) -> nn.Module:
    return _dynunet(settings, channels, classes, residual=True)


def _unet(settings: NetworkSettings, channels: int, classes: int) -> nn.Module:
    network: nn.Module = UNet(
        spatial_dims=2,
        in_channels=channels,
        out_channels=classes,
        channels=settings.channels,
        strides=[2] * (len(settings.channels) - 1),
        num_res_units=2,
        dropout=settings.dropout,
    )
    return network


def _attention_unet(settings: NetworkSettings, channels: int, classes: int) -> nn.Module:
    shape: dict[str, Any] = {
        "spatial_dims": 2,
        "in_channels": channels,
        "channels": settings.channels,
        "strides": [2] * (len(settings.channels) - 1),
        "dropout": settings.dropout,
    }
    heads = _heads(settings)
    if heads:
        return SupervisedAttentionUnet(classes=classes, heads=heads, **shape)
    network: nn.Module = AttentionUnet(out_channels=classes, **shape)
    return network


class FinestFirst(nn.Module):
    """U-Net++ without its habits: it lists its finest prediction last, and in evaluation too."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> list[Tensor]:
        outputs: list[Tensor] = self.network(images)[::-1]
        return outputs if self.training else outputs[:1]


def _basic_unet_plus_plus(settings: NetworkSettings, channels: int, classes: int) -> nn.Module:
    return FinestFirst(
        BasicUNetPlusPlus(
            spatial_dims=2,
            in_channels=channels,
            out_channels=classes,
            features=(*settings.channels, settings.channels[0]),
            deep_supervision=_heads(settings) > 0,
            dropout=settings.dropout,
        )
    )


def _segresnet(settings: NetworkSettings, channels: int, classes: int) -> nn.Module:
    levels = len(settings.channels)
    network: nn.Module = SegResNet(
        spatial_dims=2,
        in_channels=channels,
        out_channels=classes,
        init_filters=settings.channels[0],  # it doubles them at each level by itself
        blocks_down=[1] + [2] * (levels - 1),
        blocks_up=[1] * (levels - 1),
        dropout_prob=settings.dropout or None,
    )
    return network


def _segresnet_ds(settings: NetworkSettings, channels: int, classes: int) -> nn.Module:
    levels = len(settings.channels)
    network: nn.Module = SegResNetDS(
        spatial_dims=2,
        in_channels=channels,
        out_channels=classes,
        init_filters=settings.channels[0],
        blocks_down=(1, *[2] * (levels - 1)),
        norm="instance",  # batches are small
        dsdepth=1 + _heads(settings),
    )
    return network


BUILDERS: Mapping[str, Callable[[NetworkSettings, int, int], nn.Module]] = {
    "dynunet": _dynunet,
    "residual_dynunet": _residual_dynunet,
    "unet": _unet,
    "attention_unet": _attention_unet,
    "basic_unet_plus_plus": _basic_unet_plus_plus,
    "segresnet": _segresnet,
    "segresnet_ds": _segresnet_ds,
}
