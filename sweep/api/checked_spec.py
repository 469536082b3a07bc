"""Load a sweep's settings and check them together with data and machine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.machine.codebase import codebase
from sweep.machine.hardware import Machine
from sweep.spec.load import Source, load_sweep, load_trial
from sweep.spec.reading.yaml_document import plain_document
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.words.phrases import counted
from sweep.vocabulary.errors import InputError, Mistake

if TYPE_CHECKING:
    from sweep.data.prepared.samples import PreparedData
    from sweep.spec.tree.setting_tree import Finding

Overrides = Mapping[str, Any] | Sequence[str]


def as_overrides(overrides: Overrides | None) -> list[str]:
    """Overrides as a list of ``trainer.epochs=5``; a mapping ``{"trainer.epochs": 5}`` is
    converted.

    Raises:
        InputError: with each value that no settings file could hold.
    """
    if not isinstance(overrides, Mapping):
        return list(overrides or ())
    plain = plain_document(overrides)
    if plain.mistakes:
        raise InputError(plain.mistakes)
    return [f"{key}={json.dumps(value)}" for key, value in plain.values.items()]


def _source_of(settings: TrialSettings | Source) -> Source:
    """The content of a file with these settings: only values that were set, without defaults."""
    if not isinstance(settings, TrialSettings):
        return settings
    asked = settings.model_dump(mode="json", exclude_unset=True)
    return {"name": settings.name, **asked} if isinstance(settings, SweepSpec) else asked


def load_checked(
    source: SweepSpec | Source,
    overrides: Overrides | None = None,
    machine: Machine | None = None,
    *,
    begins: Callable[[SweepSpec], bool] = lambda _: True,
    pixels: bool = False,
    report: Callable[[str], object] = lambda _: None,
) -> tuple[SweepSpec, list[str]]:
    """The validated spec and its warnings. Names and headers of the data are checked.

    Args:
        source: the sweep file, its content, or a loaded spec.
        overrides: settings in place of those of ``source``.
        machine: where the sweep will run; None: here.
        begins: whether the sweep begins, so that the earlier results that it learns from are
            checked. A resumed one has a copy of them.
        pixels: read the images of our own trainer too.
        report: called with a description of the images that were read.

    Raises:
        InputError: with every mistake.
    """
    from sweep.search.searchers.earlier_trials import check_warm_start
    from sweep.spec.checks.doubtful_settings import warnings
    from sweep.trial.trainer_check import TrainerCheck

    machine, idle, skipped = machine or Machine.here(), list[Mistake](), list[str]()
    look = TrainerCheck(pixels=pixels)

    def earlier(spec: SweepSpec) -> Iterable[Finding]:
        return check_warm_start(spec, warn=skipped.append) if begins(spec) else ()

    spec = load_sweep(
        _source_of(source),
        as_overrides(overrides),
        machine=machine,
        check_data=look,
        look_for_idle=look.idle,
        check_earlier=earlier,
        warn=idle.append,
    )
    if look.data is not None:
        report(read_words(look.data))
    found = [*map(str, idle), *warnings(spec, machine), *skipped, *look.warnings]
    return spec, [*_shadowing(), *found]


def load_checked_trial(
    source: TrialSettings | Source, overrides: Overrides | None = None
) -> tuple[TrialSettings, list[str]]:
    """The validated settings of one trial and their warnings, with data and trainer checked.

    Raises:
        InputError: with every mistake.
    """
    from sweep.spec.checks.doubtful_settings import trial_warnings
    from sweep.trial.trainer_check import TrainerCheck

    machine, idle, look = Machine.here(), list[Mistake](), TrainerCheck()
    settings = load_trial(
        _source_of(source),
        as_overrides(overrides),
        machine=machine,
        check_data=look,
        look_for_idle=look.idle,
        warn=idle.append,
    )
    return settings, [*_shadowing(), *map(str, idle), *trial_warnings(settings, machine)]


def _shadowing() -> list[str]:
    return [words] if (words := codebase().shadowing) else []


def read_words(data: PreparedData) -> str:
    """``16 cases of 18×76×78, 1.5×1.5×4 mm; fold 0: 12 train, 4 validate``, with the number of
    groups behind each where cases are grouped."""
    sides = {"train": data.training, "validate": data.validation, "test": data.test}
    cases = {word: samples.cases for word, samples in sides.items() if samples}

    def grouped(names: Sequence[str]) -> str:
        groups = {data.groups.get(name, name) for name in names}
        return f" ({counted(len(groups), 'group')})" if data.groups else ""

    return (
        f"{counted(sum(map(len, cases.values())), 'case')} of {data.sizes};"
        f" fold {data.origin['fold']}: "
        + ", ".join(f"{len(names)} {word}{grouped(names)}" for word, names in cases.items())
    )


def about_results(spec: SweepSpec, results: str) -> list[str]:
    """Warnings about an existing results folder. An existing sweep can be resumed.

    Raises:
        InputError: the folder cannot be written.
    """
    from sweep.store.at_uri.remote_folder import is_uri
    from sweep.store.layout import Layout
    from sweep.store.store import is_used

    if is_uri(results):
        return []
    folder = Path(results).absolute() / spec.name
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        raise InputError.single(f"{existing} is a file, not a folder", key="--results")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError.single(f"cannot write into {existing}", key="--results")
    if not is_used(folder):
        return []
    if Layout(folder).sweep_yaml.exists():
        return [f"{folder} already holds a sweep: resume it with --resume, or give another `name`"]
    return [f"{folder} exists and holds no sweep: give another `name`"]
