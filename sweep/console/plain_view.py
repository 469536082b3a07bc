"""The view where there is no terminal: one line for each thing that happened."""

from __future__ import annotations

from rich.console import Console

from sweep.analysis.report_words import status as status_words
from sweep.console.console_words import count_words, value_words
from sweep.console.sweep_progress import Progress
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Observer, TrialRecord


class PlainView(Observer):
    """An observer that prints a line when a trial ends or warns: logs of a job stay readable."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self._progress = progress
        self._console = console

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        for warning in metrics.warnings:
            self._print(f"warning: {trial_id}: {warning}")

    def trial_ended(self, record: TrialRecord) -> None:
        progress = self._progress
        assert record.outcome is not None
        best = value_words(record.value, record.objective)
        cause = f": {record.outcome.cause}" if record.outcome.cause else ""
        left = "" if progress.remaining is None else f"; {progress.left_words}"
        self._print(
            f"[{progress.finished_trials}/{progress.trials}] {record.trial_id}"
            f" {status_words(record.status)}{cause}; {len(record.history)} epochs,"
            f" best {record.objective.short} {best}"
            f" ({count_words(progress.counts, waiting=progress.waiting)}{left})"
        )
        for warning in record.warnings:
            self._print(f"    warning: {warning}")

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
