"""A results folder at a URI. The sweep writes to a local copy, which is uploaded.

An object store can neither append nor lock, and a journal grows by one line per epoch, so the copy
is uploaded from time to time. It may lag behind the local one. The missing epochs are in the
checkpoints of the trials, which workers upload before they report an epoch.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterable, Set
from contextlib import suppress
from pathlib import Path
from typing import Self

from sweep.store.at_uri.local_results import (
    ENDED,
    SWEEP_YAML,
    WRITER,
    naming,
    require_results_at,
    rested,
)
from sweep.store.at_uri.remote_folder import Mirror, RemoteFolder, files_below
from sweep.store.layout import CHECKPOINTS, Layout, TrialPaths
from sweep.store.lock import lock_results
from sweep.store.store import Store, already_used
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import StorageFailed, SweepFailed
from sweep.vocabulary.record import CaseScore, Outcome, RealValidation


class MirroredStore(Store):
    """`Store` that keeps a copy of its folder at a URI.

    A trial's start is uploaded at once, because its worker reads it from there. Everything else is
    uploaded in one thread, in an order that lets the copy be resumed at any moment: the trials'
    files before the journal that mentions them. Only then are unneeded checkpoints deleted.
    """

    def __init__(self, layout: Layout, sweep_yaml: str | None = None) -> None:
        super().__init__(layout, sweep_yaml)
        self._ended_before = frozenset(self._journal.progress.ended)
        self._changed: set[str] = set()
        self._deletable: list[str] = []
        self._due = 0.0
        self._look_due = 0.0

    @classmethod
    def create_at(cls, remote: RemoteFolder, folder: Path, sweep_yaml: str) -> Self:
        """Start a results folder at ``remote``; ``folder`` becomes its local copy.

        Raises:
            ResultsError: the URI is not empty, or a sweep on this machine writes to it.
        """
        require_unused_at(remote)
        with naming(remote.uri, folder):
            _clear(folder)
            return cls.create(folder, sweep_yaml)._begin(Mirror(folder, remote))

    @classmethod
    def open_at(cls, remote: RemoteFolder, folder: Path) -> Self:
        """Open the results folder at ``remote``, and copy it to ``folder``.

        Files of an earlier session in ``folder`` are replaced, since another machine may have
        resumed.

        Raises:
            ResultsError: it is not a results folder, or a sweep on this machine writes to it.
        """
        require_results_at(remote)
        mirror = Mirror(folder, remote)
        with naming(remote.uri, folder):
            _clear(folder)
            names = mirror.fetch(
                lambda name: not name.endswith(CHECKPOINTS) and name != WRITER,
                first=Layout.journal.name,
            )
            return cls.open(folder)._begin(mirror, names)

    def _begin(self, mirror: Mirror, found: Set[str] = frozenset()) -> Self:
        """Become the writer; ``found`` are the names of existing files."""
        self._mirror = mirror
        self._found = found
        self._me = f"{socket.gethostname()}, process {os.getpid()}, {secrets.token_hex(8)}"
        try:
            mirror.remote.write(WRITER, self._me.encode())
            self._send()
        except BaseException:
            super().close()
            raise
        return self

    def _publish(self, *files: Path) -> None:
        self._mirror.send(files)

    def fetch_requests(self) -> None:
        if (started := time.monotonic()) < self._look_due:
            return
        with suppress(StorageFailed):  # it is asked again, and an upload says what is wrong
            self._mirror.fetch_new(self._there(self.layout.requests))
        self._look_due = rested(started)

    def append_epoch(self, trial_id: str, metrics: EpochMetrics) -> bool:
        news = super().append_epoch(trial_id, metrics)
        self._changed.add(trial_id)
        self._send_when_due()
        return news

    def end_trial(self, trial_id: str, outcome: Outcome) -> None:
        super().end_trial(trial_id, outcome)
        self._changed.add(trial_id)
        if trial_id not in self._ended_before:
            self._due = 0.0  # upload it now: no other session may run the trial again
            paths = self.layout.trial(trial_id)  # its worker sent these to the URI
            self._mirror.fetch_files([paths.cases, paths.provenance])

    def record_test(self, trial_id: str, scores: Iterable[CaseScore]) -> None:
        super().record_test(trial_id, scores)
        self._changed.add(trial_id)  # nnU-Net's predictions lie beside it

    def record_real_validation(self, trial_id: str, found: RealValidation) -> None:
        super().record_real_validation(trial_id, found)
        self._changed.add(trial_id)

    def has(self, file: Path) -> bool:
        return file in self._there(file.parent)

    def with_best_weights(self, trial_id: str) -> TrialPaths:
        paths = super().with_best_weights(trial_id)
        self._mirror.fetch_files([paths.best_checkpoint, paths.offending])
        return paths

    def fetch_predictions(self, trial_id: str) -> None:
        self._mirror.fetch_files(self._there(self.layout.trial(trial_id).nnunet))

    def _there(self, folder: Path) -> set[Path]:
        """The files that the URI has below a folder, as they would be called here."""
        names = self._mirror.remote.below(self._mirror.name_of(folder)).files()
        return {folder / name for name in names}

    def discard_checkpoints(self, trial_id: str, *, best: bool) -> None:
        super().discard_checkpoints(trial_id, best=best)
        paths = self.layout.trial(trial_id)
        files = [paths.last_checkpoint] + ([paths.best_checkpoint] if best else [])
        names = [*map(self._mirror.name_of, files)]
        if trial_id in self._ended_before:  # in an earlier session, which has probably deleted them
            names = [name for name in names if name in self._found]
        self._deletable += names
        self._send_when_due()

    def close(self) -> None:
        """Upload the rest, including the ranking, and release the folder."""
        try:
            self._send()
            self._mirror.remote.write(WRITER, self._me.encode() + ENDED)
        finally:
            super().close()

    def _send_when_due(self) -> None:
        if time.monotonic() >= self._due:
            self._send()

    def _send(self) -> None:
        started = time.monotonic()
        self._require_writer()
        for trial_id in self._changed:
            self._mirror.send(files_below(self.layout.trial(trial_id).folder))
        self._changed.clear()
        self._mirror.send(files_below(self.layout.folder, but=self.layout.trials.name))
        # W&B's runs that are logged anew, pictures that the study names no more, and requests that
        # are in the journal now.
        gone = self.layout.wandb, self.layout.study_artifacts, self.layout.requests
        self._mirror.delete_gone(*(folder.name for folder in gone))
        while self._deletable:
            self._mirror.remote.delete(self._deletable[-1])
            self._deletable.pop()
        self._due = rested(started)

    def _require_writer(self) -> None:
        """Stop if another machine has resumed the sweep meanwhile."""
        remote = self._mirror.remote
        found = (remote.read(WRITER) or b"").removesuffix(ENDED).decode(errors="replace")
        if found != self._me:
            raise SweepFailed(
                f"{remote} is no longer written by this process: "
                + (f"another sweep.run writes to it, {found}" if found else "its files are gone")
            )


def require_unused_at(remote: RemoteFolder) -> None:
    """Refuse a URI that is not empty.

    Raises:
        ResultsError: says what to do instead.
    """
    if names := {name for name in remote.files() if not name.startswith(".")}:
        raise already_used(remote, SWEEP_YAML in names, "what is there")


def _clear(folder: Path) -> None:
    """Empty a local copy, unless a sweep is using it."""
    lock = lock_results(Layout(folder))
    try:
        for entry in folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry != Layout(folder).lock:
                entry.unlink()
    finally:
        lock.release()
