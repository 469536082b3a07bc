"""Networks that predict together."""

import torch
from torch import Tensor

from sweep.trainer.evaluation.inference import Inference
from sweep.trainer.evaluation.mean_network import mean_inference


def test_images_are_padded_to_what_every_network_can_halve() -> None:
    """Networks of two folds can halve other axes of a volume."""
    seen: list[tuple[int, ...]] = []

    def network(images: Tensor) -> Tensor:
        seen.append(tuple(images.shape[2:]))
        return torch.cat([images, -images], dim=1)

    members = [
        Inference(network=network, device=torch.device("cpu"), divisor=divisor, volumes=True)
        for divisor in ((1, 4, 4), (2, 8, 4))
    ]
    found = mean_inference(members).logits(torch.zeros(1, 1, 5, 9, 9))
    assert found.shape == (1, 2, 5, 9, 9)
    assert seen == [(6, 16, 12)] * 2
    assert mean_inference(members[:1]).divisor == [1, 4, 4]
