"""What ``trainer.entry`` names: a class or a function in a user's own file or module.

Naming one in a sweep file runs that file, as every command does that trains; `sweep.check` and
`sweep.rank` never do.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import cast

from sweep.errors import InputError
from sweep.record import last_line
from sweep.spec.settings import TrialSettings
from sweep.spec.wording import did_you_mean, near_miss
from sweep.trainer.protocol import Run

NEEDED = tuple(name for name in vars(Run) if not name.startswith("_"))
"""The methods without which a class is no run."""

Maker = Callable[[TrialSettings], Run]
"""A class of runs."""


def load_entry(entry: str) -> Maker | FunctionType:
    """The class, or the function, that ``trainer.entry`` names; importing its module runs it.

    Raises:
        InputError: there is none, its module cannot be imported, it is no `Run` or no function of
            (config, trial).
    """
    where, _, name = entry.rpartition(":")
    try:
        module = (
            _from_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
        )
    except (Exception, SystemExit) as error:  # whatever a user's module raises
        raise _wrong(f"{where} cannot be imported: {last_line(error)}") from error
    found = getattr(module, name, None)
    if inspect.isfunction(found):
        return _function(found, name)
    if not inspect.isclass(found):
        known = [n for n, v in vars(module).items() if inspect.isclass(v) or inspect.isfunction(v)]
        hint = did_you_mean(near_miss(name, known))
        raise _wrong(f"{where} has no class and no function `{name}`{hint}")
    missing = [method for method in NEEDED if not callable(getattr(found, method, None))]
    missing += sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        raise _wrong(
            f"`{name}` lacks {', '.join(f'`{method}`' for method in missing)}; see docs/trainers.md"
        )
    return cast(Maker, found)


def _function(found: FunctionType, name: str) -> FunctionType:
    """A function that can be called with (config, trial) and trains when it is called."""
    if inspect.iscoroutinefunction(found) or inspect.isgeneratorfunction(found):
        raise _wrong(f"`{name}` must be a plain function: no `async def`, and without `yield`")
    try:
        inspect.signature(found).bind({}, None)
    except TypeError as error:
        raise _wrong(f"`{name}` must take (config, trial): {error}") from error
    return found


def entry_of(found: type | FunctionType) -> str:
    """Where a class or function really comes from, as ``trainer.entry`` names it."""
    file = getattr(sys.modules[found.__module__], _FILE, None)
    return f"{file or found.__module__}:{found.__qualname__}"


_FILE = "__sweep_entry__"
"""Marks a module that was imported because a sweep names its file."""


def _from_file(path: Path) -> ModuleType:
    path = path.resolve()
    # By content: a worker that outlives an edit of the file trains with what stands in it now.
    digest = hashlib.sha256(bytes(path) + path.read_bytes()).hexdigest()[:12]
    name = f"sweep_custom_{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # what it imports may lie beside it
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    setattr(module, _FILE, str(path))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _wrong(message: str) -> InputError:
    return InputError.single(message, key="trainer.entry")
