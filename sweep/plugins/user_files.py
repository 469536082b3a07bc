"""Files of users as modules.

`multiprocessing` names a class by its module, and a process that is not forked (``spawn``,
``forkserver``) imports it by that name. So the modules lie below this one, whose import lets Python
find them: in the folders of the import path, which such a process gets from its parent.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
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
    text = path.read_bytes()
    name = _name(path, text)
    with suppress(OSError):  # without it, an edit meanwhile is told
        _keep(name, text)
    return importlib.import_module(name)


def _name(path: Path, text: bytes) -> str:
    # By content: a worker that outlives an edit of the file trains with what stands in it now.
    digest = hashlib.sha256(bytes(path) + text).hexdigest()[:12]
    return f"{BELOW}{_stem(path)}_{digest}"


def _kept(name: str) -> Path:
    """The copy of a file's text that processes import which it starts after an edit of the file."""
    from sweep.machine.machine_cache import default_cache

    return default_cache() / "own_files" / f"{name.removeprefix(BELOW)}.py"


def _keep(name: str, text: bytes) -> None:
    kept = _kept(name)
    if kept.exists():
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_name(f"{kept.name}.{os.getpid()}")
    partial.write_bytes(text)
    partial.replace(kept)


def _stem(path: Path) -> str:
    return re.sub(r"\W", "_", path.stem)


class _FromText(SourceFileLoader):
    """Runs the text of a file, never its bytecode, which is also that of an earlier text of the
    same size and second.

    Args:
        text: what is run; None: what stands in the file.
    """

    def __init__(self, name: str, path: str, text: bytes | None = None) -> None:
        super().__init__(name, path)
        self._text = text

    def get_data(self, path: str) -> bytes:
        return super().get_data(path) if self._text is None else self._text

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
    """Finds the file of a module by its name, in this process and in others."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(BELOW):
            return None
        stem, kept = fullname.removeprefix(BELOW).rpartition("_")[0], None
        with suppress(OSError):
            kept = _kept(fullname).read_bytes()
        there = (file for folder in sys.path for file in Path(folder).glob("*.py"))
        for file in (file.resolve() for file in there if _stem(file) == stem):
            for text in (kept, file.read_bytes()):
                if text is not None and _name(file, text) == fullname:
                    loader = _FromText(fullname, str(file), text)
                    return importlib.util.spec_from_file_location(fullname, loader=loader)
        raise ModuleNotFoundError(
            f"{stem}.py was edited, moved or deleted after the process that needs it began, and its"
            " text of then was not kept",
            name=fullname,
        )


sys.meta_path.append(_InImportPath())
