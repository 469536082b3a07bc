"""What the source text of ``trainer.entry`` shows. Nothing is run."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path


def computes_its_own_loss(entry: str) -> bool:
    """Whether an entry computes its own loss instead of that of the ``loss`` settings.

    A function always does. A class does if it has a ``compute_loss`` that does not call that of its
    base class, and nothing in the class uses a ``loss`` attribute, such as ``self.loss`` or
    ``settings.loss``. False for a file that cannot be read, and for a module: modules are imported
    only for training.

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
    return name in _with_own_loss(content)


@lru_cache(maxsize=8)
def _with_own_loss(content: bytes) -> frozenset[str]:
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
            isinstance(node, ast.ClassDef) and _has_own_loss(node)
        ):
            found.add(node.name)
        elif isinstance(node, ast.Assign) and _is_another_name(node.value, found):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return frozenset(found)


def _is_another_name(value: ast.expr, found: set[str]) -> bool:
    """Whether a value is one of ``found``, a `functools.partial` of one, or a lambda."""
    if isinstance(value, ast.Call) and ast.unparse(value.func).endswith("partial") and value.args:
        value = value.args[0]
    return isinstance(value, ast.Lambda) or (isinstance(value, ast.Name) and value.id in found)


def _has_own_loss(node: ast.ClassDef) -> bool:
    methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
    own = next((method for method in methods if method.name == "compute_loss"), None)
    return own is not None and not _reads(node, "loss") and not _reads(own, "compute_loss")


def _reads(node: ast.AST, attribute: str) -> bool:
    parts = ast.walk(node)
    return any(isinstance(part, ast.Attribute) and part.attr == attribute for part in parts)
