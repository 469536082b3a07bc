"""The base of every tracker, and the numbers that they log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sweep.store.layout import Layout, TrialPaths
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Divergence, Observer, ParameterValue, TrialRecord


def _ignore(_sentence: str) -> None:
    """Warn nobody."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """What is logged.

    Args:
        name: name of the sweep, or of the single trial.
        layout: the results folder, which contains local stores.
        paths: the files of a trial, by its id.
        nested: True for a sweep, False for a single trial.
        warn: called with what users should know, a sentence.
    """

    name: str
    layout: Layout
    paths: Callable[[str], TrialPaths]
    nested: bool = True
    warn: Callable[[str], None] = _ignore

    def files_of(self, trial_id: str) -> list[Path]:
        """What a trial that has ended leaves to read: its settings, and what went wrong."""
        paths = self.paths(trial_id)
        return _existing(paths.config, paths.provenance, paths.divergence, paths.error)

    @property
    def files(self) -> list[Path]:
        """Those of the sweep: its settings, the ranking, the winner."""
        layout = self.layout
        return _existing(layout.sweep_yaml, layout.ranking_csv, layout.best_yaml)


def _existing(*files: Path) -> list[Path]:
    return [file for file in files if file.exists()]


class Tracker(Observer):
    """An observer of the controller that has to be closed.

    It hears of each trial (`Observer`), then of the ranking, then of pictures. A resumed sweep
    repeats all of these from its beginning. A tracker must not log them twice. Files that exist at
    the time, such as a trial's ``cases.csv`` at its end, are found through `Tracked`.
    """

    def ranked(self) -> None:
        """All trials are ranked: ``ranking.csv`` and, with a winner, ``best.yaml`` are written."""

    def pictures_drawn(self, trial_id: str, pictures: Mapping[str, bytes]) -> None:
        """Segmentations of a trial were drawn, after its end.

        Args:
            pictures: title → PNG.
        """

    def close(self) -> None:
        """The sweep has ended."""


def scalars(metrics: EpochMetrics) -> dict[str, float]:
    """Every number that an epoch reports, by its name in ``history.jsonl``: ``terms/dice``."""
    values: dict[str, float] = {}
    for name, value in metrics.to_json().items():
        is_group = isinstance(value, Mapping)
        items = {f"{name}/{key}": v for key, v in value.items()} if is_group else {name: value}
        for key, item in items.items():
            is_number = isinstance(item, int | float) and not isinstance(item, bool)
            if is_number and key != "epoch":
                values[key] = float(item)
    return values


def why(divergence: Divergence) -> str:
    """What happened, its likely cause and what to set, in sentences."""
    said = [divergence.message]
    if (diagnosis := divergence.diagnosis) is not None:
        said += [diagnosis.likely_cause, diagnosis.advice]
    return " ".join(said)


class Forgiving(Tracker):
    """A tracker whose errors never end a sweep. After its first error it gets no more events.

    Args:
        name: name of the tracker in the warning.
        tracker: the tracker that may fail, for example on a full disk.
        warn: called once, with the warning.
    """

    def __init__(self, name: str, tracker: Tracker, warn: Callable[[str], None]) -> None:
        self._name = name
        self._tracker: Tracker | None = tracker
        self._warn = warn

    def trial_started(self, trial_id: str, parameters: Mapping[str, ParameterValue]) -> None:
        self._try(lambda tracker: tracker.trial_started(trial_id, parameters))

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        self._try(lambda tracker: tracker.epoch_reported(trial_id, metrics))

    def trial_waits(self, trial_id: str) -> None:
        self._try(lambda tracker: tracker.trial_waits(trial_id))

    def trial_ended(self, record: TrialRecord) -> None:
        self._try(lambda tracker: tracker.trial_ended(record))

    # A plug-in that is no `Tracker` need not have these two methods.

    def ranked(self) -> None:
        if hasattr(self._tracker, "ranked"):
            self._try(lambda tracker: tracker.ranked())

    def pictures_drawn(self, trial_id: str, pictures: Mapping[str, bytes]) -> None:
        if hasattr(self._tracker, "pictures_drawn"):
            self._try(lambda tracker: tracker.pictures_drawn(trial_id, pictures))

    def close(self) -> None:
        self._try(lambda tracker: tracker.close())

    def _try(self, action: Callable[[Tracker], None]) -> None:
        if self._tracker is None:
            return
        try:
            action(self._tracker)
        except Exception as error:  # noqa: BLE001 - the results folder has everything already
            self._tracker = None
            self._warn(
                f"{self._name} is not logged to any more ({type(error).__name__}: {error});"
                " the results folder has everything"
            )
