"""What may be said of the finalists, in sentences."""

from __future__ import annotations

from collections.abc import Callable

from sweep.analysis.confirmation import LEVEL, Confirmation, Finalist
from sweep.analysis.held_out import HeldOut
from sweep.analysis.words import dice, listed, percent, signed_dice
from sweep.record import Status
from sweep.spec.wording import counted


def verdict(found: Confirmation) -> str:
    """Who is best, where somebody is; else who cannot be told apart, and which of them is cheap."""
    first, *others = found.finalists
    objective = first.record.objective
    mean = f"mean {objective.label} {_mean(first)} over {_replicates(first)}"
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
    return f"{told}: {first.trial_id} has the {objective.highest} {mean}{_chance(first)}; " + (
        f"no other of them is cheaper, {spent}."
        if cheapest is first
        else f"the cheapest of them is {cheapest.trial_id}, {spent}."
    )


def selection_bias(found: Confirmation) -> str:
    """How much of the first's value in the search was luck; empty where that is not known."""
    first = found.finalists[0]
    objective, reached = first.record.objective, first.record.value
    if reached is None:
        return ""
    lost = reached - objective.turned(first.mean)
    how = "less than" if lost >= 0 else "more than"
    return (
        f"On other seeds {first.trial_id} reaches {objective.text(abs(lost))} {how} in the search,"
        f" which chose it for its {objective.short}."
    )


def warnings(found: Confirmation) -> list[str]:
    """Of replicates that diverged or failed, and of configurations that lack some."""
    told = []
    for one in found.finalists:
        if diverged := one.count(Status.DIVERGED):
            total, objective = counted(len(one.replicates), "replicate"), one.record.objective
            counts = "counts not"
            if objective.worst is not None:
                counts = f"counts with {objective.short} {objective.turned(objective.worst):g}"
            told.append(f"{one.trial_id}: {diverged} of {total} diverged and {counts}.")
        if failed := one.count(Status.FAILED):
            told.append(f"{one.trial_id}: {counted(failed, 'replicate')} failed and counts not.")
    return told


def on_test_split(found: HeldOut) -> str:
    """What the first of the ranking reaches on the test split, and against whom."""
    first = found.tested[0]
    best = first.record.best
    told = (
        f"On {counted(len(first.dice), 'test case')} that no trial has seen, evaluated once,"
        f" {first.trial_id} reaches Dice {dice(first.mean)}{_interval(first.low, first.high)}"
    )
    if best is not None and best.val_dice is not None:
        lost = best.val_dice - first.mean
        told += f", {dice(abs(lost))} {'below' if lost >= 0 else 'above'} its Dice in the search"
    control = found.over_baseline
    if control is None:
        return f"{told}."
    return (
        f"{told}; {signed_dice(control.gain)} against the baseline"
        f"{_interval(control.low, control.high)}, Wilcoxon p = {control.p:.2g}."
    )


def _interval(low: float, high: float, text: Callable[[float], str] = dice) -> str:
    if low != low:  # NaN: of one value
        return ""
    return f" (95 %: {text(low)} to {text(high)})".replace("-", "−")


def _mean(one: Finalist) -> str:
    objective = one.record.objective
    ends = objective.interval(one.low, one.high)
    return objective.text(objective.turned(one.mean)) + _interval(*ends, objective.text)


def _replicates(one: Finalist) -> str:
    return counted(len(one.scores), "replicate")


def _chance(one: Finalist) -> str:
    return "" if one.p_best is None else f", and is best with probability {percent(one.p_best)}"
