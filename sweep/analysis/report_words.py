"""Numbers and lists in the sentences of a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sweep.spec.words.phrases import counted
from sweep.vocabulary.record import Status, TrialRecord

NAMED = 5
"""A sentence names up to this many trials."""


def percent(share: float) -> str:
    """In whole percent, but 0 % and 100 % only where they are exact."""
    if 0 < share < 0.005:
        return "<1 %"
    if 0.995 < share < 1:
        return ">99 %"
    return f"{100 * share:.0f} %"


def correlation(value: float, sign: str = "-") -> str:
    """With two decimals, but 1 and −1 only where they are exact: else 0.997 is 0.99.

    Args:
        sign: ``+`` writes that of positive values too.
    """
    is_exact = abs(value) > 1 - 1e-9
    shown = value if is_exact else max(min(value, 0.99), -0.99)
    return f"{shown:{sign}z.2f}".replace("-", "−")


def listed(parts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def trials(records: Iterable[TrialRecord]) -> str:
    """`some` of the trials' names."""
    return some([record.trial_id for record in records])


def some(names: Sequence[str]) -> str:
    """``t0001, t0004 and t0009``; of more than `NAMED`, ``t0001 and 11 more``."""
    return listed(names) if len(names) <= NAMED else f"{names[0]} and {len(names) - 1} more"


def status(value: Status) -> str:
    """``early-stopped`` for the key ``early_stopped``."""
    return value.value.replace("_", "-")


def cut_short(record: TrialRecord) -> str:
    """``pruned after 8 epochs`` where others than the trial itself ended it before its last epoch,
    so that nobody knows what it would have reached; else empty."""
    if record.status is not Status.PRUNED:
        return ""
    how = "stopped by hand" if record.is_stopped_by_hand else status(record.status)
    return f"{how} after {counted(len(record.history), 'epoch')}"


def duration(seconds: float) -> str:
    """``42 s``, ``3 min``, ``2.1 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
