"""What a sweep came to, in a few sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from sweep.analysis.confirm.conclusions import caution, on_test_split, reservations, verdict
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.ranking.divergence_causes import explained
from sweep.analysis.ranking.since_switch_on import (
    BEFORE_WORDS,
    is_before_switch_on,
    value_since_switch_on,
)
from sweep.analysis.report_words import status, trials
from sweep.spec.words.phrases import counted
from sweep.vocabulary.record import Status, TrialRecord

AROUND = 5
"""Epochs on each side of the best that show how much a curve moves by itself, and least number of
changes from one epoch to the next to say so."""
LEAST_COMPLETE = 3
"""Runs that trained to their end, below which nothing is said of where they are best."""


def headline(results: Results) -> str:
    """Which trial leads and by how much, or why none does."""
    if not results.records:
        return "No trial has started yet."
    if not results.ended:
        return f"No trial has ended yet; {counted(len(results.records), 'trial')} started."
    if not results.ranked:
        return _without_winner(results)
    if results.confirmation is not None:
        return verdict(results.confirmation)
    first = results.ranked[0]
    assert first.best is not None
    objective = results.objective
    (leader, reached), *others = results.scores.items()
    value = objective.text(objective.turned(reached))
    sentence = f"{leader} leads with {objective.label} {value} (epoch {first.best.epoch})"
    if not others:
        return f"{sentence}; no other trial has a result."
    second, next_best = others[0]
    lead = objective.text(reached - next_best)
    ahead = f"{sentence}, {lead} ahead of {second}{_over_baseline(results)}."
    return " ".join([ahead, *_before_switch_on(results, first)])


def caveat(results: Results) -> str:
    """How far to trust the order at the top; empty where there is no order."""
    kind = caution([results.spec.trainer.kind])
    kinds = [kind] if kind else []
    if (found := results.confirmation) is not None:
        return " ".join([reservations(found), *_tested(results), *_still_rising(results), *kinds])
    if len(results.ranked) < 2:
        return ""
    return " ".join([*_tested(results), _one_seed(results), *_still_rising(results), *kinds])


def _still_rising(results: Results) -> list[str]:
    """That more epochs might change the order, where most complete runs were best at their end."""
    every = [*results.ended, *results.replicates]
    whole = [(r.best, r.history[-1]) for r in every if r.status is Status.COMPLETED and r.best]
    last = sum(best is end for best, end in whole)
    if len(whole) < LEAST_COMPLETE or 2 * last <= len(whole):
        return []
    return [
        f"{last} of {len(whole)} complete runs were best in their last epoch: with more epochs the"
        " order may be another."
    ]


def _one_seed(results: Results) -> str:
    wobble = _wobble(results.ranked[0])
    sentence = (
        "One seed each: differences between configurations and between seeds are not told apart."
    )
    if wobble is None:
        return sentence
    reached, *others = results.scores.values()
    close = sum(reached - other <= wobble for other in others)
    objective = results.objective
    return (
        f"{sentence} Around its best epoch the leader's own {objective.short} moves by "
        f"{objective.text(wobble)} from one epoch to the next, and {counted(close, 'other trial')} "
        f"{'is' if close == 1 else 'are'} within that of it."
    )


def state(results: Results) -> str:
    """``finished``, ``running: 8 of 20 trials have ended``, ``not running: …``."""
    done, asked = len(results.ended), results.spec.trials
    if done >= asked:
        if (ended := len(_ended(results))) == len(results.replicates):
            return "finished"
        return f"confirming: {ended} replicates have ended"
    how = "running" if results.in_use else "not running"
    return f"{how}: {done} of {asked} trials have ended"


def counts(results: Results) -> dict[str, int]:
    """Number of trials in each status that occurs, in words; unfinished ones by what they are.

    Those of the search; replicates are counted together.
    """
    found = Counter(record.status for record in results.records)
    unfinished = "running" if results.in_use else "interrupted"
    return {
        unfinished if kind is Status.RUNNING else status(kind): found[kind]
        for kind in (*[s for s in Status if s.is_final], Status.RUNNING)
        if found[kind]
    } | ({"replicates of the leaders": ended} if (ended := len(_ended(results))) else {})


def _ended(results: Results) -> list[TrialRecord]:
    return [record for record in results.replicates if record.status.is_final]


def _tested(results: Results) -> list[str]:
    return [on_test_split(results.held_out)] if results.held_out is not None else []


def _before_switch_on(results: Results, leader: TrialRecord) -> list[str]:
    """That the leader's value is that of its warm-up, where it is."""
    if not is_before_switch_on(results.spec, leader):
        return []
    since = value_since_switch_on(results.spec, leader)
    reached = "" if since is None else f"; since then it reached {results.objective.text(since)}"
    return [f"The leader's best epoch {BEFORE_WORDS}{reached}."]


def _over_baseline(results: Results) -> str:
    """What the leader gains over the trial without a geometric loss, where that is one of them."""
    leader = results.ranked[0]
    baseline = results.baseline
    if baseline in (None, leader) or is_before_switch_on(results.spec, leader):
        return ""
    gain = results.scores[leader.trial_id] - results.scores[baseline.trial_id]
    objective = results.objective
    where = "above" if objective.mode == "max" else "below"
    return f" and {objective.text(gain)} {where} the baseline ({baseline.trial_id})"


def _without_winner(results: Results) -> str:
    diverged = len(results.diverged)
    silent = sum(record.status.has_result for record in results.ended)
    sentence = f"None of {len(results.ended)} ended trials has a result: {diverged} diverged" + (
        f", {silent} never measured {results.objective.label}." if silent else "."
    )
    causes = explained(results.diverged)
    if not causes:
        return sentence
    first = max(causes, key=lambda group: len(group.records))
    return f"{sentence} The likeliest cure, for {trials(first.records)}: {first.advice}"


def _wobble(record: TrialRecord) -> float | None:
    """Median absolute change of the objective from epoch to epoch around the best one."""
    assert record.best is not None
    at = record.best.epoch
    window = record.history[max(0, at - AROUND) : at + AROUND + 1]
    curve = map(record.objective.value, window)
    measured: Sequence[float] = [value for value in curve if value is not None]
    changes = [abs(b - a) for a, b in pairwise(measured)]
    return median(changes) if len(changes) >= AROUND else None
