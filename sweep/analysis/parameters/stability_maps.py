"""Where trials diverge: the choice of maps, and the finding."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.analysis.divergence_rates import LEAST_EVIDENCE, DivergenceRate, rate_of
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.sweep_results import Results, divergence_epoch
from sweep.analysis.parameters.importance import importance_for_divergence
from sweep.analysis.parameters.stability_figure import Map, cell_of, cells_of, draw_maps
from sweep.analysis.report_words import percent, trials
from sweep.spec.settings.geometric_terms import WEIGHTS
from sweep.spec.words.phrases import counted
from sweep.spec.words.short_names import short_names

EPSILON = "loss.sqrt_epsilon"
WARMUP = "loss.warmup_epochs"
FIRST_COLUMNS = (WARMUP, *WEIGHTS)
MOST_MAPS = 4
THIRDS = 3


def stability_map(results: Results) -> ReportFigure:
    """Probability of divergence over ε, warm-up and weights, with the trials that it rests on."""
    pairs = _pairs(results)
    maps = [*pairs, *_thirds(results, pairs)]
    exposures = list(results.exposures.values())
    overall = rate_of(exposures) if exposures else None
    any_diverged = overall is not None and overall.diverged > 0  # else maps show only the prior
    since = " since its geometric loss switched on" if results.counts_from_switch_on else ""
    left_out = "Presets"
    if results.has_geometry:
        left_out = "Trials that ended before their geometric loss acted and presets"
    has_conditions = any(kind.when for kind in results.spec.drawn.values())
    thirds = ""
    if len(maps) > len(pairs):
        weight = short_names(results.parameters)[maps[-1].across]
        found = importance_for_divergence(results)
        if found is not None and not found.is_noise:
            weight += ", the weight that matters most by fANOVA,"
        thirds = f"; the last row splits the map of {weight} by the length of the warm-up"
    return ReportFigure(
        name="stability",
        title="Where trials diverge",
        finding=_finding(results, overall, pairs),
        reading=(
            "Each field shows how probable it is that one of its trials diverges in a complete "
            "training, estimated from the epochs for which they were at risk, and how many of "
            "them did. A trial that was pruned, stopped early or still trains counts for the "
            f"epochs that it has{since}, not as completed; the interval in the hover text shows "
            f"how uncertain that is. Counts alone: fewer than {LEAST_EVIDENCE} trials' worth of "
            "evidence, or no trial diverged and none completed. A field without counts has no "
            f"trial, and nothing is smoothed into it. {left_out} from outside the space are left "
            f"out. The other parameters vary within a field{thirds}."
            + " A trial that does not draw both parameters of a map is not on it."
            * has_conditions
        ),
        figure=draw_maps(results, maps) if pairs and any_diverged else None,
    )


def _pairs(results: Results) -> list[Map]:
    """The maps over two parameters: ε against warm-up and weights, where these vary."""
    order = _by_importance(results)
    if len(order) < 2:
        return [Map(name, name) for name in order]
    row = EPSILON if EPSILON in order else order[0]
    columns = [name for name in FIRST_COLUMNS if name in order and name != row]
    columns = columns or [name for name in order if name != row][:2]
    return [Map(column, row) for column in columns[:MOST_MAPS]]


def _thirds(results: Results, pairs: Sequence[Map]) -> list[Map]:
    """ε against the first weight of `_by_importance`, for short, middle and long warm-ups.

    Those without any trial are left out: plotly cannot place the axes of an empty panel.
    """
    weights = [name for name in _by_importance(results) if name in results.spec.loss.weights.keys]
    drawn = {name for pair in pairs for name in (pair.across, pair.up)}
    if not weights or not {EPSILON, WARMUP} <= drawn:
        return []
    warmups = results.axes[WARMUP].cells(THIRDS)
    count = len(warmups.labels)
    if not 1 < count <= THIRDS:
        return []
    thirds = [Map(weights[0], EPSILON, (warmups, cell)) for cell in range(count)]
    return [third for third in thirds if third.of(results.at_risk)]


def _by_importance(results: Results) -> list[str]:
    """Varied parameters in falling importance for divergence, or in the file's order."""
    found = importance_for_divergence(results)
    order = list(found.shares) if found else []
    return order + [name for name in results.varied if name not in order]


def _cut_short(rate: DivergenceRate) -> str:
    return f"{rate.cut_short} {'was' if rate.cut_short == 1 else 'were'} cut short"


def _finding(results: Results, overall: DivergenceRate | None, pairs: Sequence[Map]) -> str:
    extremes = ""
    if overall is None:
        sentence = "No trial has trained with what the search varies at work yet."
    elif not overall.diverged:
        sentence = f"None of {counted(overall.trials, 'trial')} at risk diverged"
        if overall.cut_short:
            seen = f"{overall.observed} of {overall.whole} epochs at risk"
            sentence += f"; {_cut_short(overall)}, {seen} were observed"
        if overall.is_open:
            sentence += ": too little to say how many would in a complete training."
        else:  # without an estimate, which would be that of the prior
            interval = overall.interval_words
            sentence += f": in a complete training {interval} would (90 % interval)."
    else:
        sentence = f"{overall.diverged} of {counted(overall.trials, 'trial')} at risk diverged"
        has_extremes = pairs and overall.diverged < overall.trials
        if overall.cut_short:
            sentence += (
                f"; {_cut_short(overall)} ({overall.observed} of {overall.whole}"
                " epochs at risk were observed). In a complete training an estimated"
                f" {percent(overall.mean)} would (90 % interval {overall.interval_words})"
            )
        elif not has_extremes:
            sentence += f". 90 % interval of the probability: {overall.interval_words}"
        sentence += "."
        extremes = _extremes(results, pairs[0].up, overall.trials) if has_extremes else ""
    return " ".join(filter(None, [sentence, extremes, _diverged_before_words(results)]))


def _extremes(results: Results, name: str, count: int) -> str:
    """The cells of a parameter with the most and the fewest divergences."""
    cells = cells_of(results, name, count)
    drawn = [record for record in results.at_risk if name in record.parameters]
    every = {
        label: [results.exposures[one.trial_id] for one in drawn if cell_of(cells, one) == cell]
        for cell, label in enumerate(cells.labels)
    }
    known = {label: own for label, own in every.items() if not rate_of(own).is_guess}
    if len(known) < 2:
        return ""
    # The most and the fewest are picked by their estimates, which intervals have to allow for.
    seen = {label: rate_of(own, among=len(known)) for label, own in known.items()}
    worst = max(seen, key=lambda label: seen[label].mean)
    best = min(seen, key=lambda label: seen[label].mean)
    return (
        f"Most with {name} = {worst}: {seen[worst].words}; fewest with {best}: {seen[best].words}."
        f" In brackets intervals of the probability: those of all {len(seen)} hold together with"
        " 90 %."
    )


def _diverged_before_words(results: Results) -> str:
    early = [
        record
        for record in results.diverged
        if (start := results.switch_on(record)) is not None and divergence_epoch(record) < start
    ]
    if not early or not results.counts_from_switch_on:
        return ""
    return (
        f"{counted(len(early), 'trial')} diverged before the geometric loss acted"
        f" ({trials(early)}): none of its settings had a part in that, so the maps leave"
        f" {'it' if len(early) == 1 else 'them'} out."
    )
