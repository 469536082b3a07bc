"""Which validation cases are drawn, chosen by their Dice, and which of their channels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sweep.spec.words.phrases import must_be, one_of
from sweep.vocabulary.class_scores import ClassScore, mean_over_classes
from sweep.vocabulary.errors import InputError

DIFFERENT = 3
"""Cases on which leader and baseline are compared."""


def dice_of_cases(scores: Iterable[ClassScore]) -> dict[str, float]:
    """Case → mean Dice over the classes with a value. Cases that say nothing are left out."""
    of_each = defaultdict[str, list[ClassScore]](list)
    for score in scores:
        of_each[score.case].append(score)
    means = {case: mean_over_classes(rows, "dice") for case, rows in of_each.items()}
    return {case: dice for case, dice in means.items() if dice is not None}


def extreme_cases(dice: Mapping[str, float]) -> dict[str, str]:
    """The worst, the median and the best case by Dice, each with the reason why it was chosen.

    Of an even number of cases, the median is the worse one of the two in the middle. Equal cases
    are ordered by name. Of two cases there is no median.
    """
    order = sorted(dice, key=lambda case: (dice[case], case))
    chosen = {"worst": 0, "best": len(order) - 1, "median": (len(order) - 1) // 2}
    found: dict[str, str] = {}
    for reason, place in chosen.items() if order else ():
        found.setdefault(order[place], reason)
    return dict(sorted(found.items(), key=lambda pair: (dice[pair[0]], pair[0])))


def most_different(
    first: Mapping[str, float], second: Mapping[str, float], most: int = DIFFERENT
) -> list[str]:
    """The cases of both whose Dice differs most, in either direction; the largest first."""
    gaps = {case: abs(first[case] - second[case]) for case in first if case in second}
    order = sorted(gaps, key=lambda case: (-gaps[case], case))
    return [case for case in order if gaps[case] > 0][:most]


def channel_index(channels: Sequence[str], name: str | None) -> int:
    """The number of a channel; raises `InputError` if there is none of this name."""
    if name is None:
        return 0
    if name not in channels:
        raise InputError.single(
            must_be(one_of(channels), name, channels),
            key="pictures.channel",
        )
    return channels.index(name)
