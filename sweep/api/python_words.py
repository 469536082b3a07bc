"""Messages for callers from Python: the keyword of a function where they name the command's option.

Messages are written once, in the words of the commands. Here they are put into those of `sweep.run`
and its like, for whatever of them raises, warns or says something.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import ParamSpec, TypeVar

from sweep.vocabulary.errors import InputError, Mistake, SweepError

P = ParamSpec("P")
R = TypeVar("R")

KEYWORDS = {
    "address": "address",
    "all-cases": "all_cases=True",
    "continue": "resume=True",
    "dashboard": "dashboard=True",
    "device": "device",
    "extend": "extend",
    "labels": "labels",
    "local": 'executor="local"',
    "name": "name",
    "output": "output",
    "overwrite": "overwrite=True",
    "results": "results",
    "resume": "resume=True",
    "set": "overrides",
    "single": "single=True",
    "track": "track",
    "tta": "tta=True",
    "verbose": "verbose=True",
}
"""Option of a command → the keyword that does the same."""

QUOTED = r"""'[^']*'|"[^"\\]*\""""
OVERRIDE = rf"--set (?:{QUOTED}|[^\s`,;)'\"\\])+"
START, END = r"(?<![\w./\\-])", r"(?![\w/\\-])"  # an option is no part of a path
WITH_VALUES = re.compile(
    rf"{START}`?(?:(?P<set>{OVERRIDE}(?: {OVERRIDE})*)"
    r"|--extend (?P<more>\w+)=(?P<much>\S+?)"
    r"|--(?P<option>address|results|name) (?P<value>auto|[A-Z]+))(?=[`.,;:)]*(?:\s|$))`?"
)
ALONE = re.compile(rf"{START}`?(?:sweep\.run … )?--({'|'.join(KEYWORDS)}){END}`?")


def in_python(text: str) -> str:
    """A message of a command in the words of Python.

    >>> in_python("resume it with --resume, choose another `name:` (or --set name=...)")
    'resume it with `resume=True`, choose another `name:` (or `overrides=["name=..."]`)'
    """
    return ALONE.sub(lambda found: f"`{KEYWORDS[found[1]]}`", WITH_VALUES.sub(_with_value, text))


def _with_value(found: re.Match[str]) -> str:
    if found["more"]:
        return f'`extend={{"{found["more"]}": "{found["much"]}"}}`'
    if found["option"]:
        return f'`{found["option"]}="{found["value"]}"`'
    words = [word for word in shlex.split(found["set"]) if word != "--set"]
    return f"`overrides={json.dumps(words)}`"


def for_python(function: Callable[P, R]) -> Callable[P, R]:
    """The function with its errors in the words of Python."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except SweepError as error:
            if isinstance(error, InputError):
                error.mistakes = tuple(map(_mistake, error.mistakes))
                error.args = InputError(error.mistakes).args
            else:
                error.args = tuple(map(in_python, error.args))
            raise

    return called


def _mistake(of_command: Mistake) -> Mistake:
    key, file = in_python(of_command.key).strip("`"), of_command.file
    for option in ("set", "extend"):  # its place is the argument itself
        if file.startswith(f"--{option} "):
            file = f"{KEYWORDS[option]} {file.partition(' ')[2]}"
    return replace(of_command, message=in_python(of_command.message), key=key, file=file)
