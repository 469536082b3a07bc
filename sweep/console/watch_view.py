"""Watch a results folder by reading it repeatedly."""

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
from sweep.store.at_uri.local_results import as_given
from sweep.store.files import reading
from sweep.store.follow_events import Follower
from sweep.store.layout import Layout
from sweep.store.lock import is_locked


class Watching:
    """One sweep, watched by reading its results folder.

    Args:
        folder: the results folder.
        uri: what it is a copy of; None: it is the results themselves.

    Raises:
        ResultsError: it is not a results folder, or a file in it is broken. Every method may raise
            this.
    """

    def __init__(self, folder: Path, uri: str | None = None) -> None:
        self._layout = Layout(folder)
        self._uri = uri
        self._follower = Follower(folder)
        self._spec_stamp: tuple[int, int] | None = None
        self.progress = FollowedProgress(trials=0)
        self._read_spec()

    def look(self, console: Console | None = None) -> None:
        """Read the events since the last look, and print them to ``console``."""
        # Before the records: if the sweep ends in between, the next look sees that.
        in_use = is_locked(self._layout)
        self._read_spec()
        plain = [PlainView(self.progress, console)] if console is not None else []
        self._follower.notify(self.progress, *plain)
        self.progress.phase = self._phase(in_use)

    def _phase(self, in_use: bool) -> Phase:
        ended, left = self.progress.finished_trials, len(self.progress.running)
        if ended >= self.progress.trials:
            return Phase.FINISHED
        if in_use:
            return Phase.RUNNING
        # The final number of replicates is known only to the process that runs the sweep.
        return Phase.FINISHED if ended >= self._planned.searched and not left else Phase.STOPPED

    @property
    def over(self) -> bool:
        """Whether the results are final: all trials have ended, or no process is writing."""
        return self.progress.phase is not Phase.RUNNING

    def view(self, console: Console) -> LiveView:
        return LiveView(self._name, self.progress, console)

    def last_words(self) -> Iterator[str]:
        """All warnings of trials, and the next steps."""
        for text in self.progress.warning_words:
            yield f"warning: {text}"
        place = shlex.quote(as_given(self._layout.folder, self._uri))
        if self.progress.phase is Phase.STOPPED:
            yield "Not running. Resume it with `sweep.run … --resume`."
        if self.over and self.progress.finished_trials:
            yield f"Ranking: python -m sweep.rank {place}"

    def _read_spec(self) -> None:
        """Read the spec again if its file has changed, because a sweep may be extended."""
        with reading(self._layout.sweep_yaml):
            status = self._layout.sweep_yaml.stat()
        stamp = (status.st_ino, status.st_mtime_ns)
        if stamp == self._spec_stamp:
            return
        spec = read_spec(self._layout.folder)
        self._spec_stamp = stamp
        self._name = spec.name
        self.progress.objective = spec.judged_by
        planned = self.progress.planned or Planned(spec)
        planned.spec = spec
        self._planned = self.progress.planned = planned
        self.progress.trials = planned.total
        self.progress.max_epochs = spec.ranges.most_epochs
