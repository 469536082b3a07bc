"""Read JSON files of users: syntax errors with their line, and repeated keys."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sweep.vocabulary.errors import InputError, Mistake


def read_json(file: Path, absent: str = "is missing") -> Any:
    """The content of a JSON file.

    Args:
        absent: message for a missing file.

    Raises:
        InputError: it is missing, or is not JSON in UTF-8.
    """
    line = None
    try:
        return json.loads(_text(file))
    except FileNotFoundError:
        message = absent
    except json.JSONDecodeError as error:
        message, line = f"is not valid JSON: {error.msg} (column {error.colno})", error.lineno
    except (OSError, ValueError, RecursionError) as error:
        message = f"cannot be read as JSON in UTF-8: {error}"
    raise InputError.single(message, file=str(file), line=line)


def read_object(file: Path, absent: str = "is missing") -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        InputError: as `read_json`; also for JSON that is not an object.
    """
    found = read_json(file, absent)
    if isinstance(found, dict):
        return found
    message = f"must hold a JSON object, not a {type(found).__name__}"
    raise InputError.single(message, file=str(file))


def repeated_keys(file: Path) -> Iterator[Mistake]:
    """Keys that occur twice in an object of a JSON file, where only the last would count.

    The file must be readable by `read_json`.
    """
    text = _text(file)
    repeated: dict[str, None] = {}

    def note(pairs: list[tuple[str, Any]]) -> None:
        counts = Counter(key for key, _ in pairs)
        repeated.update({key: None for key, count in counts.items() if count > 1})

    json.loads(text, object_pairs_hook=note)
    for key in repeated:
        places = [one.start() for one in re.finditer(re.escape(json.dumps(key)) + r"\s*:", text)]
        yield Mistake(
            f"has the key `{key}` twice in one object; only the last would count: keep one",
            file=str(file),
            # If it occurs more often, some are in other objects.
            line=text.count("\n", 0, places[1]) + 1 if len(places) == 2 else None,
        )


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8-sig")
