"""Checkpoints of one trial, under the names of `TrialPaths`."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from sweep.store.case_table import write_cases
from sweep.store.files import atomic_write_bytes, reading, sync_folder
from sweep.store.layout import TrialPaths
from sweep.vocabulary.class_scores import ClassScore
from sweep.vocabulary.error_lines import last_line
from sweep.vocabulary.errors import ResultsError


class Checkpoints:
    """The states in a trial's folder.

    Writes are atomic, and on the disk when they return. They raise `SweepFailed` if the disk is
    full or the folder is gone. The last state but one is kept. If the last one is damaged, the
    trial resumes from there, and if both are, from the beginning. A run is a function of its
    configuration and the epoch, so that costs time and changes nothing.

    Attributes:
        damaged: a sentence for each checkpoint that `load_last` could not load.
    """

    def __init__(self, folder: Path) -> None:
        self._paths = TrialPaths(folder)
        self.damaged: tuple[str, ...] = ()

    def save_best(self, state: dict[str, Any]) -> None:
        self._save(self._paths.best_checkpoint, state)

    def save_cases(self, scores: Sequence[ClassScore]) -> None:
        """Keep what the best epoch scores on each case and class."""
        write_cases(self._paths.cases, scores)

    def save_last(self, state: dict[str, Any]) -> None:
        self._save(self._paths.last_checkpoint, state, keep=self._paths.previous_checkpoint)

    def save_healthy(self, state: dict[str, Any]) -> None:
        self._save(self._paths.healthy_checkpoint, state)

    def save_offending(self, state: dict[str, Any]) -> None:
        self._save(self._paths.offending, state)

    def load_last(self) -> dict[str, Any] | None:
        """The latest complete state to resume from, on the CPU; None if there is none."""
        self.damaged = ()
        for path in (self._paths.last_checkpoint, self._paths.previous_checkpoint):
            try:
                if (state := _load(path)) is not None:
                    return state
            except ResultsError as error:
                self.damaged += (str(error),)
        return None

    def load_best(self) -> dict[str, Any] | None:
        """Weights of the best epoch; None if there are none. Raises as `load_offending`."""
        return _load(self._paths.best_checkpoint)

    def need_best(self) -> dict[str, Any]:
        """As `load_best`; raises `ResultsError` also if there are none."""
        if (state := self.load_best()) is None:
            name = self._paths.best_checkpoint.name
            raise ResultsError(f"{self._paths.folder} holds no {name}")
        return state

    def load_offending(self) -> dict[str, Any] | None:
        """What `sweep.trainer.runs.reproduce` needs; None if the trial has not kept it.

        Raises:
            ResultsError: the file is damaged.
        """
        return _load(self._paths.offending)

    def _save(self, path: Path, state: dict[str, Any], *, keep: Path | None = None) -> None:
        # In memory first: torch reports a full disk by its own RuntimeError.
        content = io.BytesIO()
        torch.save(state, content)
        with content.getbuffer() as view:  # one that an exception keeps alive crashes Python 3.12.1
            atomic_write_bytes(path, view, keep=keep)
        sync_folder(self._paths.folder)


def _load(path: Path) -> dict[str, Any] | None:
    """The state in a file; None if there is no file. Raises `ResultsError` if it is damaged."""
    if not path.exists():
        return None
    try:
        with reading(path), zipfile.ZipFile(path) as archive:
            if (part := archive.testzip()) is not None:  # torch itself checks no sums
                raise zipfile.BadZipFile(f"the checksum of {part} is wrong")
        # weights_only: a results folder may come from anywhere; nothing in it is unpickled.
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (ResultsError, MemoryError):
        raise
    except Exception as error:  # torch may raise anything for a file of another origin
        raise ResultsError(f"{path} is damaged: {last_line(error)}") from error
    return state
