"""Snapshots of a warm-up that several trials have in common.

A run is a function of its settings and its state at the start of an epoch (see
`sweep.trainer.runs.monai_run`). Until the geometric loss switches on, no setting that is marked
`ActsLate` has any effect. So a trial that starts from the snapshot of another trial is bit for bit
the trial that trained everything itself.

A snapshot is a folder of links to the checkpoints of the trial that trained it. It costs no time,
and appears completely or not at all. A trial that finds none, or a broken one, trains those epochs.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from sweep.machine.codebase import codebase
from sweep.spec.search.shared_warmup import trunk_key, trunk_length, trunk_sources
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.files import read_record, to_json, write_json
from sweep.store.layout import TrialPaths
from sweep.trial.checkpoints import Checkpoints
from sweep.vocabulary.early_stopping import EarlyStopping
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import StorageFailed
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import Divergence


@dataclass(frozen=True, slots=True)
class WarmupSnapshot:
    """A run after some epochs.

    Args:
        state: of the training; None at the very start, where only a verdict is useful.
        history: of its epochs, marked as shared.
        verdict: the verdict if the trunk diverged here, else None.
    """

    state: dict[str, Any] | None
    history: list[EpochMetrics]
    verdict: Divergence | None


class Trunk:
    """The trunk of one trial.

    Args:
        folder: holds its snapshots, a folder each, named by the number of epochs.
        trial: the trial's own files.
        length: number of epochs before the trial's switch-on.
        kept: numbers of epochs after which a snapshot is kept.
        objective: of its early stopping.
    """

    def __init__(
        self,
        folder: Path,
        trial: TrialPaths,
        length: int,
        kept: Collection[int],
        objective: Objective = DICE,
    ) -> None:
        self._folder = folder
        self._trial = trial
        self._length = length
        self._kept = frozenset(kept)
        self._objective = objective

    @classmethod
    def of(
        cls, settings: TrialSettings, trial: TrialPaths, trunks: Path, kept: Collection[int]
    ) -> Self:
        """The trunk of these settings, as the present code trains it, also that of plug-ins."""
        code = codebase().sources
        if own := trunk_sources(settings):
            code = hashlib.sha256(to_json([code, own]).encode()).hexdigest()
        name = f"{trunk_key(settings)}-{code[:8]}"
        return cls(trunks / name, trial, trunk_length(settings), kept, settings.judged_by)

    def save(self, epochs: int) -> None:
        """Keep the trial's last state after ``epochs`` epochs, if others may start from it."""
        if epochs <= self._length and epochs in self._kept:
            self._save(epochs, None)

    def save_end(self, epochs: int, verdict: Divergence) -> None:
        """Record that the trunk diverged after ``epochs`` epochs, as every longer trial would."""
        if epochs < self._length:
            self._save(epochs, verdict)

    def start(self, stopping: EarlyStopping) -> WarmupSnapshot | None:
        """Take the snapshot that saves the trial most epochs; None if there is none.

        The trial then has the files that it would have written itself, except its last state.

        Args:
            stopping: of the trial, unused so far. A trial whose patience ends in the warm-up starts
                no later than there.
        """
        if not self._folder.is_dir():
            return None
        kept = [int(entry.name) for entry in self._folder.iterdir() if entry.name.isdecimal()]
        most = self._length
        for epochs in sorted(kept, reverse=True):
            snapshot = self._load(epochs) if epochs <= most else None
            if snapshot is None:
                continue
            curve = self._objective.curve(snapshot.history)
            most = min(most, replace(stopping).replay(curve) or len(snapshot.history))
            if epochs <= most:
                source = TrialPaths(self._folder / str(epochs))
                _link_results(source, self._trial, diverged=snapshot.verdict is not None)
                return snapshot
        return None

    def _load(self, epochs: int) -> WarmupSnapshot | None:
        paths = TrialPaths(self._folder / str(epochs))
        verdict = None
        if paths.divergence.exists() and epochs < self._length:
            verdict = read_record(paths.divergence, Divergence)
        state = Checkpoints(paths.folder).load_last()
        if state is None:
            return None if verdict is None or epochs else WarmupSnapshot(None, [], verdict)
        history = [replace(EpochMetrics.from_json(e), shared=True) for e in state["history"]]
        return WarmupSnapshot(state["training"], history, verdict)

    def _save(self, epochs: int, verdict: Divergence | None) -> None:
        final = self._folder / str(epochs)
        new, trial = TrialPaths(self._folder / f".{epochs}.{os.getpid()}"), self._trial
        try:
            new.folder.mkdir(parents=True, exist_ok=True)
            _link(trial.last_checkpoint, new.last_checkpoint)
            _link_results(trial, new, diverged=verdict is not None)
            if verdict is not None:
                write_json(new.divergence, verdict.to_json())
                shutil.rmtree(final, ignore_errors=True)
            if not final.exists():
                new.folder.rename(final)
        except (OSError, StorageFailed):
            # Another trial was first, or the disk is full: others train these epochs themselves.
            pass
        finally:
            shutil.rmtree(new.folder, ignore_errors=True)


def _link_results(source: TrialPaths, target: TrialPaths, *, diverged: bool) -> None:
    """Link what a trial has kept of its epochs, and of its end if it diverged."""
    _link(source.best_checkpoint, target.best_checkpoint)
    _link(source.cases, target.cases)
    if diverged:
        _link(source.healthy_checkpoint, target.healthy_checkpoint)
        _link(source.offending, target.offending)


def _link(source: Path, target: Path) -> None:
    """Link a file, which is replaced and never changed; copy it if the disk has no links."""
    if not source.exists():
        return
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
