"""Looking at a results folder again and again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from sweep.analysis.effective_settings import read_spec
from sweep.analysis.ranking.finalists import Planned
from sweep.console.live_view import LiveView
from sweep.console.plain_view import PlainView
from sweep.console.sweep_progress import FollowedProgress, Phase
from sweep.store.follow_events import Follower
from sweep.store.layout import Layout
from sweep.store.lock import is_locked


class Watching:
    """One sweep, watched from outside; reads its results folder and nothing else.

    Args:
        folder: the results folder.
    Raises:
        ResultsError: it is none, or a file in it is broken. Every method may raise this.
    """

    def __init__(self, folder: Path) -> None:
        self._layout = Layout(folder)
        self._follower = Follower(folder)
        self._spec_stamp: tuple[int, int] | None = None
        self.progress = FollowedProgress(trials=0)
        self._read_spec()

    def look(self, console: Console | None = None) -> None:
        """Take in what has happened since the last look, and print it to ``console``."""
        # Before the records: what ends in between is then seen, and nothing comes after it.
        in_use = is_locked(self._layout)
        self._read_spec()
        plain = [PlainView(self.progress, console)] if console is not None else []
        self._follower.tell(self.progress, *plain)
        self.progress.phase = self._phase(in_use)

    def _phase(self, in_use: bool) -> Phase:
        ended, left = self.progress.finished_trials, len(self.progress.running)
        if ended >= self.progress.trials:
            return Phase.FINISHED
        if in_use:
            return Phase.RUNNING
        # How many replicates there are to be, only the one who runs it knows.
        return Phase.FINISHED if ended >= self._searched and not left else Phase.STOPPED

    @property
    def over(self) -> bool:
        """Whether the results are final: every trial has ended, or no process writes any more."""
        return self.progress.phase is not Phase.RUNNING

    def view(self, console: Console) -> LiveView:
        return LiveView(self._name, self.progress, console)

    def last_words(self) -> Iterator[str]:
        """What trials warned of, in full, and what can be done next."""
        for text in self.progress.warning_words:
            yield f"warning: {text}"
        folder = shlex.quote(str(self._layout.folder))
        if self.progress.phase is Phase.STOPPED:
            yield "Not running. Resume it with `sweep.run … --resume`."
        if self.over and self.progress.finished_trials:
            yield f"Ranking: python -m sweep.rank {folder}"

    def _read_spec(self) -> None:
        """Again where it has changed: a sweep may be extended."""
        status = self._layout.sweep_yaml.stat()
        stamp = (status.st_ino, status.st_mtime_ns)
        if stamp == self._spec_stamp:
            return
        spec = read_spec(self._layout.folder)
        self._spec_stamp = stamp
        self._name = spec.name
        self._searched = spec.trials
        self.progress.objective = spec.judged_by
        planned = self.progress.planned or Planned(spec)
        planned.spec = spec
        self.progress.planned, self.progress.trials = planned, planned.total
        self.progress.max_epochs = spec.ranges.most_epochs
