"""The result of a sweep in a few sentences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from statistics import median

from sweep.analysis.confirm.conclusions import caution, on_test_split, reservations, verdict
from sweep.analysis.confirm.real_validations import on_whole_cases
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.ranking.divergence_causes import explained
from sweep.analysis.ranking.finalists import is_finished
from sweep.analysis.ranking.further_improvement import Outlook
from sweep.analysis.ranking.pareto_ranks import front
from sweep.analysis.ranking.since_switch_on import (
    BEFORE_WORDS,
    is_before_switch_on,
    value_since_switch_on,
)
from sweep.analysis.report_words import cut_short, listed, some, status, trials
from sweep.spec.space.presets import BASELINE
from sweep.spec.words.phrases import counted, plural
from sweep.vocabulary.record import Status, TrialRecord, confirming

AROUND = 5
"""Epochs on each side of the best one that show how much a curve varies, and least number of
changes between epochs to report it."""
LEAST_COMPLETE = 3
"""Least number of complete runs to report that they were best at their end."""


def headline(results: Results) -> str:
    """Which trial leads and by how much, or why there is no leader."""
    if not results.records:
        return "No trial has started yet."
    if not results.ended:
        return f"No trial has ended yet; {counted(len(results.records), 'trial')} started."
    if not results.ranked:
        return _without_winner(results)
    if results.confirmation is not None:
        return verdict(results.confirmation)
    if sentence := on_whole_cases(results.records):
        return sentence
    if results.objective.others:
        return _front_words(results)
    if any(one.has_further_runs for one in results.ranked):
        return " ".join([_by_runs(results), *_about_leader(results)])
    first, *others = results.ranked
    assert first.best is not None
    objective = results.objective
    value = objective.text(objective.turned(results.scores[first.trial_id]))
    sentence = f"{first.trial_id} leads with {objective.label} {value} (epoch {first.best.epoch})"
    if not others:
        alone = f"{sentence}; no other trial has a result."
        return " ".join([alone, *_about_leader(results)])
    second = others[0]
    over = ", the baseline" if second is results.baseline else _over_baseline(results)
    lead = results.scores[first.trial_id] - results.scores[second.trial_id]
    ahead = f"{sentence}, {_ahead(results, lead, second)}{over}."
    return " ".join([ahead, *_ties(results), *_about_leader(results)])


def _ahead(results: Results, lead: float, second: TrialRecord) -> str:
    """So far is the leader ahead of another trial."""
    name = second.trial_id
    return f"{_apart(results, lead)} ahead of {name}" if lead else f"level with {name}"


def _apart(results: Results, difference: float) -> str:
    """A difference that is not 0, and is not written as if it were."""
    text = results.objective.text
    return "under 0.0001" if text(difference) == text(0) else text(difference)


def _ties(results: Results) -> Iterator[str]:
    """Whose distance to the leader is no more than the leader's own curve moves in an epoch."""
    change = _movement(results)
    leader, second, *_ = results.ranked
    gain = _gain(results)
    behind = {second.trial_id: results.scores[leader.trial_id] - results.scores[second.trial_id]}
    if gain is not None and results.baseline is not None:
        behind["the baseline"] = gain
        behind.pop(results.baseline.trial_id, None)
    # Whoever reached the very same was called level with it.
    level = [n for n, lead in behind.items() if change is not None and 0 < abs(lead) <= change]
    if level:
        yield (
            f"That is a tie with {listed(level)}: around its best epoch, the leader's own"
            f" {results.objective.short} moves by as much from one epoch to the next, beside its"
            " trend."
        )


def _about_leader(results: Results) -> Iterator[str]:
    """What a reader of the leader's name would else take for granted."""
    leader = results.ranked[0]
    if end := cut_short(leader):
        yield f"It was {end}, so this is not what a whole training of it reaches."
    others = [one for one in results.ranked if results.switch_on(one) is not None]
    if leader.preset == BASELINE and others:
        pruned = sum(one.status is Status.PRUNED for one in others)
        yield (
            f"It is the baseline, without a geometric loss: none of {counted(len(others), 'trial')}"
            f" with one ranks before it{f' ({pruned} of them pruned)' if pruned else ''}."
        )
    if is_before_switch_on(results.spec, leader):
        since = value_since_switch_on(results.spec, leader)
        text = results.objective.text
        later = "" if since is None else f"; since then it reached {text(since)}"
        yield f"The leader's best epoch {BEFORE_WORDS}{later}."


def _by_runs(results: Results) -> str:
    """Of a search with replicates: who leads by the mean of its runs, and over how many."""
    first, *others = results.ranked
    objective, runs = results.objective, counted(1 + len(first.replicated), "run")
    assert first.mean_score is not None
    mean = objective.text(objective.turned(first.mean_score))
    sentence = f"{first.trial_id} leads with a mean {objective.label} of {mean} over {runs}"
    sentence += _lost_words([first], " ({} diverged)")
    rivals = [one for one in others if len(one.replicated) == len(first.replicated)]
    whole = [one for one in rivals if not one.diverged_runs]
    if whole and (second := whole[0].mean_score) is not None and not first.diverged_runs:
        sentence += f", {_ahead(results, first.mean_score - second, whole[0])}"
    has = "has" if len(rivals) == 1 else "have"
    as_many = f"{counted(len(rivals), 'other trial')} {has} as many"
    if not rivals:
        as_many = "No other trial has as many"
    if len(rivals) < len(others):
        as_many += (
            "; whoever has fewer could hardly come first any more, lost a run, or was not trained"
            " on yet"
        )
    return f"{sentence}. {as_many}.{_lost_words(others, ' Diverged in a further run: {}.')}"


def _lost_words(ranked: Iterable[TrialRecord], form: str) -> str:
    """Names of the replicates in the search that diverged, in this form; empty without any."""
    lost = [run for one in ranked for run in one.diverged_runs]
    return form.format(some(lost)) if lost else ""


def _front_words(results: Results) -> str:
    """Of several objectives: the trials that no other beats, and which of them is first."""
    objective, first = results.objective, results.ended[0]
    found = front(results.table)["trial_id"]
    assert first.best is not None
    assert first.value is not None
    at_once = listed([one.short for one in objective.each])
    leads = (
        f"{first.trial_id} has the {objective.highest} {objective.label} of them,"
        f" {objective.text(first.value)} (epoch {first.best.epoch})"
    )
    if len(found) == 1:
        return f"{leads.replace(' of them', '')}. No other trial beats it in {at_once} at once."
    return (
        f"{len(found)} of {len(results.ranked)} trials with a result are beaten by no other in"
        f" {at_once} at once: {some(found)}. {leads}."
    )


def caveat(results: Results) -> str:
    """How far to trust the order at the top; empty if there is no order and nothing to say."""
    first = None if results.leader is None else results.leader.trial_id
    edited = results.texts.words(first)
    tested = [] if results.held_out is None else [on_test_split(results.held_out)]
    if results.confirmation is not None:
        sentences = [reservations(results.confirmation), *tested]
    elif len(results.ranked) < 2:
        return edited
    else:
        sentences = [*tested, _one_seed(results)]
    sentences += _still_rising(results)
    sentences.append(Outlook.of(results.spec, results.ended).words)
    sentences.append(caution([results.spec.trainer.kind], results.runs, first))
    return " ".join(filter(None, [edited, *sentences]))


def _still_rising(results: Results) -> list[str]:
    """More epochs might change the order if most complete runs were best at their end."""
    every = [*results.ended, *results.replicates]
    whole = [(r.best, len(r.history)) for r in every if r.status is Status.COMPLETED and r.best]
    last = sum(best.epoch == epochs - 1 for best, epochs in whole)
    if len(whole) < LEAST_COMPLETE or 2 * last <= len(whole):
        return []
    return [
        f"{last} of {len(whole)} complete runs were best in their last epoch: with more epochs the"
        " order may differ."
    ]


def _one_seed(results: Results) -> str:
    """The median absolute change of the objective around the leader's best epoch, if known."""
    sentence = (
        "One seed each: differences between configurations cannot be told from those between seeds."
    )
    leader, objective = results.ranked[0], results.objective
    if leader.has_further_runs:
        return (
            "The leader was chosen by these runs, so its mean is optimistic; `confirm: {top: 5}`"
            " trains the leaders again with seeds that chose nothing."
        )
    # How the pseudo Dice moves says nothing of leads in the real validation.
    if (change := _movement(results)) is None or on_whole_cases(results.records):
        return sentence
    reached, *others = results.scores.values()
    close = sum(abs(reached - other) <= change for other in others)
    who = counted(close, "other trial") if close else "no other trial"
    return (
        f"{sentence} Around its best epoch the leader's own {objective.short} moves by "
        f"{objective.text(change)} from one epoch to the next, beside its trend, and {who} "
        f"{'is' if close <= 1 else 'are'} within that of it."
    )


def _movement(results: Results) -> float | None:
    """How far the leader's objective moves from epoch to epoch around its best one, by the median.

    What it gains or loses steadily does not count. So the distance of each epoch from the middle of
    its neighbours is taken, in proportion to the change that the same noise makes between two
    epochs: the variances are as 3/2 to 2.
    """
    leader, objective = results.ranked[0], results.objective
    assert leader.best is not None
    at = leader.best.epoch
    window = leader.history[max(0, at - AROUND) : at + AROUND + 1]
    measured = [value for epoch in window if (value := objective.value(epoch)) is not None]
    if len(measured) <= AROUND:
        return None
    neighbours = zip(measured, measured[1:], measured[2:], strict=False)
    return median(abs(now - (a + b) / 2) for a, now, b in neighbours) * 2 / math.sqrt(3)


def state(results: Results) -> str:
    """``finished``, ``running: 8 of 20 trials have ended``, ``not running: …``.

    With what is doubtful of it: ``running: …; nothing was written to s3://… since …``.
    """
    return "; ".join(filter(None, [_state(results), results.silence]))


def _state(results: Results) -> str:
    ended, planned = len(results.ended), results.searched
    how = "running" if results.in_use else "not running"
    if ended < planned:
        return f"{how}: {ended} of {planned} trials have ended"
    if due := results.due_in_search:
        return f"{how}: all trials have ended, with {counted(due, 'replicate')} still to end"
    confirming_now = "confirming" if results.in_use else "not running"
    race = None if results.confirmation is None else results.confirmation.race
    if race is not None and race.block is not None:
        return f"{confirming_now}: {race.words}"
    replicates = [run for _, run in confirming(results.replicates)]
    is_whole = is_finished(results.spec, results.runs, results.search_end)
    if (so_far := _ended(replicates)) < len(replicates) or not is_whole:
        has = "has" if so_far == 1 else "have"
        return f"{confirming_now}: {counted(so_far, 'replicate')} {has} ended"
    if results.search_end is None:
        return "finished"
    return f"finished: `stop_when` ended the search at {planned} of {results.spec.trials}"


def counts(results: Results) -> dict[str, int]:
    """Number of trials of the search in each status that occurs, and of ended replicates."""
    found = Counter(record.status for record in results.records)
    named = {status(kind): found[kind] for kind in Status if kind.is_final}
    # A trial may have ended since its record was read, or before the journal says so.
    running = (one for one in results.records if one.status is Status.RUNNING)
    waiting = sum(one.trial_id in results.waiting for one in running)
    named["running" if results.in_use else "interrupted"] = found[Status.RUNNING] - waiting
    named["waiting for a worker"] = waiting
    of_leaders = _ended(run for _, run in confirming(results.replicates))
    in_search = _ended(results.replicates) - of_leaders
    named[f"{plural(in_search, 'replicate')} in the search"] = in_search
    named["of these diverged"] = sum(len(record.diverged_runs) for record in results.records)
    named[f"{plural(of_leaders, 'replicate')} of the leaders"] = of_leaders
    return {name: count for name, count in named.items() if count}


def _ended(runs: Iterable[TrialRecord]) -> int:
    return sum(run.status.is_final for run in runs)


def _over_baseline(results: Results) -> str:
    """The `_gain` in words; empty where there is none."""
    gain, baseline, objective = _gain(results), results.baseline, results.objective
    if gain is None or baseline is None:
        return ""
    if gain == 0:
        return f" and level with the baseline ({baseline.trial_id})"
    where = "above" if objective.mode == "max" else "below"
    return f" and {_apart(results, gain)} {where} the baseline ({baseline.trial_id})"


def _gain(results: Results) -> float | None:
    """The leader's gain over the trial without a geometric loss, if there is one."""
    leader, baseline = results.ranked[0], results.baseline
    if baseline in (None, leader) or is_before_switch_on(results.spec, leader):
        return None
    return results.scores[leader.trial_id] - results.scores[baseline.trial_id]


def _without_winner(results: Results) -> str:
    unmeasured = sum(record.status.has_result for record in results.ended)
    failed = len(results.ended) - unmeasured - len(results.diverged)
    ends = {
        "diverged": len(results.diverged),
        "failed": failed,
        f"never measured {results.objective.label}": unmeasured,
    }
    told = listed([f"{count} {end}" for end, count in ends.items() if count])
    sentence = f"None of {counted(len(results.ended), 'ended trial')} has a result: {told}."
    if not (causes := explained(results.diverged)):
        return sentence
    first = max(causes, key=lambda group: len(group.records))
    return f"{sentence} The likeliest cure, for {trials(first.records)}: {first.advice}"
