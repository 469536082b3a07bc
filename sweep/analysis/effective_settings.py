"""What a sweep and each of its trials was run with."""

from __future__ import annotations

from pathlib import Path
from typing import TypeGuard

from pydantic import ValidationError

from sweep.spec.checks.inactive_settings import idle_in_trial
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.distributions import is_number
from sweep.spec.space.presets import PRESETS
from sweep.spec.tree.setting_tree import run_ending_keys, value_of
from sweep.spec.tree.validation_reports import findings_of
from sweep.store.layout import Layout
from sweep.store.read_results import read_sweep
from sweep.vocabulary.errors import ResultsError
from sweep.vocabulary.geometric_ramp import GeometricRamp
from sweep.vocabulary.record import ParameterValue, TrialRecord

LARGEST = 1e300
"""Whole numbers of a file from elsewhere may be larger than a float holds. No setting is."""


def read_spec(folder: Path) -> SweepSpec:
    """The effective spec of a sweep. Only its form is checked, since the sweep has run with it.

    Raises:
        ResultsError: ``folder`` is not a results folder, or its sweep.yaml is broken.
    """
    values = dict(read_sweep(folder))
    if isinstance(confirm := values.get("confirm"), dict):  # before there were races
        values["confirm"] = {"race": False} | confirm
    try:
        return SweepSpec.model_validate(values)
    except ValidationError as error:
        first = findings_of(error, SweepSpec)[0]
        key = ".".join(map(str, first.path))
        raise ResultsError(f"{Layout(folder).sweep_yaml}: {key}: {first.message}") from error


def read_known_spec(folder: Path) -> SweepSpec | None:
    """The effective spec for a ranking, which needs it for a few columns only.

    None where another version wrote it, with settings that this one does not know.

    Raises:
        ResultsError: as `read_spec`, where the sweep answers by replay.
    """
    space = read_sweep(folder).get("space")
    try:
        return read_spec(folder)
    except ResultsError:
        if isinstance(space, dict) and run_ending_keys() & space.keys():
            raise
        return None


def idle(spec: SweepSpec | None, record: TrialRecord) -> frozenset[str]:
    """The searched parameters that have no effect in a trial: momentum beside AdamW. Those that a
    condition leaves out of it are among them.

    Replayed parameters are not among them: `enough_columns` has what they would have done.
    """
    if spec is None:
        return frozenset()
    try:
        names = idle_in_trial(lambda key: setting_of(spec, record, key))
    except (LookupError, AttributeError, TypeError):  # a setting of another trainer or version
        return frozenset()
    return (names & spec.drawn.keys()) | (spec.drawn.keys() - record.parameters.keys())


def setting_of(spec: SweepSpec, record: TrialRecord, key: str) -> ParameterValue:
    """The value of a setting in a trial: the searched one, that of its preset, or the sweep's."""
    if key in record.parameters:
        return record.parameters[key]
    preset = PRESETS.get(record.preset or "")
    values = preset.settings_beside(spec.loss.weights) if preset is not None else {}
    if key in values:
        return values[key]
    value: ParameterValue = value_of(spec, key)
    return value


def number_of(spec: SweepSpec, record: TrialRecord, key: str) -> float:
    """The same as a number; 0 where it is not `is_sane`."""
    value = setting_of(spec, record, key)
    return float(value) if is_sane(value) else 0.0


def is_sane(value: ParameterValue) -> TypeGuard[int | float]:
    """Whether a value is a number that a float holds."""
    return is_number(value) and abs(value) < LARGEST


def ramp_of(spec: SweepSpec, record: TrialRecord) -> GeometricRamp:
    """When a trial's geometric loss was off, rose and acted in full."""
    warmup = number_of(spec, record, "loss.warmup_epochs")
    return GeometricRamp(
        off_until=int(warmup),
        full_from=int(warmup + number_of(spec, record, "loss.rampup_epochs")),
        acts=any(number_of(spec, record, key) for key in spec.loss.weights.keys),
    )
