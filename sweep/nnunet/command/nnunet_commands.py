"""The nnU-Net commands that train a configuration on every fold, and predict with it.

They go into ``best.yaml`` as comments, ready to be copied into a shell: what a sweep has found on
one fold in few epochs is to be trained by nnU-Net itself on all of them.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from sweep.machine.hardware import Machine
from sweep.nnunet.command.asked_settings import CONFIG_VARIABLE, nnunet_trainer
from sweep.nnunet.command.trainer_copies import EXT_TRAINER, EXT_VARIABLE, TRAINER
from sweep.nnunet.dataset.nnunet_datasets import number_of_folds
from sweep.nnunet.dataset.nnunet_folders import Folders
from sweep.spec.settings.trial_settings import TrialSettings


def nnunet_commands(settings: TrialSettings, config: Path) -> list[str]:
    """Lines for a POSIX shell, comments among them; they run on this machine as they are.

    Args:
        settings: of the trial; its trainer is nnU-Net.
        config: file that will hold these settings, such as the ``best.yaml`` itself.
    """
    folds = _folds(settings)
    return [
        "# nnU-Net's own commands for this configuration, all folds:",
        *_environment(settings, config),
        "# Stop here if this names another file that nnU-Net would take for the trainer:",
        "python -m sweep.nnunet.command.trainer_copies",
        "# or if this says that nnU-Net's commands cannot start:",
        "python -m sweep.nnunet.command.importable",
        *_training(settings, folds),
        *_finding(settings, folds),
        "# Predict images of the same kind (INPUT and OUTPUT are folders):",
        *_predicting(settings, folds),
    ]


def _environment(settings: TrialSettings, config: Path) -> Iterator[str]:
    folders = Folders.of(nnunet_trainer(settings))
    for name, folder in (
        ("nnUNet_raw", folders.raw),
        ("nnUNet_preprocessed", folders.preprocessed),
        ("nnUNet_results", folders.results or config.absolute().parent / "nnUNet_results"),
    ):
        yield _export(name, folder) if folder else f"export {name}=FOLDER  # to be filled in"
    yield _export(EXT_VARIABLE, EXT_TRAINER)
    yield _export(CONFIG_VARIABLE, config.absolute())


def _folds(settings: TrialSettings) -> list[str]:
    """The folds there are: nnU-Net's command takes others too, and then splits at random."""
    asked = nnunet_trainer(settings)
    if asked.fold == "all":
        return ["all"]
    return [str(fold) for fold in range(number_of_folds(asked))]


def _training(settings: TrialSettings, folds: Sequence[str]) -> Iterator[str]:
    asked, device = nnunet_trainer(settings), _device(settings)
    for fold in folds:
        what = [str(asked.dataset), asked.configuration, fold]
        yield shlex.join(
            ["nnUNetv2_train", *what, "-tr", TRAINER, "-p", asked.plans, *device, "--npz"]
        )


def _device(settings: TrialSettings) -> list[str]:
    """The commands' option: without it they want a GPU, whether or not there is one."""
    wanted = nnunet_trainer(settings).device
    on_cpu = wanted == "cpu" or (wanted == "auto" and Machine.here().no_cuda is not None)
    return ["-device", "cpu"] if on_cpu else []


def _finding(settings: TrialSettings, folds: Sequence[str]) -> Iterator[str]:
    asked = nnunet_trainer(settings)
    if folds == ["all"]:  # which leaves nothing to compare on
        return
    yield "# Which folds and configurations are best together, and with which postprocessing:"
    yield shlex.join(
        [
            "nnUNetv2_find_best_configuration", str(asked.dataset),
            "-c", asked.configuration, "-tr", TRAINER, "-p", asked.plans,
            "-f", *folds,
        ]
    )  # fmt: skip


def _predicting(settings: TrialSettings, folds: Sequence[str]) -> Iterator[str]:
    asked, device = nnunet_trainer(settings), _device(settings)
    yield shlex.join(
        [
            "nnUNetv2_predict", "-i", "INPUT", "-o", "OUTPUT", "-d", str(asked.dataset),
            "-c", asked.configuration, "-tr", TRAINER, "-p", asked.plans,
            "-f", *folds, *device,
        ]
    )  # fmt: skip


def _export(name: str, value: Path) -> str:
    return f"export {name}={shlex.quote(str(value))}"
