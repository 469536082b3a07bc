"""Scripts that no test runs import only what the package has, so that they still start."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(
    file for name in ("benchmarks", "examples") for file in (ROOT / name).rglob("*.py")
)


def bound(source: Path) -> Iterator[str]:
    """Every name that a module binds somewhere."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(name=name, asname=other):
                yield other or name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_script_imports_only_names_that_the_package_has(script: Path) -> None:
    missing = []
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("sweep."):
            continue
        found = find_spec(str(node.module))
        assert found is not None, node.module
        assert found.origin is not None
        known = set(bound(Path(found.origin)))
        below = found.submodule_search_locations is not None
        missing += [
            f"{node.lineno}: {node.module}.{one.name}"
            for one in node.names
            if one.name not in known and not (below and find_spec(f"{node.module}.{one.name}"))
        ]
    assert not missing
