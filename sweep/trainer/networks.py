"""2D networks by name, from MONAI. All of them give logits ``[B, C, H, W]`` of the input's size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from monai.networks.nets import AttentionUnet, DynUNet, SegResNet, UNet
from torch import Tensor, nn

from sweep.spec.settings import NetworkSettings


def build_network(settings: NetworkSettings, channels: int, classes: int) -> nn.Module:
    """The network of ``settings`` for images of ``channels`` channels; seed torch before.

    Returns:
        a module; in training mode its output may hold deep supervision (see `as_outputs`).
    """
    return BUILDERS[settings.name](settings, channels, classes)


def size_divisor(settings: NetworkSettings) -> int:
    """What the sides of an input must be a multiple of, in pixels."""
    return int(2 ** (len(settings.channels) - 1))


def as_outputs(output: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """What a network returned as a list of ``[B, C, H, W]``, finest first.

    MONAI's DynUNet stacks its deep supervision on a new axis, ``[B, S, C, H, W]``; others return a
    list or a single tensor. Whoever evaluates takes element 0.
    """
    if isinstance(output, Tensor):
        return list(output.unbind(1)) if output.ndim == 5 else [output]
    return list(output)


def _dynunet(settings: NetworkSettings, channels: int, classes: int) -> nn.Module:
    levels = len(settings.channels)
    heads = min(3, levels - 2)  # the two coarsest levels have none
    network: nn.Module = DynUNet(
        spatial_dims=2,
        in_channels=channels,
        out_channels=classes,
        kernel_size=[3] * levels,
        strides=[1] + [2] * (levels - 1),
        upsample_kernel_size=[2] * (levels - 1),
        filters=list(settings.channels),
        dropout=settings.dropout or None,
        deep_supervision=settings.deep_supervision is not False and heads > 0,
        deep_supr_num=max(1, heads),
    )
    return network


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
    network: nn.Module = AttentionUnet(
        spatial_dims=2,
        in_channels=channels,
        out_channels=classes,
        channels=settings.channels,
        strides=[2] * (len(settings.channels) - 1),
        dropout=settings.dropout,
    )
    return network


def _segresnet(settings: NetworkSettings, channels: int, classes: int) -> nn.Module:
    # SegResNet doubles its features at each level by itself: only the first width is free.
    levels = len(settings.channels)
    network: nn.Module = SegResNet(
        spatial_dims=2,
        in_channels=channels,
        out_channels=classes,
        init_filters=settings.channels[0],
        blocks_down=[1] + [2] * (levels - 1),
        blocks_up=[1] * (levels - 1),
        dropout_prob=settings.dropout or None,
    )
    return network


BUILDERS: Mapping[str, Callable[[NetworkSettings, int, int], nn.Module]] = {
    "dynunet": _dynunet,
    "unet": _unet,
    "attention_unet": _attention_unet,
    "segresnet": _segresnet,
}
