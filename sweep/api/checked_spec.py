"""A sweep's settings from a file or from Python, looked at together with data and machine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.machine.codebase import codebase
from sweep.machine.hardware import Machine
from sweep.spec.load import Source, load_sweep, load_trial
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.words.phrases import counted
from sweep.vocabulary.errors import InputError, Mistake

if TYPE_CHECKING:
    from sweep.data.prepared.samples import PreparedData

Overrides = Mapping[str, Any] | Sequence[str]


def as_overrides(overrides: Overrides | None) -> list[str]:
    """``{"trainer.epochs": 5}``, or a list of ``trainer.epochs=5``, as the latter."""
    if not isinstance(overrides, Mapping):
        return list(overrides or ())
    return [f"{key}={json.dumps(value, default=str)}" for key, value in overrides.items()]


def source_of(settings: TrialSettings) -> Mapping[str, Any]:
    """What a file would hold that gives these settings: what was asked for, without defaults."""
    asked = settings.model_dump(mode="json", exclude_unset=True)
    return {"name": settings.name, **asked} if isinstance(settings, SweepSpec) else asked


def load_checked(
    source: Source,
    overrides: Sequence[str] = (),
    machine: Machine | None = None,
    *,
    begins: bool = True,
    pixels: bool = False,
    tell: Callable[[str], object] = lambda _: None,
) -> tuple[SweepSpec, list[str]]:
    """The validated spec and its warnings; the data is looked at but not read.

    Args:
        source: the sweep file, or what it would hold.
        overrides: as of `load_sweep`.
        machine: where the sweep is to run; None for here.
        begins: whether the earlier results are looked at, which a sweep that goes on does not need.
        pixels: read the images of our own trainer too.
        tell: called with what was read, in words.

    Raises:
        InputError: with every mistake.
    """
    from sweep.search.searchers.earlier_trials import check_warm_start
    from sweep.spec.checks.doubtful_settings import warnings
    from sweep.trial.trainer_check import TrainerCheck

    machine, idle, passed_over = machine or Machine.here(), list[Mistake](), list[str]()
    look = TrainerCheck(pixels=pixels)
    spec = load_sweep(
        source,
        overrides,
        machine=machine,
        check_data=look,
        look_for_idle=look.idle,
        check_earlier=partial(check_warm_start, tell=passed_over.append) if begins else None,
        tell=idle.append,
    )
    if look.data is not None:
        tell(read_words(look.data))
    shadowing = codebase().shadowing
    found = [*map(str, idle), *warnings(spec, machine), *passed_over, *look.warnings]
    return spec, [shadowing, *found] if shadowing else found


def load_checked_trial(
    source: Source, overrides: Sequence[str] = ()
) -> tuple[TrialSettings, list[str]]:
    """The validated settings of one trial and their warnings, data and trainer looked at.

    Raises:
        InputError: with every mistake.
    """
    from sweep.spec.checks.doubtful_settings import trial_warnings
    from sweep.trial.trainer_check import TrainerCheck

    idle, look = list[Mistake](), TrainerCheck()
    settings = load_trial(
        source,
        overrides,
        machine=Machine.here(),
        check_data=look,
        look_for_idle=look.idle,
        tell=idle.append,
    )
    shadowing = codebase().shadowing
    found = [*map(str, idle), *trial_warnings(settings)]
    return settings, [shadowing, *found] if shadowing else found


def read_words(data: PreparedData) -> str:
    """``16 cases of 18×76×78, 1.5×1.5×4 mm; fold 0: 12 train, 4 validate``."""
    sides = {"train": data.training, "validate": data.validation, "test": data.test}
    counts = {word: len(samples.cases) for word, samples in sides.items() if samples}
    return (
        f"{counted(sum(counts.values()), 'case')} of {data.sizes}; fold {data.origin['fold']}: "
        + ", ".join(f"{count} {word}" for word, count in counts.items())
    )


def about_results(spec: SweepSpec, results: str) -> list[str]:
    """What stands in the way of the results folder; a sweep that is there may be gone on with.

    Raises:
        InputError: nothing can be written there.
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
        raise InputError.single(f"nothing can be written into {existing}", key="--results")
    if not is_used(folder):
        return []
    if Layout(folder).sweep_yaml.exists():
        return [
            f"{folder} holds a sweep already: go on with it by --resume, or give another `name`"
        ]
    return [f"{folder} exists and holds no sweep: give another `name`"]
