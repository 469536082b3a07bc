"""Plan and preprocess a dataset once, with progress and readable errors.

nnU-Net runs in a process of its own (`sweep.nnunet.dataset.preprocess`) with its own environment.
Its output goes to a log beside the preprocessed dataset. The files that nnU-Net leaves show what is
done. A lock keeps two sweeps from doing the same work at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from sweep.machine.codebase import PACKAGE
from sweep.nnunet.dataset.nnunet_datasets import (
    is_planned,
    need_dataset,
    no_plans,
    number_of,
    preprocessed_cases,
    preprocessed_files,
)
from sweep.nnunet.dataset.nnunet_folders import Folders
from sweep.nnunet.dataset.preprocess import FAILED, PLANNERS, REFUSED
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.spec.words.phrases import did_you_mean, near_miss
from sweep.store.files import writing
from sweep.vocabulary.errors import InputError, SweepFailed

POLL = 0.2
"""Seconds between two reports of progress."""


def ensure_preprocessed(
    trainer: NnunetTrainer, report: Callable[[str], object] = lambda _: None
) -> tuple[Path, Path]:
    """Plans and ``dataset.json`` of the dataset. Plans and preprocesses it where that is missing.

    Args:
        trainer: dataset, configuration, plans and folders.
        report: called with a sentence about the progress, again and again.

    Raises:
        InputError: the dataset is wrong, in nnU-Net's words, or nnU-Net does not make such plans.
        SweepFailed: nnU-Net failed on a dataset that it accepted, or a folder cannot be written.
    """
    if not is_planned(trainer):
        dataset = need_dataset(trainer, "raw")
        folder = Folders.of(trainer).need("preprocessed")
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / f".{dataset.name}.lock", thread_local=False):
                if not is_planned(trainer):
                    _run(trainer, dataset, folder, report)
    return preprocessed_files(trainer)


def require_planner(plans: str, folder: Path | None) -> None:
    """Check that nnU-Net makes plans of a name, for a dataset that does not have them.

    Args:
        folder: the preprocessed dataset; None if nothing of it is there.

    Raises:
        InputError: it does not.
    """
    if plans in PLANNERS:
        return
    where = no_plans(folder, plans) if folder else "they do not exist yet"
    raise InputError.single(
        f"`{plans}`: {where}, and only {', '.join(PLANNERS)} are made here; make yours with"
        f" nnUNetv2_plan_and_preprocess{did_you_mean(near_miss(plans, PLANNERS))}",
        key="trainer.plans",
    )


def _run(
    trainer: NnunetTrainer, dataset: Path, folder: Path, report: Callable[[str], object]
) -> None:
    base = folder / dataset.name
    if not (base / f"{trainer.plans}.json").is_file():
        require_planner(trainer.plans, base)
    log = folder / f"{dataset.name}.log"
    arguments = [str(number_of(dataset.name)), trainer.plans, trainer.configuration]
    path = os.environ.get("PYTHONPATH")
    environment = {
        "nnUNet_raw": str(dataset.parent),
        "nnUNet_preprocessed": str(folder),
        "nnUNet_results": str(Folders.of(trainer).results or folder),  # unset, nnU-Net warns
        "nnUNet_n_proc_DA": "1",  # nnU-Net divides by it while it plans
        "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), *([path] if path else [])]),
    }
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "sweep.nnunet.dataset.preprocess", *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=os.environ | environment,
            start_new_session=True,  # so that its own processes can be ended with it
        )
        try:
            while child.poll() is None:
                report(_progress(trainer, dataset, base))
                time.sleep(POLL)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    if child.returncode != 0:
        raise _failure(child.returncode, dataset, log)
    if not is_planned(trainer):
        raise SweepFailed(f"nnU-Net has not preprocessed all of {dataset.name}; see {log}")


def _progress(trainer: NnunetTrainer, dataset: Path, base: Path) -> str:
    """How far nnU-Net is, by the files that it left in ``base``."""
    if not (base / "dataset_fingerprint.json").is_file():
        return f"nnU-Net looks through {dataset.name}"
    if (base / f"{trainer.plans}.json").is_file():
        with suppress(InputError):  # nnU-Net has only begun to write the plans
            done, total = preprocessed_cases(trainer)
            what = f"{dataset.name} for {trainer.configuration}"
            return f"nnU-Net preprocesses {what}: {done} of {total} cases"
    return f"nnU-Net plans {dataset.name}"


def _failure(code: int, dataset: Path, log: Path) -> InputError | SweepFailed:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    last = next((line for line in reversed(lines) if line.startswith((REFUSED, FAILED))), None)
    reason = last.partition(": ")[2] if last else f"it ended with exit code {code}"
    details = list(dict.fromkeys(line.strip() for line in lines if line.startswith("Error:")))
    said = " ".join([reason, *details[:3], f"(full output: {log})"])
    if last and last.startswith(REFUSED):
        return InputError.single(f"nnU-Net refuses it: {said}", file=str(dataset))
    return SweepFailed(f"nnU-Net could not preprocess {dataset.name}: {said}")
