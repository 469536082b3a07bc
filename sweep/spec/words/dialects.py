"""How Ray Tune, Optuna, W&B, NNI, Hyperopt, Keras Tuner, Hydra and Ax write a distribution.

What is found here is proposed, never taken as it is. Bounds are included in one tool and excluded
in another, and those of ``log_uniform`` in W&B and Hyperopt are exponents.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from sweep.spec.words.meanings import MOST_LISTED, Lattice, Meaning, Range, Values, Words, written
from sweep.spec.words.slips import number_of
from sweep.spec.words.synonyms import plain

BOUNDS = (
    ("low", "min", "lower", "from", "start", "minimum", "minvalue"),
    ("high", "max", "upper", "to", "stop", "end", "maximum", "maxvalue"),
    ("q", "step"),
)
"""Names of the lower bound, the upper bound and the step."""
LISTED = ("choice", "values", "choices", "categories", "options", "grid", "gridsearch", "in")
WEIGHTS = ("probabilities", "probs", "weights", "probability", "p")
KIND = ("distribution", "type", "sampler", "prior", "dist", "scale")
CALL = re.compile(r"((?:\w+\.)*)(\w+)\((.*)\)", re.DOTALL)
OWN = ("uniform", "loguniform", "quniform", "randint", "qrandint", "lograndint")
NUMERIC = ("uniform", "int", "float", "double")
NORMAL = ("normal", "randn", "gauss", "beta")
SPACED = ("linspace", "logspace", "geomspace")


def in_our_words(value: Any) -> str | None:
    """``{loguniform: [0.001, 0.1]}`` for the notation of another tool.

    Args:
        value: as it stands in the YAML: a mapping, a list, or the text of a Python call.
    Returns:
        None if the notation is unknown. The result need not be a valid distribution.
    """
    return _translated(value)[0]


def not_to_be_had(value: Any) -> str | None:
    """What another tool's distribution has that this package lacks, and what to write instead."""
    return _translated(value)[1]


def _translated(value: Any) -> Words:
    try:
        if isinstance(value, dict) and (own := _own(value)):
            return own, None
        meaning: Meaning | None = None
        if isinstance(value, list):
            meaning = Values(value)
        elif isinstance(value, str):
            meaning = _of_text(value.strip())
        elif isinstance(value, dict):
            meaning = _of_mapping(value)
        return meaning.in_words() if meaning else (None, None)
    except (ArithmeticError, ValueError, TypeError, RecursionError):  # nothing that makes sense
        return None, None


def _own(value: Mapping[Any, Any]) -> str | None:
    """One of our own distributions in the wrong form."""
    word, below = next(iter(_plain_keys(value).items()), ("", None))
    if len(value) != 1 or word not in OWN:
        return None
    if isinstance(below, dict):
        given = _plain_keys(below)
        if "log" in given:
            return None
        below = [one for one in _bounds(given) if one is not None]
    numbers = _numbers(below if isinstance(below, list) else [below])
    if word == "randint" and numbers and len(numbers) == 3:
        low, high, step = numbers
        return Range(low, high, step, whole=True, is_open=True).in_words()[0]
    return written(word, numbers) if numbers and len(numbers) in (2, 3) else None


def _of_text(text: str) -> Meaning | None:
    """The meaning of a call, a list, or Hydra's values separated by commas."""
    if found := CALL.fullmatch(text):
        prefix, word, inside = found.groups()
        if word == "tag":  # Hydra's `tag(log, interval(1, 5))`
            tags, _, inside = inside.partition(",")
            tagged = _of_text(inside.strip())
            if not isinstance(tagged, Range) or tags.strip() != "log":
                return None
            return replace(tagged, log=True)
        if word in ("int", "float") and "(" in inside:  # Hydra's `int(interval(1, 5))`
            cast = _of_text(inside.strip())
            return replace(cast, whole=word == "int") if isinstance(cast, Range) else None
        return _of_call(prefix, word, inside)
    if "(" in text or re.fullmatch(r"0,\d+", text):  # or a decimal comma
        return None
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    values = _arguments(bare) if "," in bare else None
    return Values(values) if values and None not in values else None


def _arguments(inside: str) -> list[Any] | None:
    """The arguments of a call; each named one as a mapping."""
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
        named |= _plain_keys(one) if isinstance(one, dict) else {}
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
    given = _plain_keys(value)
    if {"type", "value"} <= given.keys() and isinstance(given["value"], list):  # NNI
        found = _of_word(plain(str(given["type"])), given["value"], {})
        return replace(found, lattice="clipped") if isinstance(found, Range) else found
    if isinstance(config := given.get("config"), dict) and "classname" in given:  # Keras
        return _of_mapping({given["classname"]: config})
    if isinstance(bounds := given.get("bounds"), list):  # Ax
        whole = _is_whole(bounds) if "valuetype" not in given else given["valuetype"] == "int"
        word = ("log" if given.get("logscale") is True else "") + ("int" if whole else "uniform")
        return _of_word(word, bounds, {})
    if len(given) == 1:
        [(word, below)] = given.items()
        if isinstance(below, dict):
            known = any(part in word for part in (*NUMERIC, *LISTED))
            return _of_word(word, [], _plain_keys(below)) if known else None
        if word in LISTED or word == "boolean" or isinstance(below, list):
            return _of_word(word, below if isinstance(below, list) else [below], {})
        return None
    if beside := _beside_a_list(given):
        return beside
    kind = next((name for name in KIND if name in given), "")
    word = plain(str(given.get(kind, "")))
    # In W&B and Azure, bounds are exponents unless the word ends in `values`.
    if "loguniform" in word and (kind == "distribution" or "minvalue" in given):
        word = word.removesuffix("values") if word.endswith("values") else f"exp{word}"
    return _of_word(word, [], given)


def _beside_a_list(given: Mapping[str, Any]) -> Meaning | None:
    """``{int: [3, 7], step: 2}``: bounds as a list, the step and ``log`` beside it."""
    lists = [word for word, below in given.items() if isinstance(below, list)]
    others = given.keys() - lists
    if len(lists) != 1 or not others or not others <= {*BOUNDS[2], "log"}:
        return None
    [word] = lists
    named = {name: given[name] for name in others}
    step = _number(_first(named, BOUNDS[2]))
    if not any(part in word for part in NUMERIC) or ((step or 0) <= 0 and {*named} != {"log"}):
        return None
    found = _of_word(word, given[word], named)
    if isinstance(found, Range) and found.whole:
        return replace(found, lattice="low")
    return found


def _of_word(word: str, unnamed: list[Any], named: Mapping[str, Any]) -> Meaning | None:
    """The meaning of a distribution's name, in any spelling, with its arguments."""
    if word in ("boolean", "bool"):
        return Values([False, True])
    listed = next((named[name] for name in LISTED if isinstance(named.get(name), list)), None)
    if word in LISTED or "categorical" in word or "choice" in word or listed is not None:
        nested = len(unnamed) == 1 and isinstance(unnamed[0], list)
        return Values(listed or (unnamed[0] if nested else unnamed), _first(named, WEIGHTS))
    if any(part in word for part in NORMAL):
        return None
    bounds = _bounds(named)
    for place, one in enumerate(_flat(unnamed)[:3]):
        bounds[place] = one
    if word == "range":  # Hydra's, which excludes its last number, as Python's does
        numbers = _numbers(one for one in bounds if one is not None)
        if not numbers:
            return None
        start, stop = (0, numbers[0]) if len(numbers) == 1 else numbers[:2]
        by = numbers[2] if len(numbers) == 3 else 1
        return Range(start, stop, by, whole=_is_whole([start, stop, by]), is_open=True)
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
    if "stop" in named or "end" in named:  # some tools include it, others do not
        reached = step is not None and ((high - low) / step).is_integer()
        if reached or (whole and step is None):
            return None
    rounded = "q" in word[:4] or "discrete" in word or "q" in named
    if step is not None and "q" not in word and word in OWN and _first(named, BOUNDS[2]) is None:
        step = None  # Ray's base of the logarithm
    if log and step is not None and "sampling" in named:
        return Values(_powers(low, high, step))
    if word.startswith("exp"):
        low, high = (-high, -low) if "inv" in word else (low, high)
        if 0 < low < high < 1:  # likely values, by mistake
            return None
        low, high, whole = math.exp(low), math.exp(high), False
    lattice: Lattice = "rounded" if rounded and "discrete" not in word else "low"
    is_open = word in ("randint", "lograndint")
    return Range(low, high, step, lattice, whole=whole, log=log, is_open=is_open)


def _spaced(word: str, numbers: list[float] | None) -> Meaning | None:
    """NumPy's ``linspace(0, 1, 5)``, ``logspace(-4, -1, 4)`` and ``geomspace``."""
    if not numbers or len(numbers) != 3 or not 2 <= numbers[2] <= MOST_LISTED:
        return None
    low, high, count = numbers
    if word == "geomspace":
        if not 0 < low < high:
            return None
        low, high = math.log10(low), math.log10(high)
    places = [low + n * (high - low) / (count - 1) for n in range(int(count))]
    return Values([float(f"{x if word == 'linspace' else 10**x:.6g}") for x in places])


def _powers(low: float, high: float, factor: float) -> list[float]:
    """Keras' logarithmic steps: ``low · factorᵏ``; none if there are too many."""
    found: list[float] = []
    while low > 0 and factor > 1 and low <= high and len(found) <= MOST_LISTED:
        found.append(low)
        low *= factor
    return found if len(found) <= MOST_LISTED else []


def _plain_keys(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {plain(str(key)): below for key, below in value.items()}


def _first(given: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((given[name] for name in names if name in given), None)


def _bounds(given: Mapping[str, Any]) -> list[Any]:
    return [_first(given, names) for names in BOUNDS]


def _flat(arguments: Iterable[Any]) -> list[Any]:
    """``[[1, 2]]`` and ``["1, 2"]`` as ``[1, 2]``."""
    flat: list[Any] = []
    for one in arguments:
        parts = one.split(",") if isinstance(one, str) and one.count(",") in (1, 2) else one
        flat += parts if isinstance(parts, list) else [parts]
    return flat


def _numbers(values: Iterable[Any]) -> list[float] | None:
    numbers = [_number(one) for one in _flat(values)]
    return None if None in numbers else [one for one in numbers if one is not None]


def _is_whole(numbers: list[Any]) -> bool:
    return all(isinstance(one, int) and not isinstance(one, bool) for one in numbers)


def _number(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value if math.isfinite(value) else None
    return number_of(value)
