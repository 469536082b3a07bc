"""Which cases train and which validate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sweep.errors import InputError, Mistake

Split = tuple[tuple[str, ...], tuple[str, ...]]
"""Cases to train on, cases to validate on."""

SPLITS_FILE = "splits_final.json"
_NNUNET_SEED = 12345
_TEST_SEED = 54321


def split(cases: Sequence[str], folds: int, fold: int) -> Split:
    """Training and validation cases of one fold, dealt exactly as nnU-Net deals them.

    The same as ``KFold(folds, shuffle=True, random_state=12345)`` of scikit-learn over the sorted
    identifiers; `numpy.random.RandomState` never changes its streams (NEP 19), so neither do folds.

    Args:
        cases: identifiers in any order.
        folds: number of folds, at most the number of cases.
        fold: the one that validates, from 0.

    Raises:
        ValueError: where ``folds`` or ``fold`` is out of range.

    Source: nnU-Net 2.8.1, ``nnunetv2/utilities/crossval_split.py``.
    """
    if not 2 <= folds <= len(cases) or not 0 <= fold < folds:
        raise ValueError(f"no fold {fold} of {folds} over {len(cases)} cases")
    names = sorted(cases)
    order = np.arange(len(names))
    np.random.RandomState(_NNUNET_SEED).shuffle(order)
    held_out = set(np.array_split(order, folds)[fold].tolist())
    training = tuple(name for index, name in enumerate(names) if index not in held_out)
    validation = tuple(name for index, name in enumerate(names) if index in held_out)
    return training, validation


def hold_out(cases: Sequence[str], share: float) -> Split:
    """Cases for the folds, and cases for the test that no fold may have.

    Depends on the names alone, not on fold, seed or order: every trial leaves out the same.

    Args:
        cases: identifiers in any order.
        share: of the cases that are for the test; 0 for none, else at least one is.
    """
    names = sorted(cases)
    chosen = set(np.random.RandomState(_TEST_SEED).permutation(len(names))[: held(names, share)])
    rest = tuple(name for index, name in enumerate(names) if index not in chosen)
    return rest, tuple(name for index, name in enumerate(names) if index in chosen)


def held(cases: Sequence[str] | range, share: float) -> int:
    """How many of the cases `hold_out` keeps for the test."""
    return max(1, round(share * len(cases))) if share else 0


def read_splits(folder: Path, cases: Sequence[str]) -> tuple[Split, ...] | None:
    """The splits of ``splits_final.json``, nnU-Net's own format; None where there is no such file.

    Args:
        folder: the dataset's folder.
        cases: every case of the dataset.

    Raises:
        InputError: with everything that is wrong in the file.
    """
    file = folder / SPLITS_FILE
    if not file.exists():
        return None
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        splits = tuple(
            (tuple(map(str, entry["train"])), tuple(map(str, entry["val"]))) for entry in entries
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError.single(
            'must be a list of {"train": [cases], "val": [cases]}, as nnU-Net writes it, '
            f"but reading it gave {type(error).__name__}: {error}",
            file=str(file),
            line=error.lineno if isinstance(error, json.JSONDecodeError) else None,
        ) from error
    messages = ["holds no split"] if not splits else []
    for number, one in enumerate(splits):
        messages += [f"split {number} {message}" for message in _split_mistakes(one, cases)]
    if messages:
        raise InputError([Mistake(message, file=str(file)) for message in messages])
    return splits


def _split_mistakes(one: Split, cases: Sequence[str]) -> list[str]:
    training, validation = map(set, one)
    messages = []
    if not training:
        messages.append("has no training cases")
    if not validation:
        messages.append("has no validation cases")
    if both := sorted(training & validation):
        messages.append(f"has the same cases on both sides: {enumerated(both)}")
    if unknown := sorted((training | validation) - set(cases)):
        messages.append(f"names cases that the dataset does not have: {enumerated(unknown)}")
    return messages


def enumerated(names: Sequence[str], most: int = 5) -> str:
    """``a, b, c and 7 more``: a list of names that stays readable for any length."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
