"""Split a source's cases into training, validation and test cases."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from sweep.data.nnunet_raw.case_groups import pattern_of_subjects, subject
from sweep.data.nnunet_raw.splits import (
    NO_GROUPS,
    SPLITS_FILE,
    Groups,
    Split,
    hold_out,
    members,
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


def case_counts(
    training: Collection[str], validation: Collection[str], groups: Groups
) -> dict[str, int]:
    """Numbers of cases, under the keys ``training`` and ``validation``, and of their groups:
    `sweep.analysis.provenance_facts.Cases`.

    Args:
        groups: of these cases; none: only cases are counted.
    """
    found = {"training": len(training), "validation": len(validation)}
    if groups:
        seen, judged = ({groups[case] for case in cases} for cases in (training, validation))
        found |= {"training_groups": len(seen), "validation_groups": len(judged)}
        found |= {"groups_in_both": len(seen & judged)}
    return found


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
    yield from _shared(dealt, groups, key, given)
    yield from _of_one_group(dealt, groups)


def _shared(dealt: Dealt, groups: Groups, key: str, given: Mapping[str, bool]) -> Iterator[Mistake]:
    """Validation and test cases of groups, or of subjects by name, that are also in another set.

    Args:
        groups: of the cases; where there are none, the names of the cases tell.
        key: of the setting for the groups.
        given: side → whether the dataset itself gives it, so that the setting does not change it.
    """
    what = "group" if groups else "subject"
    sides = dealt._asdict()

    def of(case: str) -> str:
        return groups.get(case, "") or subject(case)

    for judged, seen in (("validation", ("training",)), ("test", ("training", "validation"))):
        known = {
            of(case): (side, case) for side in reversed(seen) for case in reversed(sides[side])
        }
        known.pop("", None)
        also = [case for case in sides[judged] if of(case) in known]
        if not also:
            continue
        side, other = known[of(also[0])]
        if given[judged] and judged == "validation":
            cure = f"give splits by {what} in {SPLITS_FILE}, which counts, or remove it"
            cure += "" if groups else f" and set `{key}`"
        elif groups or given[judged]:
            cure = f"keep whole {what}s for the test"
        else:
            pattern = pattern_of_subjects([case for cases in sides.values() for case in cases])
            to = f"`{pattern}`" if pattern else "a file that names the group of each case"
            cure = f"set `{key}` to {to}"
        have = "has" if len(also) == 1 else "have"
        yield Mistake(
            f"{len(also)} of {len(sides[judged])} {judged} cases {have} another image of the same"
            f" {what} in {side}, such as {also[0]} and {other}: {judged} Dice is too high; {cure}",
            kind=f"subjects of {judged}",
        )


def _of_one_group(dealt: Dealt, groups: Groups) -> Iterator[Mistake]:
    """Validation or test cases that are all of one group."""
    cures = {"validation": "; `confirm` can measure the finalists on more folds", "test": ""}
    for side, cure in cures.items() if groups else ():
        names: Names = getattr(dealt, side)
        if len(names) > 1 and len(found := [*members(names, groups)]) == 1:
            yield Mistake(
                f"all {len(names)} {side} cases are of one group, {found[0]}: {side} Dice is that"
                f" of this group alone{cure}",
                kind=f"one group of {side}",
            )


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
