"""The geometric terms of volumes: exact bodies, agreement with the plane, and safe gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sweep.spec.settings.loss_settings import LossSettings
from sweep.trainer.losses import mask_operators
from sweep.trainer.losses.geometric import aspect, boundary, compactness, soft_outline
from sweep.trainer.losses.geometric_loss import geometric_terms

EVEN = (1.0, 1.0, 1.0)


def ball(radius: float, size: int, spacing: tuple[float, ...] = EVEN) -> Tensor:
    """A ball with a soft edge of one finest spacing in the middle of a cube, ``[1, D, H, W]``."""
    counts = [round(size / step) for step in spacing]
    z, y, x = torch.meshgrid(
        *[
            (torch.arange(n, dtype=torch.float64) - (n - 1) / 2) * step
            for n, step in zip(counts, spacing, strict=True)
        ],
        indexing="ij",
    )
    return (radius + 0.5 - (z**2 + y**2 + x**2).sqrt()).clamp(0, 1)[None].float()


@pytest.mark.parametrize("spacing", [EVEN, (2.0, 1.0, 1.0)])
def test_ball_has_its_surface_and_is_compact_and_round(spacing: tuple[float, ...]) -> None:
    p = ball(12, 40, spacing)
    surface = soft_outline(p, 1e-6, "centered", spacing).item()
    assert surface == pytest.approx(4 * math.pi * 12**2, rel=0.03)
    assert compactness(p, 1e-6, "centered", spacing).item() < 0.06
    assert aspect(p, 1e-6, "centered", spacing).item() < 0.01


def test_thick_voxels_that_are_not_told_of_make_a_ball_look_flat() -> None:
    p = ball(12, 40, (2.0, 1.0, 1.0))
    assert aspect(p, 1e-6, "centered", EVEN).item() > 0.2


def test_box_has_the_aspect_of_its_eigenvalues() -> None:
    p = torch.zeros(1, 24, 24, 24)
    p[:, 4:8, 4:12, 4:20] = 1  # 4 × 8 × 16 voxels
    a, b, c = ((n * n - 1) / 12 for n in (4, 8, 16))  # variance of n equal steps
    expected = math.sqrt(((a - b) ** 2 + (b - c) ** 2 + (c - a) ** 2) / 2) / (a + b + c)
    assert aspect(p, 0, "centered", EVEN).item() == pytest.approx(expected, rel=1e-5)


def test_aspect_does_not_depend_on_how_a_body_lies() -> None:
    """Oracle: the eigenvalues by NumPy of a rotated covariance."""
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(1, 6, 7, 8, generator=generator)
    places = torch.stack(
        torch.meshgrid(*[torch.arange(float(n)) for n in p.shape[1:]], indexing="ij")
    ).reshape(3, -1)
    covariance = torch.cov(places, correction=0, aweights=p.flatten())
    values = torch.linalg.eigvalsh(covariance)
    gaps = sum((values[i] - values[j]) ** 2 for i, j in ((0, 1), (0, 2), (1, 2)))
    expected = math.sqrt(gaps / 2) / values.sum()
    assert aspect(p, 0, "centered", EVEN).item() == pytest.approx(float(expected), rel=1e-4)


def test_column_of_equal_slices_has_the_boundary_of_its_slice() -> None:
    generator = torch.Generator().manual_seed(1)
    slice_ = torch.rand(1, 9, 11, generator=generator)
    column = slice_[:, None].expand(1, 5, 9, 11)
    assert boundary(column, EVEN).item() == pytest.approx(boundary(slice_).item(), rel=1e-5)


def test_ramp_has_slope_one_along_each_axis_whatever_the_spacing() -> None:
    for axis in (1, 2, 3):
        spacing = [1.0, 1.0, 1.0]
        spacing[axis - 1] = 2.5
        ramp = (torch.arange(9.0) * 2.5).reshape([9 if a == axis else 1 for a in range(4)])
        p = ramp.expand(1, *[9 if a == axis else 4 for a in (1, 2, 3)])
        inner = mask_operators._slope(p, axis, spacing).narrow(axis, 1, 7)
        assert torch.allclose(inner, torch.ones_like(inner))


def test_small_bodies_are_left_out_and_none_is_exactly_zero_with_a_zero_gradient() -> None:
    settings = LossSettings(sqrt_epsilon=0, min_area=50)
    p = torch.zeros(2, 8, 16, 16)
    p[0, 2:4, 2:4, 2:4] = 0.9
    p.requires_grad_()
    terms = geometric_terms(settings, p, spacing=EVEN)
    total = torch.stack(list(terms.values())).sum()
    total.backward()  # type: ignore[no-untyped-call]
    assert total.item() == 0
    assert p.grad is not None
    assert torch.equal(p.grad, torch.zeros_like(p))


def test_flat_region_of_a_valid_body_gives_nan_without_an_epsilon_and_none_with_it() -> None:
    for epsilon, finite in ((0.0, False), (1e-6, True)):
        p = torch.zeros(1, 12, 16, 16)
        p[:, 2:10, 3:13, 3:13] = 1
        p.requires_grad_()
        settings = LossSettings(sqrt_epsilon=epsilon, min_area=50)
        terms = geometric_terms(settings, p, spacing=EVEN)
        assert math.isfinite(terms["compactness"].item())
        terms["compactness"].backward()  # type: ignore[no-untyped-call]
        assert p.grad is not None
        assert bool(torch.isfinite(p.grad).all()) is finite


def test_smallest_volume_is_of_the_ball_with_that_middle_section() -> None:
    radius = 4.0
    settings = LossSettings(min_area=math.pi * radius**2)
    assert settings.min_volume == pytest.approx(4 / 3 * math.pi * radius**3)
