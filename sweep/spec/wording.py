"""What is wrong, in plain words: pydantic's reports, unknown keys, near misses."""

from __future__ import annotations

import difflib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sweep.errors import one_line
from sweep.spec.base import Settings
from sweep.spec.tree import Finding, KeyPath, Spot, locate, setting_names

REQUIREMENTS = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "int_type": "a whole number",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "list_type": "a list",
    "literal_error": "{expected}",
    "model_attributes_type": "a mapping of settings",
    "model_type": "a mapping of settings",
    "string_too_short": "text of at least {min_length} character(s)",
    "string_type": "text",
    "too_long": "a list of at most {max_length}",
    "too_short": "a list of at least {min_length}",
    "tuple_type": "a list",
}
"""pydantic's error type → what the value must be, with the fields of the error's context."""


def findings_of(error: ValidationError, root: type[Settings]) -> list[Finding]:
    """Every report in a failed validation of ``root``, at its place in the YAML."""
    reports: dict[KeyPath, list[ErrorDetails]] = defaultdict(list)
    spots: dict[KeyPath, Spot] = {}
    for report in error.errors(include_url=False):
        if not _is_consequence(report):
            spot = locate(root, report["loc"])
            spots[spot.path] = spot
            reports[spot.path].append(report)
    return [_finding(spots[path], reports[path], root) for path in spots]


def unknown_setting(key: str, root: type[Settings]) -> str:
    """Says that no setting below ``root`` has this dotted name, with the near miss."""
    names = setting_names(root)
    below = next((name for name in names if name.startswith(f"{key}.")), None)
    if below:
        return f"{quoted(key)} is a group of settings; name one of them, such as `{below}`"
    # A shared group makes any two names alike: what counts within a group is the last word.
    group, dot, last = key.rpartition(".")
    beside = [name.rpartition(".")[2] for name in names if name.rpartition(".")[0] == group]
    close = near_miss(last, beside)
    meant = (
        f"{group}{dot}{close}" if close else _elsewhere(last, root) or near_miss(key, names, 0.8)
    )
    return f"{quoted(key)} is not a setting{did_you_mean(meant)}"


def counted(count: int, noun: str) -> str:
    """``1 trial``, ``2 trials``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def near_miss(word: str, names: Iterable[str], likeness: float = 0.6) -> str | None:
    """The name that ``word`` is most like, if it is like any (0: not at all, 1: the same)."""
    close = difflib.get_close_matches(word.lower(), list(names), n=1, cutoff=likeness)
    return close[0] if close else None


def did_you_mean(name: str | None) -> str:
    """The end of a message that proposes ``name``; empty where there is none to propose."""
    return f"; did you mean `{name}`?" if name else ""


def one_of(names: Sequence[str]) -> str:
    """``a``, ``b`` or ``c``, as a text with backticks."""
    ticked = [f"`{name}`" for name in names]
    return " or ".join(part for part in (", ".join(ticked[:-1]), ticked[-1]) if part)


def must_be(requirement: str, value: Any, names: Iterable[str] = ()) -> str:
    """``must be …, but is …``, with the near miss among ``names``."""
    hint = did_you_mean(near_miss(value, names)) if isinstance(value, str) else ""
    return f"must be {requirement}, but is {shown(value)}{hint}"


def shown(value: Any, limit: int = 60) -> str:
    """A value as a user would write it, on one short line."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return printable(text, limit)


def quoted(name: str) -> str:
    """A name in backticks, on one short line."""
    return f"`{printable(name)}`"


def printable(text: str, limit: int = 60) -> str:
    """``text`` cut to ``limit`` characters, with control characters written out."""
    return one_line(text if len(text) <= limit else text[:limit] + "…")


def _finding(spot: Spot, reports: list[ErrorDetails], root: type[Settings]) -> Finding:
    """One finding from all that is said about one place: one report for each branch of a union."""
    first = reports[0]
    match first["type"]:
        case "extra_forbidden":
            return Finding(spot.path, _unknown_key(spot, root))
        case "missing":
            return Finding(spot.path, "is missing")
        case "value_error":
            return Finding(spot.path, str(first["ctx"]["error"]))
        case "union_tag_invalid" | "union_tag_not_found":
            return _wrong_tag(spot, first)
    wants = [_requirement(report) for report in reports] + ["null"] * spot.nullable
    names = re.findall(r"`([^`]*)`", " ".join(wants))
    return Finding(spot.path, must_be(" or ".join(dict.fromkeys(wants)), first["input"], names))


def _is_consequence(report: ErrorDetails) -> bool:
    """Whether the report says nothing new: what it follows from is reported as well."""
    match report["type"]:
        case "default_factory_not_called":  # the default derives from other, wrong settings
            return True
        case "too_short":  # wrong items were not counted
            return bool(len(report["input"]) >= report["ctx"]["min_length"])
    return False


def _requirement(report: ErrorDetails) -> str:
    template = REQUIREMENTS.get(report["type"])
    if template is None:  # a kind of check that the settings did not use before
        return f"valid ({report['msg']})"
    context = report.get("ctx", {}).items()
    # Limits of numbers are told as they are written in the settings: 0, not 0.0.
    plain = {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in context}
    return template.format(**plain).replace("'", "`")


def _wrong_tag(spot: Spot, report: ErrorDetails) -> Finding:
    discriminator = report["ctx"]["discriminator"].strip("'")
    names = spot.alternatives(discriminator)
    path = (*spot.path, discriminator)
    if report["type"] == "union_tag_not_found":
        return Finding(path, f"is missing; must be {one_of(names)}")
    return Finding(path, must_be(one_of(names), report["input"][discriminator], names))


def _unknown_key(spot: Spot, root: type[Settings]) -> str:
    """``x`` is not a setting of ``group``, with the near miss, here or elsewhere in the tree."""
    *parents, key = (str(part) for part in spot.path)
    owner = f"`{'.'.join(parents)}`" if parents else "the top level"
    owner += f" with {spot.choice}" if spot.choice else ""
    here = list(spot.group.model_fields)
    meant = near_miss(key, here) or (None if spot.choice else _elsewhere(key, root))
    hint = did_you_mean(meant) or f"; it has {', '.join(f'`{name}`' for name in here)}"
    return f"{quoted(key)} is not a setting of {owner}{hint}"


def _elsewhere(key: str, root: type[Settings]) -> str | None:
    """The dotted name of a setting that is called ``key`` in some group."""
    return next((name for name in setting_names(root) if name.endswith(f".{key}")), None)
