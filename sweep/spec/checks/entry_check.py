"""Find mistakes in a setting that names a user's class or function, from the source text alone."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from sweep.spec.words.phrases import did_you_mean, near_miss
from sweep.vocabulary.errors import Mistake


def entry_mistakes(entry: str, key: str) -> Iterator[Mistake]:
    """Missing files, packages or classes, found in the source: an import would run it.

    Args:
        entry: as of `sweep.plugins.entry_names.as_entry`.
        key: dotted name of the setting.
    """
    where, _, name = entry.rpartition(":")
    if where.endswith(".py"):
        if not Path(where).is_file():
            yield Mistake(f"{where} is no file", key=key)
            return
        yield from _source_mistakes(Path(where), name, key)
    elif find_spec(package := where.partition(".")[0]) is None:
        yield Mistake(f"the package {package} is not installed", key=key)
    elif (source := _source_of(where)) is not None:  # else compiled: only its import can show
        yield from _source_mistakes(source, name, key)


def _source_of(module: str) -> Path | None:
    """The file of a module, found without importing its packages; None if it has no source."""
    *packages, last = module.split(".")
    found = find_spec(packages[0] if packages else last)
    if not packages:
        origin = found.origin if found else None
        return Path(origin) if origin and origin.endswith(".py") else None
    folders = [Path(place) for place in (found.submodule_search_locations or () if found else ())]
    below = [folder.joinpath(*packages[1:], last) for folder in folders]
    files = [file for path in below for file in (path.with_suffix(".py"), path / "__init__.py")]
    return next((file for file in files if file.is_file()), None)


def _source_mistakes(source: Path, name: str, key: str) -> Iterator[Mistake]:
    try:
        tree = ast.parse(source.read_bytes(), str(source))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        message = getattr(error, "msg", str(error))
        yield Mistake(f"is not Python: {message}", file=str(source), line=line)
        return
    except OSError as error:
        yield Mistake(f"{source} cannot be read: {error.strerror}", key=key)
        return
    names = set(_bound(tree.body))
    if name not in names and "*" not in names:
        imports = (node for node in ast.walk(tree) if isinstance(node, ast.Import))
        modules = {(a.asname or a.name).partition(".")[0] for node in imports for a in node.names}
        found = sorted(names - modules)  # a module is none
        other_case = next((one for one in found if one.lower() == name.lower()), None)
        meant = did_you_mean(near_miss(name, found, 0.6) or other_case)
        yield Mistake(f"{source} has no `{name}`{meant}", key=key)


def _bound(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Names that the statements of a module bind; ``*`` if they may bind any name."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((one.asname or one.name).partition(".")[0] for one in node.names)
        for below in ast.walk(node):  # also in `if` and `try`
            if isinstance(below, ast.ClassDef | ast.FunctionDef):
                yield below.name
            elif isinstance(below, ast.alias):
                yield (below.asname or below.name).partition(".")[0]
            elif isinstance(below, ast.Name) and isinstance(below.ctx, ast.Store):
                yield below.id
            elif isinstance(below, ast.Call) and getattr(below.func, "id", "") in DYNAMIC:
                yield "*"


DYNAMIC = ("globals", "exec", "setattr")
"""Calls that may bind any name of a module."""
