"""Check as much as possible of a file with mistakes, so that one never hides another.

Wrong values are replaced by their defaults, and the file is read again. Later findings count only
if
they do not depend on the replaced values: see `Unsure`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from sweep.spec.reading.yaml_document import Document
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.setting_tree import Finding, KeyPath
from sweep.spec.settings.settings_base import Settings
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.settings.validation_reports import findings_of
from sweep.spec.words.synonyms import name_for

S = TypeVar("S", bound=TrialSettings)

ENTANGLED = (
    ("data.folds", "data.fold"),
    ("data.normalization", "augmentation.gamma.probability", "augmentation.gamma.mode"),
    ("network.name", "network.deep_supervision", "network.dropout", "data.size", "data.patch_size",
     "trainer.batch_size"),
    ("loss.main", "loss.focal_gamma"),
    ("loss.dice_weight", "loss.pixel_weight"),
)  # fmt: skip
"""Searchable settings that limit each other."""
LISTS = (
    ("network.channels", *ENTANGLED[2], "data.source", "trainer.kind"),
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
        self._names = set(names)

    def add(self, finding: Finding) -> None:
        name = dotted(finding.path)
        in_space = finding.path[:1] == ("space",)
        self._names |= {"space", name.removeprefix("space.")} if in_space else {name}
        self._names |= {finding.meant} if finding.meant else set()

    def add_name(self, name: str) -> None:
        self._names.add(name)

    def __contains__(self, name: object) -> bool:
        """Whether the setting, its group, or a setting in it is unknown."""
        name = str(name)
        return any(
            name == one or name.startswith(f"{one}.") or one.startswith(f"{name}.")
            for one in self._names
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


@dataclass
class PartialReading(Generic[S]):
    """The readable part of a file.

    Args:
        settings: with defaults in place of what is wrong; None where that does not help.
        findings: what is wrong.
        unsure: which settings are not known therefore.
    """

    settings: S | None
    findings: list[Finding] = field(default_factory=list)
    unsure: Unsure = field(default_factory=Unsure)


def read_despite(document: Document, root: type[S]) -> PartialReading[S]:
    """Validate a document; where it has mistakes, again and again without them."""
    found = PartialReading[S](
        None, [], Unsure(".".join(map(str, path)) for path in document.unreadable)
    )
    for mistake in document.mistakes:
        found.unsure.add_name(mistake.key.removeprefix("space."))
    values = _with_space(document, root)
    for _ in range(MOST_READINGS):
        try:
            found.settings = root.model_validate(values)
            break
        except ValidationError as error:
            wrong = findings_of(error, root)
        _note(found, wrong)
        changed = [_put_back(found, values, finding, root) for finding in wrong]
        if not any(changed):
            break
    return found


def dotted(path: KeyPath) -> str:
    return ".".join(part for part in path if isinstance(part, str))


def _note(found: PartialReading[S], wrong: list[Finding]) -> None:
    """Add findings that do not only follow from earlier mistakes."""
    known = {finding.path for finding in found.findings}
    for finding in wrong:
        name = dotted(finding.path)
        follows = name in found.unsure or found.unsure.limits(name)
        in_space = finding.path[:1] == ("space",) and len(finding.path) > 1
        if finding.path not in known and (in_space or not found.findings or not follows):
            known.add(finding.path)
            found.findings.append(finding)
    for finding in wrong:
        if finding.proposed is None:  # what takes its place is likely what was meant
            found.unsure.add(finding)


def _put_back(
    found: PartialReading[S], values: dict[str, Any], finding: Finding, root: type[Settings]
) -> bool:
    """Take what is wrong out of the values; whether there was anything to take out."""
    path = finding.path
    if path[:1] == ("space",) and len(path) > 1 and isinstance(values.get("space"), dict):
        values["space"].pop(str(path[1]), None)
        values["space"] = values["space"] or copy.deepcopy(IN_PLACE["space"])
        return True
    holder: dict[str, Any] = values
    above, depth = holder, 0
    while depth < len(path) - 1 and isinstance(holder.get(str(path[depth])), dict):
        above, holder, depth = holder, holder[str(path[depth])], depth + 1
    key = str(path[depth]) if path else ""
    if key in holder and finding.proposed is not None and holder[key] != finding.proposed:
        bare = len(path) - depth > 1  # `searcher: tpee` for `{name: tpee}`
        holder[key] = {str(path[-1]): finding.proposed} if bare else finding.proposed
    elif key in holder:
        del holder[key]
    elif depth and finding.proposed is not None:  # a kind that was left out, and is plain
        holder[key] = finding.proposed
    elif depth:  # it is missing: nothing can be said of its group
        del above[str(path[depth - 1])]
        found.unsure.add_name(dotted(path[:depth]))
    elif root is not SweepSpec or key not in IN_PLACE:
        return False
    if root is SweepSpec and key in IN_PLACE and not depth:
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
