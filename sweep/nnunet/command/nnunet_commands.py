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
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.spec.settings.trial_settings import TrialSettings


def nnunet_commands(settings: TrialSettings, config: Path) -> list[str]:
    """Lines for a POSIX shell, comments among them; they run on this machine as they are.

    Args:
        settings: of the trial; its trainer is nnU-Net.
        config: file that will hold these settings, such as the ``best.yaml`` itself.
    """
    asked = nnunet_trainer(settings)
    # Those there are: nnU-Net's command takes others too, and then splits at random.
    folds = ["all"] if asked.fold == "all" else [str(n) for n in range(number_of_folds(asked))]
    trained = ["-c", asked.configuration, "-tr", TRAINER, "-p", asked.plans, "-f", *folds]
    return [
        "# nnU-Net's own commands for this configuration, all folds:",
        *_environment(asked, config),
        "# Stop here if this names another file that nnU-Net would take for the trainer:",
        "python -m sweep.nnunet.command.trainer_copies",
        "# or if this says that nnU-Net's commands cannot start:",
        "python -m sweep.nnunet.command.importable",
        *(_training(asked, fold) for fold in folds),
        *(_finding(asked, trained) if folds != ["all"] else ()),  # which leaves none to compare on
        "# Predict images of the same kind (INPUT and OUTPUT are folders):",
        _command("nnUNetv2_predict", "-i", "INPUT", "-o", "OUTPUT", "-d", asked.dataset, *trained,
                 *_device(asked)),
    ]  # fmt: skip


def _environment(asked: NnunetTrainer, config: Path) -> Iterator[str]:
    folders = Folders.of(asked)
    for name, folder in (
        ("nnUNet_raw", folders.raw),
        ("nnUNet_preprocessed", folders.preprocessed),
        ("nnUNet_results", folders.results or config.absolute().parent / "nnUNet_results"),
    ):
        yield _export(name, folder) if folder else f"export {name}=FOLDER  # to be filled in"
    yield _export(EXT_VARIABLE, EXT_TRAINER)
    yield _export(CONFIG_VARIABLE, config.absolute())


def _training(asked: NnunetTrainer, fold: str) -> str:
    what = [asked.dataset, asked.configuration, fold, "-tr", TRAINER, "-p", asked.plans]
    return _command("nnUNetv2_train", *what, *_device(asked), "--npz")


def _device(asked: NnunetTrainer) -> list[str]:
    """The commands' option: without it they want a GPU, whether or not there is one."""
    wanted = asked.device
    on_cpu = wanted == "cpu" or (wanted == "auto" and Machine.here().no_cuda is not None)
    return ["-device", "cpu"] if on_cpu else []


def _finding(asked: NnunetTrainer, trained: Sequence[str]) -> Iterator[str]:
    yield "# Which folds and configurations are best together, and with which postprocessing:"
    yield _command("nnUNetv2_find_best_configuration", asked.dataset, *trained)


def _command(*words: object) -> str:
    return shlex.join(map(str, words))


def _export(name: str, value: Path) -> str:
    return f"export {name}={shlex.quote(str(value))}"
