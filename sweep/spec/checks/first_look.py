"""What a look at data and trainer shows before a pixel is read and anything is trained."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from sweep.spec.checks.inactive_settings import Rule
from sweep.vocabulary.errors import Mistake


class FirstLook:
    """What names, plans and headers show; by itself only the mistakes that it is given.

    Whoever looks opens a folder once, and tells everything that is asked afterwards of what it saw.

    Args:
        mistakes: those of the settings have a key and no file, those of a dataset name its file.
    """

    def __init__(self, mistakes: Iterable[Mistake] = ()) -> None:
        self.mistakes = list(mistakes)

    def doubts(self) -> list[Mistake]:
        """What is allowed but hardly meant, where there is no mistake."""
        return []

    def idle(self, searched: Container[str]) -> Iterator[Rule]:
        """What is without effect, as rules beside those of the settings; nothing where it is wrong,
        which is told elsewhere.

        Args:
            searched: dotted names of the settings that are searched.
        """
        yield from ()
