"""What a trial's provenance.json says of its starts: cases, network, code and machine of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from sweep.store.files import read_record
from sweep.store.layout import TrialPaths


def _known(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: one for name, one in value.items() if one is not None}
    return {} if value is None else value


AS_FAR_AS_KNOWN = BeforeValidator(_known)
"""What is null in a file is as if it were absent: nobody knew it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """Number of cases in each part of the data; None where it is not recorded. The same of their
    groups (`data.groups`), and how many of these are in both parts; None where nothing is
    grouped."""

    training: int | None = None
    validation: int | None = None
    training_groups: int | None = None
    validation_groups: int | None = None
    groups_in_both: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """Whether the classes are regions, which may overlap, and the label to ignore, if any."""

    regions: bool = False
    ignore: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The network: its class as a dotted name, and its number of parameters."""

    class_: Annotated[str | None, Field(validation_alias="class")] = None
    parameters: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The code in use. ``diff`` is what was changed in it since the commit."""

    version: str | None = None
    commit: str | None = None
    diff: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where it was trained: name of the processor, of the computer, version of CUDA."""

    device: str | None = None
    hostname: str | None = None
    cuda: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start of a trial. Fields are empty where an older version did not record them.

    Args:
        started: date and time, cut off to the second, in ISO 8601.
        first_epoch: that it trained.
        effective: settings that were read back, by dotted name; null is a value there.
        own_files: SHA-256 of each file that plug-ins or a trainer of the user were in, by its path.
        network: empty of a user's function, whose network nobody else sees.
    """

    started: str | None = None
    first_epoch: int = 0
    effective: Mapping[str, Any] = field(default_factory=dict)
    network: Annotated[Network, AS_FAR_AS_KNOWN] = Network()
    cases: Annotated[Cases, AS_FAR_AS_KNOWN] = Cases()
    classes: Annotated[Classes, AS_FAR_AS_KNOWN] = Classes()
    code: Annotated[Code, AS_FAR_AS_KNOWN] = Code()
    machine: Annotated[Machine, AS_FAR_AS_KNOWN] = Machine()
    versions: Mapping[str, str | None] = field(default_factory=dict)
    own_files: Annotated[Mapping[str, str], AS_FAR_AS_KNOWN] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Provenance:
    """Content of provenance.json."""

    runs: tuple[Annotated[Start, AS_FAR_AS_KNOWN], ...] = ()


def starts(trial: TrialPaths) -> tuple[Start, ...]:
    """The starts of a trial in order; none where nothing is recorded.

    Raises:
        ResultsError: the file is broken.
    """
    path = trial.provenance
    return read_record(path, _Provenance).runs if path.exists() else ()


def last_start(trial: TrialPaths) -> Start:
    """The last of `starts`; an empty one where there is none."""
    return next(reversed(starts(trial)), Start())
