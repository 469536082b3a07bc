"""nnU-Net's normalisation: each channel by its name in ``dataset.json``.

    CT               (x − mean) / deviation, clipped to percentiles before: all of the foreground of
                     the whole dataset, so that Hounsfield units mean the same in every case
    noNorm           as it is
    rescale_to_0_1   (x − min) / (max − min) of the case
    rgb_to_0_1       x / 255
    any other name   (x − mean) / deviation of the case

Of a case, only the box around what is not 0 in some channel is looked at. If that box is less than
3/4 of the image in the median case, as after skull stripping, the last rule takes the voxels that
are not 0 alone, and the others become 0.

Source: nnU-Net 2.8.1, ``preprocessing/normalization`` and ``dataset_fingerprint``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sweep.vocabulary.errors import InputError, Mistake

CT = "ct"
NAMED = (CT, "nonorm", "rescale_to_0_1", "rgb_to_0_1")
"""Names of channels that are not normalised by their own mean and deviation, in small letters."""

_CUT_OFF = (0.5, 99.5)  # percentiles
_MUCH_CROPPED = 0.75  # of the image
_QUANTILES = 10_000  # of a case: each weighs as much as any other, as in nnU-Net
_SMALLEST = 1e-8  # what is divided by


@dataclass(frozen=True, slots=True)
class Foreground:
    """Intensities of one channel over the foreground of a dataset, each case with equal weight.

    Args:
        low, high: the percentiles 0.5 and 99.5.
        mean, deviation: without clipping.
    """

    low: float
    high: float
    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class DatasetIntensities:
    """What the cases of a dataset decide together about the normalisation of each.

    Args:
        masked: whether z-score leaves out the voxels that are 0.
        foreground: of each channel; None for those that are not CT.
    """

    masked: bool
    foreground: tuple[Foreground | None, ...]

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        cases: Iterable[tuple[NDArray[np.float32], NDArray[np.uint8]]],
    ) -> DatasetIntensities:
        """Look at every case once, with one at a time in memory.

        Args:
            names: of the channels.
            cases: images ``[C, …spatial]`` and labels ``[…spatial]``; what is above 0 is
                foreground.

        Raises:
            InputError: there is CT, and no case has foreground to take its intensities from.
        """
        shares: list[float] = []
        parts: list[list[_Part]] = [[] for _ in names]
        for image, label in cases:
            box = _box(image)
            shares.append(label[box].size / label.size)
            foreground = label[box] > 0
            for channel, of_cases, name in zip(image, parts, names, strict=True):
                if name.casefold() == CT and foreground.any():
                    of_cases.append(_Part.of(channel[box][foreground]))
        if shares and any(name.casefold() == CT for name in names) and not any(parts):
            raise InputError.single(
                "`nnunet` takes the intensities of CT from the foreground, but no label of a case"
                " for training or validation marks a voxel where the image is not 0",
                key="data.normalization",
            )
        return cls(
            masked=bool(shares) and float(np.median(shares)) < _MUCH_CROPPED,
            foreground=tuple(_together(of_cases) if of_cases else None for of_cases in parts),
        )


class _Part(NamedTuple):
    """The foreground of one case: mean, variance, and as many quantiles as any case has."""

    mean: float
    variance: float
    quantiles: NDArray[np.float32]

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> _Part:
        ranks = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        quantiles = np.quantile(values, ranks, method="inverted_cdf")
        mean, variance = (float(f(values, dtype=np.float64)) for f in (np.mean, np.var))
        return cls(mean, variance, quantiles.astype(np.float32))


def _together(cases: Sequence[_Part]) -> Foreground:
    low, high = np.percentile(np.concatenate([one.quantiles for one in cases]), _CUT_OFF)
    means = [one.mean for one in cases]
    variance = np.mean([one.variance for one in cases]) + np.var(means)
    return Foreground(float(low), float(high), float(np.mean(means)), float(np.sqrt(variance)))


def normalized_by_name(
    image: NDArray[np.float32], names: Sequence[str], of: DatasetIntensities, file: str = ""
) -> NDArray[np.float32]:
    """Normalise each channel as its name says; a constant one that is z-scored becomes 0.

    Args:
        image: ``[C, …spatial]``, 2D or 3D.
        names: of its channels.
        of: the dataset that the network is trained on.
        file: of the image, for errors.

    Returns:
        A new image of the same shape.

    Raises:
        InputError: a channel called ``rgb_to_0_1`` is not within [0, 255].
    """
    box, normalized = _box(image), image.copy()
    inside = _nonzero(image) if of.masked else None
    for channel, name, foreground in zip(normalized, names, of.foreground, strict=True):
        match name.casefold():
            case "ct":
                assert foreground is not None, "a dataset without it is refused"
                np.clip(channel, foreground.low, foreground.high, out=channel)
                channel -= foreground.mean
                channel /= max(foreground.deviation, _SMALLEST)
            case "nonorm":
                pass
            case "rescale_to_0_1":
                channel -= channel[box].min()
                channel /= max(channel[box].max(), _SMALLEST)
            case "rgb_to_0_1":
                if not (channel.min() >= 0 and channel.max() <= 255):
                    message = (
                        f"the channel `{name}` reaches from {channel.min():g} to"
                        f" {channel.max():g}: by this name it must be within 0 and 255"
                    )
                    raise InputError([Mistake(message, file=file, kind=f"range of {name}")])
                channel /= 255
            case _:
                seen = channel[box] if inside is None else channel[inside]
                mean, deviation = (f(seen, dtype=np.float64) for f in (np.mean, np.std))
                is_constant = seen.min() == seen.max()  # a mean can miss the constant
                channel -= mean
                channel /= 1 if is_constant else max(deviation, _SMALLEST)
                if is_constant:
                    channel[...] = 0
                elif inside is not None:
                    channel[~inside] = 0
    return normalized


def _box(image: NDArray[np.float32]) -> tuple[slice, ...]:
    """The box around what is not 0 in some channel; the whole image if all is 0."""
    places = np.nonzero((image != 0).any(axis=0))
    return tuple(slice(at.min(), at.max() + 1) if at.size else slice(None) for at in places)


def _nonzero(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """What is not 0 in some channel, with its holes filled; all of an image that is 0.

    An image has no holes: to nnU-Net it is a volume of one layer, open on both sides.
    """
    from scipy.ndimage import binary_fill_holes  # not where settings are only checked

    nonzero: NDArray[np.bool_] = np.any(image != 0, axis=0)
    if not nonzero.any():
        return ~nonzero
    return nonzero if nonzero.ndim == 2 else np.asarray(binary_fill_holes(nonzero))
