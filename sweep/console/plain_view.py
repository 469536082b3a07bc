"""Views that print lines: of a sweep where there is no terminal, and of a single training."""

from __future__ import annotations

import typer
from rich.console import Console

from sweep.analysis.report_words import status as status_words
from sweep.console.console_words import count_words, print_line, print_warnings, value_words
from sweep.console.live_view import SHOWN_LEADERS
from sweep.console.sweep_progress import Progress
from sweep.spec.words.phrases import counted
from sweep.vocabulary.class_scores import UNITS
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import DICE_NAMES, DiceOf
from sweep.vocabulary.record import Observer, SearchEnded, TrialRecord


class PlainView(Observer):
    """Prints a line when a trial ends or warns, so that logs of a job stay readable."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self._progress = progress
        self._console = console
        self._race_words = progress.race_words
        self._warned: dict[str, set[str]] = {}  # sentence → trials that warned of it

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        for warning in metrics.warnings:
            if self._is_new(warning, trial_id):
                self._print(f"warning: {trial_id}: {warning}")

    def trial_ended(self, record: TrialRecord) -> None:
        progress = self._progress
        assert record.outcome is not None
        best = value_words(record.value, record.objective)
        cause = f": {record.outcome.cause}" if record.outcome.cause else ""
        left = f"; {progress.left_words}" if progress.remaining else ""
        self._print(
            f"[{progress.count_words}] {record.trial_id}"
            f" {status_words(record.status)}{cause}; {counted(len(record.history), 'epoch')},"
            f" best {record.objective.short} {best}{self._rank(record)}"
            f" ({count_words(progress.counts, waiting=progress.waiting)}{left})"
        )
        for warning in record.warnings:  # those of an earlier session
            if self._is_new(warning, record.trial_id):
                self._print(f"    warning: {warning}")
        if progress.race_words != self._race_words:
            self._race_words = progress.race_words
            self._print(f"race: {self._race_words}")

    def ended(self) -> None:
        """The trials have ended: how many warned of what was printed for the first alone."""
        for warning, trials in self._warned.items():
            if len(trials) > 1:
                self._print(f"warning of {len(trials)} trials: {warning}")

    def _is_new(self, warning: str, trial_id: str) -> bool:
        """Whether no trial has warned of it yet."""
        is_new = warning not in self._warned
        self._warned.setdefault(warning, set()).add(trial_id)
        return is_new

    def _rank(self, record: TrialRecord) -> str:
        """Its rank so far, if it has a high one; replicates do not count."""
        leaders = self._progress.ranking.leaders(SHOWN_LEADERS)
        ranks = {one.trial_id: rank for rank, one in enumerate(leaders, start=1)}
        rank = ranks.get(record.trial_id)
        return "" if rank is None else f", rank {rank} so far"

    def search_ended(self, event: SearchEnded) -> None:
        self._print(
            f"`stop_when` ends the search after {event.started} of {event.trials} trials; those"
            " that run or wait still end"
        )

    def _print(self, line: str) -> None:
        print_line(self._console, line)


class TrainingLines(Observer):
    """Prints a line for each epoch of a single training, and its warnings.

    Args:
        dice: what kind of Dice the trainer measures.
    """

    def __init__(self, dice: DiceOf = "validation") -> None:
        self._dice = DICE_NAMES[dice].heading

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        dice = "none" if metrics.val_dice is None else f"{metrics.val_dice:.4f}"
        loss = "none" if metrics.train_loss is None else f"{metrics.train_loss:.4f}"
        each = "  ".join(f"{name} {value:.4f}" for name, value in metrics.terms.items())
        terms = f"  ({each})" if each else ""
        unit = UNITS[metrics.distance_unit]
        measured = "".join(
            f"  {name} {value:.4g}{unit * (name == 'hd95')}"
            for name, value in metrics.metrics.items()
            if value is not None and not name.startswith("reference_")  # the same in every epoch
        )
        skipped = metrics.skipped_steps
        typer.echo(
            f"epoch {metrics.epoch:4d}  {self._dice} {dice}  loss {loss}{terms}{measured}"
            f"  {metrics.seconds:.1f} s"
            + (f"  {skipped} steps skipped, weights finite" if skipped else "")
        )
        print_warnings(metrics.warnings)
