"""Which parameters matter: for validation Dice, and for divergence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import optuna
import plotly.graph_objects as go
from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)

from sweep.analysis.axes import short_names
from sweep.analysis.exhibit import Exhibit
from sweep.analysis.results import Results
from sweep.analysis.style import FAINT, INK, finished, thinned
from sweep.analysis.words import percent
from sweep.record import Status, TrialRecord
from sweep.search.optuna_study import Translator, make_study

LEAST_TRIALS = 8
"""Trials below which a forest of trees has nothing to split."""
MOST_TRIALS = 200
"""Trials that a forest is grown from; more of them change little and cost seconds."""
SEED = 0
LEAST_EXPLAINED = 0.1
"""Share of the variance of unseen trials below which importances are noise."""
WELL_EXPLAINED = 0.5
"""The same from which their order is reliable; between the two they are a hint."""
LEADING_QUARTER = 0.25
"""PED-ANOVA asks what sets this share of the trials, the best, apart."""


@dataclass(frozen=True, slots=True)
class Importance:
    """Shares of what explains a target, by parameter, largest first.

    Args:
        shares: fANOVA's, which sum to 1.
        leading: PED-ANOVA's, for being among the best; empty where it has no meaning.
        explained: share of the variance that a forest explains on trials that it has not seen; at
            or below 0 the shares are noise.
        trials: number of trials looked at.
    """

    shares: Mapping[str, float]
    leading: Mapping[str, float]
    explained: float
    trials: int

    @property
    def is_noise(self) -> bool:
        """Whether a forest explains next to nothing of what it has not seen."""
        return self.explained < LEAST_EXPLAINED


@lru_cache(maxsize=1)
def importance_for_dice(results: Results) -> Importance | None:
    """For the best validation Dice of the ranked trials; None where too few say anything."""
    return _importance(results, results.ranked_inside, results.dice, leading=True)


@lru_cache(maxsize=1)
def importance_for_divergence(results: Results) -> Importance | None:
    """For whether a trial diverged, over those that were at risk; None as above."""
    values = {r.trial_id: float(r.status is Status.DIVERGED) for r in results.at_risk}
    return _importance(results, results.at_risk, values, leading=False)


def by_importance(results: Results) -> list[str]:
    """The varied parameters, the one that matters most for Dice first."""
    found = importance_for_dice(results)
    shares = found.shares if found else {}
    return sorted(results.varied, key=lambda name: -shares.get(name, 0.0))


def dice_importance(results: Results) -> Exhibit:
    """Which parameters decide about validation Dice."""
    found = importance_for_dice(results)
    return Exhibit(
        name="importance-dice",
        title="What decides about validation Dice",
        finding=_finding(found, len(results.ranked_inside), "the differences in Dice"),
        reading=(
            "fANOVA splits the variance of the best validation Dice of the trials with a result "
            "among the parameters (pruned ones count with the Dice they had reached, diverged ones "
            "are left out); PED-ANOVA asks what sets the best quarter of them apart. Where the two "
            "disagree, neither is to be trusted. Shares always sum to 100 %, also those of noise: "
            "the explained variance says whether there was anything to share."
        ),
        figure=_bars(found) if found else None,
    )


def divergence_importance(results: Results) -> Exhibit:
    """Which parameters decide about divergence."""
    found = importance_for_divergence(results)
    at_risk = len(results.at_risk)
    finding = _finding(found, at_risk, "who diverged")
    if found is None and at_risk >= LEAST_TRIALS:
        share = "Every" if results.at_risk[0].status is Status.DIVERGED else "No"
        finding = f"{share} trial of the {at_risk} at risk diverged: nothing tells them apart."
    return Exhibit(
        name="importance-divergence",
        title="What decides about divergence",
        finding=finding,
        reading=(
            "fANOVA (the variance that a random forest finds, split among the parameters) on "
            "diverged (1) or not (0)"
            + (
                ", over trials whose geometric loss came to act: one that was pruned before might "
                "have diverged later."
                if results.has_geometry
                else "."
            )
        ),
        figure=_bars(found) if found else None,
    )


def _finding(found: Importance | None, trials: int, what: str) -> str:
    if found is None:
        return f"Too little to tell from: {trials} trials (at least {LEAST_TRIALS} that differ)."
    (first, share), *rest = found.shares.items()
    unseen = f"{percent(max(0.0, found.explained))} of the variance of trials it has not seen"
    if found.is_noise:
        return (
            f"Nothing that {found.trials} trials can tell: a forest explains {unseen}, so the "
            f"shares below, {percent(share)} for {first}, are noise."
        )
    second = f", {percent(rest[0][1])} with {rest[0][0]}" if rest else ""
    trust = "an order to rely on" if found.explained >= WELL_EXPLAINED else "a hint"
    return (
        f"{percent(share)} of the importance for {what} lies with {first}{second}: {trust}, since "
        f"a forest of {found.trials} trials explains {unseen}."
    )


def _importance(
    results: Results, records: Sequence[TrialRecord], values: Mapping[str, float], *, leading: bool
) -> Importance | None:
    records = thinned(sorted(records, key=lambda record: record.number), MOST_TRIALS)
    targets = [values[record.trial_id] for record in records]
    names = [name for name in results.varied if _differs(records, name)]
    if len(records) < LEAST_TRIALS or len(set(targets)) < 2 or not names:
        return None
    study = _study(results, records, targets)
    quarter = PedAnovaImportanceEvaluator(target_quantile=LEADING_QUARTER)
    return Importance(
        shares=_shares(study, FanovaImportanceEvaluator(n_trees=32, seed=SEED), names),
        leading=_shares(study, quarter, names) if leading else {},
        explained=_explained(results, records, names, targets),
        trials=len(records),
    )


def _study(
    results: Results, records: Sequence[TrialRecord], targets: Sequence[float]
) -> optuna.Study:
    """A study with a completed trial a record: importances look at no others."""
    translator = Translator(results.spec.drawn)
    study = make_study()
    study.add_trials(
        [
            optuna.create_trial(
                params=translator.encode(translator.inside(record.parameters)),
                distributions=dict(translator.distributions),
                value=target,
            )
            for record, target in zip(records, targets, strict=True)
        ]
    )
    return study


def _shares(
    study: optuna.Study, evaluator: BaseImportanceEvaluator, names: list[str]
) -> dict[str, float]:
    found = get_param_importances(study, evaluator=evaluator, params=names)
    return {name: float(share) for name, share in found.items()}


def _explained(
    results: Results, records: Sequence[TrialRecord], names: list[str], targets: Sequence[float]
) -> float:
    """R² of a random forest on the trials that each of its trees has not seen."""
    from sklearn.ensemble import RandomForestRegressor

    places = [[results.axes[n].position(r.parameters[n]) for n in names] for r in records]
    # Of 200 trees, one in 10^37 trials is in none's unseen part: no warning about that.
    forest = RandomForestRegressor(n_estimators=200, oob_score=True, random_state=SEED)
    forest.fit(np.array(places), np.array(targets))
    return float(forest.oob_score_)


def _differs(records: Sequence[TrialRecord], name: str) -> bool:
    return len({repr(record.parameters[name]) for record in records}) > 1


def _bars(found: Importance) -> go.Figure:
    """Bars of fANOVA, diamonds of PED-ANOVA; the most important on top."""
    names = list(found.shares)[::-1]
    shown = [short_names(names)[name] for name in names]
    figure = go.Figure(
        go.Bar(
            x=[found.shares[name] for name in names],
            y=shown,
            orientation="h",
            name="fANOVA (noise)" if found.is_noise else "fANOVA",
            marker={
                "color": "#ffffff" if found.is_noise else "#a9c9e2",
                "pattern": {"shape": "/" if found.is_noise else "", "fgcolor": FAINT},
                "line": {"color": INK, "width": 1},
            },
            hovertemplate="%{y}: %{x:.0%}<extra>fANOVA</extra>",
        )
    )
    if found.leading:
        figure.add_scatter(
            x=[found.leading.get(name, 0.0) for name in names],
            y=shown,
            mode="markers",
            name="PED-ANOVA, best quarter",
            marker={"symbol": "diamond", "size": 10, "color": INK},
            hovertemplate="%{y}: %{x:.0%}<extra>PED-ANOVA</extra>",
        )
    figure.update_xaxes(title="share of importance", tickformat=".0%", range=[0, 1.02])
    figure.update_yaxes(automargin=True)
    return finished(figure, height=120 + 34 * len(names))
