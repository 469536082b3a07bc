"""How likely further trials are to beat the best one, from the values of those that have ended."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep.analysis.confirm.paired_statistics import most_unseen
from sweep.analysis.report_words import percent
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.words.phrases import counted
from sweep.store.journal import search_end
from sweep.store.layout import Layout
from sweep.vocabulary.record import Status, TrialRecord

Values = NDArray[np.float64]

FEWEST = 8
"""Fewest trials with a value for an estimate."""
MOST_ALIKE = 2
"""Different scores that show no tail."""
LEAST_TAIL, TAIL = 5, 0.25
"""The tail is this share of the trials, and never fewer than this."""
LEARNS = 2
"""Further trials that one of a searcher that learns stands for. Its later trials are better than
its earlier ones, which the estimate takes for alike: without this it was half as high as the share
of simulated sweeps that did improve."""
SHAPES = np.linspace(-0.95, 0.5, 30)
"""Shapes ξ of the tail that are considered: below 0 it has an end, as that of Dice has."""
SHAPE_MEAN, SHAPE_SD = -0.25, 0.25
"""Normal prior of ξ."""
SCALES = np.geomspace(0.1, 30.0, 60)
"""Scales σ that are considered, as multiples of the mean excess, equally likely by logarithm."""


class Outlook:
    """What further trials of a sweep with `stop_when` promise, as its trials end.

    Args:
        spec: the effective spec.
    """

    def __init__(self, spec: SweepSpec) -> None:
        self._spec = spec
        self._scores: list[float | None] = []

    @classmethod
    def of(cls, spec: SweepSpec, records: Iterable[TrialRecord]) -> Outlook:
        """After all the ended trials of the search."""
        found = cls(spec)
        for record in records:
            if record.status.is_final and record.replicate is None:
                found.add(record)
        return found

    def add(self, record: TrialRecord) -> None:
        """Add a trial of the search that has ended.

        A pruned one counts as a trial without a value, because what it had reached says little
        about what it would have. Those to come are pruned likewise.
        """
        is_whole = record.status is not Status.PRUNED
        self._scores.append(record.score if is_whole else None)

    @property
    def ended(self) -> int:
        """Number of trials that have ended."""
        return len(self._scores)

    @property
    def chance(self) -> float | None:
        """Probability that `stop_when.within` further trials bring `stop_when.improvement`.

        None without `stop_when`, or with too few trials.
        """
        rule = self._spec.stop_when
        if rule is None:
            return None
        further = rule.within * (LEARNS if self._spec.searcher.learns else 1)
        _, most = self._spec.judged_by.bounds
        return chance_of_improvement(self._scores, rule.improvement, further, most)

    @property
    def words(self) -> str:
        """``About 12 % that 20 more trials …``; empty without `stop_when`."""
        rule, chance, objective = self._spec.stop_when, self.chance, self._spec.judged_by
        if rule is None:
            return ""
        more = counted(rule.within, "more trial")
        if chance is None:
            return f"Too few trials to say what {more} would bring."
        size = "under 1 %" if chance < 0.005 else f"about {100 * chance:.0f} %"
        size = "over 99 %" if chance > 0.995 else size
        return (
            f"By the values so far, the chance that {more} would find one that is better by more"
            f" than {objective.text(rule.improvement)} {objective.short} is {size}. This is an"
            " estimate: it takes trials to come for like those that have ended. Of a better kind"
            f" that none of these {self.ended} was of, it cannot know: up to"
            f" {percent(most_unseen(self.ended))} of trials may be of one (95 % confidence)."
        )


def outlook_words(
    folder: Path, spec: SweepSpec | None, records: Iterable[TrialRecord]
) -> list[str]:
    """How the search of a results folder ended, and its `Outlook`; empty without `stop_when`.

    Raises:
        ResultsError: the journal is broken.
    """
    if spec is None or spec.stop_when is None:
        return []
    end = search_end(Layout(folder).journal, spec.trials)
    early = (
        f"`stop_when` ended the search after {end.started} of {spec.trials} trials. " if end else ""
    )
    return [early + Outlook.of(spec, records).words]


def chance_of_improvement(
    scores: Sequence[float | None], improvement: float, further: int, most: float = math.inf
) -> float | None:
    """Probability that one of ``further`` trials exceeds the best score by ``improvement``.

    The trials are taken as draws from one distribution, of which only the upper tail counts. What
    a score exceeds the tail's threshold by is generalised Pareto distributed, with shape ξ and
    scale σ; trials in the tail arrive as a Poisson process. With m of n trials in the tail, of
    excesses e, and the best excess M, one trial exceeds M + δ with probability

        λ (1 + ξ (M + δ) / σ)^(−1/ξ),   λ ~ Gamma(m + ½, n),

    which is averaged over the posterior of λ, ξ and σ. A searcher that learns improves its trials:
    what it proposes later is better than what it proposed before, so give it its later trials.

    Scores in steps that are larger than δ (of few cases, or rounded) are spread evenly over the
    step that each stands for, and to be better is to reach the next step. Many equal best ones
    would else look like an end of what is possible. Of one or two different scores nobody knows a
    step or a tail, but only that none of n was better: m = 0, `_of_unbeaten`. Where `LEAST_TAIL` or
    more are equally the best, they may have met a ceiling, which a tail that falls does not know:
    the chance is then no higher than that. Where fewer than `LEAST_TAIL` of the best lie so far
    above all others that the gap is more than half of the range, the others show nothing of the
    better kind. Then only the order counts: of n + k trials in any order, the k have all J that are
    within δ of the best with about (k / (n + k))^J.

    Args:
        scores: of the trials, higher is better; None of one without a value, which counts among n.
        improvement: δ > 0, in the unit of the scores.
        further: number of trials to come.
        most: the largest possible score, beyond which nothing comes. Tails that reach beyond it
            still count: without them the chance was far too low, 3 % of a true 27 % (scores from
            Beta(8, 1)).

    Returns:
        A probability; None with fewer than `FEWEST` scores.

    Source: Coles, "An Introduction to Statistical Modeling of Extreme Values", 2001, sections 4.3
    and 9.1.
    """
    known = np.sort([score for score in scores if score is not None])[::-1]
    if len(known) < FEWEST:
        return None
    target = known[0] + improvement
    if target > most:
        return 0.0
    if len(np.unique(known.round(12))) <= MOST_ALIKE:
        return _of_unbeaten(len(scores), further)
    gaps = known[: LEAST_TAIL - 1] - known[1:LEAST_TAIL]
    if gaps.max() > (known[0] - known[-1]) / 2:  # of the better kind are too few for a tail
        near = np.count_nonzero(known > known[0] - improvement)
        return float((further / (further + len(scores))) ** near)
    are_equal = known[0] - known[LEAST_TAIL - 1] < 1e-12
    step, even = _in_steps(known)
    if step > improvement:
        target, known = known[0] + step / 2, even
        if target > most:
            return 0.0
    in_tail = max(LEAST_TAIL, round(TAIL * len(known)))
    excesses = known[:in_tail] - known[in_tail]
    mean = excesses.mean()
    if mean <= 0:  # the best are all equal: nothing shows that any is ever better
        mean = improvement / SCALES[-1]
    shape, scale = np.meshgrid(SHAPES, SCALES * mean, indexing="ij")
    log_posterior = -0.5 * ((shape - SHAPE_MEAN) / SHAPE_SD) ** 2
    log_posterior += in_tail * -np.log(scale) + sum(
        (1 + shape) * _log_survival(excess, shape, scale) for excess in excesses
    )
    weight = np.exp(log_posterior - log_posterior.max())
    beyond = np.exp(_log_survival(target - known[in_tail], shape, scale))
    none = (1 + further * beyond / len(scores)) ** -(in_tail + 0.5)
    chance = float(1 - (weight * none).sum() / weight.sum())
    return min(chance, _of_unbeaten(len(scores), further)) if are_equal else chance


def _of_unbeaten(trials: int, further: int) -> float:
    """Chance that one of ``further`` is better, if all that is known is that no other was."""
    return 1 - math.pow(1 + further / trials, -0.5)


def _in_steps(scores: Values) -> tuple[float, Values]:
    """The step of scores that are all multiples of one, and equal ones spread evenly over it.

    Args:
        scores: falling, of three different values at least.

    Returns:
        The step, 0 where no two are equal or they show none; and the scores, falling.
    """
    spread = scores[0] - scores[-1]
    places = np.round((scores[0] - scores) / spread, 12)  # equal up to rounding errors
    distinct, group, counts = np.unique(places, return_inverse=True, return_counts=True)
    gaps = np.diff(distinct)
    multiples = gaps / gaps.min()
    if counts.max() == 1 or np.abs(multiples - multiples.round()).max() > 1e-6:
        return 0.0, scores
    step = float(gaps.min() * spread)
    within = np.arange(len(scores)) - (np.cumsum(counts) - counts)[group]
    return step, scores + step * (0.5 - (within + 0.5) / counts[group])


def _log_survival(excess: float, shape: Values, scale: Values) -> Values:
    """log P(an excess is larger) of the generalised Pareto distribution; −∞ beyond its end."""
    base = 1 + shape * excess / scale
    exponential = np.abs(shape) < 1e-9
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(base > 0, -np.log(base) / shape, -np.inf)
    return np.where(exponential, -excess / scale, found)
