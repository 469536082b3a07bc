"""How validation cases are predicted, and which metrics are measured."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
)

from sweep.plugins.entry_names import PluginName
from sweep.plugins.plugin_kinds import (
    METRIC,
    own_or_plugin,
    short_name,
)
from sweep.spec.settings.objective_settings import (
    JUDGED,
    MEASURED,
    is_other_column,
)
from sweep.spec.settings.settings_base import Settings

MetricName = Literal["iou", "hd95", "shape"]


def _columns_of_their_own(metrics: tuple[str, ...]) -> tuple[str, ...]:
    """Metrics of which no plug-in has the name of another column of results."""
    taken = {*JUDGED, "shape", *(f"reference_{name}" for name in MEASURED["shape"])}
    for name in (short_name(entry) for entry in metrics if entry not in MEASURED):
        if name in taken or is_other_column(name):
            raise ValueError(f"`{name}` is the name of another metric or column: rename it")
        taken.add(name)
    return metrics


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
    """Metrics besides Dice: all, or a list of iou, hd95 (in pixels), shape (compactness, solidity
    and eccentricity of prediction and reference) and plug-ins (package.module:attribute,
    file.py:attribute or a registered name); [] for none. all: all but plug-ins."""
    every: int | None = Field(default=None, ge=1)
    """Measure these metrics every N epochs; null: only when the objective improves.

    The best epoch is always measured. If the objective is one of these metrics, every epoch is.
    """
    tta: Literal["none", "flips"] = "none"
    """Test-time augmentation. flips: mean softmax over the four mirrored images, at four times the
    cost."""
