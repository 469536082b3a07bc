"""The base of every tracker, and the numbers that they log."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sweep.store.files import read_text
from sweep.store.layout import Layout, TrialPaths
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.parameter_values import is_number
from sweep.vocabulary.record import Divergence, Observer, Relay


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
    warn: Callable[[str], None] = lambda _: None

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
    for name, value in (metrics.to_json() | {"machine": metrics.machine}).items():
        is_group = isinstance(value, Mapping)
        items = {f"{name}/{key}": v for key, v in value.items()} if is_group else {name: value}
        for key, item in items.items():
            if is_number(item) and key != "epoch":
                values[key] = float(item)
    return values


def csv_table(file: Path) -> tuple[list[str], list[list[str]]]:
    """The names of a CSV file's columns, and its rows."""
    names, *rows = csv.reader(io.StringIO(read_text(file)))
    return names, rows


def why(divergence: Divergence) -> str:
    """What happened, its likely cause and what to set, in sentences."""
    said = [divergence.message]
    if (diagnosis := divergence.diagnosis) is not None:
        said += [diagnosis.likely_cause, diagnosis.advice]
    return " ".join(said)


class RelayTracker(Relay, Tracker):
    """A tracker that passes every event on, as `Relay` does."""

    def ranked(self) -> None:
        self._pass_on("ranked")

    def pictures_drawn(self, trial_id: str, pictures: Mapping[str, bytes]) -> None:
        self._pass_on("pictures_drawn", trial_id, pictures)

    def close(self) -> None:
        self._pass_on("close")


class Forgiving(RelayTracker):
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

    def _pass_on(self, event: str, *facts: object) -> None:
        if not hasattr(self._tracker, event):  # of a plug-in, which need not have all
            return
        try:
            getattr(self._tracker, event)(*facts)
        except Exception as error:  # noqa: BLE001 - the results folder has everything already
            self._tracker = None
            self._warn(
                f"{self._name} is not logged to any more ({type(error).__name__}: {error});"
                " the results folder has everything"
            )
