"""Optuna's samplers by name; each trial gets a new one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)

Undrawn = Literal["absent", "middle", "proposed"]
"""What a study has of a parameter that a trial does not draw: see `linked_search`."""


@dataclass(frozen=True)
class OptunaMethod:
    """How a study is searched.

    Args:
        make: makes the sampler of one trial, from a seed in [0, 2³²).
        by_place: whether it compares the values of all trials as numbers, whatever rung they are
            from (`sweep.search.searchers.optuna_evidence.by_place`).
        remembers: whether the sampler notes its own state in the study when it proposes.
        learns: whether a proposal depends on what the study has of other trials.
        undrawn: what the study has of parameters that a trial does not draw.
        grouping: makes the sampler of a space with conditions or dependent bounds, if another.
    """

    make: Callable[[int], BaseSampler]
    by_place: bool = False
    remembers: bool = False
    learns: bool = True
    undrawn: Undrawn = "proposed"
    grouping: Callable[[int], BaseSampler] | None = None


def tpe(startup_trials: int) -> OptunaMethod:
    """Multivariate TPE.

    Args:
        startup_trials: trials that are drawn at random before the first one that learns.
    """

    def make(seed: int, group: bool = False) -> BaseSampler:
        return TPESampler(
            n_startup_trials=startup_trials, seed=seed, multivariate=group or None, group=group
        )

    return OptunaMethod(make, undrawn="absent", grouping=partial(make, group=True))


def gp(startup_trials: int) -> OptunaMethod:
    """Gaussian process, constrained to where trials do not diverge. Imports torch when it learns.

    Args:
        startup_trials: trials past a rung, completed or diverged before the first one that learns.
    """
    return OptunaMethod(
        lambda seed: GPSampler(
            n_startup_trials=startup_trials, seed=seed, warn_independent_sampling=False
        ),
        by_place=True,
        undrawn="middle",
    )


def cmaes() -> OptunaMethod:
    """CMA-ES for the numbers of the space; TPE, each parameter alone, for the listed values.

    A trial past a rung counts with its place there. Otherwise a generation would wait for completed
    ones.
    """
    return OptunaMethod(
        lambda seed: CmaEsSampler(
            seed=seed,
            independent_sampler=TPESampler(multivariate=False, seed=seed),
            warn_independent_sampling=False,
        ),
        by_place=True,
        remembers=True,
    )


def qmc(sequence: int) -> OptunaMethod:
    """The points of a scrambled Sobol' sequence, in order.

    Args:
        sequence: the seed of the scrambling, the same for all trials.
    """
    return OptunaMethod(
        lambda seed: QMCSampler(
            scramble=True,
            seed=sequence,
            independent_sampler=RandomSampler(seed=seed),
            warn_independent_sampling=False,
        ),
        remembers=True,
        learns=False,
    )


METHODS: Mapping[str, Callable[[Any, int], OptunaMethod]] = {
    "tpe": lambda own, _: tpe(own.startup_trials),
    "gp": lambda own, _: gp(own.startup_trials),
    "cmaes": lambda *_: cmaes(),
    "qmc": lambda _, seed: qmc(sequence=seed),
}
"""``searcher.name`` → its method, of (the searcher's settings, its seed)."""
