"""The objective over the epochs: leaders, other trials behind them, rungs and switch-ons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

import plotly.graph_objects as go

from sweep.analysis.effective_settings import ramp_of
from sweep.analysis.figures import figure_style as style
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.sweep_results import Results, diverged
from sweep.analysis.report_words import listed
from sweep.spec.search.search_strategy import TRAINED_EPOCHS_PER_RESOURCE, trained_epochs
from sweep.spec.words.phrases import counted
from sweep.vocabulary.record import Status, TrialRecord, objective_of

LEADERS = (
    ("#08306b", "solid", "circle"),
    ("#c05621", "dash", "square"),
    ("#3f8fc5", "dot", "diamond"),
    ("#5b7553", "dashdot", "triangle-up"),
    ("#8e6c8a", "longdash", "cross"),
)
"""Colour, dash and symbol of the first of the ranking."""
MOST_CURVES = 120
"""Curves behind the leaders; of more, this many are drawn, evenly spread over the ranking."""
SHORT = 6
"""Epochs up to which each has its tick: an axis would show half epochs."""
LAST = 2000
"""Rank of the last entries of the legend; plotly's default is 1000."""
MOST_RUNGS = 8
MOST_MARKED = 40
"""Curves behind the leaders above which their switch-ons would cover the figure."""


def learning_curves(results: Results) -> ReportFigure:
    """The objective over epochs, with the switch-on of the geometric loss and the rungs."""
    measured = [record for record in results.records if record.best is not None]
    leaders = results.ranked[: len(LEADERS)]
    others = [record for record in measured if record not in leaders]
    shown = style.thinned(others, MOST_CURVES)
    drawn = f", {len(shown)} of {len(others)} of them" if len(shown) < len(others) else ""
    which = ", of the first" if len(shown) > MOST_MARKED else ""
    switch_on = f"△: the epoch in which the geometric loss switches on{which}. "
    lines = f"Thick lines: the first of the ranking. Thin: all others{drawn}. "
    seeds = "One seed each: which curve is on top at the end says nothing where they keep crossing."
    return ReportFigure(
        name="learning-curves",
        title="Learning curves",
        finding=_finding(results),
        reading=(
            (lines if leaders else f"None is ranked{drawn}. ")
            + (switch_on if _switch_ons(results, [*leaders, *shown]) else "")
            + ("✕: the last epoch before a divergence. " if diverged(shown) else "")
            + _rung_words(results, leaders)
            + style.outside(
                (_measured(one)[-1][1] for one in [*leaders, *shown]),
                _frame(leaders, shown),
                "curve",
            )
            + (seeds if len(leaders) > 1 else "")
        ).strip(),
        figure=_figure(results, leaders, shown) if measured else None,
    )


def switch_on_steps(results: Results) -> list[float]:
    """Change of the objective in the epoch in which the geometric loss switches on.

    One per ranked trial. The change of the baseline in the same epoch is subtracted, where there is
    a baseline: training alone improves the objective too. Trials without an epoch before and after
    the switch-on are left out.
    """
    steps = []
    for record in results.ranked:
        if (at := results.switch_on(record)) is None:
            continue
        runs = [run for run in (record, results.baseline) if run is not None]
        pairs = [(_at(run, at - 1), _at(run, at)) for run in runs]
        changes = [b - a for a, b in pairs if a is not None and b is not None]
        if len(changes) == len(runs):
            steps.append(changes[0] - sum(changes[1:]))
    return steps


def _finding(results: Results) -> str:
    if not results.ended:
        return "No trial has ended yet, so none is compared."
    if not results.ranked:
        return f"No trial has a {results.objective.label} that may be compared."
    leader = results.ranked[0]
    assert leader.best is not None
    assert leader.value is not None
    at, value = leader.best.epoch, leader.value
    text, signed = results.objective.text, results.objective.signed
    sentence = f"{leader.trial_id} reached {text(value)} in epoch {at}"
    switch_on = results.switch_on(leader)
    if switch_on == at:
        sentence += ", in which its geometric loss switched on"
    elif switch_on is not None and at > switch_on:
        sentence += f", {at - switch_on} after its geometric loss switched on"
    elif switch_on is not None:
        sentence += f", {switch_on - at} before its geometric loss switched on or would have"
    steps = switch_on_steps(results)
    if not steps:
        return f"{sentence}."
    less, alone = " less that of the baseline", ""
    if results.baseline is None:
        less, alone = "", "; training alone improves it too"
    elif names := [f"`{name}`" for name in results.unlike_baseline]:
        alone = f"; trials differ from the baseline in {listed(names)} too"
    count = len(steps)
    among = (
        f" in the median of {count} trials (from {signed(min(steps))} to {signed(max(steps))})"
        if count > 1
        else " in the only trial that can be compared"
    )
    return (
        f"{sentence}. In the epoch of the switch-on, the change of {results.objective.short}{less}"
        f" is {signed(median(steps))}{among}{alone}."
    )


def _rungs(results: Results) -> list[int]:
    """Trained epochs at which every trial is compared, where these are the same for all."""
    rungs = [] if results.spec.compares_gains else results.spec.rungs()
    return rungs if len(rungs) <= MOST_RUNGS else []


def _rung_words(results: Results, leaders: Sequence[TrialRecord]) -> str:
    if _own_rungs(results, leaders):
        rungs = style.thinned(results.spec.rungs(), MOST_RUNGS)
        since = listed([str(epochs) for epochs in rungs])
        least = listed([str(TRAINED_EPOCHS_PER_RESOURCE * epochs) for epochs in rungs])
        return (
            f"Bars, the rungs: where the scheduler compares a leader, {since} epochs after its loss"
            f" has full weight, and after {least} trained ones at the earliest. "
        )
    if _rungs(results):
        return "Dotted verticals, the rungs: where the scheduler compares all. "
    return ""


def _figure(
    results: Results, leaders: Sequence[TrialRecord], others: Sequence[TrialRecord]
) -> go.Figure:
    figure = go.Figure(_behind(others))
    longest = max(len(record.history) for record in [*leaders, *others])
    many = len(others) > MOST_MARKED
    for place, record in enumerate(leaders):
        figure.add_trace(_leader(record, place))
    if broken := diverged(others):
        figure.add_trace(_last_epochs(broken, size=6 if many else 9))
    if points := _switch_ons(results, leaders if many else [*others, *leaders]):
        figure.add_trace(_switch_on_marks(points))
    if rungs := _own_rungs(results, leaders):
        bars = {"symbol": "line-ns", "size": 12, "line": {"color": style.INK, "width": 2}}
        figure.add_trace(style.marks(rungs, bars, name="rung", legendrank=LAST))
    for epochs in (rung for rung in _rungs(results) if rung <= longest):
        figure.add_vline(
            x=epochs - 1,
            line=style.OUTLINE | {"dash": "dot"},
            annotation={
                "text": f"rung: {counted(epochs, 'epoch')}",
                "font": {"size": 11},
                "textangle": -90,
            },
            annotation_position="bottom left",
        )
    figure.update_layout(meta={"curves": longest})
    figure.update_xaxes(title="epoch (from 0)", range=[-0.5, longest - 0.5])
    if longest <= SHORT:
        figure.update_xaxes(dtick=1)
    figure.update_yaxes(
        title=results.objective.label,
        tickformatstops=style.EVEN_DECIMALS,
        range=_frame(leaders, others),
    )
    return style.finished(figure, height=480)


def _frame(leaders: Sequence[TrialRecord], others: Sequence[TrialRecord]) -> list[float] | None:
    """The stretch of the objective's axis that shows the leaders' whole curves. Without leaders,
    where a curve broke away is all that there is to see."""
    return style.frame(_values([*leaders, *others]), _values(leaders)) if leaders else None


def _values(records: Iterable[TrialRecord]) -> list[float | None]:
    return [value for record in records for value in record.values]


def _curve(record: TrialRecord) -> tuple[list[int], list[float]]:
    """The measured epochs and their values: a line goes on over epochs between measurements."""
    measured = _measured(record)
    return [epoch for epoch, _ in measured], [value for _, value in measured]


def _measured(record: TrialRecord) -> list[tuple[int, float]]:
    """The epochs of a trial in which its objective was measured, with the values."""
    return [(epoch, value) for epoch, value in enumerate(record.values) if value is not None]


def _own_rungs(
    results: Results, leaders: Sequence[TrialRecord]
) -> list[tuple[int, float | None, str]]:
    """Where the scheduler compared the leaders, each by its own clock: epoch, value, hover text."""
    points = []
    for record in leaders:
        if not results.spec.compares_gains or results.switch_on(record) is None:
            continue
        for rung in results.spec.rungs():
            epoch = trained_epochs(rung, ramp_of(results.spec, record).full_from) - 1
            if epoch < len(record.history):
                text = (
                    f"{record.trial_id} rung: {counted(rung, 'epoch')} since its loss acts in full"
                )
                points.append((epoch, _at(record, epoch), text))
    return points


def _leader(record: TrialRecord, place: int) -> go.Scatter:
    color, dash, symbol = LEADERS[place]
    d3 = record.objective.d3
    epochs, values = _curve(record)
    return go.Scatter(
        x=epochs,
        y=values,
        mode="lines+markers",
        name=f"{place + 1}. {record.trial_id}",
        legendrank=place + 1,
        line={"color": color, "width": 2.2, "dash": dash},
        marker={"symbol": symbol, "size": 5},
        meta={"trial": record.trial_id},
        hovertemplate=f"{record.trial_id} epoch %{{x}}: %{{y:{d3}}}<extra></extra>",
    )


def _behind(others: Sequence[TrialRecord]) -> list[go.Scatter]:
    """The curves behind the leaders."""
    broken = diverged(others)
    rest = [record for record in others if record.status is not Status.DIVERGED]
    short = [record for record in rest if len(_measured(record)) == 1]  # no line shows them
    dots = [(*_measured(record)[0], record.trial_id) for record in short]
    dot, ids = {"size": 4, "color": style.FAINT}, [record.trial_id for record in short]
    traces = [
        (rest, _thin(rest, "others", style.FAINT)),
        (short, style.marks(dots, dot, ids=ids, legendgroup="others", showlegend=False)),
        (broken, _thin(broken, "diverged", "#dca7a3", dash="dot")),
    ]
    return [trace for shown, trace in traces if shown]


def _last_epochs(broken: Sequence[TrialRecord], size: int) -> go.Scatter:
    """A cross at the last measured epoch of each trial that diverged."""
    points = [
        (*_measured(record)[-1], f"{record.trial_id}: {record.outcome.cause}")
        for record in broken
        if record.outcome
    ]
    crosses = {"symbol": "x", "size": size, "color": style.LOOKS[Status.DIVERGED].color}
    ids = [record.trial_id for record in broken]
    return style.marks(points, crosses, ids=ids, name="last epoch before divergence")


def _thin(records: Sequence[TrialRecord], name: str, color: str, dash: str = "solid") -> go.Scatter:
    """Many curves as one trace."""
    curves = style.joined((*_curve(record), record.trial_id) for record in records)
    return go.Scatter(
        **curves,
        ids=curves["text"],
        mode="lines",
        name=name,
        legendgroup=name,
        line={"color": color, "width": 1, "dash": dash},
        hovertemplate=f"%{{text}} epoch %{{x}}: %{{y:{objective_of(records).d3}}}<extra></extra>",
    )


def _switch_ons(
    results: Results, records: Iterable[TrialRecord]
) -> list[tuple[int, float | None, str]]:
    """The epochs of switch-ons that these trials finished, with the value and the trial."""
    found = ((results.switch_on(record), record) for record in records)
    return [
        (at, _at(record, at), record.trial_id)
        for at, record in found
        if at is not None and at < len(record.history)
    ]


def _switch_on_marks(points: Sequence[tuple[int, float | None, str]]) -> go.Scatter:
    line = {"color": style.INK, "width": 1.2}
    return style.marks(
        points,
        {"symbol": "triangle-up", "size": 9, "color": "#ffffff", "line": line},
        under=" switches on in epoch %{x}",
        ids=[trial_id for _, _, trial_id in points],
        name="geometric loss switches on",
        legendrank=LAST,
    )


def _at(record: TrialRecord, epoch: int) -> float | None:
    """The objective of one epoch of a trial; None where it has no such epoch, or no value."""
    return record.values[epoch] if 0 <= epoch < len(record.values) else None
