"""Names in backticks in a docstring exist: a renamed module or class leaves no dangling"
" reference."""

from __future__ import annotations

import ast
import builtins
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import sweep

PACKAGE = Path(sweep.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
SINGLE_BACKTICKS = re.compile(r"(?<!`)`([^`\s]+)`(?!`)")
OUR_PATH = re.compile(r"sweep(\.\w+)+")
OUR_CLASS = re.compile(r"([A-Z][a-z0-9]+)+(\.\w+)*")


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every text that stands alone as a statement, attribute docstrings included."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str() as text)):
                yield node.lineno, text


def names_in(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    """Names that a tree defines or imports anywhere, with the statement that does."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef() | ast.FunctionDef():
                yield node.name, node
            case ast.Assign():
                yield from ((t.id, node) for t in node.targets if isinstance(t, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name, node
            case ast.Import() | ast.ImportFrom():
                yield from (((a.asname or a.name).partition(".")[0], node) for a in node.names)


@functools.cache  # read by the one process that asks, not by each that imports this file
def defined() -> dict[str, set[str]]:
    """Name of each class (or alias, or imported class) → names that stand inside it."""
    found: dict[str, set[str]] = {}
    for path in FILES:
        for name, node in names_in(ast.parse(path.read_text())):
            known = found.setdefault(name, set())
            if isinstance(node, ast.ClassDef):
                known |= {part for part, _ in names_in(node)}
                known |= {
                    part.attr
                    for part in ast.walk(node)
                    if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)
                }
    return found


def exists(name: str) -> bool:
    """Whether a dotted path of ours, or a class with perhaps an attribute, is there."""
    if OUR_PATH.fullmatch(name):
        return path_exists(name)
    owner, _, attribute = name.partition(".")
    known = defined().get(owner)
    if known is None:
        return hasattr(builtins, owner)
    return not attribute or not known or attribute in known


def path_exists(name: str) -> bool:
    """Whether a path is a module, a command's public name, or something that a module defines."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        folder = PACKAGE.joinpath(*parts[1:length])
        file = folder.with_suffix(".py") if length > 1 else PACKAGE / "__init__.py"
        source = file if file.is_file() else folder / "__init__.py"
        if not source.is_file():
            continue
        rest = parts[length:]
        if not rest or (length == 1 and rest[0] in dir(sweep)):
            return True
        names = {found for found, _ in names_in(ast.parse(source.read_text()))}
        inside = defined().get(rest[0])
        return rest[0] in names and (len(rest) == 1 or not inside or rest[1] in inside)
    return False


def dangling(text: str) -> list[str]:
    """References of a docstring to something that does not exist."""
    names = SINGLE_BACKTICKS.findall(text)
    ours = [name.removesuffix("()") for name in names]
    return [n for n in ours if (OUR_PATH.fullmatch(n) or OUR_CLASS.fullmatch(n)) and not exists(n)]


def test_names_in_backticks_exist() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE.parent)}:{line}: `{name}`"
        for path in FILES
        for line, text in docstrings(ast.parse(path.read_text()))
        for name in dangling(text)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "name",
    [
        "sweep.trainer.rewind",
        "sweep.trainer.divergence.guard.Gard",
        "sweep.trainer.divergence.guard.Guard.rewind",
        "Interruption",
        "Guard.rewind",
    ],
)
def test_a_dangling_reference_is_found(name: str) -> None:
    assert dangling(f"See `{name}`.") == [name]


@pytest.mark.parametrize(
    "name",
    [
        "sweep.run",
        "sweep.trainer.divergence.guard",
        "sweep.trainer.divergence.guard.Guard.step",
        "Guard.interval",
        "GuardedRun.rewind",
        "ValueError",
    ],
)
def test_a_reference_to_something_that_exists_is_fine(name: str) -> None:
    assert dangling(f"See `{name}`.") == []
