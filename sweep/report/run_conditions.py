"""How a sweep was run, as far as the report shows it: versions, code, machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sweep.analysis.figures.sweep_results import Results
from sweep.store.files import read_json
from sweep.store.layout import Layout
from sweep.store.parsed_records import parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Of this package."""

    version: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenanceMachine:
    device: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenanceRun:
    """One start of a trial, as far as the report shows it."""

    versions: Mapping[str, str | None] = field(default_factory=dict)
    code: Code = Code()
    machine: ProvenanceMachine = ProvenanceMachine()


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """What stands in provenance.json."""

    runs: tuple[ProvenanceRun, ...] = ()


def last_run(results: Results) -> ProvenanceRun:
    """How the first trial that says so was last started; an empty one where none does.

    Raises:
        ResultsError: its provenance.json is broken.
    """
    for record in results.records:
        path = Layout(results.folder).trial(record.trial_id).provenance
        if path.exists():
            runs = read_json(path, lambda values: parsed(_File, values)).runs
            return runs[-1] if runs else ProvenanceRun()
    return ProvenanceRun()
