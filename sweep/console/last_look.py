"""What changed in the ranking of a running sweep since its user last looked at it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sweep.analysis.report_words import listed
from sweep.console.console_words import duration_words
from sweep.machine.machine_cache import default_cache
from sweep.spec.words.phrases import counted
from sweep.store.files import atomic_write_text
from sweep.vocabulary.errors import SweepError

LEADING = 10
"""Ranks whose changes are told."""


@dataclass(frozen=True, slots=True)
class Look:
    """A ranking as somebody saw it.

    Args:
        at: seconds since the epoch.
        ended: number of trials that had ended.
        leading: ids of the first trials with a result, the best first.
    """

    at: float
    ended: int
    leading: tuple[str, ...]


def changes(before: Look, now: Look) -> str:
    """What a ranking shows that it did not show before, in a sentence or two."""
    since = f"Since your last look, {duration_words(now.at - before.at)} ago: "
    more = now.ended - before.ended
    if more <= 0 and now.leading == before.leading:
        return f"{since}no trial has ended."
    ranks = {trial: rank for rank, trial in enumerate(now.leading, start=1)}
    told = [f"{counted(more, 'more trial')} ended" if more > 0 else "no trial has ended"]
    entered = [f"{one} ({rank})" for one, rank in ranks.items() if one not in before.leading]
    if entered:
        told.append(f"new in the first {LEADING}: {listed(entered)}")
    risen = [
        f"{one} ({before.leading.index(one) + 1} → {rank})"
        for one, rank in ranks.items()
        if one in before.leading and rank < before.leading.index(one) + 1
    ]
    if risen:  # by replicates, a real validation, or fronts
        told.append(f"risen: {listed(risen)}")
    if before.leading and now.leading:
        was, leads = before.leading[0], now.leading[0]
        told.append(f"{leads} still leads" if was == leads else f"{leads} leads, before it {was}")
    return f"{since}{'; '.join(told)}."


def since_last_look(folder: Path, leading: Sequence[str], ended: int) -> str:
    """`changes` since the last call for this folder; empty at the first. Remembers this one.

    It is remembered in the user's cache, not in the results. Where that cannot be read or written,
    nothing is told.

    Args:
        folder: the results folder.
        leading: ids of the trials with a result, the best first.
        ended: number of trials that have ended.
    """
    now = Look(time.time(), ended, tuple(leading[:LEADING]))
    key = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    sentence = ""
    with suppress(OSError, ValueError, TypeError, KeyError, SweepError):
        path = default_cache() / "looks" / f"{key}.json"
        if path.exists():
            known = json.loads(path.read_text(encoding="utf-8"))
            before = Look(float(known["at"]), int(known["ended"]), tuple(known["leading"]))
            # Another sweep of this name has fewer trials: nothing to compare with.
            sentence = changes(before, now) if before.ended <= ended else ""
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, json.dumps(asdict(now)))
    return sentence
