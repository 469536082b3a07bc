import math
from functools import partial

import pytest
import torch

from sweep.spec.settings.geometric_terms import GeometricWeights
from sweep.spec.settings.loss_settings import LossSettings
from sweep.trainer.losses.geometric import (
    SHAPE_TERMS,
    aspect,
    boundary,
    compactness,
    soft_outline,
)
from sweep.trainer.losses.geometric_loss import geometric_terms
from sweep.trainer.losses.mask_operators import SqrtMode, guarded_sqrt

TERMS = {name: partial(term.of_masks, spacing=()) for name, term in SHAPE_TERMS.items()}
MODES = ("clamp", "offset", "centered")


def disc(size: int, radius: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    axis = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    inside = axis[:, None] ** 2 + axis[None, :] ** 2 <= radius**2
    return inside.to(dtype)[None]


def ellipse(size: int, a: float, b: float) -> torch.Tensor:
    axis = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    return ((axis[None, :] / a) ** 2 + (axis[:, None] / b) ** 2 <= 1).double()[None]


def soft_blobs(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64)
    return torch.sigmoid(logits)


def soft_disc(size: int, radius: float) -> torch.Tensor:
    """What a trained network gives for a disc: a sigmoid half a pixel wide as edge."""
    axis = torch.arange(size, dtype=torch.float32) - size / 2
    distance = (axis[:, None] ** 2 + axis[None, :] ** 2).sqrt()
    return torch.sigmoid((radius - distance) / 0.5)[None]


@pytest.mark.parametrize(
    ("mode", "epsilon", "perimeter"),
    # Measured independently for the post-mortem; the true outline is 314 pixels.
    [
        ("clamp", 1e-2, 26_386),
        ("offset", 1e-6, 574),
        ("offset", 1e-8, 340),
        ("centered", 1e-6, 311.5),
    ],
)
def test_perimeter_of_a_disc_depends_on_mode_and_epsilon(
    mode: SqrtMode, epsilon: float, perimeter: float
) -> None:
    assert soft_outline(soft_disc(512, 50), epsilon, mode).item() == pytest.approx(
        perimeter, rel=1e-3
    )


def test_a_large_clamp_hides_the_shape_from_compactness_and_centring_shows_it() -> None:
    p = soft_disc(512, 50)
    assert compactness(p, 1e-2, "clamp").item() == pytest.approx(1 - 0.00014, abs=5e-6)
    assert compactness(p, 1e-6, "centered").item() == 0  # 4πA/P² = 1.018: nothing left to gain


def test_compactness_of_a_square_is_one_minus_a_quarter_of_pi() -> None:
    p = torch.zeros(1, 256, 256, dtype=torch.float64)
    p[:, 28:228, 28:228] = 1
    # Oracle: 4π·s²/(4s)² = π/4; the blunt corners of Sobel's outline leave a percent.
    assert compactness(p, 1e-12, "centered").item() == pytest.approx(1 - math.pi / 4, abs=0.01)


@pytest.mark.parametrize(("a", "b"), [(60, 60), (60, 30), (80, 20)])
def test_aspect_of_an_ellipse_is_the_contrast_of_its_squared_axes(a: float, b: float) -> None:
    # Oracle: the variances of a uniform ellipse are a²/4 and b²/4.
    expected = (a**2 - b**2) / (a**2 + b**2)
    assert aspect(ellipse(256, a, b), 1e-12, "centered").item() == pytest.approx(expected, abs=2e-3)


def test_aspect_keeps_the_small_eigenvalue_gap_that_the_textbook_formula_cancels() -> None:
    a, b, c = (torch.tensor(v) for v in (1000.0, 1000.0001, 1e-3))
    textbook = torch.sqrt(((a + b) ** 2 - 4 * (a * b - c**2)).clamp(min=0))
    ours = guarded_sqrt((a - b).square() + 4 * c.square(), 0.0, "offset")
    assert textbook.item() == 0
    assert ours.item() == pytest.approx(0.0020, rel=0.01)


def test_boundary_is_zero_on_a_plane_and_grows_with_roughness() -> None:
    plane = torch.linspace(0, 1, 64, dtype=torch.float64)[None, :, None].expand(1, 64, 64)
    assert boundary(plane[:, 1:-1, 1:-1]).item() < 1e-4
    smooth, rough = disc(64, 20), soft_blobs(1, 64, 64).float()
    assert boundary(rough) > boundary(smooth)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", list(TERMS))
def test_gradients_agree_with_finite_differences(name: str, mode: SqrtMode) -> None:
    p = (0.2 + 0.6 * soft_blobs(2, 9, 8)).requires_grad_()
    assert torch.autograd.gradcheck(lambda q: TERMS[name](q, 1e-3, mode), (p,))


@pytest.mark.parametrize("name", list(TERMS))
def test_float32_agrees_with_float64(name: str) -> None:
    p = torch.cat([disc(512, 50, torch.float64), ellipse(512, 200, 90)])
    reference = TERMS[name](p, 1e-6, "centered")
    torch.testing.assert_close(
        TERMS[name](p.float(), 1e-6, "centered").double(), reference, rtol=2e-4, atol=2e-4
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["compactness", "aspect"])
def test_epsilon_zero_gives_nan_gradients_on_a_flat_region_and_a_positive_one_does_not(
    name: str, mode: SqrtMode
) -> None:
    for epsilon, healthy in ((0.0, False), (1e-8, True)):
        p = disc(64, 20).requires_grad_()
        TERMS[name](p, epsilon, mode).sum().backward()
        assert p.grad is not None
        assert bool(torch.isfinite(p.grad).all()) is healthy


def test_clamping_kills_the_gradient_below_epsilon_and_an_offset_bounds_it() -> None:
    q = torch.tensor([1e-9], requires_grad=True)
    guarded_sqrt(q, 1e-4, "clamp").backward()
    assert q.grad is not None
    assert q.grad.item() == 0
    zero = torch.tensor([0.0], requires_grad=True)
    guarded_sqrt(zero, 1e-4, "offset").backward()
    assert zero.grad is not None
    assert zero.grad.item() == pytest.approx(1 / (2 * math.sqrt(1e-4)))


def terms(p: torch.Tensor, epsilon: float = 1e-6, min_area: float = 50) -> dict[str, torch.Tensor]:
    weights = GeometricWeights(**dict.fromkeys(TERMS, 1.0))
    settings = LossSettings(weights=weights, sqrt_epsilon=epsilon, min_area=min_area)
    return geometric_terms(settings, p)


def test_samples_below_the_minimal_area_are_left_out_of_the_mean() -> None:
    large, small = ellipse(64, 20, 8).float(), disc(64, 2)
    mixed, alone = terms(torch.cat([large, small])), terms(large)
    assert mixed == alone


@pytest.mark.parametrize("epsilon", [0.0, 1e-6])
def test_a_batch_without_a_valid_sample_gives_exactly_zero_and_a_zero_gradient(
    epsilon: float,
) -> None:
    p = torch.cat([torch.zeros(1, 64, 64), disc(64, 1)]).requires_grad_()
    values = terms(p, epsilon)
    assert [value.item() for value in values.values()] == [0, 0, 0]
    torch.stack(list(values.values())).sum().backward()
    assert p.grad is not None
    assert p.grad.count_nonzero() == 0


def test_small_samples_do_not_poison_the_gradient_of_the_valid_ones_even_at_epsilon_zero() -> None:
    # The valid sample is flat nowhere, the small one is flat everywhere.
    valid = (0.2 + 0.6 * soft_blobs(1, 32, 32)).float()
    p = torch.cat([valid, torch.zeros(1, 32, 32)]).requires_grad_()
    torch.stack(list(terms(p, epsilon=0.0).values())).sum().backward()
    assert p.grad is not None
    assert bool(torch.isfinite(p.grad).all())


def test_a_nan_mask_is_not_hidden_as_too_small() -> None:
    p = torch.full((1, 16, 16), math.nan)
    assert all(value.isnan() for value in terms(p).values())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_masks_of_512_pixels_are_computed_in_float32(dtype: torch.dtype) -> None:
    p = ellipse(512, 200, 90).to(dtype)
    for name, value in terms(p).items():
        assert value.dtype is torch.float32, name
        assert bool(torch.isfinite(value)), name
    torch.testing.assert_close(terms(p)["aspect"], terms(p.float())["aspect"])


def test_a_term_of_weight_zero_is_not_computed() -> None:
    weights = GeometricWeights(compactness=0, boundary=0.1, aspect=0)
    values = geometric_terms(LossSettings(weights=weights, min_area=0), disc(32, 8))
    assert list(values) == ["boundary"]


def masks_at_the_edge() -> list[torch.Tensor]:
    """Empty, full, one pixel, one pixel in a corner, one line: of 512 pixels a side."""
    masks = torch.zeros(5, 512, 512)
    masks[1] = 1
    masks[2, 200, 300] = masks[3, 0, 0] = 1
    masks[4, 256] = 1
    return list(masks[:, None])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", list(TERMS))
def test_masks_at_the_edge_have_finite_values_and_gradients_without_a_minimal_area(
    name: str, mode: SqrtMode
) -> None:
    for mask in masks_at_the_edge():
        p = mask.clone().requires_grad_()
        value = TERMS[name](p, 1e-6, mode)
        value.sum().backward()
        assert p.grad is not None
        assert bool(value.isfinite().all())
        assert bool(p.grad.isfinite().all())


@pytest.mark.parametrize("name", list(TERMS))
def test_float32_agrees_with_float64_on_masks_at_the_edge_too(name: str) -> None:
    for mask in masks_at_the_edge():
        reference = TERMS[name](mask.double(), 1e-6, "centered")
        ours = TERMS[name](mask, 1e-6, "centered").double()
        torch.testing.assert_close(ours, reference, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("name", list(TERMS))
def test_float32_gradients_agree_with_float64_at_512_pixels(name: str) -> None:
    gradients = []
    for dtype in (torch.float32, torch.float64):
        # Flat nowhere: where p is flat, the slope of |Δp| is the sign of a rounding error.
        p = soft_blobs(1, 512, 512).float().to(dtype).requires_grad_()
        TERMS[name](p, 1e-6, "centered").sum().backward()
        assert p.grad is not None
        gradients.append(p.grad.double())
    ours, reference = gradients
    assert (ours - reference).norm() < 1e-3 * reference.norm()


def test_known_aspects_and_compactness_of_a_line_a_square_and_a_disc() -> None:
    line, square = torch.zeros(2, 1, 128, 128, dtype=torch.float64)
    line[:, 64, 14:114] = 1
    square[:, 34:94, 34:94] = 1
    assert aspect(line, 1e-12, "centered").item() == pytest.approx(1)
    assert aspect(square, 1e-12, "centered").item() == pytest.approx(0, abs=1e-6)
    # Oracle: 4πA/P² = 4π/100, since Sobel sees half a step on either side of a single pixel.
    expected = 1 - 4 * math.pi / 100
    assert compactness(line, 1e-12, "centered").item() == pytest.approx(expected, abs=0.01)
    assert compactness(soft_disc(128, 40).double(), 1e-12, "centered").item() < 0.01
