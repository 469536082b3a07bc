"""Every figure on every kind of sweep, the odd ones included."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache

import pytest
from finalists import confirmed
from synthetic import EPSILON, diverged_at, drawn, results_of, trial

from sweep.analysis.figures.finalist_intervals import confirmed_finalists
from sweep.analysis.figures.pareto import pareto_front
from sweep.analysis.figures.patience_figure import patience_tradeoff
from sweep.analysis.figures.runs_on_folds import runs_on_folds
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.figures.timeline import timeline
from sweep.analysis.resampling.expected_best import expected_best
from sweep.analysis.resampling.metric_agreement import metric_agreement
from sweep.analysis.resampling.rank_stability import rank_stability
from sweep.report.headline import caveat, counts, headline, state
from sweep.report.report_figures import REPORT_FIGURES
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, ParameterValue, Status, TrialRecord

OTHERS = (rank_stability, metric_agreement, expected_best, timeline)
ALL_TYPES = """\
name: types
trials: {trials}
trainer: {{epochs: {epochs}}}
space:
  loss.min_area: {{uniform: [0, 100]}}
  loss.weights.aspect: {{loguniform: [1.0e-3, 1]}}
  loss.dice_weight: {{quniform: [0, 1, 0.1]}}
  loss.warmup_epochs: {{randint: [0, 9]}}
  trainer.batch_size: {{lograndint: [1, 65]}}
  loss.sqrt_mode: {{choice: [clamp, centered]}}
  trainer.deterministic: {{choice: [true, false]}}
  early_stopping.patience: {{choice: [5, null]}}
  optimizer.momentum: {{choice: [0.9]}}
"""


ODD: list[ParameterValue] = [
    None, True, -1, 0, 10**400, 2**63, -0.0, 1e308, 5e-324, "", "nan", "<b>", "\x1b[2J", 1e-6, 0.1,
]  # fmt: skip


def of_all_types(n: int) -> dict[str, ParameterValue]:
    return {
        "loss.min_area": 1.5 * n,
        "loss.weights.aspect": 0.001 * (n + 1),
        "loss.dice_weight": n % 11 / 10,
        "loss.warmup_epochs": n % 9,
        "trainer.batch_size": 1 + 3 * n,
        "loss.sqrt_mode": ("clamp", "centered")[n % 2],
        "trainer.deterministic": n % 3 == 0,
        "early_stopping.patience": (5, None)[n % 2],
        "optimizer.momentum": 0.9,
    }


BROKEN = re.compile(r"nan\b|  | [.,]|\b1 (trials|runs|epochs|divergences|ended trials) ")
"""What a sentence has in it from which a value or a word is missing."""


@cache
def sweeps() -> dict[str, Results]:
    failed = Outcome(status=Status.FAILED, cause="OSError: x")
    space = dict(drawn(0).parameters)
    outside = space | {"loss.weights.compactness": 0.0, EPSILON: 0.5, "loss.warmup_epochs": 99}
    return {
        "empty": results_of(),
        "just started": results_of(trial(0, None, [], space), in_use=True),
        "running": results_of(
            *(drawn(n) for n in range(5)), trial(5, None, [0.5, 0.6], space), trials=9, in_use=True
        ),
        "one trial": results_of(drawn(1)),
        "one trial of two runs": results_of(replace(drawn(1), replicated=(0.5,))),
        "one epoch": results_of(trial(0, Status.COMPLETED, [0.5], space)),
        "all diverged": results_of(*(trial(n, diverged_at(0), [], space) for n in range(12))),
        "diverged without a diagnosis": results_of(
            trial(0, diverged_at(3, diagnosis=None), [0.5], space)
        ),
        "all failed": results_of(*(trial(n, failed, [], space) for n in range(9))),
        "nothing measured": results_of(
            *(trial(n, Status.COMPLETED, [None, None], space) for n in range(9))
        ),
        "all equal": results_of(*(trial(n, Status.COMPLETED, [0.5] * 9, space) for n in range(9))),
        "every type": results_of(
            *(
                trial(
                    n,
                    diverged_at(9) if n % 5 == 4 else Status.COMPLETED,
                    [n / 40] * 10,
                    of_all_types(n),
                )
                for n in range(20)
            ),
            yaml=ALL_TYPES,
        ),
        "one divergence": results_of(trial(0, diverged_at(1), [0.5], space)),
        "values that no space has": results_of(
            *(
                trial(
                    n,
                    diverged_at(1) if n % 5 == 4 else Status.COMPLETED,
                    [n / 40] * 4,
                    {name: ODD[(n + k) % len(ODD)] for k, name in enumerate(space)},
                )
                for n in range(20)
            )
        ),
        "presets outside the space": results_of(
            trial(0, Status.COMPLETED, [0.5, 0.9], outside, preset="baseline"),
            trial(1, Status.EARLY_STOPPED, [0.8], {}, preset="geometric-v2.3"),
            *(drawn(n) for n in range(2, 20)),
        ),
    }


@pytest.mark.parametrize("kind", sweeps())
def test_every_figure_speaks_of_every_kind_of_sweep(kind: str) -> None:
    results = sweeps()[kind]
    assert headline(results)
    assert BROKEN.search(f"{headline(results)}|{caveat(results)}") is None
    for show in REPORT_FIGURES:
        exhibit = show(results)
        assert exhibit.finding.endswith(".")
        assert BROKEN.search(f"{exhibit.finding}|{exhibit.reading}") is None
        if exhibit.figure is not None:
            json.loads(exhibit.figure.to_json(), parse_constant=pytest.fail)


def test_figures_of_5000_trials_stay_small_enough_for_a_browser() -> None:
    results = results_of(*(drawn(n) for n in range(5000)))
    for show in REPORT_FIGURES:
        figure = show(results).figure
        # No replicates, no HD95, no tables of cases, no recorded start, a searcher that learns, and
        # patience costs nothing there.
        if show in (confirmed_finalists, runs_on_folds, pareto_front, patience_tradeoff, *OTHERS):
            assert figure is None
            continue
        assert figure is not None
        assert len(figure.to_json()) < 700_000


def test_names_of_figures_are_fit_for_a_link_and_each_is_its_own() -> None:
    names = [show(results_of()).name for show in REPORT_FIGURES]
    assert len(set(names)) == len(names)
    assert all(name.replace("-", "").isalpha() for name in names)


def test_confirmed_sweep_leads_with_its_finalists_and_their_test() -> None:
    records = confirmed()
    results = replace(
        results_of(*(r for r in records if r.replicate is None)),
        replicates=tuple(r for r in records if r.replicate is not None),
    )
    assert headline(results).startswith("t0000 has the highest mean validation Dice 0.9250 over 2")
    assert caveat(results).startswith("On further seeds t0000 averages 0.0250 less")
    assert counts(results) == {"completed": 2, "replicates of the leaders": 4}
    assert "On 6 test cases that were used for nothing else" in caveat(results)
    exhibit = confirmed_finalists(results)
    assert exhibit.figure is not None
    replicates, searched, means = exhibit.figure.data
    # A line a seed, from one finalist to the other.
    assert list(replicates.x) == [0.92, 0.90, None, 0.93, 0.91, None]
    assert "seed" in replicates.name
    assert replicates.text[0] == "seed 1, fold 0"
    assert "Rings" in exhibit.reading
    assert list(searched.x) == [0.95, 0.94]
    assert list(means.x) == pytest.approx([0.925, 0.905])
    assert state(results) == "finished"


def test_pareto_front_stands_out_in_more_than_its_colour() -> None:
    epochs = [EpochMetrics(epoch=0, val_dice=d, metrics={"hd95": h}) for d, h in
              [(0.9, 5.0), (0.8, 2.0), (0.7, 9.0)]]  # fmt: skip
    records = [
        replace(trial(n, Status.COMPLETED, [], drawn(n).parameters), history=(epoch,))  # type: ignore[arg-type]
        for n, epoch in enumerate(epochs)
    ]
    exhibit = pareto_front(results_of(*records))
    assert "at once (2 of 3): t0000 and t0001." in exhibit.finding
    assert exhibit.figure is not None
    others, best = exhibit.figure.data
    assert (list(others.x), list(best.x)) == ([9.0], [5.0, 2.0])
    assert others.marker.symbol != best.marker.symbol
    assert list(best.text) == ["t0000", "t0001"]
    assert "the image's diagonal" in exhibit.reading


def with_outlines(*points: tuple[float, float]) -> Results:
    """Completed trials of one epoch, each with a Dice and an HD95."""
    epochs = [EpochMetrics(epoch=0, val_dice=d, metrics={"hd95": h}) for d, h in points]
    return results_of(
        *(
            replace(trial(n, Status.COMPLETED, [], drawn(n).parameters), history=(epoch,))  # type: ignore[arg-type]
            for n, epoch in enumerate(epochs)
        )
    )


def test_trials_that_coincide_in_the_pareto_front_are_all_named() -> None:
    exhibit = pareto_front(with_outlines((0.9, 5.0), (0.9, 5.0), (0.8, 2.0), (0.1, 9.0)))
    assert exhibit.figure is not None
    _, best = exhibit.figure.data
    assert list(best.text) == ["t0000<br>t0001", "", "t0002"]
    many = pareto_front(with_outlines(*[(0.9, 5.0)] * 7, (0.1, 9.0)))
    assert many.figure is not None
    assert next(iter(many.figure.data[1].text)) == "t0000<br>and 6 more"


def test_front_of_all_trials_is_told_as_no_finding() -> None:
    told = pareto_front(with_outlines((0.9, 5.0), (0.8, 2.0), (0.85, 3.0))).finding
    assert told == (
        "None of the 3 unpruned trials beats another in Dice, HD95 and epochs at once. t0001 has"
        " the lowest HD95, 2.00 pixels, at Dice 0.8000."
    )


def test_pruned_trials_are_among_those_beside_the_pareto_front() -> None:
    def measured(number: int, status: Status) -> TrialRecord:
        epoch = EpochMetrics(epoch=0, val_dice=0.9, metrics={"hd95": 5.0 - number})
        return replace(trial(number, status, [], drawn(number).parameters), history=(epoch,))  # type: ignore[arg-type]

    pruned = measured(1, Status.PRUNED)  # would beat the other
    exhibit = pareto_front(results_of(measured(0, Status.COMPLETED), pruned))
    assert exhibit.finding.startswith("t0000 is the only unpruned trial: there is none to compare")
    assert exhibit.figure is not None
    others, best = exhibit.figure.data
    assert (list(others.x), list(best.x)) == ([4.0], [5.0])
    alone = pareto_front(results_of(pruned))
    assert alone.figure is None
    assert alone.finding.startswith("Every trial with a result was pruned")
