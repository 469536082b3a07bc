"""Find the file that nnU-Net's command would use as the trainer: ours, or an old copy.

``nnUNetv2_train -tr nnUNetTrainerGeometric`` searches nnU-Net's own package first and then the
folders in ``nnUNet_extTrainer``. So a file that was once copied into the package wins over the
environment: a venv had such a copy with warm-up 5 while the file that its users were editing said
20. nnU-Net imports the files. Here they are only read.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from sweep.nnunet.command.asked_settings import exit_on_error
from sweep.spec.words.phrases import did_you_mean, near_miss
from sweep.vocabulary.errors import InputError

TRAINER = "nnUNetTrainerGeometric"
EXT_TRAINER = Path(__file__).resolve().parents[1] / "ext_trainer"
"""The folder for ``nnUNet_extTrainer``."""

EXT_VARIABLE = "nnUNet_extTrainer"
OURS = EXT_TRAINER / "nnunet_trainer_geometric.py"


def refuse_other_copies() -> None:
    """Check that no other file than ours can be used as the trainer.

    Raises:
        InputError: nnU-Net would find another file first; names both files.
    """
    ours = OURS.read_text(encoding="utf-8")
    for folder in _searched():
        if folder == EXT_TRAINER:
            return
        for file in sorted(folder.rglob("*.py")):
            text = file.read_text(encoding="utf-8", errors="replace")
            # An exact copy of our file only imports the class, so it may be used.
            if text != ours and TRAINER in text and _binds(text):
                raise InputError.single(
                    f"nnU-Net would train with this file, and not with {OURS}: remove it, or give"
                    " its class another name",
                    file=str(file),
                )


def entry_of_class(name: str) -> str:
    """The entry of a class that nnU-Net finds by its name.

    Raises:
        InputError: it finds none.
    """
    known = trainer_classes()
    if name not in known:
        hint = did_you_mean(near_miss(name, known))
        message = f"nnU-Net finds no trainer class `{name}`{hint}"
        raise InputError.single(message, key="trainer.trainer_class")
    return known[name]


def trainer_classes() -> dict[str, str]:
    """The classes that nnU-Net finds by name, as entries, by the text of their files.

    To find one, nnU-Net imports all of its own, which need packages that the one does not.
    """
    found: dict[str, str] = {}
    for folder in _searched():
        package = "" if folder in _external() else "nnunetv2.training.nnUNetTrainer"
        for file in sorted(folder.rglob("*.py")):
            module = ".".join(file.relative_to(folder).with_suffix("").parts)
            where = f"{package}.{module}" if package else str(file)
            text = file.read_text(encoding="utf-8", errors="replace")
            for name in re.findall(r"^class (\w+)", text, re.MULTILINE):
                found.setdefault(name, f"{where}:{name}")
    return found


def _binds(text: str) -> bool:
    """Whether a module of this text gives a class, an import or a variable the trainer's name."""
    try:
        statements = ast.walk(ast.parse(text))
    except SyntaxError:
        return True  # nnU-Net fails on this file, so it is reported here
    return any(
        (isinstance(node, ast.ClassDef) and node.name == TRAINER)
        or (isinstance(node, ast.alias) and (node.asname or node.name) == TRAINER)
        or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == TRAINER)
        for node in statements
    )


def _searched() -> Iterator[Path]:
    """Folders in the order of nnU-Net's search, as in `nnunetv2.utilities.find_objects`."""
    found = importlib.util.find_spec("nnunetv2")
    for place in found.submodule_search_locations or () if found else ():
        yield Path(place) / "training" / "nnUNetTrainer"
    yield from _external()


def _external() -> list[Path]:
    places = os.environ.get(EXT_VARIABLE, "").split(os.pathsep)
    return [Path(place).resolve() for place in places if place.strip()]


def main() -> None:
    """``python -m sweep.nnunet.command.trainer_copies``: the file that nnU-Net would train with."""
    with exit_on_error():
        refuse_other_copies()
        if EXT_TRAINER not in _searched():
            raise InputError.single(
                f"nnU-Net would not find the trainer: set the environment variable {EXT_VARIABLE}"
                f" to {EXT_TRAINER}",
                key=EXT_VARIABLE,
            )
        sys.stdout.write(f"nnU-Net trains with {OURS}\n")


if __name__ == "__main__":
    main()
