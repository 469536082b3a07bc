"""When each trial was trained: its runs as bars over the clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise, zip_longest

import plotly.graph_objects as go

from sweep.analysis import report_words as words
from sweep.analysis.figures import figure_style as style
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.provenance_facts import starts
from sweep.spec.words.phrases import counted
from sweep.store.files import blaming
from sweep.store.layout import Layout
from sweep.vocabulary.epoch_metrics import column
from sweep.vocabulary.record import Status, TrialRecord

MOST_TRIALS = 300
"""Trials that are drawn, evenly over their numbers. The file of each is read."""
KNOWN_TO = timedelta(seconds=1)
"""Starts are recorded in whole seconds, cut off."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What one start of a trial trained, from its start for as long as its epochs took."""

    trial: TrialRecord
    start: datetime
    end: datetime
    epochs: range


def stretches(results: Results, trials: Iterable[TrialRecord]) -> Iterator[Stretch]:
    """Those of each trial in order. A trial without a recorded start has none.

    Raises:
        ResultsError: a provenance.json is broken.
    """
    for trial in trials:
        paths = Layout(results.folder).trial(trial.trial_id)
        runs = starts(paths)
        seconds = column(trial.history, "seconds")
        for run, following in zip_longest(runs, runs[1:]):
            if run.started is None:
                continue
            with blaming(paths.provenance):
                start = datetime.fromisoformat(run.started).astimezone(UTC)
            end = len(seconds) if following is None else following.first_epoch
            epochs = range(run.first_epoch, max(end, run.first_epoch))
            took = sum(seconds[epochs.start : epochs.stop])
            yield Stretch(trial, start, start + timedelta(seconds=took), epochs)


def timeline(results: Results) -> ReportFigure:
    """When each trial was trained."""
    found = list(stretches(results, style.thinned(results.runs, MOST_TRIALS)))
    left_out = len(results.runs) - MOST_TRIALS
    drawn = f" {MOST_TRIALS} of {len(results.runs)} are drawn, evenly." if left_out > 0 else ""
    return ReportFigure(
        name="trial-times",
        title="When trials were trained",
        finding=_finding(found, is_whole=left_out <= 0) if found else "No start is recorded.",
        reading=(
            "Each row is a trial, the first started at the top; times are UTC. A bar begins where a"
            " process began to train the trial, known to the second, and is as long as its epochs"
            " took. The end of a trial is not recorded: what is not in a bar is the start of"
            " processes, an epoch that was lost or diverged, and waiting: for a free place, at a"
            f" rung, or for its turn beside others in one process.{drawn}"
        ),
        figure=_figure(found) if found else None,
    )


def _finding(found: Sequence[Stretch], *, is_whole: bool) -> str:
    first, last = min(one.start for one in found), max(one.end for one in found)
    lasted = words.duration((last - first).total_seconds())
    sentence = f"Begun {first:%Y-%m-%d %H:%M} UTC; the last recorded epoch ended {lasted} later."
    if not is_whole:
        return sentence
    again = sum(one.trial_id == other.trial_id for one, other in pairwise(s.trial for s in found))
    most = at_once(found)
    together = f"up to {counted(most, 'trial')} at once" if most > 1 else "one after the other"
    busy = words.duration(sum((one.end - one.start).total_seconds() for one in found))
    paused = f" Trials went on after a break {counted(again, 'time')}." if again else ""
    return f"{sentence} {busy} of training, {together}.{paused}"


def at_once(found: Iterable[Stretch]) -> int:
    """Most trials that were trained at one moment, as far as starts are known."""
    changes = [
        change
        for one in found
        if one.start + KNOWN_TO < one.end
        for change in ((one.start + KNOWN_TO, 1), (one.end, -1))
    ]
    most = now = 0
    for _, change in sorted(changes):  # who ends at a moment ends before others begin
        now += change
        most = max(most, now)
    return most


def _figure(found: Sequence[Stretch]) -> go.Figure:
    figure = go.Figure()
    rows = dict.fromkeys(one.trial.trial_id for one in sorted(found, key=lambda one: one.start))
    height = min(900, 150 + 18 * len(rows))
    for status in Status:
        own = [one for one in found if one.trial.status is status]
        if not own:
            continue
        look, name = style.LOOKS[status], words.status(status)
        bars = style.joined(
            ((one.start, one.end), (one.trial.trial_id,) * 2, one.trial.trial_id) for one in own
        )
        figure.add_scatter(
            x=bars["x"],
            y=bars["y"],
            ids=bars["text"],
            mode="lines",
            line={"color": look.color, "width": max(1, min(10, 500 // len(rows)))},
            hoverinfo="skip",
            showlegend=False,
        )
        last = {one.trial.trial_id: one for one in own}
        ends = style.marks(
            ((one.end, trial_id, _told(one, name)) for trial_id, one in last.items()),
            {"color": look.color, "symbol": look.symbol, "size": 8, "line": style.OUTLINE},
            ids=list(last),
            name=name,
        )
        figure.add_trace(ends)
    order = list(rows)
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=order, range=[len(order), -1]
    )
    figure.update_xaxes(title="time (UTC)", type="date")
    return style.finished(figure, height=height)


def _told(one: Stretch, status: str) -> str:
    trained = f"to epoch {one.epochs[-1]}" if one.epochs else "no whole epoch"
    took = words.duration((one.end - one.start).total_seconds())
    return f"{one.trial.trial_id}, {status}: since {one.start:%H:%M:%S} {took}, {trained}"
