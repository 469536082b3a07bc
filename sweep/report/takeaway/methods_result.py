"""The methods text on the selection: by what, with which result, statistics and effort."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import fmean

from sweep.analysis import report_words
from sweep.analysis.confirm.conclusions import kinds_of, unseen
from sweep.analysis.confirm.confirmation import Confirmation
from sweep.analysis.confirm.paired_comparison import LEAST_UNITS, LEVEL, folds_of, mean_of
from sweep.analysis.confirm.real_validations import real_dice
from sweep.analysis.confirm.test_scores import LEAST_CASES, LEAST_GROUPS, HeldOut
from sweep.analysis.figures.budget_figure import spent
from sweep.analysis.figures.sweep_results import Results
from sweep.report.takeaway.methods_training import Selected
from sweep.report.takeaway.winner_use import parameter_words
from sweep.spec.space.presets import BASELINE, PRESETS
from sweep.spec.words.phrases import counted
from sweep.spec.words.short_names import words
from sweep.vocabulary.class_scores import UNITS
from sweep.vocabulary.objective import DICE, VAL_DICE, Objective
from sweep.vocabulary.record import TrialRecord, distance_unit_of

PACKAGES = {
    "python": "Python",
    "torch": "PyTorch",
    "monai": "MONAI",
    "nnunetv2": "nnU-Net",
    "optuna": "Optuna",
    "numpy": "NumPy",
}
CITED = {"monai": " (Cardoso et al., 2022)"}
"""What follows a package's version."""


def selection_words(of: Selected) -> str:
    """By what the configuration was chosen, on which split, and which one it is."""
    return " ".join([*_criterion(of.results), *_finalists(of.results), *_chosen(of)])


def _criterion(results: Results) -> Iterator[str]:
    objective = results.objective
    yield (
        f"Configurations were ranked {objective.order} in the best epoch of each run, on the"
        " validation split."
    )
    if (repeated := results.spec.replicate) is not None:
        seeds = f" with {repeated.seeds} seeds each" if repeated.seeds > 1 else ""
        yield (
            "Those that could still be the best were trained on up to"
            f" {counted(repeated.folds, 'fold')}{seeds} during the search. They were ranked by the"
            " number of these runs with a result; of as many, those without a diverged run came"
            " first, then the better mean decided."
        )
    if objective.others:
        yield f"The best epoch is that of {objective.label}, which also decided within a front."
    if objective.metric == VAL_DICE and objective.dice == "validation" and _scores_cases(results):
        yield "Dice was averaged over cases, then over classes without background."
    is_real = any(real_dice(record) is not None for record in results.records)
    if is_real and results.confirmation is None and results.spec.replicate is None:
        yield "The first of these were then ranked by their Dice on whole validation cases."
    if not _scores_cases(results):
        return
    unit = distance_unit_of(results.records)
    if "hd95" in results.spec.evaluation.metrics and unit:
        yield (
            f"HD95 is in {unit}. Where prediction or reference is empty and the other is not, it is"
            " the image's diagonal."
        )
    if "nsd" in results.spec.evaluation.metrics and unit:
        tolerance = results.spec.evaluation.nsd_tolerance
        if isinstance(tolerance, float):
            yield f"NSD has a tolerance of {tolerance:g}{UNITS[unit]}."


def _scores_cases(results: Results) -> bool:
    """Whether the metrics are this package's own, rather than those of the trainer."""
    return "evaluation" in results.spec.trainer.traits.reads


def _finalists(results: Results) -> Iterator[str]:
    found = results.confirmation
    if found is None:
        if results.spec.replicate is None:
            yield "No configuration was trained again with another seed."
        else:
            yield "After the search, no configuration was trained again."
        return
    blocks = {block for one in found.finalists for block in one.scores}
    seeds, folds = {seed for seed, _ in blocks}, folds_of(one.scores for one in found.finalists)
    raced = ", in a race that dropped those that could not become first" if found.race else ""
    count, total = len(found.finalists), sum(len(one.replicates) for one in found.finalists)
    who = f"The {count} finalists were" if count > 1 else "One finalist was"
    if not blocks:
        yield f"{who} trained again ({counted(total, 'run')}), and none of these runs has a result."
        return
    where = f" on fold {min(folds)}" if found.has_folds else ""
    where = f" on {counted(len(folds), 'fold')}" if len(folds) > 1 else where
    yield (
        f"{who} trained again with {counted(len(seeds), 'further seed')}{where}{raced}"
        f" ({counted(total, 'run')}), and ranked by the mean {found.finalists[0].objective.label}"
        " over these runs alone."
    )
    if found.behind:
        yield "Finalists with more diverged runs than others, or without a result, rank behind."
    if found.unfinished:
        yield f"{counted(found.unfinished, 'run')} of these had not ended."


def _chosen(of: Selected) -> Iterator[str]:
    values = report_words.listed([f"`{one}`" for one in parameter_words(of.results, of.record)])
    named = f", the configuration `{of.record.preset}`{_own(of)}" if of.record.preset else ""
    found = of.results.confirmation
    told = found is not None and found.winner is not None
    alone = found is None and not of.results.objective.others
    how = "selected configuration" if told or alone else "first of the ranking"
    yield f"The {how} is {of.record.trial_id}{named}" + (f": {values}." if values else ".")
    if end := report_words.cut_short(of.record):
        yield f"Its run in the search was {end}."
    if found is not None and not told and len(found.tied) > 1:
        yield f"It cannot be told apart from {counted(len(found.tied) - 1, 'other finalist')}."


def _own(of: Selected) -> str:
    """What sets a preset's configuration apart from the others."""
    preset = of.record.preset or ""
    if preset == BASELINE:
        return " without geometric loss"
    own = PRESETS[preset].settings if preset in PRESETS else {}
    fixed = [f"`{key} = {words(v)}`" for key, v in own.items() if key not in of.results.spec.space]
    return f" ({', '.join(fixed)})" if fixed else ""


def result_words(of: Selected) -> str:
    """Values of the selected configuration: in the search, over replicates, on the test."""
    results, record, objective = of.results, of.record, of.results.objective
    parts = []
    if record.value is not None and record.best is not None:
        extreme = "highest" if objective.mode == "max" else "lowest"
        is_extreme = record.score == max(results.scores.values()) and len(results.scores) > 1
        every = "epochs and configurations" if is_extreme else "epochs of this configuration"
        parts.append(
            f"In the search its best {objective.label} was {objective.text(record.value)} (in epoch"
            f" {record.best.epoch} of {len(record.history)}, counted from 0). This value is"
            f" optimistic: it is the {extreme} of all {every}, on the cases that it was chosen by."
        )
        values = [(one, one.of_trial(record.history, record.best)) for one in objective.others]
        told = [f"{one.label} {one.text(value)}" for one, value in values if value is not None]
        parts += [f"By the other objectives it had {report_words.listed(told)}."] if told else []
    if record.replicated and (mean := record.mean_score) is not None:
        parts.append(
            f"The mean over its {1 + len(record.replicated)} runs of the search, by which it was"
            f" chosen, was {objective.text(objective.turned(mean))}. It is optimistic too."
        )
    if record.diverged_runs:
        parts.append(f"{counted(len(record.diverged_runs), 'more run')} of it diverged.")
    if (real := real_dice(record)) is not None:
        parts.append(f"Its Dice on whole validation cases was {DICE.text(real)}.")
        if further := [*_further_real_dice(results, record)]:
            all_runs, runs = DICE.text(fmean([real, *further])), 1 + len(further)
            parts.append(f"That is of its own run; the mean over {runs} runs was {all_runs}.")
    if results.confirmation is not None:
        parts += [*_mean(results.confirmation), *_further_means(results, results.confirmation)]
    parts += (
        _test(results, results.held_out) if results.held_out is not None else [_no_test(results)]
    )
    return " ".join(parts)


def _further_real_dice(results: Results, record: TrialRecord) -> Iterator[float]:
    """Dice on whole validation cases of a trial's replicates in the search."""
    for run in results.replicates:
        is_own = run.replicate and run.replicate.in_search and run.replicate.of == record.trial_id
        if is_own and (real := real_dice(run)) is not None:
            yield real


def _mean(found: Confirmation) -> Iterator[str]:
    first = found.finalists[0]
    if not first.scores:
        return
    objective = first.objective
    mean = objective.text(objective.turned(first.mean))
    how = "Student's t"
    if first.highest_of > 1:
        how += (
            f", allowing for its being the first of {first.highest_of} (Bonferroni; by the median"
            " variance of all of them where that reaches further down)"
        )
    ends = objective.interval(first.low, first.high)
    interval = f" ({ci})" if (ci := _interval(objective, *ends, how)) else ""
    yield (
        f"Over {counted(len(first.scores), 'further run')} its mean {objective.label} was"
        f" {mean}{interval}."
    )
    if first.diverged:
        yield f"{first.diverged} of {counted(len(first.replicates), 'run')} diverged."
    yield from filter(None, (*kinds_of(first), unseen(first)))


def _further_means(results: Results, found: Confirmation) -> Iterator[str]:
    """The means of the same runs by the other objectives, where each run has a value."""
    first = found.finalists[0]
    runs = {run.replicate.block: run for run in first.replicates if run.replicate}
    by_fold = len(folds_of([first.scores])) > 1
    told = []
    for objective in results.objective.others:
        values = {
            block: value
            for block in first.scores
            if (best := runs[block].best)
            and (value := objective.of_trial(runs[block].history, best)) is not None
        }
        if values and len(values) == len(first.scores):
            mean = mean_of(values, by_fold=by_fold)
            told.append(f"{objective.label} {objective.text(mean)}")
    if told:
        means = report_words.listed(told)
        yield f"By the other objectives, which decided nothing here, it was {means}."


def _test(results: Results, found: HeldOut) -> Iterator[str]:
    first = found.tested[0]
    groups = f" of {counted(first.group_count, 'group')}" if first.groups else ""
    least = f"{LEAST_CASES} cases" + (f" of {LEAST_GROUPS} groups" if groups else "")
    over = "cases, which are taken to be independent"
    if groups:
        over = (
            "groups of cases, with the jackknife's standard error (MacKinnon et al., 2023) and"
            " the degrees of freedom of the effective number of groups (Kish, 1965)"
        )
    interval = _interval(DICE, first.low, first.high, f"Student's t over {over}")
    interval = interval or f"no interval, which takes {least}"
    runs = f", mean over {first.runs} runs" if first.runs > 1 else ""
    yield (
        f"On the {counted(len(first.dice), 'test case')}{groups}, evaluated once after the"
        f" selection, {first.trial_id} had a mean Dice of {DICE.text(first.mean)}"
        f" ({interval}{runs})."
    )
    by_metric = {"hd95": first.hd95, **first.further}
    if told := [
        f"{one.label} {one.text(fmean(values.values()))}"
        for one in results.objective.others
        if (values := by_metric.get(one.metric))
    ]:
        yield f"There it had {report_words.listed(told)}."
    if (gain := found.over_baseline) is not None:
        how = f"paired by case{', over groups' if groups else ''}"
        paired = f" ({ci})" if (ci := _interval(DICE, gain.low, gain.high, how)) else ""
        yield (
            f"Its mean difference from the configuration without geometric loss was"
            f" {DICE.signed(gain.gain)}{paired}.".replace("-", "−")
        )


def _interval(objective: Objective, low: float, high: float, how: str) -> str:
    """Words for an interval; empty where there is none."""
    ends = f"{objective.text(low)} to {objective.text(high)}"
    return "" if math.isnan(low) else f"95 % confidence interval {ends}, {how}"


def _no_test(results: Results) -> str:
    if results.spec.has_test_cases:
        return "The test split was not evaluated."
    return "There is no result on cases that were not used for the selection."


def statistics_words(results: Results) -> str:
    """Which tests were made, with which correction; or that there was none."""
    found = results.confirmation
    if found is None:
        if len(results.ranked) < 2:
            return "There is no second configuration with a result to compare with."
        why = "with one run each, they cannot be told from those between seeds."
        if results.spec.replicate is not None:
            why = "the runs that chose a configuration cannot test it."
        return f"Differences between configurations were not tested: {why}"
    if len(found.compared) < 2:
        return "Finalists were not tested against each other: fewer than two could be compared."
    by_fold = found.comparison is not None and found.comparison.by_fold
    unit = "fold, as the mean over its seeds" if by_fold else "seed"
    if found.comparison is None or not found.comparison.is_telling:
        return (
            f"Finalists were not tested against each other: that takes {LEAST_UNITS} units (one a"
            f" {unit}) that all of them share."
        )
    if found.race is not None:
        test = (
            f"Finalists were compared by paired t-tests over units (one a {unit}), at several looks"
            f" with levels that keep the error over all looks at {report_words.percent(LEVEL)}"
            " (Wang and Tsiatis, 1987)."
        )
    else:
        test = (
            f"Finalists were compared by two-sided paired t-tests over {found.comparison.count}"
            f" units (one a {unit}). One is named the best only if it beats each of the others at p"
            f" < {LEVEL:g}, which needs no further correction (Gutmann and Maymin, 1987). Pairs are"
            " told apart after Holm's correction over all pairs (Holm, 1979)."
        )
    named = (
        f"{found.winner.trial_id} was named the best."
        if found.winner is not None
        else "By this rule no configuration was named the best."
    )
    return f"{test} {named}"


def effort_words(of: Selected) -> str:
    """Software, hardware, and what all runs took together."""
    start, results = of.start, of.results
    budget = spent(results)
    epochs, seconds = sum(p.epochs for p in budget), sum(p.seconds for p in budget)
    shared = sum(part.shared_epochs for part in budget)
    parts = []
    if start.code.version:
        commit = f", commit {start.code.commit[:10]}" if start.code.commit else ""
        changed = ", with local changes" if start.code.diff else ""
        parts.append(f"Software: medical-sweep {start.code.version}{commit}{changed}")
        versions = {name: version for name, version in start.versions.items() if _used(name, of)}
        own = [f"{PACKAGES.get(n, n)} {v}{CITED.get(n, '')}" for n, v in versions.items() if v]
        parts[-1] += f"; {', '.join(own)}." if own else "."
    if sentence := results.texts.words(of.record.trial_id):
        parts.append(sentence)
    if start.machine.device:
        cuda = f", CUDA {start.machine.cuda}" if start.machine.cuda else ""
        parts.append(f"{of.record.trial_id} was trained on: {start.machine.device}{cuda}.")
    runs = len(results.records) + len(results.replicates)
    every = f"All {runs} runs together" if runs > 1 else "The one run"
    parts.append(
        f"{every} trained {counted(epochs, 'epoch')} in"
        f" {report_words.duration(seconds)} (wall time of the epochs, summed over runs)."
    )
    if shared:
        parts.append(
            f"{counted(shared, 'epoch')} more of shared warm-ups were trained once and"
            " not repeated."
        )
    return " ".join(parts)


def _used(package: str, of: Selected) -> bool:
    """Whether a package that is installed had a part in this sweep, as far as its spec says."""
    spec = of.results.spec
    known = {
        "monai": "network" in spec.trainer.traits.reads,
        "nnunetv2": "nnunetv2" in spec.trainer.traits.packages,
        "optuna": spec.searcher.name in ("tpe", "gp", "cmaes", "qmc"),
        "ray": False,  # which executor trained is not recorded
    }
    return known.get(package, True)
