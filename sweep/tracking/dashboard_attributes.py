"""Notes, artifacts and constraints, as optuna-dashboard reads them from a study.

Nothing of optuna-dashboard is imported. The names are those of its version 0.21: ``_note.py``,
``artifact/_backend.py`` and ``_serializer.py``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from sweep.store.files import atomic_write_bytes, make_folder
from sweep.store.journal import NoteAdded
from sweep.tracking.tracker import why
from sweep.vocabulary.record import TrialRecord

ARTIFACT = "artifacts:"
OWN_ARTIFACT = re.compile(r"[0-9a-f]{32}")
"""Names of the files that `stored_artifact` writes. Those of optuna-dashboard have dashes."""

LONGEST = 2045
"""Characters of one attribute of a note."""


def dashboard_constraints(constraints: Mapping[str, float]) -> dict[str, Any]:
    """The constraints as Optuna kept them before version 5, where optuna-dashboard reads them."""
    return {"constraints": [*constraints.values()]} if constraints else {}


def artifacts_of(trial: FrozenTrial) -> dict[str, str]:
    """The attributes of a trial that name its artifacts."""
    return {k: v for k, v in trial.system_attrs.items() if k.startswith(ARTIFACT)}


def stored_artifact(folder: Path, title: str, png: bytes) -> tuple[str, str]:
    """Write a picture where Optuna's ``FileSystemArtifactStore`` looks for it.

    Returns:
        the attribute of its trial that names it. The same picture has the same name.

    Raises:
        ResultsError, SweepFailed: it cannot be written.
    """
    name = sha256(title.encode() + png).hexdigest()[:32]
    make_folder(folder)
    atomic_write_bytes(folder / name, png)
    facts = {"artifact_id": name, "filename": f"{title}.png", "mimetype": "image/png"}
    return f"{ARTIFACT}{name}", json.dumps(facts | {"encoding": None})


def note_text(record: TrialRecord | None, notes: Iterable[NoteAdded] = ()) -> str:
    """Why a trial diverged, then what users noted on it or on the sweep, in Markdown; may be
    empty. Pictures stay text: a dashboard would ask for them from elsewhere."""
    parts = [f"{note.text}\n\n*{note.by}, {note.at}*".replace("![", r"!\[") for note in notes]
    outcome = None if record is None else record.outcome
    if outcome is not None and (divergence := outcome.divergence) is not None:
        parts.insert(0, f"**Diverged: {divergence.summary}.** {why(divergence)}")
    return "\n\n---\n\n".join(parts)


def note_attributes(trial: int | None, text: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a study to set so that a trial, or the study, has this note.

    Args:
        trial: id of the trial in the storage; None: the study.
        text: of the note.
        known: the attributes of the study. Those that need no change are left out.
    """
    of = "dashboard:" if trial is None else f"dashboard:{trial}:"
    start, version = f"{of}note_str:", f"{of}note_ver"
    if not text and version not in known:
        return {}
    pieces = [text[place : place + LONGEST] for place in range(0, len(text), LONGEST)]
    new: dict[str, Any] = {name: "" for name in known if name.startswith(start)}
    new |= {f"{start}{number}": piece for number, piece in enumerate(pieces)}
    changed = {name: value for name, value in new.items() if known.get(name) != value}
    return changed | {version: known.get(version, 0) + 1} if changed else {}
