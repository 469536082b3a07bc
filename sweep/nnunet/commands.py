"""The nnU-Net commands that train a configuration on every fold, and predict with it.

They go into ``best.yaml`` as comments, ready to be copied into a shell: what a sweep has found on
one fold in few epochs is to be trained by nnU-Net itself on all of them.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from sweep.errors import one_line
from sweep.nnunet.asked import CONFIG_VARIABLE, nnunet_trainer
from sweep.nnunet.copies import EXT_TRAINER, EXT_VARIABLE, TRAINER
from sweep.nnunet.datasets import FOLDS
from sweep.nnunet.folders import Folders
from sweep.spec.settings import TrialSettings


def nnunet_commands(settings: TrialSettings, config: Path, folds: int = FOLDS) -> list[str]:
    """Lines for a POSIX shell, comments among them.

    Args:
        settings: of the trial; its trainer is nnU-Net.
        config: file that will hold these settings, such as the ``best.yaml`` itself.
        folds: of the cross-validation.
    """
    return [
        "# nnU-Net's own commands for this configuration, all folds:",
        *_environment(settings, config),
        "# Stop here if this names another file that nnU-Net would take for the trainer:",
        "python -m sweep.nnunet.copies",
        *_training(settings, folds),
        "# Which folds and configurations are best together, and with which postprocessing:",
        *_finding(settings, folds),
        "# Predict images of the same kind (INPUT and OUTPUT are folders):",
        *_predicting(settings, folds),
    ]


def as_comment(lines: list[str]) -> str:
    """The lines as the head of a YAML file."""
    return "".join(
        f"{line}\n" if line.startswith("#") else f"#   {one_line(line)}\n" for line in lines
    )


def _environment(settings: TrialSettings, config: Path) -> Iterator[str]:
    folders = Folders.of(nnunet_trainer(settings))
    for name, folder in (
        ("nnUNet_raw", folders.raw),
        ("nnUNet_preprocessed", folders.preprocessed),
        ("nnUNet_results", folders.results),
    ):
        yield _export(name, folder) if folder else f"export {name}=FOLDER  # to be filled in"
    yield _export(EXT_VARIABLE, EXT_TRAINER)
    yield _export(CONFIG_VARIABLE, config.absolute())


def _training(settings: TrialSettings, folds: int) -> Iterator[str]:
    asked = nnunet_trainer(settings)
    device = ["-device", "cpu"] if asked.device == "cpu" else []
    for fold in range(folds):
        what = [str(asked.dataset), asked.configuration, str(fold)]
        yield shlex.join(
            ["nnUNetv2_train", *what, "-tr", TRAINER, "-p", asked.plans, *device, "--npz"]
        )


def _finding(settings: TrialSettings, folds: int) -> Iterator[str]:
    asked = nnunet_trainer(settings)
    yield shlex.join(
        [
            "nnUNetv2_find_best_configuration", str(asked.dataset),
            "-c", asked.configuration, "-tr", TRAINER, "-p", asked.plans,
            "-f", *map(str, range(folds)),
        ]
    )  # fmt: skip


def _predicting(settings: TrialSettings, folds: int) -> Iterator[str]:
    asked = nnunet_trainer(settings)
    device = ["-device", "cpu"] if asked.device == "cpu" else []
    yield shlex.join(
        [
            "nnUNetv2_predict", "-i", "INPUT", "-o", "OUTPUT", "-d", str(asked.dataset),
            "-c", asked.configuration, "-tr", TRAINER, "-p", asked.plans,
            "-f", *map(str, range(folds)), *device,
        ]
    )  # fmt: skip


def _export(name: str, value: Path) -> str:
    return f"export {name}={shlex.quote(str(value))}"
