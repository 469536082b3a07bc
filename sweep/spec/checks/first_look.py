"""A first look at data and trainer, before a pixel is read or anything is trained."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from sweep.spec.checks.inactive_settings import Rule
from sweep.vocabulary.errors import Mistake


class FirstLook:
    """What names, plans and headers show. This base class has only the mistakes that it is given.

    A subclass opens a folder once and answers all later questions from what it saw.

    Args:
        mistakes: mistakes of the settings have a key, mistakes of a dataset have its file.
    """

    def __init__(self, mistakes: Iterable[Mistake] = ()) -> None:
        self.mistakes = list(mistakes)

    def doubts(self) -> list[Mistake]:
        """Warnings, if there is no mistake."""
        return []

    def idle(self, searched: Container[str]) -> Iterator[Rule]:
        """Rules for settings without effect, in addition to `RULES`; none if the data have
        mistakes.

        Args:
            searched: dotted names of the searched settings.
        """
        yield from ()
