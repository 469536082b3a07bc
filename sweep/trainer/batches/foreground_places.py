"""Places of the foreground, for patches that are centred on it.

A share of the showings of each sample is centred, spread evenly: the n-th showing is centred if
``floor((n + 1) · share + phase)`` exceeds ``floor(n · share + phase)``, which is then the number of
centred showings so far. The classes of the sample take turns by that number. The phase is drawn
for each sample, so that each epoch has its share. nnU-Net centres the last third of each batch; a
sample would then look different in another batch.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sweep.data.nnunet_raw.regions import Regions, class_mask
from sweep.data.prepared.samples import Samples

KEPT_VOXELS = 4096
"""Voxels of each class of a sample that a patch can be centred on, evenly spread over all."""
_KEPT_SAMPLES = 1024  # at most 32 KiB each for a class

Places = NDArray[np.int64]


class ForegroundPlaces:
    """Where the foreground of each sample lies, found at its first use.

    Args:
        samples: the training samples.
        share: of the showings that are centred on foreground.
        seed: of the trial.
        regions: what the classes consist of, if they are regions.
    """

    def __init__(
        self, samples: Samples, share: float, *, seed: int, regions: Regions | None = None
    ) -> None:
        self.share = share
        self._samples = samples
        self._seed = seed
        self._regions = regions
        self._places = lru_cache(maxsize=_KEPT_SAMPLES)(self._found)

    def centre(self, index: int, showing: int, rng: np.random.Generator) -> tuple[int, ...] | None:
        """The voxel that a showing is centred on; None if it is not, or there is no foreground.

        Args:
            index: of the sample.
            showing: its number among those of the sample.
            rng: draws the voxel.
        """
        if self.share == 0:
            return None
        phase_rng = np.random.default_rng([self._seed, index, 3])
        phase, first = phase_rng.random(), int(phase_rng.integers(2**31))
        before, after = (math.floor(n * self.share + phase) for n in (showing, showing + 1))
        if before == after:
            return None
        classes = self._places(index)
        if not classes:
            return None
        places = classes[(first + before) % len(classes)]
        place = places[rng.integers(len(places))]
        shape = self._samples[index].label.shape
        return tuple(int(side) for side in np.unravel_index(place, shape))

    def _found(self, index: int) -> list[Places]:
        """Flat indices of voxels of each class that the sample has, ascending."""
        label = self._samples[index].label.reshape(-1)
        return [
            places[np.linspace(0, len(places) - 1, min(len(places), KEPT_VOXELS)).astype(np.int64)]
            for number in self._samples.case_of(index).foreground
            if len(places := np.flatnonzero(class_mask(label, number, self._regions)))
        ]
