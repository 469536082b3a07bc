"""Split a source's cases into training, validation and test cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sweep.data.nnunet_raw.splits import (
    NO_GROUPS,
    Groups,
    Split,
    hold_out,
    members,
    shared_subjects,
    split,
    unused,
)
from sweep.spec.settings.data_settings import TEST_FOLDER, CommonData
from sweep.spec.words.phrases import counted
from sweep.vocabulary.errors import Mistake

Names = tuple[str, ...]


class Dealt(NamedTuple):
    """Identifiers of the cases in each set."""

    training: Names
    validation: Names
    test: Names


def deal(
    settings: CommonData,
    cases: Sequence[str],
    splits: Sequence[Split] | None,
    test: Names = (),
    groups: Groups = NO_GROUPS,
) -> Dealt:
    """The sets of the fold in the settings, which must exist.

    Args:
        cases: the cases to split into folds.
        splits: the dataset's own splits; None if it has none.
        test: the dataset's own test cases.
        groups: of the cases; they do not change splits that the dataset has.
    """
    rest, held_out = hold_out(cases, share_of(settings), groups)
    if splits is None:
        sides = split(rest, settings.folds, settings.fold, groups)
    else:
        training, validation = (
            tuple(name for name in side if name not in held_out) for side in splits[settings.fold]
        )
        sides = training, validation
    return Dealt(*sides, test or held_out)


def is_share(settings: CommonData) -> bool:
    """Whether the test cases are a share of the dataset's ordinary cases."""
    return settings.test != TEST_FOLDER and not settings.has_one_split


def share_of(settings: CommonData) -> float:
    """Share of the dataset's ordinary cases that is kept for the test."""
    return settings.test if is_share(settings) and isinstance(settings.test, float) else 0.0


def doubts(
    dealt: Dealt,
    cases: Sequence[str],
    splits: Sequence[Split] | None,
    fold: int,
    groups: Groups = NO_GROUPS,
    key: str = "data.groups",
    *,
    own_test: bool = False,
) -> Iterator[Mistake]:
    """Warnings about the sets that follow from the names of the cases, or from their groups.

    Args:
        key: of the setting for the groups.
        own_test: whether the test cases are the dataset's own.
    """
    if splits is not None:
        yield from unused(splits[fold], cases)
    if groups and len(set(groups.values())) == len(groups):
        message = f"each of the {len(groups)} cases is a group of its own, so nothing is grouped"
        yield Mistake(message, key=key)
    given = {"validation": splits is not None, "test": own_test}
    fixed = [side for side, is_given in given.items() if is_given]
    yield from shared_subjects(dealt._asdict(), groups, key, fixed)


def fold_mistakes(
    settings: CommonData,
    cases: Sequence[str],
    splits: Sequence[Split] | None,
    groups: Groups = NO_GROUPS,
) -> Iterator[Mistake]:
    """A fold that the dataset's own splits do not have, or too few cases or groups for the
    folds."""
    if splits is not None:
        if settings.fold >= len(splits):
            message = f"there is no fold {settings.fold}: splits_final.json has {len(splits)}"
            yield Mistake(f"{message}, counted from 0", key="data.fold")
        return
    rest, test = hold_out(cases, share_of(settings), groups)
    every, left = (len(members(names, groups)) for names in (cases, rest))
    if every < settings.folds:
        what = counted(every, "group" if groups else "case")
        message = f"{what} cannot be split into {settings.folds} folds"
        yield Mistake(message, key="data.folds")
    elif left < settings.folds:
        of = f" leave {counted(left, 'group')}, too few" if groups else " leave too few"
        message = f"{len(test)} of {len(cases)} cases for the test{of} for {settings.folds} folds"
        yield Mistake(message, key="data.test")
