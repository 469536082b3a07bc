"""What may be said of the finalists, in sentences."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain

from sweep.analysis.confirm import paired_comparison as paired
from sweep.analysis.confirm.confirmation import Confirmation, Finalist
from sweep.analysis.confirm.paired_statistics import LEAST_OF_KINDS, most_unseen, two_kinds
from sweep.analysis.confirm.race_words import course
from sweep.analysis.confirm.real_validations import real_dice
from sweep.analysis.confirm.test_scores import (
    FEW_GROUPS,
    LEAST_CASES,
    LEAST_GROUPS,
    HeldOut,
    subjects_of,
)
from sweep.analysis.report_words import listed, percent, trials
from sweep.spec.settings.trainer_settings import traits_of
from sweep.spec.words.phrases import counted
from sweep.vocabulary.objective import DICE
from sweep.vocabulary.record import Status, TrialRecord, representing


def verdict(found: Confirmation) -> str:
    """The best finalist, or those that cannot be told apart and which of them is cheapest."""
    first, *others = found.compared or found.finalists
    comparison, objective = found.comparison, first.objective
    if comparison is None:
        return f"No replicate of {_named(found.finalists)} has a result: all that ended diverged."
    value = objective.text(objective.turned(first.mean))
    interval = _interval(*objective.interval(first.low, first.high), objective.text)
    count, units = counted(len(first.scores), "replicate"), _units(comparison)
    over = f"{count} on {units}" if comparison.by_fold else count
    mean = f"mean {objective.label} {value}{interval} over {over}"
    if found.unfinished:
        return f"{first.trial_id} has {mean} so far; {_missing(found)}, so no winner is named."
    if not others:
        alone = "no other finalist has replicates to compare with"
        if any(one.diverged for one in found.behind):
            alone = f"more replicates of {_named(found.behind)} diverged, so it is not compared"
        return f"{first.trial_id} has {mean}; {alone}."
    if not comparison.is_telling:
        return (
            f"{first.trial_id} has the {objective.highest} {mean}; {units} cannot tell which"
            f" finalist is best: it takes {paired.LEAST_UNITS} that all of them were trained on."
        )
    if found.winner is not None:
        beaten = (
            f"each of the other {len(others)} finalists" if others[1:] else "the other finalist"
        )
        tests = f"two-sided paired t-tests, all p < {paired.LEVEL:g}"
        if found.race is not None:
            tests = f"paired t-tests, {percent(paired.LEVEL)} error over all looks of the race"
        return (
            f"{first.trial_id} is best{_where(found, comparison)}: {mean}, and it beats {beaten}"
            f" ({tests})."
        )
    if len(found.tied) == 1:  # a pair differs, and not in favour of the first
        return (
            f"{first.trial_id} has the {objective.highest} {mean}, but not on the replicates that"
            " it shares with another finalist; no winner is named."
        )
    return _tie(found, comparison, mean)


def _missing(found: Confirmation) -> str:
    """What has to end before a winner can be named. How far a race will go is not known."""
    if found.race is not None:
        return "the race has not ended"
    return f"{counted(found.unfinished, 'replicate')} still to end"


def reservations(found: Confirmation) -> str:
    """What limits a verdict: the course of a race and who has left it, `selection_bias`, `warnings`
    and `unseen`."""
    raced = "" if found.race is None else course(found.race)
    limits = [
        raced,
        _displaced(found),
        selection_bias(found),
        *warnings(found),
        unseen(found.finalists[0]),
    ]
    return " ".join(filter(None, limits))


def _displaced(found: Confirmation) -> str:
    """Finalists of an earlier session that are none any more."""
    if found.race is None:
        return ""
    raced = {*found.race.order}
    gone = [one for one in found.finalists if one.trial_id not in raced]
    if not gone:
        return ""
    was, is_ = ("was a finalist", "is") if len(gone) == 1 else ("were finalists", "are")
    return f"{_named(gone)} {was} before later trials ranked higher, and {is_} not in the race."


def unseen(one: Finalist) -> str:
    """What the interval of a finalist takes for granted, or why it has none though its runs would
    be enough; empty where they are too few, or where runs that diverged or lie far from the others
    are told of."""
    runs, of = len(one.scores), one.highest_of
    is_one_value = runs >= paired.LEAST_UNITS and len({*one.scores.values()}) == 1
    if (math.isnan(one.low) and not is_one_value) or one.diverged or any(kinds_of(one)):
        return ""
    may = f"up to {percent(most_unseen(runs, of))} of all runs may"
    if is_one_value:
        return (
            f"The {runs} runs of {one.trial_id} have the same value, so there is no interval:"
            f" {may} have others (95 % confidence)."
        )
    allows = f"allows for its being the first of {of}, and " if of > 1 else ""
    return (
        f"The interval of {one.trial_id} {allows}assumes that further runs are like these {runs}."
        f" None of these lies far off, but {may} (95 % confidence)."
    )


def selection_bias(found: Confirmation) -> str:
    """How the replicates of the first and of the others compare with their runs of the search.

    Empty where that is not known. A difference may come from selection, the seed or the fold. It is
    not selection where the other finalists lose as much.
    """
    first, *others = found.finalists
    objective = first.objective
    if (own := _lost(first)) is None:
        return ""

    def less(lost: float) -> str:
        return f"{objective.text(abs(lost))} {'less' if lost >= 0 else 'more'}"

    by_fold = found.comparison is not None and found.comparison.by_fold
    where = "Over all folds" if by_fold else "On further seeds"
    sentence = f"{where} {first.trial_id} averages {less(own)} than in its run of the search"
    others_lost = [lost for one in others if (lost := _lost(one)) is not None]
    if not others_lost:
        return f"{sentence}."
    whose = "finalists" if others_lost[1:] else "finalist"
    return f"{sentence}, the other {whose} {less(sum(others_lost) / len(others_lost))}."


def _lost(one: Finalist) -> float | None:
    """Value of the objective in the search minus the mean of its replicates."""
    reached = one.record.value
    if reached is None or not one.scores or one.is_real:  # the search has another Dice
        return None
    return reached - one.objective.turned(one.mean)


def warnings(found: Confirmation) -> list[str]:
    """Replicates that diverged, failed or lie far from the others, and finalists that rank behind
    because more of theirs diverged."""
    sentences = []
    for one in found.finalists:
        total = counted(len(one.replicates), "replicate")
        if one.diverged:
            mean = "its mean is that of the others" if one.scores else "it has no mean"
            sentences.append(f"{one.trial_id}: {one.diverged} of {total} diverged; {mean}.")
        if failed := one.count(Status.FAILED):
            sentences.append(f"{one.trial_id}: {failed} of {total} failed and is not counted.")
        if lacking := one.unvalidated:
            sentences.append(
                f"{one.trial_id}: {lacking} of {total} without a real validation; their seeds and"
                " folds are not counted for any finalist."
            )
        sentences += kinds_of(one)
    first = found.finalists[0]
    lost = [one for one in found.behind if one.scores and one.diverged > first.diverged]
    if lost:
        sentences.append(
            f"{_named(lost)} {'ranks' if len(lost) == 1 else 'rank'} behind, whatever the mean:"
            f" more replicates diverged than of {first.trial_id}."
        )
    return sentences


def kinds_of(one: Finalist) -> list[str]:
    """That replicates are of two kinds, for each fold on which they are: folds may differ.

    Where a fold has too few runs to tell, those of all folds are compared.
    """
    text, turned = one.objective.text, one.objective.turned
    on_fold: dict[int, list[float]] = {}
    for (_, fold), value in one.scores.items():
        on_fold.setdefault(fold, []).append(turned(value))
    folds, why = len(on_fold), "The mean and its interval describe neither."
    parts = {f" on fold {n}" if folds > 1 else "": on_fold[n] for n in sorted(on_fold)}
    if folds > 1 and min(map(len, on_fold.values())) < LEAST_OF_KINDS:
        parts = {f" on {folds} folds": [*chain.from_iterable(on_fold.values())]}
        why = "That may be the runs or their folds: the interval takes neither to lie so far off."
    sentences = []
    for on, values in parts.items():
        if (kinds := two_kinds(values)) is None:
            continue
        rare, others = (" to ".join(dict.fromkeys([text(k[0]), text(k[-1])])) for k in kinds)
        sentences.append(
            f"{one.trial_id}: {len(kinds[0])} of {counted(len(values), 'replicate')}{on} reached"
            f" {rare}, the others {others}. {why}"
        )
    return sentences


def caution(
    kinds: Iterable[str], records: Iterable[TrialRecord] = (), leader: str | None = None
) -> str:
    """What limits the Dice by which trials of such trainers are compared; or empty.

    Args:
        kinds: of the trainers.
        records: all runs of one sweep, of which those of the leader count. If it was confirmed,
            these are the replicates that did so.
        leader: the trial that is the first of the ranking; None where there is none.
    """
    traits = [traits_of(kind) for kind in kinds]
    if not any(trait.caution for trait in traits):
        return ""
    own = (one for one in records if one.configuration_id == leader and one.status.has_result)
    runs = representing(own)
    real = [dice for run in runs if (dice := real_dice(run)) is not None]
    last = [trait.unvalidated for trait in traits]
    if real:
        over = "" if len(runs) == 1 else f" on average over {len(real)} of {len(runs)} runs"
        mean = DICE.text(sum(real) / len(real))
        last = [f"In its real validation the leader, {leader}, has Dice {mean}{over}."]
    said = dict.fromkeys([*(trait.caution for trait in traits), *last])
    return " ".join(filter(None, said))


def on_test_split(found: HeldOut) -> str:
    """What the first of the ranking reaches on the test split, and its gain over the baseline."""
    first = found.tested[0]
    one_run, groups = first.runs == 1, first.group_count
    of, over = (f" of {counted(groups, 'group')}", " over groups") if groups else ("", "")
    reached = " reaches" if one_run else f"'s {first.runs} replicates average"
    sentence = (
        f"On {counted(len(first.dice), 'test case')}{of} that were used for nothing else,"
        f" {first.trial_id}{reached} Dice {DICE.text(first.mean)}"
        f"{_interval(first.low, first.high, over=over)}"
    )
    if first.validation is not None:
        whose = "that run" if one_run else "the same runs"
        named = "pseudo Dice " if first.record.objective.dice == "pseudo" else ""
        sentence += f"; in validation {whose} had {named}{DICE.text(first.validation)}"
    if (control := found.over_baseline) is not None:
        gain = DICE.signed(control.gain)
        some = f" on {control.cases} of them" if control.cases < len(first.dice) else ""
        interval = _interval(control.low, control.high, over=over)
        sentence += f"; {gain} against the baseline{some}{interval}"
    if math.isnan(first.low):
        least = f"{LEAST_CASES} cases" + (f" of {LEAST_GROUPS} groups" if groups else "")
        sentence += f". No interval: that takes at least {least}"
    return " ".join(filter(None, [f"{sentence}.", of_subjects(first.dice, groups)]))


def of_subjects(cases: Collection[str], groups: int) -> str:
    """What cases of one subject do to what is said of the cases; empty where that is nothing.

    Args:
        groups: number of groups over which it is said; 0 where nothing is grouped. Then the names
            of the cases may tell of fewer subjects.
    """
    if groups:
        return _of_few(groups) if LEAST_GROUPS <= groups < FEW_GROUPS else ""
    if not (found := subjects_of(cases)):
        return ""
    return (
        f"These {len(cases)} cases are of {counted(len(found), 'subject')} ({found[0]} …). Cases of"
        " one subject are alike, so all that is said of these cases is less certain than it looks."
    )


def _of_few(groups: int) -> str:
    return (
        f"Only the {groups} groups are independent of each other, which is few: the interval is"
        " wide, and where Dice is skewed it held the mean in as few as 85 % of simulated samples."
    )


def _tie(found: Confirmation, comparison: paired.PairedComparison, mean: str) -> str:
    first, cheapest = found.finalists[0], found.cheapest
    objective, chance = first.objective, first.p_best
    sentence = (
        f"{listed([one.trial_id for one in found.tied])} cannot be told apart"
        f"{_where(found, comparison)}: {first.trial_id} has the {objective.highest} {mean}"
    )
    if chance is not None:
        sentence += f", and is best with probability {percent(chance)}"
    spent = f"{cheapest.epochs:.0f} epochs on average"
    if all(round(one.epochs) == round(cheapest.epochs) for one in found.tied):
        sentence += f"; all of them take {spent}."
    else:
        sentence += f"; the cheapest of them is {cheapest.trial_id}, with {spent}."
    if found.race is not None:  # what so many blocks of everybody could show is not the question
        return sentence
    far = paired.detectable(comparison.count, len(found.compared) - 1) * (comparison.spread or 0.0)
    lead = first.mean - max(one.mean for one in found.compared if one is not first)
    return (
        f"{sentence} With the spread seen here, {_units(comparison)} name a winner in"
        f" {paired.POWER_BY_ESTIMATE} of cases if it leads by about {objective.text(far)}; the"
        f" lead is {objective.text(lead)}."
    )


def _units(comparison: paired.PairedComparison) -> str:
    return counted(comparison.count, "fold" if comparison.by_fold else "seed")


def _where(found: Confirmation, comparison: paired.PairedComparison) -> str:
    """For which folds a statement holds, after a space; empty where the trainer has none."""
    if comparison.by_fold:
        return f" over {_units(comparison)}"
    return f" on fold {next(fold for _, fold in comparison.scores[0])}" if found.has_folds else ""


def _named(finalists: Sequence[Finalist]) -> str:
    return trials(one.record for one in finalists)


def _interval(
    low: float, high: float, text: Callable[[float], str] = DICE.text, over: str = ""
) -> str:
    if low != low:  # NaN: too few values
        return ""
    return f" (95 %{over}: {text(low)} to {text(high)})".replace("-", "−")  # of exponents too
