"""Drawing the maps of `stability_maps`: fields, counts and the trials that they rest on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sweep.analysis.divergence_rates import DivergenceRate, Exposure, rate_of
from sweep.analysis.figures import figure_style as style
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.parameter_axes import Cells, is_continuum
from sweep.analysis.report_words import percent, status
from sweep.spec.words.short_names import short_names, words
from sweep.vocabulary.record import TrialRecord

MOST_MARKS = 150
"""Trials of one kind that are marked on a map, beside its counts."""
MOST_BOUNDS = 6
"""Bounds of cells that fit under a map as numbers."""
DARK = 0.6
"""Probability from which a shade is too dark for dark text."""
UNITS = 6
"""Columns of the grid, for rows of two maps and of three."""


@dataclass(frozen=True, slots=True)
class Map:
    """One map of the figure.

    Args:
        across, up: the parameters of its axes.
        within: a third parameter, and the cell of it whose trials are shown; None: all trials.
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
        """Those of the trials that belong on this map: they draw its parameters."""
        names = {self.across, self.up} | ({self.within[0].axis.name} if self.within else set())
        drawn = [record for record in records if names <= record.parameters.keys()]
        if self.within is None:
            return drawn
        cells, cell = self.within
        return [record for record in drawn if cell_of(cells, record) == cell]


def cells_of(results: Results, name: str, trials: int) -> Cells:
    """The cells of a map's axis; more cells where there are more trials to fill them."""
    axis = results.axes[name]
    most = 3 if trials < 50 else 5 if trials < 300 else 8
    return axis.cells(min(most, MOST_BOUNDS - 1) if is_continuum(axis) else most)


def cell_of(cells: Cells, record: TrialRecord) -> int:
    """Number of the cell in which a trial lies."""
    return cells.index(record.parameters[cells.axis.name])


def draw_maps(results: Results, maps: Sequence[Map]) -> go.Figure:
    """Maps of all trials, two in a row; below them maps of a part of the trials, three in a row."""
    short, at_risk = short_names(results.parameters), results.at_risk
    (figure, places), has_scale = _grid(maps), False
    for n, (one, place) in enumerate(zip(maps, places, strict=True)):
        records = one.of(at_risk)
        x, y = (cells_of(results, name, len(at_risk)) for name in (one.across, one.up))
        rates = _rates(results, x, y, records)
        is_shaded = any(not rate.is_guess for row in rates for rate in row)
        figure.add_trace(_shades(rates, scale=is_shaded and not has_scale), **place)
        has_scale = has_scale or is_shaded
        for trace in _points(results, x, y, records, many=len(at_risk) >= 100, first=n == 0):
            figure.add_trace(trace, **place)
        figure.add_trace(_counts(rates), **place)
        is_titled = place["col"] == 1  # all maps of a row have the same parameter up
        for update, cells, title in (
            (figure.update_xaxes, x, short[one.across]),
            (figure.update_yaxes, y, short[one.up] if is_titled else ""),
        ):
            borders = [n - 0.5 for n in range(1, len(cells.labels))]  # not all fields are shaded
            update(
                title=title,
                **style.ticks(cells.ticks),
                tickangle=0,
                range=[-0.5, len(cells.labels) - 0.5],
                minor={
                    "tickvals": borders,
                    "ticklen": 0,
                    "showgrid": True,
                    "gridcolor": style.FAINT,
                },
                automargin=True,
                **place,
            )
    return style.finished(figure, height=100 + 290 * places[-1]["row"])


def _grid(maps: Sequence[Map]) -> tuple[go.Figure, list[dict[str, int]]]:
    """Empty axes, and the row and column of each map, from 1."""
    whole = sum(one.within is None for one in maps)
    part, half, third = len(maps) - whole, UNITS // 2, UNITS // 3
    places = [{"row": n // 2 + 1, "col": n % 2 * half + 1} for n in range(whole)]
    below = places[-1]["row"] + 1
    places += [{"row": below, "col": n * third + 1} for n in range(part)]
    widths = [half if len(maps) > 1 else UNITS] * whole + [third] * part
    rows = places[-1]["row"]
    specs: list[list[dict[str, int] | None]] = [[None] * UNITS for _ in range(rows)]
    for place, width in zip(places, widths, strict=True):
        specs[place["row"] - 1][place["col"] - 1] = {"colspan": width}
    figure = make_subplots(
        rows=rows,
        cols=UNITS,
        specs=specs,
        subplot_titles=[one.title for one in maps],
        horizontal_spacing=0.075,
        vertical_spacing=0.34 / rows,
    )
    return figure, places


def _rates(
    results: Results, x: Cells, y: Cells, records: Sequence[TrialRecord]
) -> list[list[DivergenceRate]]:
    """The rate of each field, row by row from below."""
    fields = defaultdict[tuple[int, int], list[Exposure]](list)
    for record in records:
        fields[cell_of(x, record), cell_of(y, record)].append(results.exposures[record.trial_id])
    return [
        [rate_of(fields[across, up]) for across in range(len(x.labels))]
        for up in range(len(y.labels))
    ]


def _shades(rates: list[list[DivergenceRate]], *, scale: bool) -> go.Heatmap:
    return go.Heatmap(
        z=[[None if rate.is_guess else rate.mean for rate in row] for row in rates],
        text=[[f"{r.diverged}/{r.trials}" if r.trials else "" for r in row] for row in rates],
        customdata=[[_hover(rate) for rate in row] for row in rates],
        hovertemplate="%{customdata}<extra></extra>",
        hoverongaps=False,
        zmin=0,
        zmax=1,
        colorscale=style.PALE_TO_ALARM,
        showscale=scale,
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


def _hover(rate: DivergenceRate) -> str:
    share = "too few to say how many" if rate.is_guess else percent(rate.mean)
    return (
        f"{share} diverge in a complete training ({rate.interval_words})<br>{rate.diverged} of"
        f" {rate.trials} at risk diverged, {rate.cut_short} were cut short<br>{rate.observed} of"
        f" {rate.whole} epochs at risk were observed"
    )


def _counts(rates: list[list[DivergenceRate]]) -> go.Scatter:
    """The counts, over the marks of the trials."""
    fields = [
        (x, y, rate) for y, row in enumerate(rates) for x, rate in enumerate(row) if rate.trials
    ]
    seen = [rate for _, _, rate in fields]
    return go.Scatter(
        x=[x for x, _, _ in fields],
        y=[y for _, y, _ in fields],
        text=[
            f"{'' if rate.is_guess else f'{percent(rate.mean)}<br>'}{rate.diverged}/{rate.trials}"
            for rate in seen
        ],
        mode="text",
        textfont={
            "size": 12,
            "color": ["#ffffff" if r.mean > DARK and not r.is_guess else style.INK for r in seen],
            "shadow": "auto",
        },
        hoverinfo="skip",
        showlegend=False,
    )


def _points(
    results: Results,
    x: Cells,
    y: Cells,
    records: Sequence[TrialRecord],
    *,
    many: bool,
    first: bool,
) -> Iterator[go.Scatter]:
    """The trials in their fields, beside the count in the middle."""
    kinds = (
        ("diverged", "x", "#ffffff", lambda one: one.diverged),
        ("completed", "circle", "#ffffff", lambda o: not o.diverged and not o.is_cut_short),
        ("cut short", "circle", "#8794a0", lambda one: one.is_cut_short),
    )
    names = x.axis.name, y.axis.name
    for name, symbol, color, is_of in kinds:
        points = []
        found = [r for r in records if is_of(results.exposures[r.trial_id])]
        shown = style.thinned(found, MOST_MARKS)
        for n, record in enumerate(shown):
            values = ", ".join(f"{one} = {words(record.parameters[one])}" for one in names)
            seen = results.exposures[record.trial_id]
            at_risk = f"at risk for {seen.epochs} of {seen.whole} epochs"
            text = f"{record.trial_id} {status(record.status)}, {at_risk}: {values}"
            points.append((_spread(x, record, n), _spread(y, record, 3 * n + 1), text))
        size = (5 if many else 7) + (symbol == "x")
        look = {"symbol": symbol, "size": size, "color": color, "line": style.OUTLINE}
        ids = [record.trial_id for record in shown]
        group = style.marks(points, look, ids=ids, name=name, legendgroup=name, showlegend=first)
        yield group.update(cliponaxis=False)


def _spread(cells: Cells, record: TrialRecord, n: int) -> float:
    """Where the value lies; where many share it, anywhere but in the middle with its count."""
    if is_continuum(cells.axis):
        return cells.place(record.parameters[cells.axis.name])
    aside = 0.26 * style.scattered(n, 0.1)
    return cell_of(cells, record) + (-0.42 + aside if n % 2 else 0.16 + aside)
