"""Shared warm-ups: until the geometric loss switches on, several trials can be the same run.

That run is their *trunk*. Settings with the marks `ActsLate` and `EndsRun` do not affect it. All
others, and the seed, make up its key.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any

from sweep.plugins.user_sources import sources_of
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.space.distributions import Listed
from sweep.spec.tree.moved_data import known_otherwise
from sweep.spec.tree.setting_tree import is_late, late_keys

MOST_TRUNKS = 16
"""Number of base configurations above which hardly any two trials would share one."""

MOST_SNAPSHOTS = 64
"""Most snapshots of all trunks. A trial that leaves between two of them trains those epochs
itself."""


def trunk_length(settings: TrialSettings) -> int:
    """Number of epochs in a trial's trunk: those before its switch-on."""
    return settings.loss.ramp.epochs_off(settings.trainer.epochs)


def trunk_key(settings: TrialSettings) -> str:
    """Key of a trial's trunk. Two trials have the same key if they are the same run until
    switch-on."""
    values = _early(settings)
    known_otherwise(values)
    text = json.dumps(values, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def trunk_sources(settings: TrialSettings) -> dict[str, str]:
    """Files of the user that train a trial's trunk, see `sources_of`."""
    return sources_of(_early(settings))


def _early(settings: TrialSettings) -> dict[str, Any]:
    """The settings, as JSON has them, without those that act only from switch-on."""
    values: dict[str, Any] = settings.model_dump(mode="json")
    for key in {*late_keys(), *settings.loss.weights.keys}:
        *groups, last = key.split(".")
        group = values
        for name in groups:
            group = group.get(name) or {}
        group.pop(last, None)
    return values


def branching_epochs(spec: SweepSpec) -> tuple[int, ...]:
    """Numbers of trained epochs after which trials of the sweep can leave their trunk, ascending.

    They are spread evenly, so that all trunks have at most `MOST_SNAPSHOTS` together. Empty if
    nothing is shared: sharing is switched off, no trial has a warm-up, or a searched setting that
    acts from the start gives nearly every trial a trunk of its own.
    """
    early = (kind for key, kind in spec.space.items() if not is_late(key))
    trunks = math.prod(kind.size or MOST_TRUNKS + 1 for kind in early)
    if not spec.share_warmup or trunks > MOST_TRUNKS:
        return ()
    most = MOST_SNAPSHOTS // trunks
    presets = [trunk_length(spec.preset_trial(name)) for name in spec.presets]
    # Spread twice, because a long range is never written out.
    drawn = _spread(_warmups(spec), most)
    possible = sorted(e for e in {*drawn, *presets} if 0 < e < spec.ranges.most_epochs)
    return tuple(_spread(possible, most))


def _warmups(spec: SweepSpec) -> Sequence[int]:
    """The warm-ups that the space can draw, ascending. It may list some that cannot be drawn."""
    if isinstance(spec.space.get("loss.warmup_epochs"), Listed):
        values = {v for v in spec.values_of("loss.warmup_epochs") if isinstance(v, int | float)}
        return sorted(map(int, values))
    low, high = spec.ranges.of("loss.warmup_epochs") or (0, 0)
    return range(max(1, int(low)), min(int(high), spec.ranges.most_epochs - 1) + 1)


def _spread(epochs: Sequence[int], most: int) -> Sequence[int]:
    """At most ``most`` of the epochs, evenly spread, always with the last."""
    count = len(epochs)
    if count <= most:
        return epochs
    return [epochs[(n + 1) * count // most - 1] for n in range(most)]
