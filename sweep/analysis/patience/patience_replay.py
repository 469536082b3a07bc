"""What a trial would have reached under another early stopping, by replaying its recorded curve.

Early stopping decides only where a run ends. So a curve that was recorded under a more patient
setting begins with the curve under a less patient one: a replay has the same epochs and the same
values, bit for bit, as training under that setting.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from sweep.analysis.effective_settings import (
    is_sane,
    number_of,
    ramp_of,
    replay_candidates,
    settings_of,
)
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.words.phrases import counted
from sweep.vocabulary.early_stopping import EarlyStopping
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.parameter_values import is_number
from sweep.vocabulary.record import ParameterValue, Status, TrialRecord, objective_of

PATIENCE = "early_stopping.patience"
MIN_DELTA = "early_stopping.min_delta"
COUNTS_FROM = "early_stopping.counts_from"

LADDER = (2, 3, 5, 8, 10, 15, 20, 30, 50, 75, 100)
"""Candidates where no patience is replayed, in addition to those that were searched."""
LEAST_CURVES = 3
"""Where patience is not replayed, the longest candidate is the longest that at least this many
curves can answer for."""
LEAST_TO_JUDGE = 6
"""Curves that must be known to their end before a candidate is called enough."""
LEAST_EPOCHS = 10
"""Epochs that the longest of them must have. Shorter curves cannot show a late improvement that a
short patience would miss."""
LEAST_SAVED = 0.1
"""Share of the epochs by which candidates must differ for a figure to show them."""

Setting = Mapping[str, ParameterValue]
"""Some of the settings that end runs, by dotted name; a trial keeps its own value of the others."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A run as it would have ended.

    Args:
        value: best value of the objective; None where no epoch measured one.
        best_epoch: its epoch, from 0, the first of equals.
        epochs: number of epochs trained.
    """

    value: float | None
    best_epoch: int | None
    epochs: int


def replays(record: TrialRecord, stoppings: Iterable[EarlyStopping]) -> Iterator[Replay | None]:
    """The trial under each, fresh; None where its record ends before it would have stopped.

    A trial that its own patience, a scheduler or a divergence ended can answer only for settings
    that would have stopped it sooner. A trial that reached its last epoch answers for all. One pass
    over the curve serves all that differ in patience alone.
    """
    values, scores, history = record.values, record.scores, record.history
    waits: dict[tuple[float, int], list[int]] = {}
    known: dict[int, Replay] = {}
    for stopping in stoppings:
        rule = stopping.min_delta, stopping.first_epoch
        if rule not in waits:
            waits[rule] = stopping.waits(enumerate(scores))
        stops = waits[rule]
        patience = math.inf if stopping.patience is None else max(1, stopping.patience)
        if patience <= len(stops):
            epochs = stops[int(patience) - 1]
        elif record.status is Status.COMPLETED:
            epochs = len(values)
        else:
            yield None
            continue
        if epochs not in known:
            place = record.objective.best_place(history, scores[:epochs])
            known[epochs] = Replay(None if place is None else values[place], place, epochs)
        yield known[epochs]


class Candidates:
    """The early stopping of each trial with each setting, and its own values of all others.

    Thousands of trials have few different ones, so they share them: nobody may step them.
    """

    def __init__(self, spec: SweepSpec, settings: Sequence[Setting]) -> None:
        self.settings = settings
        self._spec = spec
        self._known: dict[tuple[ParameterValue, ...], Sequence[EarlyStopping]] = {}

    def stoppings(self, record: TrialRecord) -> Sequence[EarlyStopping]:
        """One for each of the settings."""
        value = settings_of(self._spec, record)
        full_from = ramp_of(self._spec, record).full_from
        own = value(PATIENCE), value(MIN_DELTA), value(COUNTS_FROM), full_from
        if own not in self._known:
            patience, min_delta, counts_from, _ = own
            keys = {PATIENCE: patience, MIN_DELTA: min_delta, COUNTS_FROM: counts_from}
            each = ({**keys, **setting} for setting in self.settings)
            self._known[own] = [_stopping(values, full_from) for values in each]
        return self._known[own]


def _stopping(values: Setting, full_from: int) -> EarlyStopping:
    patience, min_delta = values[PATIENCE], values[MIN_DELTA]
    return EarlyStopping(
        patience=int(patience) if is_sane(patience) else None,
        min_delta=float(min_delta) if is_sane(min_delta) else 0.0,
        first_epoch=full_from if values[COUNTS_FROM] == "rampup_end" else 0,
    )


def enough_of_each(
    spec: SweepSpec, records: Iterable[TrialRecord]
) -> list[tuple[Setting, Replay] | None]:
    """The early stopping that would have been enough for each trial, and the trial under it.

    Of the candidates within the tolerance (`Objective.tolerance`) of the best that any of them
    reaches, the one with the fewest epochs; of equals the least patience.

    None where the record cannot answer for every candidate, or the trial has no result.
    """
    asked = Candidates(spec, replay_candidates(spec))
    return [_enough(asked, record) for record in records]


def _enough(asked: Candidates, record: TrialRecord) -> tuple[Setting, Replay] | None:
    if not asked.settings or not record.status.has_result:
        return None
    if (answers := _answers(record, asked.stoppings(record))) is None:
        return None
    best = max([score for score, _ in answers])
    tolerance = record.objective.tolerance(best)
    close = [
        (setting, one)
        for setting, (score, one) in zip(asked.settings, answers, strict=True)
        if best - score <= tolerance
    ]
    return min(close, key=lambda pair: pair[1].epochs)


def _answers(
    record: TrialRecord, stoppings: Iterable[EarlyStopping]
) -> list[tuple[float, Replay]] | None:
    """Score and replay of a trial under each; None where one of them is not known."""
    answers = []
    for found in replays(record, stoppings):
        if found is None or found.value is None:
            return None
        answers.append((record.objective.turned(found.value), found))
    return answers


@dataclass(frozen=True, slots=True)
class PatienceOutcome:
    """All usable curves under one early stopping.

    Args:
        setting: the candidate.
        lost: what is lost of the objective against the best that any candidate reaches, as the mean
            over the configurations; a configuration with several curves counts with their mean.
        most_lost: the largest such loss of one curve.
        best: value of the objective that the best curve reaches.
        epochs: epochs trained, summed over the curves.
    """

    setting: Setting
    lost: float
    most_lost: float
    best: float
    epochs: int

    @property
    def label(self) -> str:
        """The values in the order of `Tradeoff.heading`: ``5``, ``never``, ``5 · 0.001``."""
        return " · ".join(
            "never" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
            for value in self.setting.values()
        )


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """What every candidate costs, the cheapest first, over the same curves.

    Args:
        steps: one for each candidate.
        curves: number of runs, replicates included.
        configurations: number of trials of the search that they are runs of.
        longest: epochs of the longest curve.
        objective: of the sweep.
    """

    steps: tuple[PatienceOutcome, ...]
    curves: int
    configurations: int
    longest: int
    objective: Objective = DICE

    @property
    def is_telling(self) -> bool:
        """Whether the curves are enough, and long enough, to call a candidate enough."""
        return self.curves >= LEAST_TO_JUDGE and self.longest >= LEAST_EPOCHS

    @property
    def is_flat(self) -> bool:
        """Whether all candidates are nearly the same: hardly anything is saved or lost."""
        epochs = [step.epochs for step in self.steps]
        lost = max(step.lost for step in self.steps)
        return min(epochs) >= (1 - LEAST_SAVED) * max(epochs) and lost <= self.tolerance

    @property
    def average(self) -> str:
        """What is averaged over, in words."""
        if self.curves == self.configurations:
            return f"the average of {counted(self.curves, 'trial')}"
        of = counted(self.configurations, "configuration")
        return f"the average of {of} ({counted(self.curves, 'curve')})"

    @property
    def too_few(self) -> str:
        """Why no candidate is called enough, where it is not `is_telling`."""
        if self.curves >= LEAST_TO_JUDGE:
            return (
                f"The longest curve of these trials has {counted(self.longest, 'epoch')}: it takes"
                f" {LEAST_EPOCHS} to call a {self.heading} enough."
            )
        return (
            f"Too few to say: {counted(self.curves, 'curve')} ran on to where each {self.heading} "
            f"ends it, and it takes {LEAST_TO_JUDGE} to call one enough."
        )

    @property
    def enough(self) -> PatienceOutcome:
        """The cheapest whose mean loss is within the tolerance, or else the one that loses least.

        That need not be the most patient one, where ``min_delta`` is searched too.
        """
        close = (step for step in self.steps if step.lost <= self.tolerance)
        return next(close, None) or min(self.steps, key=lambda step: step.lost)

    @property
    def tolerance(self) -> float:
        """How much of the objective an earlier end may lose; see `Objective.tolerance`."""
        best = max(self.steps, key=lambda step: self.objective.turned(step.best)).best
        return self.objective.tolerance(best)

    @property
    def heading(self) -> str:
        """What varies over the candidates: ``patience``, ``patience · min_delta``."""
        return " · ".join(key.rpartition(".")[2] for key in self.steps[0].setting)

    @property
    def front(self) -> tuple[PatienceOutcome, ...]:
        """The candidates to show: all values of one setting, or of several settings the
        combinations that no cheaper one equals."""
        if len(self.steps[0].setting) == 1:
            return self.steps
        least, front = math.inf, []
        for step in self.steps:
            if step.lost < least:
                least = step.lost
                front.append(step)
        return tuple(front)


def tradeoff(spec: SweepSpec, records: Iterable[TrialRecord]) -> Tradeoff | None:
    """Every candidate replayed over all curves that are known to their end under each of them.

    Where patience is replayed, the candidates are those of the space, and every trial that was not
    stopped answers for all of them. Elsewhere a curve that its own patience cut short says nothing
    about a longer one: the longest candidate is then the longest that at least `LEAST_CURVES`
    curves answer for.

    Replicates are further curves of their configuration. A run that no candidate can end before its
    last epoch is left out: it loses nothing under any of them.

    Returns:
        None where there are no such curves.
    """
    ended = [record for record in records if record.score is not None]
    ended.sort(key=lambda record: (record.number, record.trial_id))
    settings = replay_candidates(spec) or _ladder(spec, ended)
    asked = Candidates(spec, settings)
    stoppings = {one.trial_id: asked.stoppings(one) for one in ended}
    ended = [one for one in ended if _can_end(spec, one, stoppings[one.trial_id])]
    is_replayed = bool(spec.replayed)
    least = 1 if is_replayed else LEAST_CURVES
    while settings:
        curves = [
            (record.configuration_id, answers)
            for record in ended
            if (answers := _answers(record, stoppings[record.trial_id][: len(settings)]))
        ]
        if len(curves) >= least:
            return _tradeoff(settings, curves, objective_of(ended))
        settings = [] if is_replayed else settings[:-1]
    return None


def _can_end(spec: SweepSpec, record: TrialRecord, stoppings: Iterable[EarlyStopping]) -> bool:
    """Whether one of them could end such a run before its last epoch, whatever its curve."""
    epochs = number_of(spec, record, "trainer.epochs")
    ends = [one.first_epoch + one.patience for one in stoppings if one.patience is not None]
    return bool(ends) and min(ends) < epochs


def _tradeoff(
    settings: Sequence[Setting],
    curves: Sequence[tuple[str, list[tuple[float, Replay]]]],
    objective: Objective,
) -> Tradeoff:
    """Args: a configuration and its `_answers` for each curve."""
    reached = [[score for score, _ in answers] for _, answers in curves]
    epochs = [[one.epochs for _, one in answers] for _, answers in curves]
    lost = [[max(row) - score for score in row] for row in reached]
    own: dict[str, list[list[float]]] = {}
    for (configuration, _), row in zip(curves, lost, strict=True):
        own.setdefault(configuration, []).append(row)
    means = [
        row if not more else [*map(fmean, zip(row, *more, strict=True))]
        for row, *more in own.values()
    ]
    steps = [
        PatienceOutcome(
            setting=setting,
            lost=fmean([row[n] for row in means]),
            most_lost=max([row[n] for row in lost]),
            best=objective.turned(max([row[n] for row in reached])),
            epochs=sum([row[n] for row in epochs]),
        )
        for n, setting in enumerate(settings)
    ]
    ordered = tuple(sorted(steps, key=lambda step: step.epochs))
    return Tradeoff(ordered, len(curves), len(own), max(map(max, epochs)), objective)


def _ladder(spec: SweepSpec, records: Iterable[TrialRecord]) -> list[Setting]:
    tried = {record.parameters.get(PATIENCE) for record in records}
    tried |= {spec.early_stopping.patience, *LADDER}
    most = spec.ranges.most_epochs
    return [{PATIENCE: p} for p in sorted({int(p) for p in tried if is_number(p) and 0 < p < most})]
