"""The text of the files that settings name, as hashes: by these an edit is noticed later."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sweep.plugins.entry_names import ENTRY
from sweep.vocabulary.error_lines import is_users


def sources_of(settings: object) -> dict[str, str]:
    """SHA-256 of each file of users that settings name, and of what it imports, by its path.

    Imports are read from the text: nothing is run. They are looked for beside the file or, if it
    is of a package, beside and in that. Installed packages do not count.

    Args:
        settings: of a trial, as `model_dump(mode="json")` gives them.
    """
    found: dict[Path, str] = {}
    waiting = [file for text in _texts(settings) for file in _files_of(text)]
    while waiting:
        file = waiting.pop()
        if file in found or not is_users(str(file)):
            continue
        with suppress(OSError):  # a file that is missing is told when it is imported
            text = file.read_bytes()
            found[file] = hashlib.sha256(text).hexdigest()
            waiting += _imported(file, text)
    return {str(file): found[file] for file in sorted(found)}


def names_files(settings: object) -> bool:
    """Whether any text in settings, as of `sources_of`, may name a file or a module."""
    return any(ENTRY.fullmatch(text) for text in _texts(settings))


def text_now(path: str) -> str | None:
    """SHA-256 of a file of `sources_of` as it is now; None if it cannot be read."""
    with suppress(OSError):
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _files_of(text: str) -> Iterator[Path]:
    """The file of an entry, ``file.py:attribute`` or ``package.module:attribute``."""
    if (entry := ENTRY.fullmatch(text)) is None:
        return
    if entry["where"].endswith(".py"):
        yield Path(entry["where"]).resolve()
        return
    top, *below = entry["where"].split(".")
    with suppress(ImportError, ValueError):
        # Of the package alone, which imports nothing.
        if (spec := find_spec(top)) is None:
            return
        if not below and spec.origin:
            yield Path(spec.origin)
        for folder in spec.submodule_search_locations or ():
            yield from _modules(Path(folder), below)


def _imported(file: Path, text: bytes) -> Iterator[Path]:
    """The files that a file imports from its own folder or package."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    top = file.parent
    while (top / "__init__.py").exists():
        top = top.parent
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _modules(top, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = [top, *file.parents][min(node.level, len(file.parents))]
            names = node.module.split(".") if node.module else []
            for alias in node.names:  # a name of the module, or a module of the package
                yield from _modules(base, names)
                yield from _modules(base, [*names, alias.name])


def _modules(folder: Path, names: list[str]) -> Iterator[Path]:
    """The files of a dotted name below a folder, its packages included."""
    for count in range(1, len(names) + 1):
        path = folder.joinpath(*names[:count])
        files = (path.parent / f"{path.name}.py", path / "__init__.py")
        yield from (file for file in files if file.is_file())
