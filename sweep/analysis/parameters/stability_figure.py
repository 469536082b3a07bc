"""Drawing the maps of `stability_maps`: fields, counts and the trials that they rest on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sweep.analysis.divergence_rates import DivergenceRate, Exposure, rate_of
from sweep.analysis.figures.figure_style import (
    FAINT,
    INK,
    PALE_TO_ALARM,
    finished,
    marks,
    thinned,
    ticks,
)
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.parameter_axes import Cells, Scale, short_names, words
from sweep.analysis.report_words import percent, status
from sweep.vocabulary.record import ParameterValue, TrialRecord

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
        return [record for record in records if cell_of(cells, record) == cell]


def cells_of(results: Results, name: str, trials: int) -> Cells:
    """The cells of a map's axis: the more, the more trials there are to fill them."""
    axis = results.axes[name]
    most = 3 if trials < 50 else 5 if trials < 300 else 8
    is_continuum = isinstance(axis, Scale) and not axis.whole
    return axis.cells(min(most, MOST_BOUNDS - 1) if is_continuum else most)


def cell_of(cells: Cells, record: TrialRecord) -> int:
    """Number of the cell in which a trial lies."""
    return cells.index(record.parameters[cells.axis.name])


def draw_maps(results: Results, maps: Sequence[Map]) -> go.Figure:
    """Maps of all trials two in a row, below them those of a part of the trials three in a row."""
    short, at_risk = short_names(results.parameters), results.at_risk
    slots, has_scale = _slots(maps), False
    figure = _grid(maps, slots)
    for n, (one, slot) in enumerate(zip(maps, slots, strict=True)):
        records = one.of(at_risk)
        place = {"row": slot.row, "col": slot.column}
        x, y = (cells_of(results, name, len(at_risk)) for name in (one.across, one.up))
        rates = _rates(results, x, y, records)
        is_shaded = any(not rate.is_guess for row in rates for rate in row)
        figure.add_trace(_shades(rates, scale=is_shaded and not has_scale), **place)
        has_scale = has_scale or is_shaded
        for trace in _points(results, x, y, records, many=len(at_risk) >= 100, first=n == 0):
            figure.add_trace(trace, **place)
        figure.add_trace(_counts(rates), **place)
        for update, cells, name in (
            (figure.update_xaxes, x, one.across),
            (figure.update_yaxes, y, one.up),
        ):
            is_told = cells is y and slot.column > 1  # all maps of a row have the same parameter up
            update(
                title="" if is_told else short[name],
                **ticks(cells.ticks),
                tickangle=0,
                range=[-0.5, len(cells.labels) - 0.5],
                minor=_borders(cells),
                automargin=True,
                **place,
            )
    return finished(figure, height=100 + 290 * slots[-1].row)


def _borders(cells: Cells) -> dict[str, Any]:
    """Faint lines between the fields: not all of them are shaded."""
    edges = [n - 0.5 for n in range(1, len(cells.labels))]
    return {"tickvals": edges, "ticklen": 0, "showgrid": True, "gridcolor": FAINT}


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a map stands: row and column from 1, and how many of the `UNITS` columns it takes."""

    row: int
    column: int
    span: int


def _slots(maps: Sequence[Map]) -> list[_Slot]:
    whole = sum(one.within is None for one in maps)
    first = [
        _Slot(n // 2 + 1, n % 2 * UNITS // 2 + 1, UNITS // 2 if len(maps) > 1 else UNITS)
        for n in range(whole)
    ]
    below = first[-1].row + 1
    part = [_Slot(below, n * UNITS // 3 + 1, UNITS // 3) for n in range(len(maps) - whole)]
    return first + part


def _grid(maps: Sequence[Map], slots: Sequence[_Slot]) -> go.Figure:
    """Empty axes."""
    rows = slots[-1].row
    specs: list[list[dict[str, int] | None]] = [[None] * UNITS for _ in range(rows)]
    for slot in slots:
        specs[slot.row - 1][slot.column - 1] = {"colspan": slot.span}
    return make_subplots(
        rows=rows,
        cols=UNITS,
        specs=specs,
        subplot_titles=[one.title for one in maps],
        horizontal_spacing=0.075,
        vertical_spacing=0.34 / rows,
    )


def _rates(
    results: Results, x: Cells, y: Cells, records: Sequence[TrialRecord]
) -> list[list[DivergenceRate]]:
    """Of each field, row by row from below."""
    fields: dict[tuple[int, int], list[Exposure]] = {}
    for record in records:
        fields.setdefault((cell_of(x, record), cell_of(y, record)), []).append(
            results.exposures[record.trial_id]
        )
    return [
        [rate_of(fields.get((across, up), [])) for across in range(len(x.labels))]
        for up in range(len(y.labels))
    ]


def _shades(rates: list[list[DivergenceRate]], *, scale: bool) -> go.Heatmap:
    return go.Heatmap(
        z=[[None if rate.is_guess else rate.mean for rate in row] for row in rates],
        text=[[f"{r.diverged}/{r.trials}" if r.trials else "" for r in row] for row in rates],
        customdata=[[rate.under_the_pointer for rate in row] for row in rates],
        hovertemplate="%{customdata}<extra></extra>",
        hoverongaps=False,
        zmin=0,
        zmax=1,
        colorscale=PALE_TO_ALARM,
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


def _counts(rates: list[list[DivergenceRate]]) -> go.Scatter:
    """The counts, over the marks of the trials."""
    seen = [(x, y, rate) for y, row in enumerate(rates) for x, rate in enumerate(row)]
    seen = [field for field in seen if field[2].trials]
    return go.Scatter(
        x=[x for x, _, _ in seen],
        y=[y for _, y, _ in seen],
        text=[
            f"{'' if rate.is_guess else f'{percent(rate.mean)}<br>'}{rate.diverged}/{rate.trials}"
            for _, _, rate in seen
        ],
        mode="text",
        textfont={
            "size": 12,
            "color": [
                "#ffffff" if rate.mean > DARK and not rate.is_guess else INK for _, _, rate in seen
            ],
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
        ("came through", "circle", "#ffffff", lambda o: not o.diverged and not o.is_cut_short),
        ("cut short", "circle", "#8794a0", lambda one: one.is_cut_short),
    )
    for name, symbol, color, is_of in kinds:
        shown = [r for r in records if is_of(results.exposures[r.trial_id])]
        shown = list(thinned(shown, MOST_MARKS))
        names = x.axis.name, y.axis.name
        points = [
            (_spread(x, r, n), _spread(y, r, 3 * n + 1), _hover(results, r, names))
            for n, r in enumerate(shown)
        ]
        size = (5 if many else 7) + (symbol == "x")
        look = {"symbol": symbol, "size": size, "color": color, "line": {"width": 1, "color": INK}}
        group = marks(points, look, name=name, legendgroup=name, showlegend=first)
        yield group.update(cliponaxis=False)


def _spread(cells: Cells, record: TrialRecord, n: int) -> float:
    """Where the value lies; where many share it, anywhere but in the middle with its count."""
    if isinstance(cells.axis, Scale) and not cells.axis.whole:
        return cells.place(record.parameters[cells.axis.name])
    golden = (n * 0.618034 + 0.1) % 1.0
    return cell_of(cells, record) + (-0.42 + 0.26 * golden if n % 2 else 0.16 + 0.26 * golden)


def _hover(results: Results, record: TrialRecord, names: tuple[str, ...]) -> str:
    values: list[ParameterValue] = [record.parameters[name] for name in names]
    sentence = ", ".join(f"{n} = {words(v)}" for n, v in zip(names, values, strict=True))
    seen = results.exposures[record.trial_id]
    at_risk = f"at risk for {seen.epochs} of {seen.whole} epochs"
    return f"{record.trial_id} {status(record.status)}, {at_risk}: {sentence}"
