import pytest
import torch
from monai.losses import DiceCELoss

from sweep.spec.settings.geometric_terms import GeometricWeights
from sweep.spec.settings.loss_settings import LossSettings
from sweep.trainer.losses.training_loss import TrainingLoss


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 2, 32, 32, generator=generator)
    target = (torch.rand(2, 1, 32, 32, generator=generator) > 0.5).to(torch.uint8)
    return logits, target


def test_the_main_loss_is_monais_dice_plus_cross_entropy() -> None:
    logits, target = batch()
    total, terms = TrainingLoss(LossSettings(), 1)([logits], target, factor=0)
    oracle = DiceCELoss(
        include_background=False, to_onehot_y=True, softmax=True, batch=True, smooth_nr=1e-5
    )
    torch.testing.assert_close(total, oracle(logits, target))
    assert list(terms) == ["dice", "ce"]


def test_deep_supervision_weights_halve_and_sum_to_one_and_geometry_sees_the_first_output() -> None:
    logits, target = batch()
    other = logits.flip(0)
    loss = TrainingLoss(LossSettings(min_area=0), 1)
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
    loss = TrainingLoss(LossSettings(weights=weights, min_area=0), 1)
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
        TrainingLoss(LossSettings(min_area=0), c)([logits], target, 1)[1]["boundary"].item()
        for c in (1, 2)
    ]
    swapped = logits[:, [0, 2, 1]]
    other = TrainingLoss(LossSettings(min_area=0), 1)([swapped], target, 1)[1]["boundary"].item()
    assert values[0] != values[1]
    assert other == pytest.approx(values[1])


def test_every_output_counts_at_its_own_resolution() -> None:
    logits, target = batch()
    coarse = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    loss = TrainingLoss(LossSettings(), 1)
    fine = loss([logits], target, factor=0)[0]
    halved = loss([coarse], target[:, :, 2::4, 2::4], factor=0)[0]  # the nearest pixels
    torch.testing.assert_close(loss([logits, coarse], target, factor=0)[0], (2 * fine + halved) / 3)


def test_the_terms_of_each_main_loss_have_names_and_weights() -> None:
    logits, target = batch()
    settings = LossSettings(main="focal_logcosh_dice", dice_weight=0.5, pixel_weight=3)
    total, terms = TrainingLoss(settings, 1)([logits, logits], target, factor=0)
    assert list(terms) == ["logcosh_dice", "focal"]
    torch.testing.assert_close(total, 0.5 * terms["logcosh_dice"] + 3 * terms["focal"])


def test_kervadecs_loss_acts_with_the_geometric_part_alone_and_whatever_the_area() -> None:
    logits, target = batch()
    weights = GeometricWeights(compactness=0, boundary=0, aspect=0.5, kervadec=0.1)
    loss = TrainingLoss(LossSettings(weights=weights, min_area=1e6), 1)
    assert loss.distances(target, factor=0) is None
    distances = loss.distances(target, factor=0.5)
    assert distances is not None
    total, terms = loss([logits], target, 0.5, distances)
    assert terms["aspect"] == 0
    assert terms["kervadec"] != 0
    torch.testing.assert_close(total, terms["dice"] + terms["ce"] + 0.05 * terms["kervadec"])


def test_without_kervadecs_loss_no_distances_are_computed() -> None:
    assert TrainingLoss(LossSettings(), 1).distances(batch()[1], factor=1) is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_outputs_in_half_precision_under_autocast_are_computed_in_float32(
    dtype: torch.dtype,
) -> None:
    logits, target = batch()
    weights = GeometricWeights(kervadec=0.1)
    loss = TrainingLoss(LossSettings(weights=weights, min_area=0), 1)
    distances = loss.distances(target, factor=1)
    half = logits.to(dtype)
    expected = loss([half.float()], target, 1, distances)[0]
    with torch.autocast("cpu", dtype):
        total, terms = loss([half], target, 1, distances)
    assert {value.dtype for value in terms.values()} == {torch.float32}
    torch.testing.assert_close(total, expected, rtol=0, atol=0)
