"""What each patience loses and saves, by replaying recorded curves."""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sweep.analysis.figures import figure_style as style
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.patience.patience_replay import LEAST_CURVES, Tradeoff, tradeoff
from sweep.analysis.report_words import percent
from sweep.spec.words.phrases import counted


def patience_tradeoff(results: Results) -> ReportFigure:
    """What is lost under each patience, and the epochs spent."""
    found = tradeoff(results.spec, results.runs)
    counted_words = "Only the search's single runs count."
    if found and found.curves > found.configurations:
        counted_words = "A configuration with replicates counts once, with the mean of its curves."
    return ReportFigure(
        name="patience",
        title="What patience costs",
        finding=_finding(results, found),
        reading=(
            "Recorded curves replayed through the trainer's own early stopping. Each trial keeps "
            "its own value of the settings of early stopping that are not compared. Left out are "
            "pruned trials, curves that their own patience ended too early to answer, and trials "
            "that no patience compared here can end before their last epoch. "
            f"{counted_words} The best {results.objective.short} can only improve with "
            "patience, so the question is what a shorter one loses. Other trials lose more than "
            "those that it was chosen on: in simulation twice as much, where those were six."
        ),
        figure=_figure(found) if found and not found.is_flat else None,
    )


def _finding(results: Results, found: Tradeoff | None) -> str:
    if found is None:
        few = "No trial" if results.spec.replayed else f"Fewer than {LEAST_CURVES} trials"
        return f"{few} that patience can end ran on to that end: nothing to replay."
    step, longest, curves = found.enough, found.steps[-1], counted(found.curves, "curve")
    text, short = found.objective.text, found.objective.short
    tolerance = f"{found.tolerance:.3g}"
    if not found.is_telling:
        return f"{_figures(found)} {found.too_few}"
    if found.is_flat:
        return f"{_figures(found)} That is nearly the same, so nothing is drawn."
    if step.epochs == longest.epochs:
        return (
            f"No {found.heading} that saves an epoch stays within {tolerance} {short} of "
            f"{longest.label}, the longest that {curves} can answer for."
        )
    saved = 1 - step.epochs / longest.epochs
    return (
        f"{found.heading.capitalize()} {step.label} is enough: {found.average} loses "
        f"{text(step.lost)} {short} against {longest.label} (at most {tolerance} is "
        f"tolerated; the worst loses {text(step.most_lost)}) and it saves {percent(saved)} of "
        f"{longest.epochs} epochs."
    )


def _figures(found: Tradeoff) -> str:
    """The cheapest and the most patient candidate beside each other, without a verdict."""
    least, most, text = found.steps[0], found.steps[-1], found.objective.text
    lost = max(step.lost for step in found.steps)
    at_most = max(step.most_lost for step in found.steps)
    return (
        f"From {found.heading} {least.label} to {most.label}, the epochs of "
        f"{counted(found.curves, 'curve')} go from {least.epochs} to {most.epochs}, and up to "
        f"{text(lost)} {found.objective.short} is lost on average ({text(at_most)} at most)."
    )


def _figure(found: Tradeoff) -> go.Figure:
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    steps = found.front
    x = [step.label for step in steps]
    top, bottom = {"row": 1, "col": 1}, {"row": 2, "col": 1}
    lines = (
        ("on average", [step.lost for step in steps], "solid", "circle"),
        ("at most", [step.most_lost for step in steps], "dot", "diamond"),
    )
    for name, y, dash, symbol in lines:
        figure.add_scatter(
            x=x,
            y=y,
            name=name,
            mode="lines+markers",
            line={"color": style.INK, "dash": dash},
            marker={"symbol": symbol, "size": 8},
            hovertemplate=f"{found.heading} %{{x}}: %{{y:.4f}} lost<extra></extra>",
            **top,
        )
    figure.add_hline(
        y=found.tolerance,
        line=style.OUTLINE | {"dash": "dash"},
        annotation={"text": f"tolerated: {found.tolerance:.3g}", "font": {"size": 11}},
        **top,
    )
    chosen = found.enough if found.is_telling else None
    figure.add_bar(
        x=x,
        y=[step.epochs for step in steps],
        name="epochs",
        showlegend=False,
        marker={
            "color": ["#3f8fc5" if step is chosen else "#d5dde4" for step in steps],
            "line": style.OUTLINE,
        },
        hovertemplate=f"{found.heading} %{{x}}: %{{y}} epochs<extra></extra>",
        **bottom,
    )
    figure.update_xaxes(type="category", **top)
    figure.update_xaxes(title=found.heading, type="category", **bottom)
    figure.update_yaxes(title=f"{found.objective.short} lost", rangemode="tozero", **top)
    figure.update_yaxes(title="epochs spent", **bottom)
    return style.finished(figure, height=460)
