"""How every view writes numbers and statuses."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Mapping

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from sweep.analysis.report_words import status as status_words
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import Status

STYLES: Mapping[Status, str] = {
    Status.RUNNING: "cyan",
    Status.COMPLETED: "green",
    Status.EARLY_STOPPED: "green",
    Status.PRUNED: "yellow",
    Status.DIVERGED: "red",
    Status.FAILED: "bold red",
}


def make_console(*, stderr: bool = False) -> Console:
    """A console on stdout or stderr. If that is not a terminal, it is wide enough for a table.

    A notebook does not count as a terminal: it gets plain lines of text, which stay readable.
    """
    # Bound to the current stream: while Ray runs, other output goes to a file.
    stream = sys.stderr if stderr else sys.stdout
    console = Console(file=stream, emoji=False)  # `:x:` in a path is not an emoji
    if console.is_terminal and not console.is_jupyter:
        return console
    return Console(file=stream, width=160, force_terminal=False, force_jupyter=False, emoji=False)


TO_COPY = re.compile(r"(?<!\w)'[^'\n]+'(?!\w)|`[^`\n]+`")
"""What a user may copy, with spaces in it: a quoted path, a command."""


def print_sentence(console: Console, sentence: str | Text) -> None:
    """Print a sentence, on a terminal in lines of whole words. A file has no width: one line.

    No path and no quoted command is broken, however long: it stays in one line of the output,
    which a terminal may fold on its screen.
    """
    print_sentences(console, [sentence])


def print_sentences(console: Console, sentences: Iterable[str | Text]) -> None:
    """Print each as `print_sentence` does, all at once: of thousands, each call would cost."""
    lines = []
    for sentence in sentences:
        text = sentence if isinstance(sentence, Text) else Text(sentence)
        divided = text.divide(_breaks(text.plain, console.width)) if console.is_terminal else [text]
        for line in divided:
            line.rstrip()
            lines.append(line)
    if lines:
        console.print(Text("\n").join(lines), soft_wrap=True, highlight=False)


def _breaks(text: str, width: int) -> list[int]:
    """Where the lines of a text begin, but for the first."""
    whole = TO_COPY.sub(lambda found: "_" * len(found[0]), text)
    found, used = list[int](), 0
    for word in re.finditer(r"\S+\s*", whole):
        length = cell_len(text[word.start() : word.end()])
        if used and used + length - (len(word[0]) - len(word[0].rstrip())) > width:
            found.append(word.start())
            used = 0
        used += length
    return found


def print_line(console: Console, line: str) -> None:
    """Print a line as it is: whole, without colours or marks of its own."""
    console.print(line, soft_wrap=True, highlight=False, markup=False)


def print_warnings(warnings: Iterable[str], console: Console | None = None) -> None:
    """Print to stderr, as by `print_sentence`.

    Args:
        console: print there instead, for example while stderr goes to a file.
    """
    console = console or make_console(stderr=True)
    for warning in warnings:
        print_sentence(console, Text.assemble(("warning: ", "yellow"), warning))


def dashboard_words(address: str, host: str, *, asks_for_token: bool) -> str:
    """The address of Ray's dashboard and how to log in.

    Args:
        address: HOST:PORT, as seen from this machine.
        host: name of this machine.
        asks_for_token: whether Ray authenticates users.
    """
    _, _, port = address.rpartition(":")
    token = "its token: cat ~/.ray/auth_token; " if asks_for_token else ""
    return f"Dashboard: http://{address}  ({token}over ssh: ssh -L {port}:{address} {host})"


def count_words(
    counts: Mapping[Status, int],
    width: int | None = None,
    *,
    running: str = "running",
    waiting: int = 0,
) -> Text:
    """``3 running · 5 completed · 2 pruned · …``; zero counts are dimmed.

    Args:
        counts: number of trials in each status.
        width: number of columns; if they are too few, zero counts are left out, and no count is
            broken.
        running: word for unfinished trials.
        waiting: number of unfinished trials without a worker, which ``counts`` does not include.
    """
    dot = Text(" · ")
    parts = {}
    for status, count in counts.items():
        word = running if status is Status.RUNNING else status_words(status)
        parts[status] = Text(f"{count} {word}", style=STYLES[status] if count else "dim")
    if waiting:
        part = Text(f"{waiting} waiting", style=STYLES[Status.RUNNING])
        parts[Status.RUNNING] = dot.join([parts[Status.RUNNING], part])
    every = dot.join(parts.values())
    if width is None or every.cell_len <= width:
        return every
    shown = [s for s, count in counts.items() if count or (waiting and s is Status.RUNNING)]
    lines = [Text()]
    for part in (parts[status] for status in shown or counts):
        if lines[-1] and lines[-1].cell_len + dot.cell_len + part.cell_len > width:
            lines.append(Text())
        lines[-1] = dot.join([lines[-1], part]) if lines[-1] else part
    return Text("\n").join(lines)


def value_words(value: float | None, objective: Objective) -> str:
    """A value of the objective, or a dash for None."""
    return "–" if value is None else objective.text(value)


def duration_words(seconds: float) -> str:
    """``42 s``, ``3 min 05 s``, ``2 h 07 min``, ``3 d 04 h``."""
    if not math.isfinite(seconds):
        return "∞"
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    if days:
        return f"{days} d {h:02d} h"
    if hours:
        return f"{hours} h {m:02d} min"
    if minutes:
        return f"{minutes} min {s:02d} s"
    return f"{s} s"
