"""Which of a source's cases train, validate and test, as its settings deal them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sweep.data.nnunet_raw.splits import Split, hold_out, shared_subjects, split, unused
from sweep.spec.settings.trial_settings import TEST_FOLDER, BrainData, DataSettings
from sweep.vocabulary.errors import Mistake

Names = tuple[str, ...]


class Dealt(NamedTuple):
    """Identifiers of the cases on each side."""

    training: Names
    validation: Names
    test: Names


def deal(
    settings: DataSettings,
    cases: Sequence[str],
    splits: Sequence[Split] | None,
    test: Names = (),
) -> Dealt:
    """The sides of the fold that the settings name, which there is.

    Args:
        cases: of which the folds are made.
        splits: the dataset's own; None where it brings none.
        test: cases that the dataset itself keeps for testing.
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


def is_share(settings: DataSettings) -> bool:
    """Whether the test is some of the cases that are there anyway, as the folds are."""
    return settings.test != TEST_FOLDER and not isinstance(settings, BrainData)


def doubts(
    dealt: Dealt, cases: Sequence[str], splits: Sequence[Split] | None, fold: int
) -> Iterator[Mistake]:
    """What names alone show of the sides that is allowed but hardly meant."""
    if splits is not None:
        yield from unused(splits[fold], cases)
    yield from shared_subjects(dealt._asdict())
