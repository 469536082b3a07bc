"""Phrases of messages: what must be, what is, what was likely meant."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from sweep.spec.words.synonyms import is_another, value_for
from sweep.vocabulary.errors import one_line


def counted(count: int, noun: str) -> str:
    """``1 trial``, ``2 trials``."""
    return f"{count} {plural(count, noun)}"


def plural(count: int, noun: str) -> str:
    """The noun as it stands after a count."""
    return noun if count == 1 else f"{noun}s"


def near_miss(word: str, names: Iterable[str], likeness: float = 0.6) -> str | None:
    """The name most similar to ``word``, if any is similar enough (0: not at all, 1: the same)."""
    known = {name.lower(): name for name in names}
    close = difflib.get_close_matches(word.lower(), known, n=1, cutoff=likeness)
    return known[close[0]] if close else None


def did_you_mean(name: str | None) -> str:
    """The end of a message that proposes ``name``; empty for None."""
    return f"; did you mean `{name}`?" if name else ""


def one_of(names: Sequence[str]) -> str:
    """``a``, ``b`` or ``c``, as a text with backticks."""
    ticked = [f"`{name}`" for name in names]
    return " or ".join(part for part in (", ".join(ticked[:-1]), ticked[-1]) if part)


def must_be(requirement: str, value: Any, names: Iterable[str] = ()) -> str:
    """``must be …, but is …``, with the likely one among ``names``."""
    hint = did_you_mean(meant_among(value, list(names))) if isinstance(value, str) else ""
    return f"must be {requirement}, but is {shown(value)}{hint}"


def at_most(limit: int, what: str, value: int | str) -> str:
    """``must be at most 8, the CPU cores of this machine, but is 16``."""
    return f"must be at most {limit}, {what}, but is {value}"


def shown(value: Any, limit: int = 60) -> str:
    """A value as a user would write it, on one short line."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return printable(text, limit)


def quoted(name: str) -> str:
    """A name in backticks, on one short line."""
    return f"`{printable(name)}`"


def printable(text: str, limit: int = 60) -> str:
    """``text`` cut to ``limit`` characters, with control characters written out."""
    return one_line(text if len(text) <= limit else text[:limit] + "…")


def no_character(text: str) -> str | None:
    """What of a text no file can hold, in words; None if it is text. Python has such a text of a
    command line that is not UTF-8."""
    if not any("\ud800" <= character <= "\udfff" for character in text):
        return None
    return f"{shown(text)} has half of a surrogate pair, which is not a character"


def meant_among(value: str, names: Sequence[str]) -> str | None:
    """The name that ``value`` means, which may be a name of another tool or a misspelling."""
    meant = value_for(value, names)
    if meant or is_another(value):
        return meant
    return begun_with(value, names) or near_miss(value, names, 0.7)


def begun_with(word: str, names: Sequence[str]) -> str | None:
    """The only name that begins with ``word``, if that has at least four letters."""
    found = [name for name in names if name.startswith(word.lower())]
    return found[0] if len(found) == 1 and len(word) >= 4 else None
