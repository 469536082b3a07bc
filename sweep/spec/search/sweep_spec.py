"""A whole sweep: the settings of a trial, the search space, and how it is searched."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from sweep.spec.search.before_and_after import (
    ConfirmSettings,
    PicturesSettings,
    WarmStartSettings,
    known_folds,
)
from sweep.spec.search.search_strategy import (
    AshaScheduler,
    ReplicateSettings,
    Resources,
    SchedulerSettings,
    SearcherSettings,
    StoppingScheduler,
    StopWhenSettings,
    TimeBudget,
    TpeSearcher,
)
from sweep.spec.search.setting_ranges import SettingRanges, best_clock, with_periods
from sweep.spec.search.tracker_names import Tracking
from sweep.spec.settings.geometric_terms import WEIGHTS
from sweep.spec.settings.objective_settings import SeveralObjectives
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.space.distribution_yaml import Searched
from sweep.spec.space.distributions import Distribution, Listed, possible_values
from sweep.spec.space.linked_space import drawn_in, grid_size
from sweep.spec.space.links import base_of, linked
from sweep.spec.space.presets import BASELINE, PRESETS, check_preset
from sweep.spec.space.replayed_settings import most_patient, split
from sweep.spec.tree.setting_tree import replace_value, setting_names, value_of
from sweep.spec.tree.validation_reports import findings_of, unknown_setting
from sweep.spec.words.phrases import quoted, shown
from sweep.vocabulary.errors import InputError, Mistake
from sweep.vocabulary.parameter_values import whole
from sweep.vocabulary.record import ParameterValue

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
DEVICE_NAMES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
"""Names that Windows reserves for devices, with any extension."""
MOST_TRIALS = 1_000_000


def check_name(name: str) -> str:
    """``name`` unchanged, if it can be a folder below the results folder.

    Raises:
        ValueError: it cannot; says which names are allowed.
    """
    if not NAME.fullmatch(name) or name.endswith(".") or DEVICE_NAMES.fullmatch(name):
        raise ValueError(
            "must be 1 to 100 letters (a-z), digits, `.`, `_` or `-`, start with a letter or "
            f"digit, not end with `.` and not be a device name such as `con`, but is {shown(name)}"
        )
    return name


def _default_trials(values: dict[str, Any]) -> int:
    drawn, _ = split(values["space"], replay=values["replay_patience"])
    if drawn and values["searcher"].name != "grid":
        return 20
    warm_start = values["warm_start"]
    return grid_size(drawn) + len(values["presets"]) + (warm_start.enqueue if warm_start else 0)


def _no_preset_twice(presets: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((name for name in presets if presets.count(name) > 1), None)
    if twice:
        raise ValueError(f"{quoted(twice)} is listed twice")
    return presets


Presets = Annotated[
    tuple[Annotated[str, AfterValidator(check_preset)], ...],
    Field(strict=False),
    AfterValidator(_no_preset_twice),
    WithJsonSchema({"anyOf": [{"type": "array", "items": {"enum": [*PRESETS]}}, {"type": "null"}]}),
]


class ChangesNoResult:
    """Mark of a key that may change when a sweep is resumed.

    No trial's result and no decision depends on it, except through the order in which concurrent
    trials report.
    """


class SweepSpec(TrialSettings):
    """A sweep: what every trial has in common, and what is searched.

    >>> import sweep
    >>> spec = sweep.SweepSpec(name="toy", space={"optimizer.lr": {"choice": [0.1, 0.2]}})
    >>> spec.trial({"optimizer.lr": 0.2}).optimizer.lr
    0.2
    """

    name: Annotated[
        str,
        AfterValidator(check_name),
        WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern}$"}),
    ]
    """Name of the results folder; default: the sweep file's name without its extension."""
    space: dict[str, Searched]
    """Distribution of each searched setting, by dotted name."""
    replay_patience: bool = True
    """Search patience, min_delta and counts_from without training trials for them. Each trial is
    trained with the most patient of their values. Its curve is replayed for all others."""
    searcher: SearcherSettings = TpeSearcher()
    scheduler: SchedulerSettings = AshaScheduler()
    presets: Presets = Field(default=None)  # type: ignore[arg-type]  # filled in below
    """Named configurations that run as trials before those of the searcher.

    null: the baseline if the scheduler can compare with it (see `scheduler.clock`), else none.
    """
    warm_start: WarmStartSettings = None
    """Earlier results to learn from: a folder, a list of folders, or {results: …, enqueue: 3}."""
    trials: int = Field(default_factory=_default_trials, ge=1, le=MOST_TRIALS)
    """Number of trials, including presets and enqueued ones; default: 20, or the whole grid."""
    stop_when: StopWhenSettings = None
    """End the search before `trials` when further ones are unlikely to be better:
    {improvement: 0.002}, or the improvement alone; null: never."""
    replicate: ReplicateSettings | None = None
    """Train the trials that may still be the best on further folds during the search, and rank
    them by their mean: {folds: 3}; null: one run each."""
    confirm: Annotated[ConfirmSettings | None, ChangesNoResult()] = None
    """Train the leaders again with other seeds after the search: {top: 5, seeds: 5}."""
    seed_per_fold: bool = True
    """Give each fold of `replicate` and `confirm` seeds of its own; false: the same on all."""
    resources: Annotated[Resources, ChangesNoResult()] = Resources()
    max_concurrent: Annotated[int | None, ChangesNoResult()] = Field(default=None, ge=1)
    """Largest number of concurrent trials; null: as many as the machine has resources for."""
    share_warmup: bool = True
    """Train a warm-up that trials share only once, and start them from its snapshots."""
    tracking: Annotated[Tracking, ChangesNoResult()] = ()
    """Trackers that log the trials, in addition to the results folder: tensorboard, mlflow,
    wandb, a plug-in, or a list of them."""
    pictures: Annotated[PicturesSettings | None, ChangesNoResult()] = PicturesSettings()
    """Pictures of segmentations; null: none."""
    time_budget: Annotated[TimeBudget, ChangesNoResult()] = None
    """Time limit of a session: 90s, 10m, 2h, 1d, or a number of seconds; null: no limit.

    Every session has the full budget: the first one, and each that resumes the sweep.
    """

    @field_validator("space")
    @classmethod
    def _linked_space(
        cls, space: dict[str, Distribution], info: ValidationInfo
    ) -> dict[str, Distribution]:
        if not space:
            raise ValueError(
                "must name a setting, such as `loss.warmup_epochs: {randint: [0, 20]}`"
            )
        return linked(space, base_of(info.data))

    # Derived values are filled in at once, so that the written spec is the effective one. A field
    # that is missing in `info.data` is itself invalid, and then there is no spec.

    @field_validator("searcher")
    @classmethod
    def _fill_seed(cls, searcher: SearcherSettings, info: ValidationInfo) -> SearcherSettings:
        if searcher.seed is None and "seed" in info.data:
            return searcher.model_copy(update={"seed": info.data["seed"]})
        return searcher

    @field_validator("presets", mode="before")
    @classmethod
    def _fill_presets(cls, presets: Any, info: ValidationInfo) -> Any:
        if presets is not None:
            return presets
        scheduler = info.data.get("scheduler")
        if not isinstance(scheduler, StoppingScheduler) or "space" not in info.data:
            return ()
        if isinstance(info.data.get("objective"), SeveralObjectives) and scheduler.clock is None:
            return ()  # gains over a baseline are of one objective
        clock = scheduler.clock or best_clock(info.data["space"])
        return (BASELINE,) if clock == "activation" else ()

    @model_validator(mode="after")
    def _fill_confirm(self) -> Self:
        if self.confirm is not None:
            object.__setattr__(self, "confirm", self.confirm.filled(known_folds(self)))
        return self

    @model_validator(mode="after")
    def _fill_scheduler(self) -> Self:
        # Last, because the clock depends on the presets, whose default depends on the possible
        # clock.
        scheduler = self.scheduler
        if isinstance(scheduler, StoppingScheduler):
            if scheduler.clock is None:
                compares = BASELINE in self.presets and not self.judged_by.others
                clock = best_clock(self.space) if compares else "epochs"
                scheduler = scheduler.model_copy(update={"clock": clock})
            # A spec is frozen for its users, but here it is still being made.
            object.__setattr__(
                self, "scheduler", with_periods(scheduler, self.ranges, self.searcher)
            )
        return self

    def as_recorded(self) -> SweepSpec:
        """This spec, read from a results folder: before `seed_per_fold` was a setting, all folds
        had the same seeds."""
        if "seed_per_fold" in self.model_fields_set:
            return self
        return self.model_copy(update={"seed_per_fold": False})

    def trial(self, parameters: Mapping[str, ParameterValue]) -> TrialSettings:
        """The settings of one trial: those of the sweep with ``parameters`` filled in.

        Args:
            parameters: values by dotted name, such as ``{"loss.warmup_epochs": 5}``.

        Raises:
            InputError: a name is unknown, or its setting cannot take the value.
        """
        values = self.model_dump(include=set(TrialSettings.model_fields))
        mistakes = [
            Mistake(self._unknown(key), key=key)
            for key, value in parameters.items()
            if not replace_value(values, key, value)
        ]
        if mistakes:
            raise InputError(mistakes)
        try:
            return TrialSettings.model_validate(values)
        except ValidationError as error:
            findings = findings_of(error, TrialSettings)
            raise InputError([finding.mistake() for finding in findings]) from None

    def preset_trial(self, name: str) -> TrialSettings:
        """The settings of a preset's trial: those of the sweep, overridden by the preset.

        If patience is replayed, the sweep's patience is the most patient one. A preset with a
        patience of its own keeps it.

        Raises:
            InputError: the preset does not fit the sweep's settings.
        """
        return self.trial(self.preset_values(name))

    def preset_values(self, name: str) -> dict[str, ParameterValue]:
        """The settings, by dotted name, in which a preset's trial may differ from the sweep's."""
        own = PRESETS[name].settings_beside(self.loss.weights)
        return {**most_patient(self.replayed), **own}

    def parameters_of(self, settings: TrialSettings) -> dict[str, ParameterValue]:
        """The searched parameters of a trial with these settings, in the space or outside it."""
        return self.as_drawn({key: value_of(settings, key) for key in self.space})

    def as_drawn(self, parameters: Mapping[str, ParameterValue]) -> dict[str, ParameterValue]:
        """The searched parameters among these that are drawn beside each other, as the space would
        draw them (0 for 0.0) if it can."""
        drawn = drawn_in(self.space, parameters)
        return {key: _as_drawn(parameters[key], self.space[key]) for key in drawn}

    @property
    def drawn(self) -> dict[str, Distribution]:
        """The part of the space that a searcher draws from, by dotted name."""
        return split(self.space, replay=self.replay_patience)[0]

    @property
    def replayed(self) -> dict[str, Distribution]:
        """The rest of the space: settings that recorded curves are replayed for."""
        return split(self.space, replay=self.replay_patience)[1]

    def to_train(self, drawn: Mapping[str, ParameterValue]) -> dict[str, ParameterValue]:
        """All searched parameters of a trial, given those that a searcher drew."""
        parameters = {**drawn, **most_patient(self.replayed)}
        return {key: parameters[key] for key in self.space if key in parameters}

    @property
    def given(self) -> int:
        """Largest number of trials before the searcher's own: presets and enqueued ones."""
        return len(self.presets) + (self.warm_start.enqueue if self.warm_start else 0)

    @property
    def has_geometry(self) -> bool:
        """Whether a geometric term has a weight in any trial."""
        given = (PRESETS[name].settings.get(key) for name in self.presets for key in WEIGHTS)
        return self.ranges.uses_geometric_loss or any(given)

    @property
    def ranges(self) -> SettingRanges:
        """The range of each setting over all configurations."""
        return SettingRanges(dict(self), self.space)

    def rungs(self) -> list[int]:
        """Epochs of each rung, by the scheduler's clock; empty without a scheduler."""
        if not isinstance(self.scheduler, StoppingScheduler):
            return []
        return self.scheduler.rungs(self.most_resource)

    @property
    def most_resource(self) -> int:
        """Largest number of epochs of a trial, by the scheduler's clock."""
        if self.compares_gains:
            return self.ranges.most_epochs_in_full
        return self.ranges.most_epochs

    @property
    def compares_gains(self) -> bool:
        """Whether trials are compared by their projected gains over the baseline."""
        return getattr(self.scheduler, "clock", None) == "activation"

    @property
    def pauses(self) -> bool:
        """Whether trials wait at rungs."""
        return bool(getattr(self.scheduler, "pause", False))

    def values_of(self, key: str) -> Sequence[ParameterValue]:
        """Possible values of a setting: its value, all listed values, or the bounds of an
        interval; of a conditional one also the value where it is not drawn."""
        searched = self.space.get(key)
        if searched is None:
            return (value_of(self, key),)
        try:
            otherwise = (value_of(self, key),) if searched.when else ()
        except (AttributeError, KeyError):  # no setting of this trainer, which is told elsewhere
            otherwise = ()
        return *possible_values(searched), *otherwise

    def place_of(self, key: str) -> tuple[str, ...]:
        """Path in the YAML of the values of the setting with this dotted name."""
        return ("space", key) if key in self.space else tuple(key.split("."))

    def _unknown(self, key: str) -> str:
        group, _, option = key.rpartition(".")
        owner, _, options = group.partition(".")
        if isinstance(getattr(getattr(self, owner, None), options, None), dict):
            return f"`{group}` has no {quoted(option)}: give it a value there to search it"
        if group == "trainer.options" or (key in setting_names() and group == "trainer"):
            return f"{quoted(key)} is not a setting of `trainer` with kind `{self.trainer.kind}`"
        if key in setting_names() and group == "data":  # of another source
            return f"{quoted(key)} is not a setting of `{group}` with source `{self.data.source}`"
        return unknown_setting(key, TrialSettings)[0]


def _as_drawn(value: ParameterValue, distribution: Distribution) -> ParameterValue:
    """The value as the distribution would draw it (0 for 0.0); unchanged if it never would."""
    listed = distribution.values if isinstance(distribution, Listed) else ()
    # Lists are equal if their numbers are: [1, 2] and [1.0, 2.0].
    lists = (one for one in listed if isinstance(one, tuple) and one == value)
    return next(filter(distribution.contains, (value, whole(value), *lists)), value)
