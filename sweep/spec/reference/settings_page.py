"""The reference of all settings as a Markdown page, from the same schemas that editors read."""

from __future__ import annotations

import inspect
import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from sweep.plugins.entry_names import PLUGIN_PATTERN
from sweep.spec.checks.inactive_settings import RULES
from sweep.spec.reference.json_schema import (
    Schema,
    groups_of,
    options,
    referred,
    sweep_schema,
    trial_schema,
    values_of,
)
from sweep.spec.reference.suggested_distributions import suggestion
from sweep.spec.space.distribution_yaml import DISTRIBUTIONS
from sweep.spec.space.presets import PRESETS
from sweep.spec.tree.setting_tree import (
    after_switch_on_keys,
    choosing_keys,
    run_ending_keys,
    unsearched_keys,
)

LATE, ENDS = "▲", "■"
KINDS = {
    "boolean": "`true`, `false`",
    "integer": "whole number",
    "null": "`null`",
    "number": "number",
    "object": "a mapping of names to values",
    "string": "text",
}
LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}

HEAD = f"""\
<!-- Written by `python -m sweep.schema --write docs`; a test holds it current. -->

# All settings

A trial's file (`best.yaml`, `config.yaml`) holds the
[settings of a trial](#settings-of-a-trial); a sweep's file holds the same, and what is
[searched and how](#settings-of-a-sweep). Every key but `space` can be left out. A setting of a
trial is searched by its dotted name, such as `loss.warmup_epochs`; [a few cannot
be](#distributions). The last column proposes a distribution to begin with, derived from type and
default alone.

{LATE} acts only once the geometric loss switches on. Until then, trials that
differ only in these are [the same run](../explanation/shared-warm-ups.md), which is trained once.
{ENDS} decides where a run ends, but not what it trains before.

## Completion in an editor

Editors with
[yaml-language-server](https://github.com/redhat-developer/yaml-language-server), such as VS Code
with the YAML extension, complete keys and values, show these explanations and underline mistakes.
The first line of the file has to name the schema:

```yaml
# yaml-language-server: $schema=../docs/schema/sweep.schema.json
```

[sweep.schema.json](../schema/sweep.schema.json) is for sweeps,
[trial.schema.json](../schema/trial.schema.json) for single trials;
`python -m sweep.schema > sweep.schema.json` writes the one of the installed version. Rules that a
schema cannot express, such as settings that limit each other, are checked by
`python -m sweep.check`. A schema knows plug-ins as `package.module:attribute` or
`file.py:attribute`. It does not know which names the packages that you have installed
[register](../how-to/plugins.md): an editor underlines those, `sweep.check` takes them.
"""


def reference() -> str:
    """The whole page."""
    trial, sweep = trial_schema(), sweep_schema()
    own = {n: part for n, part in sweep["properties"].items() if n not in trial["properties"]}
    space = own.pop("space")
    lines = [
        HEAD,
        "## Settings of a trial\n",
        *_group("", trial, trial, space["properties"], level=3),
        "## Settings of a sweep\n",
        "`space` maps the dotted name of a setting to its [distribution](#distributions).\n",
        *_group("", {"properties": own}, sweep, {}, level=3),
        *_distributions(),
        *_presets(),
        *_without_effect(),
    ]
    return "\n".join(lines)


def _group(prefix: str, group: Schema, root: Schema, space: Schema, *, level: int) -> Iterator[str]:
    """A table of the group's own settings, followed by the groups below it."""
    below = {name: _alternatives(part, root) for name, part in group["properties"].items()}
    single = {name: group["properties"][name] for name, groups in below.items() if not groups}
    if single:
        yield from _table(prefix, {**group, "properties": single}, root, space)
        for name, schema in single.items():
            yield from _mapping(prefix + name, schema, root)
    for name, groups in below.items():
        if groups:
            yield f"{'#' * level} `{prefix}{name}`\n"
            yield from _bare_words(prefix + name, group["properties"][name], groups)
            yield from _union(f"{prefix}{name}.", groups, root, space, level=level)


def _union(
    prefix: str, groups: list[Schema], root: Schema, space: Schema, *, level: int
) -> Iterator[str]:
    """One group, or alternatives: first the settings of most of them, then those of each."""
    if len(groups) == 1:
        yield f"{_sentence(groups[0]['description'])}\n"
        yield from _group(prefix, groups[0], root, space, level=level + 1)
        return
    [key] = [name for name, part in groups[0]["properties"].items() if "const" in part]
    parts = [group["properties"] for group in groups]
    common = {
        name: schema
        for part in parts
        for name, schema in part.items()
        if [other.get(name, schema) for other in parts].count(schema) == len(parts)
        and 2 * sum(name in other for other in parts) > len(parts)
    }
    if common:
        yield from _table(prefix, {"properties": common}, root, space)
    for group in groups:
        word = options(group["properties"][key])[0]["const"]
        yield f"**`{prefix}{key}: {word}`** {_sentence(group['description'])}\n"
        own = {n: p for n, p in group["properties"].items() if n not in common and n != key}
        yield from _group(prefix, {**group, "properties": own}, root, space, level=level + 1)


def _bare_words(name: str, schema: Schema, groups: list[Schema]) -> Iterator[str]:
    """Sentence on the short form ``searcher: tpe`` and the default."""
    if len(groups) == 1 and len(options(schema)) > 1:
        first = next(iter(groups[0]["properties"]))
        yield f"`{name}: NAME` is short for `{name}: {{{first}: NAME}}`.\n"
    elif len(groups) < len(options(schema)):
        [default] = [g for g in groups if "name" not in g.get("required", ())]
        word = default["properties"]["name"]["const"]
        yield f"By default `{word}`; `{name}: {word}` is short for `{name}: {{name: {word}}}`.\n"


def _mapping(name: str, schema: Schema, root: Schema) -> Iterator[str]:
    """The keys of a setting that is a mapping, or a list of such."""
    for group in referred(schema, root):
        yield f"**`{name}`** {_sentence(group['description'])}\n"
        yield from _table(f"{name}: ", group, root, {})


def _alternatives(schema: Schema, root: Schema) -> list[Schema]:
    """The groups that a key takes, also beside a bare word or null; empty for a single setting."""
    if groups := groups_of(schema, root):
        return groups
    kinds = [one for one in options(schema) if one.get("type") != "array"]  # nor several of them
    found = referred({"anyOf": kinds}, root)
    has_word = len(found) == 1 and len(kinds) == 2 and {"type": "string"} in kinds
    return found if len(found) > 1 or has_word else []


def _table(prefix: str, group: Schema, root: Schema, space: Schema) -> Iterator[str]:
    settings = group["properties"]
    needed = {*group.get("required", ()), *group.get("then", {}).get("required", ())}
    searchable = bool(space)
    yield "| setting | takes | default | meaning |" + " to search it |" * searchable
    yield "|---|---|---|---|" + "---|" * searchable
    for name, schema in settings.items():
        key = prefix + name
        late, ends = key in after_switch_on_keys(), key in run_ending_keys()
        setting = f"`{key}`" + f" {LATE}" * late + f" {ENDS}" * ends
        meaning = str(schema.get("description", "")).replace("\n\n", " ")
        cells = [setting, _takes(schema, root), _default(name, schema, needed), meaning]
        if searchable:
            example = suggestion(key, values_of(schema), schema.get("default"))
            cells.append(f"`{_yaml(example)}`" if example and key in space else "–")
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""


def _takes(schema: Schema, root: Schema) -> str:
    kinds = options(schema)
    words = ["a list of them" if one.get("items") in kinds else _option(one, root) for one in kinds]
    return ", ".join(dict.fromkeys(words))


def _option(option: Schema, root: Schema) -> str:
    for group in referred(option, root):
        return f"a mapping of {_listed(group['properties'])}"
    if option.get("pattern") == PLUGIN_PATTERN:
        return "a plug-in"
    if "const" in option or "enum" in option:
        return _listed(option.get("enum") or [option["const"]])
    if option["type"] == "array":
        return f"a list of {_takes(option['items'], root)}"
    limits = (f" {sign} {option[limit]}" for limit, sign in LIMITS.items() if limit in option)
    return KINDS[option["type"]] + ",".join(limits)


def _default(name: str, schema: Schema, needed: Collection[str]) -> str:
    if "default" in schema:
        return f"`{_yaml(schema['default'])}`"
    derived = {"name": "the file's name", "trials": "20, or the grid"}
    return "must be given" if name in needed else derived.get(name, "–")


def _yaml(value: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, float):
        return f"{value:g}".replace("e-0", "e-")
    return value if isinstance(value, str) else json.dumps(value)


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(f"`{_yaml(value)}`" for value in values)


def _sentence(text: str) -> str:
    return text.replace("``", "`")


def _distributions() -> Iterator[str]:
    yield "## Distributions\n"
    yield "| in the YAML | draws |"
    yield "|---|---|"
    for word, kind in DISTRIBUTIONS.items():
        yield f"| `{{{word}: {kind.takes}}}` | {inspect.getdoc(kind)} |"
    yield ""
    yield "In `uniform`, `loguniform`, `randint` and `lograndint` a bound can be the name of"
    yield "another setting: `loss.rampup_epochs: {randint: [0, loss.warmup_epochs]}`. `when:`"
    yield "beside a distribution makes it [conditional](search.md#conditional-settings):"
    yield "`optimizer.momentum: {uniform: [0.8, 0.99], when: {optimizer.name: sgd}}`.\n"
    yield "A value of a `choice` or `grid` can be a list: `{choice: [[16, 32], [16, 32, 64]]}`."
    yield "Beside a distribution, `prior: 0.01` or `prior: {value: 0.01, sure: high}` says what is"
    yield "[likely](search.md#priors).\n"
    never = _listed(sorted(choosing_keys()))
    same = _listed(sorted(unsearched_keys()))
    yield f"Not searched: {never}, which decide which other settings exist, and {same},"
    yield "which are the same for all trials. Nothing is proposed for seeds and folds:"
    yield "[`confirm`](../how-to/confirm.md) varies them for the leaders.\n"


def _presets() -> Iterator[str]:
    yield "## Presets\n"
    yield "`preset: NAME` stands for these settings; the file's own keys win. `presets: [NAME]`"
    yield "in a sweep file adds trials of their own.\n"
    for name, preset in PRESETS.items():
        yield f"**`{name}`** {preset.about}\n"
        values = ", ".join(f"`{key}: {_yaml(value)}`" for key, value in preset.settings.items())
        yield f"{values}\n"


def _without_effect() -> Iterator[str]:
    yield "## Without effect beside others\n"
    yield "`sweep.check` reports a value without effect and refuses the marked ones in a sweep. It"
    yield "also refuses to search any of these settings, because all trials would be the same.\n"
    yield "| setting | has no effect where | |"
    yield "|---|---|---|"
    for rule in RULES:
        grade = "refused" if rule.refused else "refused to be searched" if rule.of_search else ""
        yield f"| {_listed(rule.keys)} | {rule.why} | {grade} |"
    yield ""
