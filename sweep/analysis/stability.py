"""Where trials diverge: a map of counts, with an estimate that says how little they prove."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
WARMUP = "loss.warmup_epochs"
FIRST_COLUMNS = (WARMUP, *WEIGHTS)
MOST_MAPS = 4
THIRDS = 3
MOST_BOUNDS = 6
"""Bounds of cells that fit under a map as numbers."""
DARK = 0.6
"""Probability from which a shade is too dark for dark text."""
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


@dataclass(frozen=True, slots=True)
class Map:
    """One map of the figure.

    Args:
        across, up: the parameters of its axes.
        within: a third parameter and the one cell of it whose trials are shown; None: all trials.
    """

    across: str
    up: str
    within: tuple[Cells, int] | None = None

    @property
    def title(self) -> str:
        if self.within is None:
            return ""
        cells, cell = self.within
        return f"{cells.axis.name.rpartition('.')[2]} {cells.labels[cell]}"

    def of(self, records: Sequence[TrialRecord]) -> list[TrialRecord]:
        """Those of the trials that belong on this map."""
        if self.within is None:
            return list(records)
        cells, cell = self.within
        return [record for record in records if _cell(cells, record) == cell]


def stability_map(results: Results) -> Exhibit:
    """Probability of divergence over ε, warm-up and weights, with the trials that it rests on."""
    at_risk = results.at_risk
    pairs = _pairs(results)
    maps = [*pairs, *_thirds(results, pairs)]
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
            "parameters vary within a field"
            + (
                "; the last row takes the map of the weight that matters most apart by the "
                "length of the warm-up."
                if len(maps) > len(pairs)
                else "."
            )
        ),
        figure=_maps(results, at_risk, maps) if at_risk and pairs else None,
    )


def _pairs(results: Results) -> list[Map]:
    """The maps over two parameters: ε against warm-up and weights where these vary."""
    order = _by_importance(results)
    if len(order) < 2:
        return [Map(name, name) for name in order]
    row = EPSILON if EPSILON in order else order[0]
    columns = [name for name in FIRST_COLUMNS if name in order and name != row]
    columns = columns or [name for name in order if name != row][:2]
    return [Map(column, row) for column in columns[:MOST_MAPS]]


def _thirds(results: Results, pairs: Sequence[Map]) -> list[Map]:
    """ε against the weight that matters most, for short, middle and long warm-ups."""
    weights = [name for name in _by_importance(results) if name in WEIGHTS]
    if {EPSILON, WARMUP} - {name for pair in pairs for name in (pair.across, pair.up)}:
        return []
    warmups = results.axes[WARMUP].cells(THIRDS)
    found = [Map(weights[0], EPSILON, (warmups, n)) for n in range(len(warmups.labels)) if weights]
    return found if 1 < len(found) <= THIRDS else []


def _by_importance(results: Results) -> list[str]:
    """Varied parameters, the more important for divergence first."""
    found = importance_for_divergence(results)
    order = list(found.shares) if found else []
    return order + [name for name in results.varied if name not in order]


def _finding(results: Results, at_risk: Sequence[TrialRecord], pairs: Sequence[Map]) -> str:
    if not at_risk:
        return "No trial has ended with its geometric loss at work: nothing to tell yet."
    overall = rate_of(at_risk)
    told = f"{overall.diverged} of {overall.trials} trials at risk diverged."
    if not pairs or overall.diverged in (0, overall.trials):
        low, high = overall.interval
        return f"{told} 90 % interval of the probability: {percent(low)} to {percent(high)}."
    name = pairs[0].up
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
    axis = results.axes[name]
    most = 3 if trials < 50 else 5 if trials < 300 else 8
    is_continuum = isinstance(axis, Scale) and not axis.whole
    return axis.cells(min(most, MOST_BOUNDS - 1) if is_continuum else most)


def _maps(results: Results, at_risk: Sequence[TrialRecord], maps: Sequence[Map]) -> go.Figure:
    """Maps of all trials in two columns, below them those of a part in three."""
    short = short_names(results.parameters)
    whole = [one for one in maps if one.within is None]
    figure = _grid(maps, len(whole))
    for n, one in enumerate(maps):
        records = one.of(at_risk)
        columns, first = (2, 0) if n < len(whole) else (THIRDS, len(whole))
        columns = min(columns, len(maps))
        rows_above = 0 if n < len(whole) else -(-len(whole) // 2)
        row, column = divmod(n - first, columns)
        place = {"row": rows_above + row + 1, "col": column * (6 // columns) + 1}
        x, y = (_cells(results, name, len(at_risk)) for name in (one.across, one.up))
        rates = _rates(x, y, records)
        figure.add_trace(_shades(rates, first=n == 0), **place)
        for trace in [*_points(x, y, records, many=len(at_risk) >= 100, first=n == 0)]:
            figure.add_trace(trace, **place)
        figure.add_trace(_counts(rates), **place)
        for update, cells, name in (
            (figure.update_xaxes, x, one.across),
            (figure.update_yaxes, y, one.up),
        ):
            update(
                title="" if cells is y and column else short[name],  # one row, one parameter
                tickvals=[at for at, _ in cells.ticks],
                ticktext=[text for _, text in cells.ticks],
                tickangle=0,
                range=[-0.5, len(cells.labels) - 0.5],
                automargin=True,
                **place,
            )
    rows = -(-len(whole) // 2) + (len(maps) > len(whole))
    return finished(figure, height=100 + 290 * rows)


def _grid(maps: Sequence[Map], whole: int) -> go.Figure:
    """Empty axes: a sixth of the width is the unit."""
    wide = {"colspan": 6 if len(maps) == 1 else 3}
    rows: list[list[dict[str, int] | None]] = []
    for start in range(0, whole, 2):
        count = min(2, whole - start)
        rows.append(([wide, *[None] * (wide["colspan"] - 1)] * count + [None] * 3)[:6])
    if whole < len(maps):
        rows.append([{"colspan": 2}, None] * THIRDS)
    return make_subplots(
        rows=len(rows),
        cols=6,
        specs=rows,
        subplot_titles=[one.title for one in maps],
        horizontal_spacing=0.075,
        vertical_spacing=0.34 / len(rows),
    )


def _rates(x: Cells, y: Cells, records: Sequence[TrialRecord]) -> list[list[Rate]]:
    """Of each field, row by row from below."""
    fields: dict[tuple[int, int], list[TrialRecord]] = {}
    for record in records:
        fields.setdefault((_cell(x, record), _cell(y, record)), []).append(record)
    return [
        [rate_of(fields.get((across, up), [])) for across in range(len(x.labels))]
        for up in range(len(y.labels))
    ]


def _shades(rates: list[list[Rate]], *, first: bool) -> go.Heatmap:
    return go.Heatmap(
        z=[[rate.mean if rate.trials else None for rate in row] for row in rates],
        text=[[f"{r.diverged}/{r.trials}" if r.trials else "" for r in row] for row in rates],
        customdata=[[rate.words for rate in row] for row in rates],
        hovertemplate="diverged: %{customdata}<extra></extra>",
        hoverongaps=False,
        zmin=0,
        zmax=1,
        colorscale=PALE_TO_ALARM,
        showscale=first,
        colorbar={
            "title": {"text": "probability of divergence", "side": "right"},
            "tickformat": ".0%",
            "thickness": 12,
            "lenmode": "pixels",
            "len": 260,
            "y": 1,
            "yanchor": "top",
        },
        xgap=2,
        ygap=2,
    )


def _counts(rates: list[list[Rate]]) -> go.Scatter:
    """The counts, over the marks of the trials."""
    seen = [(x, y, rate) for y, row in enumerate(rates) for x, rate in enumerate(row)]
    seen = [field for field in seen if field[2].trials]
    return go.Scatter(
        x=[x for x, _, _ in seen],
        y=[y for _, y, _ in seen],
        text=[f"{rate.diverged}/{rate.trials}" for _, _, rate in seen],
        mode="text",
        textfont={
            "size": 12,
            "color": ["#ffffff" if rate.mean > DARK else INK for _, _, rate in seen],
            "shadow": "auto",
        },
        hoverinfo="skip",
        showlegend=False,
    )


def _points(
    x: Cells, y: Cells, records: Sequence[TrialRecord], *, many: bool, first: bool
) -> Iterator[go.Scatter]:
    """The trials in their fields, beside the count in the middle."""
    for name, symbol, diverged in (("diverged", "x", True), ("did not", "circle", False)):
        shown = [r for r in records if (r.status is Status.DIVERGED) is diverged]
        shown = list(thinned(shown, MOST_MARKS))
        yield go.Scatter(
            x=[_spread(x, r, n) for n, r in enumerate(shown)],
            y=[_spread(y, r, 3 * n + 1) for n, r in enumerate(shown)],
            mode="markers",
            name=name,
            legendgroup=name,
            showlegend=first,
            marker={
                "symbol": symbol,
                "size": (5 if many else 7) + diverged,
                "color": "#ffffff",
                "line": {"width": 1, "color": INK},
            },
            cliponaxis=False,
            text=[_hover(r, (x.axis.name, y.axis.name)) for r in shown],
            hovertemplate="%{text}<extra></extra>",
        )


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
