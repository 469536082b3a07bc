"""The tree of settings: dotted names, and the place in the YAML of each pydantic error."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from sweep.spec.settings.geometric_terms import weight_keys
from sweep.spec.settings.settings_base import ActsLate, EndsRun, Settings
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.errors import Mistake

KeyPath = tuple[str | int, ...]
"""Path to a value in the YAML: a key for each mapping, an index for each list."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with the values at ``path``. With its file it becomes a `Mistake`.

    Args:
        path: where it stands.
        message: what is wrong.
        meant: for an unknown key, the dotted name that was likely meant.
        proposed: the value that was likely meant, if the rest of its group depends on it.
        rests_on: dotted name of another setting, if it is wrong only beside the value of that one.
    """

    path: KeyPath
    message: str
    meant: str | None = None
    proposed: str | None = None
    rests_on: str | None = None

    def mistake(self, file: str = "") -> Mistake:
        """The mistake where no line is known."""
        return Mistake(self.message, ".".join(map(str, self.path)), file)


def setting_names(group: type[Settings] = TrialSettings) -> list[str]:
    """Dotted names of all single settings below ``group``, over all alternatives."""
    return list(dict.fromkeys(name for name, _ in setting_fields(group)))


def names_in(settings: TrialSettings) -> list[str]:
    """Dotted names of the settings of this configuration: only those of the chosen alternatives.

    Args:
        settings: of a trial, or of a sweep.
    """
    chosen = {
        name: type(getattr(settings, name)).model_fields
        for name, field in TrialSettings.model_fields.items()
        if field.discriminator
    }
    names = [
        name
        for name in setting_names()
        for group, _, below in [name.partition(".")]
        if group not in chosen or below in chosen[group]
    ]
    return [*names, *weight_keys(settings.loss.weights.of_plugins)]


WITH_OWN_KEYS = (
    *("data.options", "trainer.options", "network.options", "optimizer.options"),
    *("loss.main_options", "loss.weights"),
)
"""Mappings with keys of the user's own: a plug-in's options, the weights of plug-in terms."""


def group_of_option(key: str) -> str | None:
    """The mapping (``trainer.options``) of which the dotted name is a key of the user's own."""
    group = key.rpartition(".")[0]
    return group if group in WITH_OWN_KEYS else None


def value_of(settings: Settings | Mapping[str, Any], key: str) -> Any:
    """The value of the setting with this dotted name."""
    value: Any = settings
    for part in key.split("."):
        value = value[part] if isinstance(value, Mapping) else getattr(value, part)
    return value


def replace_value(tree: Any, key: str, value: Any) -> bool:
    """Set the dotted ``key`` to ``value``; False, without a change, if there is no such setting."""
    *groups, last = key.split(".")
    for group in groups:
        tree = tree.get(group) if isinstance(tree, dict) else None
    if not isinstance(tree, dict) or last not in tree or isinstance(tree[last], dict):
        return False
    tree[last] = value
    return True


def after_switch_on_keys() -> frozenset[str]:
    """Dotted names of the settings without effect before the geometric loss switches on."""
    return _marked(ActsLate)


def run_ending_keys() -> frozenset[str]:
    """Dotted names of the settings that only decide where a run ends."""
    return _marked(EndsRun)


@functools.cache
def late_keys() -> frozenset[str]:
    """Dotted names of all settings that do not affect a trial before its switch-on.

    The weights of plug-in terms are missing; `is_late` knows them too.
    """
    return after_switch_on_keys() | run_ending_keys()


def is_late(key: str) -> bool:
    """Whether the setting of this dotted name does not affect a trial before its switch-on."""
    return key in late_keys() or group_of_option(key) == "loss.weights"


def choosing_keys() -> frozenset[str]:
    """Dotted names of the settings that decide which other settings exist (``data.source``)."""
    return frozenset(
        f"{name}.{field.discriminator}"
        for name, field in TrialSettings.model_fields.items()
        if field.discriminator
    )


def unsearched_keys() -> frozenset[str]:
    """Dotted names of other settings that must be the same for all trials of a sweep."""
    fingerprints = {"data.fingerprint", "trainer.fingerprint"}
    tests = {"data.test", "trainer.test"}
    lists = {"evaluation.metrics", "expect", "loss.terms"}
    return frozenset({"objective.metric", "objective.mode"} | tests | fingerprints | lists)


def types_of(key: str) -> frozenset[type]:
    """Types of the values that the setting with this dotted name takes; empty if it is unknown."""
    fields = (field for name, field in setting_fields() if name == key)
    return frozenset(kind for field in fields for kind in _plain_types(field.annotation))


@dataclass(frozen=True, slots=True)
class Spot:
    """The place of a pydantic error.

    Args:
        path: its place in the YAML.
        group: the innermost group of settings on the path.
        choice: which of several alternatives ``group`` is (by its source or name), or ``""``.
        annotation: what is allowed there; None if unknown.
    """

    path: KeyPath
    group: type[Settings]
    choice: str
    annotation: Any

    @property
    def nullable(self) -> bool:
        return type(None) in get_args(self.annotation)

    @property
    def groups(self) -> list[type[Settings]]:
        """The groups of settings allowed there."""
        return _groups(self.annotation)

    def alternatives(self, discriminator: str) -> list[str]:
        """The names to choose from, if alternative groups of settings are allowed."""
        return [tag for group in self.groups for tag in _tags(group, discriminator)]


def locate(root: type[Settings], location: KeyPath) -> Spot:
    """Translate pydantic's ``loc`` to a place in the YAML. It also holds the tags of unions."""
    path: list[str | int] = []
    group, choice = root, ""
    annotation: Any = root
    discriminator = ""
    for part in location:
        groups = _groups(annotation)
        if discriminator and len(groups) > 1:
            group = next((g for g in groups if part in _tags(g, discriminator)), groups[0])
            choice = f"{discriminator} `{part}`"
            annotation, discriminator = group, ""
        elif groups:
            if annotation is not group:
                group, choice = groups[0], ""
            path.append(part)
            field = group.model_fields.get(str(part))
            annotation = field.annotation if field else None
            discriminator = str(field.discriminator or "") if field else ""
        elif not _is_union(annotation):
            path.append(part)
            annotation = _below(annotation)
        # else: the label of a branch of a plain union ("int"), which is not in the YAML
    return Spot(tuple(path), group, choice, annotation)


@functools.cache
def setting_fields(
    group: type[Settings] = TrialSettings, prefix: str = ""
) -> tuple[tuple[str, FieldInfo], ...]:
    """Dotted name and declaration of every single setting, once for each alternative."""
    found: list[tuple[str, FieldInfo]] = []
    for name, field in group.model_fields.items():
        groups = _groups(field.annotation)
        for below in groups:
            found += setting_fields(below, f"{prefix}{name}.")
        if not groups:
            found.append((prefix + name, field))
    return tuple(found)


def _groups(annotation: Any) -> list[type[Settings]]:
    """Groups of settings that an annotation allows; several for a union."""
    options = get_args(annotation) if _is_union(annotation) else (annotation,)
    return [one for one in options if isinstance(one, type) and issubclass(one, Settings)]


def _below(annotation: Any) -> Any:
    """What a list, or a mapping with keys of the user's own, holds; None if that is unknown."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is dict:
        below = arguments[1]
    elif origin is tuple and arguments[1:] == (...,):
        below = arguments[0]
    else:
        return None
    return get_args(below)[0] if get_origin(below) is Annotated else below


def _tags(group: type[Settings], discriminator: str) -> tuple[Any, ...]:
    return get_args(group.model_fields[discriminator].annotation)


@functools.cache
def _marked(mark: type) -> frozenset[str]:
    return frozenset(
        name
        for name, field in setting_fields()
        if any(isinstance(item, mark) for item in field.metadata)
    )


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)


def _plain_types(annotation: Any) -> Iterator[type]:
    if _is_union(annotation):
        for option in get_args(annotation):
            yield from _plain_types(option)
    elif get_origin(annotation) is Annotated:
        yield from _plain_types(get_args(annotation)[0])
    elif get_origin(annotation) is Literal:
        yield from (type(value) for value in get_args(annotation))
    else:
        yield get_origin(annotation) or annotation
