"""What may be said of the finalists, in sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from sweep.analysis.confirm.confirmation import Confirmation, Finalist
from sweep.analysis.confirm.detectable_difference import POWER, detectable
from sweep.analysis.confirm.paired_comparison import LEAST_UNITS, LEVEL, PairedComparison
from sweep.analysis.confirm.test_scores import LEAST_CASES, HeldOut, Tested
from sweep.analysis.report_words import listed, percent, trials
from sweep.spec.settings.trainer_settings import traits_of
from sweep.spec.words.phrases import counted
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import Status


def verdict(found: Confirmation) -> str:
    """Who is best, where somebody is; else who cannot be told apart, and which of them is cheap."""
    first, *others = found.compared or found.finalists
    comparison, objective = found.comparison, first.record.objective
    if comparison is None:
        return f"No replicate of {_named(found.finalists)} has a result: all that ended diverged."
    mean = f"mean {objective.label} {_mean(first)} over {_replicates(first, comparison)}"
    if found.unfinished:
        still = counted(found.unfinished, "replicate")
        return f"{first.trial_id} has {mean} so far; {still} still to end, so no winner is named."
    if not others:
        return f"{first.trial_id} has {mean}; {_alone(found)}."
    if not comparison.is_telling:
        return f"{first.trial_id} has the {objective.highest} {mean}; {_too_few(comparison)}."
    if found.winner is not None:
        return (
            f"{first.trial_id} is best {_where(comparison)}: {mean}, and it beats"
            f" {_each(len(others))} (two-sided paired t-tests, all p < {LEVEL:g})."
        )
    if len(found.tied) == 1:  # a pair differs, and not in favour of the first
        return (
            f"{first.trial_id} has the {objective.highest} {mean}, but not on the replicates that"
            " it shares with another finalist; no winner is named."
        )
    return _tie(found, comparison, mean)


def reservations(found: Confirmation) -> str:
    """What is to be kept in mind of a verdict: `selection_bias` and `warnings`."""
    return " ".join([selection_bias(found), *warnings(found)])


def selection_bias(found: Confirmation) -> str:
    """How the first's replicates compare with its run of the search, and those of the others with
    theirs; empty where that is not known.

    It may be selection, the seed or the fold. Where the others fall as far, it is not selection.
    """
    first, *others = found.finalists
    fallen = [lost for one in others if (lost := _lost(one)) is not None]
    own = _lost(first)
    if own is None:
        return ""
    words = partial(_less, first.record.objective)
    by_fold = found.comparison is not None and found.comparison.by_fold
    where = "Over all folds" if by_fold else "On further seeds"
    sentence = f"{where} {first.trial_id} averages {words(own)} than in its run of the search"
    if not fallen:
        return f"{sentence}."
    whose = "the other finalist" if len(fallen) == 1 else "the other finalists"
    return f"{sentence}, {whose} {words(sum(fallen) / len(fallen))}."


def _lost(one: Finalist) -> float | None:
    """Value of the objective in the search minus the mean of its replicates."""
    objective, reached = one.record.objective, one.record.value
    return None if reached is None or not one.scores else reached - objective.turned(one.mean)


def _less(objective: Objective, lost: float) -> str:
    return f"{objective.text(abs(lost))} {'less' if lost >= 0 else 'more'}"


def warnings(found: Confirmation) -> list[str]:
    """Of replicates that diverged or failed, and of configurations that lack some."""
    sentences = []
    for one in found.finalists:
        total = counted(len(one.replicates), "replicate")
        if one.diverged:
            mean = "its mean is that of the others" if one.scores else "it has no mean"
            sentences.append(f"{one.trial_id}: {one.diverged} of {total} diverged; {mean}.")
        if failed := one.count(Status.FAILED):
            sentences.append(f"{one.trial_id}: {failed} of {total} failed and is not counted.")
    first = found.finalists[0]
    lost = [one for one in found.behind if one.scores and one.diverged > first.diverged]
    if lost:
        sentences.append(
            f"{_named(lost)} {'ranks' if len(lost) == 1 else 'rank'} behind, whatever the mean:"
            f" more replicates diverged than of {first.trial_id}."
        )
    return sentences


def caution(kinds: Iterable[str]) -> str:
    """What is to be kept in mind of the Dice that such trainers are ranked by; or empty."""
    told = dict.fromkeys(traits_of(kind).caution for kind in kinds)
    return " ".join(filter(None, told))


def on_test_split(found: HeldOut) -> str:
    """What the first of the ranking reaches on the test split, and against whom."""
    first = found.tested[0]
    one_run = first.runs == 1
    reached = " reaches" if one_run else f"'s {first.runs} replicates average"
    sentence = (
        f"On {counted(len(first.dice), 'test case')} that were used for nothing else,"
        f" {first.trial_id}{reached} Dice {DICE.text(first.mean)}{_interval(first.low, first.high)}"
    )
    if first.validation is not None:
        whose = "that run" if one_run else "the same runs"
        sentence += f"; in validation {whose} had {DICE.text(first.validation)}"
    if (control := found.over_baseline) is not None:
        gain = DICE.signed(control.gain)
        sentence += f"; {gain} against the baseline{_interval(control.low, control.high)}"
    return f"{sentence}.{_few_cases(first)}"


def _few_cases(first: Tested) -> str:
    if len(first.dice) >= LEAST_CASES:
        return ""
    return f" No interval: that takes at least {LEAST_CASES} cases."


def _tie(found: Confirmation, comparison: PairedComparison, mean: str) -> str:
    first, cheapest = found.finalists[0], found.cheapest
    objective = first.record.objective
    names = listed([one.trial_id for one in found.tied])
    sentence = (
        f"{names} cannot be told apart {_where(comparison)}: {first.trial_id} has the"
        f" {objective.highest} {mean}{_chance(first)}; "
    )
    spent = f"{cheapest.epochs:.0f} epochs on average"
    if all(round(one.epochs) == round(cheapest.epochs) for one in found.tied):
        sentence += f"all of them take {spent}."
    else:
        sentence += f"the cheapest of them is {cheapest.trial_id}, with {spent}."
    far = detectable(comparison.count, len(found.compared) - 1) * (comparison.spread or 0.0)
    lead = first.mean - max(one.mean for one in found.compared if one is not first)
    return (
        f"{sentence} With the spread seen here, {_units(comparison)} name a winner in"
        f" {percent(POWER)} of cases if it leads by about {objective.text(far)}; the lead is"
        f" {objective.text(lead)}."
    )


def _alone(found: Confirmation) -> str:
    if not found.behind:
        return "no other finalist has replicates to compare with"
    others = found.behind
    return f"of {_named(others)} more replicates diverged, so there is nobody to compare it with"


def _too_few(comparison: PairedComparison) -> str:
    return (
        f"{_units(comparison)} cannot tell which finalist is best: it takes {LEAST_UNITS} that all"
        " of them were trained on"
    )


def _units(comparison: PairedComparison) -> str:
    return counted(comparison.count, "fold" if comparison.by_fold else "seed")


def _where(comparison: PairedComparison) -> str:
    """For which folds a statement holds."""
    if comparison.by_fold:
        return f"over {_units(comparison)}"
    return f"on fold {next(fold for _, fold in comparison.scores[0])}"


def _each(others: int) -> str:
    return "the other finalist" if others == 1 else f"each of the other {others} finalists"


def _named(finalists: Sequence[Finalist]) -> str:
    return trials([one.record for one in finalists])


def _interval(low: float, high: float, text: Callable[[float], str] = DICE.text) -> str:
    if low != low:  # NaN: of too few
        return ""
    return f" (95 %: {text(low)} to {text(high)})".replace("-", "−")  # of exponents too


def _mean(one: Finalist) -> str:
    objective = one.record.objective
    ends = objective.interval(one.low, one.high)
    return objective.text(objective.turned(one.mean)) + _interval(*ends, objective.text)


def _replicates(one: Finalist, comparison: PairedComparison) -> str:
    count = counted(len(one.scores), "replicate")
    return f"{count} on {_units(comparison)}" if comparison.by_fold else count


def _chance(one: Finalist) -> str:
    return "" if one.p_best is None else f", and is best with probability {percent(one.p_best)}"
