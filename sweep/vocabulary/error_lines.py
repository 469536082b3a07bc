"""An exception in one line, with its place in the user's own code. Standard library only."""

from __future__ import annotations

import re
import site
import sysconfig
import traceback
from functools import cache
from pathlib import Path

from sweep.vocabulary.errors import SweepError

_OF_ANOTHER = re.compile(
    r"\S+ Traceback \(most recent call last\):\n.*\n +[^\n]*\n(\S.*)", re.DOTALL
)
_OURS = Path(__file__).resolve().parents[1]


def last_line(error: BaseException) -> str:
    """The line that ends an exception's traceback: its type and the first line of its message.

    For our own errors only the message: it is a sentence for the user. Notes and empty lines at the
    beginning are left out. Of a message that is another exception's traceback, its last line.
    """
    if isinstance(error, SweepError) and (own := str(error).strip()):
        return own.splitlines()[0]
    formatted = traceback.TracebackException(type(error), error, None)
    formatted.__notes__ = None
    text = list(formatted.format_exception_only())[-1]
    if nested := _OF_ANOTHER.match(text):  # Ray Tune raises what it caught as a text
        text = nested[1]
    first, *rest = [line for line in map(str.strip, text.splitlines()) if line]
    # Only the type, if the message begins with a new line.
    return f"{first} {rest[0]}" if rest and re.fullmatch(r"[^\s:]+:", first) else first


def blamed(error: BaseException) -> str:
    """The last line of an exception's traceback, with the file and line of the user's code.

    ``ValueError: no cases, at searcher.py:12``. That is the last frame outside of this package,
    Python and installed packages: the call that the user can change. Of a file that cannot be
    parsed, it is the place of the mistake. Without any such frame, there is no place.
    """
    place = _place(error)
    return last_line(error) + (f", at {place}" if place else "")


def has_own_line(error: BaseException) -> bool:
    """Whether an exception comes from, or through, a line of the user's code: see `blamed`."""
    return bool(_place(error))


def _place(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename and is_users(error.filename):
        return f"{near(error.filename)}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if is_users(frame.filename)]
    return f"{near(own[-1].filename)}:{own[-1].lineno}" if own else ""


def is_users(file: str) -> bool:
    """Whether a file lies outside of this package, Python and installed packages."""
    path = Path(file).resolve()
    inside = any(path.is_relative_to(folder) for folder in (_OURS, *_installed()))
    # Some environments see the packages of another one, such as those of the system.
    installed = {"site-packages", "dist-packages"}.intersection(path.parts)
    return path.is_file() and not inside and not installed


@cache
def _installed() -> tuple[Path, ...]:
    """The folders of Python and of installed packages."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {*map(sysconfig.get_path, names), site.getusersitepackages()}
    return tuple(Path(folder).resolve() for folder in folders)


def near(file: str) -> str:
    """A path, relative to the working directory if it lies there. From the root all paths are."""
    path, here = Path(file).absolute(), Path.cwd()
    is_below = path.is_relative_to(here) and here != Path(here.anchor)
    return str(path.relative_to(here) if is_below else path)
