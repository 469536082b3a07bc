"""The objective of a sweep as written in the YAML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
)

from sweep.plugins.plugin_kinds import short_name
from sweep.spec.settings.settings_base import Settings, refusal
from sweep.spec.settings.trainer_settings import TrainerTraits
from sweep.spec.words.phrases import must_be, one_of
from sweep.spec.words.synonyms import value_for
from sweep.vocabulary.class_scores import split_class, without_class
from sweep.vocabulary.objective import COSTS, VAL_DICE, Mode, Objective, known_mode

MEASURED: dict[str, tuple[str, ...]] = {
    "iou": ("iou",),
    "hd95": ("hd95",),
    "nsd": ("nsd",),
    "shape": ("compactness", "solidity", "eccentricity"),
}
"""Metrics that our own trainer measures for each entry of `evaluation.metrics`. The shapes of the
references are left out, because they are the same in every trial."""
JUDGED = (VAL_DICE, *(name for names in MEASURED.values() for name in names))
"""Possible objectives of our own trainer."""
LONGEST_NAME = 60
OTHER_COLUMNS = frozenset({
    "rank", "trial_id", "sweep", "status", "best_epoch", "epochs", "seconds", "cause", "preset",
    "last_dice", "val_dice_before_end", "val_dice_at_enough", "epochs_at_enough", "mean_dice",
    "dice_low", "dice_high", "p_best", "group", "replicates", "replicates_diverged", "test_dice",
    "test_hd95", "replicate_of", "seed", "fold",
    "confirmed", "best_before_switch_on", "runs", "mean_of_runs",
})  # fmt: skip
"""Columns of a ranking with another meaning than a metric of this name would have."""
_OF_THE_OBJECTIVE = (
    "last_{}", "{}_before_end", "mean_{}", "{}_low", "{}_high", "{}_since_switch_on",
    "{}_at_enough",
)  # fmt: skip
PARETO_RANK = "pareto"
"""Column of the ranking of a sweep with several objectives."""
_PREFIXES = ("delta_", "enough_")
"""Beginnings of the columns for presets and for replayed settings."""


def is_other_column(metric: str, objective: Objective | None = None) -> bool:
    """Whether a ranking has a column of this name with another meaning.

    Args:
        objective: the objective of the sweep, which adds columns of its own.
    """
    names = {objective.metric, objective.stem} if objective else set()
    if objective and objective.others and metric == PARETO_RANK:
        return True
    derived = {form.format(name) for form in _OF_THE_OBJECTIVE for name in names}
    return metric in OTHER_COLUMNS | derived or metric.startswith(_PREFIXES)


def group_of(metric: str, metrics: Sequence[str]) -> str | None:
    """The entry of `evaluation.metrics` that makes our own trainer measure a metric.

    Args:
        metrics: ``evaluation.metrics``, of which plug-ins measure what they are called.
    """
    metric = without_class(metric)
    ours = (group for group, names in MEASURED.items() if metric in names)
    return plugin_metrics(metrics).get(metric) or next(ours, None)


def plugin_metrics(metrics: Sequence[str]) -> dict[str, str]:
    """Short name of each plug-in among ``evaluation.metrics`` → its entry."""
    return {short_name(entry): entry for entry in metrics if entry not in MEASURED}


class ObjectiveSettings(Settings):
    """The metric that decides the best epoch, early stopping, scheduler, searcher and ranking.

    A list of two or three, such as [val_dice, hd95] or [val_dice, epochs], searches their
    trade-off: docs/reference/metrics.md.
    """

    metric: Annotated[str, Field(min_length=1)] = VAL_DICE
    """Name of the metric: val_dice with any trainer. Our own trainer also offers iou, hd95,
    nsd, compactness, solidity and eccentricity, and val_dice, iou, hd95, nsd and plug-ins of one
    class: val_dice[liver]; a custom trainer any metric that it returns."""
    mode: Mode | None = None
    """Whether higher (max) or lower (min) is better; null: max for val_dice, iou and nsd, min for
    hd95.

    Required for any other metric.
    """

    @field_validator("metric")
    @classmethod
    def _is_a_metric(cls, metric: str) -> str:
        if is_other_column(metric) and metric not in COSTS:
            meant = value_for(metric, JUDGED)
            instead = f"; did you mean `{meant}`?" if meant else ": give the metric another name"
            raise ValueError(f"`{metric}` is another column of the ranking{instead}")
        return metric

    @field_validator("mode")
    @classmethod
    def _fill_mode(cls, mode: Mode | None, info: ValidationInfo) -> Mode | None:
        return mode or known_mode(info.data.get("metric", ""))

    @property
    def plain(self) -> Objective:
        """The objective without its settings, for comparing values."""
        assert self.mode is not None, "it is filled in"
        return Objective(self.metric, self.mode)

    def must_fit(self, trainer: TrainerTraits, metrics: Sequence[str]) -> None:
        """Refuse a metric that such a trainer does not measure, or whose direction is unknown.

        Args:
            trainer: traits of its kind. A user's own loop is checked after its first validation.
            metrics: ``evaluation.metrics``.
        """
        if self.metric in COSTS:
            wrong = (
                f"`{self.metric}` is what a trial costs, not what it reaches: it can only be"
                f" listed after another objective, as in `[{VAL_DICE}, {self.metric}]`"
            )
        else:
            wrong = self._why_unmeasured(trainer, metrics)
        if wrong:
            raise refusal(wrong, "metric", value=self.metric)
        if self.mode is None:
            raise refusal(
                f"must be `max` or `min`: its name does not show whether more of "
                f"`{self.metric}` is better; write `objective: {{metric: {self.metric}, mode: …}}`",
                "mode",
                value=None,
            )

    def _why_unmeasured(self, trainer: TrainerTraits, metrics: Sequence[str]) -> str:
        """Why such a trainer does not measure the metric; empty if it does, or may."""
        if trainer.is_own_loop:
            return ""
        metric, label = split_class(self.metric)
        group = group_of(self.metric, metrics)
        if self.metric == VAL_DICE:
            return ""
        if trainer.dice_alone:
            return f"{trainer.dice_alone}: must be `val_dice`"
        if label is not None and group == "shape":
            return f"shapes are not measured per class: write `{metric}`"
        if label is not None and metric == VAL_DICE:
            return ""
        if group is None:
            names = [*JUDGED, *plugin_metrics(metrics)]
            return must_be(one_of(names), self.metric, names)
        unmeasured = f"`{self.metric}` is not measured: add `{group}` to `evaluation.metrics`"
        return "" if group in metrics else unmeasured


MOST_OBJECTIVES = 3


class SeveralObjectives(ObjectiveSettings):
    """Two or three objectives, written as a list. The first is what a single one would be."""

    others: tuple[ObjectiveSettings, ...]
    """The further ones: metrics, `epochs` or `seconds`."""

    @model_serializer(mode="wrap")
    def _as_list(self, handler: SerializerFunctionWrapHandler) -> list[Any]:
        written = handler(self)
        others = written.pop("others")
        return [written, *others]

    @property
    def plain(self) -> Objective:
        return replace(super().plain, others=tuple(one.plain for one in self.others))

    def must_fit(self, trainer: TrainerTraits, metrics: Sequence[str]) -> None:
        with _at(0):
            super().must_fit(trainer, metrics)
        for place, one in enumerate(self.others, start=1):
            with _at(place):
                if one.metric not in COSTS:
                    one.must_fit(trainer, metrics)
                elif one.mode != "min":
                    raise refusal("costs are minimised: leave it out", "mode", value=one.mode)


@contextmanager
def _at(place: int) -> Iterator[None]:
    """Errors of this entry of the list are reported there."""
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        message = str(first["ctx"]["error"])
        raise refusal(message, place, *first["loc"], value=first["input"]) from None


def _several(values: list[Any]) -> ObjectiveSettings:
    """A list of objectives; raises `ValidationError` with the place of each mistake."""
    if not 1 <= len(values) <= MOST_OBJECTIVES:
        raise ValueError(
            f"must be one objective, or a list of at most {MOST_OBJECTIVES}, but has {len(values)}"
        )
    first, *others = _ITEMS.validate_python(values)
    names = [one.metric for one in (first, *others)]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise refusal(f"`{name}` is listed twice", place, value=name)
    if not others:
        return first
    return SeveralObjectives(metric=first.metric, mode=first.mode, others=tuple(others))


def _bare_metric(value: Any) -> Any:
    """Reads ``hd95`` as ``{metric: hd95}``, and a list as several objectives."""
    if isinstance(value, list | tuple):
        return _several(list(value))
    if isinstance(value, str):
        return {"metric": value}
    if isinstance(value, dict) and len(value) == 1 and not value.keys() & {"metric", "mode"}:
        [(metric, mode)] = value.items()
        meant = value_for(str(mode), ("max", "min"))
        if meant and len(str(metric)) <= LONGEST_NAME:
            metric = value_for(str(metric), JUDGED) or metric
            raise ValueError(
                f"`{metric}` is not a setting; write `{{metric: {metric}, mode: {meant}}}`"
            )
    if not isinstance(value, dict | ObjectiveSettings):
        raise ValueError(
            "must be the name of a metric, or `{metric: NAME, mode: max | min}`, but is "
            f"{json.dumps(value, default=str)}"
        )
    return value


_ITEMS: TypeAdapter[list[ObjectiveSettings]] = TypeAdapter(
    list[Annotated[ObjectiveSettings, BeforeValidator(_bare_metric)]]
)
ObjectiveChoice = Annotated[
    SerializeAsAny[ObjectiveSettings],
    BeforeValidator(
        _bare_metric,
        json_schema_input_type=str
        | ObjectiveSettings
        | Annotated[list[str | ObjectiveSettings], Field(min_length=1, max_length=MOST_OBJECTIVES)],
    ),
]
