"""Paths as people write them: ``~/data``, ``$SCRATCH/raw``, ``${nnUNet_raw}/Dataset502_Shapes``."""

from __future__ import annotations

import os.path
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

from pydantic import AfterValidator, Field

from sweep.vocabulary.errors import InputError

_URI = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://")
_URI_AS_PATH = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_VARIABLE = re.compile(r"\$(?:(?P<bare>[A-Za-z_]\w*)|\{(?P<braced>[^{}]*)\})", re.ASCII)


def expanded(path: str) -> str:
    """``path`` with its variables and its ``~`` replaced; a dollar in an existing path stays.

    Raises:
        ValueError: a variable is not set or empty, or there is no such home folder.
    """
    text = path if os.path.lexists(path) else _VARIABLE.sub(_value, path)
    home = os.path.expanduser(text)  # noqa: PTH111 (pathlib's raises where there is no home)
    if text.startswith("~") and home == text:
        raise ValueError(f"there is no home folder {text.partition('/')[0]!r}, in {path!r}")
    return home


def _value(found: re.Match[str]) -> str:
    name = found["bare"] or found["braced"] or ""
    value = os.environ.get(name)
    if not value:
        raise ValueError(f"the environment variable {name!r} is not set, in {found.string!r}")
    return value


def absolute(path: str) -> str:
    """As `expanded`, and absolute: a trial may run in another directory, or on another machine.

    Raises:
        ValueError: as `expanded`; also for a URI.
    """
    if uri := _URI.match(path):
        meant = path[uri.end() :] if uri["scheme"] == "file" else ""
        hint = f"; did you mean `{meant}`?" if meant.startswith("/") else ""
        raise ValueError(f"{path!r} is a URI: data must lie in a folder{hint}")
    return os.path.abspath(expanded(path))  # noqa: PTH100 (pathlib's keeps `..`)


Folder = Annotated[str, Field(min_length=1), AfterValidator(absolute)]
"""A setting that names a folder."""


def argument(path: str | Path, name: str) -> Path:
    """A path of the command line that the shell may not have expanded (``--results=~/x``).

    Raises:
        InputError: as `expanded`, also for a URI, under the argument's ``name``.
    """
    _refuse_uri(path, name, "must be a path on this machine, but is a URI")
    return Path(_expanded_argument(str(Path(path)), name))


def results_argument(results: str | Path, name: str = "RESULTS") -> str:
    """As `argument`, for a path or a URI, which is a text: a `Path` makes one slash of two.

    ``file://`` is read as the path: a folder can also append and lock.
    """
    if not isinstance(results, str):
        _refuse_uri(results, name, "is a URI: give it as a text, not as a Path")
    elif results.startswith("file://"):
        path = results.removeprefix("file://").removeprefix("localhost")
        if not path.startswith("/"):
            raise InputError.single(f"must be file:///… and a path, but is {results}", key=name)
        return unquote(path)
    elif "://" in results:
        return _expanded_argument(results, name)
    return str(argument(results, name))


def _refuse_uri(path: str | Path, name: str, words: str) -> None:
    if _URI_AS_PATH.match(str(path)) and not os.path.lexists(path):
        raise InputError.single(words, key=name)


def _expanded_argument(text: str, name: str) -> str:
    try:
        return expanded(text)
    except ValueError as error:
        raise InputError.single(str(error), key=name) from None


def not_there(path: Path) -> str:
    """Why ``path.exists()`` is false, as the end of a sentence on the path."""
    return "is a link that leads nowhere" if path.is_symlink() else "does not exist"


def whole_path(folder: Path) -> Path:
    """The path from the root, without ``..``, for a command that runs anywhere."""
    return Path(os.path.abspath(folder))  # noqa: PTH100  # `resolve` would follow links
