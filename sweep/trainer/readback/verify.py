"""Compare the requested configuration with the one that a run really trains with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sweep.spec.checks.inactive_settings import inactive_in
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.tree.setting_tree import names_in, value_of
from sweep.trainer.runs.run_protocol import EffectiveConfiguration
from sweep.vocabulary.errors import NotApplied


def verify(settings: TrialSettings, found: EffectiveConfiguration) -> None:
    """Compare the requested settings with those that were read back.

    Settings that have no effect in this configuration are skipped.

    Raises:
        NotApplied: with every setting that differs.
    """
    idle = inactive_in(settings)
    differences = {}
    for key in names_in(settings):
        if key in idle or key in found.not_read:
            continue
        asked = value_of(settings, key)
        if not _same(found.expected.get(key, asked), found.effective.get(key)):
            differences[key] = (asked, found.effective.get(key))
    if differences:
        raise NotApplied(differences)


def _same(asked: Any, found: Any) -> bool:
    """Whether they are equal; floats up to the rounding of a formula."""
    if isinstance(asked, float) and isinstance(found, float):
        return math.isclose(asked, found, rel_tol=1e-9)
    if isinstance(asked, Sequence) and not isinstance(asked, str):
        return isinstance(found, Sequence) and list(asked) == list(found)
    return (type(asked) is type(found) and bool(asked == found)) or asked is found
