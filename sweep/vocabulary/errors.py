"""Every error that the package raises on purpose.

SweepError
├── InputError          the user's input is wrong: all mistakes at once, exit code 2
├── ResultsError        a results folder exists already, is in use, or is not one: exit code 2
├── TrainerError        a user's own trainer returned an unusable value: exit code 2
├── NotApplied          the trainer uses other values than the configuration: exit code 1
└── SweepFailed         the sweep itself failed, nothing can be ranked: exit code 1
    └── StorageFailed   results cannot be written, or not be read back: exit code 1
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any


def one_line(text: str) -> str:
    """``text`` with invisible characters as escapes, so that no file name colours the screen."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class SweepError(Exception):
    """Base of all errors of this package; its text is meant for the user.

    >>> import sweep
    >>> issubclass(sweep.SweepFailed, sweep.SweepError)
    True
    """

    exit_code = 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as it is: Python would make it anew from its text, whatever its class takes."""
        return type(self).__new__, (type(self), *self.args), vars(self)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in the user's input, with its place.

    Args:
        message: what is wrong and what would be right, one sentence.
        key: dotted key (``loss.warmup_epochs``), or ``""`` for the whole file.
        file: the file as the user named it, or ``""`` if it came from the command line.
        line: 1-based line in ``file``, or None if no single line is wrong.
        kind: name of a group of mistakes with different messages (`gathered`); ``""``: none.
        node: the one of several machines that reports it.
    """

    message: str
    key: str = ""
    file: str = ""
    line: int | None = None
    kind: str = ""
    node: str = ""

    def on(self, node: str) -> Mistake:
        """The same mistake, attributed to one of several machines."""
        return replace(self, node=node)

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        message = f"{self.message} (on node {self.node})" if self.node else self.message
        return one_line(": ".join(part for part in (place, self.key, message) if part))


def gathered(mistakes: Iterable[Mistake]) -> list[Mistake]:
    """Merge mistakes that many files or nodes share: the first one, with a count."""
    kinds: dict[tuple[object, ...], list[Mistake]] = {}
    for one in mistakes:
        shared = one.kind or (one.message if one.node else "")
        kind = (shared, one.key) if shared else (len(kinds), one)
        kinds.setdefault(kind, []).append(one)
    return [_with_count(alike) for alike in kinds.values()]


def _with_count(alike: Sequence[Mistake]) -> Mistake:
    first = alike[0]
    for what, names in (
        ("file", {one.file: PurePath(one.file).name for one in alike}),
        ("node", {one.node: one.node for one in alike}),
    ):
        others = [name for name in names if name != getattr(first, what)]
        if others:
            more = f"{len(others)} more {what}{'s' * (len(others) > 1)}"
            such = f", such as {names[others[0]]}" if len(others) > 1 else f", {names[others[0]]}"
            first = replace(first, message=f"{first.message}; the same of {more}{such}")
    return first


class InputError(SweepError):
    """The user's input is wrong; has every mistake found, not only the first.

    Its text names a mistake that several files share only once (`gathered`).

    >>> import sweep
    >>> try:
    ...     sweep.load({"name": "toy", "trails": 5, "space": {"seed": {"choice": [0, 1]}}})
    ... except sweep.InputError as error:
    ...     print(error.mistakes[0].key)
    trails
    """

    exit_code = 2

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        if not mistakes:
            raise ValueError("an InputError needs at least one mistake")
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, gathered(mistakes))))

    @classmethod
    def single(
        cls, message: str, *, key: str = "", file: str = "", line: int | None = None
    ) -> InputError:
        """The common case of one mistake."""
        return cls([Mistake(message, key=key, file=file, line=line)])


@contextmanager
def gathering(mistakes: list[Mistake]) -> Iterator[None]:
    """Add the mistakes of an `InputError` to ``mistakes`` instead of raising it."""
    try:
        yield
    except InputError as error:
        mistakes += error.mistakes


class ResultsError(SweepError):
    """A results folder cannot be used as requested; the text says what to do instead.

    >>> import sweep
    >>> try:
    ...     sweep.open("results/no-such-sweep")
    ... except sweep.ResultsError as error:
    ...     print(error)
    results/no-such-sweep ...
    """

    exit_code = 2


class TrainerError(SweepError):
    """A user's own trainer returned an unusable value; names the method, the value, and what would
    be right.
    """

    exit_code = 2


class SweepFailed(SweepError):
    """The sweep ran but has nothing to rank, or could not continue.

    >>> import sweep
    >>> sweep.SweepFailed("the disk is full").exit_code
    1
    """

    exit_code = 1


class StorageFailed(SweepFailed):
    """A folder or an object store cannot be written, or not be read back.

    Of all errors in a trial only this one is not the fault of the trial: the next one would fail
    too.
    """


class NotApplied(SweepError):
    """The trainer's objects have other values than the configuration; names each of them.

    Args:
        differences: dotted key → (in the configuration, in the trainer).
    """

    def __init__(self, differences: Mapping[str, tuple[object, object]]) -> None:
        self.differences = dict(differences)
        super().__init__(
            "the trainer does not apply what was asked for: "
            + "; ".join(
                f"{key} is {asked!r} in the configuration but {found!r} in the trainer"
                for key, (asked, found) in differences.items()
            )
        )
