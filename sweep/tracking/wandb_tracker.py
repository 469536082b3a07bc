"""Weights & Biases: a sweep is a group, and each of its trials a run.

One process writes all runs (``reinit="create_new"``), and leaves `wandb.run` alone. Whether it is
online, and where, is W&B's own configuration (``WANDB_MODE``, ``WANDB_PROJECT``, ``wandb login``).
"""

from __future__ import annotations

import io
import secrets
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import wandb
from PIL import Image
from ruamel.yaml import YAML

from sweep.store.files import append_line, atomic_write_text, make_folder, read_text
from sweep.tracking.tracker import Tracked, Tracker, csv_table, scalars, why
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.parameter_values import as_text
from sweep.vocabulary.record import ParameterValue, Status, TrialRecord

PROJECT = "medical-sweep"
"""Where W&B's configuration names no project."""

EXIT_CODES: Mapping[Status, int] = {Status.DIVERGED: 1, Status.FAILED: 1}
"""What makes W&B show a run as failed; all others are shown as finished."""

NAMES = ("case", "group", "class")
"""Columns whose cells may look like numbers: the case `007`."""

Mode = Literal["online", "offline", "disabled", "shared"]


class WandbTracker(Tracker):
    """Logs parameters, metrics of each epoch, the end with its cause, and the table of cases.

    The sweep itself is a run too: it has ranking, winner and pictures. Trials whose end is logged
    are not logged again. Of others, a resumed sweep logs what the server lacks; a run that was
    logged offline and not uploaded is replaced.
    """

    def __init__(self, tracked: Tracked) -> None:
        self._tracked = tracked
        self._mode = _mode(tracked)
        self._logged = _Logged(tracked.layout.wandb)
        self._runs: dict[str, wandb.Run] = {}
        self._sweep_run: wandb.Run | None = None

    def trial_started(self, trial_id: str, parameters: Mapping[str, ParameterValue]) -> None:
        if trial_id not in self._logged.ended:
            config = nested(parameters)
            if not self._tracked.nested:  # nothing is searched: all of its settings
                config = YAML(typ="safe", pure=True).load(self._tracked.paths(trial_id).config)
            self._runs[trial_id] = self._opened(trial_id, "trial", config)

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        run = self._runs.get(trial_id)
        if run is not None and metrics.epoch >= run.step:
            values = scalars(metrics) | {"epoch": metrics.epoch}
            run.log(values, step=metrics.epoch, commit=True)

    def trial_ended(self, record: TrialRecord) -> None:
        run = self._runs.pop(record.trial_id, None)
        if run is None:
            return
        run.config.update(_facts(record), allow_val_change=True)  # type: ignore[no-untyped-call]
        run.summary.update(_result(record))
        run.tags = (record.status.value, *((record.preset,) if record.preset else ()))
        if (outcome := record.outcome) is not None:
            run.notes = why(outcome.divergence) if outcome.divergence else outcome.cause
        if (cases := self._tracked.paths(record.trial_id).cases).exists():
            run.log({"cases": _table(cases)})
        for file in self._tracked.files_of(record.trial_id):
            run.save(str(file), base_path=str(file.parent), policy="now")
        run.finish(exit_code=EXIT_CODES.get(record.status, 0))
        self._logged.add(record.trial_id)

    def ranked(self) -> None:
        run = self._of_sweep()
        if (ranking := self._tracked.layout.ranking_csv).exists():
            run.log({"ranking": _table(ranking)})
        artifact = wandb.Artifact(f"sweep-{self._logged.sweep}", type="sweep")
        for file in self._tracked.files:
            artifact.add_file(str(file))
        run.log_artifact(artifact)

    def pictures_drawn(self, trial_id: str, pictures: Mapping[str, bytes]) -> None:
        opened = [Image.open(io.BytesIO(png)) for png in pictures.values()]
        # W&B shows the images of one panel in one size: smaller ones get a black margin.
        box = (0, 0, *map(max, zip(*(image.size for image in opened), strict=True)))
        images = [
            wandb.Image(image.crop(box), caption=title)
            for title, image in zip(pictures, opened, strict=True)
        ]
        self._of_sweep().log({f"segmentations/{trial_id}": images})

    def close(self) -> None:
        """Finish all runs. Those without an end go on when the sweep is resumed."""
        if self._sweep_run is not None:
            self._sweep_run.finish()
        for run in self._runs.values():
            run.mark_preempting()
            run.finish(exit_code=1)

    def _of_sweep(self) -> wandb.Run:
        """The run of the sweep itself; opened when there is something for it."""
        if self._sweep_run is None:
            self._sweep_run = self._opened(self._tracked.name, "sweep", {})
        return self._sweep_run

    def _opened(self, name: str, job_type: str, config: Mapping[str, Any]) -> wandb.Run:
        """A new run, or the one of this name in an earlier session."""
        run_id = self._logged.sweep if job_type == "sweep" else f"{self._logged.sweep}-{name}"
        self._logged.drop_offline(run_id)
        run = wandb.init(
            project=wandb.setup().settings.project or PROJECT,
            id=run_id,
            name=name,
            group=f"{self._tracked.name}-{self._logged.sweep}" if self._tracked.nested else None,
            job_type=job_type,
            config=dict(config),
            dir=str(self._tracked.layout.folder.absolute()),
            mode=self._mode,
            resume="allow" if self._mode == "online" else None,
            reinit="create_new",
            settings=wandb.Settings(
                console="off",  # the output is the sweep's, not that of one trial
                silent=True,
                disable_git=True,  # provenance.json has the code
                save_code=False,
                symlink=False,
                finish_timeout=20,
                x_disable_stats=True,  # trials run elsewhere, in workers
                x_disable_meta=True,
                x_save_requirements=False,
            ),
        )
        if job_type == "trial":
            run.define_metric("*", step_metric="epoch")
        return run


class _Logged:
    """What earlier sessions have logged, in ``wandb/logged.txt``.

    Attributes:
        sweep: id of the sweep, unique among all sweeps. The ids of its runs begin with it.
        ended: ids of the trials whose end is logged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._file = folder, folder / "logged.txt"
        if not self._file.exists():
            make_folder(folder)
            atomic_write_text(self._file, f"{secrets.token_hex(4)}\n")
        self.sweep, *ended = read_text(self._file).split()
        self.ended = set(ended)

    def add(self, trial_id: str) -> None:
        append_line(self._file, trial_id)
        self.ended.add(trial_id)

    def drop_offline(self, run_id: str) -> None:
        """Delete the unfinished copy of a run that was never uploaded: it is logged again."""
        for folder in self._folder.glob(f"offline-run-*-{run_id}"):
            if not (folder / f"run-{run_id}.wandb.synced").exists():
                shutil.rmtree(folder)


def nested(parameters: Mapping[str, ParameterValue]) -> dict[str, Any]:
    """Settings by their dotted names as nested mappings; W&B shows these under dotted names."""
    root: dict[str, Any] = {}
    for name, value in parameters.items():
        *groups, last = name.split(".")
        inner = root
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = as_text(value)
    return root


def _facts(record: TrialRecord) -> dict[str, Any]:
    """What runs can be grouped and filtered by."""
    facts: dict[str, Any] = {"status": record.status.value, "preset": record.preset}
    if record.replicate is not None:
        facts |= {"replicate_of": record.replicate.of, "seed": record.replicate.seed}
        facts |= {"fold": record.replicate.fold}
    return facts


def _result(record: TrialRecord) -> dict[str, Any]:
    """The summary of a run. A trial without a result has no best value."""
    result: dict[str, Any] = {"status": record.status.value}
    if record.outcome is not None:
        result["cause"] = record.outcome.cause
    if record.score is not None and record.best is not None:
        result |= {f"best_{record.objective.metric}": record.value}
        result |= {"best_epoch": record.best.epoch}
    return result


def _table(file: Path) -> wandb.Table:
    """A CSV file as a table; an empty cell is None."""
    names, rows = csv_table(file)
    data: list[Iterable[Any]] = [[*map(_cell, names, row)] for row in rows]
    return wandb.Table(columns=[*names], data=data, allow_mixed_types=True)


def _cell(column: str, text: str) -> float | str | None:
    try:
        return float(text) if text and column not in NAMES else text or None
    except ValueError:
        return text


def _mode(tracked: Tracked) -> Mode:
    """As W&B is configured, but offline where it would ask for a key or wait for its server."""
    why = "it is configured to (`WANDB_MODE`)"
    match wandb.setup(wandb.Settings(silent=True)).settings.mode:
        case "disabled" | "shared" as mode:
            return mode
        case "offline" | "dryrun":
            pass
        case _:
            try:
                if wandb.login(prompt=False, verify=True):
                    return "online"
                why = "no API key is configured (`wandb login`)"
            except wandb.Error:
                why = f"{wandb.setup().settings.base_url} does not answer, or refuses the API key"
    tracked.warn(
        f"W&B logs offline, because {why}; later, upload the runs with:"
        f" wandb sync {tracked.layout.wandb}/offline-run-*"
    )
    return "offline"
