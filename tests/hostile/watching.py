"""What a command answers, and everything that it does to the world outside of it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
OUTSIDE = re.compile(
    r"os\.(mkdir|rename|remove|rmdir|link|symlink|truncate|chmod|system|exec|posix_spawn|fork)"
    r"|subprocess\.Popen|socket\.(connect|bind)|shutil\..*|pickle\.find_class"
)
"""Python's audit events (docs.python.org/3/library/audit_events.html) that change something."""
PRINTABLE = re.compile(r"[^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]*")


class Watch:
    """What this process does to the world outside of it: Python tells every such act to a hook."""

    def __init__(self) -> None:
        self.acts: list[str] | None = None
        sys.addaudithook(self._hear)  # for good; it listens only while `acts` is a list

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.acts is None:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & WRITING:
                self.acts.append(f"writes {path}")
        elif OUTSIDE.fullmatch(event) and arguments[0] != "nvidia-smi":  # asked for the GPUs
            self.acts.append(f"{event} {arguments}")

    @contextmanager
    def listening(self) -> Iterator[list[str]]:
        self.acts = acts = []
        try:
            yield acts
        finally:
            self.acts = None


WATCH = Watch()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a user gets.

    Args:
        code: exit code.
        stdout, stderr: what was printed.
        acts: files written, programs started and the like.
    """

    code: int
    stdout: str
    stderr: str
    acts: list[str]

    def must_be_sound(self) -> None:
        """The law: done or refused in words, and nothing else happened."""
        assert self.code in (0, 2)
        assert "Traceback" not in self.stderr
        assert PRINTABLE.fullmatch(self.stdout)
        assert PRINTABLE.fullmatch(self.stderr)
        assert (self.stdout == "") == (self.code == 2)
        assert self.code == 0 or re.match("errors?:", self.stderr)

    @property
    def mistakes(self) -> list[str]:
        """The lines of a refusal."""
        if self.code == 0:
            return []
        return self.stderr.removeprefix("error: ").removeprefix("errors:\n").splitlines()


Ask = Callable[..., Answer]


def files_under(folder: Path) -> dict[Path, tuple[int, int]]:
    """Every file and folder with its size and time of change; links are not followed."""
    states = {path: path.lstat() for path in folder.rglob("*")}
    return {path: (state.st_size, state.st_mtime_ns) for path, state in states.items()}
