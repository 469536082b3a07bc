"""Check whether images are large enough for the network, once their sizes are known."""

from __future__ import annotations

from pydantic import ValidationError

from sweep.data.prepared.samples import PreparedData, Samples
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trainer_settings import MonaiTrainer
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.errors import Mistake

DECIDING = {"network.name", "network.channels", "data.patch_size"}
"""Settings that decide the number of pixels at the coarsest level."""


def side_mistakes(settings: TrialSettings, data: PreparedData) -> list[Mistake]:
    """Images with a single pixel left at the network's coarsest level.

    Training uses patches, or images padded to the largest. Validation uses each image alone, with
    each side rounded up to a multiple that the network can halve.
    """
    assert isinstance(settings.trainer, MonaiTrainer)
    if isinstance(settings, SweepSpec) and settings.space.keys() & DECIDING:
        return []  # no trial trains the base settings: each trial is checked instead
    sides = [min(_longer_sides(part)) for part in (data.validation, data.test) if part]
    if settings.data.patch_size is None:
        sides.append(max(_longer_sides(data.training)))
    try:
        settings.network.must_fit(min(sides), settings.trainer.batch_size)
    except ValidationError as error:
        return [Mistake(str(one["ctx"]["error"]), key="network.channels") for one in error.errors()]
    return []


def _longer_sides(samples: Samples) -> list[int]:
    """Longer side of the slices of each case, in pixels."""
    return [max(shape[1:]) for shape in samples.shapes]
