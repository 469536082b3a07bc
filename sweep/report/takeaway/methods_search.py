"""The methods text on the search: its space, searcher and scheduler, and how the runs ended."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from sweep.analysis import report_words
from sweep.analysis.figures.sweep_results import Results
from sweep.spec.search.search_strategy import (
    TRAINED_EPOCHS_PER_RESOURCE,
    AshaScheduler,
    HyperbandScheduler,
    MedianScheduler,
    StoppingScheduler,
)
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.conditions import Conditions
from sweep.spec.space.distributions import Distribution, Listed
from sweep.spec.space.linked_space import lies_in
from sweep.spec.words.phrases import counted
from sweep.spec.words.short_names import words
from sweep.vocabulary.record import Status, TrialRecord

SEARCHERS = {
    "random": "random search",
    "grid": "grid search",
    "tpe": "a tree-structured Parzen estimator (Bergstra et al., 2011; Optuna, Akiba et al., 2019)",
    "gp": "a Gaussian process (Optuna; Akiba et al., 2019)",
    "cmaes": "CMA-ES (Hansen, 2016; Optuna, Akiba et al., 2019)",
    "qmc": "a quasi-random sequence (Optuna; Akiba et al., 2019)",
}
SCALES = {
    "uniform": "uniform",
    "loguniform": "log-uniform",
    "quniform": "uniform",
    "randint": "whole numbers, uniform",
    "qrandint": "whole numbers, uniform",
    "lograndint": "whole numbers, log-uniform",
    "choice": "listed",
    "grid": "listed, each in turn",
}
"""Word of a distribution in the YAML → its scale."""


def span(kind: Distribution) -> str:
    """What a distribution draws from, both ends included: ``0.001 to 1``; ``3, 5 or 8``."""
    if isinstance(kind, Listed):
        *most, last = map(words, kind.values)
        return f"{', '.join(most)} or {last}" if most else last
    low, high = kind.extent or (math.nan, math.nan)
    step = getattr(kind, "q", None)
    ends = f"{words(low)} to {words(high)}"
    if any(bound is not None for bound in getattr(kind, "ends", ())):
        ends += " at most, with a bound that depends on another parameter"
    return ends if step is None else f"{ends} in steps of {words(step)}"


def scale(kind: Distribution) -> str:
    """``log-uniform``; its prior and conditions are named too."""
    prior = ", weighted by a prior" if kind.prior is not None else ""
    return f"{SCALES.get(kind.name, kind.name)}{prior}{_condition(kind.when)}"


def space_words(results: Results) -> str:
    """Name, range and scale of each searched parameter."""
    found = [f"`{n}` ({span(kind)}; {scale(kind)})" for n, kind in results.spec.space.items()]
    count = len(found)
    sentence = f"{counted(count, 'parameter')} {_were(count)} searched: {'; '.join(found)}."
    if replayed := results.spec.replayed:
        names = report_words.listed([f"`{name}`" for name in replayed])
        sentence += (
            f" No run was trained for {names}: the recorded curves of runs with the most patient"
            " value were replayed."
        )
    return sentence


def search_words(results: Results) -> str:
    """Searcher, number of configurations and how they ended, scheduler with its numbers."""
    return " ".join([*_searcher(results), *_counts(results), *_scheduler(results)])


def _searcher(results: Results) -> Iterator[str]:
    spec, records = results.spec, results.records
    searcher = spec.searcher
    how = SEARCHERS.get(searcher.name, f"the plug-in `{searcher.label}`")
    own = [f"seed {searcher.seed}"] if searcher.name != "grid" else []
    first = getattr(searcher, "startup_trials", 0)
    has_begun = spec.warm_start is not None or len(records) > first
    if first and has_begun:
        own.append(f"the first {first} at random")
    elif first:  # a searcher that has proposed nothing is not named as the one that was used
        how = "random draws"
        own.append(f"too few for the searcher `{searcher.name}`, which learns after {first}")
    given = [record.preset for record in records if record.preset]
    enqueued = sum(record.enqueued is not None for record in records)
    proposed = len(records) - len(given) - enqueued
    also = [f"{len(given)} given beforehand ({', '.join(given)})"] if given else []
    also += [f"{enqueued} enqueued by hand while it ran{_outside(results)}"] if enqueued else []
    beside = f", beside {report_words.listed(also)}" if also else ""
    details = f", {', '.join(own)}" if own else ""
    yield (
        f"{counted(len(records), 'configuration')} {_were(len(records))} tried: {proposed} proposed"
        f" by {how}{details}{beside}."
    )
    if spec.warm_start is not None and searcher.name not in ("random", "grid", "qmc"):
        yield "The searcher was also given the results of earlier sweeps."
    if results.search_end is not None:
        yield (
            f"The search was planned for {spec.trials} and ended earlier, by a rule on the"
            " estimated chance that further configurations would have been better."
        )


def _outside(results: Results) -> str:
    """How many of the enqueued configurations lie outside the ranges that were searched."""
    enqueued = [record for record in results.records if record.enqueued is not None]
    count = sum(not lies_in(results.spec.drawn, record.parameters) for record in enqueued)
    return f" ({count} of them outside the ranges)" if count else ""


def _counts(results: Results) -> Iterator[str]:
    if parts := _ends(results.records):
        yield f"Of these, {report_words.listed(parts)}."
    again = [run for run in results.replicates if run.replicate and run.replicate.in_search]
    if again:
        yield (
            f"{counted(len(again), 'further run')} of these configurations {_were(len(again))}"
            " trained on other folds or seeds during the search:"
            f" {report_words.listed(_ends(again))}."
        )
    if any(run.status is Status.DIVERGED for run in results.runs):
        guard = results.spec.guard
        when = ["its loss, gradient or weights were not finite"]
        if guard.on_nonfinite == "skip":
            when = ["too many steps had to be skipped because loss or gradient was not finite"]
        when += ["loss or gradient exploded"] if guard.exploded_factor is not None else []
        when += ["its predictions collapsed"] if guard.collapsed_epochs is not None else []
        yield (
            f"A run was ended as diverged if {', or if '.join(when)}. A configuration"
            " whose own run diverged ranks last, whatever it had reached."
        )


def _ends(records: Sequence[TrialRecord]) -> list[str]:
    """How many runs ended in each way."""
    by_hand = sum(record.is_stopped_by_hand for record in records)
    found = Counter(record.status for record in records)
    found[Status.PRUNED] -= by_hand
    parts = [f"{found[s]} {report_words.status(s)}" for s in Status if s.is_final and found[s]]
    parts += [f"{by_hand} stopped by hand"] if by_hand else []
    return parts + ([f"{found[Status.RUNNING]} not ended"] if found[Status.RUNNING] else [])


def _scheduler(results: Results) -> Iterator[str]:
    spec = results.spec
    scheduler = spec.scheduler
    if not isinstance(scheduler, StoppingScheduler):
        yield "No run was stopped by a comparison with others."
        return
    match scheduler:
        case HyperbandScheduler():
            how = (
                f"Hyperband (Li et al., 2018; reduction factor {scheduler.reduction_factor},"
                f" {scheduler.brackets or len(spec.rungs())} brackets)"
            )
        case AshaScheduler():
            waits = "; runs wait at a rung" if scheduler.pause else ""
            how = (
                f"asynchronous successive halving (ASHA; Li et al., 2020; the best 1 /"
                f" {scheduler.reduction_factor} continue{waits})"
            )
        case MedianScheduler():
            how = (
                "the median stopping rule (Golovin et al., 2017; from"
                f" {scheduler.min_trials} other runs on)"
            )
        case _:
            how = f"the plug-in `{scheduler.label}`"
    rungs = spec.rungs()
    if not rungs:
        yield f"Runs were too short to be compared and stopped by {how}."
        return
    at = report_words.listed([str(rung) for rung in rungs])
    if not isinstance(scheduler, AshaScheduler | HyperbandScheduler):  # after each from then on
        rungs = rungs[:1]
        at = f"{rungs[0]} or more"
    at = f"after {at} {'epoch' if at == '1' else 'epochs'}"
    if spec.compares_gains:
        least = [str(TRAINED_EPOCHS_PER_RESOURCE * rung) for rung in rungs]
        at += (
            " in which the run's geometric loss acted in full, but not before"
            f" {report_words.listed(least)} trained epochs"
        )
    yield f"Runs were compared {at}, by {_compared_value(spec)}, and stopped by {how}."


def _compared_value(spec: SweepSpec) -> str:
    """What a scheduler compares runs by."""
    objective = spec.judged_by
    if objective.others:
        names = report_words.listed([one.label for one in objective.each])
        return f"{names} in their best epoch so far, front by front (Schmucker et al., 2021)"
    if spec.compares_gains:
        return "their projected gain over the configuration without geometric loss"
    if isinstance(spec.scheduler, MedianScheduler):
        return f"their best {objective.label} so far"
    return f"their {objective.label} in that epoch"


def _condition(when: Conditions) -> str:
    written = [f"`{on}` is {_bounds(value)}" for on, value in when.as_yaml().items()]
    return f"; drawn where {report_words.listed(written)}" if written else ""


def _bounds(written: object) -> str:
    if isinstance(written, dict):
        return report_words.listed([f"{word} {bound:g}" for word, bound in written.items()])
    values = written if isinstance(written, list) else [written]
    return " or ".join(str(value) for value in values)


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
