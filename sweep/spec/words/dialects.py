"""How Ray Tune, Optuna, W&B, NNI, Hyperopt, Keras Tuner, Hydra and Ax write a distribution.

What is found here is proposed and never taken: bounds are included in one tool and excluded in
another, and in W&B and Hyperopt those of ``log_uniform`` are exponents.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from sweep.spec.words.meanings import Lattice, Meaning, Range, Values, in_words, written
from sweep.spec.words.slips import number_of
from sweep.spec.words.synonyms import plain

LOW = ("low", "min", "lower", "from", "start", "minimum", "minvalue")
HIGH = ("high", "max", "upper", "to", "stop", "end", "maximum", "maxvalue")
STEP = ("q", "step")
LISTED = ("choice", "values", "choices", "categories", "options", "grid", "gridsearch", "in")
WEIGHTS = ("probabilities", "probs", "weights", "probability", "p")
KIND = ("distribution", "type", "sampler", "prior", "dist", "scale")
CALL = re.compile(r"((?:\w+\.)*)(\w+)\((.*)\)", re.DOTALL)
OWN = ("uniform", "loguniform", "quniform", "randint", "lograndint")
NUMERIC = ("uniform", "int", "float", "double")
NORMAL = ("normal", "randn", "gauss", "beta")
SPACED = ("linspace", "logspace", "geomspace")
CASTS = ("int", "float")
MOST_SPACED = 24


def in_our_words(value: Any) -> str | None:
    """``{loguniform: [0.001, 0.1]}`` for what another tool writes for it.

    Args:
        value: as it stands in the YAML: a mapping, a list, or the text of a Python call.
    Returns:
        None where nothing can be made of it; not every result is a right distribution.
    """
    return _translated(value)[0]


def not_to_be_had(value: Any) -> str | None:
    """What of another tool's distribution there is none of here, and what to take instead."""
    return _translated(value)[1]


def _translated(value: Any) -> tuple[str | None, str | None]:
    try:
        if isinstance(value, dict) and (own := _own(value)):
            return own, None
        meaning = _meaning(value)
        return (None, None) if meaning is None else in_words(meaning)
    except (ArithmeticError, ValueError, TypeError, RecursionError):  # what nobody means
        return None, None


def _own(value: Mapping[Any, Any]) -> str | None:
    """One of our own distributions, of which only the form was wrong."""
    word, below = next(iter(value.items()), ("", None))
    if len(value) != 1 or plain(str(word)) not in OWN:
        return None
    if isinstance(below, dict):
        given = {plain(str(key)): one for key, one in below.items()}
        if "log" in given:
            return None
        bounds = [_first(given, names) for names in (LOW, HIGH, STEP)]
        numbers = _numbers([one for one in bounds if one is not None])
    else:
        numbers = _numbers(below if isinstance(below, list) else [below])
    return written(plain(str(word)), numbers) if numbers and len(numbers) in (2, 3) else None


def _meaning(value: Any) -> Meaning | None:
    if isinstance(value, list):
        return Values(value)
    if isinstance(value, str):
        return _of_text(value.strip())
    return _of_mapping(value) if isinstance(value, dict) else None


def _of_text(text: str) -> Meaning | None:
    """Of a call, a list, or Hydra's values with commas between them."""
    if found := CALL.fullmatch(text):
        prefix, word, inside = found.groups()
        if word == "tag" or (word in CASTS and "(" in inside):
            return _cast(word, *inside.rpartition(",")) if word == "tag" else _cast(word, inside)
        return _of_call(prefix, word, inside)
    if "(" in text or re.fullmatch(r"0,\d+", text):  # or a decimal comma
        return None
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    values = _arguments(bare) if "," in bare else None
    return Values(values) if values and None not in values else None


def _cast(word: str, inside: str, *rest: str) -> Meaning | None:
    """Hydra's ``int(interval(1, 5))`` and ``tag(log, interval(1, 5))``."""
    tags = ""
    if word == "tag":
        tags, _, inside = (inside + "".join(rest)).partition(",")
    found = _of_text(inside.strip())
    if not isinstance(found, Range):
        return None
    if word == "tag":
        return replace(found, log=True) if tags.strip() == "log" else None
    return replace(found, whole=word == "int")


def _arguments(inside: str) -> list[Any] | None:
    """The arguments of a call; those with a name as a mapping each."""
    text = re.sub(r"(?<=[A-Za-z_])\s*=\s*", ": ", inside)
    try:
        found = YAML(typ="safe", pure=True).load(f"[{text}]")
    except (YAMLError, ValueError, AttributeError, TypeError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _of_call(prefix: str, word: str, inside: str) -> Meaning | None:
    arguments = _arguments(inside)
    if arguments is None:
        return None
    named: dict[str, Any] = {}
    for one in arguments:
        named |= {plain(str(k)): v for k, v in one.items()} if isinstance(one, dict) else {}
    unnamed = [one for one in arguments if not isinstance(one, dict)]
    of_hp = prefix.endswith("hp.")
    named.pop("name", None), named.pop("label", None)
    if (of_hp or word.startswith("suggest")) and unnamed and isinstance(unnamed[0], str):
        unnamed = unnamed[1:]  # the parameter's name
    kind = plain(word)
    if kind in SPACED:
        return _spaced(kind, _numbers(unnamed))
    if of_hp and "loguniform" in kind:
        kind = f"exp{kind}"
    if of_hp and kind == "randint" and len(unnamed) == 1:
        unnamed = [0, *unnamed]
    if prefix == "random." and kind == "randint":
        kind = "int"  # Python's own includes the upper bound
    found = _of_word(kind, unnamed, named)
    if isinstance(found, Range) and found.lattice == "rounded" and not of_hp:  # Ray Tune
        return replace(found, lattice="inside", is_open=found.whole and found.step in (None, 1))
    return found


def _of_mapping(value: Mapping[Any, Any]) -> Meaning | None:
    given = {plain(str(key)): below for key, below in value.items()}
    if {"type", "value"} <= given.keys() and isinstance(given["value"], list):  # NNI
        found = _of_word(plain(str(given["type"])), given["value"], {})
        return replace(found, lattice="clipped") if isinstance(found, Range) else found
    if isinstance(config := given.get("config"), dict) and "classname" in given:  # Keras
        return _of_mapping({str(given["classname"]): config})
    if isinstance(bounds := given.get("bounds"), list):  # Ax
        whole = _is_whole(bounds) if "valuetype" not in given else given["valuetype"] == "int"
        word = ("log" if given.get("logscale") is True else "") + ("int" if whole else "uniform")
        return _of_word(word, bounds, {})
    if len(given) == 1:
        [(word, below)] = given.items()
        if isinstance(below, dict):
            known = any(part in word for part in (*NUMERIC, *LISTED))
            named = {plain(str(key)): one for key, one in below.items()}
            return _of_word(word, [], named) if known else None
        if word in LISTED or word == "boolean" or isinstance(below, list):
            return _of_word(word, below if isinstance(below, list) else [below], {})
        return None
    kind = next((name for name in KIND if name in given), "")
    word = plain(str(given.get(kind, "")))
    # In W&B, and in Azure, what has no `values` behind it is an exponent.
    if "loguniform" in word and (kind == "distribution" or "minvalue" in given):
        word = word.removesuffix("values") if word.endswith("values") else f"exp{word}"
    return _of_word(word, [], given)


def _of_word(word: str, unnamed: list[Any], named: Mapping[str, Any]) -> Meaning | None:
    """Of the name of a distribution, in whatever spelling, and its arguments."""
    if word in ("boolean", "bool"):
        return Values([False, True])
    listed = next((named[name] for name in LISTED if isinstance(named.get(name), list)), None)
    if word in LISTED or "categorical" in word or "choice" in word or listed is not None:
        nested = len(unnamed) == 1 and isinstance(unnamed[0], list)
        return Values(listed or (unnamed[0] if nested else unnamed), _first(named, WEIGHTS))
    if any(part in word for part in NORMAL):
        return None
    bounds = [_first(named, names) for names in (LOW, HIGH, STEP)]
    for place, one in enumerate(_flat(unnamed)[:3]):
        bounds[place] = one
    if word == "range":
        return _of_range(*bounds)
    low, high, step = map(_number, bounds)
    if low is None or high is None or "reverse" in str(named.get("sampling")):
        return None
    return _of_numbers(word, low, high, step, named)


def _of_numbers(
    word: str, low: float, high: float, step: float | None, named: Mapping[str, Any]
) -> Meaning | None:
    words = (named.get("log"), named.get("sampling"))
    log = "log" in word or any(str(one).lower() in ("true", "log") for one in words)
    whole = "int" in word.replace("interval", "")
    if word in ("", "interval", "log"):
        whole = _is_whole([low, high]) and not log
    elif not log and not any(part in word for part in NUMERIC):
        return None
    if "stop" in named or "end" in named:  # included here, excluded there
        reached = step is not None and ((high - low) / step).is_integer()
        if reached or (whole and step is None):
            return None
    rounded = "q" in word[:4] or "discrete" in word or "q" in named
    if step is not None and "q" not in word and word in OWN:
        step = None  # Ray's base of the logarithm
    if log and step is not None and "sampling" in named:
        return Values(_powers(low, high, step))
    if word.startswith("exp"):
        low, high = (-high, -low) if "inv" in word else (low, high)
        if 0 < low < high < 1:
            return None  # which are values, by mistake
        low, high, whole = math.exp(low), math.exp(high), False
    lattice: Lattice = "rounded" if rounded and "discrete" not in word else "low"
    is_open = word in ("randint", "lograndint")
    return Range(low, high, step, lattice, whole=whole, log=log, is_open=is_open)


def _of_range(*bounds: Any) -> Meaning | None:
    """Hydra's ``range``, which ends before its last, as Python's does."""
    numbers = _numbers([one for one in bounds if one is not None])
    if not numbers:
        return None
    low, high = (0, numbers[0]) if len(numbers) == 1 else numbers[:2]
    step = numbers[2] if len(numbers) == 3 else 1
    return Range(low, high, step, whole=_is_whole([low, high, step]), is_open=True)


def _spaced(word: str, numbers: list[float] | None) -> Meaning | None:
    """NumPy's ``linspace(0, 1, 5)``, ``logspace(-4, -1, 4)`` and ``geomspace``."""
    if not numbers or len(numbers) != 3 or not 2 <= numbers[2] <= MOST_SPACED:
        return None
    low, high, count = numbers
    if word == "geomspace":
        if not 0 < low < high:
            return None
        low, high = math.log10(low), math.log10(high)
    places = [low + n * (high - low) / (count - 1) for n in range(int(count))]
    return Values([float(f"{x if word == 'linspace' else 10**x:.6g}") for x in places])


def _powers(low: float, high: float, factor: float) -> list[float]:
    """Keras' logarithmic steps: ``low · factorᵏ``."""
    found: list[float] = []
    while low > 0 and factor > 1 and low <= high and len(found) <= MOST_SPACED:
        found.append(low)
        low *= factor
    return found if len(found) <= MOST_SPACED else []


def _first(given: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((given[name] for name in names if name in given), None)


def _flat(arguments: list[Any]) -> list[Any]:
    """``[[1, 2]]`` and ``["1, 2"]`` as ``[1, 2]``."""
    flat: list[Any] = []
    for one in arguments:
        parts = one.split(",") if isinstance(one, str) and one.count(",") in (1, 2) else one
        flat += parts if isinstance(parts, list) else [parts]
    return flat


def _numbers(values: list[Any]) -> list[float] | None:
    numbers = [_number(one) for one in _flat(values)]
    return None if None in numbers else [one for one in numbers if one is not None]


def _is_whole(numbers: list[Any]) -> bool:
    return all(isinstance(one, int) and not isinstance(one, bool) for one in numbers)


def _number(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value if math.isfinite(value) else None
    return number_of(value)
