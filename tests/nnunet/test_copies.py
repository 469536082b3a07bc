"""The users' accident: an old file in nnU-Net's own package wins over the one that they edit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.machine.codebase import PACKAGE
from sweep.nnunet.command.trainer_copies import EXT_TRAINER, OURS

OLD = "class nnUNetTrainerGeometric:\n    warmup_epochs = 5\n"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site of packages whose nnU-Net has a folder for trainers; nothing in it is imported."""
    trainers = tmp_path / "site" / "nnunetv2" / "training" / "nnUNetTrainer"
    trainers.mkdir(parents=True)
    (tmp_path / "site" / "nnunetv2" / "__init__.py").write_text("")
    (trainers / "nnUNetTrainer.py").write_text("class nnUNetTrainer: ...\n")
    return tmp_path / "site"


def asked_which(site: Path, *folders: Path) -> tuple[int, str]:
    """Exit code and words of ``python -m …trainer_copies``, nnU-Net being that of ``site``."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), str(PACKAGE.parent)]),
        "nnUNet_extTrainer": os.pathsep.join(map(str, folders)),
    }
    done = subprocess.run(
        [sys.executable, "-m", "sweep.nnunet.command.trainer_copies"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_ours_is_found_where_there_is_no_other(site: Path) -> None:
    assert asked_which(site, EXT_TRAINER) == (0, f"nnU-Net trains with {OURS}\n")


@pytest.mark.parametrize(
    "text",
    [
        OLD,
        "from somewhere import (\n    nnUNetTrainerGeometric,\n)\n",
        "nnUNetTrainerGeometric = 1\n",
    ],
)
def test_old_copy_in_nnunets_package_is_an_error_that_names_both_files(
    site: Path, text: str
) -> None:
    copy = site / "nnunetv2" / "training" / "nnUNetTrainer" / "variants" / "old.py"
    copy.parent.mkdir()
    copy.write_text(text)
    code, said = asked_which(site, EXT_TRAINER)
    assert code == 2
    assert said == (
        f"error: {copy}: nnU-Net would train with this file, and not with {OURS}: remove it, or"
        " give its class another name\n"
    )


def test_copy_of_our_own_file_is_as_good_as_ours(site: Path) -> None:
    """It holds no setting: what it imports is what runs."""
    shutil.copy(
        OURS, site / "nnunetv2" / "training" / "nnUNetTrainer" / "nnUNetTrainerGeometric.py"
    )
    assert asked_which(site, EXT_TRAINER)[0] == 0


def test_file_that_only_speaks_of_the_trainer_is_no_copy(site: Path) -> None:
    folder = site / "nnunetv2" / "training" / "nnUNetTrainer"
    (folder / "notes.py").write_text('"""Not nnUNetTrainerGeometric."""\n')
    assert asked_which(site, EXT_TRAINER)[0] == 0


def test_folder_of_external_trainers_before_ours_may_hold_no_other(
    site: Path, tmp_path: Path
) -> None:
    before = tmp_path / "mine"
    before.mkdir()
    (before / "trainer.py").write_text(OLD)
    code, said = asked_which(site, before, EXT_TRAINER)
    assert code == 2
    assert f"{before / 'trainer.py'}: nnU-Net would train with this file" in said
    assert asked_which(site, EXT_TRAINER, before)[0] == 0


def test_environment_that_does_not_name_our_folder_is_told_what_to_set(site: Path) -> None:
    code, said = asked_which(site)
    assert code == 2
    assert said.startswith("error: nnUNet_extTrainer: nnU-Net would not find the trainer: set")
