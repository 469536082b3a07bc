"""How Ray Tune, Optuna, W&B and NNI write a distribution, in the words of this package.

What is found here is proposed and never taken: bounds are included in one tool and excluded in
another, and in W&B those of ``log_uniform`` are exponents.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from sweep.spec.slips import number_of
from sweep.spec.synonyms import plain

LOW = ("low", "min", "lower", "from", "start", "minimum")
HIGH = ("high", "max", "upper", "to", "stop", "end", "maximum")
STEP = ("q", "step")
LISTED = ("choice", "values", "choices", "categories", "options", "grid", "gridsearch", "in")
KIND = ("distribution", "type", "sampler", "prior", "dist", "scale")
CALL = re.compile(r"(?:\w+\.)*(\w+)\((.*)\)", re.DOTALL)
OWN = ("uniform", "loguniform", "quniform", "randint", "lograndint")
NUMERIC = ("uniform", "int", "float", "double")


def in_our_words(value: Any) -> str | None:
    """``{loguniform: [0.001, 0.1]}`` for what another tool writes for it.

    Args:
        value: as it stands in the YAML: a mapping, a list, or the text of a Python call.
    Returns:
        None where nothing can be made of it; not every result is a right distribution.
    """
    if isinstance(value, str):
        return _of_call(value)
    if not isinstance(value, dict):
        return None
    given = {plain(str(key)): below for key, below in value.items()}
    if {"type", "value"} <= given.keys() and isinstance(given["value"], list):  # NNI
        return _of_word(plain(str(given["type"])), given["value"])
    if len(given) == 1:
        [(word, below)] = given.items()
        if isinstance(below, dict) and any(part in word for part in (*NUMERIC, *LISTED)):
            return _of_bounds({"type": word, **{plain(str(k)): v for k, v in below.items()}})
        if word in LISTED or isinstance(below, list):
            return _of_word(word, below if isinstance(below, list) else [below])
        return None
    return _of_bounds(given)


def _of_call(text: str) -> str | None:
    found = CALL.fullmatch(text.strip())
    if found is None:
        return None
    try:
        arguments = YAML(typ="safe", pure=True).load(f"[{re.sub(r'(?<=[a-z])=', ': ', found[2])}]")
    except (YAMLError, ValueError, AttributeError, TypeError, RecursionError):
        return None
    word, named = plain(found[1]), dict[str, Any]()
    if not isinstance(arguments, list):
        return None
    for one in arguments:
        named |= {plain(str(k)): v for k, v in one.items()} if isinstance(one, dict) else {}
    unnamed = [one for one in arguments if not isinstance(one, dict)]
    if unnamed and isinstance(unnamed[0], str) and word.startswith("suggest"):
        unnamed = unnamed[1:]  # Optuna's name of the parameter
    if str(named.pop("log", "")).lower() == "true":
        word = f"log{word}"
    if named:
        return _of_bounds({"type": word, **dict(zip(("low", "high", "q"), unnamed)), **named})  # noqa: B905
    return _of_word(word, unnamed)


def _of_bounds(given: Mapping[str, Any]) -> str | None:
    """Of named bounds, with or without the name of a distribution."""
    word = next((plain(str(given[name])) for name in KIND if name in given), "")
    word = f"log{word}" if given.get("log") is True else word
    listed = next((given[name] for name in LISTED if isinstance(given.get(name), list)), None)
    if listed is not None:
        return _of_word("choice", listed)
    bounds = [next((given[n] for n in names if n in given), None) for names in (LOW, HIGH, STEP)]
    low, high, step = map(_number, bounds)
    if low is None or high is None:
        return None
    if not word and all(isinstance(bound, int) for bound in (low, high)):
        word = "intuniform"
    return _of_word(word or "uniform", [low, high] + ([] if step is None else [step]))


def _of_word(word: str, arguments: list[Any]) -> str | None:
    """Of the name of a distribution, in whatever spelling, and its arguments."""
    if word in LISTED or "categorical" in word or "choice" in word or "grid" in word:
        nested = len(arguments) == 1 and isinstance(arguments[0], list)
        values = arguments[0] if nested else arguments
        plain_values = all(not isinstance(one, list | dict) and one == one for one in values)
        return _written("choice", values) if plain_values and values else None
    numbers = [_number(one) for one in _flat(arguments)]
    if len(numbers) not in (2, 3) or any(one is None for one in numbers):
        return None
    low, high, *step = (one for one in numbers if one is not None)
    if word in OWN:  # of which only the form was wrong
        return _written(word, [low, high, *step])
    is_whole = isinstance(low, int) and isinstance(high, int)
    if "int" in word and is_whole:
        high += "randint" not in word
        return _written("lograndint" if "log" in word else "randint", [low, high])
    if "log" in word:
        return _written("loguniform", [low, high]) if 0 < low < high else None
    if not any(part in word for part in NUMERIC):
        return None
    return _written("quniform", [low, high, *step]) if step else _written("uniform", [low, high])


def _flat(arguments: Iterable[Any]) -> list[Any]:
    """``[[1, 2]]`` and ``["1, 2"]`` as ``[1, 2]``."""
    flat: list[Any] = []
    for one in arguments:
        parts = one.split(",") if isinstance(one, str) and one.count(",") in (1, 2) else one
        flat += parts if isinstance(parts, list) else [parts]
    return flat


def _number(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return number_of(value)


def _written(word: str, values: Iterable[Any]) -> str:
    from sweep.spec.wording import shown

    return f"{{{word}: [{', '.join(_scalar(one) or shown(one) for one in values)}]}}"


def _scalar(value: Any) -> str | None:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w*", value):
        return value
    return f"{value:g}" if isinstance(value, float) and math.isfinite(value) else None
