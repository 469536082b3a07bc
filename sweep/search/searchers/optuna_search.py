"""Optuna's samplers, with what every trial is worth so far."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, PartialFixedSampler
from optuna.trial import FrozenTrial

from sweep.search.searchers.linked_search import LinkedTranslator
from sweep.search.searchers.optuna_evidence import Evidence, by_place
from sweep.search.searchers.optuna_samplers import OptunaMethod
from sweep.search.searchers.optuna_study import (
    IDLE,
    RetoldTrials,
    Translator,
    Worst,
    intermediate_values,
    make_study,
)
from sweep.spec.space.distributions import Distribution
from sweep.spec.space.linked_space import is_linked
from sweep.spec.space.prior_draws import PriorTrials
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import ParameterValue, TrialRecord


class OptunaSearch:
    """One Optuna study in memory, of the sweep's objective in its direction.

    The study has what each trial is worth so far (see `sweep.search.searchers.optuna_evidence`).
    Samplers with constraints (TPE, GP) learn from ``diverged`` where trials diverge. Those without
    (CMA-ES) are driven away by the value. FAIL would hide the divergence from all of them: measured
    over 60 trials beside a divergent region, TPE then entered it about twice as often. TPE ranks
    trials that have not come to their end below those that have: by their rungs, then by the score
    at the last one. To GP and CMA-ES, which compare values alone, this order is told as values.
    TPE and GP avoid the parameters of a trial without a score. A trial that diverged before any
    trial had a value counts as running until one has (see `Worst`).

    The study also gets trials that it did not propose (a preset's), unless a parameter is outside
    the space: Optuna learns only from trials with exactly the distributions of the space.

    Each trial has a new sampler, with a seed derived from the searcher's and the trial's number.
    That seed and the study decide the proposal. A sampler may note its state in the study (the
    generation of CMA-ES, the place in a Sobol' sequence). A resumed search restores it: the sampler
    is asked again for each trial that it proposed, and the record overrules the answer.

    Args:
        space: distribution of each searched parameter under its dotted name.
        seed: of the searcher.
        method: of Optuna.
        first: number of the first trial that is the searcher's own; earlier ones are given.
        objective: what trials are judged by.

    Attributes:
        study: the study itself, for inspection.
    """

    def __init__(
        self,
        space: Mapping[str, Distribution],
        seed: int,
        method: OptunaMethod,
        first: int = 0,
        objective: Objective = DICE,
    ) -> None:
        linked = is_linked(space)
        self._translator = LinkedTranslator(space, method.undrawn) if linked else Translator(space)
        # TPE shows itself what it proposes for a running trial, also what the trial does not draw.
        if linked:
            method = replace(method, make=method.grouping or method.make, remembers=True)
        self._seed = seed
        self._method = method
        self._priors = PriorTrials(space, seed, first)
        self._first = first
        self._objective = objective
        self._storage = RetoldTrials()
        self._study = make_study(self._storage, objective=objective)
        self._evidence: list[Evidence] = []  # in the order of the study
        self._index: dict[int, int] = {}  # there, of the trial with this number
        self._changed: set[int] = set()  # there, of which the study does not know all
        self._worst = Worst(objective)

    @property
    def study(self) -> optuna.Study:
        """The study with all that was told so far."""
        if self._changed:
            for index, trial in self._known():
                self._storage.retell(index, trial)
            self._changed.clear()
        return self._study

    def _known(self) -> Iterable[tuple[int, FrozenTrial]]:
        """The trials that are not in the study as they are now, by their place there."""
        if self._method.by_place or any(known.has_further_runs for known in self._evidence):
            return enumerate(by_place(self._evidence, self._objective, self._worst.value))
        return [(index, self._told(self._evidence[index])) for index in sorted(self._changed)]

    def _told(self, known: Evidence) -> FrozenTrial:
        """A trial in Optuna's terms."""
        return known.trial(self._objective, self._worst.value)

    def ask(self, number: int) -> dict[str, ParameterValue]:
        if number not in self._index:
            self.study.sampler = self._sampler(number)
            with np.errstate(all="ignore"):  # GP divides by 0 where one point is far above all
                self._translator.suggested(self.study.ask())
            self._take_in(number)
        return self._translator.decode(self._evidence[self._index[number]].proposed.params)

    def complete(
        self, number: int, given: Mapping[str, ParameterValue]
    ) -> dict[str, ParameterValue]:
        """The sampler draws the missing values, as for Optuna's ``Study.enqueue_trial``."""
        if number not in self._index:
            self.study.enqueue_trial(self._translator.encode(given))
        return self.ask(number)

    def tell(self, record: TrialRecord) -> None:
        if not self._translator.is_inside(record.parameters):
            return
        if record.number not in self._index:
            self._adopt(record)
        index = self._index[record.number]
        if record.status.is_final and self._evidence[index].ended is None:
            self._change(index, ended=record)

    def judge(self, number: int, rung: int, score: Any) -> None:
        if number in self._index:
            self._change(self._index[number], rung=rung, score=score)

    def replicate(self, number: int, scores: Sequence[float], diverged: int) -> None:
        if number in self._index:
            self._change(self._index[number], replicated=tuple(scores), diverged=diverged)

    def learn(self, record: TrialRecord) -> None:
        """As `tell`, of a trial whose rungs are unknown: a pruned one counts as before its first,
        with its last value."""
        values = intermediate_values(record)
        last = self._objective.turned(values[max(values)]) if values else None
        self._add(record)
        self._change(len(self._evidence) - 1, ended=record, score=last)

    def _change(self, index: int, **known: Any) -> None:
        """Note what is known of a trial."""
        self._evidence[index] = replace(self._evidence[index], **known)
        if self._method.learns:
            self._changed.add(index)
            if "ended" in known and self._worst.see(known["ended"]):
                self._changed.update(range(len(self._evidence)))

    def _take_in(self, number: int) -> None:
        """Note the trial that the study has just begun."""
        index = len(self._evidence)
        self._index[number] = index
        self._evidence.append(Evidence(self._storage.get_trial(index)))

    def _sampler(self, number: int) -> BaseSampler:
        seed = random.Random(f"{self._seed}-{number}").getrandbits(32)
        with warnings.catch_warnings():  # our own tests hold what is experimental in Optuna
            warnings.simplefilter("ignore", ExperimentalWarning)
            made = self._method.make(seed)
            if likely := self._priors.ask(number):
                made = PartialFixedSampler(self._translator.alone(likely), made)
            return self._translator.sampler(made)

    def _adopt(self, record: TrialRecord) -> None:
        """Begin a trial in the study that was not asked for here: a preset's, or an earlier
        session's.
        """
        if self._method.remembers:
            self._begin_again(record)
            return
        self._index[record.number] = len(self._evidence)
        self._add(record)

    def _add(self, record: TrialRecord) -> None:
        """Add a trial without a result to the study."""
        proposed = self._translator.proposed(record)
        self._study.add_trial(proposed)
        self._evidence.append(Evidence(proposed))

    def _begin_again(self, record: TrialRecord) -> None:
        """Let the sampler propose the trial, as it did, so that it notes its state."""
        inside = self._translator.inside(record.parameters)
        own = record.number >= self._first
        known = self._translator.encode if own else self._translator.completed
        self.study.enqueue_trial(known(inside))
        self.study.sampler = self._sampler(record.number) if own else IDLE
        trial = self.study.ask()
        # The sampler proposes here and notes its state, before the trial has any parameter.
        _ = trial.relative_params
        self._translator.suggested(trial)
        self._take_in(record.number)
