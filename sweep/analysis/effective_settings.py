"""What a sweep and each of its trials was run with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard

from pydantic import ValidationError

from sweep.spec.checks.inactive_settings import idle_in_trial, rules_about
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.presets import PRESETS
from sweep.spec.space.replayed_settings import candidates
from sweep.spec.tree.setting_tree import run_ending_keys, value_of
from sweep.spec.tree.validation_reports import findings_of
from sweep.store.layout import Layout
from sweep.store.read_results import read_sweep
from sweep.vocabulary.errors import ResultsError
from sweep.vocabulary.geometric_ramp import GeometricRamp
from sweep.vocabulary.parameter_values import is_number
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
        return SweepSpec.model_validate(values).as_recorded()
    except ValidationError as error:
        first = findings_of(error, SweepSpec)[0]
        key = ".".join(map(str, first.path))
        message = f"{key}: {first.message}; a newer version may have written it"
        raise ResultsError(f"{Layout(folder).sweep_yaml}: {message}") from error


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
    condition leaves out of it are among them, and in a trial without geometric loss a warm-up that
    outlasts it: the baseline of a short sweep has the default of 20 epochs.

    Replayed parameters are not among them: `enough_columns` has what they would have done.
    """
    if spec is None:
        return frozenset()
    known = _known(spec)
    value = known.reader(record)
    try:
        names = known.idle(value)
    except (LookupError, AttributeError, TypeError):  # a setting of another trainer or version
        return frozenset()
    ramp = known.ramp(record)
    if not ramp.acts and ramp.off_until >= _number(value("trainer.epochs")):
        names |= {"loss.warmup_epochs", "loss.rampup_epochs"}
    return (names & known.drawn) | (known.drawn - record.parameters.keys())


def settings_of(spec: SweepSpec, record: TrialRecord) -> Callable[[str], ParameterValue]:
    """Reads settings of a trial: the searched value, that of its preset, or the sweep's."""
    return _known(spec).reader(record)


def replay_candidates(spec: SweepSpec) -> Sequence[Mapping[str, ParameterValue]]:
    """Every setting that recorded curves are replayed for; none where nothing is replayed."""
    return _known(spec).candidates


class _Known:
    """What all trials of a sweep have in common."""

    def __init__(self, spec: SweepSpec) -> None:
        self.setting: Callable[[str], ParameterValue] = cache(lambda key: value_of(spec, key))
        self.presets: Mapping[str | None, Mapping[str, ParameterValue]] = {
            name: preset.settings_beside(spec.loss.weights) for name, preset in PRESETS.items()
        }
        self.drawn = frozenset(spec.drawn)
        self.rules = rules_about(self.drawn)
        self.weights = tuple(spec.loss.weights.keys)
        replayed = spec.replayed
        self.candidates = candidates(replayed) if replayed else []
        self._needs = [need for rule in self.rules for need in rule.needs.items()]
        self._idle: dict[tuple[bool, ...], frozenset[str]] = {}
        self._ramps: dict[str, tuple[Mapping[str, ParameterValue], GeometricRamp]] = {}

    def reader(self, record: TrialRecord) -> Callable[[str], ParameterValue]:
        own = record.parameters
        if record.preset in self.presets:
            own = {**self.presets[record.preset], **own}
        setting = self.setting
        return lambda key: own[key] if key in own else setting(key)

    def idle(self, value: Callable[[str], Any]) -> frozenset[str]:
        """`idle_in_trial`, which is the same for all trials that meet the same needs."""
        try:
            met = [accepts(value(need)) for need, accepts in self._needs]
        except (LookupError, AttributeError, TypeError):  # of a need that need not be looked at
            return idle_in_trial(value, self.rules)
        alike = (*met, value("loss.warmup_epochs") >= value("trainer.epochs"))
        if alike not in self._idle:
            self._idle[alike] = idle_in_trial(value, self.rules)
        return self._idle[alike]

    def ramp(self, record: TrialRecord) -> GeometricRamp:
        """`ramp_of`. It is asked for many times of each trial."""
        known = self._ramps.get(record.trial_id)
        if known is not None and known[0] is record.parameters:
            return known[1]
        value = self.reader(record)
        warmup = _number(value("loss.warmup_epochs"))
        ramp = GeometricRamp(
            off_until=int(warmup),
            full_from=int(warmup + _number(value("loss.rampup_epochs"))),
            acts=any(_number(value(key)) for key in self.weights),
        )
        self._ramps[record.trial_id] = record.parameters, ramp
        return ramp


_KNOWN: dict[int, _Known] = {}
_MOST_KNOWN = 8


def _known(spec: SweepSpec) -> _Known:
    """By identity, since specs are frozen and slow to compare. It is asked for many times."""
    found = _KNOWN.get(id(spec))
    if found is None:
        for oldest in [*_KNOWN][: 1 - _MOST_KNOWN]:
            _KNOWN.pop(oldest, None)
        found = _KNOWN[id(spec)] = _Known(spec)  # it keeps the spec, so no other one gets its id
    return found


def number_of(spec: SweepSpec, record: TrialRecord, key: str) -> float:
    """A setting of a trial as a number; 0 where it is not `is_sane`."""
    return _number(settings_of(spec, record)(key))


def _number(value: ParameterValue) -> float:
    return float(value) if is_sane(value) else 0.0


def is_sane(value: ParameterValue) -> TypeGuard[int | float]:
    """Whether a value is a number that a float holds."""
    return is_number(value) and abs(value) < LARGEST


def ramp_of(spec: SweepSpec, record: TrialRecord) -> GeometricRamp:
    """When a trial's geometric loss was off, rose and acted in full."""
    return _known(spec).ramp(record)
