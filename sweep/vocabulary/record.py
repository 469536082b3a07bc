"""The vocabulary that trainer, engine, store and analysis share. Standard library only.

Epochs and steps are counted from 0, as in the formulas (the geometric factor is 0 while
``epoch < warmup_epochs``) and in nnU-Net's logs. Counts (``epochs`` of a ranking) are counts.
"""

from __future__ import annotations

import traceback
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from itertools import compress
from operator import not_
from typing import Any

from sweep.vocabulary.class_scores import ClassScore, DistanceUnit
from sweep.vocabulary.divergence import Diagnosis
from sweep.vocabulary.dominance import Point
from sweep.vocabulary.epoch_metrics import EpochMetrics, column, distance_unit_in, warnings_of
from sweep.vocabulary.error_lines import blamed
from sweep.vocabulary.objective import DICE, Objective, mean_of_runs
from sweep.vocabulary.strict_json import finite_fields

Scalar = bool | int | float | str | None
ParameterValue = Scalar | tuple[Scalar | tuple[Scalar, ...], ...]
"""Value of a searched parameter; a list is a tuple, of single values or of lists of these."""


class Status(StrEnum):
    """Where a trial stands. All but ``RUNNING`` are final and may stand in a ranking."""

    RUNNING = "running"
    COMPLETED = "completed"
    EARLY_STOPPED = "early_stopped"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        return self is not Status.RUNNING

    @property
    def has_result(self) -> bool:
        """Whether its values may be compared with those of other trials."""
        return self in (Status.COMPLETED, Status.EARLY_STOPPED, Status.PRUNED)


class Stage(StrEnum):
    """The part of a training step in which the first value was not finite."""

    LOSS = "loss"
    GRADIENT = "gradient"
    WEIGHTS = "weights"


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """The guard's verdict: what happened, and where it was first seen.

    Args:
        cause: name of the verdict, such as ``nonfinite``; see `sweep.trainer.divergence.verdicts`.
        epoch, step: where it was first seen, both from 0; ``step`` counts within the epoch.
        stage: where in the step (loss, gradient, weights); None if the cause has none.
        term: the loss term that was first not finite, if there is one.
        parameter: the first parameter tensor, in the order of the forward pass, whose gradient was
            not finite.
        terms: value of each loss term at that step, as text ("nan", "inf", "0.5124").
        weights_finite: whether the kept weights (the last healthy ones) are finite.
        message: one sentence for the user.
        diagnosis: the circumstances; None if they were not examined.
        counts_steps: whether the training counts its steps. Else ``step`` is 0 and says nothing.
    """

    cause: str
    epoch: int
    step: int
    message: str
    stage: Stage | None = None
    term: str | None = None
    parameter: str | None = None
    terms: Mapping[str, str] = field(default_factory=dict)
    weights_finite: bool = True
    diagnosis: Diagnosis | None = None
    counts_steps: bool = True

    @property
    def summary(self) -> str:
        """One short line, as in the ``cause`` column of a ranking."""
        return f"{self.what} at {self.where}"

    @property
    def what(self) -> str:
        """Cause, stage and loss term: ``nonfinite gradient (compactness)``."""
        what = " ".join(str(part) for part in (self.cause, self.stage) if part)
        return f"{what} ({self.term})" if self.term else what

    @property
    def where(self) -> str:
        return f"epoch {self.epoch}" + (f" step {self.step}" if self.counts_steps else "")

    def to_json(self) -> dict[str, Any]:
        diagnosis = self.diagnosis.to_json() if self.diagnosis else None
        found = finite_fields(replace(self, diagnosis=None)) | {"diagnosis": diagnosis}
        if self.counts_steps:
            del found["counts_steps"]
        return found


BY_HAND = "stopped by the user"
"""How the cause of a trial begins that a user stopped. Its status is `Status.PRUNED`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a trial ended.

    Args:
        status: a final status.
        cause: one line for the ranking; empty if nothing needs an explanation.
        divergence: the verdict of the guard, for ``Status.DIVERGED``.
        error: the traceback, for ``Status.FAILED``.
    """

    status: Status
    cause: str = ""
    divergence: Divergence | None = None
    error: str | None = None

    @classmethod
    def diverged(cls, divergence: Divergence) -> Outcome:
        return cls(status=Status.DIVERGED, cause=divergence.summary, divergence=divergence)

    @classmethod
    def failed(cls, error: BaseException) -> Outcome:
        """The trainer raised: as cause one line, with its place if a user's own code raised it."""
        text = "".join(traceback.format_exception(error))
        return cls(status=Status.FAILED, cause=blamed(error), error=text)


@dataclass(frozen=True, slots=True)
class Replicate:
    """What makes a trial a replicate: the configuration of another, with another seed or fold.

    Args:
        of: id of the trial that it repeats.
        seed: of weights, data order and augmentation.
        fold: the fold that validates.
        in_search: whether it is one of the search, which ranks by it (``replicate:``), and not of
            the confirmation.
    """

    of: str
    seed: int
    fold: int
    in_search: bool = False

    @property
    def block(self) -> tuple[int, int]:
        """Seed and fold: replicates that share them are compared as a pair."""
        return self.seed, self.fold


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What marks a trial that a user enqueued while the sweep ran (``sweep.enqueue``).

    Args:
        request: id of the request.
        by: user@host.
    """

    request: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseScore:
    """The score of a run's best weights on one case of the test split.

    Args:
        case: its identifier.
        dice: in [0, 1]; None if it is undefined for the case.
        hd95: None if it is undefined for the case.
        classes: the same and more of each class; empty where an older version wrote it.
        group: of the case, such as its patient (`data.groups`); None where nothing is grouped.
    """

    case: str
    dice: float | None
    hd95: float | None = None
    classes: tuple[ClassScore, ...] = ()
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RealValidation:
    """A run's best weights on the whole validation cases of its fold, as nnU-Net scores them.

    Args:
        dice: mean over the classes of the mean over the cases; None without any value.
        cases: case → class → Dice; None where neither prediction nor reference has the class.
        groups: of the cases, such as their patients (`trainer.groups`); empty: nothing is grouped.
    """

    dice: float | None
    cases: Mapping[str, Mapping[str, float | None]]
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """Everything that is recorded of one trial.

    Args:
        trial_id: name of its folder under ``trials/``.
        number: order in which it was started, from 0; of a replicate, that of the one it repeats.
        parameters: the searched parameters under their dotted names.
        history: its epochs, in order, without gaps.
        outcome: how it ended; None while it runs or after an interruption.
        preset: name of the preset that it trains; None if the searcher proposed it.
        replicate: the trial that it repeats; None for the trials of the search.
        enqueued: by whom, if a user enqueued it; None for all others.
        test: its scores on the test split, one per case; empty if it was not evaluated there.
        real: its real validation; None if it had none.
        objective: the objective of its sweep.
        replicated: scores of its replicates in the search, in the order of training, up to the
            first without a score; see `searched`.
        diverged_runs: ids of its replicates in the search that diverged.
        in_race: whether its search trains trials on further folds or seeds, unless it pruned them.
    """

    trial_id: str
    number: int
    parameters: Mapping[str, ParameterValue]
    history: Sequence[EpochMetrics] = ()
    outcome: Outcome | None = None
    preset: str | None = None
    replicate: Replicate | None = None
    enqueued: Enqueued | None = None
    test: tuple[CaseScore, ...] = ()
    real: RealValidation | None = None
    objective: Objective = DICE
    replicated: tuple[float, ...] = ()
    diverged_runs: tuple[str, ...] = ()
    in_race: bool = False

    @property
    def configuration_id(self) -> str:
        """Id of the trial whose configuration it runs: its own, or the one that it repeats."""
        return self.replicate.of if self.replicate else self.trial_id

    @cached_property
    def configuration(self) -> str:
        """What it trains, but for seed and fold: equal for trials with the same configuration."""
        return repr((self.preset, sorted(self.parameters.items())))

    @property
    def status(self) -> Status:
        return self.outcome.status if self.outcome else Status.RUNNING

    @property
    def is_stopped_by_hand(self) -> bool:
        """Whether a user stopped it."""
        return self.outcome is not None and self.outcome.cause.startswith(BY_HAND)

    @cached_property
    def values(self) -> Sequence[float | None]:
        """The objective in each epoch; None where it was not measured or is not finite."""
        return self.objective.values(self.history)

    @cached_property
    def scores(self) -> Sequence[float | None]:
        """The same as scores: higher is better."""
        if self.objective.mode == "max":
            return self.values
        return [None if value is None else -value for value in self.values]

    @cached_property
    def best(self) -> EpochMetrics | None:
        """The epoch of the best value of the objective; None without any. Of equals it is the one
        of the highest validation Dice, then the earliest.

        Epochs without a finite value are skipped: a NaN never hides a value.
        """
        place = self.objective.best_place(self.history, self.scores)
        return None if place is None else self.history[place]

    @property
    def value(self) -> float | None:
        """The objective in the best epoch, by which a trial with a result is ranked."""
        return None if self.best is None else self.objective.value(self.best)

    def reached(self, epochs: int) -> float | None:
        """The best value of the objective in the first epochs; None without any."""
        known = [score for score in self.scores[:epochs] if score is not None]
        return self.objective.turned(max(known)) if known else None

    @property
    def score(self) -> float | None:
        """The value as a score (higher is better); None for a trial without a result."""
        value = self.value if self.status.has_result else None
        return None if value is None else self.objective.turned(value)

    @property
    def mean_score(self) -> float | None:
        """Mean score over the runs of the search: its own and those of its replicates there.

        Only means over as many runs can be compared.
        """
        own = self.score
        return None if own is None else mean_of_runs((own, *self.replicated))

    @property
    def is_out(self) -> bool:
        """Whether it was pruned before a further run could show that it breaks there."""
        return self.in_race and self.status is Status.PRUNED

    @property
    def has_further_runs(self) -> bool:
        """Whether a replicate of it in the search has a score, or diverged."""
        return bool(self.replicated or self.diverged_runs)

    def with_runs(self, runs: Iterable[TrialRecord]) -> TrialRecord:
        """The trial with these replicates in the search, of whatever status, counted."""
        runs = list(runs)
        diverged = tuple(run.trial_id for run in runs if run.status is Status.DIVERGED)
        in_order = sorted(runs, key=lambda run: (len(run.trial_id), run.trial_id))  # of training
        scores = up_to_none(run.score for run in in_order)
        return replace(self, replicated=scores, diverged_runs=diverged)

    @property
    def point(self) -> Point | None:
        """The score of each objective of a sweep with several; None for a trial without a result.

        All are of the best epoch of the first.
        """
        return self.objective.point(self.history) if self.status.has_result else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings of its epochs, each sentence once."""
        return warnings_of(self.history)

    @property
    def trained(self) -> tuple[EpochMetrics, ...]:
        """The epochs that it trained itself."""
        return tuple(epoch for epoch in self.history if not epoch.shared)

    @property
    def shared_seconds(self) -> list[float]:
        """Wall time of each epoch that it took over from a warm-up that another trial trained."""
        return [*compress(column(self.history, "seconds"), column(self.history, "shared"))]

    @property
    def seconds(self) -> float:
        """Wall time of the epochs that it trained itself."""
        seconds, shared = column(self.history, "seconds"), column(self.history, "shared")
        total: float = sum(compress(seconds, map(not_, shared)) if any(shared) else seconds)
        return total


@dataclass(frozen=True, slots=True)
class SearchEnded:
    """The search proposes no further trial, because one was unlikely to be better.

    Args:
        trial_id: the trial whose end decided it.
        started: number of trials that the search has started by then.
        trials: number of trials that it could have had. It does not hold for a sweep that was
            extended beyond them.
        chance: estimated probability that further trials would have been better.
    """

    trial_id: str
    started: int
    trials: int
    chance: float


class Observer:
    """Interface for consoles, trackers and metrics: called after each event is recorded.

    A subclass implements only the methods that it needs.
    """

    def trial_started(self, trial_id: str, parameters: Mapping[str, ParameterValue]) -> None:
        """The trial has a folder and goes to a worker."""

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        """The trial has finished an epoch, or taken one over from a shared warm-up."""

    def trial_enqueued(self) -> None:
        """A user has enqueued one more trial. It starts later."""

    def trial_waits(self, trial_id: str) -> None:
        """The trial waits for a worker. It has continued when it reports its next epoch."""

    def trial_ended(self, record: TrialRecord) -> None:
        """The trial has ended, with its whole history."""

    def search_ended(self, event: SearchEnded) -> None:
        """The search starts no further trial. Those that run or wait still end."""


class Relay(Observer):
    """An observer that passes every event on: the name of the method, and its arguments."""

    def trial_started(self, trial_id: str, parameters: Mapping[str, ParameterValue]) -> None:
        self._pass_on("trial_started", trial_id, parameters)

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        self._pass_on("epoch_reported", trial_id, metrics)

    def trial_enqueued(self) -> None:
        self._pass_on("trial_enqueued")

    def trial_waits(self, trial_id: str) -> None:
        self._pass_on("trial_waits", trial_id)

    def trial_ended(self, record: TrialRecord) -> None:
        self._pass_on("trial_ended", record)

    def search_ended(self, event: SearchEnded) -> None:
        self._pass_on("search_ended", event)

    def _pass_on(self, event: str, *facts: object) -> None:
        raise NotImplementedError


def objective_of(records: Iterable[TrialRecord]) -> Objective:
    """The objective of a sweep's trials; the default if there is no trial."""
    return next((record.objective for record in records), DICE)


def distance_unit_of(records: Iterable[TrialRecord]) -> DistanceUnit | None:
    """Unit in which a sweep's trials measured distances; None if no trial says so."""
    units = (distance_unit_in(record.history) for record in records)
    return next((unit for unit in units if unit is not None), None)


def searched(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The trials of the search itself, without replicates.

    Each has the scores of those of its replicates that are the search's own, and the names of
    those that diverged.
    """
    trials: list[TrialRecord] = []
    runs = defaultdict[str, list[TrialRecord]](list)
    for record in records:
        if record.replicate is None:
            trials.append(record)
        elif record.replicate.in_search:
            runs[record.replicate.of].append(record)
    return [one.with_runs(runs[one.trial_id]) if one.trial_id in runs else one for one in trials]


def confirming(records: Iterable[TrialRecord]) -> list[tuple[Replicate, TrialRecord]]:
    """The replicates of a confirmation. The finalists were chosen by those of the search."""
    return [
        (one.replicate, one) for one in records if one.replicate and not one.replicate.in_search
    ]


def representing(runs: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Of the runs of one configuration those that stand for it.

    These are the replicates of a confirmation, by which nothing was chosen; without any, all.
    """
    runs = list(runs)
    return [run for _, run in confirming(runs)] or runs


def place_of_runs(
    score: float, replicated: Sequence[float], diverged: int
) -> tuple[int, int, float]:
    """Sort key of a configuration by its runs in the search, ascending from the worst.

    A mean over fewer runs is never compared with one over more. Who has fewer was left behind, lost
    a run, or has not been trained on the others yet. Divergence is a gate, as for finalists: the
    mean of the runs that did not diverge does not make up for one that did.

    Args:
        score: of the trial itself, higher is better.
        replicated: scores of its replicates.
        diverged: number of its replicates that diverged.

    Returns:
        number of replicates with a score, minus the number that diverged, mean score.
    """
    return len(replicated), -diverged, mean_of_runs((score, *replicated))


def up_to_none(scores: Iterable[float | None]) -> tuple[float, ...]:
    """The scores before the first that is None."""
    found: list[float] = []
    for score in scores:
        if score is None:
            break
        found.append(score)
    return tuple(found)
