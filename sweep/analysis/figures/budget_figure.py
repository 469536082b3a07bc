"""How epochs and time were spent: the search by how its trials ended, and the confirmation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sweep.analysis import report_words as words
from sweep.analysis.figures import figure_style as style
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.sweep_results import Results
from sweep.spec.words.phrases import counted
from sweep.vocabulary.record import Status, TrialRecord

REPLICATES = style.MarkerStyle("#5c6b78", "circle-open", "\\")
SAVED = "saved by sharing warm-ups"


@dataclass(frozen=True, slots=True)
class Spent:
    """What the trials of one status cost, or the replicates.

    Args:
        status: how the trials ended; None for the replicates.
        trials: number of them.
        epochs, seconds: trained by themselves.
        shared_epochs, shared_seconds: taken over from a warm-up that another trial had trained.
    """

    status: Status | None
    trials: int
    epochs: int
    seconds: float
    shared_epochs: int
    shared_seconds: float


def spent(results: Results) -> list[Spent]:
    """One entry per status that occurs in the search, and one for the replicates if any."""
    groups: list[tuple[Status | None, Sequence[TrialRecord]]] = [
        (s, [r for r in results.records if r.status is s]) for s in Status
    ]
    found = []
    for status, records in [*groups, (None, results.replicates)]:
        shared = [seconds for record in records for seconds in record.shared_seconds]
        part = Spent(
            status=status,
            trials=len(records),
            epochs=sum(len(record.history) for record in records) - len(shared),
            seconds=sum(record.seconds for record in records),
            shared_epochs=len(shared),
            shared_seconds=sum(shared),
        )
        found += [part] if records else []
    return found


def budget_by_status(results: Results) -> ReportFigure:
    """Epochs and seconds by status and of the replicates, with what sharing saved."""
    found = spent(results)
    epochs = sum(part.epochs for part in found)
    return ReportFigure(
        name="budget",
        title="Where the budget went",
        finding=_finding(found, epochs),
        reading=(
            "Wall time of the trials' own epochs, training and validation; the start of "
            "processes is not in it. Shared epochs were trained once, by another trial, and "
            "count as saved. An epoch in which a trial diverged is not finished and not counted."
        ),
        figure=_figure(found, results.in_use) if epochs else None,
    )


def _finding(found: Sequence[Spent], epochs: int) -> str:
    if not epochs:
        return "No epoch has been trained yet."
    seconds = sum(part.seconds for part in found)
    sentence = f"{counted(epochs, 'epoch')} in {words.duration(seconds)} of training"
    by_status = {part.status: part.epochs for part in found}
    kinds = ((Status.DIVERGED, "diverged trials"), (Status.PRUNED, "pruned trials"))
    parts = [
        f"{words.percent(by_status[status] / epochs)} in {kind}"
        for status, kind in (*kinds, (None, "replicates"))
        if by_status.get(status)
    ]
    sentence += f": {words.listed(parts)}" if parts else ""
    shared = sum(part.shared_epochs for part in found)
    if shared:
        saved = sum(part.shared_seconds for part in found)
        sentence += f". Sharing warm-ups saved {shared} epochs ({words.duration(saved)})"
    return f"{sentence}."


def _figure(found: Sequence[Spent], in_use: bool) -> go.Figure:
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.06)
    white = {"color": "#ffffff", "line": style.OUTLINE}
    shares = [part for part in found if part.shared_epochs]
    for part in found:
        kind, look = "replicates", REPLICATES
        if part.status is not None:
            kind, look = words.status(part.status), style.LOOKS[part.status]
        if part.status is Status.RUNNING and not in_use:
            kind = "interrupted"
        pattern = {"shape": look.pattern, "fgcolor": "#ffffff"}
        own = {"color": look.color, "pattern": pattern, "line": style.OUTLINE}
        bars: list[tuple[str, dict[str, Any], int, float, dict[str, Any]]] = [
            ("trained", own, part.epochs, part.seconds, {"showlegend": False})
        ]
        if part in shares:
            legend = {"name": SAVED, "showlegend": part is shares[0]}
            bars.append((SAVED, white, part.shared_epochs, part.shared_seconds, legend))
        for what, marker, epochs, seconds, legend in bars:
            for column, length in ((1, epochs), (2, seconds / 60)):
                figure.add_bar(
                    y=[f"{kind} ({part.trials})"],
                    x=[length],
                    orientation="h",
                    marker=marker,
                    hovertemplate=f"%{{y}}: %{{x:.4~g}} {what}<extra></extra>",
                    **(legend if column == 1 else {"showlegend": False}),
                    row=1,
                    col=column,
                )
    figure.update_layout(barmode="stack")
    figure.update_xaxes(title="epochs", row=1, col=1)
    figure.update_xaxes(title="minutes", row=1, col=2)
    figure.update_yaxes(automargin=True, autorange="reversed", row=1, col=1)
    return style.finished(
        figure, height=(130 if shares else 98) + 40 * len(found), legend=bool(shares)
    )
