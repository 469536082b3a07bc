"""Find nnU-Net's datasets and their files. torch is not imported here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sweep.data.files.json_file import read_json, read_object
from sweep.data.nnunet_raw.raw_dataset import count_mistakes, whole_number
from sweep.data.nnunet_raw.splits import SPLITS_FILE
from sweep.nnunet.dataset.nnunet_folders import FolderName, Folders
from sweep.nnunet.dataset.plans import configuration_of, plans_mistakes
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.spec.words.phrases import did_you_mean, near_miss, one_of
from sweep.vocabulary.errors import InputError, Mistake

NAME = re.compile(r"Dataset(\d{3,})_.+")
FOLDS = 5
"""Number of folds in nnU-Net, unless splits_final.json says otherwise."""
SHOWN = "[!.]*"
"""Names of files that are not hidden: Finder and others leave theirs in any folder."""


def is_planned(trainer: NnunetTrainer) -> bool:
    """Whether the dataset was planned and all of it preprocessed for the configuration."""
    folder = find_dataset(trainer, "preprocessed")
    if folder is None or not (folder / f"{trainer.plans}.json").is_file():
        return False
    if trainer.configuration not in read_plans(folder / f"{trainer.plans}.json")["configurations"]:
        return True  # planning again would not add it: the mistake is reported elsewhere
    done, total = preprocessed_cases(trainer)
    # The references are copied last.
    return done >= total and (folder / "gt_segmentations").is_dir()


def preprocessed_cases(trainer: NnunetTrainer) -> tuple[int, int]:
    """Number of cases that are preprocessed for the configuration, and of all cases.

    The dataset must have its plans.

    Raises:
        InputError: ``numTraining`` of its ``dataset.json`` is not a number of cases.
    """
    folder = find_dataset(trainer, "preprocessed")
    assert folder is not None
    file = folder / "dataset.json"
    total = whole_number(read_object(file).get("numTraining"))
    if mistakes := [Mistake(message, file=str(file)) for message in count_mistakes(total)]:
        raise InputError(mistakes)
    assert isinstance(total, int)
    # This file of a case is written last.
    done = sum(1 for _ in (folder / data_identifier(folder, trainer)).glob(f"{SHOWN}.pkl"))
    return done, total


def preprocessed_files(trainer: NnunetTrainer) -> tuple[Path, Path]:
    """Plans and ``dataset.json`` of the preprocessed dataset, which fit the settings.

    Raises:
        InputError: with every mistake, each at its key.
    """
    folder = need_dataset(trainer, "preprocessed")
    plans = folder / f"{trainer.plans}.json"
    if not plans.is_file():
        raise InputError.single(no_plans(folder, trainer.plans), key="trainer.plans")
    if mistakes := list(planned_mistakes(trainer, folder)):
        raise InputError(mistakes)
    return plans, folder / "dataset.json"


def no_plans(folder: Path, plans: str) -> str:
    """Message for a preprocessed dataset without plans of this name; lists the others."""
    known = [file.stem for file in sorted(folder.glob("*Plans*.json"))]
    there = f"it has {', '.join(known)}" if known else "it has none"
    return f"{folder} has no plans {plans!r}{did_you_mean(near_miss(plans, known)) or f'; {there}'}"


def planned_mistakes(trainer: NnunetTrainer, folder: Path) -> Iterator[Mistake]:
    """Mistakes in the plans of a preprocessed dataset, and settings that do not fit them."""
    file = folder / f"{trainer.plans}.json"
    plans = read_plans(file)
    yield from plans_mistakes(plans, trainer.configuration, file)
    known = list(plans["configurations"])
    if trainer.configuration not in known:
        hint = did_you_mean(near_miss(trainer.configuration, known))
        yield Mistake(
            f"must be {one_of(known)}, which are planned, but is `{trainer.configuration}`{hint}",
            key="trainer.configuration",
        )
    yield from fold_mistakes(trainer)


def fold_mistakes(trainer: NnunetTrainer) -> Iterator[Mistake]:
    """A fold that neither the dataset's own splits have nor, without them, nnU-Net's."""
    folds = number_of_folds(trainer)
    if trainer.fold != "all" and trainer.fold >= folds:
        yield Mistake(
            f"must be below {folds}, the number of folds, or `all`, but is {trainer.fold}",
            key="trainer.fold",
        )


def number_of_folds(trainer: NnunetTrainer) -> int:
    """Number of the preprocessed dataset's own splits; without them nnU-Net makes five.

    Raises:
        InputError: the file of the splits cannot be read.
    """
    folder = find_dataset(trainer, "preprocessed")
    if folder is None or not (folder / SPLITS_FILE).is_file():
        return FOLDS
    found = read_json(folder / SPLITS_FILE)
    return len(found) if isinstance(found, list) else FOLDS


def data_identifier(folder: Path, trainer: NnunetTrainer) -> str:
    """Name of the folder of a configuration's data, possibly inherited from another."""
    planned = configuration_of(read_plans(folder / f"{trainer.plans}.json"), trainer.configuration)
    return str(planned.get("data_identifier", f"{trainer.plans}_{trainer.configuration}"))


def need_dataset(trainer: NnunetTrainer, name: FolderName) -> Path:
    """The folder of the dataset below nnU-Net's folder of this name.

    Raises:
        InputError: nnU-Net's folder is not set or missing, or does not have exactly one such
            dataset.
    """
    base, dataset = Folders.of(trainer).need(name), trainer.dataset
    if not base.is_dir():
        raise InputError.single(f"{base} is not a folder", key=f"trainer.{name}")
    found = _matching(base, dataset)
    if len(found) == 1:
        return found[0]
    known = [path.name for path in _datasets(base)]
    if found:
        names = ", ".join(path.name for path in found)
        message = f"{base} has several datasets {dataset}: {names}; nnU-Net accepts none of them"
    elif isinstance(dataset, str) and dataset.isdecimal():
        message = f"{dataset} in quotes is not the name of a dataset: write it without quotes"
    else:
        hint = did_you_mean(near_miss(dataset, known)) if isinstance(dataset, str) else ""
        there = f"it has {', '.join(known)}" if known else "it has none"
        message = f"{base} has no dataset {dataset}{hint or f'; {there}'}"
    raise InputError.single(message, key="trainer.dataset")


def find_dataset(trainer: NnunetTrainer, name: FolderName) -> Path | None:
    """As `need_dataset`; None if there is not exactly one."""
    base: Path | None = getattr(Folders.of(trainer), name)
    found = [] if base is None else _matching(base, trainer.dataset)
    return found[0] if len(found) == 1 else None


def number_of(name: str) -> int:
    """502 of ``Dataset502_Shapes``."""
    found = NAME.fullmatch(name)
    assert found is not None
    return int(found[1])


def read_plans(file: Path) -> dict[str, Any]:
    """nnU-Net's plans; raises InputError if the file does not hold plans."""
    found = read_json(file)
    if not isinstance(found, dict) or not isinstance(found.get("configurations"), dict):
        message = "must be an object with `configurations`, another object"
        raise InputError.single(message, file=str(file))
    return found


def _matching(base: Path, dataset: int | str) -> list[Path]:
    return [path for path in _datasets(base) if dataset in (path.name, number_of(path.name))]


def _datasets(base: Path) -> list[Path]:
    if not base.is_dir():
        return []
    return sorted(path for path in base.iterdir() if path.is_dir() and NAME.fullmatch(path.name))
