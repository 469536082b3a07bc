"""``package.module:attribute`` or ``file.py:attribute``: what a file names, and its module."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType
from typing import Annotated

from pydantic import Field

from sweep.machine.user_paths import absolute
from sweep.plugins.user_files import module_of_file, without_arguments

ENTRY = re.compile(r"(?P<where>.+):(?P<name>[A-Za-z_]\w*)")
MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")

PLUGIN = "custom"
"""What a file calls a plug-in among data sources, searchers and schedulers."""
PLUGIN_PATTERN = r"^.+:[A-Za-z_]\w*$"
PluginName = Annotated[str, Field(pattern=PLUGIN_PATTERN)]
"""How a plug-in is named in a file, for schemas; those that packages register are not known."""


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
    with without_arguments():
        is_file = where.endswith(".py")
        return module_of_file(Path(where)) if is_file else importlib.import_module(where)
