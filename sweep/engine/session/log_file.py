"""``sweep.log``: what the screen tells in one line stands there in full."""

from __future__ import annotations

import traceback
from contextlib import suppress
from datetime import datetime
from pathlib import Path


def note(log: Path, error: BaseException) -> None:
    """Add an exception with its traceback; without effect where the file cannot be written."""
    text = "".join(traceback.format_exception(error))
    when = datetime.now().astimezone().isoformat(timespec="seconds")
    with suppress(OSError), log.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{when}\n{text}")
