"""Every file name of a results folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

CHECKPOINTS = ".pt"
"""Extension of the files that only trainers read and write."""

_TRIAL_ID = re.compile(r"t([0-9]{4}|[1-9][0-9]{4,})(?:r([1-9][0-9]{0,8}))?")


def trial_id(number: int, replicate: int = 0) -> str:
    """Id of the trial with this number, from 0: ``t0000``, ``t0001``, …

    Args:
        number: number of the trial.
        replicate: 0 for the trial itself, n for its n-th replicate: ``t0000r1``.

    Raises:
        ValueError: a number is negative.
    """
    if number < 0 or replicate < 0:
        raise ValueError(f"a trial's number must not be negative, but got {number=} {replicate=}")
    return f"t{number:04d}r{replicate}" if replicate else f"t{number:04d}"


def trial_number(trial_id: str) -> int:
    """Inverse of `trial_id`. Every id that is read from a file is checked by it.

    A replicate has the number of the trial that it repeats.

    Raises:
        ValueError: ``trial_id`` is not valid, for example ``../t0000``.
    """
    return trial_place(trial_id)[0]


def trial_place(trial_id: str) -> tuple[int, int]:
    """Both arguments of `trial_id`; raises as `trial_number`. Trials are listed in this order."""
    match = _TRIAL_ID.fullmatch(trial_id)
    if match is None:
        raise ValueError(f"not the id of a trial: {trial_id!r}")
    return int(match[1]), int(match[2] or 0)


def is_replicate(trial_id: str) -> bool:
    """Whether the trial with this id is a replicate; raises as `trial_number`."""
    return trial_place(trial_id)[1] > 0


@dataclass(frozen=True, slots=True)
class TrialPaths:
    """The files of one trial, in ``folder``."""

    folder: Path

    @property
    def config(self) -> Path:
        """Effective configuration; runs as it is with ``sweep.train``."""
        return self.folder / "config.yaml"

    @property
    def provenance(self) -> Path:
        """Settings read back from the trainer's objects, and the code and machine."""
        return self.folder / "provenance.json"

    @property
    def trial(self) -> Path:
        """Searched parameters, status and cause."""
        return self.folder / "trial.json"

    @property
    def history(self) -> Path:
        """One JSON object per epoch."""
        return self.folder / "history.jsonl"

    @property
    def test(self) -> Path:
        """Scores on the test split; only for finalists."""
        return self.folder / "test.json"

    @property
    def divergence(self) -> Path:
        """The guard's verdict; only if the trial diverged."""
        return self.folder / "divergence.json"

    @property
    def offending(self) -> Path:
        """Batch and state to reproduce the diverging step, if a single step is the cause."""
        return self.folder / "offending.pt"

    @property
    def error(self) -> Path:
        """The traceback; only if the trial failed."""
        return self.folder / "error.txt"

    @property
    def nnunet(self) -> Path:
        """nnU-Net's real validation of a finalist: its predictions and ``summary.json``."""
        return self.folder / "nnunet"

    @property
    def lock(self) -> Path:
        """Lock of the process that trains the trial."""
        return self.folder / ".lock"

    @property
    def best_checkpoint(self) -> Path:
        """Weights of the best epoch."""
        return self.folder / "best.pt"

    @property
    def last_checkpoint(self) -> Path:
        """State to resume from the last epoch; only until the trial ends."""
        return self.folder / "last.pt"

    @property
    def previous_checkpoint(self) -> Path:
        """The previous checkpoint, in case the last is damaged."""
        return self.folder / "previous.pt"

    @property
    def healthy_checkpoint(self) -> Path:
        """The last healthy weights of a diverged trial, from the middle of an epoch."""
        return self.folder / "healthy.pt"


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one sweep, in ``folder`` (``results/<name>``)."""

    folder: Path

    @property
    def sweep_yaml(self) -> Path:
        """The effective spec. A folder with this file is a results folder."""
        return self.folder / "sweep.yaml"

    def former_sweep_yaml(self, number: int) -> Path:
        """The content of ``sweep.yaml`` before its change number ``number``, from 1."""
        return self.folder / f"sweep.{number}.yaml"

    @property
    def journal(self) -> Path:
        """The order of events over all trials."""
        return self.folder / "journal.jsonl"

    @property
    def warm_start(self) -> Path:
        """Earlier trials that the searcher learns from; only with ``warm_start``."""
        return self.folder / "warm_start.jsonl"

    @property
    def study(self) -> Path:
        """The trials as an Optuna study for inspection. It is written from our records, never
        read."""
        return self.folder / "study.journal"

    @property
    def study_lock(self) -> Path:
        """Optuna's lock file of `study`."""
        return self.folder / "study.journal.lock"

    @property
    def ranking_csv(self) -> Path:
        return self.folder / "ranking.csv"

    @property
    def replicates_csv(self) -> Path:
        """The replicates of the leaders; only with ``confirm``."""
        return self.folder / "replicates.csv"

    @property
    def test_csv(self) -> Path:
        """The finalists on the test split, one row per case; only with a test split."""
        return self.folder / "test.csv"

    @property
    def best_yaml(self) -> Path:
        """Configuration of the winner; runs as it is with ``sweep.train``."""
        return self.folder / "best.yaml"

    @property
    def nnunet_model(self) -> Path:
        """The winner as a model folder of nnU-Net; only with nnU-Net's trainer."""
        return self.folder / "nnunet_model"

    @property
    def nnunet_validation(self) -> Path:
        """Real validation Dice of the finalists; only with nnU-Net's trainer."""
        return self.folder / "nnunet_validation.csv"

    @property
    def report_html(self) -> Path:
        """The report as one page that opens offline."""
        return self.folder / "report.html"

    @property
    def report_ipynb(self) -> Path:
        """The report as an executed notebook."""
        return self.folder / "report.ipynb"

    @property
    def log(self) -> Path:
        return self.folder / "sweep.log"

    @property
    def tensorboard(self) -> Path:
        """One run per trial; only with ``tracking: tensorboard``."""
        return self.folder / "tensorboard"

    @property
    def mlflow(self) -> Path:
        """Local store and artifacts; only with ``tracking: mlflow``."""
        return self.folder / "mlflow"

    @property
    def lock(self) -> Path:
        """Lock of the writing process. It is hidden, so that the folder still counts as empty."""
        return self.folder / ".lock"

    @property
    def trials(self) -> Path:
        return self.folder / "trials"

    @property
    def trunks(self) -> Path:
        """Snapshots of shared warm-ups, while trials can still start from them."""
        return self.folder / "trunks"

    def trial(self, trial_id: str) -> TrialPaths:
        """The files of one trial; raises ValueError if ``trial_id`` could lead out of the
        folder."""
        trial_number(trial_id)
        return TrialPaths(self.trials / trial_id)
