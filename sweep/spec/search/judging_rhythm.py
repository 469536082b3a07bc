"""Defaults of a scheduler: its clock, grace period, rungs and pauses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

from sweep.spec.search.search_strategy import (
    AnySearcherSettings,
    AshaScheduler,
    HyperbandScheduler,
    StoppingScheduler,
)
from sweep.spec.search.setting_ranges import SettingRanges
from sweep.spec.settings.setting_tree import is_late
from sweep.spec.space.distributions import Distribution

S = TypeVar("S", bound=StoppingScheduler)

RUNG_FACTOR_OF_GAINS = 2
"""More frequent rungs train fewer epochs and keep the leaders just as often."""


def best_clock(space: Mapping[str, Distribution]) -> Literal["epochs", "activation"]:
    """``activation`` if the warm-up is searched and all trials share the baseline's trunk."""
    has_one_trunk = all(map(is_late, space))
    return "activation" if has_one_trunk and "loss.warmup_epochs" in space else "epochs"


def with_periods(
    scheduler: StoppingScheduler, ranges: SettingRanges, searcher: AnySearcherSettings
) -> StoppingScheduler:
    """The scheduler with defaults filled in, which depend on clock, space and searcher."""
    since = scheduler.clock == "activation"
    if scheduler.grace_period is None:
        default = ranges.default_grace_period
        grace = ranges.default_grace_in_full if since else default
        scheduler = with_(scheduler, grace_period=grace)
    if isinstance(scheduler, AshaScheduler) and scheduler.rung_factor is None:
        factor = RUNG_FACTOR_OF_GAINS if since else scheduler.reduction_factor
        scheduler = with_(scheduler, rung_factor=factor)
    if isinstance(scheduler, AshaScheduler) and scheduler.pause is None:
        scheduler = with_(scheduler, pause=not searcher.learns)
    if isinstance(scheduler, HyperbandScheduler) and scheduler.brackets is None:
        most = ranges.most_epochs_in_full if since else ranges.most_epochs
        scheduler = with_(scheduler, brackets=max(1, len(scheduler.rungs(most))))
    return scheduler


def with_(scheduler: S, **changes: object) -> S:
    return scheduler.model_copy(update=changes)
