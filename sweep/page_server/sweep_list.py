"""The sweeps below a folder, each in a few words."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock

from sweep.analysis.confirm.real_validations import as_real
from sweep.analysis.report_words import status as status_words
from sweep.analysis.shown_columns import MEAN_OF, MEAN_OF_RUNS, REAL, RUNS, confirmed_names
from sweep.page_server.live_sweep import LiveSweep
from sweep.report.report_figures import DrawFigure
from sweep.spec.words.phrases import counted
from sweep.store.files import read_text
from sweep.store.layout import Layout
from sweep.store.lock import is_locked
from sweep.store.read_results import read_objective, read_sweep
from sweep.vocabulary.errors import ResultsError
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import Status

OLDEST = datetime.min


@dataclass(frozen=True, slots=True)
class ListedSweep:
    """A row of the list.

    Args:
        name: of its folder.
        running: whether a process writes to it.
        trials: number of trials that were asked for; None where its file cannot be read.
        ended: how many of its trials have ended, in words: ``12 completed, 3 diverged``.
        best: the leader and its value; empty without one.
        changed: when it last changed.
        problem: what is wrong with the folder; empty where nothing is.
    """

    name: str
    running: bool = False
    trials: int | None = None
    ended: str = ""
    best: str = ""
    changed: datetime | None = None
    problem: str = ""


class SweepList:
    """The results folders that a server shows.

    Args:
        folder: a results folder, or a folder that holds results folders.
        expected: that ``folder`` will be a results folder, and is none yet.
        figures: those that its user programmed, for the page of each.
        uri: what ``folder``, which is one sweep's, is a copy of; None: no copy.
    """

    def __init__(
        self,
        folder: Path,
        *,
        expected: bool = False,
        figures: Sequence[DrawFigure] = (),
        uri: str | None = None,
    ) -> None:
        self.folder, self._expected, self._figures = folder, expected, figures
        self._uri = uri
        self.is_single = expected or Layout(folder).sweep_yaml.exists()
        self._sweeps: dict[str, LiveSweep] = {}
        self._rows: dict[str, tuple[object, ListedSweep]] = {}
        self._lock = Lock()

    def names(self) -> list[str]:
        """Names of the folders, sorted. One with a name that no address can hold is left out.

        Raises:
            ResultsError: the folder is gone or cannot be listed.
        """
        if self.is_single:
            return [self.folder.resolve().name or "sweep"]
        try:
            folders = [path for path in self.folder.iterdir() if Layout(path).sweep_yaml.is_file()]
        except OSError as error:
            raise ResultsError(f"cannot read {self.folder}: {error.strerror or error}") from error
        # Bytes that are no UTF-8 are not printable.
        return sorted(path.name for path in folders if path.name.isprintable())

    def __getitem__(self, name: str) -> LiveSweep:
        """The sweep in the folder of this name; raises KeyError if none was ever there."""
        with self._lock:
            if name not in self._sweeps:
                if name not in self.names():
                    raise KeyError(name)
                folder = self.folder if self.is_single else self.folder / name
                self._sweeps[name] = LiveSweep(
                    folder, expected=self._expected, figures=self._figures, uri=self._uri
                )
            return self._sweeps[name]

    def rows(self) -> list[ListedSweep]:
        """A row for each, the running ones first, then those that changed last; raises as
        `names`."""
        rows = [self._row(name) for name in self.names()]
        return sorted(rows, key=lambda row: (row.running, row.changed or OLDEST), reverse=True)

    def _row(self, name: str) -> ListedSweep:
        """The row of one, read again where one of its files has changed."""
        layout = Layout(self.folder / name)
        read = layout.sweep_yaml, layout.journal, layout.ranking_csv
        stamp = is_locked(layout), *map(_stamp, read)
        known = self._rows.get(name)
        if known is None or known[0] != stamp:
            self._rows[name] = known = stamp, listed(layout, name)
        return known[1]


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns


def listed(layout: Layout, name: str) -> ListedSweep:
    """The row of a results folder, from its ranking.csv: no trial is read."""
    folder, running = layout.folder, is_locked(layout)
    try:
        trials = read_sweep(folder).get("trials")
        rows = _rows(layout.ranking_csv)
        return ListedSweep(
            name=name,
            running=running,
            trials=trials if isinstance(trials, int) else None,
            ended=_ended(rows),
            best=_best(rows, read_objective(folder)),
            changed=_changed(layout),
        )
    except ResultsError as error:
        return ListedSweep(name, running=running, problem=str(error))


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(read_text(path)))) if path.exists() else []


def _ended(rows: list[dict[str, str]]) -> str:
    statuses = [row.get("status") for row in rows]
    counts = {status: statuses.count(status.value) for status in Status}
    return ", ".join(f"{n} {status_words(status)}" for status, n in counts.items() if n)


def _best(rows: list[dict[str, str]], objective: Objective) -> str:
    """The leader and what it leads by: a mean over its runs, or what one run reached."""
    first: Mapping[str, str | None] = rows[0] if rows else {}
    mean, _, _ = confirmed_names(objective)
    of = first.get(MEAN_OF) or objective.label
    by = {
        mean: f"mean {of} of {_counted(first.get('replicates'), 'replicate')}",
        MEAN_OF_RUNS: f"mean {objective.label} of {_counted(first.get(RUNS), 'run')}",
        REAL: as_real(objective).label,
        objective.metric: objective.label,
    }
    for column, label in by.items():
        with suppress(ValueError):  # an empty cell
            value = float(first.get(column) or "")
            return f"{label} {objective.text(value)} ({first.get('trial_id')})"
    return ""  # no trial has a result


def _counted(cell: str | None, what: str) -> str:
    return counted(int(cell), what) if cell and cell.isdecimal() else f"its {what}s"


def _changed(layout: Layout) -> datetime | None:
    """When the journal or, in a folder without one, the sweep's file was last written."""
    for path in (layout.journal, layout.sweep_yaml):
        try:
            return datetime.fromtimestamp(path.stat().st_mtime)
        except OSError:
            continue
    return None
