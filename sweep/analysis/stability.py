"""Where trials diverge: a map of counts, with an estimate that says how little they prove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy.stats import beta

from sweep.analysis.axes import Cells, Scale, short_names, words
from sweep.analysis.exhibit import Exhibit
from sweep.analysis.importance import importance_for_divergence
from sweep.analysis.results import Results
from sweep.analysis.style import INK, PALE_TO_ALARM, finished, thinned
from sweep.analysis.words import percent
from sweep.record import ParameterValue, Status, TrialRecord
from sweep.spec.extents import WEIGHTS

EPSILON = "loss.sqrt_epsilon"
FIRST_COLUMNS = ("loss.warmup_epochs", *WEIGHTS)
MOST_MAPS = 4
MOST_MARKS = 150
"""Trials of one kind that are marked on a map, beside its counts."""
PRIOR = 0.5
"""Jeffreys' prior of a proportion: Beta(½, ½)."""
LEVEL = 0.9
"""Of the credible intervals."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often trials diverged in one region.

    Args:
        diverged, trials: counts.
    """

    diverged: int
    trials: int

    @property
    def mean(self) -> float:
        """Posterior mean of the probability of divergence: (k + ½) / (n + 1)."""
        return (self.diverged + PRIOR) / (self.trials + 2 * PRIOR)

    @property
    def interval(self) -> tuple[float, float]:
        """Equal-tailed credible interval of 90 %, up to 0 or 1 where none or all diverged."""
        a, b = self.diverged + PRIOR, self.trials - self.diverged + PRIOR
        tail = (1 - LEVEL) / 2
        low = 0.0 if self.diverged == 0 else float(beta.ppf(tail, a, b))
        high = 1.0 if self.diverged == self.trials else float(beta.ppf(1 - tail, a, b))
        return low, high

    @property
    def words(self) -> str:
        low, high = self.interval
        return f"{self.diverged} of {self.trials} ({percent(low)} to {percent(high)})"


def rate_of(records: Sequence[TrialRecord]) -> Rate:
    return Rate(sum(r.status is Status.DIVERGED for r in records), len(records))


def stability_map(results: Results) -> Exhibit:
    """Probability of divergence over pairs of parameters, with the trials that it is made from."""
    at_risk = results.at_risk
    pairs = _pairs(results)
    return Exhibit(
        name="stability",
        title="Where trials diverge",
        finding=_finding(results, at_risk, pairs),
        reading=(
            "Each field tells how many of its trials diverged; its shade is the posterior mean "
            "(k + ½)/(n + 1) of the probability under Jeffreys' prior, its 90 % interval appears "
            "under the pointer. A field without a number has no trial: nothing is known there, "
            "and nothing is smoothed into it. Trials that were pruned before their geometric loss "
            "acted, failed ones and presets from outside the space are left out. The other "
            "parameters vary within a field."
        ),
        figure=_maps(results, at_risk, pairs) if at_risk and pairs else None,
    )


def _pairs(results: Results) -> list[tuple[str, str]]:
    """(column, row) parameters of each map: ε against warm-up and weights where these vary."""
    found = importance_for_divergence(results)
    order = list(found.shares) if found else []
    order += [name for name in results.varied if name not in order]
    if len(order) < 2:
        return [(name, name) for name in order]
    row = EPSILON if EPSILON in order else order[0]
    columns = [name for name in FIRST_COLUMNS if name in order and name != row]
    columns = columns or [name for name in order if name != row][:2]
    return [(column, row) for column in columns[:MOST_MAPS]]


def _finding(results: Results, at_risk: Sequence[TrialRecord], pairs: list[tuple[str, str]]) -> str:
    if not at_risk:
        return "No trial has ended with its geometric loss at work: nothing to tell yet."
    overall = rate_of(at_risk)
    told = f"{overall.diverged} of {overall.trials} trials at risk diverged."
    if not pairs or overall.diverged in (0, overall.trials):
        low, high = overall.interval
        return f"{told} 90 % interval of the probability: {percent(low)} to {percent(high)}."
    name = pairs[0][1]
    cells = _cells(results, name, len(at_risk))
    rates = {
        label: rate_of([r for r in at_risk if _cell(cells, r) == cell])
        for cell, label in enumerate(cells.labels)
    }
    seen = {label: rate for label, rate in rates.items() if rate.trials}
    worst = max(seen, key=lambda label: seen[label].mean)
    best = min(seen, key=lambda label: seen[label].mean)
    return (
        f"{told} Most with {name} = {worst}: {seen[worst].words}; fewest with {best}:"
        f" {seen[best].words}. In brackets 90 % intervals of the probability."
    )


def _cells(results: Results, name: str, trials: int) -> Cells:
    return results.axes[name].cells(3 if trials < 50 else 5 if trials < 300 else 8)


def _maps(
    results: Results, at_risk: Sequence[TrialRecord], pairs: list[tuple[str, str]]
) -> go.Figure:
    short = short_names(results.parameters)
    columns = min(2, len(pairs))
    rows = -(-len(pairs) // columns)
    figure = make_subplots(
        rows=rows, cols=columns, horizontal_spacing=0.14, vertical_spacing=0.32 / rows
    )
    for n, (across, up) in enumerate(pairs):
        place = {"row": n // columns + 1, "col": n % columns + 1}
        x, y = (_cells(results, name, len(at_risk)) for name in (across, up))
        figure.add_trace(_shades(x, y, at_risk, first=n == 0), **place)
        for trace in _points(x, y, at_risk, first=n == 0):
            figure.add_trace(trace, **place)
        for update, cells, name in (
            (figure.update_xaxes, x, across),
            (figure.update_yaxes, y, up),
        ):
            update(
                title=short[name],
                tickvals=list(range(len(cells.labels))),
                ticktext=list(cells.labels),
                range=[-0.5, len(cells.labels) - 0.5],
                automargin=True,
                **place,
            )
    return finished(figure, height=100 + 300 * rows)


def _shades(x: Cells, y: Cells, at_risk: Sequence[TrialRecord], *, first: bool) -> go.Heatmap:
    fields: dict[tuple[int, int], list[TrialRecord]] = {}
    for record in at_risk:
        fields.setdefault((_cell(x, record), _cell(y, record)), []).append(record)
    rates = [
        [rate_of(fields.get((across, up), [])) for across in range(len(x.labels))]
        for up in range(len(y.labels))
    ]
    return go.Heatmap(
        z=[[rate.mean if rate.trials else None for rate in row] for row in rates],
        text=[[f"{r.diverged}/{r.trials}" if r.trials else "" for r in row] for row in rates],
        customdata=[[rate.words for rate in row] for row in rates],
        texttemplate="%{text}",
        hovertemplate="diverged: %{customdata}<extra></extra>",
        hoverongaps=False,
        zmin=0,
        zmax=1,
        colorscale=PALE_TO_ALARM,
        showscale=first,
        colorbar={"title": "probability of<br>divergence", "tickformat": ".0%", "thickness": 12},
        xgap=2,
        ygap=2,
    )


def _points(x: Cells, y: Cells, at_risk: Sequence[TrialRecord], *, first: bool) -> list[go.Scatter]:
    """The trials in their fields, beside the count in the middle."""
    traces = []
    for name, symbol, diverged in (("diverged", "x", True), ("did not", "circle", False)):
        shown = [r for r in at_risk if (r.status is Status.DIVERGED) is diverged]
        shown = list(thinned(shown, MOST_MARKS))
        traces.append(
            go.Scatter(
                x=[_spread(x, r, n) for n, r in enumerate(shown)],
                y=[_spread(y, r, 3 * n + 1) for n, r in enumerate(shown)],
                mode="markers",
                name=name,
                legendgroup=name,
                showlegend=first,
                marker={
                    "symbol": symbol,
                    "size": (7 if diverged else 6) if len(at_risk) < 100 else 4,
                    "color": INK if diverged else "#ffffff",
                    "line": {"width": 1, "color": "#ffffff" if diverged else INK},
                },
                cliponaxis=False,
                text=[_hover(r, (x.axis.name, y.axis.name)) for r in shown],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    return traces


def _spread(cells: Cells, record: TrialRecord, n: int) -> float:
    """Where the value lies; where many share it, anywhere but in the middle with its count."""
    if isinstance(cells.axis, Scale) and not cells.axis.whole:
        return cells.place(record.parameters[cells.axis.name])
    golden = (n * 0.618034 + 0.1) % 1.0
    return _cell(cells, record) + (-0.42 + 0.26 * golden if n % 2 else 0.16 + 0.26 * golden)


def _cell(cells: Cells, record: TrialRecord) -> int:
    return cells.index(record.parameters[cells.axis.name])


def _hover(record: TrialRecord, names: tuple[str, ...]) -> str:
    values: list[ParameterValue] = [record.parameters[name] for name in names]
    told = ", ".join(f"{n} = {words(v)}" for n, v in zip(names, values, strict=True))
    return f"{record.trial_id} {record.status}: {told}"
