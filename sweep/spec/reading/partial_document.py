"""Check as much as possible of a file with mistakes, so that one never hides another.

Wrong values are replaced by their defaults, and the file is read again. Later findings count only
if they do not depend on the replaced values: see `Unsure`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import ValidationError

from sweep.spec.reading.yaml_document import Document
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.settings_base import Settings
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.tree.setting_tree import Finding, KeyPath
from sweep.spec.tree.validation_reports import findings_of
from sweep.spec.words.synonyms import name_for

S = TypeVar("S", bound=TrialSettings)

ENTANGLED = (
    ("data.folds", "data.fold"),
    ("data.normalization", "augmentation.gamma.probability", "augmentation.gamma.mode"),
    ("network.name", "network.channels", "network.deep_supervision", "network.dropout",
     "data.size", "data.patch_size", "trainer.batch_size"),
    ("data.spatial", "data.patch_size", "data.spacing"),
    ("loss.main", "loss.focal_gamma"),
    ("loss.dice_weight", "loss.pixel_weight"),
)  # fmt: skip
"""Searchable settings that limit each other."""
LISTS = (
    (*ENTANGLED[2], "data.source", "trainer.kind"),
    ("data.test", "data.source"),
    ("expect", "loss.dice_weight"),
)
"""Further settings that limit each other."""

MOST_READINGS = 8
IN_PLACE: dict[str, Any] = {
    "space": {"optimizer.weight_decay": {"choice": [0.0]}},
    "trials": 1,
    "name": "unnamed",
}
"""Substitutes for keys of a sweep without a usable default."""


class Unsure:
    """Dotted names of the settings whose values are unknown, because they are wrong in the file."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = set(names)

    def __contains__(self, name: object) -> bool:
        """Whether the setting, its group, or a setting in it is unknown."""
        name = str(name)
        return any(
            name == one or name.startswith(f"{one}.") or one.startswith(f"{name}.")
            for one in self.names
        )

    def any_of(self, names: Iterable[str]) -> bool:
        return any(name in self for name in names)

    def limits(self, name: str) -> bool:
        """Whether a setting that limits the one of this name is unknown."""
        return any(
            self.any_of(other for other in group if other != name)
            for group in (*ENTANGLED, *LISTS)
            if name in group
        )


def read_despite(document: Document, root: type[S]) -> tuple[S | None, list[Finding], Unsure]:
    """Validate a document. If it has mistakes, validate it again and again without them.

    Returns:
        The settings, with defaults in place of wrong values; None if that does not help. What is
        wrong. Which settings are therefore unknown.
    """
    findings: list[Finding] = []
    unsure = Unsure(".".join(map(str, path)) for path in document.unreadable)
    unsure.names |= {mistake.key.removeprefix("space.") for mistake in document.mistakes}
    values = _with_space(document, root)
    for _ in range(MOST_READINGS):
        try:
            return root.model_validate(values), findings, unsure
        except ValidationError as error:
            wrong = findings_of(error, root)
        _note(wrong, findings, unsure, document.unreadable)
        changed = [_put_back(finding, values, root, unsure) for finding in wrong]
        if not any(changed):
            break
    return None, findings, unsure


def dotted(path: KeyPath) -> str:
    """The dotted name of the setting at ``path``."""
    return ".".join(part for part in path if isinstance(part, str))


def _note(
    wrong: list[Finding], findings: list[Finding], unsure: Unsure, unreadable: set[KeyPath]
) -> None:
    """Add those of ``wrong`` to ``findings`` that do not only follow from earlier mistakes."""
    known = {finding.path for finding in findings}
    known |= {path[:end] for path in unreadable for end in range(2, len(path) + 1)}
    for finding in wrong:
        name = dotted(finding.path)
        follows = name in unsure or unsure.limits(name)
        in_space = finding.path[:1] == ("space",) and len(finding.path) > 1
        if finding.rests_on is not None and finding.rests_on in unsure:
            continue
        if finding.path not in known and (in_space or not findings or not follows):
            known.add(finding.path)
            findings.append(finding)
    for finding in wrong:
        if finding.proposed is None:  # otherwise the proposal takes its place
            name = dotted(finding.path)
            in_space = finding.path[:1] == ("space",)
            unsure.names |= {"space", name.removeprefix("space.")} if in_space else {name}
            unsure.names |= {finding.meant} if finding.meant else set()


def _put_back(
    finding: Finding, values: dict[str, Any], root: type[Settings], unsure: Unsure
) -> bool:
    """Take a wrong value out of ``values``; returns whether there was one to take out."""
    path = finding.path
    if path[:1] == ("space",) and len(path) > 1 and isinstance(values.get("space"), dict):
        values["space"].pop(str(path[1]), None)
        values["space"] = values["space"] or copy.deepcopy(IN_PLACE["space"])
        return True
    above = holder = values
    depth = 0
    while depth < len(path) - 1 and isinstance(holder.get(str(path[depth])), dict):
        above, holder, depth = holder, holder[str(path[depth])], depth + 1
    key = str(path[depth]) if path else ""
    substituted = root is SweepSpec and key in IN_PLACE
    if key in holder and finding.proposed is not None and holder[key] != finding.proposed:
        bare = len(path) - depth > 1  # `searcher: tpee` for `{name: tpee}`
        holder[key] = {str(path[-1]): finding.proposed} if bare else finding.proposed
    elif key in holder:
        del holder[key]
    elif depth and finding.proposed is not None:  # a kind that was left out, and is plain
        holder[key] = finding.proposed
    elif depth:  # it is missing: nothing can be said of its group
        del above[str(path[depth - 1])]
        unsure.names.add(dotted(path[:depth]))
    elif not substituted:
        return False
    if substituted and not depth:
        values[key] = copy.deepcopy(IN_PLACE[key])
    return True


def _with_space(document: Document, root: type[Settings]) -> dict[str, Any]:
    """A copy of the values, in which a space under another name is one: ``parameters``."""
    values = copy.deepcopy(document.values)
    if root is not SweepSpec or "space" in values:
        return values
    for key, below in document.values.items():
        if isinstance(below, dict) and name_for(key, root.model_fields) == "space":
            values["space"] = copy.deepcopy(below)
            for path, place in list(document.places.items()):
                if path[0] == key:
                    document.places["space", *path[1:]] = place
    return values
