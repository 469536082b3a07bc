"""Split a source's cases into training, validation and test cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sweep.data.nnunet_raw.splits import Split, held, hold_out, shared_subjects, split, unused
from sweep.spec.settings.data_settings import TEST_FOLDER, CommonData
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
) -> Dealt:
    """The sets of the fold in the settings, which must exist.

    Args:
        cases: the cases to split into folds.
        splits: the dataset's own splits; None if it has none.
        test: the dataset's own test cases.
    """
    share = settings.test if is_share(settings) and isinstance(settings.test, float) else 0.0
    rest, held_out = hold_out(cases, share)
    if splits is None:
        sides = split(rest, settings.folds, settings.fold)
    else:
        training, validation = (
            tuple(name for name in side if name not in held_out) for side in splits[settings.fold]
        )
        sides = training, validation
    return Dealt(*sides, test or held_out)


def is_share(settings: CommonData) -> bool:
    """Whether the test cases are a share of the dataset's ordinary cases."""
    return settings.test != TEST_FOLDER and not settings.has_one_split


def doubts(
    dealt: Dealt, cases: Sequence[str], splits: Sequence[Split] | None, fold: int
) -> Iterator[Mistake]:
    """Warnings about the sets that follow from the names of the cases."""
    if splits is not None:
        yield from unused(splits[fold], cases)
    yield from shared_subjects(dealt._asdict())


def fold_mistakes(
    settings: CommonData, cases: int, splits: Sequence[Split] | None
) -> Iterator[Mistake]:
    """A fold that the dataset's own splits do not have, or too few cases for the folds."""
    if splits is not None:
        if settings.fold >= len(splits):
            message = f"there is no fold {settings.fold}: splits_final.json has {len(splits)}"
            yield Mistake(f"{message}, counted from 0", key="data.fold")
        return
    test = held(cases, settings.test) if isinstance(settings.test, float) else 0
    if cases < settings.folds:
        message = f"{cases} cases cannot be split into {settings.folds} folds"
        yield Mistake(message, key="data.folds")
    elif cases - test < settings.folds:
        message = f"{test} of {cases} cases for the test leave too few for {settings.folds} folds"
        yield Mistake(message, key="data.test")
