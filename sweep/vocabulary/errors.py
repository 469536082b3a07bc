"""Every error that the package raises on purpose.

SweepError
├── InputError          the user's input is wrong: all mistakes at once, exit code 2
├── ResultsError        a results folder exists already, is in use, or is not one: exit code 2
├── TrainerError        a user's own trainer returned what cannot be used: exit code 2
├── NotApplied          the trainer works with other values than were asked for: exit code 1
└── SweepFailed         the sweep itself failed, nothing can be ranked: exit code 1
    └── StorageFailed   what a sweep writes cannot be written, or not be read back: exit code 1
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePath


def one_line(text: str) -> str:
    """``text`` with what is no visible character written out: no file names its own colours."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class SweepError(Exception):
    """Base of all errors of this package; its text is meant for the user.

    >>> import sweep
    >>> issubclass(sweep.SweepFailed, sweep.SweepError)
    True
    """

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong in the user's input, with the place where it stands.

    Args:
        message: what is wrong and what would be right, one sentence.
        key: dotted key (``loss.warmup_epochs``), or ``""`` for the whole file.
        file: the file as the user named it, or ``""`` when it came from the command line.
        line: 1-based line in ``file``, or None where no single line is to blame.
        kind: what it shares with mistakes in other words (`gathered`); ``""``: nothing.
        node: the one of several machines that tells it.
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
    """The user's input is wrong; carries every mistake found, not only the first.

    Its text tells once what several files have in common (`gathered`).

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
    """Adds the mistakes of an `InputError` to ``mistakes`` and goes on."""
    try:
        yield
    except InputError as error:
        mistakes += error.mistakes


class ResultsError(SweepError):
    """A results folder cannot be used as asked; the text says what to do instead.

    >>> import sweep
    >>> try:
    ...     sweep.open("results/no-such-sweep")
    ... except sweep.ResultsError as error:
    ...     print(error)
    results/no-such-sweep ...
    """

    exit_code = 2


class TrainerError(SweepError):
    """A user's own trainer returned what cannot be used; says which method, what, and what would
    be right.
    """

    exit_code = 2


class SweepFailed(SweepError):
    """The sweep ran but produced nothing that can be ranked, or could not go on.

    >>> import sweep
    >>> sweep.SweepFailed("the disk is full").exit_code
    1
    """

    exit_code = 1


class StorageFailed(SweepFailed):
    """A folder or an object store does not take what is written, or give it back.

    Alone of all that a trial may raise this is neither its configuration's fault nor its own: the
    next trial would fare no better.
    """


class NotApplied(SweepError):
    """The trainer's own objects hold other values than were asked for; names each of them.

    Args:
        differences: dotted key → (asked for, found).
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
