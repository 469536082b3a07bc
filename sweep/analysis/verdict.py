"""What may be said of the finalists, in sentences."""

from __future__ import annotations

from sweep.analysis.confirmation import LEVEL, Confirmation, Finalist
from sweep.analysis.words import dice, listed, percent
from sweep.record import Status
from sweep.spec.wording import counted


def verdict(found: Confirmation) -> str:
    """Who is best, where somebody is; else who cannot be told apart, and which of them is cheap."""
    first, *others = found.finalists
    mean = f"mean validation Dice {_mean(first)} over {_replicates(first)}"
    if not others:
        return f"{first.trial_id} has {mean}; no other finalist has replicates to compare with."
    if found.unfinished:
        still = counted(found.unfinished, "replicate")
        return f"{first.trial_id} has {mean} so far; {still} still to end, so no winner is named."
    if found.winner is not None:
        return (
            f"{first.trial_id} is best: {mean}, and it beats each of the other"
            f" {len(others)} finalists (paired t-test, Holm, p < {LEVEL:g})."
        )
    if len(found.tied) == 1:  # told apart, but not all replicates are there
        return f"{first.trial_id} has {mean}."
    names = listed([one.trial_id for one in found.tied])
    told = f"{names} cannot be told apart (paired t-test, Holm, p ≥ {LEVEL:g})"
    cheapest = found.cheapest
    spent = f"with {cheapest.epochs:.0f} epochs on average"
    return f"{told}: {first.trial_id} has the highest {mean}{_chance(first)}; " + (
        f"no other of them is cheaper, {spent}."
        if cheapest is first
        else f"the cheapest of them is {cheapest.trial_id}, {spent}."
    )


def selection_bias(found: Confirmation) -> str:
    """How much of the first's Dice in the search was luck; empty where that is not known."""
    first = found.finalists[0]
    best = first.record.best
    if best is None or best.val_dice is None:
        return ""
    lost = best.val_dice - first.mean
    how = "less than" if lost >= 0 else "more than"
    return (
        f"On other seeds {first.trial_id} reaches {dice(abs(lost))} {how} in the search, which"
        " chose it for its Dice."
    )


def warnings(found: Confirmation) -> list[str]:
    """Of replicates that diverged or failed, and of configurations that lack some."""
    told = []
    for one in found.finalists:
        if diverged := one.count(Status.DIVERGED):
            total = len(one.replicates)
            told.append(
                f"{one.trial_id}: {diverged} of {counted(total, 'replicate')} diverged and"
                " counts with Dice 0."
            )
        if failed := one.count(Status.FAILED):
            told.append(f"{one.trial_id}: {counted(failed, 'replicate')} failed and counts not.")
    return told


def _mean(one: Finalist) -> str:
    if one.low != one.low:  # NaN: a single replicate
        return dice(one.mean)
    return f"{dice(one.mean)} (95 %: {dice(one.low)} to {dice(one.high)})"


def _replicates(one: Finalist) -> str:
    return counted(len(one.scores), "replicate")


def _chance(one: Finalist) -> str:
    return "" if one.p_best is None else f", and is best with probability {percent(one.p_best)}"
