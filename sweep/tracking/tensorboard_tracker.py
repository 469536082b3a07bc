"""TensorBoard: ``tensorboard --logdir results/<name>/tensorboard``.

Uses TensorBoard's own event writer. `torch.utils.tensorboard` writes the same files with the same
class, but loads torch, which the driver does not need.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.text.metadata import create_summary_metadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from sweep.tracking.tracker import Tracked, Tracker, csv_table, scalars
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.parameter_values import as_text
from sweep.vocabulary.record import ParameterValue, TrialRecord


class TensorBoardTracker(Tracker):
    """One run per trial, in a folder of the trial's name. An epoch is one event with all values.

    The start of a trial deletes its earlier run, so a resumed sweep has every epoch once.

    The tab *Text* has cause and table of cases of a trial that has ended.
    """

    def __init__(self, tracked: Tracked) -> None:
        self._tracked, self._folder = tracked, tracked.layout.tensorboard
        self._writers: dict[str, EventFileWriter] = {}

    def trial_started(self, trial_id: str, parameters: Mapping[str, ParameterValue]) -> None:
        run = self._folder / trial_id
        shutil.rmtree(run, ignore_errors=True)
        self._writers[trial_id] = EventFileWriter(str(run))
        if known := {
            name: as_text(value) for name, value in parameters.items() if value is not None
        }:
            self._write(trial_id, hparams_pb(known, trial_id=trial_id))

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        values = [
            Summary.Value(tag=name, simple_value=value) for name, value in scalars(metrics).items()
        ]
        self._write(trial_id, Summary(value=values), metrics.epoch)
        self._writers[trial_id].flush()  # to show it while the trial runs

    def trial_ended(self, record: TrialRecord) -> None:
        cases = self._tracked.paths(record.trial_id).cases
        texts = {"cause": record.outcome.cause if record.outcome else ""}
        texts["cases"] = _markdown(cases) if cases.exists() else ""
        if values := [_text(tag, text) for tag, text in texts.items() if text]:
            self._write(record.trial_id, Summary(value=values))
        self._writers.pop(record.trial_id).close()

    def pictures_drawn(self, trial_id: str, pictures: Mapping[str, bytes]) -> None:
        writer = EventFileWriter(str(self._folder / trial_id))
        values = [
            Summary.Value(
                tag=f"segmentations/{title}",
                image=Summary.Image(encoded_image_string=png, colorspace=3),
            )
            for title, png in pictures.items()
        ]
        writer.add_event(Event(wall_time=time.time(), summary=Summary(value=values)))
        writer.close()

    def close(self) -> None:
        while self._writers:
            self._writers.popitem()[1].close()

    def _write(self, trial_id: str, summary: Summary, step: int = 0) -> None:
        event = Event(wall_time=time.time(), step=step, summary=summary)
        self._writers[trial_id].add_event(event)


def _text(tag: str, markdown: str) -> Summary.Value:
    """A text for the tab *Text*, as `tensorboard.plugins.text` reads it."""
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype="DT_STRING", string_val=[markdown.encode()], tensor_shape=shape)
    return Summary.Value(tag=tag, metadata=create_summary_metadata(tag, ""), tensor=tensor)


def _markdown(table: Path) -> str:
    """A CSV file as a table of Markdown."""
    names, rows = csv_table(table)
    lines = (names, ["---"] * len(names), *rows)
    return "\n".join("|".join(cell.replace("|", "\\|") for cell in line) for line in lines)
