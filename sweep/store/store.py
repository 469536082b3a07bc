"""The single writer of a results folder.

Every fact is written twice, in this order: to the trial's own files, which are authoritative for
values, then as a line to the journal, which is authoritative for order. A crash between the two
leaves a journal that lags behind. `Store` completes it when it opens the folder.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, count, takewhile
from pathlib import Path
from typing import Self

from sweep.store.files import (
    atomic_write_text,
    drop_temporary,
    drop_torn_line,
    read_record,
    read_text,
    reading,
    sync,
    sync_folder,
    write_json,
    writing,
)
from sweep.store.journal import (
    EpochRecorded,
    Event,
    Journal,
    JournalState,
    Request,
    TrialEnded,
    TrialStarted,
    TrialWaits,
    read_journal,
)
from sweep.store.layout import Layout, TrialPaths, trial_id
from sweep.store.lock import lock_results
from sweep.store.packing import CardPacking
from sweep.store.pictures.picture_index import TrialPictures, write_pictures
from sweep.store.read_results import (
    read_objective,
    read_records,
    require_no_link,
    require_results,
    trial_folders,
)
from sweep.store.trial_files import (
    discard,
    write_end,
    write_epoch,
    write_real_validation,
    write_start,
    write_test,
)
from sweep.store.warm_start_file import read_earlier, write_earlier
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import ResultsError, StorageFailed
from sweep.vocabulary.record import (
    CaseScore,
    Enqueued,
    Outcome,
    ParameterValue,
    RealValidation,
    Replicate,
    SearchEnded,
    TrialRecord,
)
from sweep.vocabulary.strict_json import finite_fields

RESTORE = "restore it from a backup, or start a new sweep with another `name:`"


class Store:
    """Record a sweep. Created by `create` or `open`, never directly.

    One process holds a folder at a time, until `close`. Every method raises `SweepFailed` if the
    disk is full or the folder is gone. Earlier records stay intact.

    Attributes:
        own_files: SHA-256 of the user's files that this session chooses and logs trials with, by
            path, recorded with each trial that it starts.
    """

    def __init__(self, layout: Layout, sweep_yaml: str | None = None) -> None:
        self.layout = layout
        self.own_files: Mapping[str, str] = {}
        self._lock = lock_results(layout)
        try:
            if sweep_yaml is not None:
                require_unused(layout)  # another start may have come first
                atomic_write_text(layout.sweep_yaml, sweep_yaml)
                sync_folder(layout.folder)
            self._objective = read_objective(layout.folder)
            self._recorded = JournalState()
            self._unsynced: set[str] = set()  # trials whose last epochs are not yet on disk
            with writing(layout.trials):
                layout.trials.mkdir(exist_ok=True)
            self._journal = Journal(layout.journal)
            self._repair()
        except BaseException:
            self._lock.release()
            raise

    @classmethod
    def create(cls, folder: Path, sweep_yaml: str) -> Self:
        """Start a results folder for the effective spec ``sweep_yaml``.

        Raises:
            ResultsError: ``folder`` is not empty or cannot be created.
        """
        require_unused(Layout(folder))
        return cls(Layout(folder), sweep_yaml)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open an existing results folder, and repair what a crash left half-written.

        Raises:
            ResultsError: ``folder`` is not a results folder, is in use, or is damaged.
        """
        layout = Layout(folder)
        require_results(layout)
        with reading(folder):
            # Optuna's lock is a broken link, which a killed session may have left.
            require_no_link(*(e for e in folder.iterdir() if e != layout.study_lock))
        trial_folders(layout)
        return cls(layout)

    def start_trial(
        self,
        number: int,
        parameters: Mapping[str, ParameterValue],
        config_yaml: str,
        preset: str | None = None,
        replicate: Replicate | None = None,
        enqueued: Enqueued | None = None,
    ) -> str:
        """Create the folder of a trial and return the trial's id.

        Args:
            number: order in which the trial is started, from 0; for a replicate, the number of the
                repeated trial.
            parameters: the searched parameters by dotted name.
            config_yaml: the effective configuration.
            preset: name of the preset, if it is one.
            replicate: the repeated trial, if it is a replicate. It gets the next replicate id.
            enqueued: the user's request for it, if it is of one.

        Raises:
            ValueError: the number is taken, or a parameter is not finite.
        """
        name = trial_id(number)
        if replicate is not None:
            started = self._recorded.started
            name = next(i for i in (trial_id(number, n) for n in count(1)) if i not in started)
        event = TrialStarted(name)
        if not self._recorded.is_news(event):
            raise ValueError(f"{name} was started already")
        paths = self.layout.trial(name)
        if paths.trial.exists():  # copied there by hand: its checkpoints would be gone on from
            raise StorageFailed(
                f"cannot start {name}: {paths.folder} is there already, and not of this sweep; move"
                " it out of the results folder"
            )
        write_start(paths, parameters, config_yaml, preset, replicate, enqueued, self.own_files)
        self._recorded.add(event)
        self._journal.append(event)
        self._publish(paths.config, paths.trial, paths.history)
        return name

    def append_epoch(self, trial_id: str, metrics: EpochMetrics) -> bool:
        """Record one epoch; False if the journal has it already, because a resumed worker repeats
        it.

        Raises:
            ValueError: an epoch is missing, or the trial is unknown or has ended.
        """
        event = EpochRecorded.of(trial_id, metrics, self._objective)
        if self._recorded.is_news(event):
            write_epoch(self.layout.trial(trial_id), metrics)
            self._unsynced.add(trial_id)
            self._recorded.add(event)
        return self._journal.append(event)

    def note_wait(self, trial_id: str) -> bool:
        """Record that the trial has no worker; False if the journal has it already."""
        return self._journal.append(TrialWaits(trial_id))

    def fetch_requests(self) -> None:
        """Have here what users have asked for elsewhere. Often called: it must not take long."""

    def is_new_request(self, request: Request) -> bool:
        """Whether `record_request` would record it; raises as that does."""
        return self._journal.progress.is_news(request)

    def record_request(self, request: Request) -> bool:
        """Record what a user asked for; False if the journal has it already.

        Raises:
            ValueError: the trial is unknown, or is to stop and has ended.
        """
        if news := self._journal.append(request):
            self._sync()  # its file is deleted afterwards
        return news

    def end_trial(self, trial_id: str, outcome: Outcome) -> None:
        """Record how a trial ended. Repeating the same end has no effect.

        Raises:
            ValueError: the status is not final, or the trial is unknown or has another end.
        """
        if not outcome.status.is_final:
            raise ValueError(f"a trial must end with a final status, but got {outcome.status}")
        event = TrialEnded(trial_id, outcome.status)
        if self._recorded.is_news(event):
            write_end(self.layout.trial(trial_id), outcome)
            self._recorded.add(event)
        if self._journal.append(event):
            self._sync()

    def end_search(self, event: SearchEnded) -> None:
        """Record that the search starts no further trial."""
        if self._journal.append(event):
            self._sync()

    def record_test(self, trial_id: str, scores: Iterable[CaseScore]) -> None:
        """Record the scores of an ended trial on the test split."""
        paths = self.layout.trial(trial_id)
        write_test(paths, scores)
        self._publish(paths.test)

    def record_real_validation(self, trial_id: str, found: RealValidation) -> None:
        """Record the real validation of an ended trial."""
        paths = self.layout.trial(trial_id)
        write_real_validation(paths, found)
        self._publish(paths.real_validation)

    def record_pictures(
        self, trial_id: str, pictures: TrialPictures, files: Mapping[str, bytes]
    ) -> None:
        """Record what is drawn of an ended trial; arguments as of `write_pictures`."""
        paths = self.layout.trial(trial_id)
        write_pictures(paths, pictures, files)
        self._publish(*(paths.pictures / name for name in files), paths.picture_index)

    def packing(self) -> dict[str, CardPacking]:
        """How many trials share a GPU, by its name, as `record_packing` recorded it.

        Raises:
            ResultsError: the file is broken.
        """
        path = self.layout.packing
        return read_record(path, dict[str, CardPacking]) if path.exists() else {}

    def record_packing(self, found: Mapping[str, CardPacking]) -> None:
        """Record how many trials share a GPU, by its name."""
        values = {card: finite_fields(packing) for card, packing in found.items()}
        write_json(self.layout.packing, values)
        self._publish(self.layout.packing)

    def has(self, file: Path) -> bool:
        """Whether a file of a trial, such as its weights, was kept."""
        return file.exists()

    def with_best_weights(self, trial_id: str) -> TrialPaths:
        """The local files of a trial, with ``best.pt`` and ``offending.pt`` if they were kept."""
        return self.layout.trial(trial_id)

    def fetch_predictions(self, trial_id: str) -> None:
        """Have here what the evaluation of a trial has written beside it, on any node."""

    def discard_checkpoints(self, trial_id: str, *, best: bool) -> None:
        """Delete files of an ended trial that were only needed to resume it.

        Args:
            best: delete the weights of its best epoch too.
        """
        discard(self.layout.trial(trial_id), best=best)

    def discard_trunks(self) -> None:
        """Delete the snapshots of shared warm-ups, once no trial can start from one."""
        shutil.rmtree(self.layout.trunks, ignore_errors=True)

    def spec_files(self) -> list[Path]:
        """The earlier versions of ``sweep.yaml`` in order, then the current one."""
        former = takewhile(Path.exists, map(self.layout.former_sweep_yaml, count(1)))
        return [*former, self.layout.sweep_yaml]

    def change_spec(self, sweep_yaml: str) -> None:
        """Record another effective spec, and keep the previous one beside it."""
        *former, current = map(read_text, self.spec_files())
        if sweep_yaml == current:
            return
        if not former or former[-1] != current:  # else an attempt was killed here
            atomic_write_text(self.layout.former_sweep_yaml(len(former) + 1), current)
        atomic_write_text(self.layout.sweep_yaml, sweep_yaml)
        sync_folder(self.layout.folder)

    def rewrite_configs(self, rewritten: Callable[[Path], str | None]) -> None:
        """Replace ``config.yaml`` of trials whose data folders have moved.

        Args:
            rewritten: the new text for the file at a path; None: unchanged.
        """
        for paths in map(self.layout.trial, trial_folders(self.layout)):
            text = rewritten(paths.config) if paths.config.exists() else None
            if text is not None:
                atomic_write_text(paths.config, text)
                self._publish(paths.config)

    def _publish(self, *files: Path) -> None:
        """Called with files that a worker elsewhere may read at once."""

    def earlier(self, read: Callable[[], Iterable[TrialRecord]]) -> list[TrialRecord]:
        """The earlier trials that the searcher learns from, stored on the first call.

        Args:
            read: reads them from the earlier results; called only once.

        Raises:
            ResultsError: the copy is broken, or lost after trials were proposed with it.
        """
        copy = self.layout.warm_start
        if not copy.exists():
            if self._recorded.started:
                raise ResultsError(f"{copy} is lost; restore it from a backup")
            write_earlier(copy, read(), self._objective)
        return read_earlier(copy, self._objective)

    def records(self) -> list[TrialRecord]:
        """All trials by number, read from their files."""
        return read_records(self.layout.folder, self._objective, whole=True)

    def journal(self) -> Iterator[Event]:
        """The recorded events in order. Replaying them rebuilds a scheduler exactly."""
        return read_journal(self.layout.journal)

    def close(self) -> None:
        """Release the folder for other processes."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _sync(self) -> None:
        """Flush the histories to disk before the journal that mentions them."""
        for trial in self._unsynced:
            sync(self.layout.trial(trial).history)
        self._unsynced.clear()
        self._journal.sync()

    def _repair(self) -> None:
        """Add to the journal what only the trials' own files have, trial by trial."""
        drop_temporary(self.layout.folder)
        for history in (self.layout.trial(name).history for name in trial_folders(self.layout)):
            if history.exists():
                drop_torn_line(history)
        journal = self.layout.journal
        for event in chain.from_iterable(map(_events, self.records())):
            self._recorded.add(event)
            try:
                self._journal.append(event)
            except ValueError as error:
                raise ResultsError(f"{journal}: does not fit the trials' files: {error}") from error
        known = self._journal.progress
        lost = (known.started - self._recorded.started) | (known.ended - self._recorded.ended)
        if lost:
            raise ResultsError(
                f"{journal}: has {', '.join(sorted(lost))}, whose trial.json is lost or out of"
                f" date; {RESTORE}"
            )
        if short := self._recorded.ended_before(known):
            raise ResultsError(
                f"{self.layout.trial(short[0]).history}: broken, {journal.name} has more epochs of"
                f" {', '.join(short)}; {RESTORE}"
            )


def _events(record: TrialRecord) -> Iterator[Event]:
    yield TrialStarted(record.trial_id)
    for metrics in record.history:
        yield EpochRecorded.of(record.trial_id, metrics, record.objective)
    if record.outcome is not None:
        yield TrialEnded(record.trial_id, record.outcome.status)


def require_unused(layout: Layout) -> None:
    """Refuse a folder that is not empty.

    Hidden files do not count: a lock, or the temporary file of a killed start.

    Raises:
        ResultsError: says what to do instead.
    """
    if is_used(layout.folder):
        raise already_used(layout.folder, layout.sweep_yaml.exists(), "the folder")


def already_used(place: object, resumable: bool, content: str) -> ResultsError:
    """The error for results that would be written where others are."""
    resume = "resume it with --resume, " if resumable else ""
    return ResultsError(
        f"{place} already exists and is not empty: {resume}choose another `name:`"
        f" (or --set name=...), or remove {content}"
    )


def is_used(folder: Path) -> bool:
    """Whether the path exists and has files that are not hidden."""
    if not os.path.lexists(folder):
        return False
    if folder.is_file():
        raise ResultsError(f"{folder} is a file: choose another name, or remove it")
    with reading(folder):
        return any(not entry.name.startswith(".") for entry in folder.iterdir())
