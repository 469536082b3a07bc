"""Which classes occur in the training and validation cases, once the pixels are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweep.data.prepared.samples import CaseArrays, PreparedData
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.errors import Mistake

LEARNT_FROM = ("training", "validation")


def class_doubts(sides: Mapping[str, Sequence[CaseArrays]], classes: Sequence[str]) -> list[str]:
    """Classes missing in a set, so that they are not learnt or not evaluated.

    Args:
        sides: ``training`` and ``validation`` → their cases.
        classes: names by label value, the background first.
    """
    told = []
    for value, name in enumerate(classes[1:], 1):
        if not all(_holding(sides[side], value) for side in LEARNT_FROM):
            learnt = _holding(sides["training"], value)
            effect = "it is not evaluated" if learnt else "it cannot be learnt"
            told.append(f"`{name}` is in {_counted(sides, value)} cases: {effect} in this fold")
    return told


def class_mistakes(settings: TrialSettings, data: PreparedData) -> list[Mistake]:
    """A geometric class without any training case, if a geometric loss acts on it."""
    searches = settings.space.keys() if isinstance(settings, SweepSpec) else ()
    if "data.geometric_class" in searches or not _acts(settings):
        return []
    cases = {side: getattr(data, side).case_arrays for side in LEARNT_FROM}
    if _holding(cases["training"], data.geometric_class):
        return []
    name = data.classes[data.geometric_class]
    found = _counted(cases, data.geometric_class)
    message = (
        f"the geometric losses act on `{name}`, which is in {found} cases: choose another class or"
        " fold, or set all of loss.weights to 0"
    )
    return [Mistake(message, key="data.geometric_class")]


def _acts(settings: TrialSettings) -> bool:
    """Whether a geometric loss has a weight, for a sweep in any trial except presets."""
    if isinstance(settings, SweepSpec):
        return settings.ranges.uses_geometric_loss
    return settings.has_geometry


def _counted(sides: Mapping[str, Sequence[CaseArrays]], value: int) -> str:
    """``0 of 4 training and 1 of 2 validation``: cases with a class."""
    return " and ".join(
        f"{_holding(sides[side], value)} of {len(sides[side])} {side}" for side in LEARNT_FROM
    )


def _holding(cases: Sequence[CaseArrays], value: int) -> int:
    """Number of cases with a pixel of a class."""
    return sum(value in case.foreground for case in cases)
