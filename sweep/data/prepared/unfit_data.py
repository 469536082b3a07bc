"""Check classes and image sizes against the settings, once the pixels are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from sweep.data.prepared.samples import CaseArrays, PreparedData, Samples
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trainer_settings import MonaiTrainer
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.words.phrases import did_you_mean, near_miss, quoted
from sweep.vocabulary.class_scores import split_class
from sweep.vocabulary.errors import Mistake

DECIDING = {"network.name", "network.channels", "data.patch_size"}
"""Settings that decide the number of pixels at the coarsest level."""


def class_doubts(sides: Mapping[str, Sequence[CaseArrays]], classes: Sequence[str]) -> list[str]:
    """Classes missing in a set, so that they are not learnt or not evaluated.

    Args:
        sides: ``training`` and ``validation`` → their cases.
        classes: names by label value, the background first.
    """
    doubts = []
    for value, name in enumerate(classes[1:], 1):
        learnt, evaluated = (_holding(sides[side], value) for side in ("training", "validation"))
        if not (learnt and evaluated):
            effect = "it is not evaluated" if learnt else "it cannot be learnt"
            doubts.append(f"`{name}` is in {_counted(sides, value)} cases: {effect} in this fold")
    return doubts


def unfit(settings: TrialSettings, data: PreparedData) -> list[Mistake]:
    """Images that are too small for the network, and classes that the data do not have."""
    return [
        *_side_mistakes(settings, data),
        *_class_mistakes(settings, data),
        *_unknown_classes(settings, data),
    ]


def _unknown_classes(settings: TrialSettings, data: PreparedData) -> list[Mistake]:
    """Classes that a tolerance of NSD or the objective names, and the data do not have."""
    names, tolerance = data.classes[1:], settings.evaluation.nsd_tolerance
    tolerances = tolerance if isinstance(tolerance, dict) else {}
    asked = {f"evaluation.nsd_tolerance.{name}": name for name in tolerances}
    if (label := split_class(settings.objective.metric)[1]) is not None:
        asked["objective.metric"] = label
    return [
        Mistake(
            f"the data have no class {quoted(name)}{did_you_mean(near_miss(name, names))}; their"
            f" classes are {', '.join(names)}",
            key=key,
        )
        for key, name in asked.items()
        if name not in names
    ]


def _side_mistakes(settings: TrialSettings, data: PreparedData) -> list[Mistake]:
    """Images with a single pixel left at the network's coarsest level.

    Training uses patches, or images padded to the largest. Validation uses single images, with each
    side rounded up to a multiple that the network can halve.
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
    return [max(case.labels.shape[1:]) for case in samples.case_arrays]


def _class_mistakes(settings: TrialSettings, data: PreparedData) -> list[Mistake]:
    """A geometric class without any training case, if a geometric loss acts on it."""
    if isinstance(settings, SweepSpec):  # in any trial except presets
        acts = settings.ranges.uses_geometric_loss
        acts = acts and "data.geometric_class" not in settings.space
    else:
        acts = settings.has_geometry
    cases = {side: getattr(data, side).case_arrays for side in ("training", "validation")}
    if not acts or _holding(cases["training"], data.geometric_class):
        return []
    message = (
        f"the geometric losses act on `{data.classes[data.geometric_class]}`, which is in"
        f" {_counted(cases, data.geometric_class)} cases: choose another class or fold, or set all"
        " of loss.weights to 0"
    )
    return [Mistake(message, key="data.geometric_class")]


def _counted(sides: Mapping[str, Sequence[CaseArrays]], value: int) -> str:
    """``0 of 4 training and 1 of 2 validation``: cases with a class."""
    return " and ".join(
        f"{_holding(sides[side], value)} of {len(sides[side])} {side}"
        for side in ("training", "validation")
    )


def _holding(cases: Sequence[CaseArrays], value: int) -> int:
    return sum(value in case.foreground for case in cases)
