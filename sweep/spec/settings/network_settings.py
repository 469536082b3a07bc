"""The 2D networks to choose from and what each supports."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
)

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
    """The 2D network, by name, from MONAI or a plug-in."""

    name: Annotated[str, own_or_plugin(NETWORK, NetworkName)] = "dynunet"
    """Architecture; or a plug-in, as package.module:attribute or by its registered name."""
    channels: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False, min_length=2, max_length=8)
    ] = (16, 32, 64, 128)
    """Feature maps at each resolution level; each level halves the image."""
    deep_supervision: bool | None = None
    """Deep supervision: lower decoder levels predict too; null: if the network supports it."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout rate."""
    options: Options = Field(default_factory=dict)
    """Keyword arguments of a plug-in. Each can be searched, as network.options.NAME."""

    @model_serializer(mode="wrap")
    def _without_empty_options(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = write(self)
        if not self.options:  # our own networks have none
            values.pop("options", None)
        return values

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

    def must_fit(self, side: int, batch_size: int) -> None:
        """Refuse a network with more levels than an image of ``side`` pixels can be halved.

        The side is rounded up to a multiple that the network can halve. If a single pixel is left
        at the coarsest level, most normalisations are undefined and raise.
        """
        levels = len(self.channels)
        whole_batch = self.name in NORMALISES_BATCHES
        enough = side > 2 ** (levels - 1) or (whole_batch and batch_size > 1)
        if enough or self.is_plugin or self.name in NORMALISES_GROUPS:
            return
        raise refusal(
            f"{levels} levels leave a single pixel of {side}, too few for `{self.name}` to "
            f"normalise: must be at most {(side - 1).bit_length()} levels, or images and patches "
            f"of more than {2 ** (levels - 1)} pixels"
            + ", or a `trainer.batch_size` above 1"
            * whole_batch,
            "channels",
            value=self.channels,
        )
