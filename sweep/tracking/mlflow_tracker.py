"""MLflow: ``mlflow ui --backend-store-uri sqlite:///results/<name>/mlflow/mlflow.db``.

The store is inside the results folder, or on the server that ``MLFLOW_TRACKING_URI`` names. The
sweep is a run, and its trials are nested runs.
"""

from __future__ import annotations

import io
import logging
import os
import re
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# MLflow sends telemetry by default. A value set by the user is kept.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME
from PIL import Image

from sweep.tracking.tracker import Tracked, Tracker, scalars
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.parameter_values import as_text
from sweep.vocabulary.record import ParameterValue, Status, TrialRecord

TRIAL, FOLDER, STATUS, CAUSE = "sweep.trial", "sweep.folder", "sweep.status", "sweep.cause"
"""Tags that we set on a run."""

RUN_STATUS: Mapping[Status, str] = {
    Status.RUNNING: "RUNNING",
    Status.COMPLETED: "FINISHED",
    Status.EARLY_STOPPED: "FINISHED",
    Status.PRUNED: "KILLED",
    Status.DIVERGED: "FAILED",
    Status.FAILED: "FAILED",
}
LONGEST_TAG, LONGEST_NAME = 5000, 240
PAGE = 1000
NOT_IN_NAMES = re.compile(r"[^\w.:/ -]|(?<![^/])\.{0,2}(?![^/])")
"""What MLflow refuses in the name of a metric: a character, or a part of a path as in ``a//..``."""


@dataclass(slots=True)
class _Known:
    """A run in the store: its id, its last epoch, and whether it has ended."""

    run_id: str
    epoch: int = -1
    ended: bool = False


class MlflowTracker(Tracker):
    """Logs parameters, metrics of each epoch, status, cause, configuration and diagnosis.

    Existing entries are not logged again, so a resumed sweep appends.
    """

    def __init__(self, tracked: Tracked) -> None:
        self._tracked = tracked
        self._names: dict[str, str] = {}
        name, folder = tracked.name, tracked.layout.mlflow
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        artifacts = None if uri else (folder / "artifacts").as_uri()
        if uri is None:
            folder.mkdir(parents=True, exist_ok=True)
        with _quiet():
            self._client = MlflowClient(uri or f"sqlite:///{folder / 'mlflow.db'}")
            known = self._client.get_experiment_by_name(name)
            self._experiment: str = (
                known.experiment_id if known else self._client.create_experiment(name, artifacts)
            )
        runs = list(self._stored_runs())
        self._runs = {
            run.data.tags[TRIAL]: _Known(
                run.info.run_id,
                epoch=int(run.data.metrics.get("epoch", -1)),
                ended=run.info.status != "RUNNING" and run.data.tags[STATUS] != Status.RUNNING,
            )
            for run in runs
            if TRIAL in run.data.tags
        }
        self._parent = self._sweep_run(runs) if tracked.nested else None

    def trial_started(self, trial_id: str, parameters: Mapping[str, ParameterValue]) -> None:
        values = {self._named(name): str(as_text(v)) for name, v in parameters.items()}
        if (known := self._runs.get(trial_id)) is not None:
            if not known.ended:  # it goes on
                self._client.update_run(known.run_id, "RUNNING")
            return
        tags = {TRIAL: trial_id, STATUS: Status.RUNNING.value}
        tags |= {MLFLOW_PARENT_RUN_ID: self._parent} if self._parent else {}
        run_id = self._create_run(trial_id, tags)
        self._client.log_batch(run_id, params=[Param(name, v) for name, v in values.items()])
        self._runs[trial_id] = _Known(run_id)

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        run = self._runs[trial_id]
        values = {self._named(n): v for n, v in scalars(metrics).items()} | {"epoch": metrics.epoch}
        if metrics.epoch <= run.epoch:
            return
        now = int(time.time() * 1000)
        self._client.log_batch(
            run.run_id, metrics=[Metric(n, v, now, metrics.epoch) for n, v in values.items()]
        )
        run.epoch = metrics.epoch

    def trial_ended(self, record: TrialRecord) -> None:
        run = self._runs[record.trial_id]
        if run.ended:
            return
        cause = record.outcome.cause[:LONGEST_TAG] if record.outcome else ""
        tags = [RunTag(STATUS, record.status.value), RunTag(CAUSE, cause)]
        self._client.log_batch(run.run_id, tags=tags)
        cases = self._tracked.paths(record.trial_id).cases
        self._log_files(run.run_id, *self._tracked.files_of(record.trial_id), cases)
        self._client.set_terminated(run.run_id, RUN_STATUS[record.status])
        run.ended = True

    def ranked(self) -> None:
        if self._parent is not None:
            self._log_files(self._parent, *self._tracked.files)

    def pictures_drawn(self, trial_id: str, pictures: Mapping[str, bytes]) -> None:
        for title, png in pictures.items():
            name = re.sub(r"[^\w.,=-]+", "_", title)
            with Image.open(io.BytesIO(png)) as picture:
                self._client.log_image(
                    self._runs[trial_id].run_id, picture, artifact_file=f"pictures/{name}.png"
                )

    def close(self) -> None:
        """Nothing runs any more. Trials without an end go on when the sweep is resumed."""
        left = [run.run_id for run in self._runs.values() if not run.ended]
        for run_id in left:
            self._client.set_terminated(run_id, "KILLED")
        if self._parent is not None:
            self._client.set_terminated(self._parent, "KILLED" if left else "FINISHED")

    def _named(self, name: str) -> str:
        """The name in MLflow: as it is if possible, else with ``_``, and never that of another.

        A resumed sweep repeats all events in their order. It asks for the names of what was logged
        before too, so they are the same.
        """
        if name not in self._names:
            allowed = NOT_IN_NAMES.sub("_", name[:LONGEST_NAME])
            while allowed in self._names.values():
                allowed += "_"
            self._names[name] = allowed
        return self._names[name]

    def _sweep_run(self, runs: list[Run]) -> str:
        """The run of the sweep itself; an existing one is continued."""
        for run in runs:
            if TRIAL not in run.data.tags:
                self._client.update_run(run.info.run_id, "RUNNING")
                return str(run.info.run_id)
        run_id = self._create_run(self._tracked.name, {})
        self._log_files(run_id, self._tracked.layout.sweep_yaml)
        return run_id

    def _log_files(self, run_id: str, *files: Path) -> None:
        for file in files:
            if file.exists():
                self._client.log_artifact(run_id, str(file))

    def _create_run(self, name: str, tags: Mapping[str, str]) -> str:
        tags = {MLFLOW_RUN_NAME: name, FOLDER: str(self._tracked.layout.folder), **tags}
        return str(self._client.create_run(self._experiment, tags=tags).info.run_id)

    def _stored_runs(self) -> Iterator[Run]:
        """Runs of this results folder. A server may have others in the same experiment."""
        token, folder = None, str(self._tracked.layout.folder)
        while True:
            page = self._client.search_runs([self._experiment], max_results=PAGE, page_token=token)
            yield from (run for run in page if run.data.tags.get(FOLDER) == folder)
            token = page.token
            if not token:
                return


class _quiet(warnings.catch_warnings):  # noqa: N801 - used as a statement
    """Hides MLflow's messages on new tables, and SQLAlchemy's warnings about MLflow's own code."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
