"""What the shape terms make of several components and of objects that the border cuts, and how
`loss.components` and `loss.border` change it. Shapes whose values are known by hand."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from sweep.spec.settings.geometric_terms import GeometricWeights
from sweep.spec.settings.loss_settings import LossSettings
from sweep.trainer.losses import components, geometric
from sweep.trainer.losses.components import Components, components_of
from sweep.trainer.losses.geometric_loss import geometric_terms, shape_terms

WEIGHTS = GeometricWeights(compactness=1, boundary=1, aspect=1)


def loss(**changes: Any) -> LossSettings:
    return LossSettings(**{"weights": WEIGHTS, "sqrt_epsilon": 1e-9, **changes})


def values(p: Tensor, spacing: tuple[float, ...] = (), **changes: Any) -> dict[str, float]:
    found = geometric_terms(loss(**changes), p, spacing=spacing or None)
    return {name: value.item() for name, value in found.items()}


def round_body(shape: tuple[int, ...], centre: tuple[float, ...], radius: float) -> Tensor:
    """A disc or ball ``[1, (D,) H, W]`` with an edge that falls from 1 to 0 over a pixel."""
    axes = [torch.arange(n, dtype=torch.float64) - c for n, c in zip(shape, centre, strict=True)]
    distance = torch.stack(torch.meshgrid(*axes, indexing="ij")).square().sum(dim=0).sqrt()
    return (radius + 0.5 - distance).clamp(0, 1)[None]


def disc(*centre: float, radius: float = 20, size: int = 128) -> Tensor:
    return round_body((size, size), centre, radius)


def ball(*centre: float, radius: float = 8) -> Tensor:
    return round_body((32, 32, 64), centre, radius)


# What they do to the whole mask.


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_equal_discs_in_one_mask_cost_one_minus_one_over_their_number(count: int) -> None:
    centres = [(32, 32), (32, 96), (96, 32), (96, 96)][:count]
    mask = torch.stack([disc(*centre) for centre in centres]).sum(dim=0)
    alone = disc(*centres[0])
    perimeter = geometric.soft_outline(alone, 1e-9, "centered").item()
    ratio = 4 * math.pi * alone.sum().item() / perimeter**2
    assert ratio == pytest.approx(1, abs=0.04)  # a disc of pixels, with a soft edge
    expected = 1 - min(1, ratio / count)
    assert values(mask)["compactness"] == pytest.approx(expected, abs=1e-5)
    assert expected == pytest.approx(1 - 1 / count, abs=0.02)
    # Each by itself is as compact as the single one.
    separate = values(mask, components="separate")["compactness"]
    assert separate == pytest.approx(values(alone)["compactness"], abs=1e-5)


@pytest.mark.parametrize("count", [1, 2])
def test_equal_balls_in_one_mask_cost_one_minus_one_over_their_number(count: int) -> None:
    """V is k times as large and S³ is k³ times, so 36πV²/S³ is 1/k of that of a ball."""
    mask = torch.stack([ball(16, 16, x) for x in (16, 48)[:count]]).sum(dim=0)
    alone = ball(16, 16, 16)
    surface = geometric.soft_outline(alone, 1e-9, "centered", (1, 1, 1)).item()
    ratio = 36 * math.pi * alone.sum().item() ** 2 / surface**3
    assert ratio == pytest.approx(1, abs=0.1)  # a ball of voxels, with a soft edge
    expected = 1 - min(1, ratio / count)
    assert values(mask, (1, 1, 1))["compactness"] == pytest.approx(expected, abs=1e-5)
    assert expected == pytest.approx(1 - 1 / count, abs=0.05)
    separate = values(mask, (1, 1, 1), components="separate")["compactness"]
    assert separate == pytest.approx(max(0, 1 - ratio), abs=1e-5)


def test_half_a_disc_at_the_border_is_perfectly_compact_because_its_cut_is_no_edge() -> None:
    # 4π · (πr²/2) / (πr)² = 2: more than a disc has, so there is nothing to gain.
    half = disc(-0.5, 64, radius=40)
    assert values(half)["compactness"] == 0
    assert values(half, components="separate")["compactness"] == 0
    inside = torch.zeros_like(half)
    inside[:, 20:] = half[:, :-20]  # the same half disc where no border hides its straight side
    # 4π · (πr²/2) / (πr + 2r)²
    expected = 1 - 2 * math.pi**2 / (math.pi + 2) ** 2
    assert values(inside)["compactness"] == pytest.approx(expected, abs=0.02)


def test_half_a_ball_at_the_border_is_perfectly_compact() -> None:
    # 36π · (2πr³/3)² / (2πr²)³ = 2
    assert values(ball(-0.5, 16, 32, radius=12), (1, 1, 1))["compactness"] == 0


def test_aspect_of_two_discs_is_that_of_their_distance() -> None:
    # Variances of a disc: r²/4 along each axis; the distance d adds d²/4 along one of them.
    mask = disc(64, 34) + disc(64, 94)
    assert values(mask)["aspect"] == pytest.approx(60**2 / (2 * 20**2 + 60**2), rel=0.01)
    assert values(mask, components="separate")["aspect"] == pytest.approx(0, abs=1e-3)


def test_aspect_of_two_balls_is_that_of_their_distance() -> None:
    # Variances of a ball: r²/5; the gap is d²/4, the sum 3r²/5 + d²/4.
    mask = ball(16, 16, 16) + ball(16, 16, 48)
    expected = (32**2 / 4) / (3 * 8**2 / 5 + 32**2 / 4)
    assert values(mask, (1, 1, 1))["aspect"] == pytest.approx(expected, rel=0.01)
    assert values(mask, (1, 1, 1), components="separate")["aspect"] == pytest.approx(0, abs=1e-3)


# Separate components.


def test_single_component_is_worth_as_much_as_the_mask() -> None:
    square = torch.zeros(1, 64, 64)
    square[:, 10:40, 20:50] = 1
    joint = values(square)
    assert values(square, components="separate") == pytest.approx(joint, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("spacing", [(), (2.0, 1.0, 1.0)])
def test_components_are_worth_the_mean_of_what_each_is_alone_by_area(
    spacing: tuple[float, ...],
) -> None:
    """Oracle: the terms of whole masks, of masks with one of the bodies each."""
    shape = (24, 48, 64) if spacing else (48, 64)
    bodies = torch.zeros(2, *shape)
    bodies[0][..., 8:18, 8:20] = 0.9
    bodies[1][..., 24:40, 30:36] = 0.8
    if spacing:
        bodies[0][:4] = bodies[0][12:] = bodies[1][:8] = bodies[1][16:] = 0
    mask = bodies.sum(dim=0, keepdim=True)
    areas = bodies.flatten(1).sum(dim=1)
    found = values(mask, spacing, components="separate", min_area=10.0)
    alone = [values(body[None], spacing, min_area=10.0) for body in bodies]
    for name, value in found.items():
        one, other = (each[name] for each in alone)
        expected = (areas[0] * one + areas[1] * other) / areas.sum()
        assert value == pytest.approx(float(expected), rel=1e-4), name


def test_masks_count_alike_however_many_components_they_have() -> None:
    two = disc(32, 34) + disc(96, 94)
    long = torch.zeros(1, 128, 128, dtype=torch.float64)
    long[:, 60:70, 10:110] = 1
    each = [values(mask, components="separate") for mask in (two, long)]
    both = values(torch.cat([two, long]), components="separate")
    for name, value in both.items():
        assert value == pytest.approx((each[0][name] + each[1][name]) / 2, rel=1e-5)


def test_small_components_are_left_out_and_a_mask_of_nothing_else_gives_zero() -> None:
    large, small = disc(40, 40), disc(100, 100, radius=3)
    alone = values(large, components="separate")
    assert values(large + small, components="separate") == pytest.approx(alone)
    p = torch.cat([small, 0 * small]).requires_grad_()
    terms = geometric_terms(loss(components="separate", sqrt_epsilon=0), p)
    total = torch.stack(list(terms.values())).sum()
    total.backward()
    assert total.item() == 0
    assert p.grad is not None
    assert p.grad.count_nonzero() == 0


def test_what_belongs_to_no_component_cannot_break_a_gradient_even_at_epsilon_zero() -> None:
    flat_nowhere = 0.6 + 0.3 * torch.rand(24, 24, generator=torch.Generator().manual_seed(0))
    p = torch.zeros(1, 64, 64)
    p[0, 20:44, 20:44] = flat_nowhere
    around = components.EDGE
    p[0, 20 - around : 44 + around, 20 - around : 44 + around] += 0.01 * torch.rand(
        24 + 2 * around, 24 + 2 * around, generator=torch.Generator().manual_seed(1)
    )
    p.requires_grad_()
    terms = geometric_terms(loss(components="separate", sqrt_epsilon=0), p)
    torch.stack(list(terms.values())).sum().backward()
    assert p.grad is not None
    assert bool(p.grad.isfinite().all())
    assert p.grad[0, :10].count_nonzero() == 0


def test_nan_is_not_hidden_by_components_or_border() -> None:
    p = torch.full((1, 16, 16), math.nan)
    for kind in ("joint", "separate"):
        found = values(p, components=kind, border="ignore")
        assert all(math.isnan(value) for value in found.values()), kind


@pytest.mark.parametrize("spacing", [(), (2.0, 1.0, 1.5)])
def test_gradients_of_components_agree_with_finite_differences(spacing: tuple[float, ...]) -> None:
    generator = torch.Generator().manual_seed(3)
    shape = (5, 6, 8) if spacing else (7, 11)
    base = torch.full((1, *shape), 0.2, dtype=torch.float64)
    base[..., 1:4, 1:3] = base[..., 1:6, 6:8] = 0.8
    p = base + 0.1 * torch.rand(base.shape, generator=generator, dtype=torch.float64)
    parts = components_of(p, 0, spacing)
    assert int(parts.counts.sum()) == 2
    for name, term in shape_terms(loss()).items():
        of_components = term.of_components
        assert of_components is not None

        def weighed(q: Tensor, of: Any = of_components) -> Tensor:
            each = of(q, parts, 1e-3, "centered", spacing)
            return torch.where(parts.counts, each, 0.0).sum()

        assert torch.autograd.gradcheck(weighed, p.clone().requires_grad_()), name


# The border.


def test_mask_that_touches_the_border_is_left_out_of_the_shape_terms() -> None:
    cut, whole = disc(0, 64), disc(40, 64) + disc(90, 64, radius=8)
    alone = values(whole, border="ignore")
    assert alone == values(whole)
    assert values(torch.cat([cut, whole]), border="ignore") == pytest.approx(alone)
    assert set(values(cut, border="ignore").values()) == {0}


def test_component_that_touches_the_border_is_left_out_of_its_mask() -> None:
    cut, whole = disc(0, 20), disc(64, 64)
    settings_ = {"components": "separate", "border": "ignore"}
    found = values(cut + whole, **settings_)
    assert found == pytest.approx(values(whole, components="separate"))
    assert set(values(cut, **settings_).values()) == {0}


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_body_that_touches_a_face_of_the_volume_is_left_out(axis: int) -> None:
    p = torch.zeros(1, 20, 24, 28)
    p[:, 4:12, 4:12, 4:12] = 1
    other = p.clone()
    other.narrow(axis, 0, 12).copy_(p.narrow(axis, 4, 12).clone())
    for kind in ("joint", "separate"):
        told = [values(q, (1, 1, 1), components=kind, border="ignore") for q in (p, other)]
        assert told[0]["compactness"] > 0
        assert set(told[1].values()) == {0}


def test_soft_edge_at_the_border_is_no_object_at_it() -> None:
    p = torch.full((1, 32, 32), 0.4)
    p[:, 1:20, 1:20] = 1
    assert values(p, border="ignore")["boundary"] > 0
    assert values(p, components="separate", border="ignore")["boundary"] > 0


# How components are found.


def spiral(size: int) -> np.ndarray:
    """One path of a pixel's width that winds inwards."""
    mask = np.zeros((size, size), bool)
    for ring in range(0, size // 2 - 1, 2):
        mask[ring, max(0, ring - 2) : size - ring] = mask[size - ring - 1, ring : size - ring] = (
            True
        )
        mask[ring : size - ring, size - ring - 1] = mask[ring + 2 : size - ring, ring] = True
    return mask


def same_partition(found: Tensor, masks: np.ndarray) -> bool:
    for label, mask in zip(found.numpy(), masks, strict=True):
        oracle, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
        pairs = np.unique(np.stack([label[mask], oracle[mask]]), axis=1)
        if label[~mask].any() or pairs.shape[1] != count or len(np.unique(pairs[0])) != count:
            return False
    return True


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.3, 0.4, 0.5, 0.7]), st.booleans())
def test_components_on_a_device_are_those_of_scipy(seed: int, share: float, deep: bool) -> None:
    shape = (3, 10, 24, 20) if deep else (3, 64, 48)
    masks = np.random.default_rng(seed).random(shape) < share
    found, _ = components._labelled_on_device(torch.from_numpy(masks))
    assert same_partition(found, masks)


def test_winding_components_are_found_on_a_device_too() -> None:
    comb = np.zeros((256, 256), bool)
    comb[:, ::2] = comb[0] = True
    noise = np.random.default_rng(0).random((256, 256)) < 0.407  # percolation: long, thin clusters
    masks = np.stack([spiral(256), comb, noise, np.ones((256, 256), bool)])
    found, _ = components._labelled_on_device(torch.from_numpy(masks))
    assert same_partition(found, masks)


def test_terms_are_the_same_whichever_way_components_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    p = torch.rand(2, 40, 40, generator=torch.Generator().manual_seed(0))
    p = torch.nn.functional.avg_pool2d(p[:, None], 7, 1, 3)[:, 0] * 2 - 0.5
    p = p.clamp(0, 1)
    here = values(p, components="separate", min_area=4.0)
    monkeypatch.setattr(components, "_labelled", components._labelled_on_device)
    assert values(p, components="separate", min_area=4.0) == pytest.approx(here, rel=1e-6)


@pytest.mark.parametrize("spacing", [(), (1.0, 1.0, 1.0)])
@pytest.mark.parametrize("kind", ["joint", "separate"])
def test_no_term_waits_for_the_device(
    kind: str, spacing: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On torch's device `meta` tensors have no values: whoever asks for one fails."""
    # It has no autocast either, which is off in the terms anyway.
    monkeypatch.setattr(torch, "autocast", lambda **_: contextlib.nullcontext())
    p = torch.rand(2, *(8,) * (len(spacing) or 2), device="meta", requires_grad=True)
    with pytest.raises(RuntimeError):
        bool((p > 0).any())
    terms = geometric_terms(loss(components=kind, border="ignore"), p, spacing=spacing or None)
    torch.stack(list(terms.values())).sum().backward()
    assert p.grad is not None


def test_pixel_between_two_components_belongs_to_the_nearer_one() -> None:
    p = torch.zeros(1, 12, 20)
    p[:, 4:8, 2:6] = p[:, 4:8, 12:16] = 1
    parts: Components = components_of(p, 0)
    owner = parts.slot.view(12, 20)
    first, second = owner[5, 3], owner[5, 13]
    assert first != second
    assert owner[5, 1:18].tolist() == [*[first] * 8, *[second] * 9]


def test_specks_hardly_change_the_mean_of_a_large_component() -> None:
    long = torch.zeros(1, 128, 128, dtype=torch.float64)
    long[:, 60:80, 10:110] = 1
    speck = disc(20, 20, radius=4)  # 50 pixels, the smallest that counts
    assert speck.sum() > 50
    without, with_it = (values(p, components="separate") for p in (long, long + speck))
    assert with_it["aspect"] == pytest.approx(without["aspect"], rel=0.03)


def test_smallest_component_of_a_volume_has_the_smallest_volume() -> None:
    least = loss().min_volume
    body = torch.zeros(1, 16, 16, 16)
    body[:, 3:9, 3:9, 3:9] = 1  # 216 voxels
    assert 216 < least < 400
    assert values(body, (1, 1, 1), components="separate")["compactness"] == 0
    body[:, 3:10, 3:10, 3:10] = 1  # 343
    assert values(body, (1, 1, 1), components="separate")["compactness"] > 0
