import pytest
import torch
from monai.losses import DiceCELoss

from sweep.spec.settings.geometric_terms import GeometricWeights
from sweep.spec.settings.loss_settings import LossSettings
from sweep.trainer.losses.geometric_loss import as_slices, geometric_terms, soft_areas
from sweep.trainer.losses.kervadec import signed_distances
from sweep.trainer.losses.training_loss import TrainingLoss


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 2, 32, 32, generator=generator)
    target = (torch.rand(2, 1, 32, 32, generator=generator) > 0.5).to(torch.uint8)
    return logits, target


def test_the_main_loss_is_monais_dice_plus_cross_entropy() -> None:
    logits, target = batch()
    total, terms = TrainingLoss(LossSettings(), (1,))([logits], target, factor=0)
    oracle = DiceCELoss(
        include_background=False, to_onehot_y=True, softmax=True, batch=True, smooth_nr=1e-5
    )
    torch.testing.assert_close(total, oracle(logits, target))
    assert list(terms) == ["dice", "ce"]


def test_deep_supervision_weights_halve_and_sum_to_one_and_geometry_sees_the_first_output() -> None:
    logits, target = batch()
    other = logits.flip(0)
    loss = TrainingLoss(LossSettings(min_area=0), (1,))
    alone = [loss([o], target, factor=0)[0] for o in (logits, other, other)]
    together, terms = loss([logits, other, other], target, factor=1)
    main = terms["dice"] + terms["ce"]
    torch.testing.assert_close(main, (4 * alone[0] + 2 * alone[1] + alone[2]) / 7)
    _, first = loss([logits], target, factor=1)
    assert terms["compactness"] == first["compactness"]
    assert together > main


@pytest.mark.parametrize("factor", [0.25, 1.0])
def test_the_total_adds_each_geometric_term_times_weight_times_factor(factor: float) -> None:
    weights = GeometricWeights(compactness=0.3, boundary=0.2, aspect=0.1)
    logits, target = batch()
    loss = TrainingLoss(LossSettings(weights=weights, min_area=0), (1,))
    total, t = loss([logits], target, factor)
    expected = (
        t["dice"]
        + t["ce"]
        + factor * (0.3 * t["compactness"] + 0.2 * t["boundary"] + 0.1 * t["aspect"])
    )
    torch.testing.assert_close(total, expected)


def test_geometry_acts_on_the_chosen_class() -> None:
    logits, target = batch()
    logits = torch.cat([logits, 3 * logits[:, :1].flip(2)], dim=1)  # three classes
    values = [
        TrainingLoss(LossSettings(min_area=0), (c,))([logits], target, 1)[1]["boundary"].item()
        for c in (1, 2)
    ]
    swapped = logits[:, [0, 2, 1]]
    other = TrainingLoss(LossSettings(min_area=0), (1,))([swapped], target, 1)[1]["boundary"].item()
    assert values[0] != values[1]
    assert other == pytest.approx(values[1])


def test_every_output_counts_at_its_own_resolution() -> None:
    logits, target = batch()
    coarse = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    loss = TrainingLoss(LossSettings(), (1,))
    fine = loss([logits], target, factor=0)[0]
    halved = loss([coarse], target[:, :, 2::4, 2::4], factor=0)[0]  # the nearest pixels
    torch.testing.assert_close(loss([logits, coarse], target, factor=0)[0], (2 * fine + halved) / 3)


def test_the_terms_of_each_main_loss_have_names_and_weights() -> None:
    logits, target = batch()
    settings = LossSettings(main="focal_logcosh_dice", dice_weight=0.5, pixel_weight=3)
    total, terms = TrainingLoss(settings, (1,))([logits, logits], target, factor=0)
    assert list(terms) == ["logcosh_dice", "focal"]
    torch.testing.assert_close(total, 0.5 * terms["logcosh_dice"] + 3 * terms["focal"])


def test_kervadecs_loss_acts_with_the_geometric_part_alone_and_whatever_the_area() -> None:
    logits, target = batch()
    weights = GeometricWeights(compactness=0, boundary=0, aspect=0.5, kervadec=0.1)
    loss = TrainingLoss(LossSettings(weights=weights, min_area=1e6), (1,))
    assert loss.distances(target, factor=0) is None
    distances = loss.distances(target, factor=0.5)
    assert distances is not None
    total, terms = loss([logits], target, 0.5, distances)
    assert terms["aspect"] == 0
    assert terms["kervadec"] != 0
    torch.testing.assert_close(total, terms["dice"] + terms["ce"] + 0.05 * terms["kervadec"])


def test_without_kervadecs_loss_no_distances_are_computed() -> None:
    assert TrainingLoss(LossSettings(), (1,)).distances(batch()[1], factor=1) is None


def three_classes(*size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two samples of boxes; the second class is in the second sample alone."""
    generator = torch.Generator().manual_seed(len(size))
    labels = torch.zeros(2, 1, *size, dtype=torch.uint8)
    labels[:, 0, 4:14, 5:17] = 1
    labels[1, 0, 9:16, 12:22] = 2
    noise = torch.randn(2, 3, *size, generator=generator)
    one_hot = torch.cat([labels == value for value in range(3)], dim=1)
    return (noise + 3 * one_hot).requires_grad_(), labels


ALL = GeometricWeights(compactness=0.3, boundary=0.2, aspect=0.1, kervadec=0.05)
BEFORE = {  # made by commit 3b9c4ec, whose loss knew a single class; one thread
    1: {
        "total": 0.647098183631897, "dice": 0.33516374230384827, "ce": 0.19025975465774536,
        "compactness": 0.5219253301620483, "boundary": 0.3709852397441864,
        "aspect": 0.04983023181557655, "kervadec": 0.15183524787425995,
        "gradient": 0.7289567273749071,
    },
    2: {
        "total": 0.6213060021400452, "dice": 0.33516374230384827, "ce": 0.19025975465774536,
        "compactness": 0.39684179425239563, "boundary": 0.28893688321113586,
        "aspect": 0.07132138311862946, "kervadec": 0.15586039423942566,
        "gradient": 0.7808612252967464,
    },
}  # fmt: skip


@pytest.mark.parametrize("channel", [1, 2])
def test_single_class_gives_what_it_gave_before_there_could_be_several(channel: int) -> None:
    logits, target = three_classes(24, 24)
    loss = TrainingLoss(LossSettings(weights=ALL, min_area=20), (channel,))
    total, terms = loss([logits], target, 0.5, loss.distances(target, 0.5))
    total.backward()
    assert logits.grad is not None
    found = {"total": total.item(), **{name: value.item() for name, value in terms.items()}}
    found["gradient"] = logits.grad.abs().double().sum().item()
    # Another CPU may add up in another order, so the last bits are not asked for.
    assert found == pytest.approx(BEFORE[channel], rel=1e-6)


@pytest.mark.parametrize("size", [(24, 24), (8, 24, 24)])
def test_single_class_is_computed_of_its_probabilities_bit_for_bit(size: tuple[int, ...]) -> None:
    """The loss as it was written before there could be several classes."""
    found = []
    for by_hand in (False, True):
        logits, target = three_classes(*size)
        loss = TrainingLoss(LossSettings(weights=ALL, min_area=20), (2,))
        total, terms = loss([logits], target, 0.0 if by_hand else 0.5, loss.distances(target, 0.5))
        if by_hand:
            p = logits.float().softmax(dim=1)[:, 2]
            labels = as_slices(target[:, 0])[:, None]
            late = geometric_terms(loss.settings, p, signed_distances(labels, 2))
            weighted = [0.5 * getattr(ALL, name) * value for name, value in late.items()]
            total = torch.stack([*terms.values(), *weighted]).sum()
        total.backward()
        assert logits.grad is not None
        found.append((total.detach(), logits.grad))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_several_classes_are_masks_of_their_own_and_their_mean_runs_over_those_large_enough() -> (
    None
):
    logits, target = three_classes(24, 24)
    settings = LossSettings(weights=ALL, min_area=60)  # leaves class 2 of the first sample out
    both = TrainingLoss(settings, (1, 2))
    terms = both([logits], target, 1, both.distances(target, 1))[1]
    p = logits.softmax(dim=1)
    assert [area >= 60 for area in p[:, 2].sum(dim=(1, 2)).tolist()] == [False, True]
    kept = torch.stack([p[0, 1], p[1, 1], p[1, 2]])
    for name, value in geometric_terms(settings, kept).items():
        torch.testing.assert_close(terms[name], value)
    # Every class counts for a term that compares, whatever its area.
    alone = [TrainingLoss(settings, (channel,)) for channel in (1, 2)]
    each = [
        loss([logits], target, 1, loss.distances(target, 1))[1]["kervadec"].item() for loss in alone
    ]
    assert terms["kervadec"].item() == pytest.approx(sum(each) / 2)


def test_soft_areas_are_those_of_each_sample_and_class() -> None:
    logits, _ = three_classes(24, 24)
    expected = logits.softmax(dim=1)[:, [2, 1]].sum(dim=(2, 3))
    torch.testing.assert_close(soft_areas(logits, (2, 1)), expected)


def test_main_losses_of_a_volume_are_those_of_its_slices_put_side_by_side() -> None:
    """Cross-entropy is a mean over voxels and Dice one fraction over the batch: neither asks where
    a voxel lies."""
    logits, target = three_classes(16, 20, 24)
    flat = logits.flatten(2, 3), target.flatten(2, 3)  # [B, C, D · H, W]
    for main in ("dice_ce", "dice_focal", "focal_logcosh_dice"):
        loss = TrainingLoss(LossSettings(main=main), (1,))
        volume, image = (loss([x], y, factor=0)[0] for x, y in ((logits, target), flat))
        torch.testing.assert_close(volume, image)


def test_coarse_volumes_are_compared_with_their_nearest_voxels() -> None:
    logits, target = three_classes(16, 20, 24)
    coarse = torch.randn(2, 3, 8, 10, 12, generator=torch.Generator().manual_seed(1))
    loss = TrainingLoss(LossSettings(), (1,))
    fine = loss([logits], target, factor=0)[0]
    halved = loss([coarse], target[:, :, 1::2, 1::2, 1::2], factor=0)[0]
    torch.testing.assert_close(loss([logits, coarse], target, factor=0)[0], (2 * fine + halved) / 3)


def test_geometry_of_a_volume_is_that_of_its_slices_or_that_of_the_body_in_its_spacing() -> None:
    logits, target = three_classes(16, 20, 24)
    weights = GeometricWeights(kervadec=0.1)
    settings = LossSettings(weights=weights, min_area=20)
    p = logits.softmax(dim=1)[:, 1]
    slices = p.flatten(0, 1)  # [B · D, H, W]
    for geometry, oracle in (
        ("slices", geometric_terms(settings, slices)),
        ("volume", geometric_terms(settings, p, spacing=(3, 1, 1))),
    ):
        loss = TrainingLoss(settings, (1,), geometry=geometry, spacing=(3, 1, 1))
        terms = loss([logits], target, 1, loss.distances(target, 1))[1]
        for name, value in oracle.items():
            torch.testing.assert_close(terms[name], value)
        masks, distances = slices, signed_distances(as_slices(target[:, 0])[:, None], 1)
        if geometry == "volume":
            masks, distances = p, signed_distances(target, 1, (3, 1, 1))
        torch.testing.assert_close(terms["kervadec"], (masks * distances).mean())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_outputs_in_half_precision_under_autocast_are_computed_in_float32(
    dtype: torch.dtype,
) -> None:
    logits, target = batch()
    weights = GeometricWeights(kervadec=0.1)
    loss = TrainingLoss(LossSettings(weights=weights, min_area=0), (1,))
    distances = loss.distances(target, factor=1)
    half = logits.to(dtype)
    expected = loss([half.float()], target, 1, distances)[0]
    with torch.autocast("cpu", dtype):
        total, terms = loss([half], target, 1, distances)
    assert {value.dtype for value in terms.values()} == {torch.float32}
    torch.testing.assert_close(total, expected, rtol=0, atol=0)
