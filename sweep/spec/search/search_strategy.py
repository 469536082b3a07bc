"""How a space is searched: searcher, scheduler, replicates, resources of a trial, its end."""

from __future__ import annotations

import math
import re
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from sweep.plugins.entry_names import PLUGIN, PluginName
from sweep.plugins.plugin_kinds import SCHEDULER, SEARCHER, PluginKind, required_entry
from sweep.spec.settings.settings_base import Options, Settings
from sweep.spec.words.phrases import must_be, shown


class Chosen(Settings):
    """Base of settings that are chosen by name."""

    name: str
    takes_several: ClassVar[bool] = True  # whether it can compare trials by several objectives

    @property
    def label(self) -> str:
        """Its name in messages; for a plug-in, the plug-in's own."""
        return str(getattr(self, "entry", self.name))


class AnySearcher(Chosen):
    """Settings of every searcher."""

    seed: int | None = Field(default=None, ge=0, lt=2**31)
    """Seed of the proposals; null: the top-level seed."""
    learns: ClassVar[bool] = True  # whether a proposal depends on how earlier trials fared

    @property
    def random_trials(self) -> float:
        """How many of its first proposals depend on no other trial."""
        return getattr(self, "startup_trials", 0) if self.learns else math.inf


class RandomSearcher(AnySearcher):
    """Independent draws from the space."""

    name: Literal["random"] = "random"
    learns: ClassVar[bool] = False


class GridSearcher(AnySearcher):
    """Every combination of the listed values."""

    name: Literal["grid"] = "grid"
    learns: ClassVar[bool] = False


class TpeSearcher(AnySearcher):
    """Optuna's tree-structured Parzen estimator: later trials learn from earlier ones."""

    name: Literal["tpe"] = "tpe"
    startup_trials: int = Field(default=10, ge=0)
    """Random trials before the searcher starts to learn."""


class GpSearcher(AnySearcher):
    """Optuna's Gaussian process, for few, long trials."""

    name: Literal["gp"] = "gp"
    startup_trials: int = Field(default=10, ge=1)
    """Random trials that must have reached a rung, completed or diverged before the searcher starts
    to learn."""


class CmaesSearcher(AnySearcher):
    """CMA-ES, for many trials over numbers. Listed values are left to one TPE each."""

    name: Literal["cmaes"] = "cmaes"
    takes_several: ClassVar[bool] = False


class QmcSearcher(AnySearcher):
    """A Sobol' sequence: spread more evenly than random draws. It does not learn."""

    name: Literal["qmc"] = "qmc"
    learns: ClassVar[bool] = False


class CustomSearcher(AnySearcher):
    """A plug-in: a class or function of another package, docs/how-to/plugins.md."""

    name: Literal["custom"] = "custom"
    takes_several: ClassVar[bool] = False
    entry: Annotated[str, AfterValidator(partial(required_entry, SEARCHER))]
    """As package.module:attribute, file.py:attribute or by its registered name; `searcher: ENTRY`
    is short for it."""
    options: Options = Field(default_factory=dict)
    """Keyword arguments of the plug-in."""


TRAINED_EPOCHS_PER_RESOURCE = 4
"""Trained epochs that each unit of `epochs_in_full` requires."""


def epochs_in_full(epochs: int, full_from: int) -> int:
    """The resource that rungs count with `clock: activation`; below 1 while there is none yet.

    Args:
        epochs: epochs that the trial has trained.
        full_from: epochs before its geometric loss acts in full.
    """
    return min(epochs - full_from, epochs // TRAINED_EPOCHS_PER_RESOURCE)


def trained_epochs(resource: int, full_from: int) -> int:
    """Epochs that a trial has trained when `epochs_in_full` is first ``resource``, at least 1."""
    return max(full_from + resource, TRAINED_EPOCHS_PER_RESOURCE * resource)


class StoppingScheduler(Chosen):
    """Settings of every scheduler that stops trials."""

    grace_period: int | None = Field(default=None, ge=1)
    """Epochs, by the clock, before a trial can be stopped.

    null, with `clock: epochs`: one more than the longest warm-up plus ramp-up of the space, at most
    `trainer.epochs`; before that, some trial's geometric loss does not act in full. 1 if no
    geometric loss is used. null, with `clock: activation`: `trainer.epochs` / 25, at least 2; / 20
    if trials wait (`pause`) and the searcher learns.
    """
    clock: Literal["epochs", "activation"] | None = None
    """What trials are compared by, and when. epochs: the objective, after the same number of
    trained epochs.

    activation: the projected gain over the preset `baseline`, which is required. It is a trial's
    lead over the baseline plus what its fluctuation and trend may still add. Epochs are counted
    from where the geometric loss acts in full: a trial of e epochs, in full from epoch a on, is at
    min(e − a, e / 4).
    null: activation if the warm-up is searched and it is possible.
    """

    def rungs(self, max_epochs: int) -> list[int]:
        """Numbers of epochs at which trials are compared, all below ``max_epochs``.

        At ``max_epochs`` itself a trial has nothing left to train.
        """
        return list(range(self.grace_period or 1, max_epochs))


class AshaScheduler(StoppingScheduler):
    """Asynchronous successive halving: stops the worst trials at each rung."""

    name: Literal["asha"] = "asha"
    reduction_factor: int = Field(default=3, ge=2)
    """At each rung the best 1 / reduction_factor of the trials continue."""
    rung_factor: int | None = Field(default=None, ge=2)
    """Ratio between the epochs of a rung and of the one before.

    null: `reduction_factor`, as in the paper; 2 with `clock: activation`.
    """
    pause: bool | None = None
    """Pause a trial at a rung until it is certain whether it is among the best of all. Its worker
    takes another trial meanwhile. false: compare it at once with the trials before it.

    Pausing trains fewer epochs, and its decisions do not depend on the order of the trials. But the
    first trial completes late. null: true for the searchers that do not learn (random, grid, qmc),
    else false. A searcher that learns would propose most trials knowing only scores at the first
    rung: in simulation that saved 22 to 46 % of the epochs, but its winners were worse.
    """

    def rungs(self, max_epochs: int) -> list[int]:
        factor = self.rung_factor or self.reduction_factor
        return rung_epochs(max_epochs, self.grace_period or 1, factor)


class HyperbandScheduler(StoppingScheduler):
    """Brackets of `asha`. Each leaves out one more of the first rungs and so is more patient."""

    name: Literal["hyperband"] = "hyperband"
    reduction_factor: int = Field(default=3, ge=2)
    """As in `asha`."""
    brackets: int | None = Field(default=None, ge=1)
    """Number of brackets; null: as many as there are rungs."""

    def rungs(self, max_epochs: int) -> list[int]:
        return rung_epochs(max_epochs, self.grace_period or 1, self.reduction_factor)


class MedianScheduler(StoppingScheduler):
    """Stop a trial if its best value is worse than the median of the other trials' running
    means."""

    name: Literal["median"] = "median"
    takes_several: ClassVar[bool] = False
    min_trials: int = Field(default=3, ge=1)
    """Other trials that must have trained as many epochs before a trial is compared."""


class CustomScheduler(StoppingScheduler):
    """A plug-in: a class or function of another package, docs/how-to/plugins.md."""

    name: Literal["custom"] = "custom"
    takes_several: ClassVar[bool] = False
    entry: Annotated[str, AfterValidator(partial(required_entry, SCHEDULER))]
    """As package.module:attribute, file.py:attribute or by its registered name; `scheduler: ENTRY`
    is short for it."""
    options: Options = Field(default_factory=dict)
    """Keyword arguments of the plug-in."""


class NoScheduler(Chosen):
    """Every trial trains to its end."""

    name: Literal["none"] = "none"


def _bare_name(default: str, settings: Any, plugins: PluginKind) -> BeforeValidator:
    """Read ``tpe`` as ``{name: tpe}``, and give a mapping without a name the default name.

    A plug-in's name stands for ``{name: custom, entry: …}``.
    """
    own = tuple(kind.model_fields["name"].default for kind in get_args(settings))

    def expand(value: Any) -> Any:
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, dict):
            return value
        value = {"name": default, **value}
        entry = plugins.entry(value["name"], own)
        return value if entry is None else {**value, "name": PLUGIN, "entry": entry}

    bare = tuple(name for name in own if name != PLUGIN)
    return BeforeValidator(expand, json_schema_input_type=Literal[bare] | PluginName | settings)


AnySearcherSettings = (
    RandomSearcher
    | GridSearcher
    | TpeSearcher
    | GpSearcher
    | CmaesSearcher
    | QmcSearcher
    | CustomSearcher
)
SearcherSettings = Annotated[
    AnySearcherSettings,
    Field(discriminator="name"),
    _bare_name("tpe", AnySearcherSettings, SEARCHER),
]
AnySchedulerSettings = (
    AshaScheduler | HyperbandScheduler | MedianScheduler | NoScheduler | CustomScheduler
)
SchedulerSettings = Annotated[
    AnySchedulerSettings,
    Field(discriminator="name"),
    _bare_name("asha", AnySchedulerSettings, SCHEDULER),
]
BARE_NAMES = ("searcher", "scheduler")
"""Keys whose mapping can be shortened to its bare name."""


def _whole_above_one(gpus: float) -> float:
    """Ray's rule: a trial gets a fraction of one GPU, or whole GPUs."""
    if gpus > 1 and gpus != int(gpus):
        raise ValueError(f"must be a fraction of one GPU or a whole number, but is {gpus}")
    return gpus


def trials_on_gpus(gpus: float, share: float) -> int:
    """How many trials that take ``share`` GPUs fit. A fraction is never of two GPUs."""
    return int(gpus) * int(1 / share) if share < 1 else int(gpus / share)


class Resources(Settings):
    """Resources of one trial while it runs."""

    cpu: float = Field(default=1.0, ge=1e-4)
    """CPU cores per trial. Fractions are allowed, down to Ray's unit of 0.0001."""
    gpu: Annotated[float, Field(ge=0), AfterValidator(_whole_above_one)] | Literal["auto"] = "auto"
    """GPUs per trial: a fraction of one, or a whole number; auto: one if the machine has any."""
    trials_per_gpu: Annotated[int, Field(ge=1)] | Literal["auto"] = 1
    """Trials that one process trains in turn, on the GPU and the CPU cores of one trial.

    Each has the numbers that it has alone, bit for bit on a CPU. A trial that ends makes room for
    the next one. auto: as many as pay; 1 on a CPU.
    """


TIME = r"^([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([smhd])$"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(value: Any) -> Any:
    """Seconds of ``90s``, ``10m``, ``2h`` or ``1d``; any other type is left to pydantic."""
    if not isinstance(value, str):
        return value
    match = re.match(TIME, value.strip())
    if match is None:
        raise ValueError(
            "must be a time such as `90s`, `10m`, `2h` or `1d`, or a number of seconds, "
            f"but is {shown(value)}"
        )
    return float(match[1]) * SECONDS[match[2]]


def _readable(time: float | None) -> str | float | None:
    """The time in the largest unit that gives a whole number; `seconds` reads it back exactly."""
    if time is None:
        return None
    for unit, length in reversed(SECONDS.items()):
        if time % length == 0 and time / length < 1e9:
            return f"{int(time / length)}{unit}"
    return time


TimeBudget = Annotated[
    float | None,
    Field(gt=0),
    BeforeValidator(
        seconds,
        json_schema_input_type=Annotated[str, Field(pattern=TIME)]
        | Annotated[float, Field(gt=0)]
        | None,
    ),
    PlainSerializer(_readable),
]


def rung_epochs(max_epochs: int, grace_period: int, reduction_factor: int) -> list[int]:
    """Trained epochs of each rung: ``grace_period · reduction_factor^k`` below ``max_epochs``."""
    rungs = []
    epochs = grace_period
    while epochs < max_epochs:
        rungs.append(epochs)
        epochs *= reduction_factor
    return rungs


class ReplicateSettings(Settings):
    """On which folds and seeds a configuration is trained, as long as it may still be the best."""

    folds: int = Field(default=3, ge=1)
    """Largest number of folds of a configuration, starting with the sweep's own fold."""
    seeds: int = Field(default=1, ge=1, le=100)
    """Number of seeds on each fold, on the sweep's own fold starting with the sweep's own seed.
    Every fold is trained once before any is trained again."""

    @property
    def runs(self) -> int:
        """Largest number of trainings of one configuration, its trial included."""
        return self.folds * self.seeds


class StopWhen(Settings):
    """End the search when further trials are unlikely to be better. `trials` stays the most."""

    improvement: float = Field(default=0.002, gt=0, allow_inf_nan=False)
    """Least difference that matters, in the unit of the objective: 0.002 of validation Dice."""
    within: int = Field(default=20, ge=1)
    """Number of further trials that are looked ahead."""
    chance: float = Field(default=0.05, gt=0, lt=1)
    """The search ends when the estimated probability that any of these trials improves on the best
    by `improvement` is below this, for 5 ended trials in a row."""
    after: int = Field(default=20, ge=8)
    """Trials that must have ended before, with presets and enqueued ones. After an extension
    (`--extend trials=+20`) it counts anew."""


def _improvement_alone(value: Any) -> Any:
    """`stop_when: 0.002` as the mapping that it is short for."""
    if isinstance(value, bool | str | list):
        raise ValueError(must_be("a number, a mapping of settings or null", value))
    return {"improvement": value} if isinstance(value, int | float) else value


StopWhenSettings = Annotated[
    StopWhen | None,
    BeforeValidator(
        _improvement_alone,
        json_schema_input_type=Annotated[float, Field(gt=0)] | StopWhen | None,
    ),
]
