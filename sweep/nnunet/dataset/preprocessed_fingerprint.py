"""Fingerprint of a preprocessed dataset of nnU-Net, independent of its folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from sweep.data.files.json_file import read_json
from sweep.data.nnunet_raw.case_groups import groups_of
from sweep.data.nnunet_raw.splits import SPLITS_FILE, split
from sweep.nnunet.dataset.grouped_splits import GROUPS_KEY, cases_of
from sweep.nnunet.dataset.nnunet_datasets import (
    FOLDS,
    SHOWN,
    data_identifier,
    find_dataset,
    is_planned,
)
from sweep.nnunet.dataset.nnunet_folders import Folders
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.spec.tree.moved_data import changed_parts
from sweep.vocabulary.errors import InputError


def fingerprint(trainer: NnunetTrainer) -> str | None:
    """A digest of each part of the preprocessed dataset; None if there is no such dataset.

    The digests are over the content of plans, ``dataset.json`` and splits, and over names and sizes
    of the cases, which nnU-Net made from these and the raw data. Splits that nnU-Net makes itself
    count as none, because it may write them later.
    """
    folder = find_dataset(trainer, "preprocessed")
    if folder is None or not is_planned(trainer):
        return None
    packed = folder / data_identifier(folder, trainer)
    # Without the files that nnU-Net unpacks beside them while it trains.
    made = sorted(path for path in packed.glob(SHOWN) if path.suffix in (".b2nd", ".npz", ".pkl"))
    listed = [(path.name, path.stat().st_size) for path in made]
    references = sorted((folder / "gt_segmentations").glob(SHOWN))
    parts = {
        f"{trainer.plans}.json": _text(folder / f"{trainer.plans}.json"),
        "dataset.json": _text(folder / "dataset.json"),
        SPLITS_FILE: _own_splits(folder),
        packed.name: json.dumps(listed),
        "gt_segmentations": json.dumps([(path.name, path.stat().st_size) for path in references]),
    }
    if groups := groups_of(trainer.groups, cases_of(folder), GROUPS_KEY):
        parts[GROUPS_KEY] = json.dumps(sorted(groups.items()))
    return " ".join(
        f"{name}:{hashlib.sha256(text.encode()).hexdigest()[:12]}" for name, text in parts.items()
    )


def require_fingerprint(trainer: NnunetTrainer) -> None:
    """Raises `InputError` if the preprocessed dataset is not the recorded one."""
    if trainer.fingerprint is None:
        return
    found = fingerprint(trainer)
    if found != trainer.fingerprint:
        parts = ", ".join(changed_parts(trainer.fingerprint, found or ""))
        base = Folders.of(trainer).preprocessed
        raise InputError.single(
            f"dataset {trainer.dataset} in {base} is not the one that these settings were recorded"
            f" with ({parts} differ); put that back, or set it to null",
            key="trainer.fingerprint",
        )


def _own_splits(folder: Path) -> str:
    file = folder / SPLITS_FILE
    if not file.is_file():
        return ""
    cases = cases_of(folder)
    dealt = [split(cases, FOLDS, n) for n in range(FOLDS)] if len(cases) >= FOLDS else []
    found = [(tuple(entry["train"]), tuple(entry["val"])) for entry in read_json(file)]
    return "" if found == dealt else json.dumps(found)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError.single(f"cannot be read: {error}", file=str(file)) from error
