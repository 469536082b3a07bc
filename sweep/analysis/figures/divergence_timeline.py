"""When trials diverged, counted from the switch-on of the geometric loss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

import plotly.graph_objects as go

from sweep.analysis.figures import figure_style as style
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.report_words import listed
from sweep.spec.words.phrases import counted
from sweep.vocabulary.epoch_metrics import column
from sweep.vocabulary.record import Divergence, TrialRecord

SYMBOLS = ("x", "circle", "square", "diamond", "triangle-up", "cross")
SHADES = ("#7f1d1d", "#e0a08a", "#4b5563", "#d9663c", "#9aa5b1", "#1f2933")

Event = tuple[float, str, Divergence]
"""Time of a divergence, the trial's id, and the verdict.

The time is in epochs since the first step with the geometric loss, with the fraction of the epoch.
It is negative before that step.
"""


def divergences(results: Results) -> tuple[list[Event], list[TrialRecord]]:
    """The divergences in order of time, and the diverged trials that had no geometric loss."""
    found, without = [], []
    for record in results.diverged:
        verdict = record.outcome.divergence if record.outcome else None
        switch_on = results.switch_on(record)
        if verdict is None or switch_on is None:
            without.append(record)
            continue
        steps = max([*column(record.history, "steps"), verdict.step + 1])
        epochs = verdict.epoch - switch_on + verdict.step / steps
        found.append((epochs, record.trial_id, verdict))
    return sorted(found, key=lambda event: event[0]), without


def divergence_timeline(results: Results) -> ReportFigure:
    """When each trial diverged relative to the switch-on, by cause."""
    found, without = divergences(results)
    return ReportFigure(
        name="timeline",
        title="When trials diverged",
        finding=_finding(results, found, without),
        reading=(
            "Each mark is a trial; the line at 0 is the first step with the geometric loss. "
            "Divergences right after it most often come from the loss's own numerics (ε, weights "
            "without a ramp-up); those before it cannot. Scattered ones hint at the learning rate "
            "or the data. Each trial's own diagnosis says what is known of it."
        ),
        figure=_figure(found) if found else None,
    )


def _finding(results: Results, found: Sequence[Event], without: Sequence[TrialRecord]) -> str:
    if not results.diverged:
        return "No trial diverged."
    if not found:
        none = ", none of them with a geometric loss" if results.has_geometry else ""
        return f"{counted(len(without), 'trial')} diverged{none}."
    times = [epochs for epochs, _, _ in found]
    within = sum(0 <= epochs < 1 for epochs in times)
    before = sum(epochs < 0 for epochs in times)
    middle = median(times)
    side = "before" if middle < 0 else "after"
    kinds = Counter(verdict.what for _, _, verdict in found).most_common(3)
    return (
        f"{within} of {counted(len(found), 'divergence')} came within one epoch of the switch-on"
        + (f", {before} before it" if before else "")
        + f" (median {abs(middle):.1f} epochs {side} it); most often "
        + listed([f"{what} ({count})" for what, count in kinds])
        + (f". {len(without)} more had no geometric loss" if without else "")
        + "."
    )


def _figure(found: Sequence[Event]) -> go.Figure:
    kinds = [what for what, _ in Counter(verdict.what for _, _, verdict in found).most_common()]
    figure = go.Figure()
    for row, what in enumerate(kinds):
        group = [event for event in found if event[2].what == what]
        points = [
            (
                epochs,
                row + 0.7 * (style.scattered(n) - 0.5),
                f"{trial_id}: {what} at {verdict.where}",
            )
            for n, (epochs, trial_id, verdict) in enumerate(group)
        ]
        look = {
            "symbol": SYMBOLS[row % len(SYMBOLS)],
            "color": SHADES[row % len(SHADES)],
            "size": 9 if len(group) < 200 else 5,
            "opacity": 1.0 if len(group) < 200 else 0.5,
            "line": {"width": 0.5, "color": style.INK},
        }
        ids = [trial_id for _, trial_id, _ in group]
        figure.add_trace(style.marks(points, look, ids=ids, name=what))
    figure.add_vline(x=0, line={"color": style.INK, "width": 1.5})
    figure.add_vrect(x0=0, x1=1, fillcolor=style.FAINT, opacity=0.25, line_width=0, layer="below")
    first, last = min(0.0, found[0][0]), max(1.0, found[-1][0])
    margin = 0.05 * (last - first) + 0.2
    figure.update_xaxes(title="epochs since the switch-on", range=[first - margin, last + margin])
    figure.update_yaxes(  # in two lines, which leaves a phone room for the points
        **style.ticks(enumerate(kind.replace(" (", "<br>(") for kind in kinds)),
        range=[-0.7, len(kinds) - 0.3],
        automargin=True,
    )
    return style.finished(figure, height=118 + 60 * len(kinds), legend=False)
