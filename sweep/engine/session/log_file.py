"""``sweep.log``: full tracebacks of errors that the screen shows in one line."""

from __future__ import annotations

import traceback
from contextlib import suppress
from datetime import datetime
from pathlib import Path


def note(log: Path, error: BaseException) -> None:
    """Append an exception with its traceback. Does nothing if the file cannot be written."""
    text = "".join(traceback.format_exception(error))
    when = datetime.now().astimezone().isoformat(timespec="seconds")
    with suppress(OSError), log.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{when}\n{text}")
