"""JSON Schemas of the YAML files for editors, with all short forms.

A schema accepts all that `sweep.check` accepts, and more: it cannot express rules such as settings
that limit each other, or the order of bounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

from sweep.plugins.entry_names import PLUGIN, PLUGIN_PATTERN
from sweep.spec.reference.suggested_distributions import suggestion
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.space.distribution_yaml import BESIDE, DISTRIBUTIONS, SYNONYMS
from sweep.spec.space.distributions import Interval
from sweep.spec.space.presets import PRESETS
from sweep.spec.space.priors import Prior, Sureness
from sweep.spec.tree.setting_tree import choosing_keys, unsearched_keys

Schema = dict[str, Any]
"""A JSON Schema, or a part of one."""

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The draft that yaml-language-server supports. Later drafts mean the same by all keywords here."""
WHEN = "When"
"""Name of the definition of conditions."""
NUMBERS = {"number", "integer"}
SCALARS = NUMBERS | {"string", "boolean", "null"}


def trial_schema() -> Schema:
    """The schema of a trial's file (``config.yaml``, ``best.yaml``)."""
    schema = _cleaned(TrialSettings.model_json_schema())
    schema["properties"]["preset"] = {
        "enum": list(PRESETS),
        "description": "Name of a preset. Settings in the file itself win.",
    }
    return {"$schema": DIALECT, **schema}


def sweep_schema() -> Schema:
    """The schema of a sweep's file."""
    schema = _cleaned(SweepSpec.model_json_schema())
    own = trial_schema()
    schema["properties"]["preset"] = own["properties"]["preset"]
    schema["properties"]["space"] = {
        "type": "object",
        "description": schema["properties"]["space"].get("description", ""),
        "minProperties": 1,
        "additionalProperties": False,
        "properties": dict(_space(own)),
        "patternProperties": dict(_open_space(own)),
    }
    schema["$defs"][WHEN] = _conditions()
    schema["required"].remove("name")  # by default, it is the file's
    return {"$schema": DIALECT, **schema}


def single_settings(
    root: Schema, group: Schema | None = None, prefix: str = ""
) -> Iterator[tuple[str, Schema]]:
    """Dotted name and schema of each single setting, once for each alternative.

    Args:
        root: a whole schema.
        group: the part of it to read; None: all.
        prefix: prefix of the names.
    """
    for name, below in (root if group is None else group)["properties"].items():
        groups = groups_of(below, root)
        for one in groups:
            yield from single_settings(root, one, f"{prefix}{name}.")
        if not groups:
            yield prefix + name, below


def groups_of(schema: Schema, root: Schema) -> list[Schema]:
    """The alternative groups of settings that a key takes; empty where it takes anything else."""
    found = referred(schema, root)
    return found if len(found) == len(options(schema)) else []


def referred(schema: Schema, root: Schema) -> list[Schema]:
    """The groups among the alternatives of a key."""
    names = [one["$ref"].rpartition("/")[2] for one in options(schema) if "$ref" in one]
    return [root["$defs"][name] for name in names]


def options(schema: Schema) -> list[Schema]:
    """The alternatives of a key, without the attributes of the key as a whole."""
    if "$ref" in schema:
        return [schema]
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return [part for one in schema[union] for part in options(one)]
    return [{key: value for key, value in schema.items() if key not in ("description", "default")}]


def _cleaned(schema: Schema) -> Schema:
    """pydantic's schema without titles that repeat names, and with one line per paragraph."""
    schema.pop("title")
    for part in _parts(schema):
        if "description" in part:
            paragraphs = part["description"].split("\n\n")
            paragraphs = [text for text in paragraphs if not text.lstrip().startswith(">>>")]
            part["description"] = "\n\n".join(" ".join(text.split()) for text in paragraphs)
        part.pop("title", None)
        _require_the_choice(part, schema)
        part.pop("discriminator", None)
        if isinstance(part.get("default"), dict):  # of a group: its settings have the same defaults
            del part["default"]
    for group in schema["$defs"].values():
        _admit_plugin_names(group)
    return schema


def _parts(schema: Schema) -> Iterator[Schema]:
    yield schema
    below = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    below += [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    for part in [*below, *([schema["items"]] if "items" in schema else [])]:
        yield from _parts(part)


def _require_the_choice(schema: Schema, root: Schema) -> None:
    """Require the word that chooses among alternative groups (``source: brain``).

    It can be left out only if a validator fills in a default (``searcher``). pydantic then
    describes a plain union without a discriminator.
    """
    groups = referred(schema, root)
    if len(groups) < 2:
        return
    [key] = [
        name
        for name in groups[0]["properties"]
        if all("const" in group["properties"].get(name, {}) for group in groups)
    ]
    default = None if "discriminator" in schema else schema.get("default", {}).get(key)
    for group in groups:
        if group["properties"][key]["const"] != default:
            group["required"] = list(dict.fromkeys([key, *group.get("required", ())]))


def _admit_plugin_names(group: Schema) -> None:
    """Accept the name of a plug-in in place of ``custom`` and its ``entry``."""
    for key in ("name", "source"):
        choice = group.get("properties", {}).get(key, {})
        if choice.get("const") == PLUGIN:
            choice["anyOf"] = [{"const": choice.pop("const")}, {"pattern": PLUGIN_PATTERN}]
            group["if"] = {"properties": {key: {"const": PLUGIN}}}
            group["then"] = {"required": group["required"]}
            group["required"] = [key]


def _space(trial: Schema) -> Iterator[tuple[str, Schema]]:
    """The possible distributions of each setting that can be searched."""
    alternatives: dict[str, list[Schema]] = {}
    for name, schema in single_settings(trial):
        alternatives.setdefault(name, []).append(schema)
    for key in choosing_keys() | unsearched_keys() | {"preset"}:
        for name in (key, key.partition(".")[0]):  # a group that has a short form is one setting
            alternatives.pop(name, None)
    for name, schemas in alternatives.items():
        kinds: list[Schema] = []
        for option in (option for schema in schemas for option in values_of(schema)):
            kinds += [option] * (option not in kinds)
        if kinds:
            yield name, _searched(name, schemas[0], kinds)


def _open_space(trial: Schema) -> Iterator[tuple[str, Schema]]:
    """The same for mappings with a user's own keys (``trainer.options``), by pattern."""
    for name, schema in [*single_settings(trial), *_groups_with_own_keys(trial, trial)]:
        for option in options(schema):
            own = option.get("additionalProperties")
            if option.get("type") == "object" and own:
                pattern = f"^{re.escape(name)}[.][A-Za-z_][A-Za-z0-9_]*$"
                yield pattern, _searched(name, schema, options(own), synonyms=False)


def _groups_with_own_keys(
    root: Schema, group: Schema, prefix: str = ""
) -> Iterator[tuple[str, Schema]]:
    """Groups of settings that take further keys (``loss.weights``), and what these take."""
    for name, below in group["properties"].items():
        for one in groups_of(below, root):
            yield from _groups_with_own_keys(root, one, f"{prefix}{name}.")
            if one.get("additionalProperties"):
                yield prefix + name, {**one, "description": "Weight of a plug-in's term."}


def _searched(name: str, setting: Schema, kinds: list[Schema], *, synonyms: bool = True) -> Schema:
    """The distributions of one setting, each with the allowed items of its list."""
    numbers = [option for option in kinds if option.get("type") in NUMBERS]
    fractions = [option for option in numbers if option["type"] == "number"]
    lows = [option["minimum"] for option in numbers if "minimum" in option]
    whole = [{"type": "integer", **({"minimum": min(lows)} if lows else {})}] * bool(numbers)
    takes: dict[str, list[Schema]] = {
        "uniform": fractions,
        "loguniform": [{"exclusiveMinimum": 0, **option} for option in fractions],
        "quniform": fractions,
        "randint": whole,
        "qrandint": [{**option, "minimum": min(1, *lows)} if lows else option for option in whole],
        "lograndint": [{**option, "minimum": max(1, *lows, 1)} for option in whole],
        "choice": kinds,
        "grid": kinds,
    }
    properties = {word: _list_of(word, takes[word]) for word in DISTRIBUTIONS if takes[word]}
    here = f"#/properties/space/properties/{name}/properties"
    if synonyms:
        properties |= {word: {"$ref": f"{here}/{meant}"} for word, meant in SYNONYMS.items()}
    properties["prior"] = _prior(kinds)
    example = suggestion(name, values_of(setting), setting.get("default"))
    return {
        "type": "object",
        "description": setting.get("description", ""),
        "minProperties": 1,
        "maxProperties": 1 + len(BESIDE),
        "oneOf": [{"required": [word]} for word in properties if word not in BESIDE],
        "additionalProperties": False,
        "properties": properties | {"when": {"$ref": f"#/$defs/{WHEN}"}},
        **({"examples": [example]} if example else {}),
    }


def _conditions() -> Schema:
    """What stands below `when`."""
    value = {"type": ["string", "number", "boolean", "null"]}
    bounds = {"above": {"type": "number"}, "below": {"type": "number"}}
    between = {"type": "object", "minProperties": 1, "additionalProperties": False}
    return {
        "type": "object",
        "description": "Draw the setting only where other searched settings have certain values: "
        "`{optimizer.name: sgd}`, `{optimizer.name: [sgd, adamw]}`, "
        "`{loss.weights.compactness: {above: 0}}`. All of them must hold.",
        "minProperties": 1,
        "additionalProperties": {
            "anyOf": [
                value,
                {"type": "array", "minItems": 1},
                {**between, "properties": bounds},
            ]
        },
    }


def _prior(kinds: list[Schema]) -> Schema:
    """The likely value, alone or with how sure the user is."""
    value = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    sure = {"enum": [*get_args(Sureness)], "default": Prior.sure}
    both = {
        "type": "object",
        "properties": {"value": value, "sure": sure},
        "required": ["value"],
        "additionalProperties": False,
    }
    about = "The likely value, or `{value: …, sure: low | medium | high}`."
    return {"description": about, "anyOf": [*kinds, both]}


def _list_of(word: str, items: list[Schema]) -> Schema:
    kind = DISTRIBUTIONS[word]
    count = kind.takes.count(",") + 1
    size = {"minItems": count, "maxItems": count} if "…" not in kind.takes else {"minItems": 1}
    about = f"`{word}: {kind.takes}`. {kind.__doc__}"
    if kind.takes == Interval.takes:
        items = [
            {**one, "type": [one["type"], "string"], "pattern": "^[a-z_]+[.]"} for one in items
        ]
    item = items[0] if len(items) == 1 else {"anyOf": items}
    return {"type": "array", "description": about, **size, "items": item}


def values_of(setting: Schema) -> list[Schema]:
    """The kinds of values that a setting takes: single ones and lists; mappings cannot be drawn."""
    return [
        option
        for option in options(setting)
        if option.get("type") in SCALARS | {"array"} or ("enum" in option and "type" not in option)
    ]
