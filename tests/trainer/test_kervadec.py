import pytest
import torch
from monai.losses import BoundaryLoss

from sweep.trainer.losses.kervadec import kervadec, signed_distances


def disc(size: int, radius: float) -> torch.Tensor:
    axis = torch.arange(size) - size // 2
    return (axis[:, None] ** 2 + axis[None, :] ** 2 <= radius**2).to(torch.uint8)[None, None]


def test_distances_are_negative_inside_positive_outside_and_in_pixels() -> None:
    half = (torch.arange(8) < 4).expand(1, 1, 6, 8)
    assert signed_distances(half, 1)[0, 2].tolist() == [-3, -2, -1, 0, 1, 2, 3, 4]
    dot = signed_distances(disc(9, 0), 1)[0]
    assert (dot[4, 4], dot[4, 7], dot[1, 0]) == (0, 3, 5)


@pytest.mark.parametrize("value", [0, 1])
def test_a_reference_without_a_boundary_has_no_distances(value: int) -> None:
    assert signed_distances(torch.full((2, 1, 8, 8), value), 1).count_nonzero() == 0


def test_the_distances_are_those_of_the_class_that_is_asked_for() -> None:
    labels = 2 * disc(17, 5)
    assert torch.equal(signed_distances(labels, 2), signed_distances(disc(17, 5), 1))
    assert signed_distances(labels, 1).count_nonzero() == 0


def test_distances_in_a_volume_follow_its_spacing() -> None:
    """Oracle: the distance to the nearest voxel of the other side, one by one."""
    labels = torch.zeros(1, 1, 4, 5, 6, dtype=torch.uint8)
    labels[0, 0, 1:3, 2:4, 1:5] = 2
    spacing = torch.tensor([3.0, 1.0, 1.5])
    inside = labels[0, 0] == 2
    places = {True: inside.nonzero() * spacing, False: (~inside).nonzero() * spacing}
    found = signed_distances(labels, 2, spacing.tolist())[0]
    for place in torch.cartesian_prod(*map(torch.arange, inside.shape)):
        is_inside = bool(inside[tuple(place)])
        nearest = (places[not is_inside] - place * spacing).norm(dim=1).min().item()
        expected = 1 - nearest if is_inside else nearest
        assert found[tuple(place)].item() == pytest.approx(expected, rel=1e-6)


def test_distances_of_a_flat_volume_are_those_of_its_image() -> None:
    labels = disc(32, 9)
    found = signed_distances(labels[:, :, None], 1, (1, 1, 1))
    torch.testing.assert_close(found[:, 0], signed_distances(labels, 1))


@pytest.mark.parametrize("value", [0, 1])
def test_a_volume_without_a_boundary_has_no_distances(value: int) -> None:
    labels = torch.full((2, 1, 3, 8, 8), value)
    assert signed_distances(labels, 1, (2, 1, 1)).count_nonzero() == 0


def test_the_loss_is_monais_and_its_gradient_is_the_distance_map() -> None:
    labels = torch.cat([disc(32, 9), disc(32, 4)])
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 2, 32, 32, generator=generator)
    p = logits.softmax(1)[:, 1].detach().requires_grad_()
    distances = signed_distances(labels, 1)
    oracle = BoundaryLoss(softmax=True, to_onehot_y=True, include_background=False)
    value = kervadec(p, distances)
    torch.testing.assert_close(value, oracle(logits, labels))
    value.backward()
    torch.testing.assert_close(p.grad, distances / p.numel())


def test_the_reference_itself_has_the_smallest_loss_of_all_masks() -> None:
    labels = disc(64, 15)
    distances = signed_distances(labels, 1)
    losses = [kervadec(disc(64, r)[0].float(), distances).item() for r in (1, 8, 14, 15, 16, 24)]
    assert min(losses) == losses[3] < 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    labels = disc(512, 200)
    value = kervadec(labels[:, 0].to(dtype), signed_distances(labels, 1))
    assert value.dtype is torch.float32
    torch.testing.assert_close(value, kervadec(labels[:, 0].float(), signed_distances(labels, 1)))
