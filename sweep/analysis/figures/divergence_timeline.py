"""When trials diverged, counted from the switch-on of the geometric loss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import plotly.graph_objects as go

from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.figure_style import FAINT, INK, finished, marks, ticks
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.report_words import listed
from sweep.spec.words.phrases import counted
from sweep.vocabulary.record import TrialRecord

SYMBOLS = ("x", "circle", "square", "diamond", "triangle-up", "cross")
SHADES = ("#7f1d1d", "#e0a08a", "#4b5563", "#d9663c", "#9aa5b1", "#1f2933")


@dataclass(frozen=True, slots=True)
class DivergencePoint:
    """One divergence.

    Args:
        trial_id: whose.
        what: cause, stage and loss term in a few words.
        epochs: from the first step with the geometric loss, fractions by the step in the epoch;
            negative before it.
        place: epoch and step, both from 0.
    """

    trial_id: str
    what: str
    epochs: float
    place: str


def deaths(results: Results) -> tuple[list[DivergencePoint], list[TrialRecord]]:
    """The divergences in time, and the diverged trials that had no geometric loss."""
    found, without = [], []
    for record in results.diverged:
        verdict = record.outcome.divergence if record.outcome else None
        switch_on = results.switch_on(record)
        if verdict is None or switch_on is None:
            without.append(record)
            continue
        steps = max([epoch.steps for epoch in record.history] + [verdict.step + 1])
        found.append(
            DivergencePoint(
                trial_id=record.trial_id,
                what=verdict.what,
                epochs=verdict.epoch - switch_on + verdict.step / steps,
                place=verdict.where,
            )
        )
    return sorted(found, key=lambda death: death.epochs), without


def divergence_timeline(results: Results) -> ReportFigure:
    """When each trial diverged relative to the switch-on, by cause."""
    found, without = deaths(results)
    return ReportFigure(
        name="timeline",
        title="When trials diverged",
        finding=_finding(results, found, without),
        reading=(
            "Each mark is a trial; the line at 0 is the first step with the geometric loss. "
            "Divergences right behind it are most often the loss's own numerics (ε, weights "
            "without a ramp-up), those before it cannot be; scattered ones hint at the learning "
            "rate or the data. Each trial's own diagnosis says what is known of it."
        ),
        figure=_figure(found) if found else None,
    )


def _finding(
    results: Results, found: Sequence[DivergencePoint], without: Sequence[TrialRecord]
) -> str:
    if not results.diverged:
        return "No trial diverged."
    if not found:
        none = ", none of them with a geometric loss" if results.has_geometry else ""
        return f"{counted(len(without), 'trial')} diverged{none}."
    within = sum(0 <= death.epochs < 1 for death in found)
    before = sum(death.epochs < 0 for death in found)
    middle = median([death.epochs for death in found])
    kinds = Counter(death.what for death in found).most_common(3)
    return (
        f"{within} of {len(found)} divergences came within one epoch of the switch-on"
        + (f", {before} before it" if before else "")
        + f" (median {middle:.1f} epochs after it); most often "
        + listed([f"{what} ({count})" for what, count in kinds])
        + (f". {len(without)} more had no geometric loss" if without else "")
        + "."
    )


def _figure(found: Sequence[DivergencePoint]) -> go.Figure:
    kinds = [what for what, _ in Counter(death.what for death in found).most_common()]
    figure = go.Figure()
    for row, what in enumerate(kinds):
        group = [death for death in found if death.what == what]
        places = [row + 0.7 * ((n * 0.618034) % 1.0 - 0.5) for n in range(len(group))]
        texts = [f"{death.trial_id}: {death.what} at {death.place}" for death in group]
        look = {
            "symbol": SYMBOLS[row % len(SYMBOLS)],
            "color": SHADES[row % len(SHADES)],
            "size": 9 if len(group) < 200 else 5,
            "opacity": 1.0 if len(group) < 200 else 0.5,
            "line": {"width": 0.5, "color": INK},
        }
        epochs = [death.epochs for death in group]
        figure.add_trace(marks(zip(epochs, places, texts, strict=True), look, name=what))
    figure.add_vline(x=0, line={"color": INK, "width": 1.5})
    figure.add_vrect(x0=0, x1=1, fillcolor=FAINT, opacity=0.25, line_width=0, layer="below")
    last = max(1.0, *(death.epochs for death in found))
    first = min(0.0, *(death.epochs for death in found))
    margin = 0.05 * (last - first) + 0.2
    figure.update_xaxes(
        title="epochs since the geometric loss switched on", range=[first - margin, last + margin]
    )
    figure.update_yaxes(
        **ticks(enumerate(kinds)),
        range=[-0.7, len(kinds) - 0.3],
        automargin=True,
    )
    return finished(figure, height=118 + 60 * len(kinds), legend=False)
