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


class FileName:
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

    config = FileName("config.yaml")
    """Effective configuration; runs as it is with ``sweep.train``."""
    provenance = FileName("provenance.json")
    """Settings read back from the trainer's objects, and the code and machine."""
    trial = FileName("trial.json")
    """Searched parameters, status and cause."""
    history = FileName("history.jsonl")
    """One JSON object per epoch."""
    machine = FileName("machine.jsonl")
    """What the process used in each epoch that the trial trained itself."""
    cases = FileName("cases.csv")
    """Validation of the best epoch, per case and class; only of our own trainer."""
    test = FileName("test.json")
    """Scores on the test split; only for finalists."""
    real_validation = FileName("real_validation.json")
    """Dice on whole validation cases, per case and class; only for finalists of nnU-Net."""
    divergence = FileName("divergence.json")
    """The guard's verdict; only if the trial diverged."""
    offending = FileName("offending.pt")
    """Batch and state to reproduce the diverging step, if a single step is the cause."""
    error = FileName("error.txt")
    """The traceback; only if the trial failed."""
    nnunet = FileName("nnunet")
    """nnU-Net's real validation of a finalist: its predictions and ``summary.json``."""
    pictures = FileName("pictures")
    """Pictures of its segmentations; only for finalists, diverged trials, and whoever was asked
    for."""
    picture_index = FileName("pictures/index.json")
    """What the pictures show."""
    lock = FileName(".lock")
    """Lock of the process that trains the trial."""
    best_checkpoint = FileName("best.pt")
    """Weights of the best epoch."""
    last_checkpoint = FileName("last.pt")
    """State to resume from the last epoch; only until the trial ends."""
    previous_checkpoint = FileName("previous.pt")
    """The previous checkpoint, in case the last is damaged."""
    healthy_checkpoint = FileName("healthy.pt")
    """The last healthy weights of a diverged trial, from the middle of an epoch."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one sweep, in ``folder`` (``results/<name>``)."""

    folder: Path

    sweep_yaml = FileName("sweep.yaml")
    """The effective spec. A folder with this file is a results folder."""
    journal = FileName("journal.jsonl")
    """The order of events over all trials."""
    warm_start = FileName("warm_start.jsonl")
    """Earlier trials that the searcher learns from; only with ``warm_start``."""
    study = FileName("study.journal")
    """The trials as an Optuna study for inspection. It is written from our records, never read."""
    study_lock = FileName("study.journal.lock")
    """Optuna's lock file of `study`."""
    study_artifacts = FileName("study_artifacts")
    """Pictures of finalists, as artifacts of `study`."""
    packing = FileName("packing.json")
    """How many trials share a GPU, and what that was measured by; only with
    ``resources.trials_per_gpu: auto``."""
    ranking_csv = FileName("ranking.csv")
    replicates_csv = FileName("replicates.csv")
    """The replicates of the leaders; only with ``confirm``."""
    test_csv = FileName("test.csv")
    """The finalists on the test split, one row per case; only with a test split."""
    best_yaml = FileName("best.yaml")
    """Configuration of the winner; runs as it is with ``sweep.train``."""
    nnunet_model = FileName("nnunet_model")
    """The winner as a model folder of nnU-Net; only with nnU-Net's trainer."""
    nnunet_validation = FileName("nnunet_validation.csv")
    """Pseudo Dice and real validation Dice of the finalists; only with nnU-Net's trainer."""
    nnunet_cases = FileName("nnunet_cases.csv")
    """Their real validation per case and class."""
    report_html = FileName("report.html")
    """The report as one page that opens offline."""
    report_ipynb = FileName("report.ipynb")
    """The report as an executed notebook."""
    ranking_tex = FileName("ranking.tex")
    """The first of the ranking as a LaTeX table."""
    methods_txt = FileName("methods.txt")
    """The methods section of a paper about the sweep."""
    methods_tex = FileName("methods.tex")
    """The same as LaTeX, with the search space as a table."""
    methods_bib = FileName("methods.bib")
    """The works that it names, as BibTeX."""
    figures = FileName("figures")
    """The report's figures, a file each."""
    log = FileName("sweep.log")
    tensorboard = FileName("tensorboard")
    """One run per trial; only with ``tracking: tensorboard``."""
    mlflow = FileName("mlflow")
    """Local store and artifacts; only with ``tracking: mlflow``."""
    wandb = FileName("wandb")
    """W&B's own files of each run; only with ``tracking: wandb``."""
    lock = FileName(".lock")
    """Lock of the writing process. It is hidden, so that the folder still counts as empty."""
    requests = FileName("requests")
    """What users asked of the sweep and no session has taken yet, a file each."""
    trials = FileName("trials")
    trunks = FileName("trunks")
    """Snapshots of shared warm-ups, while trials can still start from them."""

    def former_sweep_yaml(self, number: int) -> Path:
        """The content of ``sweep.yaml`` before its change number ``number``, from 1."""
        return self.folder / f"sweep.{number}.yaml"

    def trial(self, trial_id: str) -> TrialPaths:
        """The files of one trial; raises ValueError if ``trial_id`` could lead out of the
        folder."""
        trial_number(trial_id)
        return TrialPaths(self.trials / trial_id)
