"""From a YAML file to validated settings, reporting every mistake at once, and back."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.nodes import Node
from ruamel.yaml.representer import SafeRepresenter

from sweep.machine.hardware import Machine
from sweep.spec.checks.contradictions import (
    check_device,
    check_installed,
    check_machine,
    check_space,
    check_sweep,
)
from sweep.spec.checks.inactive_settings import GROUPS, Rule, without_effect
from sweep.spec.checks.plugin_checks import check_plugins, check_weights
from sweep.spec.reading.partial_document import Unsure, read_despite
from sweep.spec.reading.yaml_document import Document, plain_document, read_document
from sweep.spec.search.replicate_plan import further_folds
from sweep.spec.search.sweep_spec import SweepSpec, check_name
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.space.distributions import possible_values
from sweep.spec.space.presets import PRESETS, check_preset
from sweep.spec.tree.setting_tree import Finding
from sweep.spec.words.phrases import shown
from sweep.vocabulary.errors import InputError, Mistake

SWEEP_KEYS = [key for key in SweepSpec.model_fields if key not in TrialSettings.model_fields]
MOST_LOOKS = 10
"""Most values of a searched setting that are checked with the data, since each takes a moment."""

Source = str | Path | Mapping[str, Any]
"""A YAML file, or its content as Python values."""
Warn = Callable[[Mistake], None]
"""Called with each requested setting that has no effect but is not a mistake."""
CheckData = Callable[[TrialSettings], Sequence[Mistake]]
"""Checks data and trainer of some settings. This package does not read data itself."""
LookForIdle = Callable[[TrialSettings], Iterable[Rule]]
"""Finds settings without effect, given data and trainer."""
CheckEarlier = Callable[[SweepSpec], Iterable[Finding]]
"""Checks the earlier results that a sweep learns from."""

S = TypeVar("S", bound=TrialSettings)


def load_sweep(
    source: Source,
    overrides: Sequence[str] = (),
    *,
    machine: Machine | None = None,
    check_data: CheckData | None = None,
    look_for_idle: LookForIdle | None = None,
    check_earlier: CheckEarlier | None = None,
    warn: Warn | None = None,
) -> SweepSpec:
    """Read and validate a sweep file.

    Args:
        source: the YAML file or its values. Mistakes in plain values have no line.
        overrides: ``dotted.key=value`` texts, applied in order before anything is validated.
        machine: the machine that the sweep will run on, to check its resources; optional.
        check_data: reports mistakes that only a look at the data shows.
        look_for_idle: reports settings without effect that only such a look shows.
        check_earlier: reports mistakes of the results folders that the sweep learns from.
        warn: see `Warn`.

    Raises:
        InputError: with every mistake, its file, line and key.
    """
    document = _read(source, overrides)
    if document.values.keys() <= TrialSettings.model_fields.keys():
        how = _run_with(document, "train")
        message = f"this file has no `space`, so it describes a single trial; {how}"
        single = Mistake(message, file=document.file)
        _, findings, _ = read_despite(document, TrialSettings)
        raise InputError([single, *document.mistakes_from(findings)])
    wrong_name = _fill_name(document)
    spec, findings, unsure = read_despite(document, SweepSpec)
    if spec is not None:
        findings += [*check_sweep(spec, unsure), *check_weights(spec, unsure)]
        findings += _without_effect(document, spec, unsure, look_for_idle, warn, refuses=True)
        findings += check_space(spec, unsure)
        if warn:
            for finding in _overridden_but_searched(document, spec):
                warn(document.placed(finding))
        findings += check_earlier(spec) if check_earlier and "warm_start" not in unsure else []
        if machine:
            findings += [*check_machine(spec, machine, unsure), *check_installed(spec)]
            findings += check_plugins(spec, unsure)
        findings += _look_at_data(document, spec, check_data, unsure)
        findings += _look_at_folds(spec, check_data)
        findings += _look_at_searched(spec, check_data, unsure)
    return _valid(document, spec, wrong_name + findings)


def load_trial(
    source: Source,
    overrides: Sequence[str] = (),
    *,
    machine: Machine | None = None,
    check_data: CheckData | None = None,
    look_for_idle: LookForIdle | None = None,
    warn: Warn | None = None,
) -> TrialSettings:
    """Read and validate the settings of one trial; arguments and errors as for `load_sweep`.

    Settings without effect are reported but never refused. The trials of a sweep share a base, so a
    setting in a ``best.yaml`` may have acted only in other trials.
    """
    document = _read(source, overrides)
    key = next((key for key in SWEEP_KEYS if key in document.values), None)
    if key:
        message = f"this file has `{key}`, so it describes a sweep; {_run_with(document, 'run')}"
        raise InputError.single(message, file=document.file)
    settings, findings, unsure = read_despite(document, TrialSettings)
    if settings is not None:
        _without_effect(document, settings, unsure, look_for_idle, warn, refuses=False)
        if machine:
            findings += [*check_device(settings, machine, unsure), *check_plugins(settings, unsure)]
        findings += _look_at_data(document, settings, check_data, unsure)
    return _valid(document, settings, findings)


def to_yaml(settings: TrialSettings) -> str:
    """The effective settings with defaults filled in. Reading them back gives equal settings.

    Groups that the trainer does not read are left out if they have default values, because they
    would describe data and networks that are not used.
    """
    values = settings.model_dump(mode="json")
    for group in GROUPS.keys() - settings.trainer.traits.reads:
        if getattr(settings, group) == TrialSettings.model_fields[group].get_default():
            del values[group]
    ordered = {key: values.pop(key) for key in SWEEP_KEYS if key in values}
    groups = (ordered | values).items()
    return "".join(_group_as_yaml(json.dumps({key: group})) for key, group in groups)


@lru_cache(maxsize=1024)
def _group_as_yaml(group: str) -> str:
    """YAML of one group, given as JSON: it takes milliseconds, and trials share most groups."""
    text = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # declared as None
    yaml.width = 10**6  # a folded text would be harder to read than a long line
    yaml.dump(json.loads(group), text)
    return text.getvalue()


def _valid(document: Document, settings: S | None, findings: list[Finding]) -> S:
    mistakes = document.mistakes_from(findings)
    if mistakes or settings is None:
        raise InputError(mistakes)
    return settings


def _without_effect(
    document: Document,
    settings: TrialSettings,
    unsure: Unsure,
    look_for_idle: LookForIdle | None,
    warn: Warn | None,
    *,
    refuses: bool,
) -> list[Finding]:
    """The settings without effect that are mistakes. Any other is passed to ``warn``."""
    further = look_for_idle(settings) if look_for_idle and "trainer" not in unsure else ()
    idle = list(without_effect(settings, document.written, unsure, further))
    for finding, refused in idle:
        if warn and not (refused and refuses):
            warn(document.placed(finding))
    return [finding for finding, refused in idle if refused and refuses]


def _overridden_but_searched(document: Document, spec: SweepSpec) -> list[Finding]:
    """Overrides that no drawn trial sees. In a file, such a value may be meant for presets."""
    return [
        Finding(
            tuple(key.split(".")),
            "is searched, so this value holds only where it is not drawn, as in a preset; "
            f"`--set 'space.{key}={{choice: [{shown(document.written(key))}]}}'` fixes it",
        )
        for key in spec.space
        if document.overridden(key)
    ]


def _look_at_data(
    document: Document, settings: TrialSettings, check_data: CheckData | None, unsure: Unsure
) -> list[Finding]:
    """Mistakes of the data with a key. Those of the dataset's files are noted in ``document``."""
    mistakes = check_data(settings) if check_data and "trainer.kind" not in unsure else ()
    document.mistakes += [mistake for mistake in mistakes if mistake.file]
    searched = settings.space if isinstance(settings, SweepSpec) else {}
    return [
        Finding(tuple(mistake.key.split(".")), mistake.message)
        for mistake in mistakes
        if not mistake.file and mistake.key not in unsure and mistake.key not in searched
    ]


def _look_at_folds(spec: SweepSpec, check_data: CheckData | None) -> Iterator[Finding]:
    """Folds of replicates that the data do not have."""
    further = {key: folds for key, folds in further_folds(spec).items() if folds}
    if check_data is None or not further or check_data(spec):
        return
    for key, folds in further.items():
        try:
            every = [spec.trial({spec.trainer.traits.fold_key: fold}) for fold in folds]
        except InputError:  # too few folds, which is reported elsewhere
            continue
        found = [check_data(settings) for settings in every]
        if first := next(filter(None, found), None):
            most = 1 + sum(not mistakes for mistakes in found)
            message = f"{first[0].message}; it must be at most {most} here"
            yield Finding((key, "folds"), message)


def _look_at_searched(
    spec: SweepSpec, check_data: CheckData | None, unsure: Unsure
) -> list[Finding]:
    """Searched values that data and trainer do not allow, such as a missing fold."""
    if check_data is None or "trainer.kind" in unsure:
        return []
    findings: dict[Finding, None] = {}
    base = {mistake.message for mistake in check_data(spec)}
    traits = spec.trainer.traits
    for key, distribution in spec.space.items():
        is_looked_at = key.partition(".")[0] in traits.looked_at or key in traits.must_fit_data
        if not is_looked_at or key in unsure:
            continue
        for value in possible_values(distribution)[:MOST_LOOKS]:
            try:
                mistakes = check_data(spec.trial({key: value}))
            except InputError:  # reported elsewhere
                continue
            new = (mistake for mistake in mistakes if mistake.message not in base)
            findings |= {Finding(("space", key), mistake.message): None for mistake in new}
    return list(findings)


def _run_with(document: Document, command: str) -> str:
    if not document.file:
        return f"give it to `sweep.{command}`"
    return f"run it with `python -m sweep.{command} {quote(document.file)}`"


def _read(source: Source, overrides: Sequence[str]) -> Document:
    document = plain_document(source) if isinstance(source, Mapping) else read_document(source)
    for override in overrides:
        document.override(override)
    _expand_preset(document)
    return document


def _expand_preset(document: Document) -> None:
    """Replace ``preset: NAME`` by its settings. Settings in the file itself win."""
    if "preset" not in document.values:
        return
    name, path = document.values.pop("preset"), ("preset",)
    if path in document.unreadable:
        return
    place = document.places[path]
    try:
        preset = PRESETS[check_preset(name)]
    except ValueError as error:
        document.wrong(place, path, str(error))
        return
    for key, value in preset.settings.items():
        document.fill(key, value, place)


def _fill_name(document: Document) -> list[Finding]:
    """Name the sweep after its file, unless the file has a name or its own is unsuitable."""
    if "name" in document.values:
        return []
    stem = Path(document.file).stem
    try:
        document.values["name"] = check_name(stem)
    except ValueError:
        document.values["name"] = "unnamed"
        message = f"the file name {shown(stem)} cannot name a sweep; give a `name:`"
        return [Finding(("name",), message if stem else "is missing")]
    return []


class _Representer(SafeRepresenter):
    """Mappings as blocks, lists on one line, no anchors; floats that YAML 1.1 reads as floats."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_flow_list(self, data: list[Any]) -> Node:
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)

    def represent_text(self, data: str) -> Node:
        # Quoted if YAML would read a character as a line break or drop it.
        style = None if data.isprintable() else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    def represent_dotted_float(self, data: float) -> Node:
        mantissa, exponent, power = repr(data).partition("e")
        dotted = mantissa if "." in mantissa else f"{mantissa}.0"
        return self.represent_scalar("tag:yaml.org,2002:float", dotted + exponent + power)


_Representer.add_representer(list, _Representer.represent_flow_list)
_Representer.add_representer(str, _Representer.represent_text)
_Representer.add_representer(float, _Representer.represent_dotted_float)
