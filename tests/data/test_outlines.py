"""Perimeters of masks, and what ε adds to them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sweep.data.prepared.outline_length import outline_warnings, perimeter, typical_perimeter
from sweep.data.prepared.samples import CaseArrays, PreparedData, Samples
from sweep.spec.settings.loss_settings import LossSettings
from sweep.trainer.losses.geometric import soft_outline


def disc(radius: float, size: int = 64) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return ((x**2 + y**2) < radius**2).astype(np.uint8)


def data_of(*masks: np.ndarray) -> PreparedData:
    cases = [
        CaseArrays(f"case_{n}", np.zeros((1, 1, *mask.shape), np.float32), mask[None], (1,))
        for n, mask in enumerate(masks)
    ]
    return PreparedData(
        ("grey",), (1,), Samples(cases), Samples([]), classes=("background", "disc")
    )


def test_half_plane_has_an_outline_as_long_as_the_image() -> None:
    mask = np.zeros((20, 31))
    mask[:, 16:] = 1
    assert perimeter(mask) == pytest.approx(20, abs=1e-12)


def test_disc_has_nearly_its_perimeter() -> None:
    assert perimeter(disc(20)) == pytest.approx(2 * math.pi * 20, rel=0.07)


def test_measure_is_that_of_the_loss_without_epsilon() -> None:
    mask = disc(11.3)
    oracle = soft_outline(torch.from_numpy(mask)[None].double(), 0.0, "clamp")
    assert perimeter(mask) == pytest.approx(oracle.item(), rel=1e-12)


def test_typical_perimeter_is_the_median_over_the_masks_that_are_not_empty() -> None:
    masks = [disc(5), disc(10), disc(20), *[np.zeros((64, 64), np.uint8)] * 9]
    assert typical_perimeter(data_of(*masks)) == perimeter(disc(10))
    assert typical_perimeter(data_of(masks[-1])) is None


def test_bias_of_v2_4_is_told_in_pixels() -> None:
    # V2.4: clamp at 1e-2; 64 · 64 · 0.1 pixels beside an outline of about 63.
    loss = LossSettings(sqrt_mode="clamp", sqrt_epsilon=1e-2)
    [told] = outline_warnings(loss, data_of(disc(10)), None)
    assert "adds up to 410 pixels" in told
    assert f"the typical mask has {perimeter(disc(10)):.0f}" in told


@pytest.mark.parametrize(
    ("mode", "epsilon"), [("centered", 1e-2), ("clamp", 1e-7), ("offset", 0.0)]
)
def test_small_bias_is_not_worth_a_word(mode: str, epsilon: float) -> None:
    loss = LossSettings.model_validate({"sqrt_mode": mode, "sqrt_epsilon": epsilon})
    assert outline_warnings(loss, data_of(disc(10)), None) == []


def test_patch_and_not_the_image_is_what_the_loss_sees() -> None:
    loss = LossSettings(sqrt_mode="offset", sqrt_epsilon=1e-5)
    assert outline_warnings(loss, data_of(disc(10)), None) != []
    assert outline_warnings(loss, data_of(disc(10)), (16, 16)) == []
