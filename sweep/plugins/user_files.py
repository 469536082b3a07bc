"""Files of users as modules.

`multiprocessing` names a class by its module, and a process that is not forked (``spawn``,
``forkserver``) imports it by that name. So the modules lie below this one, whose import lets Python
find them: in the folders of the import path, which such a process gets from its parent.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path
from types import ModuleType
from typing import NoReturn

__path__: Sequence[str] = ()  # makes this a package, without files of its own

BELOW = f"{__name__}."
"""The name of a user's file as a module begins with this."""

FILE_MARK = "__sweep_entry__"
"""Attribute of such a module: the path of its file."""


@contextmanager
def without_arguments() -> Iterator[None]:
    """Code of users that asks for the arguments of its command line gets none: not ours.

    They are back once the last such call has ended. Functions that train side by side in a process
    begin and end in any order.
    """
    _hidden.append(sys.argv[1:])
    del sys.argv[1:]
    try:
        yield
    finally:
        sys.argv[1:] = _hidden.pop()


_hidden: list[list[str]] = []
"""Arguments that each open call of `without_arguments` has found; those of our command first."""


def module_of_file(path: Path) -> ModuleType:
    """The module of a file, which is run if it has not been since it was last changed."""
    path = path.resolve()
    beside = str(path.parent)
    if beside not in sys.path:  # also undone after each trial
        sys.path.append(beside)  # what it imports may lie beside it
    sys.path_importer_cache[beside] = _TextFinder(beside)
    name = _name(path)
    if name in sys.modules:
        return sys.modules[name]
    spec = _spec(name, path)
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _name(path: Path) -> str:
    # By content: a worker that outlives an edit of the file trains with what stands in it now.
    digest = hashlib.sha256(bytes(path) + path.read_bytes()).hexdigest()[:12]
    return f"{BELOW}{_stem(path)}_{digest}"


def _stem(path: Path) -> str:
    return re.sub(r"\W", "_", path.stem)


def _spec(name: str, path: Path) -> ModuleSpec:
    loader = _FromText(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    return spec


class _FromText(SourceFileLoader):
    """Runs the text of a file, never its bytecode, which is also that of an earlier text of the
    same size and second."""

    def path_stats(self, path: str) -> NoReturn:
        raise OSError(path)  # by which a loader says that it knows no bytecode

    def exec_module(self, module: ModuleType) -> None:
        if module.__name__.startswith(BELOW):  # not a module beside it, which has its own name
            setattr(module, FILE_MARK, self.path)
        super().exec_module(module)


class _TextFinder(FileFinder):
    """Finds the modules of a folder, and of the packages there, as Python does, but `_FromText`."""

    def __init__(self, folder: str) -> None:
        super().__init__(
            folder,
            (ExtensionFileLoader, EXTENSION_SUFFIXES),
            (_FromText, SOURCE_SUFFIXES),
            (SourcelessFileLoader, BYTECODE_SUFFIXES),
        )

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
        found = super().find_spec(fullname, target)
        for folder in (found and found.submodule_search_locations) or ():
            sys.path_importer_cache[folder] = _TextFinder(folder)
        return found


class _InImportPath(MetaPathFinder):
    """Finds the file of a module by the name that it has got in another process."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(BELOW):
            return None
        stem = fullname.removeprefix(BELOW).rpartition("_")[0]
        for file in (file for folder in sys.path for file in Path(folder).glob("*.py")):
            if _stem(file) == stem and _name(resolved := file.resolve()) == fullname:
                return _spec(fullname, resolved)
        return None


sys.meta_path.append(_InImportPath())
