"""The parameters that matter for the objective, and those that matter for divergence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, compress

import numpy as np
import optuna.importance
import plotly.graph_objects as go
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from sweep.analysis.divergence_rates import Floats, hazards
from sweep.analysis.figures import figure_style as style
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.report_words import percent
from sweep.search.searchers.linked_search import middle
from sweep.search.searchers.optuna_study import Translator, make_study
from sweep.spec.words.phrases import counted
from sweep.spec.words.short_names import short_names
from sweep.vocabulary.record import Status, TrialRecord

LEAST_TRIALS = 12
"""Fewer trials show nothing: `benchmarks/importance.py` measures what this many can show."""
MOST_TRIALS = 200
"""Trials that a forest is grown from; more of them change little and cost seconds."""
SEED = 0
LEAST_EXPLAINED = 0.1
"""Share of the variance of unseen trials below which importances are noise."""
MOST_CHANCE = 0.01
"""Share of shuffled targets from which on the first of the importances is only a hint, chosen in
`benchmarks/reliance.py`."""
SHUFFLES = 999
MOST_CUTS = 6
"""Values of a parameter at which an interval may begin or end."""
LEAST_SIDE = 3
"""Trials inside an interval, and outside, at least."""
LEADING_QUARTER = 0.25
"""PED-ANOVA asks what distinguishes this share of the trials, the best ones."""


@dataclass(frozen=True, slots=True)
class Importance:
    """The share of each parameter in what explains a target, largest first.

    Args:
        shares: of fANOVA; their sum is 1.
        leading: of PED-ANOVA, for being among the best; empty where that has no meaning.
        explained: share of the variance that a forest explains on trials that it has not seen; at
            or below 0 the shares are noise.
        chance: how often shuffled targets depend on any parameter as strongly as the targets on
            the first one; see `chance_of_split`.
        trials: number of trials used.
    """

    shares: Mapping[str, float]
    leading: Mapping[str, float]
    explained: float
    chance: float
    trials: int

    @property
    def leader_among_best(self) -> str:
        """The first by PED-ANOVA, or by fANOVA where PED-ANOVA has no meaning."""
        shares = self.leading or self.shares
        return max(shares, key=shares.__getitem__)

    @property
    def is_settled(self) -> bool:
        """Whether fANOVA and PED-ANOVA agree on the first parameter."""
        return self.leader_among_best == next(iter(self.shares))

    @property
    def is_reliable(self) -> bool:
        """Whether the first parameter matters, beyond what chance would show."""
        return self.is_settled and not self.is_noise and self.chance < MOST_CHANCE

    @property
    def is_noise(self) -> bool:
        """Whether a forest explains hardly anything of the trials that it has not seen."""
        return self.explained < LEAST_EXPLAINED


@lru_cache(maxsize=1)
def importance_for_dice(results: Results) -> Importance | None:
    """For the comparable scores of the trials (`sweep.analysis.ranking.since_switch_on`).

    None where there are too few trials, or they are too much alike.
    """
    return importance_of(results, results.compared, results.comparable)


@lru_cache(maxsize=1)
def importance_for_divergence(results: Results) -> Importance | None:
    """For divergence, given how long each trial was at risk; None as above, or if all or none did.

    The target is the martingale residual of each trial (Therneau, Grambsch and Fleming 1990):
    whether it diverged, minus the expected number of divergences in its epochs at risk.
    """
    records = _at_any_risk(results)
    if len(_outcomes(records)) < 2:
        return None
    return importance_of(results, records, martingale_residuals(results), leading=False)


def _at_any_risk(results: Results) -> list[TrialRecord]:
    """The trials with `martingale_residuals`."""
    watched = results.exposures_before.keys() | results.exposures.keys()
    return [record for record in results.records if record.trial_id in watched]


def _outcomes(records: Sequence[TrialRecord]) -> set[bool]:
    return {record.status is Status.DIVERGED for record in records}


def martingale_residuals(results: Results) -> dict[str, float]:
    """By trial id. Epochs before the switch-on have a hazard of their own, where they count."""
    values: dict[str, float] = defaultdict(float)
    for exposures in (results.exposures_before, results.exposures):
        diverged, at_risk = hazards(list(exposures.values()))
        expected = np.cumsum(diverged / np.maximum(at_risk, 1))  # Nelson and Aalen's estimate
        for trial_id, one in exposures.items():
            values[trial_id] += float(one.diverged) - float(expected[one.epochs - 1])
    return values


def by_importance(results: Results) -> list[str]:
    """The varied parameters in falling importance for the objective.

    In the order of the sweep file where importances cannot be computed: see `order_words`.
    """
    found = importance_for_dice(results)
    shares = found.shares if found else {}
    return sorted(results.varied, key=lambda name: -shares.get(name, 0.0))


def order_words(found: Importance | None) -> str:
    """What the order of `by_importance` rests on: it is not always a finding."""
    if found is None:
        return "in the order of the sweep file, as importances could not be computed"
    if found.is_noise:
        return "in fANOVA's order, which is noise"
    return "the most important first, by fANOVA"


def dice_importance(results: Results) -> ReportFigure:
    """Which parameters decide about the objective."""
    found, objective = importance_for_dice(results), results.objective
    return ReportFigure(
        name="importance-dice",
        title=f"What decides about {objective.label}",
        finding=_finding(found, len(results.compared), f"the differences in {objective.short}"),
        reading=(
            f"fANOVA splits the variance of the trials' {objective.short} among the parameters; "
            f"PED-ANOVA asks what sets the best quarter of them apart. {results.compared_words}"
            " Diverged trials are left out. Where the two "
            "disagree, neither is to be trusted. Shares always sum to 100 %, also those of noise: "
            "the explained variance says whether there was anything to share."
            + _conditional_words(results)
        ),
        figure=_bars(found) if found else None,
    )


def divergence_importance(results: Results) -> ReportFigure:
    """Which parameters decide about divergence."""
    found = importance_for_divergence(results)
    records = _at_any_risk(results)
    finding, outcomes = _finding(found, len(records), "divergence"), _outcomes(records)
    if len(outcomes) == 1:
        share = "Every" if outcomes == {True} else "No"
        finding = (
            f"{share} trial of the {len(records)} at risk diverged: nothing distinguishes them."
        )
    return ReportFigure(
        name="importance-divergence",
        title="What decides about divergence",
        finding=finding,
        reading=(
            "fANOVA (the variance that a random forest finds, split among the parameters) on "
            "diverged (1) or not (0), less what was to be expected in the epochs for which the "
            "trial was at risk: one that was pruned soon has not shown that it would not diverge."
            + " Epochs before the geometric loss acts count too, as some settings act there."
            * bool(results.exposures_before)
            + _conditional_words(results)
        ),
        figure=_bars(found) if found else None,
    )


def _conditional_words(results: Results) -> str:
    """What the importances of conditional parameters mean; empty without any."""
    if not any(results.spec.drawn[name].when for name in results.varied):
        return ""
    return (
        " In fANOVA a conditional parameter counts in all trials, in those that do not draw it as"
        " in the middle of its range. So its share is small where few trials draw it, and it can"
        " hold a part of what the parameter of its condition decides. PED-ANOVA looks at the trials"
        f" that draw it, from {LEAST_TRIALS} on."
    )


def _finding(found: Importance | None, trials: int, what: str) -> str:
    if found is None and trials < LEAST_TRIALS:
        return f"{counted(trials, 'trial')} can be used; importances need at least {LEAST_TRIALS}."
    if found is None:
        return f"{trials} trials, too much alike: importances have nothing to share out."
    (first, share), *rest = found.shares.items()
    unseen = f"{percent(max(0.0, found.explained))} of the variance of trials it has not seen"
    if found.is_noise:
        return (
            f"Nothing that {found.trials} trials can show: a forest explains {unseen}, so the "
            f"shares below, {percent(share)} for {first}, are noise."
        )
    second = f", {percent(rest[0][1])} with {rest[0][0]}" if rest else ""
    lies = f"{percent(share)} of the importance for {what} lies with {first}{second}"
    if not found.is_settled:
        return (
            f"{lies}, but PED-ANOVA puts {found.leader_among_best} first: {found.trials} trials do"
            " not settle it."
        )
    by_chance = (
        f"and {'under 1 %' if found.chance < 0.01 else percent(found.chance)} of shuffled results"
        " depend as strongly on any parameter"
    )
    trust = "a hint, no more"
    if found.is_reliable:
        trust = f"that {first.rpartition('.')[2]} matters may be relied on, the shares may not"
    return f"{lies}: {trust}. A forest of {found.trials} trials explains {unseen}, {by_chance}."


def places_of(results: Results, records: Sequence[TrialRecord], names: Sequence[str]) -> Floats:
    """Where the trials lie on the axes of the parameters; in the middle of those they do not draw.

    Returns:
        in [0, 1], ``[trials, parameters]``.
    """
    return np.array(
        [
            [results.position(name, one) if name in one.parameters else 0.5 for name in names]
            for one in records
        ]
    )


def importance_of(
    results: Results,
    records: Sequence[TrialRecord],
    values: Mapping[str, float],
    *,
    leading: bool = True,
) -> Importance | None:
    """For any value of some trials of a sweep; None where they are too few or too much alike.

    Args:
        results: the sweep.
        records: the trials.
        values: by trial id; more is better.
        leading: whether it means something to be among the best quarter.
    """
    records = style.thinned(sorted(records, key=lambda record: record.number), MOST_TRIALS)
    targets = [values[record.trial_id] for record in records]
    names = [
        name
        for name in results.varied
        if len({repr(r.parameters[name]) for r in records if name in r.parameters}) > 1
    ]
    if len(records) < LEAST_TRIALS or len(set(targets)) < 2 or not names:
        return None
    from sklearn.ensemble import RandomForestRegressor

    places, measured = places_of(results, records, names), np.array(targets)
    translator, study = Translator(results.spec.drawn), make_study()
    # Numbers as places on the scale of their space: fANOVA weighs what it is given evenly, and of
    # 1e-8 to 1e-2 everything below 1e-6 would be a ten-thousandth.
    lists = {
        name: kind
        for name, kind in translator.distributions.items()
        if isinstance(kind, CategoricalDistribution)
    }
    kinds: dict[str, BaseDistribution] = {
        name: lists.get(name, FloatDistribution(0, 1)) for name in names
    }
    for record, target, row in zip(records, targets, places.tolist(), strict=True):
        found = translator.encode(translator.inside(record.parameters))
        listed = {name: found.get(name, middle(kind)) for name, kind in lists.items()}
        params = {n: listed.get(n, place) for n, place in zip(names, row, strict=True)}
        study.add_trial(optuna.create_trial(params=params, distributions=kinds, value=target))

    fanova = optuna.importance.FanovaImportanceEvaluator(n_trees=32, seed=SEED)
    shares = optuna.importance.get_param_importances(study, evaluator=fanova, params=names)
    # R² on the trials that each tree has not seen. A trial that all of 200 trees have seen, one in
    # 10^37, would cause a warning.
    forest = RandomForestRegressor(n_estimators=200, oob_score=True, random_state=SEED)
    forest.fit(places, measured)
    drawn = {name: [name in one.parameters for one in records] for name in names}
    first = next(iter(shares))
    draws = np.array(drawn[first])
    return Importance(
        chance=chance_of_split(places[draws], measured[draws], names.index(first)),
        shares={name: float(share) for name, share in shares.items()},
        leading=_leading(study, drawn) if leading else {},
        explained=float(forest.oob_score_),
        trials=len(records),
    )


def _leading(study: optuna.Study, drawn: Mapping[str, Sequence[bool]]) -> dict[str, float]:
    """The shares of PED-ANOVA, each parameter among the trials that draw it.

    The others would all have the middle of its range: then those that draw it are set apart, and
    not by it. Where fewer than `LEAST_TRIALS` draw it, or all are equal, it has no share.

    Args:
        drawn: parameter → whether each trial of the study draws it.
    """
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=LEADING_QUARTER)
    found = dict[str, float]()
    for name, draws in drawn.items():
        trials = [*compress(study.get_trials(deepcopy=False), draws)]
        own = make_study()
        own.add_trials(trials)
        tells = len(trials) >= LEAST_TRIALS and len({trial.value for trial in trials}) > 1
        found |= evaluator.evaluate(own, params=[name]) if tells else {name: 0.0}
    total = sum(found.values()) or 1.0
    return {name: float(value) / total for name, value in found.items()}


def chance_of_split(places: Floats, targets: Floats, first: int) -> float:
    """How often any parameter splits shuffled targets as well as this one splits the targets.

    A split divides the trials into those in an interval of one parameter and the others; it
    explains the variance between the two. Of all splits by all parameters of shuffled targets the
    best one counts, so the number of parameters is allowed for. Shuffled targets depend on nothing,
    which makes this the p-value of a permutation test, whatever the targets' distribution is.

    Args:
        places: of the trials on the axes of the parameters, ``[trials, parameters]``. All draw the
            parameter: those that do not would differ by what its condition decides.
        targets: ``[trials]``.
        first: index of the parameter.

    Source: Westfall and Young 1993, Resampling-Based Multiple Testing (the maximum over tests).
    """
    rng = np.random.default_rng(SEED)
    centred = targets - targets.mean()
    drawn = np.vstack([centred, *(rng.permutation(centred) for _ in range(SHUFFLES))])
    best = np.zeros((places.shape[1], len(drawn)))
    for found, column in zip(best, places.T, strict=True):
        order = np.argsort(column, kind="stable")
        sums = np.pad(np.cumsum(drawn[:, order], axis=1), ((0, 0), (1, 0)))  # [drawn, trials + 1]
        inner = style.thinned((np.flatnonzero(np.diff(column[order])) + 1).tolist(), MOST_CUTS)
        for low, high in combinations([0, *inner, len(targets)], 2):
            if LEAST_SIDE <= (inside := high - low) <= len(targets) - LEAST_SIDE:
                between = (sums[:, high] - sums[:, low]) ** 2
                np.maximum(found, between / (inside * (len(targets) - inside)), out=found)
    shuffled = best[:, 1:].max(axis=0)
    return float((shuffled >= best[first, 0] * (1 - 1e-9)).sum() + 1) / (SHUFFLES + 1)


def _bars(found: Importance) -> go.Figure:
    """Bars of fANOVA, diamonds of PED-ANOVA; the most important on top."""
    names = list(found.shares)[::-1]
    shown = list(short_names(names).values())
    figure = go.Figure(
        go.Bar(
            x=[found.shares[name] for name in names],
            y=shown,
            orientation="h",
            name="fANOVA (noise)" if found.is_noise else "fANOVA",
            marker={
                "color": "#ffffff" if found.is_noise else "#a9c9e2",
                "pattern": {"shape": "/" if found.is_noise else "", "fgcolor": style.FAINT},
                "line": style.OUTLINE,
            },
            customdata=[percent(found.shares[name]) for name in names],
            hovertemplate="%{y}: %{customdata}<extra>fANOVA</extra>",
        )
    )
    if found.leading:
        figure.add_scatter(
            x=[found.leading.get(name, 0.0) for name in names],
            y=shown,
            mode="markers",
            name="PED-ANOVA, best quarter",
            marker={"symbol": "diamond", "size": 10, "color": style.INK},
            customdata=[percent(found.leading.get(name, 0.0)) for name in names],
            hovertemplate="%{y}: %{customdata}<extra>PED-ANOVA</extra>",
        )
    figure.update_xaxes(title="share of importance", tickformat=".0%", range=[0, 1.02])
    figure.update_yaxes(automargin=True)
    return style.finished(figure, height=120 + 34 * len(names))
