"""Check the return values of a user's trainer: convert them to plain values, or report a mistake.

A user's trainer may return NumPy's scalars, or tensors on a GPU. They become Python's own numbers
here, once, before they are compared, recorded or sent. A message about a wrong value names the
file, the line and the method that returned it.
"""

from __future__ import annotations

import inspect
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from sweep.machine.codebase import PACKAGE
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.error_lines import near
from sweep.vocabulary.errors import TrainerError
from sweep.vocabulary.objective import TRAIN_LOSS, Objective

if TYPE_CHECKING:  # a command that looks at a function which needs no torch needs none either
    from torch import Tensor

ROUNDING = 1e-6
"""How far a Dice may lie outside [0, 1]: the rounding of sums of a million pixels in float32."""

NUMBERS = (
    "train_loss",
    "geometric_factor",
    "grad_norm",
    "learning_rate",
    "weight_norm",
    "scale",
    "seconds",
)
COUNTS = ("steps", "skipped_steps", "predicted_classes")
MAPPINGS = ("terms", "metrics")
"""Fields of `EpochMetrics` by what they hold."""

PLAIN = (bool, int, float, complex, str, bytes)
"""Types that a checkpoint holds besides tensors, None, and their dicts, lists, tuples and sets."""


@dataclass(frozen=True, slots=True)
class Method:
    """A user's method or function, whose return values are checked.

    Args:
        called: the method itself.
        whose: the class that the user named, if the method's own name is not enough.
        name: the user's name for it, if that may differ from its own.
    """

    called: Callable[..., Any]
    whose: type | None = None
    name: str = ""

    def __str__(self) -> str:
        """``mine.py:14: Mine.validate``; an inherited method of ours has the place of the class."""
        called = _written(self.called)
        name = self.name or getattr(called, "__qualname__", type(called).__qualname__)
        if self.whose is not None:
            name = f"{self.whose.__qualname__}.{name.rpartition('.')[2]}"
        name = name.rpartition("<locals>.")[2]
        code = getattr(called, "__code__", None)
        place = None if code is None else (code.co_filename, code.co_firstlineno)
        is_ours = place is not None and Path(place[0]).is_relative_to(PACKAGE)
        if self.whose is not None and (place is None or is_ours):
            with suppress(OSError, TypeError):  # unknown, as of a class that a call has made
                place = (
                    inspect.getsourcefile(self.whose) or "",
                    inspect.getsourcelines(self.whose)[1],
                )
        return name if place is None else f"{near(place[0])}:{place[1]}: {name}"

    def refuse(self, returned: object, right: str) -> NoReturn:
        """Raise `TrainerError`: the method returned this, but something else would be right."""
        self.fail(f"returned {described(returned)}, but {right}")

    def fail(self, what: str, cause: Exception | None = None) -> NoReturn:
        raise TrainerError(f"{self} {what}") from cause


def _written(called: Any) -> Any:
    """The function that a user wrote, in a partial, a method, a wrapper or an object."""
    while isinstance(called, partial):
        called = called.func
    called = inspect.unwrap(getattr(called, "__func__", called))
    by_class = inspect.getattr_static(type(called), "__call__", None)  # of an object
    return by_class if hasattr(by_class, "__code__") else called


def number(value: object) -> float:
    """A number of any library as Python's own.

    Python's, NumPy's and those of `decimal` and `fractions`; tensors and arrays of one element, on
    any device.

    Raises:
        TypeError: it is not one, such as a text, a truth value, or an array of several.
    """
    try:
        plain, shape = value, getattr(value, "shape", None)
        if shape is not None and callable(item := getattr(value, "item", None)):
            if math.prod(shape) != 1:
                raise TypeError("it has several elements, or none")
            plain = item()
        if isinstance(plain, bool) or not hasattr(type(plain), "__float__"):
            raise TypeError("it is of another kind")
        return float(plain)  # type: ignore[arg-type]
    except Exception as error:  # whatever an object's own method raises
        raise TypeError(f"{described(value)} is no single number of 64 bits") from error


def validation_dice(value: object, method: Method) -> float | None:
    """A validation Dice: a number in [0, 1], NaN, or None."""
    dice = _number(value, "a Dice", method)
    if dice is None or math.isnan(dice):
        return dice
    if not -ROUNDING <= dice <= 1 + ROUNDING:
        percent = f": {dice / 100:.6g}, if it is in percent" if 1 < dice <= 100 else ""
        method.fail(f"returned a Dice of {dice:.6g}, but it must lie in [0, 1]{percent}")
    return min(1.0, max(0.0, dice))


def measured(values: object, method: Method) -> dict[str, float | None]:
    """Numbers by name; None, and NaN, for one that was not measured."""
    if not isinstance(values, Mapping):
        method.fail(
            f"returned {described(values)} as metrics, but they must be numbers by name, such as"
            ' {"hd95": 3.2}'
        )
    if unnamed := [name for name in values if not isinstance(name, str)]:
        method.fail(f"names a metric {described(unnamed[0])}, but a name must be a text")
    for name in values:  # shown in tables, logs and files: one line, Unicode throughout
        if name.splitlines() != [name] or any("\ud800" <= c <= "\udfff" for c in name):
            method.fail(f"names a metric {name!r}, but a name must be one line of text")
    return {str(k): _number(v, f"the metric {k!r}", method) for k, v in values.items()}


def count(value: object, what: str, method: Method) -> int | None:
    """A whole number from 0; None is passed on."""
    found = _number(value, what, method)
    if found is None:
        return None
    if not (math.isfinite(found) and found >= 0 and found == int(found)):
        method.fail(f"returned {described(value)} as {what}, but it must be a number of things")
    return int(found)


def epoch_metrics(found: object, epoch: int, method: Method) -> EpochMetrics:
    """The metrics of an epoch, as plain values.

    Raises:
        TrainerError: they are of another type, or of another epoch.
    """
    if not isinstance(found, EpochMetrics):
        method.refuse(found, "must return sweep.EpochMetrics(epoch=epoch, val_dice=…)")
    if found.epoch != epoch:
        method.fail(f"returned metrics of epoch {found.epoch}, but they must be of epoch {epoch}")
    plain: dict[str, Any] = {name: getattr(found, name) for name in (*NUMBERS, *COUNTS, *MAPPINGS)}
    plain |= {name: _number(plain[name], f"`{name}`", method) for name in NUMBERS}
    plain |= {name: count(plain[name], f"`{name}`", method) for name in COUNTS}
    plain |= {name: measured(plain[name], method) for name in MAPPINGS}
    dice, trivial = (validation_dice(d, method) for d in (found.val_dice, found.trivial_dice))
    plain |= {"val_dice": dice, "trivial_dice": trivial}
    return replace(found, epoch=epoch, warnings=tuple(map(str, found.warnings)), **plain)


def with_train_loss(found: EpochMetrics, objective: Objective) -> EpochMetrics:
    """An epoch with its training loss among its metrics, if that is the objective."""
    is_asked = objective.metric == TRAIN_LOSS and TRAIN_LOSS not in found.metrics
    if not is_asked or found.train_loss is None:
        return found
    return replace(found, metrics={**found.metrics, TRAIN_LOSS: found.train_loss})


def state(found: object, method: Method) -> dict[str, Any]:
    """A copy on the CPU, as a checkpoint can hold it.

    Nothing in a results folder is ever unpickled, so it cannot hold objects of other classes.

    Raises:
        TrainerError: with the place of the first value that a checkpoint cannot hold.
    """
    if not isinstance(found, Mapping):
        method.refuse(found, "must return a dict, as that of a network")
    try:
        return {name: _held(item, f"[{name!r}]") for name, item in found.items()}
    except TypeError as error:
        method.fail(
            f"returned {error}, which a checkpoint cannot hold: it takes tensors, numbers and"
            " texts, and dicts and lists of them (`state_dict()` of a network, not the network)"
        )
    except RecursionError:
        method.refuse(found, "it contains itself, or is nested too deep for a checkpoint")


def described(value: object) -> str:
    """A value in a few words: ``0.83, a float``, ``a Tensor of shape [4, 32]``, ``None``."""
    kind = type(value).__name__
    a = "an" if kind[:1].lower() in "aeiou" else "a"
    if value is None:
        return "None"
    if (shape := getattr(value, "shape", None)) is not None and not callable(shape):
        return f"{a} {kind} of shape {list(shape)}"
    if isinstance(value, bool | int | float | complex | str | bytes):
        text = repr(value)
        return f"{text if len(text) <= 60 else f'{text[:60]}…'}, {a} {kind}"
    if isinstance(value, Mapping):
        names = ", ".join(repr(name) for name in list(value)[:4])
        return f"{a} {kind}" + (f" of {names}" if names else " that is empty")
    if isinstance(value, list | tuple | set | frozenset):
        return f"{a} {kind} of {len(value)}"
    return f"the class {value.__name__}" if isinstance(value, type) else f"{a} {kind}"


def _number(value: object, what: str, method: Method) -> float | None:
    if value is None or (isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value)):
        return None
    try:
        return number(value)
    except TypeError:
        method.fail(f"returned {described(value)} as {what}, but it must be one number")


def _held(value: Any, place: str) -> Any:
    """See `state`; TypeError with value and place where it cannot be held."""
    import torch

    if value is None or type(value) in PLAIN:
        return value
    if isinstance(value, torch.Tensor):
        if value.is_meta or value.layout is not torch.strided:
            what = "without values" if value.is_meta else f"that is {value.layout}"
            raise TypeError(f"{described(value)} {what} at {place}")
        return value.detach().as_subclass(torch.Tensor).to("cpu", copy=True)
    if isinstance(value, np.generic):
        return _held(value.item(), place)
    if isinstance(value, PLAIN):  # a subclass of them
        kinds: Iterator[Any] = iter(PLAIN)
        return next(kind(value) for kind in kinds if isinstance(value, kind))
    if isinstance(value, Mapping):
        held: dict[Any, Any] = OrderedDict() if hasattr(value, "_metadata") else {}
        held |= {_held(k, f"{place}, a key"): _held(v, f"{place}[{k!r}]") for k, v in value.items()}
        if isinstance(held, OrderedDict):  # the versions of a network's modules
            held._metadata = value._metadata  # type: ignore[attr-defined]
        return held
    kind = next((k for k in (list, tuple, set) if isinstance(value, k)), None)
    if kind is None:
        raise TypeError(f"{described(value)} at {place}")
    return kind(_held(item, f"{place}[{index}]") for index, item in enumerate(value))


def tensors(held: object, place: str = "state") -> Iterator[tuple[str, Tensor]]:
    """The tensors of floating-point numbers in what `state` gave, each with its place."""
    import torch

    if isinstance(held, torch.Tensor) and held.is_floating_point():
        yield place, held
    elif isinstance(held, Mapping | list | tuple):
        for key, item in held.items() if isinstance(held, Mapping) else enumerate(held):
            yield from tensors(item, f"{place}[{key!r}]")
