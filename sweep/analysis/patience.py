"""What patience costs and buys, by replaying recorded curves under every patience."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sweep.analysis.axes import is_number
from sweep.analysis.exhibit import Exhibit
from sweep.analysis.results import Results
from sweep.analysis.style import INK, finished
from sweep.analysis.words import percent
from sweep.record import EpochMetrics, Status, TrialRecord
from sweep.stopping import EarlyStopping

PATIENCE = "early_stopping.patience"
LADDER = (2, 3, 5, 8, 10, 15, 20, 30, 50, 75, 100)
"""Candidates beside those that were searched."""
TOLERANCE = 0.002
"""Dice that the average trial may lose to a shorter patience: less than seeds differ by."""
LEAST_CURVES = 3
"""Curves that must be known to their end under the longest candidate."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """All usable curves under one patience.

    Args:
        patience: in epochs.
        lost: mean over the curves of the Dice lost against the longest patience looked at.
        most_lost: the largest such loss of one curve.
        best: highest Dice that any curve reaches.
        epochs: epochs trained, all curves together.
    """

    patience: int
    lost: float
    most_lost: float
    best: float
    epochs: int


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """The answer for every patience, ascending, over the same ``curves`` trials."""

    steps: tuple[Replayed, ...]
    curves: int

    @property
    def enough(self) -> Replayed:
        """The smallest patience whose mean loss is within `TOLERANCE`."""
        return next(step for step in self.steps if step.lost <= TOLERANCE)


def tradeoff(results: Results) -> Tradeoff | None:
    """Every candidate patience replayed; None where no curve is known for even the shortest.

    A curve that was cut by its own patience says nothing about a longer one. The longest
    candidate is therefore the longest for which at least three curves are known to their end.
    """
    candidates = _candidates(results)
    curves: list[TrialRecord] = []
    while candidates:
        curves = [r for r in results.ranked if _is_known(results, r, candidates[-1])]
        if len(curves) >= LEAST_CURVES:
            break
        candidates = candidates[:-1]
    if not candidates:
        return None
    ends = {p: [_replay(results, r, p)[0] for r in curves] for p in candidates}
    full = [_reached(r, end) for r, end in zip(curves, ends[candidates[-1]], strict=True)]
    steps = []
    for patience in candidates:
        reached = [_reached(r, end) for r, end in zip(curves, ends[patience], strict=True)]
        losses = [most - now for most, now in zip(full, reached, strict=True)]
        steps.append(
            Replayed(
                patience=patience,
                lost=sum(losses) / len(losses),
                most_lost=max(losses),
                best=max(reached),
                epochs=sum(ends[patience]),
            )
        )
    return Tradeoff(tuple(steps), len(curves))


def patience_tradeoff(results: Results) -> Exhibit:
    """For each patience the Dice lost and the epochs spent."""
    found = tradeoff(results)
    return Exhibit(
        name="patience",
        title="What patience costs",
        finding=_finding(found),
        reading=(
            "Recorded curves replayed through the trainer's own early stopping, with each trial's "
            "min_delta and warm-up. Pruned trials are left out, and so are curves that their own "
            "patience cut short of the question. Best Dice can only grow with patience, so what "
            "counts is what a shorter one loses."
        ),
        figure=_figure(found) if found else None,
    )


def _finding(found: Tradeoff | None) -> str:
    if found is None:
        return f"Fewer than {LEAST_CURVES} trials ran on to an end of their own: nothing to replay."
    enough, longest = found.steps.index(found.enough), found.steps[-1]
    step = found.steps[enough]
    saved = 1 - step.epochs / longest.epochs
    if step is longest:
        return (
            f"No patience under {longest.patience}, the longest that {found.curves} curves can "
            f"answer for, stays within {TOLERANCE} Dice of it."
        )
    return (
        f"Patience {step.patience} is enough: the average of {found.curves} trials loses "
        f"{step.lost:.4f} Dice against {longest.patience} (at most {TOLERANCE} is tolerated; the "
        f"worst loses {step.most_lost:.4f}) and it saves {percent(saved)}"
        f" of {longest.epochs} epochs."
    )


def _candidates(results: Results) -> list[int]:
    searched = {record.parameters.get(PATIENCE) for record in results.records}
    searched |= {results.spec.early_stopping.patience}
    most = results.spec.extents.most_epochs
    return sorted({int(p) for p in [*LADDER, *searched] if is_number(p) and 0 < p < most})


def _is_known(results: Results, record: TrialRecord, patience: int) -> bool:
    """Whether the record holds all that the trial would have trained under ``patience``."""
    if record.status is Status.COMPLETED:
        return True
    return record.status is Status.EARLY_STOPPED and _replay(results, record, patience)[1]


def _replay(results: Results, record: TrialRecord, patience: int) -> tuple[int, bool]:
    """Epochs trained under ``patience``, and whether it is patience that ends them."""
    counts_from = results.setting(record, "early_stopping.counts_from")
    stopping = EarlyStopping(
        patience=patience,
        min_delta=results.number(record, "early_stopping.min_delta"),
        first_epoch=results.rampup_end(record) if counts_from == "rampup_end" else 0,
    )
    end = stopping.replay((epoch.epoch, epoch.val_dice) for epoch in record.history)
    return (len(record.history), False) if end is None else (end, True)


def _reached(record: TrialRecord, epochs: int) -> float:
    return max((_value(epoch) for epoch in record.history[:epochs]), default=0.0)


def _value(epoch: EpochMetrics) -> float:
    return 0.0 if epoch.val_dice is None else epoch.val_dice


def _figure(found: Tradeoff) -> go.Figure:
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    x = [str(step.patience) for step in found.steps]
    lines: Sequence[tuple[str, list[float], str, str]] = (
        ("average trial", [step.lost for step in found.steps], "solid", "circle"),
        ("worst trial", [step.most_lost for step in found.steps], "dot", "diamond"),
    )
    for name, y, dash, symbol in lines:
        figure.add_scatter(
            x=x,
            y=y,
            name=name,
            mode="lines+markers",
            line={"color": INK, "dash": dash},
            marker={"symbol": symbol, "size": 8},
            hovertemplate="patience %{x}: %{y:.4f} lost<extra></extra>",
            row=1,
            col=1,
        )
    figure.add_hline(
        y=TOLERANCE,
        line={"color": INK, "width": 1, "dash": "dash"},
        annotation={"text": f"tolerated: {TOLERANCE}", "font": {"size": 11}},
        row=1,
        col=1,
    )
    chosen = found.enough.patience
    figure.add_bar(
        x=x,
        y=[step.epochs for step in found.steps],
        name="epochs",
        showlegend=False,
        marker={
            "color": ["#3f8fc5" if step.patience == chosen else "#d5dde4" for step in found.steps],
            "line": {"color": INK, "width": 1},
        },
        hovertemplate="patience %{x}: %{y} epochs<extra></extra>",
        row=2,
        col=1,
    )
    figure.update_xaxes(type="category", row=1, col=1)
    figure.update_xaxes(title="patience (epochs)", type="category", row=2, col=1)
    figure.update_yaxes(title="Dice lost", row=1, col=1, rangemode="tozero")
    figure.update_yaxes(title="epochs spent", row=2, col=1)
    return finished(figure, height=460)
