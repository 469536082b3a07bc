"""Splits of cases into training, validation and test."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sweep.data.files.json_file import read_json, repeated_keys
from sweep.vocabulary.errors import InputError, Mistake

Split = tuple[tuple[str, ...], tuple[str, ...]]
"""Training cases, validation cases."""

Groups = Mapping[str, str]
"""Case → its group, such as its patient (`data.groups`). A case without one is its own."""
NO_GROUPS: Groups = {}

SPLITS_FILE = "splits_final.json"
_NNUNET_SEED = 12345
_TEST_SEED = 54321


def split(cases: Sequence[str], folds: int, fold: int, groups: Groups = NO_GROUPS) -> Split:
    """Training and validation cases of one fold, exactly as in nnU-Net where nothing is grouped.

    The same as scikit-learn's ``KFold(folds, shuffle=True, random_state=12345)`` over the sorted
    identifiers. The streams of `numpy.random.RandomState` never change (NEP 19), so neither do
    folds.

    A group is never divided. As in scikit-learn's ``GroupKFold``, the largest group is dealt first,
    each to the fold that has the fewest cases so far. Of groups of one size, the order is that in
    which nnU-Net would deal them as cases: if all have the same size, the folds are nnU-Net's, of
    groups in place of cases.

    Args:
        cases: identifiers in any order.
        folds: number of folds, at most the number of groups.
        fold: the validation fold, counted from 0.
        groups: of the cases.

    Raises:
        ValueError: ``folds`` or ``fold`` is out of range.

    Source: nnU-Net 2.8.1, ``nnunetv2/utilities/crossval_split.py``.
    """
    parts = list(members(cases, groups).values())
    if not 2 <= folds <= len(parts) or not 0 <= fold < folds:
        raise ValueError(f"no fold {fold} of {folds} over {len(parts)} cases or groups")
    order = np.arange(len(parts))
    np.random.RandomState(_NNUNET_SEED).shuffle(order)
    turns = [
        (-len(parts[index]), place, of, index)
        for of, own in enumerate(np.array_split(order, folds))
        for place, index in enumerate(own.tolist())
    ]
    counts, held_out = [0] * folds, set[str]()
    for _, _, _, index in sorted(turns):
        lightest = counts.index(min(counts))
        counts[lightest] += len(parts[index])
        if lightest == fold:
            held_out.update(parts[index])
    return _in_two(cases, held_out)


def hold_out(cases: Sequence[str], share: float, groups: Groups = NO_GROUPS) -> Split:
    """Cases for the folds, and test cases, which are in no fold.

    The result depends only on the names, so it is the same for every fold, seed and order. Groups
    are drawn one after the other. Each is kept for the test if that brings the number of test cases
    nearer to the share; if none does, the smallest is.

    Args:
        cases: identifiers in any order.
        share: share of test cases; if above 0, there is at least one.
        groups: of the cases; none is divided.
    """
    if not share:
        return _in_two(cases, ())
    parts = list(members(cases, groups).values())
    drawn = [parts[at] for at in np.random.RandomState(_TEST_SEED).permutation(len(parts))]
    wanted, test = held(len(cases), share), list[str]()
    for part in drawn:
        if abs(len(test) + len(part) - wanted) < abs(len(test) - wanted):
            test += part
    if not test:
        smallest = min(drawn, key=len)
        test += smallest
    return _in_two(cases, set(test))


def _in_two(cases: Sequence[str], second: Container[str]) -> Split:
    """The cases that are not in ``second``, and those that are, both sorted."""
    names = sorted(cases)
    return (
        tuple(name for name in names if name not in second),
        tuple(name for name in names if name in second),
    )


def held(cases: int, share: float) -> int:
    """Number of test cases of `hold_out` where nothing is grouped."""
    return max(1, round(share * cases)) if share else 0


def members(cases: Iterable[str], groups: Groups) -> dict[str, tuple[str, ...]]:
    """Group → its cases, both sorted; a case without a group is one of its own."""
    found: dict[str, list[str]] = {}
    for case in sorted(cases):
        found.setdefault(groups.get(case, case), []).append(case)
    return {group: tuple(found[group]) for group in sorted(found)}


def read_splits(folder: Path, cases: Sequence[str]) -> tuple[Split, ...] | None:
    """The splits of ``splits_final.json``, in nnU-Net's format; None if there is no such file.

    Args:
        folder: the dataset's folder.
        cases: every case of the dataset.

    Raises:
        InputError: with everything that is wrong in the file.
    """
    file = folder / SPLITS_FILE
    if not file.exists():
        return None
    entries = read_json(file)
    mistakes = list(repeated_keys(file))
    if not isinstance(entries, list):
        messages = [
            'must be a list of {"train": [cases], "val": [cases]}, as nnU-Net writes it, but is '
            + _a(entries)
        ]
    elif not entries:
        messages = ["holds no split"]
    else:
        messages = [
            f"split {number} {message}"
            for number, one in enumerate(entries)
            for message in _split_mistakes(one, cases)
        ]
    if mistakes := [*mistakes, *(Mistake(message, file=str(file)) for message in messages)]:
        raise InputError(mistakes)
    return tuple((tuple(entry["train"]), tuple(entry["val"])) for entry in entries)


def unused(one: Split, cases: Sequence[str]) -> Iterator[Mistake]:
    """Cases of the dataset that are missing in its own split."""
    left = sorted(set(cases) - {*one[0], *one[1]})
    if left:
        are = "cases is" if len(left) == 1 else "cases are"
        yield Mistake(
            f"{len(left)} of {len(cases)} {are} on neither side of the split that {SPLITS_FILE}"
            f" gives, and never read: {enumerated(left, most=3)}",
            kind="cases in no split",
        )


def _split_mistakes(one: Any, cases: Sequence[str]) -> Iterator[str]:
    if not isinstance(one, dict):
        yield f'must be an object {{"train": [cases], "val": [cases]}}, but is {_a(one)}'
        return
    sides: dict[str, list[str]] = {}
    for key, side in (("train", "training"), ("val", "validation")):
        names = one.get(key)
        if key not in one:
            yield f"lacks `{key}`, the list of its {side} cases"
        elif not isinstance(names, list):
            yield f"`{key}` must be a list of names, but has {_a(names)}"
        elif wrong := [name for name in names if not isinstance(name, str)]:
            yield f"`{key}` must list only names, but has {_a(wrong[0])}"
        else:
            sides[key] = names
            if not names:
                yield f"has no {side} cases"
            if twice := sorted(name for name, count in Counter(names).items() if count > 1):
                yield f"has cases twice in `{key}`: {enumerated(twice)}"
    named = [set(names) for names in sides.values()]
    if len(named) == 2 and (both := sorted(named[0] & named[1])):
        yield f"has the same cases in both sets: {enumerated(both)}"
    if unknown := sorted(set().union(*named) - set(cases)):
        hint = file_hint(unknown[0], cases)
        yield f"names cases that the dataset does not have: {enumerated(unknown)}{hint}"


def file_hint(name: str, cases: Container[str]) -> str:
    """The end of a message on an unknown case; empty unless ``name`` is that of a case's file."""
    for end in (r"_\d{4}\..+", r"_\d{4}", r"\.[^.]+(\.gz)?", r"\..+"):
        if (short := re.sub(f"{end}$", "", name)) != name and short in cases:
            return f"; cases are named without channel and ending: {short}"
    return ""


def _a(value: Any) -> str:
    """The value, or its type if it is long."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return repr(value[:40] if isinstance(value, str) else value)


def enumerated(names: Sequence[str], most: int = 5) -> str:
    """``a, b, c and 7 more``: a readable list of any number of names."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def told_of_classes(told: Mapping[str, str]) -> list[str]:
    """What is told of each class. Many classes would fill a page, so the rest follow by name.

    Args:
        told: class → the same remark about it, without a full stop.
    """
    kept, rest = list(told.values())[:3], [f"`{name}`" for name in told][3:]
    if rest:
        kept[-1] += f". Likewise {enumerated(rest)}"
    return kept
