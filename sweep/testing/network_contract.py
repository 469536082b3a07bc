"""What every network promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from sweep.trainer.networks.network_outputs import as_outputs

CHANNELS, CLASSES = 2, 3


class NetworkContract:
    """Subclass it, and set ``make`` to the network's class."""

    make: Callable[[int, int], nn.Module]
    """Of channels and classes; as a trial calls it."""
    spatial_dims = 2
    """2 for images; 3 for volumes: ``make`` then returns a network for these."""

    def test_logits_have_a_channel_for_each_class_and_the_finest_the_size_of_the_image(
        self,
    ) -> None:
        network, images = self._network_and_images()
        outputs = as_outputs(network(images), self.spatial_dims)
        assert outputs[0].shape == (len(images), CLASSES, *images.shape[2:])
        assert all(output.shape[:2] == (len(images), CLASSES) for output in outputs)

    def test_every_parameter_that_trains_gets_a_finite_gradient(self) -> None:
        network, images = self._network_and_images()
        means = [
            output.square().mean() for output in as_outputs(network(images), self.spatial_dims)
        ]
        torch.stack(means).sum().backward()  # type: ignore[no-untyped-call]
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None, f"{name} has no part in the output"
                assert parameter.grad.isfinite().all(), name

    def test_state_that_is_loaded_predicts_the_same(self) -> None:
        network, images = self._network_and_images()
        other = self.make(CHANNELS, CLASSES).eval()
        other.load_state_dict(network.state_dict())
        assert torch.equal(self._finest(other, images), self._finest(network.eval(), images))

    def test_same_seed_makes_the_same_network(self) -> None:
        (one, images), (other, _) = self._network_and_images(), self._network_and_images()
        assert torch.equal(self._finest(one.eval(), images), self._finest(other.eval(), images))

    def _network_and_images(self) -> tuple[nn.Module, torch.Tensor]:
        torch.manual_seed(0)
        network = self.make(CHANNELS, CLASSES)
        divisor = getattr(network, "size_divisor", 1)
        along = divisor if isinstance(divisor, Sequence) else (divisor,) * self.spatial_dims
        sides = [-(-side // by) * by for side, by in zip((32, 64, 48), along, strict=False)]
        return network, torch.randn(2, CHANNELS, *sides)

    def _finest(self, network: nn.Module, images: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return as_outputs(network(images), self.spatial_dims)[0]
