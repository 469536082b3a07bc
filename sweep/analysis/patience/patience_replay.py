"""What a trial would have come to under another early stopping, by replaying its recorded curve.

Early stopping decides where a run ends and nothing of what it trains before, so a curve that was
recorded under a more patient setting begins with the curve under a less patient one: a replay has
the same epochs and the same values, bit for bit, as training with it would.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeGuard

from sweep.analysis.effective_settings import LARGEST, number_of, ramp_of, setting_of
from sweep.analysis.parameter_axes import is_number
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.replayed_settings import candidates
from sweep.spec.words.phrases import counted
from sweep.vocabulary.early_stopping import EarlyStopping
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import ParameterValue, Status, TrialRecord, objective_of

PATIENCE = "early_stopping.patience"
MIN_DELTA = "early_stopping.min_delta"
COUNTS_FROM = "early_stopping.counts_from"

LADDER = (2, 3, 5, 8, 10, 15, 20, 30, 50, 75, 100)
"""Candidates where no patience is replayed, beside those that were searched."""
LEAST_CURVES = 3
"""Where patience is not replayed, the longest candidate is the longest that so many curves are
known for."""
LEAST_TO_JUDGE = 6
"""Curves that must be known to their end before a candidate is called enough."""
LEAST_EPOCHS = 10
"""Epochs that the longest of them must have: what comes later is nowhere to be seen in shorter
ones, and a patience that spares it is not thereby enough."""
LEAST_SAVED = 0.1
"""Share of the epochs that candidates must differ by for a figure to show it."""

Setting = Mapping[str, ParameterValue]
"""Some of the settings that end runs, by dotted name; the others are a trial's own."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A run as it would have ended.

    Args:
        value: best value of the objective; None where no epoch measured any.
        best_epoch: the epoch of it, from 0, the first of equals.
        epochs: number of epochs trained.
    """

    value: float | None
    best_epoch: int | None
    epochs: int


def replay(record: TrialRecord, stopping: EarlyStopping) -> Replay | None:
    """The trial under ``stopping``, fresh; None where its record ends before it would have.

    A trial that its own patience, a scheduler or a divergence ended can only answer for settings
    that would have stopped it sooner. One that came to its last epoch answers for all.
    """
    objective = record.objective
    epochs = stopping.replay(objective.curve(record.history))
    if epochs is None:
        if record.status is not Status.COMPLETED:
            return None
        epochs = len(record.history)
    best = objective.best(record.history[:epochs])
    if best is None:
        return Replay(None, None, epochs)
    return Replay(objective.value(best), best.epoch, epochs)


def stopping_of(spec: SweepSpec, record: TrialRecord, setting: Setting) -> EarlyStopping:
    """The early stopping of a trial that has ``setting``, and else what it had."""

    def value(key: str) -> ParameterValue:
        return setting[key] if key in setting else setting_of(spec, record, key)

    patience, min_delta = value(PATIENCE), value(MIN_DELTA)
    return EarlyStopping(
        patience=int(patience) if _is_sane(patience) else None,
        min_delta=float(min_delta) if _is_sane(min_delta) else 0.0,
        first_epoch=ramp_of(spec, record).full_from if value(COUNTS_FROM) == "rampup_end" else 0,
    )


@dataclass(frozen=True, slots=True)
class Enough:
    """The early stopping that would have been enough for one trial.

    Args:
        setting: the cheapest candidate within the tolerance (`Objective.tolerance`) of the best
            that any of them reaches.
        replay: the trial under it.
    """

    setting: Setting
    replay: Replay


def enough(spec: SweepSpec, record: TrialRecord) -> Enough | None:
    """Of what is replayed, what costs the trial the fewest epochs; of equals the least patience.

    None where its record cannot answer for every candidate, or it has no result.
    """
    if not spec.replayed or not record.status.has_result:
        return None
    settings = candidates(spec.replayed)
    found = [replay(record, stopping_of(spec, record, setting)) for setting in settings]
    known = [one for one in found if one is not None and one.value is not None]
    if not known or len(known) < len(found):
        return None
    turned = record.objective.turned
    scores = [turned(one.value) for one in known if one.value is not None]
    best, tolerance = max(scores), record.objective.tolerance(max(scores))
    close = [
        Enough(setting, one)
        for setting, one, score in zip(settings, known, scores, strict=True)
        if best - score <= tolerance
    ]
    return min(close, key=lambda candidate: candidate.replay.epochs)


@dataclass(frozen=True, slots=True)
class PatienceOutcome:
    """All usable curves under one early stopping.

    Args:
        setting: the candidate.
        lost: mean over the configurations of what is lost of the objective against the best that
            any candidate reaches; of a configuration with several curves, their mean counts.
        most_lost: the largest such loss of one curve.
        best: value of the objective that the best curve reaches.
        epochs: epochs trained, all curves together.
    """

    setting: Setting
    lost: float
    most_lost: float
    best: float
    epochs: int

    @property
    def label(self) -> str:
        """The setting in words, as `heading` names them: ``5``, ``never``, ``5 · 0.001``."""
        return " · ".join(_words(key, value) for key, value in self.setting.items())


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """The answer for every candidate, the cheapest first, over the same curves.

    Args:
        steps: a candidate each.
        curves: number of runs, replicates too.
        configurations: number of trials of the search that they are runs of.
        longest: epochs of the longest of the curves.
        objective: what is lost.
    """

    steps: tuple[PatienceOutcome, ...]
    curves: int
    configurations: int
    longest: int
    objective: Objective = DICE

    @property
    def is_telling(self) -> bool:
        """Whether there are curves enough, and long enough ones, to call a candidate enough."""
        return self.curves >= LEAST_TO_JUDGE and self.longest >= LEAST_EPOCHS

    @property
    def is_flat(self) -> bool:
        """Whether all candidates come to nearly the same: next to nothing is saved, or lost."""
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
        """The sentence where it is not telling."""
        if self.curves >= LEAST_TO_JUDGE:
            return (
                f"The curves of these trials end after {counted(self.longest, 'epoch')} at most: it"
                f" takes {LEAST_EPOCHS} to call a {self.heading} enough."
            )
        return (
            f"Too few to say: {counted(self.curves, 'curve')} ran on to where each {self.heading} "
            f"ends it, and it takes {LEAST_TO_JUDGE} to call one enough."
        )

    @property
    def enough(self) -> PatienceOutcome:
        """The cheapest whose mean loss is within the tolerance; where none is, the one that loses
        least: no longest one need be best where ``min_delta`` is one of several."""
        close = (step for step in self.steps if step.lost <= self.tolerance)
        return next(close, None) or min(self.steps, key=lambda step: step.lost)

    @property
    def tolerance(self) -> float:
        """What may be lost of the objective to an earlier end, beside the best that is reached."""
        best = max(self.steps, key=lambda step: self.objective.turned(step.best)).best
        return self.objective.tolerance(best)

    @property
    def heading(self) -> str:
        """What the candidates differ in: ``patience``, ``patience · min_delta``."""
        return " · ".join(key.rpartition(".")[2] for key in self.steps[0].setting)

    @property
    def front(self) -> tuple[PatienceOutcome, ...]:
        """Of candidates for several settings those that no cheaper one equals; all of one.

        Every combination would be too long a list to read.
        """
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

    Where patience is replayed, the candidates are those of the space, and every trial that nobody
    stopped was trained for all of them. Elsewhere a curve that was cut by its own patience says
    nothing about a longer one: the longest candidate is then the longest for which at least
    `LEAST_CURVES` curves are known.

    Replicates are further curves of their configuration. A run that no candidate can end before its
    last epoch would lose nothing by any of them, whatever its curve: it is left out.

    Returns:
        None where there are no such curves.
    """
    ended = [record for record in records if record.score is not None]
    ended.sort(key=lambda record: (record.number, record.trial_id))
    settings = candidates(spec.replayed) if spec.replayed else _ladder(spec, ended)
    ended = [r for r in ended if any(_can_end(spec, r, setting) for setting in settings)]
    least = 1 if spec.replayed else LEAST_CURVES
    while settings:
        found = [[replay(r, stopping_of(spec, r, setting)) for setting in settings] for r in ended]
        curves = [
            (record.configuration_id, known)
            for record, row in zip(ended, found, strict=True)
            if len(known := _known(row)) == len(row)
        ]
        if len(curves) >= least:
            return _tradeoff(settings, curves, objective_of(ended))
        settings = [] if spec.replayed else settings[:-1]
    return None


def _can_end(spec: SweepSpec, record: TrialRecord, setting: Setting) -> bool:
    """Whether an early stopping could end such a run before its last epoch, whatever its curve."""
    stopping = stopping_of(spec, record, setting)
    if stopping.patience is None:
        return False
    return stopping.first_epoch + stopping.patience < number_of(spec, record, "trainer.epochs")


def _tradeoff(
    settings: Sequence[Setting], found: Sequence[tuple[str, list[Replay]]], objective: Objective
) -> Tradeoff:
    """Args: a row a curve: its configuration, and a replay for each setting."""
    turned, curves = objective.turned, [row for _, row in found]
    reached = [[turned(one.value) for one in row if one.value is not None] for row in curves]
    lost = [[max(row) - score for score in row] for row in reached]
    own: dict[str, list[list[float]]] = {}
    for (configuration, _), row in zip(found, lost, strict=True):
        own.setdefault(configuration, []).append(row)
    steps = [
        PatienceOutcome(
            setting=setting,
            lost=fmean(fmean(row[n] for row in rows) for rows in own.values()),
            most_lost=max(row[n] for row in lost),
            best=turned(max(row[n] for row in reached)),
            epochs=sum(row[n].epochs for row in curves),
        )
        for n, setting in enumerate(settings)
    ]
    longest = max(replay.epochs for row in curves for replay in row)
    ordered = tuple(sorted(steps, key=lambda step: step.epochs))
    return Tradeoff(ordered, len(curves), len(own), longest, objective)


def _ladder(spec: SweepSpec, records: Iterable[TrialRecord]) -> list[Setting]:
    tried = {record.parameters.get(PATIENCE) for record in records}
    tried |= {spec.early_stopping.patience, *LADDER}
    most = spec.ranges.most_epochs
    return [{PATIENCE: p} for p in sorted({int(p) for p in tried if is_number(p) and 0 < p < most})]


def _known(row: Sequence[Replay | None]) -> list[Replay]:
    return [one for one in row if one is not None and one.value is not None]


def _is_sane(value: ParameterValue) -> TypeGuard[int | float]:
    return is_number(value) and abs(value) < LARGEST


def _words(key: str, value: ParameterValue) -> str:
    if value is None:
        return "never"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
