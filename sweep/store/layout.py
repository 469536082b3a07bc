"""Every file name of a results folder, and nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

CHECKPOINTS = ".pt"
"""Ending of the files that only trainers read and write."""

_TRIAL_ID = re.compile(r"t([0-9]{4}|[1-9][0-9]{4,})(?:r([1-9][0-9]{0,8}))?")


def trial_id(number: int, replicate: int = 0) -> str:
    """Name of the trial that was started as ``number``, from 0: ``t0000``, ``t0001``, …

    Args:
        number: of the trial.
        replicate: 0 for the trial itself, n for its n-th replicate: ``t0000r1``.

    Raises:
        ValueError: a number is negative.
    """
    if number < 0 or replicate < 0:
        raise ValueError(f"a trial's number must not be negative, but got {number=} {replicate=}")
    return f"t{number:04d}r{replicate}" if replicate else f"t{number:04d}"


def trial_number(trial_id: str) -> int:
    """Inverse of `trial_id`; the gate through which every id that was read from a file passes.

    A replicate has the number of the trial that it repeats.

    Raises:
        ValueError: ``trial_id`` is none, for example ``../t0000``.
    """
    return trial_place(trial_id)[0]


def trial_place(trial_id: str) -> tuple[int, int]:
    """Both arguments of `trial_id`; raises as `trial_number`. Trials are listed in this order."""
    match = _TRIAL_ID.fullmatch(trial_id)
    if match is None:
        raise ValueError(f"not the id of a trial: {trial_id!r}")
    return int(match[1]), int(match[2] or 0)


def is_replicate(trial_id: str) -> bool:
    """Whether the trial of this id repeats another; raises as `trial_number`."""
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
        """What the trainer read back from its own objects, the code, the machine."""
        return self.folder / "provenance.json"

    @property
    def trial(self) -> Path:
        """Searched parameters, status and cause."""
        return self.folder / "trial.json"

    @property
    def history(self) -> Path:
        """One JSON object an epoch."""
        return self.folder / "history.jsonl"

    @property
    def test(self) -> Path:
        """Its scores on the test split; only of finalists."""
        return self.folder / "test.json"

    @property
    def divergence(self) -> Path:
        """The guard's verdict; only where the trial diverged."""
        return self.folder / "divergence.json"

    @property
    def offending(self) -> Path:
        """Batch and state from which the diverging step is reproduced; only where there is one."""
        return self.folder / "offending.pt"

    @property
    def error(self) -> Path:
        """The traceback; only where the trial failed."""
        return self.folder / "error.txt"

    @property
    def nnunet(self) -> Path:
        """nnU-Net's real validation of a finalist: its predictions and ``summary.json``."""
        return self.folder / "nnunet"

    @property
    def lock(self) -> Path:
        """Held by the one process that trains the trial."""
        return self.folder / ".lock"

    @property
    def best_checkpoint(self) -> Path:
        """Weights of the best epoch."""
        return self.folder / "best.pt"

    @property
    def last_checkpoint(self) -> Path:
        """All that going on from the last epoch needs; only while the trial has not ended."""
        return self.folder / "last.pt"

    @property
    def previous_checkpoint(self) -> Path:
        """The one before, for where the last is damaged."""
        return self.folder / "previous.pt"

    @property
    def healthy_checkpoint(self) -> Path:
        """Of a diverged trial, the last weights that were healthy, in the middle of an epoch."""
        return self.folder / "healthy.pt"


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one sweep, in ``folder`` (``results/<name>``)."""

    folder: Path

    @property
    def sweep_yaml(self) -> Path:
        """The effective spec. Its presence is what makes a folder a results folder."""
        return self.folder / "sweep.yaml"

    def former_sweep_yaml(self, number: int) -> Path:
        """What ``sweep.yaml`` held before its change number ``number``, from 1."""
        return self.folder / f"sweep.{number}.yaml"

    @property
    def journal(self) -> Path:
        """What happened in which order, over all trials."""
        return self.folder / "journal.jsonl"

    @property
    def warm_start(self) -> Path:
        """What the searcher was told of earlier sweeps; only where the spec names some."""
        return self.folder / "warm_start.jsonl"

    @property
    def study(self) -> Path:
        """The trials as an Optuna study, to look at; made from our records, never read back."""
        return self.folder / "study.journal"

    @property
    def study_lock(self) -> Path:
        """Optuna's, beside `study`."""
        return self.folder / "study.journal.lock"

    @property
    def ranking_csv(self) -> Path:
        return self.folder / "ranking.csv"

    @property
    def replicates_csv(self) -> Path:
        """The replicates of the ranking's first; only where the sweep confirms them."""
        return self.folder / "replicates.csv"

    @property
    def test_csv(self) -> Path:
        """The finalists on the test split, a row a case; only where there is such a split."""
        return self.folder / "test.csv"

    @property
    def best_yaml(self) -> Path:
        """Configuration of the first of the ranking; runs as it is with ``sweep.train``."""
        return self.folder / "best.yaml"

    @property
    def nnunet_model(self) -> Path:
        """The first of the ranking as a model folder of nnU-Net; only where nnU-Net was trained."""
        return self.folder / "nnunet_model"

    @property
    def nnunet_validation(self) -> Path:
        """Real validation Dice of the finalists; only where nnU-Net was trained."""
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
        """One run a trial, where the sweep is tracked by TensorBoard."""
        return self.folder / "tensorboard"

    @property
    def mlflow(self) -> Path:
        """Local store and artifacts, where the sweep is tracked by MLflow."""
        return self.folder / "mlflow"

    @property
    def lock(self) -> Path:
        """Held by the one process that writes. Hidden, so that it does not make a folder "used"."""
        return self.folder / ".lock"

    @property
    def trials(self) -> Path:
        return self.folder / "trials"

    @property
    def trunks(self) -> Path:
        """Snapshots of shared warm-ups, while trials may still start from them."""
        return self.folder / "trunks"

    def trial(self, trial_id: str) -> TrialPaths:
        """The files of one trial; ValueError where ``trial_id`` could lead out of the folder."""
        trial_number(trial_id)
        return TrialPaths(self.trials / trial_id)
