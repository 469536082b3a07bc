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


class _Named:
    """A path of this name in the ``folder`` of whoever has it as an attribute."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, owner: TrialPaths | Layout, kind: type) -> Path:
        return owner.folder / self._name


@dataclass(frozen=True, slots=True)
class TrialPaths:
    """The files of one trial, in ``folder``."""

    folder: Path

    config = _Named("config.yaml")
    """Effective configuration; runs as it is with ``sweep.train``."""
    provenance = _Named("provenance.json")
    """What the trainer read back from its own objects, the code, the machine."""
    trial = _Named("trial.json")
    """Searched parameters, status and cause."""
    history = _Named("history.jsonl")
    """One JSON object an epoch."""
    test = _Named("test.json")
    """Its scores on the test split; only of finalists."""
    divergence = _Named("divergence.json")
    """The guard's verdict; only where the trial diverged."""
    offending = _Named("offending.pt")
    """Batch and state from which the diverging step is reproduced; only where there is one."""
    error = _Named("error.txt")
    """The traceback; only where the trial failed."""
    nnunet = _Named("nnunet")
    """nnU-Net's real validation of a finalist: its predictions and ``summary.json``."""
    lock = _Named(".lock")
    """Held by the one process that trains the trial."""
    best_checkpoint = _Named("best.pt")
    """Weights of the best epoch."""
    last_checkpoint = _Named("last.pt")
    """All that going on from the last epoch needs; only while the trial has not ended."""
    previous_checkpoint = _Named("previous.pt")
    """The one before, for where the last is damaged."""
    healthy_checkpoint = _Named("healthy.pt")
    """Of a diverged trial, the last weights that were healthy, in the middle of an epoch."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one sweep, in ``folder`` (``results/<name>``)."""

    folder: Path

    sweep_yaml = _Named("sweep.yaml")
    """The effective spec. Its presence is what makes a folder a results folder."""
    journal = _Named("journal.jsonl")
    """What happened in which order, over all trials."""
    warm_start = _Named("warm_start.jsonl")
    """What the searcher was told of earlier sweeps; only where the spec names some."""
    study = _Named("study.journal")
    """The trials as an Optuna study, to look at; made from our records, never read back."""
    study_lock = _Named("study.journal.lock")
    """Optuna's, beside `study`."""
    ranking_csv = _Named("ranking.csv")
    replicates_csv = _Named("replicates.csv")
    """The replicates of the ranking's first; only where the sweep confirms them."""
    test_csv = _Named("test.csv")
    """The finalists on the test split, a row a case; only where there is such a split."""
    best_yaml = _Named("best.yaml")
    """Configuration of the first of the ranking; runs as it is with ``sweep.train``."""
    nnunet_model = _Named("nnunet_model")
    """The first of the ranking as a model folder of nnU-Net; only where nnU-Net was trained."""
    nnunet_validation = _Named("nnunet_validation.csv")
    """Real validation Dice of the finalists; only where nnU-Net was trained."""
    report_html = _Named("report.html")
    """The report as one page that opens offline."""
    report_ipynb = _Named("report.ipynb")
    """The report as an executed notebook."""
    log = _Named("sweep.log")
    tensorboard = _Named("tensorboard")
    """One run a trial, where the sweep is tracked by TensorBoard."""
    mlflow = _Named("mlflow")
    """Local store and artifacts, where the sweep is tracked by MLflow."""
    lock = _Named(".lock")
    """Held by the one process that writes. Hidden, so that it does not make a folder "used"."""
    trials = _Named("trials")
    trunks = _Named("trunks")
    """Snapshots of shared warm-ups, while trials may still start from them."""

    def former_sweep_yaml(self, number: int) -> Path:
        """What ``sweep.yaml`` held before its change number ``number``, from 1."""
        return self.folder / f"sweep.{number}.yaml"

    def trial(self, trial_id: str) -> TrialPaths:
        """The files of one trial; ValueError where ``trial_id`` could lead out of the folder."""
        trial_number(trial_id)
        return TrialPaths(self.trials / trial_id)
