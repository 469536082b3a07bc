"""Optuna's samplers, told the truth about every trial."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

import optuna
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import TrialState

from sweep.record import ParameterValue, Status, TrialRecord
from sweep.search.optuna_samplers import Method
from sweep.search.optuna_space import make_codec, suggest
from sweep.spec.space import Distribution

WORST_DICE = 0.0
IDLE = RandomSampler(seed=0)
"""Where nothing is to be proposed."""


class OptunaSearch:
    """One Optuna study, which maximises the validation Dice and knows how each trial ended.

    | trial                    | told to the study as                                            |
    |--------------------------|-----------------------------------------------------------------|
    | completed, early-stopped | COMPLETE with its best Dice; FAIL if none was ever measured     |
    | pruned                   | PRUNED; TPE ranks it by its last epoch, then by the Dice there  |
    | diverged                 | COMPLETE with the worst Dice, and infeasible: ``diverged`` = 1  |
    | failed                   | FAIL: it says nothing about its parameters                      |
    | running                  | RUNNING: TPE keeps away from it ("constant liar")               |

    Every epoch's Dice is an intermediate value. Samplers that know constraints (TPE, GP) learn
    from ``diverged`` where trials die; those that do not (CMA-ES) are driven away by the Dice.
    FAIL would hide the divergence from all of them: measured over 60 trials beside a divergent
    region, TPE then walked into it about twice as often. GP learns from no pruned trial.

    A trial that it did not propose (a preset's) is told too, unless a parameter lies outside the
    space: Optuna learns from no other trials than those whose distributions are the space's own.

    A sampler is made anew for each trial, its seed derived from the searcher's and the trial's
    number: with what the study holds, that decides the proposal. What a sampler notes in the study
    (the generation of CMA-ES, the place in a Sobol' sequence) is noted anew by a resumed search:
    there the sampler is asked again for each trial that it proposed, and overruled by the record.

    Args:
        space: distribution of each searched parameter under its dotted name.
        seed: of the searcher.
        method: of Optuna.
        first: number of the first trial that is the searcher's own; those before are presets.

    Attributes:
        study: the study itself, to look at.
    """

    def __init__(
        self,
        space: Mapping[str, Distribution],
        seed: int,
        method: Method,
        first: int = 0,
    ) -> None:
        self._space = space
        self._codecs = {name: make_codec(distribution) for name, distribution in space.items()}
        self._distributions = {name: codec.distribution for name, codec in self._codecs.items()}
        self._seed = seed
        self._method = method
        self._first = first
        self.study = make_study()
        self._open: dict[int, optuna.Trial] = {}
        self._ended: set[int] = set()

    def ask(self, number: int) -> dict[str, ParameterValue]:
        if number not in self._open:
            self.study.sampler = self._sampler(number)
            self._open[number] = self.study.ask(self._distributions)
        asked = self._open[number].params
        return {name: codec.decode(asked[name]) for name, codec in self._codecs.items()}

    def tell(self, record: TrialRecord) -> None:
        if record.number in self._ended or not self._can_hold(record.parameters):
            return
        if record.number not in self._open:
            self._open[record.number] = self._adopt(record)
        if record.status.is_final:
            self._ended.add(record.number)
            self._finish(self._open.pop(record.number), record)

    def _can_hold(self, parameters: Mapping[str, ParameterValue]) -> bool:
        return all(kind.contains(parameters[name]) for name, kind in self._space.items())

    def _sampler(self, number: int) -> BaseSampler:
        return self._method.make(random.Random(f"{self._seed}-{number}").getrandbits(32))

    def _adopt(self, record: TrialRecord) -> optuna.Trial:
        """The trial of the study for one that another asked for: an earlier session, a preset."""
        self.study.enqueue_trial(
            {name: codec.encode(record.parameters[name]) for name, codec in self._codecs.items()}
        )
        again = self._method.remembers and record.number >= self._first
        self.study.sampler = self._sampler(record.number) if again else IDLE
        trial = self.study.ask()
        _ = trial.relative_params  # where the sampler proposes, and notes its state
        for name, distribution in self._distributions.items():
            suggest(trial, name, distribution)
        return trial

    def _finish(self, trial: optuna.Trial, record: TrialRecord) -> None:
        self.study.sampler = IDLE  # CMA-ES warns that it does not use constraints
        for epoch in record.history:
            if epoch.val_dice is not None and math.isfinite(epoch.val_dice):
                trial.report(epoch.val_dice, epoch.epoch)
        state, value = state_and_value(record)
        if state is not TrialState.FAIL:
            # GP wants the constraint of the feasible trials too.
            trial.set_constraint("diverged", 1.0 if record.status is Status.DIVERGED else -1.0)
        self.study.tell(trial, value, state)


def state_and_value(record: TrialRecord) -> tuple[TrialState, float | None]:
    """Optuna's state and objective for a trial that has ended."""
    match record.status:
        case Status.PRUNED:
            return TrialState.PRUNED, None
        case Status.DIVERGED:
            return TrialState.COMPLETE, WORST_DICE
        case Status.COMPLETED | Status.EARLY_STOPPED if record.best is not None:
            return TrialState.COMPLETE, record.best.val_dice
        case _:
            return TrialState.FAIL, None


def make_study() -> optuna.Study:
    """An empty study in memory."""
    # It announces every study, and warns of packages that would only make it faster.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(direction="maximize")
