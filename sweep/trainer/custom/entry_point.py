"""Load ``trainer.entry``: a class or a function in a user's own file or module.

Every command that trains runs this file. `sweep.check` and `sweep.rank` never do.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from sweep.plugins.entry_names import module_of
from sweep.plugins.user_files import FILE_MARK
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.words.phrases import did_you_mean, near_miss
from sweep.trainer.custom.raised_errors import own_errors
from sweep.trainer.runs.returned_values import described
from sweep.trainer.runs.run_protocol import Run
from sweep.vocabulary.error_lines import last_line
from sweep.vocabulary.errors import InputError

NEEDED = tuple(name for name in vars(Run) if name in Run.__abstractmethods__)
"""The methods that every run has."""

Maker = Callable[[TrialSettings], Run]
"""A class of runs."""

Function = Callable[[Any, Any], object]
"""Of (config, trial)."""


def load_entry(entry: str) -> Maker | Function:
    """The class or function that ``trainer.entry`` names. Its module is imported, which runs it.

    Anything that can be called with (config, trial) is a function, also a `functools.partial`, a
    bound method or an object with ``__call__``.

    Raises:
        InputError: it does not exist, its module cannot be imported, or it is neither a `Run` nor a
            function of (config, trial).
    """
    where, _, name = entry.rpartition(":")
    try:
        with own_errors("it"):
            module = module_of(where)
    except (Exception, SystemExit) as error:  # whatever a user's module raises
        raise _wrong(f"{where} cannot be imported: {last_line(error)}") from error
    found = getattr(module, name, None)
    if not callable(found):
        if hasattr(module, name):
            hint = f": it is {described(found)}"
        else:
            members = vars(module).items()
            known = [n for n, v in members if inspect.isclass(v) or inspect.isfunction(v)]
            hint = did_you_mean(near_miss(name, known))
        raise _wrong(f"{where} has no class and no function `{name}`{hint}")
    _LOADED[canonical(entry)] = found
    if (why := _unfit(found)) is not None:
        raise _wrong(f"`{name}` {why}")
    given = ("settings",) if inspect.isclass(found) else ("config", "trial")
    try:
        inspect.signature(found).bind(*given)
    except TypeError as error:
        raise _wrong(f"`{name}` must take ({', '.join(given)}): {error}") from error
    except ValueError:  # it is written in C: only the call can show
        pass
    return cast(Maker | Function, found)


def _unfit(found: Any) -> str | None:
    """Why a class is not a `Run`, or a function does not train when it is called; a clause."""
    if inspect.isclass(found):
        missing = [method for method in NEEDED if not callable(getattr(found, method, None))]
        cure = "derive it from `sweep.CustomTraining`, see" if missing else "see"
        missing += sorted(getattr(found, "__abstractmethods__", ()))
        names = ", ".join(f"`{method}`" for method in missing)
        return f"lacks {names}; {cure} docs/how-to/own-trainer.md" if missing else None
    later = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    if any(kind(found) for kind in later):
        return "must be a plain function: no `async def`, and without `yield`"
    if hasattr(found, "cache_info"):
        return "keeps its results (lru_cache), which a trainer must not do: remove that"
    return None


_LOADED: dict[str, object] = {}
"""Entry → the object that it led to last. Its own name may be another."""


def canonical(entry: str) -> str:
    """An entry with the real path of its file."""
    where, _, name = entry.rpartition(":")
    return f"{Path(where).resolve()}:{name}" if where.endswith(".py") else entry


def entry_of(found: object, asked: str | None = None) -> str:
    """Where a class or function really comes from, in the form of ``trainer.entry``.

    Args:
        asked: an entry, which is returned if it has led to this very object.
    """
    if asked is not None and _LOADED.get(canonical(asked)) is found:
        return canonical(asked)
    named = found if hasattr(found, "__qualname__") else type(found)
    module = str(named.__module__)
    file = getattr(sys.modules.get(module), FILE_MARK, None)
    return f"{file or module}:{named.__qualname__}"


def _wrong(message: str) -> InputError:
    return InputError.single(message, key="trainer.entry")
