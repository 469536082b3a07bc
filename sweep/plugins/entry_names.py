"""``package.module:attribute`` or ``file.py:attribute``: what a file names, and its module."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated

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


def _from_file(path: Path) -> ModuleType:
    path = path.resolve()
    # By content: a worker that outlives an edit of the file trains with what stands in it now.
    content = path.read_bytes()
    digest = hashlib.sha256(bytes(path) + content).hexdigest()[:12]
    name = f"sweep_custom_{path.stem}_{digest}"
    if str(path.parent) not in sys.path:  # also undone after each trial
        sys.path.append(str(path.parent))  # what it imports may lie beside it
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    setattr(module, FILE_MARK, str(path))
    sys.modules[name] = module
    try:
        # Its loader would take the bytecode of a text of the same size and the same second.
        exec(compile(content, path, "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module
