import math
from typing import Any, get_args

import mpmath  # torch brings it
import pytest
import torch
from monai.losses import DiceCELoss, DiceLoss, FocalLoss
from torch import Tensor

from sweep.spec.settings.loss_settings import LossSettings, MainLoss
from sweep.trainer.losses.main_losses import MAIN_LOSSES, build_main_loss, log_cosh

HALVES = (torch.float16, torch.bfloat16)
every_main_loss = pytest.mark.parametrize("name", get_args(MainLoss))
SIZES = torch.logspace(-8, 4, 481, dtype=torch.float64)


def main_loss(name: str, logits: Tensor, target: Tensor, **settings: Any) -> Tensor:
    terms = build_main_loss(LossSettings(main=name, **settings))
    return torch.stack([term.weight * term.value(logits, target) for term in terms.values()]).sum()


def batch(*, classes: int = 2, size: int = 8, dtype: torch.dtype = torch.float32) -> Any:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, classes, size, size, generator=generator, dtype=torch.float64)
    target = torch.randint(classes, (2, 1, size, size), generator=generator, dtype=torch.uint8)
    return logits.to(dtype), target


def relative_errors(values: Tensor, x: Tensor, function: Any) -> list[float]:
    """Against 50 digits."""
    with mpmath.workdps(50):
        pairs = zip(values.tolist(), x.tolist(), strict=True)
        return [float(abs(value / function(mpmath.mpf(at)) - 1)) for value, at in pairs]


@pytest.mark.parametrize(
    ("dtype", "precision"),
    [(torch.float32, 3e-7), (torch.float64, 6e-16), (torch.float16, 3e-7), (torch.bfloat16, 3e-7)],
)
def test_log_cosh_and_its_gradient_are_precise_from_1e_8_to_1e4(
    dtype: torch.dtype, precision: float
) -> None:
    x = torch.cat([SIZES, -SIZES, torch.tensor([1.0, -1.0, 0.9999])]).to(dtype)
    x = x[(x != 0) & x.isfinite()].requires_grad_()
    values = log_cosh(x)
    assert values.dtype is (torch.float32 if dtype in HALVES else dtype)
    exact = x.detach().to(values.dtype)
    assert max(relative_errors(values, exact, lambda v: mpmath.log(mpmath.cosh(v)))) < precision
    gradient = torch.autograd.grad(values.sum(), x)[0]
    limit = torch.finfo(dtype).eps if dtype in HALVES else precision
    assert max(relative_errors(gradient, exact, mpmath.tanh)) < limit


def test_log_cosh_is_finite_where_cosh_overflows_and_where_the_stable_form_has_nothing_left() -> (
    None
):
    x = torch.tensor([0.0, 1e-4, 89.0, 1e38, -3.4e38], requires_grad=True)
    assert torch.log(torch.cosh(x)).isinf().tolist() == [False, False, False, True, True]
    assert torch.log(torch.cosh(torch.tensor(90.0))).isinf()
    assert (x[1].abs() + torch.nn.functional.softplus(-2 * x[1].abs()) - math.log(2)).item() == 0
    assert bool(log_cosh(x).isfinite().all())
    assert log_cosh(x)[1].item() == pytest.approx(5e-9, rel=1e-6)
    log_cosh(x).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.tensor([0, 1e-4, 1, 1, -1]))


def test_log_cosh_lets_a_nan_through() -> None:
    assert log_cosh(torch.tensor([math.nan, math.inf])).tolist()[1] == math.inf
    assert log_cosh(torch.tensor(math.nan)).isnan()


def test_gradients_of_log_cosh_agree_with_finite_differences_up_to_the_second() -> None:
    x = torch.tensor([-30, -1.5, -1e-3, 0, 0.5, 2, 300], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(log_cosh, (x,))
    assert torch.autograd.gradgradcheck(log_cosh, (x,))


def test_every_name_of_the_settings_has_a_main_loss() -> None:
    assert set(MAIN_LOSSES) == set(get_args(MainLoss))


@pytest.mark.parametrize("classes", [2, 4])
def test_main_losses_are_monais(classes: int) -> None:
    logits, target = batch(classes=classes)
    dice: dict[str, Any] = {
        "include_background": False, "softmax": True, "to_onehot_y": True, "batch": True,
        "smooth_nr": 1e-5,
    }  # fmt: skip
    oracle = DiceCELoss(**dice)(logits, target)
    torch.testing.assert_close(main_loss("dice_ce", logits, target), oracle)
    # MONAI's own combination takes the sigmoid of each logit, whatever the Dice term does.
    focal = FocalLoss(to_onehot_y=True, use_softmax=True)(logits, target)
    plain = DiceLoss(**dice)(logits, target)
    torch.testing.assert_close(main_loss("dice_focal", logits, target), plain + focal)
    torch.testing.assert_close(
        main_loss("focal_logcosh_dice", logits, target), plain.cosh().log() + focal
    )


def test_focal_loss_agrees_with_its_equation_in_float64_in_value_and_gradient() -> None:
    logits, target = batch(dtype=torch.float64)
    logits.requires_grad_()
    p = logits.softmax(1).gather(1, target.long())
    expected = (-((1 - p) ** 3) * p.log()).mean() / 2  # MONAI's mean runs over both classes
    settings = {"dice_weight": 0.0, "focal_gamma": 3.0}
    value = main_loss("dice_focal", logits, target, **settings)
    torch.testing.assert_close(value.double(), expected, rtol=1e-6, atol=0)
    ours, oracle = (torch.autograd.grad(v, logits)[0] for v in (value, expected))
    torch.testing.assert_close(ours, oracle, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", ["dice_ce", "focal_logcosh_dice"])
def test_gradients_agree_with_finite_differences(name: str) -> None:
    logits, target = batch(size=4, dtype=torch.float64)
    # MONAI computes the focal term in float32: too coarse for finite differences.
    without_focal = {"pixel_weight": 0.0} if "focal" in name else {}
    assert torch.autograd.gradcheck(
        lambda x: main_loss(name, x, target, **without_focal), (logits.requires_grad_(),)
    )


@every_main_loss
@pytest.mark.parametrize("dtype", HALVES)
def test_half_precision_logits_of_512_pixels_are_computed_in_float32(
    name: str, dtype: torch.dtype
) -> None:
    logits = torch.full((1, 2, 512, 512), 4.0)
    logits[:, 0] = -4
    target = torch.ones(1, 1, 512, 512, dtype=torch.uint8)
    expected = main_loss(name, logits, target)
    half = logits.to(dtype).requires_grad_()
    value = main_loss(name, half, target)
    assert value.dtype is torch.float32
    torch.testing.assert_close(value, expected)
    value.backward()
    assert half.grad is not None
    assert bool(half.grad.isfinite().all())


def test_dice_in_float16_is_nan_on_a_full_mask_of_512_pixels() -> None:
    # Why the terms leave half precision: the soft area, 262,144, is beyond float16's 65,504.
    p = torch.ones(512, 512, dtype=torch.float16)
    assert (1 - 2 * (p * p).sum() / (p.sum() + p.sum())).isnan()


@every_main_loss
@pytest.mark.parametrize("reference", ["empty", "full", "one pixel"])
@pytest.mark.parametrize("logit", [0.0, 30.0, -30.0, 1e4, -1e4])
def test_no_prediction_of_any_reference_gives_a_value_or_gradient_that_is_not_finite(
    name: str, reference: str, logit: float
) -> None:
    target = torch.full((2, 1, 16, 16), reference == "full", dtype=torch.uint8)
    target[:, :, 5, 5] = reference != "empty"
    foreground = torch.full((2, 16, 16), logit)
    logits = torch.stack([torch.zeros_like(foreground), foreground], dim=1).requires_grad_()
    value = main_loss(name, logits, target)
    value.backward()
    assert logits.grad is not None
    assert bool(value.isfinite())
    assert bool(logits.grad.isfinite().all())


def test_a_focal_exponent_below_one_would_give_nan_on_pixels_that_are_already_right() -> None:
    # Why `loss.focal_gamma` starts at 1.
    logits = torch.tensor([-200.0, 200.0]).reshape(1, 2, 1, 1).requires_grad_()
    settings = LossSettings.model_construct(main="dice_focal", dice_weight=0, pixel_weight=1)
    for gamma, healthy in ((0.5, False), (1.0, True)):
        below = settings.model_copy(update={"focal_gamma": gamma})
        [term] = build_main_loss(below).values()
        value = term.value(logits, torch.ones(1, 1, 1, 1))
        assert bool(torch.autograd.grad(value, logits)[0].isfinite().all()) is healthy


def test_a_term_of_weight_zero_is_left_out() -> None:
    assert list(build_main_loss(LossSettings(dice_weight=0))) == ["ce"]
    logcosh = LossSettings(main="focal_logcosh_dice", pixel_weight=0)
    assert list(build_main_loss(logcosh)) == ["logcosh_dice"]
