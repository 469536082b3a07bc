"""Which of nnU-Net's datasets is meant, and what is wrong with that; torch is not imported here."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sweep.data.splits import SPLITS_FILE, split
from sweep.errors import InputError, Mistake
from sweep.nnunet.copies import refuse_other_copies
from sweep.nnunet.folders import Folders
from sweep.spec.installed import how_to_install
from sweep.spec.moved import changed_parts
from sweep.spec.trainer import NnunetTrainer
from sweep.spec.wording import did_you_mean, near_miss, one_of

NAME = re.compile(r"Dataset(\d{3,})_.+")


class Preprocessed(NamedTuple):
    """Files of a dataset that was planned and preprocessed."""

    plans: Path
    dataset: Path


def check_nnunet(asked: NnunetTrainer) -> list[Mistake]:
    """What is wrong with a dataset, its plans or nnU-Net itself (an old copy of the trainer).

    Of a dataset that is not planned yet, what can be told.
    """
    absent = how_to_install("nnunet", "nnunetv2")
    if absent is not None:
        return [Mistake(absent, key="trainer.kind")]
    try:
        refuse_other_copies()
        if is_planned(asked):
            preprocessed_files(asked)
        else:
            raw_dataset(asked)
            Folders.of(asked).need("preprocessed")
    except InputError as error:
        return list(error.mistakes)
    return []


def is_planned(asked: NnunetTrainer) -> bool:
    """Whether the dataset was planned and all of it preprocessed for the configuration."""
    folder = _preprocessed(asked)
    if folder is None or not (folder / f"{asked.plans}.json").is_file():
        return False
    planned = _read(folder / f"{asked.plans}.json")["configurations"].get(asked.configuration)
    if planned is None:
        return True  # it is not planned by planning again: it is a mistake, told elsewhere
    done, total = preprocessed_cases(asked)
    # The references are copied last.
    return done >= total and (folder / "gt_segmentations").is_dir()


def preprocessed_cases(asked: NnunetTrainer) -> tuple[int, int]:
    """How many cases are preprocessed for the configuration, and how many there are to be.

    The dataset has its plans.
    """
    folder = _preprocessed(asked)
    assert folder is not None
    total = int(_read(folder / "dataset.json")["numTraining"])
    # Written last of a case's files.
    done = sum(1 for _ in (folder / _data_identifier(folder, asked)).glob("*.pkl"))
    return done, total


def raw_dataset(asked: NnunetTrainer) -> Path:
    """Folder of the raw dataset.

    Raises:
        InputError: there is none.
    """
    folder = Folders.of(asked).need("raw")
    found = _named(folder, asked.dataset)
    if found is None:
        raise InputError.single(_no_dataset(folder, asked.dataset), key="trainer.dataset")
    return found


def preprocessed_files(asked: NnunetTrainer) -> Preprocessed:
    """Plans and dataset.json of the preprocessed dataset, which fit what is asked for.

    Raises:
        InputError: with every mistake, each at its key.
    """
    base = Folders.of(asked).need("preprocessed")
    folder = _named(base, asked.dataset)
    if folder is None:
        raise InputError.single(_no_dataset(base, asked.dataset), key="trainer.dataset")
    files = Preprocessed(folder / f"{asked.plans}.json", folder / "dataset.json")
    if not files.plans.is_file():
        known = [file.stem for file in sorted(folder.glob("*Plans*.json"))]
        hint = did_you_mean(near_miss(asked.plans, known)) or f"; it has {', '.join(known)}"
        raise InputError.single(f"{folder} has no plans {asked.plans!r}{hint}", key="trainer.plans")
    if mistakes := list(_mistakes(asked, folder, _read(files.plans))):
        raise InputError(mistakes)
    return files


def _mistakes(asked: NnunetTrainer, folder: Path, plans: dict[str, Any]) -> Iterator[Mistake]:
    known = list(plans["configurations"])
    if asked.configuration not in known:
        hint = did_you_mean(near_miss(asked.configuration, known))
        yield Mistake(
            f"must be {one_of(known)}, which are planned, but is `{asked.configuration}`{hint}",
            key="trainer.configuration",
        )
    splits = folder / "splits_final.json"
    # Without the file nnU-Net deals five folds.
    folds = len(_read(splits)) if splits.is_file() else 5
    if asked.fold != "all" and asked.fold >= folds:
        yield Mistake(
            f"must be below {folds}, the number of folds, or `all`, but is {asked.fold}",
            key="trainer.fold",
        )


def _preprocessed(asked: NnunetTrainer) -> Path | None:
    base = Folders.of(asked).preprocessed
    return None if base is None else _named(base, asked.dataset)


def _data_identifier(folder: Path, asked: NnunetTrainer) -> str:
    """Name of the folder of a configuration's data, which may be inherited from another's."""
    configurations = _read(folder / f"{asked.plans}.json")["configurations"]
    name: str = asked.configuration
    while "data_identifier" not in configurations[name]:
        name = configurations[name]["inherits_from"]
    return str(configurations[name]["data_identifier"])


def _named(base: Path, dataset: int | str) -> Path | None:
    """The folder of a dataset by its number or name."""
    if isinstance(dataset, str):
        return base / dataset if (base / dataset).is_dir() else None
    return next((path for path in _datasets(base) if number_of(path.name) == dataset), None)


def number_of(name: str) -> int:
    """502 of ``Dataset502_Shapes``."""
    found = NAME.fullmatch(name)
    assert found is not None
    return int(found[1])


def _datasets(base: Path) -> list[Path]:
    if not base.is_dir():
        return []
    return sorted(path for path in base.iterdir() if path.is_dir() and NAME.fullmatch(path.name))


def _no_dataset(base: Path, dataset: int | str) -> str:
    known = [path.name for path in _datasets(base)]
    hint = did_you_mean(near_miss(dataset, known)) if isinstance(dataset, str) else ""
    there = f"it has {', '.join(known)}" if known else "it has none"
    return f"{base} has no dataset {dataset}{hint or f'; {there}'}"


def _read(file: Path) -> Any:
    try:
        return json.loads(_text(file))
    except ValueError as error:
        raise InputError.single(f"cannot be read: {error}", file=str(file)) from error


def fingerprint(asked: NnunetTrainer) -> str | None:
    """What the preprocessed dataset is; None where there is none.

    The content of its plans, ``dataset.json`` and splits; of its cases, which nnU-Net made of these
    and the raw data, names and sizes. Splits that nnU-Net deals itself count as none, for it may
    write them down later.
    """
    folder = _preprocessed(asked)
    if folder is None or not is_planned(asked):
        return None
    cases = folder / _data_identifier(folder, asked)
    # Not what nnU-Net unpacks beside them while it trains.
    made = sorted(path for path in cases.glob("*") if path.suffix in (".b2nd", ".npz", ".pkl"))
    listed = [(path.name, path.stat().st_size) for path in made]
    references = sorted((folder / "gt_segmentations").glob("*"))
    parts = {
        f"{asked.plans}.json": _text(folder / f"{asked.plans}.json"),
        "dataset.json": _text(folder / "dataset.json"),
        SPLITS_FILE: _own_splits(folder / SPLITS_FILE, [path.name for path in references]),
        cases.name: json.dumps(listed),
        "gt_segmentations": json.dumps([(path.name, path.stat().st_size) for path in references]),
    }
    return " ".join(
        f"{name}:{hashlib.sha256(text.encode()).hexdigest()[:12]}" for name, text in parts.items()
    )


def require_fingerprint(asked: NnunetTrainer) -> None:
    """Raises `InputError` where the preprocessed dataset is another than the recorded one."""
    found = fingerprint(asked) if asked.fingerprint is not None else None
    if asked.fingerprint is not None and found != asked.fingerprint:
        parts = ", ".join(changed_parts(asked.fingerprint, found or ""))
        raise InputError.single(
            f"dataset {asked.dataset} in {Folders.of(asked).preprocessed} is not the one that these"
            f" settings were recorded with ({parts} differ); put that back, or set it to null",
            key="trainer.fingerprint",
        )


def _own_splits(file: Path, references: Sequence[str]) -> str:
    if not file.is_file():
        return ""
    ending = str(_read(file.with_name("dataset.json"))["file_ending"])
    cases = [name.removesuffix(ending) for name in references]
    dealt = [split(cases, 5, fold) for fold in range(5)] if len(cases) >= 5 else []
    found = [(tuple(entry["train"]), tuple(entry["val"])) for entry in _read(file)]
    return "" if found == dealt else json.dumps(found)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError.single(f"cannot be read: {error}", file=str(file)) from error
