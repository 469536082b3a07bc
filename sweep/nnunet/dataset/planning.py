"""Plan and preprocess a dataset once, with progress and readable errors.

nnU-Net does it in a process of its own (`sweep.nnunet.dataset.preprocess`), whose environment is
set for it and whose every word goes to a log beside the preprocessed dataset. What is finished is
told by the files that nnU-Net leaves; a lock keeps two sweeps from doing the same work over each
other.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from filelock import FileLock

from sweep.machine.codebase import PACKAGE
from sweep.nnunet.dataset.nnunet_datasets import (
    Preprocessed,
    is_planned,
    number_of,
    preprocessed_cases,
    preprocessed_files,
    raw_dataset,
)
from sweep.nnunet.dataset.nnunet_folders import Folders
from sweep.nnunet.dataset.preprocess import FAILED, PLANNERS, REFUSED
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.store.files import writing
from sweep.vocabulary.errors import InputError, SweepFailed

Tell = Callable[[str], object]
POLL = 0.2
"""Seconds between two looks at how far nnU-Net is."""


def ensure_preprocessed(asked: NnunetTrainer, tell: Tell | None = None) -> Preprocessed:
    """Plans and dataset.json of the dataset, made where they or the preprocessed cases are missing.

    Args:
        asked: dataset, configuration, plans and folders.
        tell: called with a sentence whenever there is progress.
    Raises:
        InputError: the dataset is wrong, or the plans are none that nnU-Net makes; in its words.
        SweepFailed: nnU-Net failed on a dataset that it had found to be right, or a folder cannot
            be written.
    """
    if not is_planned(asked):
        dataset = raw_dataset(asked)
        folder = Folders.of(asked).need("preprocessed")
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / f".{dataset.name}.lock", thread_local=False)
            with lock:  # whoever comes second waits, and then finds it done
                if not is_planned(asked):
                    _run(asked, dataset, folder, tell or (lambda _: None))
    return preprocessed_files(asked)


def _run(asked: NnunetTrainer, dataset: Path, folder: Path, tell: Tell) -> None:
    base = folder / dataset.name
    if asked.plans not in PLANNERS and not (base / f"{asked.plans}.json").is_file():
        raise InputError.single(
            f"{base} has no plans `{asked.plans}`, and only {', '.join(PLANNERS)} are created"
            " here; create yours with nnUNetv2_plan_and_preprocess",
            key="trainer.plans",
        )
    log = folder / f"{dataset.name}.log"
    arguments = [str(number_of(dataset.name)), asked.plans, asked.configuration]
    command = [sys.executable, "-m", "sweep.nnunet.dataset.preprocess", *arguments]
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=_environment(asked, dataset, folder),
            start_new_session=True,  # so that its own processes can be ended with it
        )
        try:
            while child.poll() is None:
                tell(_progress(asked, dataset, folder))
                time.sleep(POLL)
        finally:
            _end(child)
    if child.returncode != 0:
        raise _failure(child.returncode, dataset, log)
    if not is_planned(asked):
        raise SweepFailed(f"nnU-Net has not preprocessed all of {dataset.name}; see {log}")


def _environment(asked: NnunetTrainer, dataset: Path, folder: Path) -> Mapping[str, str]:
    path = os.environ.get("PYTHONPATH")
    return os.environ | {
        "nnUNet_raw": str(dataset.parent),
        "nnUNet_preprocessed": str(folder),
        "nnUNet_results": str(Folders.of(asked).results or folder),  # it warns where none is set
        "nnUNet_n_proc_DA": "1",  # it divides by this while it plans
        "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), *([path] if path else [])]),
    }


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child and its own processes, where they still run."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _progress(asked: NnunetTrainer, dataset: Path, folder: Path) -> str:
    """How far nnU-Net is, by the files that it has left."""
    base = folder / dataset.name
    if not (base / "dataset_fingerprint.json").is_file():
        return f"nnU-Net looks through {dataset.name}"
    if not (base / f"{asked.plans}.json").is_file():
        return f"nnU-Net plans {dataset.name}"
    done, total = preprocessed_cases(asked)
    return f"nnU-Net preprocesses {dataset.name} for {asked.configuration}: {done} of {total} cases"


def _failure(code: int, dataset: Path, log: Path) -> InputError | SweepFailed:
    """What nnU-Net said, as one of our errors."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    last = next((line for line in reversed(lines) if line.startswith((REFUSED, FAILED))), None)
    reason = last.partition(": ")[2] if last else f"it ended with exit code {code}"
    details = list(dict.fromkeys(line.strip() for line in lines if line.startswith("Error:")))
    said = " ".join([reason, *details[:3], f"(full output: {log})"])
    if last and last.startswith(REFUSED):
        return InputError.single(f"nnU-Net refuses it: {said}", file=str(dataset))
    return SweepFailed(f"nnU-Net could not preprocess {dataset.name}: {said}")
