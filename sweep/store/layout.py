"""Every file name of a results folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self, overload

CHECKPOINTS = ".pt"
"""Extension of the files that only trainers read and write."""

TRIAL_ID = re.compile(r"t([0-9]{4}|[1-9][0-9]{4,})(?:r([1-9][0-9]{0,8}))?")
"""Number of the trial, and of its replicate."""


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
    match = TRIAL_ID.fullmatch(trial_id)
    if match is None:
        raise ValueError(f"not the id of a trial: {trial_id!r}")
    return int(match[1]), int(match[2] or 0)


def is_replicate(trial_id: str) -> bool:
    """Whether the trial with this id is a replicate; raises as `trial_number`."""
    return trial_place(trial_id)[1] > 0


class _Named:
    """The path of this name in the ``folder`` of the object that has it as an attribute."""

    def __init__(self, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...

    @overload
    def __get__(self, owner: TrialPaths | Layout, kind: type) -> Path: ...

    def __get__(self, owner: TrialPaths | Layout | None, kind: type) -> Self | Path:
        return self if owner is None else owner.folder / self.name


@dataclass(frozen=True, slots=True)
class TrialPaths:
    """The files of one trial, in ``folder``."""

    folder: Path

    config = _Named("config.yaml")
    """Effective configuration; runs as it is with ``sweep.train``."""
    provenance = _Named("provenance.json")
    """Settings read back from the trainer's objects, and the code and machine."""
    trial = _Named("trial.json")
    """Searched parameters, status and cause."""
    history = _Named("history.jsonl")
    """One JSON object per epoch."""
    cases = _Named("cases.csv")
    """Validation of the best epoch, per case and class; only of our own trainer."""
    test = _Named("test.json")
    """Scores on the test split; only for finalists."""
    real_validation = _Named("real_validation.json")
    """Dice on whole validation cases, per case and class; only for finalists of nnU-Net."""
    divergence = _Named("divergence.json")
    """The guard's verdict; only if the trial diverged."""
    offending = _Named("offending.pt")
    """Batch and state to reproduce the diverging step, if a single step is the cause."""
    error = _Named("error.txt")
    """The traceback; only if the trial failed."""
    nnunet = _Named("nnunet")
    """nnU-Net's real validation of a finalist: its predictions and ``summary.json``."""
    pictures = _Named("pictures")
    """Pictures of its segmentations; only for finalists, diverged trials, and whoever was asked
    for."""
    picture_index = _Named("pictures/index.json")
    """What the pictures show."""
    lock = _Named(".lock")
    """Lock of the process that trains the trial."""
    best_checkpoint = _Named("best.pt")
    """Weights of the best epoch."""
    last_checkpoint = _Named("last.pt")
    """State to resume from the last epoch; only until the trial ends."""
    previous_checkpoint = _Named("previous.pt")
    """The previous checkpoint, in case the last is damaged."""
    healthy_checkpoint = _Named("healthy.pt")
    """The last healthy weights of a diverged trial, from the middle of an epoch."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one sweep, in ``folder`` (``results/<name>``)."""

    folder: Path

    sweep_yaml = _Named("sweep.yaml")
    """The effective spec. A folder with this file is a results folder."""
    journal = _Named("journal.jsonl")
    """The order of events over all trials."""
    warm_start = _Named("warm_start.jsonl")
    """Earlier trials that the searcher learns from; only with ``warm_start``."""
    study = _Named("study.journal")
    """The trials as an Optuna study for inspection. It is written from our records, never read."""
    study_lock = _Named("study.journal.lock")
    """Optuna's lock file of `study`."""
    study_artifacts = _Named("study_artifacts")
    """Pictures of finalists, as artifacts of `study`."""
    packing = _Named("packing.json")
    """How many trials share a GPU, and what that was measured by; only with
    ``resources.trials_per_gpu: auto``."""
    ranking_csv = _Named("ranking.csv")
    replicates_csv = _Named("replicates.csv")
    """The replicates of the leaders; only with ``confirm``."""
    test_csv = _Named("test.csv")
    """The finalists on the test split, one row per case; only with a test split."""
    best_yaml = _Named("best.yaml")
    """Configuration of the winner; runs as it is with ``sweep.train``."""
    nnunet_model = _Named("nnunet_model")
    """The winner as a model folder of nnU-Net; only with nnU-Net's trainer."""
    nnunet_validation = _Named("nnunet_validation.csv")
    """Pseudo Dice and real validation Dice of the finalists; only with nnU-Net's trainer."""
    nnunet_cases = _Named("nnunet_cases.csv")
    """Their real validation per case and class."""
    report_html = _Named("report.html")
    """The report as one page that opens offline."""
    report_ipynb = _Named("report.ipynb")
    """The report as an executed notebook."""
    ranking_tex = _Named("ranking.tex")
    """The first of the ranking as a LaTeX table."""
    methods_txt = _Named("methods.txt")
    """The methods section of a paper about the sweep."""
    methods_tex = _Named("methods.tex")
    """The same as LaTeX, with the search space as a table."""
    methods_bib = _Named("methods.bib")
    """The works that it names, as BibTeX."""
    figures = _Named("figures")
    """The report's figures, a file each."""
    log = _Named("sweep.log")
    tensorboard = _Named("tensorboard")
    """One run per trial; only with ``tracking: tensorboard``."""
    mlflow = _Named("mlflow")
    """Local store and artifacts; only with ``tracking: mlflow``."""
    wandb = _Named("wandb")
    """W&B's own files of each run; only with ``tracking: wandb``."""
    lock = _Named(".lock")
    """Lock of the writing process. It is hidden, so that the folder still counts as empty."""
    requests = _Named("requests")
    """What users asked of the sweep and no session has taken yet, a file each."""
    trials = _Named("trials")
    trunks = _Named("trunks")
    """Snapshots of shared warm-ups, while trials can still start from them."""

    def former_sweep_yaml(self, number: int) -> Path:
        """The content of ``sweep.yaml`` before its change number ``number``, from 1."""
        return self.folder / f"sweep.{number}.yaml"

    def trial(self, trial_id: str) -> TrialPaths:
        """The files of one trial; raises ValueError if ``trial_id`` could lead out of the
        folder."""
        trial_number(trial_id)
        return TrialPaths(self.trials / trial_id)
