"""A sweep of a metric to be large, and one of its negative to be small, say the same."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from finalists import TIE
from synthetic import SPACE, SWEEP_YAML, drawn, results_of

from sweep.analysis.confirm.confirmation import confirmation
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.parameters.importance import importance_for_dice
from sweep.analysis.patience.patience_replay import tradeoff
from sweep.analysis.ranking.ranking_frame import ranking
from sweep.analysis.ranking.row_selection import pareto, sorted_by
from sweep.report.headline import headline
from sweep.report.report_figures import REPORT_FIGURES
from sweep.vocabulary.objective import Mode, Objective
from sweep.vocabulary.record import TrialRecord

UP, DOWN = Objective("gain", "max"), Objective("loss", "min")


def judged(record: TrialRecord, objective: Objective) -> TrialRecord:
    """The trial by a metric on both sides of 0 that orders as its Dice does."""
    history = tuple(
        replace(epoch, metrics={objective.metric: objective.turned(1000 * epoch.val_dice - 850)})
        for epoch in record.history
        if epoch.val_dice is not None
    )
    return replace(record, history=history, objective=objective)


@cache
def results(objective: Objective, count: int = 40) -> Results:
    mode: Mode = objective.mode
    yaml = SWEEP_YAML.replace(
        "trainer: {{epochs", "trainer: {{kind: custom, entry: mine.module:Mine, epochs"
    ).replace("space:", f"objective: {{{{metric: {objective.metric}, mode: {mode}}}}}\nspace:")
    return results_of(*(judged(drawn(n), objective) for n in range(count)), yaml=yaml)


def test_ranking_is_the_same_and_the_values_have_the_other_sign() -> None:
    up, down = (
        ranking(found.records, list(SPACE), found.spec) for found in (results(UP), results(DOWN))
    )
    same = [name for name in up if name in down]
    assert up.only(same).columns == down.only(same).columns
    for name in ("{}", "last_{}", "{}_before_end", "{}_at_enough"):
        pairs = zip(up.known(name.format("gain")), down.known(name.format("loss")), strict=True)
        assert all(a == -b for a, b in pairs)
    dice = ranking([drawn(n) for n in range(40)], list(SPACE), results_of().spec)
    assert list(up["trial_id"]) == list(dice["trial_id"])


def test_selections_are_the_same() -> None:
    tables = [(found.table, found.objective) for found in (results(UP), results(DOWN))]
    fronts = [list(pareto(table, objective)["trial_id"]) for table, objective in tables]
    assert fronts[0] == fronts[1]
    orders = [
        list(sorted_by(table, [f"last_{objective.metric}"], objective)["trial_id"])
        for table, objective in tables
    ]
    assert orders[0] == orders[1]


def test_importances_and_patience_are_the_same() -> None:
    up, down = results(UP), results(DOWN)
    assert importance_for_dice(up) == importance_for_dice(down)
    costs = [tradeoff(found.spec, found.records) for found in (up, down)]
    assert costs[0] is not None
    assert costs[1] is not None
    assert [(s.lost, s.most_lost, s.epochs) for s in costs[0].steps] == [
        (s.lost, s.most_lost, s.epochs) for s in costs[1].steps
    ]
    assert costs[0].enough.setting == costs[1].enough.setting


def test_finalists_are_the_same() -> None:
    up, down = (confirmation(judged(record, one) for record in TIE) for one in (UP, DOWN))
    assert up is not None
    assert down is not None
    assert up.comparison is not None
    assert up.comparison == down.comparison
    facts = [
        [(f.trial_id, f.mean, f.low, f.high, f.p_best, f.group) for f in found.finalists]
        for found in (up, down)
    ]
    assert facts[0] == facts[1]
    assert facts[0][0][2] > 1  # no mean is cut to what a Dice can be


@pytest.mark.parametrize("objective", [UP, DOWN])
def test_every_figure_is_drawn_in_words_and_signs_of_the_metric(objective: Objective) -> None:
    found = results(objective, 60)
    exhibits = {one.name: one for one in (show(found) for show in REPORT_FIGURES)}
    for exhibit in exhibits.values():
        if exhibit.name not in ("pareto", "metric-agreement"):  # Dice beside the objective
            assert "Dice" not in exhibit.title + exhibit.finding
            assert "Dice" not in exhibit.reading
    parallel = exhibits["parallel"].figure
    assert parallel is not None
    last = parallel.data[0].dimensions[-1]
    assert last.label == objective.metric
    # Who diverged stands beyond the worst, and is the palest.
    edge = last.tickvals[0]
    assert objective.turned(edge) < min(found.comparable.values())
    colours = parallel.data[0].line
    assert colours.cmin == objective.turned(edge)
    assert colours.cmax == max(found.scores.values())


def test_sweep_that_never_measured_its_metric_says_so() -> None:
    found = results(DOWN, count=4)
    silent = [
        replace(r, history=tuple(replace(e, metrics={}) for e in r.history)) for r in found.records
    ]
    ended = sum(record.status.has_result for record in silent)
    told = headline(replace(found, records=tuple(silent)))
    assert told.startswith(
        f"None of 4 ended trials has a result: {4 - ended} diverged and {ended} "
    )
    assert f"{ended} never measured loss." in told
