"""What trials have in common: up to the switch-on of the geometric loss they may be one run.

That run is their *trunk*. Which settings have no say in it is declared at the settings themselves,
by the marks `ActsLate` and `EndsRun`; all others, and the seed, make up its key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.moved_data import known_otherwise
from sweep.spec.settings.setting_tree import late_keys
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.space.distributions import Listed

MOST_TRUNKS = 16
"""Base configurations of a sweep above which hardly two trials would share one."""

MOST_SNAPSHOTS = 64
"""Snapshots of all trunks; a trial that leaves between two of them trains those epochs itself."""


def trunk_length(settings: TrialSettings) -> int:
    """Number of epochs of a trial that belong to its trunk: those before its switch-on."""
    return settings.loss.ramp.epochs_off(settings.trainer.epochs)


def trunk_key(settings: TrialSettings) -> str:
    """The same for two trials exactly if they are one run until one of them switches on."""
    values = settings.model_dump(mode="json")
    for key in late_keys():
        _drop(values, key)
    known_otherwise(values)
    text = json.dumps(values, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def branching_epochs(spec: SweepSpec) -> tuple[int, ...]:
    """Numbers of trained epochs after which trials of the sweep may leave their trunk, ascending.

    As many of them, spread evenly, as leave no more than `MOST_SNAPSHOTS` of all trunks. Empty
    where nothing is shared: it is switched off, no trial has a warm-up, or a searched setting that
    acts from the start gives nearly every trial a trunk of its own.
    """
    trunks = _trunks(spec)
    if not spec.share_warmup or trunks > MOST_TRUNKS:
        return ()
    most = MOST_SNAPSHOTS // trunks
    presets = [trunk_length(spec.preset_trial(name)) for name in spec.presets]
    # Spread twice: a range may be long, and is never written out.
    drawn = _spread(_warmups(spec), most)
    possible = sorted(e for e in {*drawn, *presets} if 0 < e < spec.ranges.most_epochs)
    return tuple(_spread(possible, most))


def _warmups(spec: SweepSpec) -> Sequence[int]:
    """What the space can draw as warm-up, ascending, or somewhat more."""
    distribution = spec.space.get("loss.warmup_epochs")
    if isinstance(distribution, Listed):
        return sorted(int(value) for value in distribution.values if isinstance(value, int | float))
    low, high = spec.ranges.of("loss.warmup_epochs") or (0, 0)
    return range(max(1, int(low)), min(int(high), spec.ranges.most_epochs - 1) + 1)


def _trunks(spec: SweepSpec) -> int:
    """How many base configurations the space can draw; above `MOST_TRUNKS` for a continuous one."""
    count = 1
    for key, distribution in spec.space.items():
        if key not in late_keys():
            values = len(distribution.values) if isinstance(distribution, Listed) else None
            count *= MOST_TRUNKS + 1 if values is None else values
    return count


def _spread(epochs: Sequence[int], most: int) -> Sequence[int]:
    """At most so many of them, evenly, the last always."""
    count = len(epochs)
    if count <= most:
        return epochs
    return [epochs[(n + 1) * count // most - 1] for n in range(most)]


def _drop(values: dict[str, Any], key: str) -> None:
    *groups, last = key.split(".")
    for group in groups:
        values = values.get(group) or {}
    values.pop(last, None)
