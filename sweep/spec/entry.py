"""Whether ``trainer.entry`` names a function, told from the text of its file: nothing is run."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path


def names_function(entry: str) -> bool:
    """Whether an entry names a function, as far as a look at its file tells.

    False where the file cannot be read, and of a module: who loads it will know.

    Args:
        entry: ``/path/to/file.py:name`` or ``package.module:name``.
    """
    where, _, name = entry.rpartition(":")
    if not where.endswith(".py"):
        return False
    try:
        content = Path(where).read_bytes()
    except OSError:
        return False
    return name in _functions(content)


@lru_cache(maxsize=8)
def _functions(content: bytes) -> frozenset[str]:
    """Names of the functions that a file defines at its top."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, kinds))
