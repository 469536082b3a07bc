"""Folds of whole groups for nnU-Net, which reads them from ``splits_final.json``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from sweep.data.files.json_file import read_object
from sweep.data.nnunet_raw.case_groups import groups_of
from sweep.data.nnunet_raw.splits import SPLITS_FILE, Groups, split
from sweep.nnunet.dataset.nnunet_datasets import FOLDS, SHOWN, need_dataset
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.spec.words.phrases import counted
from sweep.store.files import atomic_write_text, writing
from sweep.vocabulary.errors import InputError, Mistake

GROUPS_KEY = "trainer.groups"


def ensure_grouped_splits(trainer: NnunetTrainer) -> None:
    """Write the splits of a preprocessed dataset where ``trainer.groups`` asks for them and it has
    none. Those that it has count: `sweep.nnunet.nnunet_check` tells where they divide a group.

    Raises:
        InputError: a case has no group, or there are too few groups for the folds.
        SweepFailed: the file cannot be written.
    """
    if trainer.groups is None:
        return
    folder = need_dataset(trainer, "preprocessed")
    if (file := folder / SPLITS_FILE).exists():
        return
    cases = cases_of(folder)
    groups = groups_of(trainer.groups, cases, GROUPS_KEY)
    if mistakes := list(too_few(groups)):
        if trainer.fold == "all":  # which has no use for folds
            return
        raise InputError(mistakes)
    dealt = (split(cases, FOLDS, fold, groups) for fold in range(FOLDS))
    entries = [{"train": training, "val": validation} for training, validation in dealt]
    with writing(folder):
        atomic_write_text(file, json.dumps(entries, indent=4) + "\n")


def too_few(groups: Groups) -> Iterator[Mistake]:
    """Fewer groups than nnU-Net's folds."""
    if (count := len(set(groups.values()))) < FOLDS:
        message = f"{counted(count, 'group')} cannot be split into {FOLDS} folds"
        yield Mistake(message, key=GROUPS_KEY)


def cases_of(folder: Path) -> list[str]:
    """Sorted identifiers of the cases of a preprocessed dataset, by its references."""
    ending = read_object(folder / "dataset.json").get("file_ending")
    if not isinstance(ending, str):
        return []
    references = (folder / "gt_segmentations").glob(f"{SHOWN}{ending}")
    return sorted(path.name.removesuffix(ending) for path in references)
