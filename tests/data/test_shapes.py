"""The shapes sets: the same bits everywhere, and circles that are what they promise."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.data.nnunet_raw.pixels import load_case
from sweep.data.nnunet_raw.raw_dataset import open_raw
from sweep.data.sources.shape_images import draw_shapes, write_shapes
from sweep.spec.settings.data_settings import ShapesData

KINDS = st.sampled_from(["one_circle", "several_circles"])
INDICES = st.integers(0, 10_000)
DIFFICULTIES = st.floats(0, 1)
SIZES = st.integers(32, 128)


def circles_of(label: np.ndarray) -> list[np.ndarray]:
    """Masks of the connected parts of a label."""
    left, parts = label.astype(bool), []
    while left.any():
        part = np.zeros_like(left)
        part[tuple(np.argwhere(left)[0])] = True
        while True:
            grown = part.copy()
            grown[1:] |= part[:-1]
            grown[:-1] |= part[1:]
            grown[:, 1:] |= part[:, :-1]
            grown[:, :-1] |= part[:, 1:]
            grown &= left
            if (grown == part).all():
                break
            part = grown
        parts.append(part)
        left &= ~part
    return parts


@pytest.mark.parametrize(
    ("kind", "difficulty", "expected"),
    [
        ("one_circle", 0.0, "546e824c3e35129e"),
        ("one_circle", 0.3, "c926a74f78546a56"),
        ("several_circles", 1.0, "a0bea4ee33c3c479"),
    ],
)
def test_pixels_are_the_same_on_every_machine(kind, difficulty, expected):
    digest = hashlib.sha256()
    for index in range(4):
        for pixels in draw_shapes(ShapesData(kind=kind, difficulty=difficulty, seed=3), index):
            digest.update(pixels.tobytes())
    assert digest.hexdigest()[:16] == expected


@given(KINDS, SIZES, INDICES)
def test_every_circle_is_whole_apart_and_larger_than_the_smallest_area(kind, size, index):
    _, label = draw_shapes(ShapesData(kind=kind, size=size), index)
    edge = np.concatenate([label[0], label[-1], label[:, 0], label[:, -1]])
    assert not edge.any()
    circles = circles_of(label)
    assert len(circles) == 1 if kind == "one_circle" else 2 <= len(circles) <= 5
    for circle in circles:
        height, width = (int(circle.any(axis=axis).sum()) for axis in (1, 0))
        assert abs(height - width) <= 1
        assert circle.sum() > 50
        assert circle.sum() == pytest.approx(np.pi * (height * width) / 4, rel=0.15)


@given(KINDS, DIFFICULTIES, INDICES)
def test_circles_do_not_depend_on_the_difficulty(kind, difficulty, index):
    _, label = draw_shapes(ShapesData(kind=kind, difficulty=difficulty), index)
    _, easy = draw_shapes(ShapesData(kind=kind, difficulty=0.0), index)
    np.testing.assert_array_equal(label, easy)


@given(KINDS, INDICES)
def test_easiest_image_is_its_label_on_a_flat_background(kind, index):
    image, label = draw_shapes(ShapesData(kind=kind, difficulty=0.0), index)
    assert set(np.unique(image[label == 0])) == {0}
    assert len(np.unique(image[label == 1])) == 1


def contrast(difficulty: float) -> float:
    """How far circle and background lie apart, in standard deviations of the background."""
    pairs = [draw_shapes(ShapesData(difficulty=difficulty), index) for index in range(30)]
    inside = np.concatenate([image[label == 1] for image, label in pairs]).astype(float)
    outside = np.concatenate([image[label == 0] for image, label in pairs]).astype(float)
    return float((inside.mean() - outside.mean()) / outside.std())


def test_contrast_falls_and_flat_background_shrinks_with_difficulty():
    contrasts = [contrast(difficulty) for difficulty in (0.2, 0.4, 0.6, 0.8, 1.0)]
    assert contrasts == sorted(contrasts, reverse=True)
    for difficulty, least in ((0.3, 0.6), (0.5, 0.4)):
        images = [draw_shapes(ShapesData(difficulty=difficulty), index)[0] for index in range(30)]
        assert (np.stack(images) == 0).mean() > least


def test_other_seeds_and_indices_give_other_images():
    images = {
        draw_shapes(ShapesData(seed=seed), index)[0].tobytes()
        for seed in range(4)
        for index in range(4)
    }
    assert len(images) == 16


def test_larger_set_holds_the_smaller_one(tmp_path):
    for count in (5, 8):
        write_shapes(tmp_path / str(count), ShapesData(count=count))
    small, large = open_raw(tmp_path / "5"), open_raw(tmp_path / "8")
    assert large.cases[:5] == small.cases
    for case in small.cases:
        for one, other in zip(load_case(small, case), load_case(large, case), strict=True):
            np.testing.assert_array_equal(one, other)


def test_set_is_written_as_it_is_drawn(tmp_path):
    settings = ShapesData(kind="several_circles", count=5, size=40)
    write_shapes(tmp_path / "set", settings)
    dataset = open_raw(tmp_path / "set")
    assert dataset.labels == {"background": 0, "circle": 1}
    image, label = load_case(dataset, "several_circles_00003")
    drawn, drawn_label = draw_shapes(settings, 3)
    np.testing.assert_array_equal(image[0], drawn)
    np.testing.assert_array_equal(label, drawn_label)
