"""The networks to choose from, in 2D and 3D, and what each supports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from math import prod
from operator import not_
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, ValidationInfo, field_validator

from sweep.plugins.plugin_kinds import NETWORK, own_or_plugin
from sweep.spec.settings.settings_base import Options, Settings, refusal

NetworkName = Literal[
    "dynunet",
    "residual_dynunet",
    "unet",
    "attention_unet",
    "basic_unet_plus_plus",
    "segresnet",
    "segresnet_ds",
]
OWN_NETWORKS: tuple[str, ...] = get_args(NetworkName)
WITHOUT_DEEP_SUPERVISION = ("unet", "segresnet")
WITHOUT_DROPOUT = ("segresnet_ds",)
DOUBLING = ("segresnet", "segresnet_ds")
"""Networks that always double their feature maps at each level."""
NORMALISES_GROUPS = ("segresnet",)
"""Networks whose normalisation works with a single pixel."""
NORMALISES_BATCHES = ("attention_unet",)
"""Networks whose normalisation uses the pixels of the whole batch together."""
FOLLOWS_SPACING = ("dynunet", "residual_dynunet")
"""Networks that treat each axis of a volume by its size and spacing; the others halve all."""
SMALLEST_MAP = 4
"""Voxels that are left along each axis of a volume that was halved (nnU-Net's
``UNet_featuremap_min_edge_length``)."""


@dataclass(frozen=True, slots=True)
class Levels:
    """How the resolution levels of a network treat each axis.

    Args:
        strides: factors by which each level is smaller than the one before it, ``[levels][axes]``;
            those of the first are 1.
        kernels: sides of the convolution kernels of each level, ``[levels][axes]``.
    """

    strides: tuple[tuple[int, ...], ...]
    kernels: tuple[tuple[int, ...], ...]

    @classmethod
    def halving(cls, levels: int, axes: int) -> Self:
        """Each level halves all axes; all kernels have a side of 3."""
        return cls(((1,) * axes, *[(2,) * axes] * (levels - 1)), ((3,) * axes,) * levels)

    @classmethod
    def following_spacing(
        cls, levels: int, size: Sequence[int], spacing: Sequence[float] | None
    ) -> Self:
        """Levels that bring the axes of a volume to one spacing first, as nnU-Net does.

        An axis can be halved if at least `SMALLEST_MAP` voxels are left of it (half as many again
        if it is halved alone). Of these, each level halves those with a spacing below twice the
        finest. The kernels have a side of 1 along an axis until its spacing is below twice the
        finest of all axes, and a side of 3 from then on.

        Source: ``get_pool_and_conv_props`` in nnU-Net's ``network_topology.py``. nnU-Net adds
        levels while an axis can be halved; here, their number is given.

        Args:
            levels: number of levels.
            size: of a training patch along each axis, in voxels.
            spacing: along each axis, in mm; None: the same along all.
        Raises:
            ValueError: at one of the levels, no axis can be halved.
        """
        found = cls._possible(levels, size, spacing)
        possible = len(found.strides)
        if possible < levels:
            larger = ([factor * side for side in size] for factor in count(2))
            enough = next(
                one for one in larger if len(cls._possible(levels, one, spacing).strides) == levels
            )
            apart = f" {' × '.join(f'{step:g}' for step in spacing)} mm apart" if spacing else ""
            raise ValueError(
                f"patches of {[*size]} voxels{apart} leave room for {possible} levels, since"
                f" {SMALLEST_MAP} voxels must be left along an axis that is halved, but there are"
                f" {levels}: must be at most {possible} levels, or patches such as {enough}"
            )
        return found

    @classmethod
    def _possible(cls, most: int, size: Sequence[int], spacing: Sequence[float] | None) -> Self:
        """The levels that are possible, at most so many."""
        left, steps, kernel = [*size], [*(spacing or [1.0] * len(size))], [1] * len(size)
        strides, kernels = [(1,) * len(size)], []
        while len(strides) < most and (halved := _halved_axes(left, steps)):
            finest = min(steps)
            kernel = [3 if step < 2 * finest else k for k, step in zip(kernel, steps, strict=True)]
            kernels.append(tuple(kernel))
            strides.append(tuple(2 if axis in halved else 1 for axis in range(len(size))))
            for axis in halved:
                left[axis], steps[axis] = -(-left[axis] // 2), 2 * steps[axis]
        return cls(tuple(strides), (*kernels, (3,) * len(size)))

    @property
    def divisor(self) -> tuple[int, ...]:
        """Number that each side of an input must be a multiple of, ``[axes]``."""
        return tuple(prod(along) for along in zip(*self.strides, strict=True))


def _halved_axes(size: Sequence[int], spacing: Sequence[float]) -> list[int]:
    """The axes that the next level halves."""
    can = [axis for axis, side in enumerate(size) if side >= 2 * SMALLEST_MAP]
    halved = [axis for axis in can if spacing[axis] < 2 * min(spacing[one] for one in can)]
    alone = len(halved) == 1 and size[halved[0]] < 3 * SMALLEST_MAP
    return [] if alone else halved


def _check_levels(name: str | None, channels: tuple[int, ...]) -> None:
    doubled = [channels[0] * 2**level for level in range(len(channels))]
    if name == "basic_unet_plus_plus" and len(channels) != 5:
        raise ValueError(f"`{name}` has 5 levels: must be a list of 5, but is {[*channels]}")
    if name in ("dynunet", "residual_dynunet") and len(channels) < 3:
        raise ValueError(f"`{name}` has at least 3 levels, but is {[*channels]}")
    if name == "segresnet" and channels[0] % 8:
        raise ValueError(
            f"`{name}` normalises 8 groups of feature maps: must start with a multiple of 8, "
            f"but is {[*channels]}"
        )
    if name in DOUBLING and [*channels] != doubled:
        raise ValueError(
            f"`{name}` doubles its feature maps at each level: must be {doubled}, "
            f"but is {[*channels]}"
        )


class NetworkSettings(Settings):
    """The network, by name, from MONAI or a plug-in; in 2D, or in 3D for volumes."""

    name: Annotated[str, own_or_plugin(NETWORK, NetworkName)] = "dynunet"
    """Architecture; or a plug-in, as package.module:attribute or by its registered name."""
    channels: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False, min_length=2, max_length=8)
    ] = (16, 32, 64, 128)
    """Feature maps at each resolution level. Each level halves the image; for volumes, see
    docs/reference/networks.md."""
    deep_supervision: bool | None = None
    """Deep supervision: lower decoder levels predict too; null: if the network supports it."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout rate."""
    options: Options = Field(default_factory=dict, exclude_if=not_)  # our own networks have none
    """Keyword arguments of a plug-in. Each can be searched, as network.options.NAME."""

    @property
    def is_plugin(self) -> bool:
        """Whether another package brings it."""
        return self.name not in OWN_NETWORKS

    @field_validator("channels", "deep_supervision", "dropout")
    @classmethod
    def _network_supports_it(cls, value: Any, info: ValidationInfo) -> Any:
        name, channels = info.data.get("name"), info.data.get("channels", ())
        match info.field_name:
            case "channels":
                _check_levels(name, value)
            case "deep_supervision" if value and name in WITHOUT_DEEP_SUPERVISION:
                raise ValueError(
                    f"`{name}` has no deep supervision: must be false or null, but is true"
                )
            case "deep_supervision" if value and len(channels) == 2:
                raise ValueError(
                    "2 levels leave no lower level to supervise: must be false or null, but is true"
                )
            case "dropout" if value and name in WITHOUT_DROPOUT:
                raise ValueError(f"`{name}` has no dropout: must be 0, but is {value:g}")
        return value

    def levels(
        self, axes: int, size: Sequence[int] | None = None, spacing: Sequence[float] | None = None
    ) -> Levels:
        """How the levels of a network of our own treat each axis of an input.

        Args:
            axes: 2 for images, 3 for volumes.
            size: of a training patch along each axis, in voxels; None: as large as it must be.
            spacing: of the training samples along each axis, in mm; None: the same along all.
        Raises:
            ValidationError: the patch has too few voxels for so many levels.
        """
        if axes == 2 or size is None or self.name not in FOLLOWS_SPACING:
            return Levels.halving(len(self.channels), axes)
        try:
            return Levels.following_spacing(len(self.channels), size, spacing)
        except ValueError as error:
            raise refusal(str(error), "channels", value=self.channels) from None

    def must_fit(
        self,
        smallest: Sequence[int],
        batch_size: int,
        *,
        size: Sequence[int] | None = None,
        spacing: Sequence[float] | None = None,
    ) -> None:
        """Refuse a network with more levels than its inputs can be halved.

        Sides are rounded up to a multiple that the network can halve. If a single pixel is left
        at the coarsest level, most normalisations are undefined and raise.

        Args:
            smallest: size of the smallest input along each axis, in pixels.
            batch_size: images per step.
            size, spacing: see `levels`.
        Raises:
            ValidationError: with what would fit.
        """
        if self.is_plugin:
            return
        divisor = self.levels(len(smallest), size, spacing).divisor
        whole_batch = self.name in NORMALISES_BATCHES
        enough = any(side > by for side, by in zip(smallest, divisor, strict=True))
        if enough or (whole_batch and batch_size > 1) or self.name in NORMALISES_GROUPS:
            return
        levels, longest = len(self.channels), max(smallest)
        pixel, images = ("pixel", "images") if len(smallest) == 2 else ("voxel", "volumes")
        raise refusal(
            f"{levels} levels leave a single {pixel} of {longest}, too few for `{self.name}` to "
            f"normalise: must be at most {(longest - 1).bit_length()} levels, or {images} and"
            f" patches of more than {max(divisor)} {pixel}s"
            + (" along an axis" if len(smallest) == 3 else "")
            + ", or a `trainer.batch_size` above 1" * whole_batch,
            "channels",
            value=self.channels,
        )
