"""Find the file that nnU-Net's command would use as the trainer: ours, or an old copy.

``nnUNetv2_train -tr nnUNetTrainerGeometric`` looks through nnU-Net's own package first and through
the folders of ``nnUNet_extTrainer`` after it. So a file that was once copied into the package wins,
whatever the environment says: a venv had such a copy with warm-up 5 while the file that its users
were editing said 20. Files are read here and not imported, as nnU-Net would.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from sweep.nnunet.command.asked_settings import told
from sweep.vocabulary.errors import InputError

TRAINER = "nnUNetTrainerGeometric"
EXT_TRAINER = Path(__file__).resolve().parents[1] / "ext_trainer"
"""The folder for ``nnUNet_extTrainer``."""

EXT_VARIABLE = "nnUNet_extTrainer"
OURS = EXT_TRAINER / "nnunet_trainer_geometric.py"


def refuse_other_copies() -> None:
    """Check that no other file than ours can be used as the trainer.

    Raises:
        InputError: one is, before ours; names both files.
    """
    for file in _before_ours():
        raise InputError.single(
            f"nnU-Net would train with this file, and not with {OURS}: remove it, or give its class"
            " another name",
            file=str(file),
        )


def must_be_found() -> None:
    """Check that nnU-Net's command finds our trainer and no other.

    Raises:
        InputError: it finds another, or none.
    """
    refuse_other_copies()
    if EXT_TRAINER not in _searched():
        raise InputError.single(
            f"nnU-Net would not find the trainer: set the environment variable {EXT_VARIABLE} to"
            f" {EXT_TRAINER}",
            key=EXT_VARIABLE,
        )


def _before_ours() -> Iterator[Path]:
    """Files that give another trainer the name and come first where nnU-Net looks for it."""
    ours = OURS.read_text(encoding="utf-8")
    for folder in _searched():
        if folder == EXT_TRAINER:
            return
        for file in sorted(folder.rglob("*.py")):
            text = file.read_text(encoding="utf-8", errors="replace")
            # A copy of the file that only imports the class is as good as the file itself.
            if text != ours and TRAINER in text and _binds(text):
                yield file


def _binds(text: str) -> bool:
    """Whether a module of this text gives a class, an import or a variable the trainer's name."""
    try:
        statements = ast.walk(ast.parse(text))
    except SyntaxError:
        return True  # nnU-Net fails on it: rather told here
    return any(
        (isinstance(node, ast.ClassDef) and node.name == TRAINER)
        or (isinstance(node, ast.alias) and (node.asname or node.name) == TRAINER)
        or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == TRAINER)
        for node in statements
    )


def _searched() -> Iterator[Path]:
    """Folders in nnU-Net's order: see `nnunetv2.utilities.find_objects`."""
    found = importlib.util.find_spec("nnunetv2")
    for place in found.submodule_search_locations or () if found else ():
        yield Path(place) / "training" / "nnUNetTrainer"
    for place in os.environ.get(EXT_VARIABLE, "").split(os.pathsep):
        if place.strip():
            yield Path(place).resolve()


def main() -> None:
    """``python -m`` this module: which file nnU-Net's command would train with."""
    with told(alone=True):
        must_be_found()
        sys.stdout.write(f"nnU-Net trains with {OURS}\n")


if __name__ == "__main__":
    main()
