"""The nnU-Net commands that train a configuration on every fold, and predict with it.

They stand in ``best.yaml`` as comments, ready to be copied into a shell. A sweep finds the
configuration on one fold in few epochs. Then nnU-Net itself trains it on all folds.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from sweep.machine.hardware import Machine
from sweep.nnunet.command.asked_settings import CONFIG_VARIABLE, nnunet_trainer
from sweep.nnunet.command.trainer_copies import EXT_TRAINER, EXT_VARIABLE, TRAINER
from sweep.nnunet.dataset.nnunet_datasets import number_of_folds
from sweep.nnunet.dataset.nnunet_folders import Folders
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.spec.settings.trial_settings import TrialSettings


def nnunet_commands(settings: TrialSettings, config: Path) -> list[str]:
    """Lines for a POSIX shell, with comments. They run on this machine without changes.

    Args:
        settings: the trial's settings; its trainer is nnU-Net.
        config: file that will hold these settings, such as the ``best.yaml`` itself.
    """
    trainer = nnunet_trainer(settings)
    dataset, configuration = trainer.dataset, trainer.configuration
    # Only existing folds: for any other, nnU-Net's command would make a random split.
    folds = ["all"] if trainer.fold == "all" else [str(n) for n in range(number_of_folds(trainer))]
    options = ["-tr", TRAINER, "-p", trainer.plans]
    trained = ["-c", configuration, *options, "-f", *folds]
    lacks_gpu = trainer.device == "auto" and Machine.here().no_cuda is not None
    # Without this option the commands need a GPU.
    device = ["-device", "cpu"] if trainer.device == "cpu" or lacks_gpu else []
    lines = [
        "# nnU-Net's own commands for this configuration, all folds:",
        *_environment(trainer, config),
        "# Stop here if this names another file that nnU-Net would take for the trainer:",
        "python -m sweep.nnunet.command.trainer_copies",
        "# or if this says that nnU-Net's commands cannot start:",
        "python -m sweep.nnunet.command.importable",
    ]
    for fold in folds:
        what = [dataset, configuration, fold, *options, *device, "--npz"]
        lines.append(_command("nnUNetv2_train", *what))
    if folds != ["all"]:  # with `all`, no case is left to compare on
        lines += [
            "# Which folds and configurations are best together, and with which postprocessing:",
            _command("nnUNetv2_find_best_configuration", dataset, *trained),
        ]
    images = ["-i", "INPUT", "-o", "OUTPUT", "-d", dataset]
    return [
        *lines,
        "# Predict images of the same kind (INPUT and OUTPUT are folders):",
        _command("nnUNetv2_predict", *images, *trained, *device),
    ]


def _environment(trainer: NnunetTrainer, config: Path) -> Iterator[str]:
    folders = Folders.of(trainer)
    for name, folder in (
        ("nnUNet_raw", folders.raw),
        ("nnUNet_preprocessed", folders.preprocessed),
        ("nnUNet_results", folders.results or config.absolute().parent / "nnUNet_results"),
    ):
        yield _export(name, folder) if folder else f"export {name}=FOLDER  # to be filled in"
    yield _export(EXT_VARIABLE, EXT_TRAINER)
    yield _export(CONFIG_VARIABLE, config.absolute())


def _command(*words: object) -> str:
    return shlex.join(map(str, words))


def _export(name: str, value: Path) -> str:
    return f"export {name}={shlex.quote(str(value))}"
