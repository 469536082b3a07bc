"""Optuna's samplers, told the truth about every trial."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from sweep.record import ParameterValue, Status, TrialRecord
from sweep.search.optuna_space import make_codec
from sweep.spec.space import Distribution

WORST_DICE = 0.0


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
    region, TPE then walked into it about twice as often.

    A trial that it did not propose (a preset's) is told too, unless a parameter lies outside the
    space: Optuna learns from no other trials than those whose distributions are the space's own.

    A sampler is made anew for each trial, its seed derived from the searcher's and the trial's
    number: with what the study holds, that decides the proposal.

    Args:
        space: distribution of each searched parameter under its dotted name.
        seed: of the searcher.
        make_sampler: the sampler for one trial, from a seed in [0, 2³²).

    Attributes:
        study: the study itself, to look at.
    """

    def __init__(
        self,
        space: Mapping[str, Distribution],
        seed: int,
        make_sampler: Callable[[int], BaseSampler],
    ) -> None:
        self._space = space
        self._codecs = {name: make_codec(distribution) for name, distribution in space.items()}
        self._distributions = {name: codec.distribution for name, codec in self._codecs.items()}
        self._seed = seed
        self._make_sampler = make_sampler
        self.study = make_study()
        self._open: dict[int, optuna.Trial] = {}
        self._ended: set[int] = set()

    def ask(self, number: int) -> dict[str, ParameterValue]:
        if number not in self._open:
            seed = random.Random(f"{self._seed}-{number}").getrandbits(32)
            self.study.sampler = self._make_sampler(seed)
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

    def _adopt(self, record: TrialRecord) -> optuna.Trial:
        """The trial of the study for one that another asked for: an earlier session, a preset."""
        self.study.sampler = RandomSampler(seed=0)  # cheap; all values are given
        self.study.enqueue_trial(
            {name: codec.encode(record.parameters[name]) for name, codec in self._codecs.items()}
        )
        return self.study.ask(self._distributions)

    def _finish(self, trial: optuna.Trial, record: TrialRecord) -> None:
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
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # else it announces every study
    return optuna.create_study(direction="maximize")


def tpe(startup_trials: int) -> Callable[[int], BaseSampler]:
    """Maker of multivariate TPE samplers.

    Args:
        startup_trials: trials that are drawn at random before the first that learns.
    """
    return lambda seed: TPESampler(n_startup_trials=startup_trials, seed=seed)
