"""Messages about wrong settings: pydantic's errors, unknown keys, near misses."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sweep.spec.settings.settings_base import Settings
from sweep.spec.tree.setting_tree import (
    Finding,
    KeyPath,
    Spot,
    group_of_option,
    locate,
    setting_names,
)
from sweep.spec.words.phrases import (
    begun_with,
    did_you_mean,
    meant_among,
    must_be,
    near_miss,
    one_of,
    printable,
    quoted,
)
from sweep.spec.words.slips import meant_value
from sweep.spec.words.synonyms import advice_for, name_for

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

ALMOST = 0.88
"""Likeness of two words that differ by one letter."""
LIKENESS = ((3, 0.8), (5, 0.65), (8, 0.7), (math.inf, 0.76))
"""Most letters of a word → least likeness of a misspelling. Long words are often alike anyway."""
DOTTED = "dotted names are for `space` and `--set`"


class WrongTogether(ValueError):
    """Several mistakes of one mapping.

    Args:
        findings: each with its path below the mapping.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("; ".join(finding.message for finding in findings))
        self.findings = findings


GROUPS = ("model_type", "model_attributes_type", "dict_type")
"""pydantic's error types for a plain value in place of a mapping."""


def findings_of(error: ValidationError, root: type[Settings]) -> list[Finding]:
    """Every error in a failed validation of ``root``, with its place in the YAML."""
    reports: dict[KeyPath, list[ErrorDetails]] = defaultdict(list)
    spots: dict[KeyPath, Spot] = {}
    for report in error.errors(include_url=False):
        if not _is_consequence(report):
            spot = locate(root, report["loc"])
            spots[spot.path] = spot
            reports[spot.path].append(report)
    return [found for path in spots for found in _findings(spots[path], reports[path], root)]


def unknown_setting(key: str, root: type[Settings]) -> tuple[str, str | None]:
    """Message for a dotted name that is not a setting below ``root``, and the name likely meant."""
    names = setting_names(root)
    below = next((name for name in names if name.startswith(f"{key}.")), None)
    if below:
        return f"{quoted(key)} is a group of settings; name one of them, such as `{below}`", None
    # A shared group makes any two names alike, so only the last part is compared in a group.
    group = key.rpartition(".")[0]
    beside = [name.rpartition(".")[2] for name in names if name.rpartition(".")[0] == group]
    meant = _meant_key(key, beside, names)
    if meant is None and not advice_for(key):
        meant = near_miss(key, names, 0.8)
    hint = did_you_mean(meant) or _advice(key)
    return f"{quoted(key)} is not a setting{hint}", meant


def _findings(spot: Spot, reports: list[ErrorDetails], root: type[Settings]) -> Iterator[Finding]:
    error = reports[0].get("ctx", {}).get("error")
    if isinstance(error, WrongTogether):
        for found in error.findings:
            yield replace(found, path=(*spot.path, *found.path))
    else:
        yield _finding(spot, reports, root)


def _finding(spot: Spot, reports: list[ErrorDetails], root: type[Settings]) -> Finding:
    """One finding from all errors at one place: one error for each branch of a union."""
    first = reports[0]
    match first["type"]:
        case "extra_forbidden":
            return _unknown_key(spot, root)
        case "missing":
            return Finding(spot.path, "is missing")
        case "value_error":
            return Finding(spot.path, str(first["ctx"]["error"]))
        case "union_tag_invalid" | "union_tag_not_found":
            return _wrong_tag(spot, first)
    wants = [_requirement(report) for report in reports] + ["null"] * spot.nullable
    names = re.findall(r"`([^`]*)`", " ".join(wants))
    message = must_be(" or ".join(dict.fromkeys(wants)), first["input"], names)
    meant = meant_value(first["input"], {report["type"] for report in reports}, spot.nullable)
    if meant is None and first["type"] in GROUPS and isinstance(first["input"], str):
        # The setting that a bare value most likely stands for.
        fields = {name for group in spot.groups for name in group.model_fields}
        choosing = [key for key in ("source", "kind", "name", "main", "cpu") if key in fields]
        meant = f"{{{choosing[0]}: {printable(first['input'])}}}" if choosing else None
    return Finding(spot.path, message if meant is None else f"{message}; write {meant}")


def _is_consequence(report: ErrorDetails) -> bool:
    """Whether the error only follows from another one that is reported too."""
    if report["type"] == "too_short":  # wrong items were not counted
        return bool(len(report["input"]) >= report["ctx"]["min_length"])
    # The default derives from other settings, which are wrong.
    return report["type"] == "default_factory_not_called"


def _requirement(report: ErrorDetails) -> str:
    template = REQUIREMENTS.get(report["type"])
    if template is None:  # a kind of check that the settings did not use before
        return f"valid ({report['msg']})"
    context = report.get("ctx", {}).items()
    # Limits are printed as they are written in the settings: 0, not 0.0.
    plain = {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in context}
    return template.format(**plain).replace("'", "`")


def _wrong_tag(spot: Spot, report: ErrorDetails) -> Finding:
    discriminator = report["ctx"]["discriminator"].strip("'")
    names = spot.alternatives(discriminator)
    path = (*spot.path, discriminator)
    if report["type"] == "union_tag_not_found":
        given = set(report["input"])
        fitting = [g for g in spot.groups if given <= g.model_fields.keys()]
        only = fitting[0].model_fields[discriminator] if len(fitting) == 1 and given else None
        proposed = str(get_args(only.annotation)[0]) if only is not None else None
        message = f"is missing; must be {one_of(names)}{did_you_mean(proposed)}"
        return Finding(path, message, proposed=proposed)
    value = report["input"][discriminator]
    proposed = meant_among(value, names) if isinstance(value, str) else None
    return Finding(path, must_be(one_of(names), value, names), proposed=proposed)


def _unknown_key(spot: Spot, root: type[Settings]) -> Finding:
    *parents, key = (str(part) for part in spot.path)
    group = ".".join(parents)
    owner = f"`{group}`" if parents else "the top level"
    owner += f" with {spot.choice}" if spot.choice else ""
    if "." in key:
        hint, meant = _dotted_key(".".join([*parents, key]), root)
        return Finding(spot.path, f"{quoted(key)} is not a setting of {owner}{hint}", meant)
    here = list(spot.group.model_fields)
    whole = ".".join([*parents, key])
    meant = _meant_key(whole, here, [*setting_names(root), *root.model_fields])
    if meant is not None and meant.rpartition(".")[0] == group:
        own = meant.rpartition(".")[2]
        hint = did_you_mean(own) if own in here else f"; `{own}` is a setting of other kinds"
    else:
        hint = did_you_mean(meant) or _advice(whole)
    hint = hint or f"; it has {', '.join(f'`{name}`' for name in here)}"
    return Finding(spot.path, f"{quoted(key)} is not a setting of {owner}{hint}", meant)


def _meant_key(whole: str, here: Sequence[str], known: Sequence[str]) -> str | None:
    """The dotted name among ``known`` that an unknown one means. Names ``here``, in its own group,
    come first."""
    group, dot, key = whole.rpartition(".")
    exact = [name for name in known if name.endswith(f".{key}")]
    elsewhere = exact[0] if len(exact) == 1 and exact != [whole] else None
    almost = near_miss(key, here, ALMOST)
    if almost and (not elsewhere or almost.startswith(key) or key.startswith(almost)):
        return f"{group}{dot}{almost}"
    if (meant := name_for(whole, known)) or advice_for(whole):
        return meant
    likeness = next(least for letters, least in LIKENESS if len(key) <= letters)
    close = begun_with(key, here) or near_miss(key, here, likeness)
    return f"{group}{dot}{close}" if close and not elsewhere else elsewhere


def _dotted_key(key: str, root: type[Settings]) -> tuple[str, str | None]:
    """End of a message about a dotted name in place of nested keys, and the setting it means."""
    own_names = "space" in root.model_fields and key.startswith(("space.", "parameters."))
    if own_names:
        return f"; write it nested: `{_nested(key, levels=1)}`", None
    names = setting_names(root)
    groups = {name[:place] for name in names for place, dot in enumerate(name) if dot == "."}
    if key in groups.union(names) or group_of_option(key):
        return f"; write it nested: `{_nested(key)}`; {DOTTED}", key
    _, meant = unknown_setting(key, root)
    return (did_you_mean(_nested(meant)), meant) if meant else (_advice(key) or f"; {DOTTED}", None)


def _nested(key: str, levels: int = -1) -> str:
    """A dotted name written as nested keys: ``loss: {weights: {aspect: …}}``."""
    *groups, last = printable(key).split(".", levels)
    return "".join(f"{group}: {{" for group in groups) + f"{last}: …" + "}" * len(groups)


def _advice(key: str) -> str:
    """End of a message about an unknown key: advice, if there is any."""
    advice = advice_for(key)
    return f"; {advice}" if advice else ""
