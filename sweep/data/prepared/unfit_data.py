"""Check classes and image sizes against the settings, once the pixels are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
from pydantic import ValidationError

from sweep.data.files.image_geometry import size
from sweep.data.nnunet_raw.labels import compared_with_ignored
from sweep.data.nnunet_raw.splits import told_of_classes
from sweep.data.prepared.samples import CaseArrays, PreparedData
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.geometric_terms import TERMS, WEIGHTS
from sweep.spec.settings.trainer_settings import MonaiTrainer
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.tree.setting_tree import value_of
from sweep.spec.words.phrases import did_you_mean, near_miss, quoted
from sweep.vocabulary.class_scores import split_class
from sweep.vocabulary.errors import Mistake

DECIDING = {"network.name", "network.channels", "data.patch_size", "data.spacing"}
"""Settings that decide the number of pixels at the coarsest level."""
MOSTLY = 0.5
"""Share of a patch that a case should at least fill."""


def class_doubts(sides: Mapping[str, Sequence[CaseArrays]], classes: Sequence[str]) -> list[str]:
    """Classes missing in a set, so that they are not learnt or not evaluated.

    Args:
        sides: ``training`` and ``validation`` → their cases.
        classes: names by label value, the background first.
    """
    unlearnt: dict[str, str] = {}
    unevaluated: dict[str, str] = {}
    for value, name in enumerate(classes[1:], 1):
        learnt, evaluated = (_holding(sides[side], value) for side in ("training", "validation"))
        counts = f"`{name}` is in {_counted(sides, value)} cases"
        if not learnt:
            unlearnt[name] = f"{counts}: it cannot be learnt in this fold"
        elif not evaluated:
            unevaluated[name] = f"{counts}: it is not evaluated in this fold"
    return [*told_of_classes(unlearnt), *told_of_classes(unevaluated)]


def patch_doubts(
    cases: Sequence[CaseArrays], patch: Sequence[int] | None, *, volumes: bool
) -> list[str]:
    """Cases of which a training patch would be mostly padding.

    Args:
        cases: for training.
        patch: voxels along each axis of a sample; None: whole images.
        volumes: whether a sample is a whole volume.
    """
    if patch is None:
        return []
    sides = {case.name: case.labels.shape[0 if volumes else 1 :] for case in cases}
    small = [
        name for name, own in sides.items() if prod(map(min, own, patch)) < MOSTLY * prod(patch)
    ]
    if not small:
        return []
    first = small[0]
    return [
        f"more than half of a training patch is padding in {len(small)} of {len(cases)} training"
        f" cases: {first} has {size(sides[first])} voxels, and `data.patch_size` is {size(patch)};"
        " choose a patch that fits into most cases"
    ]


def unfit(settings: TrialSettings, data: PreparedData) -> list[Mistake]:
    """Images that are too small for the network, and classes that the data do not have."""
    return [
        *_side_mistakes(settings, data),
        *_class_mistakes(settings, data),
        *unknown_classes(settings, data.classes[1:]),
        *_ignore_mistakes(settings, data),
        *_region_mistakes(settings, data),
    ]


def unknown_classes(settings: TrialSettings, names: Sequence[str]) -> list[Mistake]:
    """Classes that a tolerance of NSD or the objective names, and the data do not have.

    Args:
        names: of the classes of the data, without the background.
    """
    tolerance = settings.evaluation.nsd_tolerance
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


def _ignore_mistakes(settings: TrialSettings, data: PreparedData) -> list[Mistake]:
    """Parts of the loss that cannot leave voxels out."""
    if data.ignore is None:
        return []
    keys = zip(TERMS, WEIGHTS, strict=True)
    found = list(compared_with_ignored(n for n, key in keys if _largest(settings, key) > 0))
    if settings.loss.has_plugin_main:
        message = (
            f"the dataset has an `ignore` label ({data.ignore}), but a plug-in is given logits and"
            " a target of classes and cannot leave voxels out: choose one of our own main losses"
        )
        found.append(Mistake(message, key="loss.main"))
    return found


def _largest(settings: TrialSettings, key: str) -> float:
    """The largest number that a setting takes, in any trial of a sweep."""
    if isinstance(settings, SweepSpec):
        return settings.ranges.largest(key)
    return float(value_of(settings, key))


def _region_mistakes(settings: TrialSettings, data: PreparedData) -> list[Mistake]:
    """A main loss that expects classes which exclude each other."""
    if data.regions is None or not settings.loss.has_plugin_main:
        return []
    message = (
        f"the dataset has regions ({', '.join(data.classes[1:])}), which overlap, but a plug-in is"
        " given one class a voxel: choose one of our own main losses"
    )
    return [Mistake(message, key="loss.main")]


def network_size(settings: TrialSettings, data: PreparedData) -> tuple[int, ...]:
    """Size of what the network is trained on along each axis: the patch, or the largest sample."""
    if settings.data.patch is not None:
        return settings.data.patch
    first = 0 if data.training.volumes else 1
    sizes = [case.labels.shape[first:] for case in data.training.case_arrays]
    return tuple(int(side) for side in np.max(sizes, axis=0))


def _side_mistakes(settings: TrialSettings, data: PreparedData) -> list[Mistake]:
    """Images and volumes with too few voxels for the network's levels.

    Training uses patches, or samples padded to the largest. Validation pads to the same size.
    """
    assert isinstance(settings.trainer, MonaiTrainer)
    if isinstance(settings, SweepSpec) and settings.space.keys() & DECIDING:
        return []  # no trial trains the base settings: each trial is checked instead
    size, batch_size = network_size(settings, data), settings.trainer.batch_size
    try:
        settings.network.must_fit(size, batch_size, size=size, spacing=data.spacing)
    except ValidationError as error:
        return [Mistake(str(one["ctx"]["error"]), key="network.channels") for one in error.errors()]
    return []


def _class_mistakes(settings: TrialSettings, data: PreparedData) -> list[Mistake]:
    """Geometric classes of which no training case holds any, if a geometric loss acts on them."""
    if isinstance(settings, SweepSpec):  # in any trial except presets
        acts = settings.ranges.uses_geometric_loss
        acts = acts and "data.geometric_class" not in settings.space
    else:
        acts = settings.has_geometry
    cases = {side: getattr(data, side).case_arrays for side in ("training", "validation")}
    wanted = data.geometric_classes
    if not acts or any(_holding(cases["training"], value) for value in wanted):
        return []
    held = (f"`{data.classes[n]}`, which is in {_counted(cases, n)} cases" for n in wanted)
    message = (
        f"the geometric losses act on {'; and on '.join(held)}: choose another class or fold, or"
        " set all of loss.weights to 0"
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
