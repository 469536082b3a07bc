"""Messages for callers from Python: the keyword of a function where they name the command's option.

What a caller gave in place of a path or of settings is told too, by the name of the argument.

Messages are written once, in the words of the commands. Here they are put into those of `sweep.run`
and its like, for whatever of them raises, warns or says something.
"""

from __future__ import annotations

import inspect
import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from os import PathLike
from typing import Any, ParamSpec, TypeVar

from sweep.spec.settings.trial_settings import TrialSettings
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

PATHS = ("folder", "results", "images", "output")
SOURCES = ("source", "spec", "config")
"""Arguments that must be settings, in whatever form."""
MAPPINGS = {
    "overrides": 'a mapping, such as {"trainer.epochs": 5}',
    "extend": 'a mapping, such as {"trials": "+20"}',
    "parameters": 'a mapping, such as {"optimizer.lr": 0.1}',
}
"""Arguments that must be mappings, with an example of each."""

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
    """The function with its errors in the words of Python. Raises `TypeError` for an argument that
    is no path, settings or mapping where it must be one."""
    parameters = inspect.signature(function).parameters

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        for name, value in {**dict(zip(parameters, args, strict=False)), **kwargs}.items():
            if name in parameters and value is not parameters[name].default:
                _require_kind(name, value)
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


def _require_kind(name: str, value: Any) -> None:
    """Raise `TypeError` for an argument of a wrong kind, with what would be right."""
    if name in PATHS:
        wanted, is_right = "a path", isinstance(value, str | PathLike)
    elif name in MAPPINGS:
        listed = isinstance(value, list | tuple) and name == "overrides"
        wanted, is_right = MAPPINGS[name], listed or isinstance(value, Mapping)
    elif name in SOURCES:
        wanted = "a YAML file, a mapping of what one would hold, or loaded settings"
        is_right = isinstance(value, str | PathLike | Mapping | TrialSettings)
        trained = name == "config"
        if hasattr(type(value), "spec"):  # results, which are a mapping too
            wanted += f", such as its `{'best.config' if trained else 'spec'}`"
            is_right = False
        elif hasattr(type(value), "config") and trained:
            wanted += ", such as its `config`"
    else:
        return
    if not is_right:
        raise TypeError(f"`{name}` must be {wanted}, but is a {type(value).__name__}")


def _mistake(of_command: Mistake) -> Mistake:
    key, file = in_python(of_command.key).strip("`"), of_command.file
    for option in ("set", "extend"):  # its place is the argument itself
        if file.startswith(f"--{option} "):
            file = f"{KEYWORDS[option]} {file.partition(' ')[2]}"
    return replace(of_command, message=in_python(of_command.message), key=key, file=file)
