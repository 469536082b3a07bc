"""MONAI's attention U-Net with deep supervision."""

from __future__ import annotations

from typing import Any

from monai.networks.layers.factories import Conv
from monai.networks.nets import AttentionUnet
from monai.networks.nets.attentionunet import AttentionLayer
from torch import Tensor, nn


class SupervisedAttentionUnet(nn.Module):
    """In training, the decoder's lower levels predict too, each at its own resolution.

    MONAI's network nests its levels and returns only the output of the outermost. Hooks catch the
    outputs of the inner ones.

    Args:
        spatial_dims: 2 for images, 3 for volumes.
        out_channels: channels of every prediction: the classes.
        channels: feature maps of each level, finest first.
        heads: number of lower levels that predict, from the second finest on.
        settings: further arguments of `monai.networks.nets.AttentionUnet`.
    """

    def __init__(
        self,
        *,
        spatial_dims: int,
        out_channels: int,
        channels: tuple[int, ...],
        heads: int,
        **settings: Any,
    ) -> None:
        super().__init__()
        self.network = AttentionUnet(
            spatial_dims=spatial_dims, out_channels=out_channels, channels=channels, **settings
        )
        convolution = Conv[Conv.CONV, spatial_dims]
        self.heads = nn.ModuleList(
            convolution(width, out_channels, kernel_size=1) for width in channels[1 : 1 + heads]
        )
        self._features: list[Tensor] = []
        # The outermost, which is the finest, comes first. It has the network's own head.
        levels = [m for m in self.network.modules() if isinstance(m, AttentionLayer)]
        for level in levels[1 : 1 + heads]:
            level.register_forward_hook(self._catch)

    def forward(self, images: Tensor) -> Tensor | list[Tensor]:
        """Logits ``[B, C, (D,) H, W]``; in training a list of them, finest first."""
        logits: Tensor = self.network(images)
        # Levels end from the inside out. Their outputs hold the graph, so they are released.
        features, self._features = self._features[::-1], []
        if not self.training:
            return logits
        lower = [head(x) for head, x in zip(self.heads, features, strict=True)]
        return [logits, *lower]

    def _catch(self, _level: nn.Module, _inputs: Any, output: Tensor) -> None:
        self._features.append(output)
