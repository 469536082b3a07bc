"""How a space is searched: searcher, scheduler, resources of a trial, time budget."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from sweep.plugins.entry_names import PluginName
from sweep.plugins.plugin_kinds import SCHEDULER, SEARCHER, PluginKind
from sweep.spec.settings.settings_base import Options, Settings
from sweep.spec.words.phrases import must_be, one_of, shown


def _plugin(kind: PluginKind, entry: str) -> str:
    found = kind.entry(entry, own=())
    if found is None:
        names = list(kind.registered)
        told = one_of([f"my_package.module:My{kind.word.title()}", *names])
        raise ValueError(must_be(told, entry, names))
    return found


class Chosen(Settings):
    """What is chosen by name."""

    name: str

    @property
    def label(self) -> str:
        """What it is called, for people: of a plug-in its own name."""
        return str(getattr(self, "entry", self.name))


class AnySearcher(Chosen):
    """What every searcher has."""

    seed: int | None = Field(default=None, ge=0, lt=2**31)
    """Seed of the proposals; null: the top-level seed."""
    learns: ClassVar[bool] = True  # whether a proposal depends on how earlier trials ended


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
    """Random trials before the first that learns."""


class GpSearcher(AnySearcher):
    """Optuna's Gaussian process: few, long trials; learns from those that no scheduler pruned."""

    name: Literal["gp"] = "gp"
    startup_trials: int = Field(default=10, ge=1)
    """Random trials that must have completed or diverged before the first that learns."""


class CmaesSearcher(AnySearcher):
    """CMA-ES: many trials over numbers; listed values are left to a TPE for each."""

    name: Literal["cmaes"] = "cmaes"


class QmcSearcher(AnySearcher):
    """A Sobol' sequence: spread more evenly than random draws, learns nothing."""

    name: Literal["qmc"] = "qmc"
    learns: ClassVar[bool] = False


class CustomSearcher(AnySearcher):
    """A plug-in: a class or function of another package, docs/how-to/plugins.md."""

    name: Literal["custom"] = "custom"
    entry: Annotated[str, AfterValidator(partial(_plugin, SEARCHER))]
    """As package.module:attribute, file.py:attribute or by its registered name; `searcher: ENTRY`
    is short for it."""
    options: Options = Field(default_factory=dict)
    """What it is called with, by name."""


TRAINED_EPOCHS_PER_RESOURCE = 4
"""Trained epochs that a trial has to have for each unit of `epochs_in_full`."""


def epochs_in_full(epochs: int, full_from: int) -> int:
    """The resource that rungs count by `clock: activation`; below 1 where there is none yet.

    Args:
        epochs: that the trial has trained.
        full_from: number of epochs before its geometric loss acts in full.
    """
    return min(epochs - full_from, epochs // TRAINED_EPOCHS_PER_RESOURCE)


def trained_epochs(resource: int, full_from: int) -> int:
    """Epochs that a trial has trained when `epochs_in_full` is first ``resource``, at least 1."""
    return max(full_from + resource, TRAINED_EPOCHS_PER_RESOURCE * resource)


class StoppingScheduler(Chosen):
    """What every scheduler has that stops trials."""

    grace_period: int | None = Field(default=None, ge=1)
    """Epochs, by the clock, after which a trial is first judged.

    null: of trained epochs, one past the longest warm-up plus ramp-up of the space, at most
    `trainer.epochs`, since before that all trials are the same run; 1 where no geometric loss is
    used. By `clock: activation`: a 25th of `trainer.epochs`, at least 2.
    """
    clock: Literal["epochs", "activation"] | None = None
    """What is compared when. epochs: the objective, after so many trained epochs.

    activation: the gain over the preset `baseline`, which it needs, that a trial projects: how far
    it is ahead, and what its movement and its trend may still add. A trial of e epochs whose
    geometric loss acts in full after a is at min(e − a, e / 4): epochs since then, at most a
    quarter of all.
    null: activation where it is possible and the warm-up is searched.
    """

    def rungs(self, max_epochs: int) -> list[int]:
        """Counts of epochs at which trials are judged, all before ``max_epochs``.

        There itself a trial has nothing left to train.
        """
        return list(range(self.grace_period or 1, max_epochs))


class AshaScheduler(StoppingScheduler):
    """Asynchronous successive halving: stops the worse trials at each rung."""

    name: Literal["asha"] = "asha"
    reduction_factor: int = Field(default=3, ge=2)
    """At each rung the best 1 / reduction_factor go on."""
    rung_factor: int | None = Field(default=None, ge=2)
    """Each rung lies that many times later than the one before.

    null: `reduction_factor` times, as in the paper; 2 by `clock: activation`.
    """
    pause: bool | None = None
    """At a rung a trial waits until it is certain whether it is among the best of all, its worker
    taking another; false: it is judged at once, by those that came before it.

    Fewer epochs for the same winner, whatever the order of the trials; but the first trial comes to
    its end late. null: true for the searchers that learn nothing from earlier trials (random, grid,
    qmc); the others would have to propose most trials before they know how any has ended.
    """

    def rungs(self, max_epochs: int) -> list[int]:
        factor = self.rung_factor or self.reduction_factor
        return rung_epochs(max_epochs, self.grace_period or 1, factor)


class HyperbandScheduler(StoppingScheduler):
    """Brackets of `asha`: each leaves out one rung more and so is more patient."""

    name: Literal["hyperband"] = "hyperband"
    reduction_factor: int = Field(default=3, ge=2)
    """As of `asha`."""
    brackets: int | None = Field(default=None, ge=1)
    """null: as many as there are rungs."""

    def rungs(self, max_epochs: int) -> list[int]:
        return rung_epochs(max_epochs, self.grace_period or 1, self.reduction_factor)


class MedianScheduler(StoppingScheduler):
    """Stops a trial whose best value is worse than the median of the others' running means."""

    name: Literal["median"] = "median"
    min_trials: int = Field(default=3, ge=1)
    """Others that must have come as far before a trial is judged."""


class CustomScheduler(StoppingScheduler):
    """A plug-in: a class or function of another package, docs/how-to/plugins.md."""

    name: Literal["custom"] = "custom"
    entry: Annotated[str, AfterValidator(partial(_plugin, SCHEDULER))]
    """As package.module:attribute, file.py:attribute or by its registered name; `scheduler: ENTRY`
    is short for it."""
    options: Options = Field(default_factory=dict)
    """What it is called with, by name."""


class NoScheduler(Chosen):
    """Every trial trains to its end."""

    name: Literal["none"] = "none"


def _bare_name(default: str, settings: Any, plugins: PluginKind) -> BeforeValidator:
    """Reads ``tpe`` as ``{name: tpe}``, and a mapping without a name as one of the default's.

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
        return value if entry is None else {**value, "name": "custom", "entry": entry}

    bare = tuple(name for name in own if name != "custom")
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
"""Keys whose mapping may be written as its bare name."""


def _whole_above_one(gpus: float) -> float:
    """Ray's rule: a trial shares one GPU or has whole ones."""
    if gpus > 1 and gpus != int(gpus):
        raise ValueError(f"must be a fraction of one GPU or a whole number, but is {gpus}")
    return gpus


class Resources(Settings):
    """What one trial occupies while it runs."""

    cpu: float = Field(default=1.0, ge=1e-4)
    """CPU cores; fractions are allowed, down to Ray's unit of 0.0001."""
    gpu: Annotated[float, Field(ge=0), AfterValidator(_whole_above_one)] | Literal["auto"] = "auto"
    """GPUs: a fraction of one, or a whole number; auto: one where the machine has any."""


TIME = r"^([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([smhd])$"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(value: Any) -> Any:
    """Seconds of ``90s``, ``10m``, ``2h`` or ``1d``; whatever is no text is left to pydantic."""
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
    """The largest unit in which the time is a whole number; `seconds` reads it back exactly."""
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
    """Trained epochs of each rung: ``grace_period · reduction_factor^k`` below ``max_epochs``.

    Raises:
        ValueError: grace_period < 1 or reduction_factor < 2.
    """
    if grace_period < 1:
        raise ValueError(f"`grace_period` must be at least 1, but is {grace_period}")
    if reduction_factor < 2:
        raise ValueError(f"`reduction_factor` must be at least 2, but is {reduction_factor}")
    rungs = []
    epochs = grace_period
    while epochs < max_epochs:
        rungs.append(epochs)
        epochs *= reduction_factor
    return rungs
