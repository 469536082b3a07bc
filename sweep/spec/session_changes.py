"""What may change between two sessions of a sweep, and what must not have been edited by hand."""

from __future__ import annotations

import difflib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from sweep.spec.checks.contradictions import check_sweep
from sweep.spec.load import load_trial, to_yaml
from sweep.spec.reading.yaml_document import read_document
from sweep.spec.search.replicate_plan import settings_of_run
from sweep.spec.search.search_strategy import seconds
from sweep.spec.search.sweep_spec import ChangesNoResult, SweepSpec
from sweep.spec.settings.data_settings import RawLayoutData
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.tree.moved_data import changed_parts, with_places_of
from sweep.spec.tree.setting_tree import Finding, run_ending_keys
from sweep.spec.tree.validation_reports import findings_of
from sweep.spec.words.phrases import quoted, shown
from sweep.vocabulary.errors import InputError, Mistake, ResultsError
from sweep.vocabulary.record import TrialRecord

S = TypeVar("S", bound=TrialSettings)

FREE = tuple(
    name
    for name, field in SweepSpec.model_fields.items()
    if any(isinstance(mark, ChangesNoResult) for mark in field.metadata)
)


MOST_RESTORED = 3
"""Number of changed settings up to which a refusal says how to ask for the recorded ones."""


def continued(recorded: Sequence[SweepSpec], requested: SweepSpec) -> SweepSpec:
    """The spec of a resumed sweep: the recorded one with the requested changes that are allowed.

    The request may also equal a spec from before an extension, so the file that started the sweep
    still resumes it.

    Args:
        recorded: all specs of the sweep so far, the current one last.
        requested: the spec of the new session.
    Raises:
        ResultsError: the request changes more than is allowed; shows the difference.
    """
    present = recorded[-1]
    if "seed_per_fold" not in requested.model_fields_set:  # its default has changed since
        requested = requested.model_copy(update={"seed_per_fold": present.seed_per_fold})
    if not any(_is_the_same(one, requested) for one in recorded):
        raise ResultsError(_refusal(present, requested))
    free = present.model_copy(update={key: getattr(requested, key) for key in FREE})
    return with_places_of(_pinned(free, requested), requested)


def extended(
    spec: SweepSpec, assignments: Sequence[str], *, begun_from: int | None = None
) -> SweepSpec:
    """A spec with more trials or time.

    Args:
        assignments: changes such as ``trials=+20``, ``trials=60``, ``time_budget=4h``,
            ``time_budget=+2h``.
        begun_from: number of trials before the last extension, if that has not finished. The same
            ``trials=+20`` given again, as after a kill, then adds nothing.
    Raises:
        InputError: with every mistake.
    """
    mistakes = []
    changes: dict[str, int | float] = {}
    for assignment in assignments:
        try:
            changes |= _read(assignment, spec, begun_from)
        except ValueError as error:
            mistakes.append(Mistake(str(error), file=f"--extend {assignment}"))
    if mistakes:
        raise InputError(mistakes)
    try:
        more = SweepSpec.model_validate(spec.model_dump(mode="json") | changes)
    except ValidationError as error:
        findings = findings_of(error, SweepSpec)
    else:
        findings = list(check_sweep(more))
        if not findings:
            return more
    raise InputError([finding.mistake("--extend") for finding in findings])


def edits(config: Path, spec: SweepSpec, trial: TrialRecord) -> list[Mistake]:
    """Where a trial's ``config.yaml`` says something else than its sweep gave the trial.

    The data may have moved since, and may have had no fingerprint then.

    Args:
        config: the file.
        spec: of the sweep.
        trial: only what was known at its start.

    Raises:
        InputError: it cannot be read, or has settings that this version does not know.
    """
    document = read_document(config)
    given = settings_of_run(spec, trial.parameters, trial.preset, trial.replicate)
    found = with_places_of(_pinned(load_trial(config), given), given)
    own, its = map(values_of, (found, given))
    # Earlier versions trained the replicates of a preset with the patience of the sweep file.
    free = run_ending_keys() if trial.preset and trial.replicate else ()
    mistakes = []
    for key in {**own, **its}:
        if own.get(key) != its.get(key) and key not in free:
            message = (
                f"is {shown(own.get(key))}, but {shown(its.get(key))} by sweep.yaml and the trial's"
                " trial.json: one of these files was edited by hand, and must be put back; other"
                " settings are for a new sweep with another `name:`"
            )
            placed = document.placed(Finding(tuple(key.split(".")), message))
            mistakes.append(replace(placed, kind="edited"))
    return mistakes


def _read(assignment: str, spec: SweepSpec, begun_from: int | None) -> dict[str, int | float]:
    """The new value of one assignment, by key; raises ValueError if it is wrong."""
    key, _, text = assignment.partition("=")
    sign, amount = text[:1], text.removeprefix("+")
    is_whole = amount.isascii() and amount.isdigit()
    if key == "trials":
        if not is_whole or len(amount) >= 10:
            raise ValueError(f"`trials` must read like `trials=+20`, but is {shown(text)}")
        total = int(amount) + (spec.trials if sign == "+" else 0)
        if sign == "+" and begun_from is not None and begun_from + int(amount) == spec.trials:
            total = spec.trials
        if total < spec.trials:
            raise ValueError(f"the sweep has {spec.trials} trials already, not {total}")
        return {key: total}
    if key == "time_budget":
        time = float(amount if is_whole else seconds(amount))
        return {key: time + ((spec.time_budget or 0.0) if sign == "+" else 0.0)}
    raise ValueError(f"only `trials` and `time_budget` can be extended, but not {quoted(key)}")


def _fixed(spec: SweepSpec) -> str:
    """The spec as text, with the keys that may change at their defaults."""
    defaults = {key: SweepSpec.model_fields[key].get_default() for key in FREE}
    return to_yaml(spec.model_copy(update=defaults))


def _is_the_same(recorded: SweepSpec, requested: SweepSpec) -> bool:
    """Whether they differ only in keys that may change and in where the same data are."""
    requested = _as_before_fingerprints(recorded, requested)
    return _fixed(with_places_of(recorded, requested)) == _fixed(requested)


def _as_before_fingerprints(recorded: SweepSpec, requested: SweepSpec) -> SweepSpec:
    """The requested spec as a version without fingerprints would have recorded it."""
    updates: dict[str, Any] = {}
    for group in ("data", "trainer"):
        then, now = getattr(recorded, group), getattr(requested, group)
        if getattr(then, "fingerprint", None) is None and hasattr(now, "fingerprint"):
            updates[group] = now.model_copy(update={"fingerprint": None})
    data = updates.get("data")
    if data is not None and data.slice_axis == "auto" and isinstance(recorded.data, RawLayoutData):
        updates["data"] = data.model_copy(update={"slice_axis": recorded.data.slice_axis})
    return requested.model_copy(update=updates)


def _pinned(recorded: S, requested: TrialSettings) -> S:
    """Settings without fingerprints, completed with those of the current data."""
    updates: dict[str, Any] = {}
    for group in ("data", "trainer"):
        then, now = getattr(recorded, group), getattr(requested, group)
        if getattr(then, "fingerprint", "") is None and hasattr(now, "fingerprint"):
            updates[group] = then.model_copy(update={"fingerprint": now.fingerprint})
    return recorded.model_copy(update=updates)


def _refusal(present: SweepSpec, requested: SweepSpec) -> str:
    name = requested.name
    for group in ("data", "trainer"):
        then = getattr(getattr(present, group), "fingerprint", None)
        now = getattr(getattr(requested, group), "fingerprint", None)
        if then and now and then != now:
            parts = ", ".join(changed_parts(then, now))
            return (
                f"{name} holds a sweep over other data: {parts} of the dataset differ from what it"
                " was started with; put those back, or choose another `name:` for the changed data"
            )
    judged = ""
    if present.judged_by != requested.judged_by:
        was, now = present.judged_by.words, requested.judged_by.words
        judged = f"{name}: its trials were compared by {was}, not by {now}. "
    present = with_places_of(present, requested)
    before, after = _fixed(present), _fixed(_as_before_fingerprints(present, requested))
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), "recorded", "asked for", lineterm="", n=0
    )
    free = ", ".join(f"`{key}`" for key in FREE)
    return (
        f"{judged}{name} holds a sweep with another spec; resume that one, or choose another"
        f" `name:` for the changed one. You can change {free}; for more trials,"
        f" --extend trials=+20.{_as_recorded(present, requested)}\n" + "\n".join(lines)
    )


def _as_recorded(present: SweepSpec, requested: SweepSpec) -> str:
    """How to ask for the recorded values again; empty where that is more than a few settings.

    A user may have changed nothing: a default can differ in a later version.
    """
    then = values_of(present)
    now = values_of(_as_before_fingerprints(present, requested))
    changed = [key for key in then if then[key] != now.get(key) and key.split(".")[0] not in FREE]
    if then.keys() != now.keys() or "space" in changed or not 0 < len(changed) <= MOST_RESTORED:
        return ""
    options = (f"--set {shlex.quote(f'{key}={json.dumps(then[key])}')}" for key in changed)
    return f" To go on as recorded: {' '.join(options)}"


def values_of(settings: TrialSettings) -> dict[str, Any]:
    """Every value as JSON has it, by its dotted name, also the user's own options."""
    return _leaves(settings.model_dump(mode="json"))


def _leaves(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """The values of nested mappings by their dotted names; ``space`` is one value."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{above}{key}"
        nested = isinstance(value, dict) and name != "space"
        found |= _leaves(value, f"{name}.") if nested else {name: value}
    return found
