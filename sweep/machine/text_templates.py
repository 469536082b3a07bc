"""Plain texts from templates, such as scripts and settings files. Nothing is escaped."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import jinja2


@cache
def text_template(file: Path, **functions: Callable[..., str]) -> jinja2.Template:
    """The template in a file.

    Args:
        file: its name ends in ``.j2``.
        functions: what it can call, by name.
    """
    environment = jinja2.Environment(
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(file.read_text(encoding="utf-8"), globals=functions)
