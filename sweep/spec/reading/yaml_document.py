"""One YAML document: its plain values, where each stands, and what is wrong with them.

No objects are constructed. Depth and number of values are limited, including what aliases repeat.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sweep.spec.reading.yaml_text import MOST_BYTES, compose, text_of
from sweep.spec.search.search_strategy import BARE_NAMES
from sweep.spec.settings.trainer_settings import FROM_ENVIRONMENT
from sweep.spec.tree.setting_tree import Finding, KeyPath
from sweep.spec.words.phrases import no_character, printable, quoted, shown
from sweep.vocabulary.errors import InputError, Mistake
from sweep.vocabulary.parameter_values import without_arrays

MOST_VALUES = 20_000
MOST_LEVELS = 20
LARGEST_INTEGER = 2**63 - 1

TAG = "tag:yaml.org,2002:"
TEXT_TAGS = {TAG + kind for kind in ("str", "timestamp", "value", "merge")}
OVERRIDE = "--set "
MERGE_MESSAGE = "merge keys are not read: write here what the alias stands for"
PLAIN_TAGS = {TAG + kind for kind in ("null", "bool", "int", "float")}


@dataclass(frozen=True, slots=True)
class Place:
    """A file with a line, or a ``--set`` argument, which has none."""

    file: str
    line: int | None = None


@dataclass
class Document:
    """The values of a settings file, not validated yet.

    Args:
        file: the file as the user named it.
        values: the top-level mapping.
        places: where each value stands; one without a place stands where its parent does.
        mistakes: what is wrong with the text itself.
        unreadable: paths of values that could not be read, reported in ``mistakes``.
        filled: paths of values that neither the file nor an override gives (see `fill`).
    """

    file: str
    values: dict[str, Any]
    places: dict[KeyPath, Place] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    unreadable: set[KeyPath] = field(default_factory=set)
    filled: set[KeyPath] = field(default_factory=set)

    def override(self, assignment: str) -> None:
        """Apply one ``dotted.key=value``, whose value is YAML."""
        place = Place(OVERRIDE + printable(assignment))
        key, equals, text = assignment.partition("=")
        group, _, below = key.strip().partition(".")
        # A searched setting is one dotted key below `space`.
        is_searched = group == "space" and below != ""
        path = (group, below) if is_searched else tuple(key.strip().split("."))
        if not equals or not all(path) or no_character(key):
            self.wrong(place, path, "must read `dotted.key=value`, such as `trainer.epochs=10`")
            return
        target, reached = self._group(path[:-1], place)
        if not isinstance(target, dict):
            message = f"cannot reach into `{_dotted(reached)}`, which is {shown(target)}"
            self.wrong(place, path, message)
            return
        # Forget what was known of the old value.
        self.places = {p: at for p, at in self.places.items() if p[: len(path)] != path}
        self.unreadable = {p for p in self.unreadable if p[: len(path)] != path}
        try:
            node = compose(text, place.file)
            target[path[-1]] = _Reader(self, lambda _: place).value(node, path) if node else None
        except InputError as error:
            for mistake in error.mistakes:
                self.refuse(place, path, mistake.message)
        self.places[path] = place

    def fill(self, key: str, value: Any, place: Place) -> None:
        """Give the setting with this dotted name a value, unless the file gives it one itself."""
        path = tuple(key.split("."))
        target, _ = self._group(path[:-1], place)
        if isinstance(target, dict) and path[-1] not in target:  # anything else is reported later
            target[path[-1]] = value
            self.places[path] = place
            self.filled.add(path)

    def _group(self, path: KeyPath, place: Place) -> tuple[Any, KeyPath]:
        """The mapping at ``path``, which is created if it is missing, and its path.

        If another value is in the way, that value and its path.
        """
        target: Any = self.values
        for depth, group in enumerate(path, start=1):
            if group not in target:
                target[group] = {}
                self.places[path[:depth]] = place
            below = target[group]
            if isinstance(below, str) and depth == 1 and group in BARE_NAMES:
                below = target[group] = {"name": below}
            if not isinstance(below, dict):
                return below, path[:depth]
            target = below
        return target, path

    def written(self, key: str) -> Any:
        """What the user gave the setting with this dotted name; None where nothing was given."""
        path = tuple(key.split("."))
        value: Any = None if path in self.filled else self.values
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def overridden(self, key: str) -> bool:
        """Whether the value of the setting with this dotted name was given by `override`."""
        path = tuple(key.split("."))
        around = (self.places.get(path[:length]) for length in range(len(path), 0, -1))
        place = next(filter(None, around), None)
        is_override = place is not None and place.file.startswith(OVERRIDE)
        return is_override and self.written(key) is not None

    def mistakes_from(self, findings: Iterable[Finding]) -> list[Mistake]:
        """All mistakes of the text and, with their places, of its values, in the file's order."""
        mistakes = self.mistakes + [
            self.placed(finding)
            for finding in findings
            if self.unreadable.isdisjoint(finding.path[:n] for n in range(len(finding.path) + 1))
        ]
        return sorted(mistakes, key=lambda m: (m.file != self.file, m.line or 0))

    def placed(self, finding: Finding) -> Mistake:
        """A finding with its file and line."""
        variable = FROM_ENVIRONMENT.get(_dotted(finding.path), "")
        if os.environ.get(variable) and finding.path not in self.places:
            return Mistake(finding.message, variable)  # it is not in the file
        around = (finding.path[:length] for length in range(len(finding.path), 0, -1))
        place = next((self.places[p] for p in around if p in self.places), Place(self.file))
        return Mistake(finding.message, _dotted(finding.path), place.file, place.line)

    def wrong(self, place: Place, path: KeyPath, message: str) -> None:
        """Note a mistake of the text itself."""
        self.mistakes.append(Mistake(message, _dotted(path), place.file, place.line))

    def refuse(self, place: Place, path: KeyPath, message: str) -> None:
        """Note a mistake that leaves the value at ``path`` unknown."""
        self.unreadable.add(path)
        self.wrong(place, path, message)


def read_document(path: str | Path) -> Document:
    """Read a settings file.

    Raises:
        InputError: it cannot be read at all, or is not a YAML mapping. Mistakes of single values
            are collected in `Document.mistakes`.
    """
    return parse_document(text_of(Path(path), str(path)), str(path))


def parse_document(text: str, file: str) -> Document:
    """Read the text of a settings file, called ``file`` in messages; raises as `read_document`."""
    node = compose(text, file)
    if not isinstance(node, MappingNode):
        what = "is empty" if node is None else "is not a mapping"
        raise InputError.single(f"the file {what}; it must hold `key: value` lines", file=file)
    document = Document(file, {})
    values = _Reader(document, lambda at: Place(file, at.start_mark.line + 1)).value(node, ())
    if values is None:
        raise InputError(document.mistakes)
    document.values = values
    return document


def plain_document(values: Mapping[Any, Any]) -> Document:
    """The document of Python values, which have no file and no line.

    Values that no settings file could hold are noted in `Document.mistakes`.
    """
    document = Document("", {})
    document.values = _plain(values, (), document)
    return document


def _plain(value: Any, path: KeyPath, document: Document) -> Any:
    """A copy with NumPy's values as Python's, and None for objects, noted as mistakes."""
    value = without_arrays(value)
    if isinstance(value, Mapping) and len(path) <= MOST_LEVELS:
        named = {str(key): held for key, held in value.items()}
        wrong = {key: words for key in named if (words := no_character(key))}
        for words in wrong.values():
            document.refuse(Place(""), path, words)
        return {
            key: _plain(held, (*path, key), document)
            for key, held in named.items()
            if key not in wrong
        }
    if isinstance(value, list | tuple | range) and len(path) <= MOST_LEVELS:
        return [_plain(item, (*path, index), document) for index, item in enumerate(value)]
    value = str(value) if isinstance(value, Path) else value
    if isinstance(value, str):
        message = no_character(value)
    elif value is None or isinstance(value, bool | int | float):
        message = None
    else:
        kind = type(value).__name__
        message = f"a setting is a plain value, but this is a {kind}: {shown(value)}"
    if message is None:
        return value
    document.refuse(Place(""), path, message)
    return None


class _Reader:
    """Turns nodes into plain values, and notes in the document where they stand."""

    def __init__(self, document: Document, place_of: Callable[[Node], Place]) -> None:
        self._document = document
        self._place_of = place_of
        self._constructor = YAML(typ="safe", pure=True).constructor
        self._values = self._characters = 0

    def value(self, node: Node, path: KeyPath, above: tuple[Node, ...] = ()) -> Any:
        """The value of ``node``; None, with a mistake noted, if it has none."""
        self._count(node)
        inside = (*above, node)
        if any(node is parent for parent in above):
            problem = "this alias contains itself"
        elif len(path) > MOST_LEVELS:
            problem = f"nested more than {MOST_LEVELS} levels deep"
        elif isinstance(node, MappingNode) and node.tag == TAG + "map":
            return self._mapping(node, path, inside)
        elif isinstance(node, SequenceNode) and node.tag == TAG + "seq":
            return [self._at((*path, i), item, item, inside) for i, item in enumerate(node.value)]
        elif isinstance(node, ScalarNode):
            try:
                return self._scalar(node)
            except ValueError as error:
                problem = str(error)
        else:
            problem = _tag_message(node)
        return self._document.refuse(self._place_of(node), path, problem)

    def _mapping(
        self, node: MappingNode, path: KeyPath, inside: tuple[Node, ...]
    ) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in node.value:
            self._count(key)
            if not isinstance(key, ScalarNode):
                message = "a key must be a text, not a list or a mapping"
                self._document.wrong(self._place_of(key), path, message)
            elif wrong := no_character(key.value):
                self._document.wrong(self._place_of(key), path, wrong)
            elif key.tag == TAG + "merge":
                self._document.wrong(self._place_of(key), (*path, key.value), MERGE_MESSAGE)
                # Its values are unknown, so the rest of the group is not checked.
                self._document.unreadable |= {path} if path else set()
            elif key.value in values:
                first = self._document.places[(*path, key.value)].line
                message = f"{quoted(key.value)} is given twice, first in line {first or 1}"
                self._document.wrong(self._place_of(key), (*path, key.value), message)
            else:
                values[key.value] = self._at((*path, key.value), key, value, inside)
        return values

    def _count(self, node: Node) -> None:
        """Refuse a text that aliases make larger than any that is written by hand."""
        self._values += 1
        self._characters += len(node.value) if isinstance(node, ScalarNode) else 0
        if self._values > MOST_VALUES or self._characters > MOST_BYTES:
            raise InputError.single(
                f"the text holds more than {MOST_VALUES} keys and values, or {MOST_BYTES // 1024} "
                "KiB of them, counting what aliases repeat",
                file=self._document.file,
            )

    def _at(self, path: KeyPath, start: Node, node: Node, inside: tuple[Node, ...]) -> Any:
        self._document.places[path] = self._place_of(start)
        return self.value(node, path, inside)

    def _scalar(self, node: ScalarNode) -> Any:
        text: str = node.value
        if wrong := no_character(text):
            raise ValueError(wrong)
        if node.tag in TEXT_TAGS:
            return text
        if node.tag not in PLAIN_TAGS:
            raise ValueError(_tag_message(node))
        try:
            value = self._constructor.construct_object(node)
        except (ValueError, LookupError, YAMLError):
            raise ValueError(f"{shown(text)} cannot be read as a number") from None
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            raise ValueError(f"whole numbers go up to {LARGEST_INTEGER}, but this is {shown(text)}")
        return value


def _tag_message(node: Node) -> str:
    return f"the tag {quoted(str(node.tag).replace(TAG, '!!'))} is not allowed; write a plain value"


def _dotted(path: KeyPath) -> str:
    return ".".join(printable(str(part)) for part in path)
