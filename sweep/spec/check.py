"""What pydantic cannot see: settings that are each possible, but not together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from sweep.errors import InputError
from sweep.record import ParameterValue
from sweep.spec.extents import WEIGHTS
from sweep.spec.installed import how_to_install
from sweep.spec.machine import Machine
from sweep.spec.space import Distribution, Grid, Listed, LogUniform, RandInt, grid_size
from sweep.spec.strategy import CmaesSearcher, HyperbandScheduler, StoppingScheduler
from sweep.spec.sweep import SweepSpec
from sweep.spec.trackers import missing
from sweep.spec.tree import Finding, choosing_keys, types_of
from sweep.spec.wording import shown

ENTANGLED = (
    ("data.folds", "data.fold"),
    ("data.normalization", "augmentation.gamma.mode"),
    ("network.name", "network.deep_supervision"),
    ("network.name", "network.dropout"),
    ("loss.main", "loss.focal_gamma"),
    ("loss.dice_weight", "loss.pixel_weight"),
)
"""Pairs of settings of which each limits the other."""


def check_space(spec: SweepSpec) -> Iterator[Finding]:
    """Searched settings that there are not, and values that they cannot take."""
    wrong = set()
    for key, distribution in spec.space.items():
        for message in dict.fromkeys(_wrong_with(spec, key, distribution)):
            wrong.add(key)
            yield Finding(("space", key), message)
    for first, second in ENTANGLED:
        if {first, second} <= spec.space.keys() - wrong:
            yield from _check_pair(spec, first, second)


def check_sweep(spec: SweepSpec) -> Iterator[Finding]:
    """Settings of a valid sweep that contradict each other."""
    yield from _check_grid(spec)
    yield from _check_epochs(spec)
    yield from _check_presets(spec)
    yield from _check_warm_start(spec)


def check_machine(spec: SweepSpec, machine: Machine) -> Iterator[Finding]:
    """Resources that no trial would ever get on this machine."""
    resources = spec.resources
    if resources.cpu > machine.cpus:
        message = f"must be at most {machine.cpus}, the CPU cores of this machine, but is "
        yield Finding(("resources", "cpu"), f"{message}{resources.cpu:g}")
    if resources.gpu != "auto" and resources.gpu > machine.gpus:
        message = f"must be at most {machine.gpus}, the GPUs of this machine, but is "
        yield Finding(("resources", "gpu"), f"{message}{resources.gpu:g}")


def check_installed(spec: SweepSpec) -> Iterator[Finding]:
    """Searchers and trackers whose package is not there."""
    if isinstance(spec.searcher, CmaesSearcher):
        absent = how_to_install("cmaes", "cmaes")
        if absent is not None:
            yield Finding(("searcher",), absent)
    for name in dict.fromkeys(spec.tracking):
        if (message := missing(name)) is not None:
            yield Finding(("tracking",), message)


def _wrong_with(spec: SweepSpec, key: str, distribution: Distribution) -> Iterator[str]:
    if key in choosing_keys():
        yield f"`{key}` cannot be searched: it decides which other settings there are"
        return
    kinds = types_of(key)
    draws_fractions = not isinstance(distribution, Listed | RandInt)
    if kinds and draws_fractions and float not in kinds:
        instead = "a `choice`"
        if int in kinds:
            instead = "`lograndint`" if isinstance(distribution, LogUniform) else "`randint`"
        yield f"`{distribution.name}` draws fractions, which `{key}` does not take; use {instead}"
        return
    for value in _values_to_try(distribution):
        yield from _mistakes_of_value(spec, key, value)


def _check_grid(spec: SweepSpec) -> Iterator[Finding]:
    if spec.searcher.name != "grid":
        for key, distribution in spec.space.items():
            if isinstance(distribution, Grid):
                message = f"`grid` needs `searcher: grid`; for `{spec.searcher.name}` use `choice`"
                yield Finding(("space", key), message)
        return
    intervals = [key for key, kind in spec.space.items() if not isinstance(kind, Listed)]
    for key in intervals:
        message = "the searcher `grid` needs listed values: use `grid` or `choice` here"
        yield Finding(("space", key), message)
    size = grid_size(spec.space) + spec.given
    if not intervals and spec.trials > size:
        what = "the size of the grid" + " plus the presets" * bool(spec.presets)
        what += " plus the enqueued" * (spec.given > len(spec.presets))
        message = f"must be at most {size}, {what}, but is {spec.trials}"
        yield Finding(("trials",), message)


def _check_epochs(spec: SweepSpec) -> Iterator[Finding]:
    extents, scheduler = spec.extents, spec.scheduler
    most = extents.most_epochs
    if isinstance(scheduler, StoppingScheduler) and (scheduler.grace_period or 0) > most:
        message = f"must be at most {most}, the epochs of a trial, but is {scheduler.grace_period}"
        yield Finding(("scheduler", "grace_period"), message)
    elif isinstance(scheduler, HyperbandScheduler):
        largest = max(1, len(spec.rungs()))
        if (scheduler.brackets or 0) > largest:
            message = f"must be at most {largest}, the rungs there are, but is {scheduler.brackets}"
            yield Finding(("scheduler", "brackets"), message)
    shortest = int(extents.smallest("loss.warmup_epochs"))
    if shortest >= most and any(key in spec.space for key in WEIGHTS):
        key = "loss.warmup_epochs"
        message = (
            f"the shortest warm-up is {shortest} of {most} epochs: the geometric loss never "
            "switches on, so its searched weights have no effect"
        )
        yield Finding(("space", key) if key in spec.space else tuple(key.split(".")), message)


def _check_presets(spec: SweepSpec) -> Iterator[Finding]:
    for index, name in enumerate(spec.presets):
        try:
            spec.preset_trial(name)
        except InputError as error:
            for mistake in error.mistakes:
                message = f"`{name}` does not fit this sweep: {mistake.key}: {mistake.message}"
                yield Finding(("presets", index), message)
    if spec.given > spec.trials:
        each = "one for each preset" + " and enqueued one" * (spec.given > len(spec.presets))
        yield Finding(("trials",), f"must be at least {spec.given}, {each}, but is {spec.trials}")


def _check_warm_start(spec: SweepSpec) -> Iterator[Finding]:
    name = spec.searcher.name
    if spec.warm_start and not spec.warm_start.enqueue and name in ("random", "grid", "qmc"):
        message = (
            f"`searcher: {name}` learns from no trial, so this has no effect; use `tpe` or `gp`, or"
            " `enqueue` the best earlier configurations"
        )
        yield Finding(("warm_start",), message)


def _check_pair(spec: SweepSpec, first: str, second: str) -> Iterator[Finding]:
    """Each may be possible with some value of the other, but they are drawn independently."""
    for a, b in product(_bounds(spec.space[first]), _bounds(spec.space[second])):
        for message in _mistakes_of(spec, {first: a, second: b}):
            where = f"`{first}` {shown(a)} with `{second}` {shown(b)}"
            yield Finding(("space", second), f"{where}: {message}")


def _mistakes_of_value(spec: SweepSpec, key: str, value: ParameterValue) -> list[str]:
    """What is wrong with a value whatever is drawn for the setting that limits it."""
    partner = next((p for pair in ENTANGLED if key in pair for p in pair if p != key), None)
    if partner not in spec.space:
        return _mistakes_of(spec, {key: value})
    others = _bounds(spec.space[partner])
    return min((_mistakes_of(spec, {key: value, partner: other}) for other in others), key=len)


def _mistakes_of(spec: SweepSpec, parameters: dict[str, ParameterValue]) -> list[str]:
    try:
        spec.trial(parameters)
    except InputError as error:
        return [mistake.message for mistake in error.mistakes]
    return []


def _values_to_try(distribution: Distribution) -> tuple[ParameterValue, ...]:
    """Values that are all possible for a setting only if everything that can be drawn is."""
    if isinstance(distribution, Listed):
        return distribution.values
    return distribution.extent or ()


def _bounds(distribution: Distribution) -> tuple[ParameterValue, ...]:
    """Smallest and largest number, and all listed values that are none."""
    listed = distribution.values if isinstance(distribution, Listed) else ()
    others = (value for value in listed if isinstance(value, bool | str | None))
    return (*dict.fromkeys(distribution.extent or ()), *others)
