"""Warnings before a sweep starts: valid settings that are probably not intended."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from sweep.machine.hardware import Machine
from sweep.spec.checks.searched_in_vain import missing_conditions
from sweep.spec.search.replicate_plan import full_table
from sweep.spec.search.search_strategy import StoppingScheduler, trials_on_gpus
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.geometric_terms import ROOT_TERMS, weight_keys
from sweep.spec.settings.loss_settings import LossSettings
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.space.distributions import Listed
from sweep.spec.space.linked_space import depends_on
from sweep.spec.tree.setting_tree import names_in, value_of
from sweep.spec.words.phrases import counted
from sweep.vocabulary.objective import known_mode
from sweep.vocabulary.parameter_values import is_number

LUCK: Mapping[str, str] = {
    "seed": "a `seed` is not a choice: the best one was lucky, which says nothing about the next"
    " training",
    **dict.fromkeys(
        ("data.fold", "data.folds", "data.seed", "trainer.fold"),
        "trials of different values are validated on different cases, so their Dice cannot be"
        " compared, and the easiest cases win",
    ),
    **dict.fromkeys(
        ("data.kind", "data.difficulty", "data.size", "data.count", "data.validation_slices",
         "data.gap", "data.step", "data.threshold", "data.tissues", "data.slice_axis",
         "data.folder", "trainer.dataset"),
        "trials of different values are validated on different data, so their Dice cannot be"
        " compared, and the easiest data win",
    ),
}  # fmt: skip
"""Settings whose best value only means easier cases or more luck → why not to search them."""
REPEATED = ("seed", "data.fold", "data.seed", "trainer.fold")
"""Those of them that `confirm` varies when it trains the leaders again."""
FOR_GPUS: Mapping[str, tuple[Sequence[object], str]] = {
    "trainer.amp": (
        ("fp16",),
        "`trainer.amp` fp16 is for GPUs: on a CPU it is slower than `off`, and less precise",
    ),
    "trainer.tf32": (
        (True, False),
        "`trainer.tf32` has no effect: no trial trains on a GPU here",
    ),
    "trainer.channels_last": (
        (True,),
        "`trainer.channels_last` is meant for GPUs, and no trial trains on one here: it may be"
        " slower, and the last bits of the results differ",
    ),
    "trainer.compile": (
        (True,),
        "`trainer.compile` is meant for GPUs, and no trial trains on one here: it takes minutes"
        " before the first step, which a CPU may not win back",
    ),
}
"""Setting → values that are meant for GPUs, and what they do on a CPU."""
SMALL_BIAS = 0.1
"""Share of a mask's perimeter that ε may add without a warning."""


def warnings(spec: SweepSpec, machine: Machine | None = None) -> list[str]:
    """One sentence for each setting that is valid but probably not intended.

    Args:
        spec: a sweep without mistakes.
        machine: checks its resources too.
    """
    topics = (
        _about_loss,
        _about_rungs,
        _about_last_epoch,
        _about_searcher,
        _about_space,
        _about_sizes,
        _about_objective,
    )
    found = [warning for topic in topics for warning in topic(spec)]
    return found + (list(_about_machine(spec, machine)) if machine else [])


def trial_warnings(settings: TrialSettings, machine: Machine | None = None) -> list[str]:
    """`warnings` of a single trial."""
    ramp, epochs, found = settings.loss.ramp, settings.trainer.epochs, list[str]()
    if ramp.is_missed_in(epochs):
        found.append(
            f"`loss.warmup_epochs` reaches {ramp.off_until} of {epochs} epochs: the geometric loss"
            " never switches on"
        )
    if settings.trainer.device == "cpu" or (machine and machine.no_cuda is not None):
        known = names_in(settings)
        found += _only_for_gpus(
            {key: (value_of(settings, key),) for key in FOR_GPUS if key in known}
        )
    return found


def bias_warning(loss: LossSettings, pixels: int, perimeter: float, whose: str) -> str | None:
    """A warning if ε adds much to every perimeter, else None.

    Args:
        loss: loss of the trial, or the one with the largest ε of a sweep.
        pixels: H·W of a training image.
        perimeter: perimeter of a mask, in pixels.
        whose: the mask, in words.
    """
    if loss.sqrt_mode == "centered" or loss.weights.compactness == 0:
        return None
    bias = pixels * math.sqrt(loss.sqrt_epsilon)
    if bias <= SMALL_BIAS * perimeter:
        return None
    return (
        f"`loss.sqrt_epsilon` {loss.sqrt_epsilon:g} with `loss.sqrt_mode` {loss.sqrt_mode} adds up"
        f" to {bias:.0f} pixels to a perimeter, where {whose} has {perimeter:.0f}: the compactness"
        " term hardly sees the mask; `loss.sqrt_mode: centered` adds none"
    )


def largest_loss(spec: SweepSpec) -> LossSettings:
    """The loss of a sweep with the largest ε and the largest weight of compactness."""
    weight = spec.ranges.largest("loss.weights.compactness")
    weights = spec.loss.weights.model_copy(update={"compactness": weight})
    epsilon = spec.ranges.largest("loss.sqrt_epsilon")
    return spec.loss.model_copy(update={"sqrt_epsilon": epsilon, "weights": weights})


def _about_loss(spec: SweepSpec) -> Iterator[str]:
    ranges = spec.ranges
    has_root = any(ranges.largest(key) > 0 for key in weight_keys(ROOT_TERMS))
    if has_root and ranges.smallest("loss.sqrt_epsilon") == 0:
        yield (
            "`loss.sqrt_epsilon` 0 can diverge in any step after the warm-up: the gradient of a "
            "square root is NaN where the prediction is exactly flat. A saturated network meets "
            "that at once, another one after hundreds of steps or never. With 1e-6 the gradient is "
            "finite"
        )
    # No mask is known yet, but the largest disc in an image has a perimeter of π·side. For images
    # of unknown size, `sweep.data.prepared.outline_length` checks the masks once they are read.
    keys = spec.data.size_keys
    patch = spec.data.patch if spec.data.spatial_dims == 2 else None
    side = value_of(spec, keys[1]) if keys else max(patch) if patch else None
    if side is not None and "data" in spec.trainer.traits.reads:
        loss, perimeter = largest_loss(spec), math.pi * side
        if warning := bias_warning(loss, side * side, perimeter, "even the largest disc"):
            yield warning
    most, latest = ranges.most_epochs, ranges.latest_ramp
    if latest.is_missed_in(most):
        none = ranges.earliest_ramp.is_missed_in(most)
        yield (
            f"`loss.warmup_epochs` reaches {latest.off_until} of {most} epochs: the geometric loss"
            f" switches on in {'no configuration' if none else 'some configurations only'}"
        )


def _about_rungs(spec: SweepSpec) -> Iterator[str]:
    if not isinstance(spec.scheduler, StoppingScheduler):
        return
    ranges, rungs = spec.ranges, spec.rungs()
    most, warmup = ranges.most_epochs, ranges.latest_ramp.off_until
    if not rungs:
        first = f"is first judged after {spec.scheduler.grace_period} (`scheduler.grace_period`)"
        when = (
            f"counts at most {ranges.most_epochs_in_full} by `scheduler.clock: activation`, but "
            f"{first}"
            if spec.compares_gains
            else f"{first}, at its end"
        )
        yield f"a trial of {counted(most, 'epoch')} {when}: the scheduler prunes no trial"
    if rungs and spec.time_budget and spec.pauses:
        yield (
            "the scheduler first trains most trials up to the first rung (`scheduler.pause`). If "
            "`time_budget` ends the sweep then, no trial has trained to its end; `pause: false` "
            "judges each at once"
        )
    inside = [] if spec.compares_gains else [rung for rung in rungs if rung <= warmup]
    if ranges.uses_geometric_loss and inside:
        right = ranges.default_grace_period
        cure = f"`scheduler.grace_period: {right}` lies after it"
        every = spec.scheduler.name == "median"  # it judges after each epoch
        which = f"{inside[0]} to {inside[-1]}" if every else ", ".join(map(str, inside))
        yield (
            f"{counted(len(inside), 'rung')} ({which} trained epochs) inside "
            f"the longest warm-up of {warmup} epochs, where the geometric loss of some trials does "
            "not act yet; "
            + (cure if right < most else f"train for more than {right} epochs, or warm up less")
        )


def _about_last_epoch(spec: SweepSpec) -> Iterator[str]:
    most = spec.ranges.most_epochs
    key = "early_stopping.patience"
    asked = key in spec.space or "patience" in spec.early_stopping.model_fields_set
    if asked and (patience := spec.ranges.of(key)) is not None:
        smallest, largest = map(int, patience)
        starts_late = spec.early_stopping.counts_from == "rampup_end"
        first = spec.ranges.earliest_ramp.full_from if starts_late else 0
        after = f", counted from epoch {first}," if first else ""
        never = f"never stops a trial of {most} epochs"
        if first + smallest >= most:
            yield f"`early_stopping.patience` {smallest}{after} {never}"
        elif largest >= most:
            yield f"`early_stopping.patience` {largest} {never}"
    for expected in spec.expect:
        if expected.epoch >= most:
            yield (
                f"`expect` looks at epoch {expected.epoch}, which no trial of {most} epochs,"
                " counted from 0, reaches"
            )


def _about_searcher(spec: SweepSpec) -> Iterator[str]:
    name = spec.searcher.name
    if spec.given >= spec.trials:
        yield (
            f"{counted(spec.trials, 'trial')}: all for presets and enqueued configurations, none "
            "for what is searched"
        )
    startup = getattr(spec.searcher, "startup_trials", 0)
    if spec.drawn and spec.trials <= startup:
        yield (
            f"`searcher: {name}` learns from trial {startup} on, but the sweep has "
            f"{counted(spec.trials, 'trial')}: all are random"
        )
    if spec.stop_when is not None and spec.stop_when.after >= spec.trials:
        yield (
            f"`stop_when.after` {spec.stop_when.after} with {counted(spec.trials, 'trial')}: the"
            " search never ends early"
        )
    budget, table = spec.confirm.budget if spec.confirm else None, full_table(spec)
    if budget is not None and budget > table:
        yield (
            f"`confirm.budget` {budget} is more than the {table} trainings of all finalists on all"
            " blocks: the race never spends it; leave it out, or allow more seeds"
        )
    if spec.searcher.learns and spec.pauses:
        yield (
            f"`scheduler.pause` with `searcher: {name}`: most trials are proposed when of the "
            "others only the score at the first rung is known"
        )
    listed = [f"`{key}`" for key, kind in spec.drawn.items() if isinstance(kind, Listed)]
    if name == "cmaes" and listed:
        yield (
            f"`searcher: cmaes` searches numbers; the listed values of {', '.join(listed)} are "
            "left to a TPE for each"
        )
    if name == "cmaes" and spec.warm_start:
        yield (
            "`searcher: cmaes` learns where to look for numbers from this sweep alone, not from "
            "`warm_start`; `tpe` and `gp` do"
        )


def _about_space(spec: SweepSpec) -> Iterator[str]:
    for name in spec.presets:
        trial = spec.preset_trial(name)
        if trial.loss.ramp.is_missed_in(trial.trainer.epochs):
            yield (
                f"the preset `{name}` warms up for {trial.loss.warmup_epochs} of "
                f"{trial.trainer.epochs} epochs: its geometric loss never switches on"
            )
    yield from missing_conditions(spec)
    cure = "; `confirm: {top: 5, seeds: 5, folds: 1}` trains the leaders with several of them"
    for key in spec.drawn:
        if key in LUCK:
            yield f"`{key}` is searched: {LUCK[key]}" + cure * (key in REPEATED)


def size_warnings(batch: int, images: int, patch: int | None, side: int) -> Iterator[str]:
    """Batches that are smaller than requested and patches that are padded.

    Args:
        batch: requested images per step.
        images: number of training images.
        patch: side of a training patch in pixels; None for whole images.
        side: the longer one of the largest image.
    """
    if batch > images:
        yield (
            f"`trainer.batch_size` is {batch}, but there are {counted(images, 'training image')}:"
            " a step takes all of them"
        )
    if patch is not None and patch > side:
        yield (
            f"`data.patch_size` is {patch}, but the largest image has {side} pixels a side: what is"
            " missing is filled with zeros"
        )


def largest_sizes(spec: SweepSpec) -> tuple[int, int | None]:
    """Largest batch and patch of a sweep if its trainer reads ``data``; else a batch of 0."""
    if "data" not in spec.trainer.traits.reads:
        return 0, None
    sizes = spec.values_of("data.patch_size")
    sides = [side for size in sizes for side in (size if isinstance(size, tuple) else (size,))]
    patch = max((int(side) for side in sides if is_number(side)), default=None)
    return int(spec.ranges.largest("trainer.batch_size")), patch


def _about_sizes(spec: SweepSpec) -> Iterator[str]:
    # Generated images do not exist yet, but the settings define their sizes.
    if spec.data.size_keys is not None:
        share, (number, side) = spec.data.test, spec.data.size_keys
        folds, count = int(spec.ranges.largest("data.folds")), int(spec.ranges.smallest(number))
        test = round(share * count) if isinstance(share, float) else 0
        images = count - test - -(-(count - test) // folds)
        batch, patch = largest_sizes(spec)
        searched = spec.space.get("data.patch_size")
        if searched is not None and side in depends_on(searched):
            patch = None  # its bound is the size of the same trial
        yield from size_warnings(batch, images, patch, int(spec.ranges.smallest(side)))


def _about_objective(spec: SweepSpec) -> Iterator[str]:
    objective = spec.judged_by
    if known_mode(objective.metric) not in (None, objective.mode):
        yield (
            f"`objective.mode: {objective.mode}` makes the trial with the worst {objective.short} "
            "the best"
        )


def _only_for_gpus(values: Mapping[str, Sequence[object]]) -> Iterator[str]:
    """What settings of GPUs do where no trial trains on one.

    Args:
        values: the possible values of each of `FOR_GPUS`.
    """
    for key, (asked, effect) in FOR_GPUS.items():
        if any(value in asked for value in values.get(key, ())):
            yield effect


def _about_machine(spec: SweepSpec, machine: Machine) -> Iterator[str]:
    devices, gpu = spec.values_of("trainer.device"), spec.resources.gpu
    only_cpu = set(devices) == {"cpu"}
    if only_cpu or machine.no_cuda is not None:
        known = {*names_in(spec), *spec.space}
        yield from _only_for_gpus({key: spec.values_of(key) for key in FOR_GPUS if key in known})
    if machine.gpus and not machine.cuda and not only_cpu:
        yield (
            f"this machine has {counted(machine.gpus, 'GPU')}, but the installed torch is built"
            " without CUDA: trials train on the CPU"
        )
    if machine.gpus and gpu == 0 and not only_cpu:
        yield (
            "`resources.gpu` 0 reserves no GPU and hides none: trials train on it side by side;"
            " `trainer.device: cpu` keeps them off"
        )
    if gpu != "auto" and gpu > 0 and only_cpu:
        yield f"`resources.gpu` {gpu:g} with `trainer.device` cpu: the GPU that is reserved idles"
    threads = int(spec.ranges.largest("trainer.threads"))
    if processes := spec.trainer.traits.processes:
        threads += int(spec.ranges.largest(processes))
    if threads > max(1.0, spec.resources.cpu) and (devices != ("cuda",) or threads > machine.cpus):
        yield (
            f"a trial computes with {counted(threads, 'thread')}, but reserves"
            f" `resources.cpu` {spec.resources.cpu:g}: trials that run at once slow one another"
        )
    yield from _about_room(spec, machine)


def _about_room(spec: SweepSpec, machine: Machine) -> Iterator[str]:
    gpu, trials = spec.resources.gpu, spec.resources.trials_per_gpu
    if spec.max_concurrent is None or trials == "auto":
        return
    fitting = int(machine.cpus / spec.resources.cpu)
    if gpu != "auto" and gpu > 0:
        fitting = min(fitting, trials_on_gpus(machine.gpus, gpu))
    if fitting * trials < spec.max_concurrent:
        yield (
            f"`max_concurrent` is {spec.max_concurrent}, but this machine has room for "
            f"{counted(fitting * trials, 'trial')} at a time"
        )
