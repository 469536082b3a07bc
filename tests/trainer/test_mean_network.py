"""Networks that predict together."""

import pytest
import torch
from torch import Tensor

from sweep.trainer.evaluation.inference import Inference
from sweep.trainer.evaluation.mean_network import mean_inference


class Normalising:
    """Divides by the mean of all that it is shown, as an instance norm would: padding shows."""

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self.seen: set[tuple[int, ...]] = set()

    def __call__(self, images: Tensor) -> Tensor:
        self.seen.add(tuple(images.shape[2:]))
        scaled = self.weight * images / images.mean()
        return torch.cat([scaled, 1 - scaled], dim=1)


@pytest.mark.parametrize(
    ("sizes", "in_windows", "seen"),
    [
        ([None, None], False, [(6, 12, 12), (6, 16, 12)]),
        ([(6, 16, 12), (6, 24, 32)], False, [(6, 16, 12), (6, 24, 32)]),
        ([(4, 8, 8), (4, 16, 8)], True, [(4, 8, 8), (4, 16, 8)]),
    ],
    ids=["of any size", "of folds with other sizes", "with windows"],
)
def test_each_network_sees_images_as_in_its_own_training(
    sizes: list[tuple[int, ...] | None], in_windows: bool, seen: list[tuple[int, ...]]
) -> None:
    networks = [Normalising(0.5), Normalising(2.0)]
    members = [
        Inference(
            network=network,
            device=torch.device("cpu"),
            divisor=divisor,
            size=size,
            in_windows=in_windows,
            volumes=True,
        )
        for network, divisor, size in zip(networks, ((1, 4, 4), (2, 8, 4)), sizes, strict=True)
    ]
    image = torch.rand(1, 1, 6, 9, 9, generator=torch.Generator().manual_seed(0)) + 0.5
    found = mean_inference(members).logits(image)
    assert [network.seen for network in networks] == [{shape} for shape in seen]
    alone = torch.stack([member.logits(image).softmax(dim=1) for member in members])
    torch.testing.assert_close(found.softmax(dim=1), alone.mean(dim=0))


def test_one_network_predicts_as_alone() -> None:
    only = Inference(network=Normalising(1.0), device=torch.device("cpu"), divisor=(8, 8))
    assert mean_inference([only]) is only
