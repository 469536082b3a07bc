"""``package.module:attribute`` or ``file.py:attribute``: what a file names, and its module."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from pathlib import Path
from types import ModuleType
from typing import Annotated, NoReturn

from pydantic import Field

from sweep.machine.user_paths import absolute

ENTRY = re.compile(r"(?P<where>.+):(?P<name>[A-Za-z_]\w*)")
MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")

PLUGIN = "custom"
"""What a file calls a plug-in among data sources, searchers and schedulers."""
PLUGIN_PATTERN = r"^.+:[A-Za-z_]\w*$"
PluginName = Annotated[str, Field(pattern=PLUGIN_PATTERN)]
"""How a plug-in is named in a file, for schemas; those that packages register are not known."""

FILE_MARK = "__sweep_entry__"
"""Marks a module that was imported because a sweep names its file."""


def as_entry(text: str) -> str | None:
    """The entry that a text is, with an absolute path where it names a file; None: it is none.

    Raises:
        ValueError: the path holds a variable that is not set, or is a URI.
    """
    found = ENTRY.fullmatch(text)
    if found is None:
        return None
    if found["where"].endswith(".py"):
        return f"{absolute(found['where'])}:{found['name']}"
    return text if MODULE.fullmatch(found["where"]) else None


def module_of(where: str) -> ModuleType:
    """The module of an entry, the part before its colon; importing it runs it."""
    return _from_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)


class _FromText(SourceFileLoader):
    """Runs the text of a file, never its bytecode, which is also that of an earlier text of the
    same size and second."""

    def path_stats(self, path: str) -> NoReturn:
        raise OSError(path)  # by which a loader says that it knows no bytecode


def _from_file(path: Path) -> ModuleType:
    path = path.resolve()
    # By content: a worker that outlives an edit of the file trains with what stands in it now.
    digest = hashlib.sha256(bytes(path) + path.read_bytes()).hexdigest()[:12]
    name = f"sweep_custom_{path.stem}_{digest}"
    beside = str(path.parent)
    if beside not in sys.path:  # also undone after each trial
        sys.path.append(beside)  # what it imports may lie beside it
    sys.path_importer_cache[beside] = FileFinder(
        beside, (ExtensionFileLoader, EXTENSION_SUFFIXES), (_FromText, SOURCE_SUFFIXES)
    )
    if name in sys.modules:
        return sys.modules[name]
    loader = _FromText(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    setattr(module, FILE_MARK, str(path))
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
