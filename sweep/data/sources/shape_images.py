"""The shapes sets: circles on a background that grows hostile with ``difficulty``.

Image ``i`` depends on ``(seed, i)`` alone, so a larger set holds the smaller one, and its circles
do not depend on the difficulty at all: the same masks can be seen clean and spoilt.

Every machine gives the same bits: the random streams are those of `numpy.random.RandomState`, which
never change (NEP 19), and only ``+ − × ÷`` touch what they yield, never a library's ``exp`` or sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import MT19937, RandomState, SeedSequence
from numpy.typing import NDArray

from sweep.data.nnunet_raw.dealt_cases import fold_mistakes
from sweep.data.nnunet_raw.pixels import RawCase, write_raw
from sweep.data.sources.data_source import DataSource
from sweep.spec.settings.data_settings import ShapesData

CHANNEL = "intensity"
LABELS = {"background": 0, "circle": 1}

_MIN_RADIUS = (
    5.0  # pixels: the smallest circle has over 50 pixels, the `loss.min_area` of the users
)
_RADII = {"one_circle": (0.10, 0.24), "several_circles": (0.08, 0.13)}  # of the image's side
_MOST_DISTRACTORS = 5
_SPACE = 3.0  # pixels between two shapes, so that they stay apart when blurred
_TRIES = 400


@dataclass(frozen=True, slots=True)
class _Disc:
    """A circle, or the circle around a distractor; in pixels."""

    y: float
    x: float
    radius: float

    def is_apart_from(self, other: _Disc) -> bool:
        dy, dx = self.y - other.y, self.x - other.x
        reach = self.radius + other.radius + _SPACE
        return dy * dy + dx * dx > reach * reach


class ShapesSource(DataSource):
    """``source: shapes``."""

    classes = tuple(LABELS)[1:]

    def __init__(self, settings: ShapesData) -> None:
        self._settings = settings
        names = [str(index) for index in range(settings.count)]
        super().__init__(settings, fold_mistakes(settings, names, None))

    def raw(self, folder: Path) -> Path:
        write_shapes(folder, self._settings)
        return folder


def write_shapes(
    folder: Path, settings: ShapesData, *, name: str | None = None, test: int | None = None
) -> None:
    """Write the set that ``settings`` describe as 8-bit PNG in nnU-Net's raw layout.

    Args:
        name: of the dataset, for people; None for its kind.
        test: so many images after them are written for testing; None: not even their folders.
    """
    after = range(settings.count, settings.count + (test or 0))
    write_raw(
        folder,
        shapes_cases(settings, range(settings.count)),
        name=name or settings.kind,
        channel_names=[CHANNEL],
        labels=LABELS,
        file_ending=".png",
        test=None if test is None else shapes_cases(settings, after),
    )


def shapes_cases(settings: ShapesData, indices: Iterable[int]) -> Iterator[RawCase]:
    """Images of a set with their labels, one at a time."""
    for index in indices:
        image, label = draw_shapes(settings, index)
        yield RawCase(f"{settings.kind}_{index:05d}", image[None], label)


def draw_shapes(settings: ShapesData, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One image of a shapes set and its label, both ``[H, W]``.

    Rising difficulty brings fainter circles, blur, noise, an uneven background and, from about 0.4,
    distractors: squares and ellipses as bright as circles. At low difficulty most of the background
    stays exactly 0, as the air around a scan: there a network's answer soon is flat, and a square
    root without an ε has no gradient.

    Args:
        settings: kind, difficulty, size and seed; ``count`` does not matter.
        index: which image of the set.
    """
    where, looks = (
        RandomState(MT19937(SeedSequence([settings.seed, index, stream]))) for stream in range(2)
    )
    circles = _place_circles(where, settings)
    size, difficulty = settings.size, settings.difficulty
    label = np.zeros((size, size), dtype=bool)
    for circle in circles:
        dy, dx = _offsets(size, circle)
        label |= dy * dy + dx * dx <= circle.radius * circle.radius

    brightness = 0.9 - difficulty * looks.uniform(0.4, 0.6)
    signal = brightness * label
    distractors = _place_distractors(where, circles, settings)
    for distractor in distractors:
        mask = _distractor_mask(size, distractor, looks)
        signal += brightness * looks.uniform(0.8, 1.1) * mask
    for _ in range(round(4 * difficulty)):
        signal = _blurred(signal)

    background = 0.5 * difficulty * _smooth_field(looks, size) - 0.6 * difficulty * (1 - difficulty)
    noise = 0.18 * difficulty * _noise(looks, size)
    image = np.clip(signal + background + noise, 0, 1)
    return (image * 255).astype(np.uint8), label.astype(np.uint8)


def _place_circles(random: RandomState, settings: ShapesData) -> list[_Disc]:
    low, high = (max(_MIN_RADIUS, part * settings.size) for part in _RADII[settings.kind])
    wanted = 1 if settings.kind == "one_circle" else random.randint(2, 6)
    # Late in the search only the smallest fit.
    radii = (random.uniform(low, high) if n < _TRIES // 2 else low for n in range(_TRIES))
    return _placed(random, settings.size, radii, wanted)


def _place_distractors(
    random: RandomState, circles: list[_Disc], settings: ShapesData
) -> list[_Disc]:
    """Places for squares and ellipses that touch no circle; fewer than wanted where it is full."""
    wanted = round(_MOST_DISTRACTORS * settings.difficulty**2 * random.uniform(0.5, 1))
    low, high = (max(_MIN_RADIUS, part * settings.size) for part in _RADII["several_circles"])
    radii = (random.uniform(low, high) for _ in range(20 * wanted))
    return _placed(random, settings.size, radii, wanted, circles)


def _placed(
    random: RandomState,
    size: int,
    radii: Iterable[float],
    wanted: int,
    beside: Sequence[_Disc] = (),
) -> list[_Disc]:
    """Discs apart from each other and from those ``beside`` them; a radius is drawn when tried."""
    found: list[_Disc] = []
    for radius in radii:
        # Inside the image, with a pixel to spare.
        y, x = random.uniform(radius + 1, size - 2 - radius, size=2)
        disc = _Disc(float(y), float(x), float(radius))
        if all(disc.is_apart_from(other) for other in (*beside, *found)):
            found.append(disc)
        if len(found) == wanted:
            break
    return found


def _offsets(size: int, place: _Disc) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance of each row ``[H, 1]`` and each column ``[1, W]`` from a place."""
    pixels = np.arange(size, dtype=np.float64)
    return (pixels - place.y)[:, None], (pixels - place.x)[None, :]


def _distractor_mask(size: int, around: _Disc, random: RandomState) -> NDArray[np.bool_]:
    """A square or an ellipse of half the width, inside the circle ``around``."""
    dy, dx = _offsets(size, around)
    if random.random_sample() < 0.5:
        half = around.radius * 0.7
        return (np.abs(dy) <= half) & (np.abs(dx) <= half)
    if random.random_sample() < 0.5:
        dy, dx = dx, dy
    mask: NDArray[np.bool_] = dy * dy + 4 * dx * dx <= around.radius * around.radius
    return mask


def _blurred(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """One pass of the binomial filter [1 2 1]/4 along both axes (σ² = 1/2); edges repeated."""
    padded = np.pad(image, 1, mode="edge")
    rows = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4  # [H, W + 2]
    return (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4


def _smooth_field(random: RandomState, size: int) -> NDArray[np.float64]:
    """A smooth random field in [−1, 1]: a 4 × 4 grid of values, interpolated."""
    grid = random.uniform(-1, 1, size=(4, 4))
    position = np.arange(size, dtype=np.float64) * (3 / size)
    cell = position.astype(int)
    t = position - cell
    t *= t * (3 - 2 * t)  # smoothstep: no creases at the grid's lines
    rows = grid[cell] * (1 - t)[:, None] + grid[cell + 1] * t[:, None]  # [H, 4]
    field: NDArray[np.float64] = rows[:, cell] * (1 - t) + rows[:, cell + 1] * t
    return field


def _noise(random: RandomState, size: int) -> NDArray[np.float64]:
    """Independent noise of variance 1: a sum of three uniforms, bell-shaped and within ±3."""
    a, b, c = random.uniform(-1, 1, size=(3, size, size))
    noise: NDArray[np.float64] = a + b + c
    return noise
