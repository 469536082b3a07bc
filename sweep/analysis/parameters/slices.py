"""The objective over each parameter alone.

`optuna.visualization.plot_slice` leaves out diverged trials, colours by number alone and does not
name trials on hover.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy.stats import spearmanr

from sweep.analysis.figures import figure_style as style
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.sweep_results import Results, diverged
from sweep.analysis.parameter_axes import Axis, even_ticks
from sweep.analysis.parameters.importance import by_importance, importance_for_dice, order_words
from sweep.analysis.report_words import correlation, status
from sweep.spec.words.short_names import short_names, words
from sweep.vocabulary.record import ParameterValue, Status, TrialRecord

MOST_SLICES = 9
COLUMNS = 3
ROW, GAP, HEAD_AND_FOOT = 260, 88, 104
"""Pixels of a row of panels with the gap below it, of that gap, and of the figure's margins."""
LEAST_TRIALS = 10
"""Trials below which no correlation is given. p is that of Student's t, which for five trials is
0.04 at ρ = 0.9, although chance reaches that in 8 % of cases."""
DRAWN = (Status.PRUNED, Status.EARLY_STOPPED, Status.COMPLETED, Status.DIVERGED)
"""Statuses in the order in which they are drawn, the last on top."""
MOST_POINTS = 4500
"""Points of all panels together: more of them slow a browser down and show nothing more."""
_BARS = (
    " Its bar shows by how much such an expectation was wrong for trials that trained on, or its"
    " bounds where too few did. Pruned trials are others than those: in simulation the bars held"
    " half of what they would have reached."
)
HOLLOW = "#5f7a91"
"""Colour of the outlines and bars of expected values."""
JITTER = 0.04
"""Largest distance by which a point is moved aside where many share its place."""


def slices(results: Results) -> ReportFigure:
    """The best of the objective over each varied parameter; diverged trials at the worse edge."""
    names, objective = by_importance(results)[:MOST_SLICES], results.objective
    foot = "foot" if objective.mode == "max" else "top"
    crosses = f" ✕ at the {foot}: trials that diverged there." if diverged(results.inside) else ""
    return ReportFigure(
        name="slices",
        title=f"{objective.opening} over each parameter",
        finding=_finding(results),
        reading=(
            f"{objective.opening} of each trial over one parameter, all others as they came. "
            f"Panels: {order_words(importance_for_dice(results))}. {results.compared_words}"
            f"{_BARS if results.expected else ''}"
            f"{crosses} {_drawn(results, names)}{_outside(results)}"
            "A searcher that learns puts its trials where it has seen good ones, so density is no "
            "evidence."
        ),
        figure=_figure(results, names) if names and results.compared else None,
    )


def correlations(results: Results) -> dict[str, tuple[float, float]]:
    """Spearman's ρ of each varied parameter with the comparable value, and its two-sided p-value.

    Constant parameters, and those whose values have no order, are left out.
    """
    found = {}
    for name in results.varied:
        records = results.acting(results.compared, name)
        reached = [results.comparable_values[record.trial_id] for record in records]
        values = [record.parameters[name] for record in records]
        differ = len({repr(value) for value in values}) > 1 and len(set(reached)) > 1
        in_order = all(isinstance(value, int | float) for value in values)
        if differ and in_order and len(values) >= LEAST_TRIALS:
            test = spearmanr([results.axes[name].position(value) for value in values], reached)
            found[name] = float(test.statistic), float(test.pvalue)
    return found


def _finding(results: Results) -> str:
    found = correlations(results)
    if not found:
        return f"Too few trials with a comparable {results.objective.short} to show a trend."
    name = max(found, key=lambda key: abs(found[key][0]))
    rho, p = found[name]
    corrected = min(1.0, p * len(found))
    trials = results.acting(results.compared, name)
    verdict = f"{'' if corrected < 0.05 else 'no '}more than chance would show"
    if corrected < 0.05 and results.spec.searcher.learns:
        verdict += " if trials were independent, which those of a searcher that learns are not"
    direction = "rises" if rho > 0 else "falls"
    strength = correlation(rho, "+")
    p_words = "p < 0.001" if corrected < 0.001 else f"p = {corrected:.2g}"
    sentence = (
        f"Strongest trend: {results.objective.short} {direction} with {name} (Spearman's ρ = "
        f"{strength} over {len(trials)} trials, {p_words} corrected for {len(found)} parameters),"
        f" {verdict}."
    )
    if count := sum(record.trial_id in results.expected for record in trials):
        are = "is" if count == 1 else "are"
        sentence += f" {count} of {len(trials)} values {are} expected, not measured."
    return sentence


def _figure(results: Results, names: Sequence[str]) -> go.Figure:
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    short = short_names(results.parameters)
    figure = make_subplots(
        rows=rows, cols=columns, shared_yaxes=True, horizontal_spacing=0.04,
        vertical_spacing=GAP / (ROW * rows),
    )  # fmt: skip
    low, high = _ends(results)
    away = 0.12 * max(high - low, 0.01 * max(abs(low), abs(high)), 1e-9)
    edge = low - away if results.objective.mode == "max" else high + away
    shown = [*results.compared, *diverged(results.inside)]
    groups = {
        state: style.thinned([record for record in shown if record.status is state], _most(names))
        for state in DRAWN
    }
    for n, name in enumerate(names):
        place = {"row": n // columns + 1, "col": n % columns + 1}
        axis = results.axes[name]
        for state, records in groups.items():
            if acting := results.acting(records, name):
                dots = _dots(results, axis, state, acting, edge)
                figure.add_trace(dots.update(showlegend=n == 0), **place)
        figure.update_xaxes(title=short[name], **style.ticks(axis.ticks), range=axis.span, **place)
    marked = [(edge, "diverged")] * bool(groups[Status.DIVERGED])
    ends = min(low, edge), max(high, edge)
    margin = 0.06 * (ends[1] - ends[0])
    figure.update_yaxes(
        range=[ends[0] - margin, ends[1] + margin],
        **style.ticks([*marked, *even_ticks(low, high)]),
    )
    for row in range(1, rows + 1):
        figure.update_yaxes(title=results.objective.heading, row=row, col=1)
    return style.finished(figure, height=HEAD_AND_FOOT + ROW * rows)


def _most(names: Sequence[str]) -> int:
    """Trials of one status that each panel shows."""
    return MOST_POINTS // (3 * max(len(names), 3))


def _drawn(results: Results, names: Sequence[str]) -> str:
    shown = [*results.compared, *diverged(results.inside)]
    counts = [sum(record.status is state for record in shown) for state in DRAWN]
    drawn = sum(min(count, _most(names)) for count in counts)
    return f"{drawn} of {len(shown)} trials are drawn, evenly. " if drawn < len(shown) else ""


def _outside(results: Results) -> str:
    if not results.compared:
        return ""
    return style.outside(results.comparable_values.values(), [*_ends(results)], "trial")


def _ends(results: Results) -> tuple[float, float]:
    """The lowest and the highest value in the frame, which fits the best quarter."""
    values = list(results.comparable_values.values())
    seen = style.frame(values, values[: len(values) // 4 + 1])
    inside = [value for value in values if seen is None or seen[0] <= value <= seen[1]]
    return min(inside), max(inside)


def _places(axis: Axis, values: Sequence[ParameterValue]) -> list[float]:
    """Positions; where many trials share few values, scattered around each so that all are seen."""
    places = [axis.position(value) for value in values]
    distinct = sorted(set(places))
    if len(distinct) < 2 or len(places) < 4 * len(distinct):
        return places
    gap = min(b - a for a, b in pairwise(distinct))
    width = min(0.5 * gap, 2 * JITTER)
    return [place + width * (style.scattered(n) - 0.5) for n, place in enumerate(places)]


def _dots(
    results: Results, axis: Axis, state: Status, records: Sequence[TrialRecord], edge: float
) -> go.Scatter:
    look, is_cross, few = style.LOOKS[state], state is Status.DIVERGED, len(records) < 200
    values = [record.parameters[axis.name] for record in records]
    y = [results.comparable_values.get(record.trial_id, edge) for record in records]
    expected = any(record.trial_id in results.expected for record in records)
    texts = [
        f"{r.trial_id}: {words(v)}{_measured(results, r)}"
        for r, v in zip(records, values, strict=True)
    ]
    marker = {
        "color": HOLLOW if expected else look.color,  # an outline has less ink than a filled mark
        "symbol": f"{look.symbol}-open" if expected else look.symbol,
        "size": 7 if few else 4,
        "opacity": 0.9 if few else 0.5,
        "line": {
            "width": 1.5 if is_cross or expected else 0.5,
            "color": look.color if is_cross else style.INK,
        },
    }
    objective = results.objective
    return style.marks(
        zip(_places(axis, values), y, texts, strict=True),
        marker,
        under=""
        if is_cross
        else f", {objective.short} %{{y:{objective.d3}}}{' expected' * expected}",
        ids=[record.trial_id for record in records],
        name=f"{status(state)}{' (expected, not measured)' if expected else ''}",
        legendgroup=state.value,
        **({"error_y": _bars(results, records)} if expected else {}),
    )


def _measured(results: Results, record: TrialRecord) -> str:
    """What a trial had reached whose value is expected; else empty."""
    found, objective = results.expected.get(record.trial_id), results.objective
    if found is None:
        return ""
    reached = objective.text(objective.turned(found.measured))
    return f", {objective.short} {reached} measured in {len(record.history)} epochs"


def _bars(results: Results, records: Sequence[TrialRecord]) -> dict[str, Any]:
    """Between which values each of these expectations may lie."""
    found = [results.expected[record.trial_id] for record in records]
    above = [one.high - one.score for one in found]
    below = [one.score - one.low for one in found]
    array, minus = (above, below) if results.objective.mode == "max" else (below, above)
    bars = {"type": "data", "symmetric": False, "array": array, "arrayminus": minus}
    return bars | {"color": HOLLOW, "thickness": 1, "width": 0}
