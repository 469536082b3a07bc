"""How validation cases are predicted, and which metrics are measured."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from sweep.plugins.entry_names import PluginName
from sweep.plugins.plugin_kinds import METRIC, own_or_plugin, short_name
from sweep.spec.settings.objective_settings import JUDGED, MEASURED, is_other_column
from sweep.spec.settings.settings_base import Settings
from sweep.spec.words.phrases import shown
from sweep.vocabulary.parameter_values import is_number

MetricName = Literal["iou", "hd95", "nsd", "shape"]
NonNegative = Annotated[float, Field(ge=0)]
Tolerance = float | dict[str, float]
"""Of NSD: one for all classes, or one for each class name."""


def _columns_of_their_own(metrics: tuple[str, ...]) -> tuple[str, ...]:
    """Metrics of which no plug-in has the name of another column of results."""
    taken = {*JUDGED, "shape", *(f"reference_{name}" for name in MEASURED["shape"])}
    for name in (short_name(entry) for entry in metrics if entry not in MEASURED):
        if name in taken or is_other_column(name):
            raise ValueError(f"`{name}` is the name of another metric or column: rename it")
        taken.add(name)
    return metrics


def _tolerance(value: Any) -> Any:
    """Numbers as floats; says of anything else what would be right."""
    each = value if isinstance(value, dict) else {"": value}
    for name, one in each.items():
        if not is_number(one) or not 0 <= one < math.inf or not isinstance(name, str):
            where = f" of `{name}`" if isinstance(value, dict) else ""
            raise ValueError(
                f"the tolerance{where} must be a number of at least 0, in mm (pixels, where the"
                f" images have no spacing), but is {shown(one)}; write one for all classes, or"
                " `{CLASS: NUMBER, …}`"
            )
    if not each:
        raise ValueError("must have a tolerance for at least one class, but is empty")
    return {n: float(one) for n, one in each.items()} if isinstance(value, dict) else float(value)


class EvaluationSettings(Settings):
    """How validation cases are predicted, and which metrics are measured besides Dice."""

    metrics: Annotated[
        tuple[Annotated[str, own_or_plugin(METRIC, MetricName)], ...],
        Field(strict=False),
        BeforeValidator(
            lambda value: get_args(MetricName) if value == "all" else value,
            json_schema_input_type=Literal["all"] | list[MetricName | PluginName],
        ),
        AfterValidator(_columns_of_their_own),
    ] = get_args(MetricName)
    """Metrics besides Dice: all, or a list of iou, hd95 and nsd (in mm, or in pixels where the
    images have no spacing), shape (compactness, solidity and eccentricity of prediction and
    reference) and plug-ins (package.module:attribute, file.py:attribute or a registered name); []
    for none. all: all but plug-ins."""
    nsd_tolerance: Annotated[
        Tolerance,
        BeforeValidator(_tolerance, json_schema_input_type=NonNegative | dict[str, NonNegative]),
    ] = 1.0
    """Distance up to which an outline counts as right for nsd, in mm, or in pixels where the images
    have no spacing: one for all classes, or {CLASS: DISTANCE, …}; a class that is left out has
    1."""
    every: int | None = Field(default=None, ge=1)
    """Measure these metrics every N epochs; null: only when the objective improves.

    The best epoch is always measured. If the objective is one of these metrics, every epoch is.
    """
    tta: Literal["none", "flips"] = "none"
    """Test-time augmentation. flips: mean probability over the mirrored images, which are four of
    an image and eight of a volume; it costs as many predictions."""

    @property
    def of_final_scores(self) -> set[str]:
        """What finished weights are scored by beside Dice and IoU: HD95 always, shapes never."""
        return {"hd95", *self.metrics} - {"iou", "shape"}
