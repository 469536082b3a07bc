"""Optuna's samplers, with the true end of every trial."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, PartialFixedSampler

from sweep.search.searchers.linked_search import LinkedTranslator
from sweep.search.searchers.optuna_samplers import OptunaMethod
from sweep.search.searchers.optuna_study import (
    IDLE,
    Translator,
    Worst,
    constraints,
    intermediate_values,
    make_study,
    state_and_value,
)
from sweep.search.searchers.prior_trials import PriorTrials
from sweep.spec.space.distributions import Distribution
from sweep.spec.space.linked_space import is_linked
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import ParameterValue, Status, TrialRecord


class OptunaSearch:
    """One Optuna study in memory, of the sweep's objective in its direction.

    The study has the true end of each trial (see `sweep.search.searchers.optuna_study`). Samplers
    with constraints (TPE, GP) learn from ``diverged`` where trials diverge. Those without (CMA-ES)
    are driven away by the value. FAIL would hide the divergence from all of them: measured over 60
    trials beside a divergent region, TPE then entered it about twice as often. TPE ranks a pruned
    trial by its last epoch, then by the value there; GP learns from none. Both avoid the parameters
    of a running trial. A trial that diverged before any trial had a value counts as running until
    one has (see `Worst`).

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
        method = replace(method, make=method.make_linked, remembers=True) if linked else method
        self._seed = seed
        self._method = method
        self._priors = PriorTrials(space, seed, first)
        self._first = first
        self.study = make_study(mode=objective.mode)
        self._open: dict[int, optuna.Trial] = {}
        self._ended: set[int] = set()
        self._worst = Worst(objective)
        self._unmeasured: list[Callable[[], None]] = []

    def ask(self, number: int) -> dict[str, ParameterValue]:
        if number not in self._open:
            self.study.sampler = self._sampler(number)
            self._open[number] = self._translator.suggested(self.study.ask())
        return self._translator.decode(self._open[number].params)

    def tell(self, record: TrialRecord) -> None:
        if record.number in self._ended or not self._translator.is_inside(record.parameters):
            return
        if record.number not in self._open:
            self._open[record.number] = self._adopt(record)
        if record.status.is_final:
            self._ended.add(record.number)
            trial = self._open.pop(record.number)
            self._when_measured(record, lambda: self._finish(trial, record))

    def learn(self, record: TrialRecord) -> None:
        def add() -> None:
            self.study.add_trial(self._translator.frozen(record, self._worst.value))

        self._when_measured(record, add)

    def _when_measured(self, record: TrialRecord, add: Callable[[], None]) -> None:
        """Add a trial to the study; a diverged one only when its value is known (see `Worst`)."""
        self._worst.see(record)
        if record.status is Status.DIVERGED:
            self._unmeasured.append(add)
        if self._worst.value is not None:
            while self._unmeasured:
                self._unmeasured.pop(0)()
        if record.status is not Status.DIVERGED:
            add()

    def _sampler(self, number: int) -> BaseSampler:
        seed = random.Random(f"{self._seed}-{number}").getrandbits(32)
        with warnings.catch_warnings():  # our own tests hold what is experimental in Optuna
            warnings.simplefilter("ignore", ExperimentalWarning)
            made = self._method.make(seed)
            if likely := self._priors.ask(number):
                made = PartialFixedSampler(self._translator.alone(likely), made)
            return self._translator.sampler(made)

    def _adopt(self, record: TrialRecord) -> optuna.Trial:
        """A trial of the study for one that was not asked for here: a preset's, or an earlier
        session's.
        """
        inside = self._translator.inside(record.parameters)
        again = self._method.remembers and record.number >= self._first
        known = self._translator.encode if again else self._translator.completed
        self.study.enqueue_trial(known(inside))
        self.study.sampler = self._sampler(record.number) if again else IDLE
        trial = self.study.ask()
        # The sampler proposes here and notes its state, before the trial has any parameter.
        _ = trial.relative_params
        return self._translator.suggested(trial)

    def _finish(self, trial: optuna.Trial, record: TrialRecord) -> None:
        self.study.sampler = IDLE  # CMA-ES warns that it does not use constraints
        for epoch, value in intermediate_values(record).items():
            trial.report(value, epoch)
        for name, broken in constraints(record, self._worst.value).items():
            trial.set_constraint(name, broken)
        state, result = state_and_value(record, self._worst.value)
        self.study.tell(trial, result, state)
