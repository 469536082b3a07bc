"""Checks that pydantic cannot do: settings that are each valid, but not together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from sweep.machine.hardware import Machine
from sweep.machine.installed_packages import how_to_install
from sweep.spec.checks.searched_in_vain import check_conditions, check_priors
from sweep.spec.reading.partial_document import ENTANGLED, Unsure
from sweep.spec.search.replicate_plan import check_confirm, check_replicate, check_test
from sweep.spec.search.search_strategy import StoppingScheduler
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.search.tracker_names import missing
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.space.distributions import (
    Distribution,
    Grid,
    Interval,
    Listed,
    LogUniform,
    QRandInt,
    QUniform,
    WholeNumbers,
    possible_values,
)
from sweep.spec.space.linked_space import (
    drawn_in,
    grid_size,
    in_order,
    is_drawn,
    within,
    within_itself,
)
from sweep.spec.space.presets import BASELINE
from sweep.spec.tree.setting_tree import (
    Finding,
    choosing_keys,
    group_of_option,
    names_in,
    setting_names,
    types_of,
    unsearched_keys,
    value_of,
)
from sweep.spec.words.dialects import written
from sweep.spec.words.phrases import at_most, shown
from sweep.vocabulary.errors import InputError, Mistake, gathering
from sweep.vocabulary.parameter_values import is_number
from sweep.vocabulary.record import ParameterValue

WHOLE_INSTEAD = {LogUniform: "`lograndint`", QUniform: "`qrandint`"}
"""The distribution of whole numbers in place of one of fractions; of all others `randint`."""
MOST_REPORTED = 20
"""Most wrong values of a searched setting that are reported; the rest is not checked."""
MOST_LISTED = 24
"""Most values of a range with a step that a message lists."""


def check_space(spec: SweepSpec, unsure: Unsure | None = None) -> Iterator[Finding]:
    """Searched settings that do not exist, and values that they cannot take.

    Args:
        unsure: unknown settings. What they limit is not checked.
    """
    unsure = unsure or Unsure()
    wrong = set()
    for key, distribution in spec.space.items():
        of_some_kind = key in setting_names() or group_of_option(key)
        if key.partition(".")[0] in unsure and of_some_kind and key not in names_in(spec):
            wrong.add(key)  # of another kind than the default put in its place
        elif not unsure.limits(key):
            for message in dict.fromkeys(_wrong_with(spec, key, distribution)):
                wrong.add(key)
                yield Finding(("space", key), message)
    for group in ENTANGLED:
        searched = [key for key in group if key in spec.space and key not in wrong]
        if len(searched) > 1 and not unsure.any_of(group):
            yield from _check_together(spec, searched)


def check_sweep(spec: SweepSpec, unsure: Unsure | None = None) -> Iterator[Finding]:
    """Settings of a valid sweep that contradict each other.

    Args:
        unsure: unknown settings. Checks that read them are skipped.
    """
    for reads, check in CHECKS:
        if unsure is None or not unsure.any_of(reads):
            yield from check(spec)


def check_machine(spec: SweepSpec, machine: Machine, unsure: Unsure) -> Iterator[Finding]:
    """Resources that no trial can get on this machine, and devices that it does not have."""
    resources = spec.resources
    if resources.cpu > machine.cpus:
        message = at_most(machine.cpus, "the CPU cores of this machine", f"{resources.cpu:g}")
        yield Finding(("resources", "cpu"), message)
    if resources.gpu != "auto" and resources.gpu > machine.gpus:
        message = at_most(machine.gpus, "the GPUs of this machine", f"{resources.gpu:g}")
        yield Finding(("resources", "gpu"), message)
    yield from check_device(spec, machine, unsure)


def check_device(settings: TrialSettings, machine: Machine, unsure: Unsure) -> Iterator[Finding]:
    """A required GPU that does not exist."""
    key = "trainer.device"
    space = settings.space if isinstance(settings, SweepSpec) else {}
    possible = possible_values(space[key]) if key in space else (settings.trainer.device,)
    if "cuda" in possible and machine.no_cuda is not None and key not in unsure:
        message = f"is `cuda`, but {machine.no_cuda}: must be `auto` or `cpu`"
        yield Finding(("space", key) if key in space else ("trainer", "device"), message)


def check_installed(spec: SweepSpec) -> Iterator[Finding]:
    """Searchers and trackers whose package is not installed."""
    if spec.searcher.name == "cmaes":
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
    if key in unsearched_keys() and tuple in kinds:
        yield "cannot be searched: it must be the same for all trials"
        return
    if key.startswith("objective."):
        yield "cannot be searched: all trials must be compared by the same objective"
        return
    lists = [v for v in possible_values(distribution) if isinstance(v, tuple)]
    if kinds and lists and tuple not in kinds:
        meant = f"; did you mean `{written(distribution.name, lists[0])}`?"
        yield f"`{key}` takes single values, but `{distribution.name}` has the list " + (
            shown(lists[0]) + meant * (distribution.size == 1)
        )
        return
    draws_fractions = not isinstance(distribution, Listed | WholeNumbers)
    if kinds and draws_fractions and float not in kinds:
        instead = "a `choice`"
        if int in kinds:
            instead = WHOLE_INSTEAD.get(type(distribution), "`randint`")
        yield f"`{distribution.name}` draws fractions, which `{key}` does not take; use {instead}"
        return
    wrong = list(islice(_wrong_values(spec, key, distribution), MOST_REPORTED))
    yield from wrong
    if not wrong and isinstance(distribution, Listed):
        yield from islice(_listed_twice(spec, key, distribution), MOST_REPORTED)


def _check_grid(spec: SweepSpec) -> Iterator[Finding]:
    if spec.searcher.name != "grid":
        for key, distribution in spec.space.items():
            if isinstance(distribution, Grid):
                message = f"`grid` needs `searcher: grid`; for `{spec.searcher.label}` use `choice`"
                yield Finding(("space", key), message)
        return
    intervals = {key: kind for key, kind in spec.drawn.items() if not isinstance(kind, Listed)}
    for key, kind in intervals.items():
        message = "the searcher `grid` needs listed values: use `grid` or `choice` here"
        if isinstance(kind, QRandInt) and kind.size <= MOST_LISTED:
            message += f", such as `{written('grid', kind.values)}`"
        yield Finding(("space", key), message)
    size = grid_size(spec.drawn) + spec.given
    if spec.drawn and not intervals and spec.trials > size:
        what = "the size of the grid" + " plus the presets" * bool(spec.presets)
        what += " plus the enqueued" * (spec.given > len(spec.presets))
        yield Finding(("trials",), at_most(size, what, spec.trials))


def _check_replayed(spec: SweepSpec) -> Iterator[Finding]:
    most = 1 + spec.given
    if not spec.drawn and spec.trials > most:
        message = (
            f"must be at most {most}{', with the presets' * bool(spec.presets)}, but is "
            f"{spec.trials}: only when to stop is searched, and replaying one curve answers "
            "for all of that; `replay_patience: false` trains a trial for each"
        )
        yield Finding(("trials",), message)


def _check_clock(spec: SweepSpec) -> Iterator[Finding]:
    if spec.compares_gains and BASELINE not in spec.presets:
        message = "`activation` compares with the preset `baseline`: add `presets: [baseline]`"
        yield Finding(("scheduler", "clock"), message)


def _check_rungs(spec: SweepSpec) -> Iterator[Finding]:
    scheduler, most = spec.scheduler, spec.ranges.most_epochs
    if isinstance(scheduler, StoppingScheduler) and (scheduler.grace_period or 0) > most:
        message = at_most(most, "the epochs of a trial", scheduler.grace_period or 0)
        yield Finding(("scheduler", "grace_period"), message)
    elif scheduler.name == "hyperband":
        brackets, largest = scheduler.brackets or 0, max(1, len(spec.rungs()))
        if brackets > largest:
            message = at_most(largest, "the number of rungs", brackets)
            yield Finding(("scheduler", "brackets"), message)


def _check_warmup(spec: SweepSpec) -> Iterator[Finding]:
    shortest, most = spec.ranges.earliest_ramp.off_until, spec.ranges.most_epochs
    if shortest >= most and any(key in spec.space for key in spec.loss.weights.keys):
        message = (
            f"the shortest warm-up is {shortest} of {most} epochs: the geometric loss never "
            "switches on, so its searched weights have no effect; shorten it, or raise"
            " `trainer.epochs`"
        )
        yield Finding(spec.place_of("loss.warmup_epochs"), message)


def _check_presets(spec: SweepSpec) -> Iterator[Finding]:
    for index, name in enumerate(spec.presets):
        mistakes: list[Mistake] = []
        with gathering(mistakes):
            spec.preset_trial(name)
        for mistake in mistakes:
            message = f"`{name}` does not fit this sweep: {mistake.key}: {mistake.message}"
            yield Finding(("presets", index), message)


def _check_room(spec: SweepSpec) -> Iterator[Finding]:
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


def _check_stop_when(spec: SweepSpec) -> Iterator[Finding]:
    if spec.stop_when is not None and spec.searcher.name == "grid":
        message = (
            "a grid walks the space in order, so its next trials need not be like the earlier ones,"
            " and nothing says what they promise: use `searcher: random`, `qmc` or `tpe`"
        )
        yield Finding(("stop_when",), message)


def _check_several_objectives(spec: SweepSpec) -> Iterator[Finding]:
    objective, scheduler = spec.judged_by, spec.scheduler
    if not objective.others:
        return
    if not spec.searcher.takes_several:
        message = (
            f"`{spec.searcher.label}` searches for the best of one objective; with several, use"
            " `tpe`, `gp`, `random`, `qmc` or `grid`"
        )
        yield Finding(("searcher",), message)
    if not scheduler.takes_several:
        message = (
            f"`{scheduler.label}` compares trials by one number; with several objectives, use"
            " `asha`, `hyperband` or `none`"
        )
        yield Finding(("scheduler",), message)
    if spec.compares_gains:
        message = "`activation` projects the gain of one objective; with several, use `epochs`"
        yield Finding(("scheduler", "clock"), message)
    if spec.stop_when is not None:
        message = (
            "judges by one objective whether further trials may be better; with several, leave it"
            " out"
        )
        yield Finding(("stop_when",), message)
    if objective.has_cost and spec.replayed:
        keys = ", ".join(f"`{key}`" for key in spec.replayed)
        message = (
            "every trial trains as long as the most patient one, because curves are replayed for"
            f" {keys}: costs do not differ by that; add `replay_patience: false`"
        )
        yield Finding(("objective",), message)


def _check_together(spec: SweepSpec, keys: Sequence[str]) -> Iterator[Finding]:
    """Wrong combinations of searched values, which are drawn independently."""
    reported = set()
    for drawn in _combinations(spec, keys):
        for message in _mistakes_of(spec, drawn):
            if message not in reported:
                reported.add(message)
                where = " with ".join(f"`{key}` {shown(value)}" for key, value in drawn.items())
                yield Finding(("space", keys[-1]), f"{where}: {message}")


def _wrong_values(spec: SweepSpec, key: str, distribution: Distribution) -> Iterator[str]:
    """Mistakes of a value that no draw of the settings that limit it can avoid."""
    group = next((group for group in ENTANGLED if key in group), ())
    searched = [other for other in group if other != key and other in spec.space]
    space = within_itself({name: spec.space[name] for name in (key, *searched)})
    beside = _combinations(spec, searched)
    for value in possible_values(distribution):
        least: list[str] | None = None
        for place, others in enumerate(beside):
            values = {key: value, **others}
            drawn = drawn_in(space, values)
            if key not in drawn:
                continue
            mistakes = _mistakes_of(spec, {name: values[name] for name in drawn})
            least = mistakes if least is None else min(least, mistakes, key=len)
            if not mistakes:
                beside.insert(0, beside.pop(place))  # likely to accept the next value too
                break
        yield from least or ()


def _listed_twice(spec: SweepSpec, key: str, listed: Listed) -> Iterator[str]:
    """Values that are written differently but mean the same to the setting."""
    first: dict[tuple[type, ParameterValue], ParameterValue] = {}
    for value in listed.values:
        try:
            read = value_of(spec.trial({key: value}), key)
        except InputError:  # valid only with other values of the space
            continue
        before = first.setdefault((type(read), read), value)
        if before is not value:
            same = f"{shown(before)} and {shown(value)}"
            yield f"`{listed.name}` lists the same value twice: `{key}` takes {same} alike"


def _combinations(spec: SweepSpec, keys: Sequence[str]) -> list[dict[str, ParameterValue]]:
    """Every combination of the extreme values of some searched settings; an empty one for none.

    Those that conditions rule out are missing.
    """
    space = within_itself({key: spec.space[key] for key in keys})
    found: list[dict[str, ParameterValue]] = [{}]
    for key in in_order(space):
        found = [
            {**before, **one}
            for before in found
            for one in (
                _extremes(key, space[key], before) if is_drawn(space[key], before) else [{}]
            )
        ]
    return [{key: values[key] for key in keys if key in values} for values in found]


def _extremes(
    key: str, kind: Distribution, before: Mapping[str, ParameterValue]
) -> list[dict[str, ParameterValue]]:
    """The smallest and largest number beside these values, and all values that are no numbers."""
    if isinstance(kind, Interval) and all(end is None or end.of in before for end in kind.ends):
        kind = within(kind, before)
    listed = [v for v in possible_values(kind) if not is_number(v)]
    others = [v for v in listed if tuple in types_of(key) or not isinstance(v, tuple)]
    return [{key: value} for value in (*dict.fromkeys(kind.extent or ()), *others)] or [{}]


def _mistakes_of(spec: SweepSpec, parameters: dict[str, ParameterValue]) -> list[str]:
    """What is wrong with a trial; of another setting than these parameters, with its name."""
    mistakes: list[Mistake] = []
    with gathering(mistakes):
        spec.trial(parameters)
    return [
        one.message if one.key in {"", *parameters} else f"`{one.key}`: {one.message}"
        for one in mistakes
    ]


def _check_shared_gpu(spec: SweepSpec) -> Iterator[Finding]:
    gpu, trials = spec.resources.gpu, spec.resources.trials_per_gpu
    if trials == 1 or gpu == "auto" or gpu in (0, 1):
        return
    message = (
        f"is {trials}: the trials of a process share one whole GPU, but `resources.gpu` is {gpu:g};"
        " leave one of the two out"
    )
    yield Finding(("resources", "trials_per_gpu"), message)


COUNTED = ("trials", "space", "searcher", "presets", "warm_start", "replay_patience", "scheduler")
"""Settings that decide the number of trials."""
LENGTHS = ("trainer.epochs", "loss.warmup_epochs", "loss.rampup_epochs")
CHECKS: tuple[tuple[tuple[str, ...], Callable[[SweepSpec], Iterator[Finding]]], ...] = (
    (COUNTED, _check_grid),
    (COUNTED, _check_replayed),
    (("space", "searcher", "replay_patience"), check_priors),
    (("scheduler", "presets", "space"), _check_clock),
    (("scheduler", "loss.weights", "space", *LENGTHS), _check_rungs),
    (LENGTHS, _check_warmup),
    (("presets", "data", "trainer", "network", "loss", "early_stopping"), _check_presets),
    (COUNTED, _check_room),
    (("space", "replay_patience"), check_conditions),
    (("searcher", "warm_start"), _check_warm_start),
    (("searcher",), _check_stop_when),
    (("objective", "searcher", "scheduler", "space"), _check_several_objectives),
    (("confirm", "data", "trainer.kind", "trainer.fold"), check_confirm),
    (("replicate", "data", "objective", "trainer.kind", "trainer.fold"), check_replicate),
    (("data", "trainer.kind"), check_test),
    (("resources",), _check_shared_gpu),
)
"""The settings that a check reads, and the check."""
