"""How Ray Tune, Optuna and W&B write a distribution.

What is found here is proposed, never taken as it is: a bound is included in one tool and excluded
in another.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from sweep.spec.words.phrases import shown
from sweep.spec.words.slips import in_full, number_of
from sweep.spec.words.synonyms import plain
from sweep.vocabulary.parameter_values import is_number

BOUNDS = (("low", "min", "lower"), ("high", "max", "upper"), ("q", "step"))
"""Names of the lower bound, the upper bound and the step."""
VALUES = ("values", "choices", "categories")
CALL = re.compile(r"(?:(?:ray\.)?tune\.|trial\.)?(\w+)\((.*)\)", re.DOTALL)
Parts = tuple[str, list[Any], Mapping[str, Any]]
"""A distribution's word, in plain letters, with its unnamed and its named arguments."""


def in_our_words(value: Any) -> str | None:
    """``{loguniform: [0.001, 0.1]}`` for the notation of another tool.

    Args:
        value: as it stands in the YAML: a mapping, a list, or the text of a Python call.

    Returns:
        None if the notation is unknown. The result need not be a valid distribution.
    """
    try:
        parts = _parts(value)
        return parts and (_values(*parts) or _range(*parts))
    except (ArithmeticError, ValueError, TypeError, RecursionError):  # nothing that makes sense
        return None


def written(word: str, values: Iterable[Any]) -> str:
    """``{word: [a, b]}``."""
    return f"{{{word}: [{', '.join(map(_scalar, values))}]}}"


def exact(number: float) -> Fraction:
    """The decimal number that was written: 1/10 for 0.1."""
    return Fraction(str(number))


def _parts(value: Any) -> Parts | None:
    if isinstance(value, list):
        return "choice", value, {}
    if isinstance(value, str) and (call := CALL.fullmatch(value.strip())):
        return _of_call(*call.groups())
    if not isinstance(value, dict):
        return None
    given = {plain(str(key)): below for key, below in value.items()}
    lists = [word for word in given if isinstance(given[word], list) and word not in VALUES]
    if len(lists) == 1 and given.keys() <= {*lists, *BOUNDS[2], "log"}:
        return lists[0], given.pop(lists[0]), given  # {int: [3, 7], step: 2}
    if len(given) == 1 and not given.keys() & {*VALUES}:
        [(word, below)] = given.items()
        named = {plain(str(k)): v for k, v in below.items()} if isinstance(below, dict) else {}
        return word, [] if named else [below], named
    word = plain(str(given.get("distribution", given.get("type", ""))))
    if word == "loguniform" and "distribution" in given:  # of W&B, whose bounds are exponents
        return "exponents", [], given
    return word.removesuffix("values"), [], given


def _of_call(word: str, inside: str) -> Parts | None:
    try:
        text = re.sub(r"(?<=[A-Za-z_])\s*=\s*", ": ", inside)
        arguments = YAML(typ="safe", pure=True).load(f"[{text}]")
    except (YAMLError, AttributeError):
        return None
    unnamed = [one for one in arguments if not isinstance(one, dict)]
    if word.startswith("suggest"):
        unnamed = unnamed[1:]  # the parameter's name
    if len(unnamed) == 1 and isinstance(unnamed[0], list):  # choice([a, b])
        [unnamed] = unnamed
    named = [one for one in arguments if isinstance(one, dict)]
    return plain(word), unnamed, {key: below for one in named for key, below in one.items()}


def _values(word: str, unnamed: list[Any], named: Mapping[str, Any]) -> str | None:
    """A choice, if each of its values is as likely as another."""
    listed = _first(named, VALUES)
    if listed is None and not re.search("choice|categorical|grid", word):
        return None
    values = unnamed if listed is None else listed
    flat = [x for one in values for x in (one if isinstance(one, list) else [one])]
    infinite = any(isinstance(x, float) and not math.isfinite(x) for x in flat)
    if not flat or infinite or any(isinstance(x, list | dict) for x in flat):
        return None
    is_even = not named.keys() & {"probabilities", "probs", "weights"}
    return written("choice", values) if is_even else None


def _range(word: str, unnamed: list[Any], named: Mapping[str, Any]) -> str | None:
    """Numbers between two bounds."""
    bounds = [_first(named, names) for names in BOUNDS]
    bounds[: len(unnamed)] = unnamed
    low, high, step = map(_number, bounds)
    is_known = not word or re.search("uniform|int|float|exponents", word)
    if low is None or high is None or not is_known or "inv" in word:
        return None
    if word == "exponents":
        if 0 < low < high < 1:  # likely the values themselves
            return None
        low, high = (float(f"{math.exp(end):.6g}") for end in (low, high))
    log = "log" in word or word == "exponents" or named.get("log") is True
    whole = "int" in word or not (word or log or {type(low), type(high)} - {int})
    if not low < high or (log and low <= 0):
        return None
    if step is None and word.startswith("q"):
        return None
    if step is None or word in ("loguniform", "lograndint"):  # Ray's base of the logarithm
        is_open = word in ("randint", "lograndint")
        kind = "log" * log + ("randint" if whole else "uniform")
        return written(kind, (low, high + (whole and not is_open)))
    from_low = whole and ("step" in named or not word.startswith("q"))
    return None if log or step <= 0 else _in_steps(word, low, high, step, from_low)


def _in_steps(word: str, low: float, high: float, step: float, from_low: bool) -> str | None:
    """Of a tool whose steps begin at 0 and not at the lower bound, only what is the same here."""
    on_steps = all((exact(bound) / exact(step)).denominator == 1 for bound in (low, high))
    if not (on_steps or from_low) or (word.startswith("q") and step == 1):
        return None  # with a step of 1, Ray excludes the upper bound
    if "int" in word:
        inside = range(int(low), int(high) + (word != "randint"), int(step))
        return written("qrandint", (inside[0], inside[-1], inside.step))
    return written("quniform", (low, high, step))


def _first(given: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((given[name] for name in names if name in given), None)


def _number(value: Any) -> float | None:
    if is_number(value):
        return value if math.isfinite(value) else None
    return number_of(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w*", value):
        return value
    return in_full(value) if isinstance(value, float) and math.isfinite(value) else shown(value)
