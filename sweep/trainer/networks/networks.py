"""Networks by name, from MONAI, for images and volumes. All of them give logits of the input's
size, ``[B, C, (D,) H, W]``.

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
from sweep.spec.settings.network_settings import Levels, NetworkSettings
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
    settings: NetworkSettings,
    channels: int,
    classes: int,
    *,
    spatial_dims: int = 2,
    size: Sequence[int] | None = None,
    spacing: Sequence[float] | None = None,
) -> nn.Module:
    """The network of ``settings`` for images of ``channels`` channels; seed torch before.

    Args:
        spatial_dims: 2 for images, 3 for volumes.
        size: of a training patch along each axis, in voxels. Like ``spacing``, it is part of what
            defines some networks for volumes: see `NetworkSettings.levels`.
        spacing: of the training samples along each axis, in mm; None: the same along all.
    Returns:
        a module; in training mode its output may hold deep supervision (see `network_outputs`).
    Raises:
        TrainerError: a plug-in returns something else. Its own errors pass: they are those of a
            trial with these options.
        ValidationError: the network has too many levels, see `NetworkSettings.must_fit`.
    """
    if not settings.is_plugin:
        shape = Shape(spatial_dims, channels, classes, settings.levels(spatial_dims, size, spacing))
        network: nn.Module = BUILDERS[settings.name](settings, shape)
        return network
    options = dict(settings.options)
    network = NETWORK.build(settings.name, options, channels, classes, spatial_dims=spatial_dims)
    if not isinstance(network, nn.Module):
        raise TrainerError(
            f"the network `{settings.name}` must be a torch.nn.Module, but is"
            f" {type(network).__name__}"
        )
    network.sweep_facts = NetworkFacts(settings.name, [], False, options)  # type: ignore[assignment]
    return network


def size_divisor(
    settings: NetworkSettings,
    spatial_dims: int = 2,
    size: Sequence[int] | None = None,
    spacing: Sequence[float] | None = None,
) -> tuple[int, ...]:
    """Numbers of pixels that the sides of an input must be multiples of, along each axis.

    Args:
        spatial_dims, size, spacing: as of `build_network`.
    Raises:
        TrainerError: a plug-in states them for another number of axes.
    """
    if not settings.is_plugin:
        return settings.levels(spatial_dims, size, spacing).divisor
    stated = getattr(NETWORK.resolve(settings.name, settings.options), "size_divisor", 1)
    divisor = (
        tuple(map(int, stated)) if isinstance(stated, Sequence) else (int(stated),) * spatial_dims
    )
    if len(divisor) != spatial_dims:
        raise TrainerError(
            f"`size_divisor` of the network `{settings.name}` must be one number or {spatial_dims},"
            f" one for each axis, but is {stated}"
        )
    return divisor


def _heads(settings: NetworkSettings) -> int:
    """How many lower levels predict: all but the two coarsest, up to `MOST_HEADS`."""
    if settings.deep_supervision is False:
        return 0
    return min(MOST_HEADS, len(settings.channels) - 2)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a network maps to what.

    Args:
        spatial_dims: 2 for images, 3 for volumes.
        in_channels: channels of an image.
        out_channels: the classes.
        levels: how its resolution levels treat each axis.
    """

    spatial_dims: int
    in_channels: int
    out_channels: int
    levels: Levels

    @property
    def monai(self) -> dict[str, int]:
        """The arguments that MONAI's networks share."""
        return {
            "spatial_dims": self.spatial_dims,
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
        }


def _dynunet(settings: NetworkSettings, shape: Shape, *, residual: bool = False) -> Any:
    heads = _heads(settings)
    return DynUNet(
        **shape.monai,
        kernel_size=shape.levels.kernels,
        strides=shape.levels.strides,
        upsample_kernel_size=shape.levels.strides[1:],
        filters=list(settings.channels),
        dropout=settings.dropout or None,
        deep_supervision=heads > 0,
        deep_supr_num=max(1, heads),
        res_block=residual,
    )


def _unet(settings: NetworkSettings, shape: Shape) -> Any:
    return UNet(
        **shape.monai,
        channels=settings.channels,
        strides=[2] * (len(settings.channels) - 1),
        num_res_units=2,
        dropout=settings.dropout,
    )


def _attention_unet(settings: NetworkSettings, shape: Shape) -> Any:
    common: dict[str, Any] = {
        **shape.monai,
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
            **shape.monai,
            features=(*settings.channels, settings.channels[0]),
            deep_supervision=_heads(settings) > 0,
            dropout=settings.dropout,
        )
    )


def _segresnet(settings: NetworkSettings, shape: Shape) -> Any:
    levels = len(settings.channels)
    return SegResNet(
        **shape.monai,
        init_filters=settings.channels[0],  # it doubles them at each level by itself
        blocks_down=[1] + [2] * (levels - 1),
        blocks_up=[1] * (levels - 1),
        dropout_prob=settings.dropout or None,
    )


def _segresnet_ds(settings: NetworkSettings, shape: Shape) -> Any:
    return SegResNetDS(
        **shape.monai,
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
