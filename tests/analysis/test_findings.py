"""What the figures say, on sweeps small enough to count by hand."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from finalists import replicate
from scipy.integrate import quad
from scipy.stats import CensoredData, ecdf, spearmanr
from synthetic import (
    COMPACTNESS,
    EPSILON,
    PATIENCE,
    SWEEP_YAML,
    WARMUP,
    diverged_at,
    drawn,
    epoch_of,
    results_of,
    trial,
)

from sweep.analysis.divergence_rates import Exposure, rate_of
from sweep.analysis.effective_settings import settings_of
from sweep.analysis.figures.budget_figure import budget_by_status, spent
from sweep.analysis.figures.divergence_timeline import divergence_timeline, divergences
from sweep.analysis.figures.learning_curves import learning_curves, switch_on_steps
from sweep.analysis.figures.patience_figure import patience_tradeoff
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.parameters.importance import (
    dice_importance,
    divergence_importance,
    importance_for_dice,
    importance_for_divergence,
)
from sweep.analysis.parameters.parallel_coordinates import parallel_coordinates
from sweep.analysis.parameters.slices import correlations, slices
from sweep.analysis.parameters.stability_maps import stability_map
from sweep.analysis.patience.patience_replay import PatienceOutcome, Tradeoff, tradeoff
from sweep.report.headline import caveat, counts, headline, state
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, ParameterValue, Replicate, Status, TrialRecord


def parameters(
    warmup: int = 2, epsilon: float = 1e-6, compactness: float = 0.1, patience: int = 8
) -> dict[str, ParameterValue]:
    return {WARMUP: warmup, EPSILON: epsilon, COMPACTNESS: compactness, PATIENCE: patience}


NO_SCHEDULER = re.sub("scheduler: .*", "scheduler: none", SWEEP_YAML)
BY_ACTIVATION = re.sub(
    "scheduler: .*",
    "scheduler: {{name: asha, clock: activation, grace_period: 2}}\npresets: [baseline]",
    SWEEP_YAML,
)
"""A sweep in which values of pruned trials are extrapolated, by its baseline."""


def late(dice: float) -> tuple[EpochMetrics, ...]:
    """A history that reaches its Dice when every geometric loss is at work."""
    return (*(epoch_of(n, 0.0) for n in range(8)), epoch_of(8, dice))


# --- headline -------------------------------------------------------------------------------------


def test_headline_names_the_leader_and_its_lead() -> None:
    results = results_of(
        trial(0, Status.COMPLETED, [0.5, 0.75], {WARMUP: 1}),
        trial(1, Status.COMPLETED, [0.5, 0.8125], {WARMUP: 1}),
    )
    assert headline(results) == (
        "t0001 leads with validation Dice 0.8125 (epoch 1), 0.0625 ahead of t0000."
    )


def test_lead_within_the_movement_of_the_leaders_own_curve_is_called_a_tie() -> None:
    leader = trial(0, Status.COMPLETED, [0.5, 0.75, 0.625, 0.5, 0.625, 0.5], {WARMUP: 0})
    baseline = trial(1, Status.COMPLETED, [0.6875], preset="baseline")  # 0.0625 of 0.1443 behind
    assert headline(results_of(leader, baseline)) == (
        "t0000 leads with validation Dice 0.7500 (epoch 1), 0.0625 ahead of t0001, the baseline."
        " That is a tie with the baseline: around its best epoch, the leader's own Dice moves by as"
        " much from one epoch to the next, beside its trend."
    )
    assert "tie" not in headline(results_of(leader, trial(1, Status.COMPLETED, [0.5])))


def test_who_is_level_with_the_leader_is_not_called_a_tie_besides() -> None:
    curve = [0.5, 0.75, 0.625, 0.5, 0.625, 0.5]
    leader, second = (trial(n, Status.COMPLETED, curve, {WARMUP: 0}) for n in range(2))
    assert headline(results_of(leader, second)) == (
        "t0000 leads with validation Dice 0.7500 (epoch 1), level with t0001."
    )
    baseline = trial(2, Status.COMPLETED, [0.6875], preset="baseline")
    both = headline(results_of(leader, second, baseline))
    assert "That is a tie with the baseline: " in both


def test_steady_gain_of_the_leader_makes_no_tie() -> None:
    rising = trial(0, Status.COMPLETED, [0.5 + n / 32 for n in range(8)], {WARMUP: 0})
    baseline = trial(1, Status.COMPLETED, [0.5 + 6.5 / 32], preset="baseline")  # half an epoch's
    assert "tie" not in headline(results_of(rising, baseline))
    assert "moves by 0.0000 from one epoch to the next" in caveat(results_of(rising, baseline))


@pytest.mark.parametrize(
    ("second", "words"), [(0.75, "level with"), (0.74999, "under 0.0001 ahead")]
)
def test_no_lead_is_written_as_nought(second: float, words: str) -> None:
    first = trial(0, Status.COMPLETED, [0.75], {WARMUP: 0})
    found = headline(results_of(first, trial(1, Status.COMPLETED, [second], {WARMUP: 0})))
    assert f"(epoch 0), {words}" in found
    assert "0.0000" not in found


def test_headline_says_that_the_leader_is_the_baseline_or_was_pruned() -> None:
    baseline = trial(0, Status.COMPLETED, [0.75], preset="baseline")
    others = [trial(1, Status.COMPLETED, [0.5], {WARMUP: 0}), trial(2, Status.PRUNED, [0.5])]
    assert headline(results_of(baseline, *others)).endswith(
        "It is the baseline, without a geometric loss: none of 2 trials with one ranks before it"
        " (1 of them pruned)."
    )
    pruned = trial(3, Status.PRUNED, [0.5, 0.875], {WARMUP: 0})
    assert headline(results_of(baseline, pruned)).endswith(
        "It was pruned after 2 epochs, so this is not what a whole training of it reaches."
    )


def test_caveat_counts_the_trials_within_the_leaders_own_movement() -> None:
    # From the middle of their neighbours 0.1875, 0, 0.125 and 0.125: the median times 2/√3.
    leader = trial(0, Status.COMPLETED, [0.5, 0.75, 0.625, 0.5, 0.625, 0.5])
    close, far = trial(1, Status.COMPLETED, [0.625]), trial(2, Status.COMPLETED, [0.5])
    assert (
        "moves by 0.1443 from one epoch to the next, beside its trend, and 1 other trial is within"
        in caveat(results_of(leader, close, far))
    )


def test_caveat_tells_of_runs_that_were_still_getting_better_when_they_ended() -> None:
    rising = [trial(number, Status.COMPLETED, [*[0.5] * 19, 0.6]) for number in range(3)]
    done = [trial(number, Status.COMPLETED, [0.7, *[0.5] * 19]) for number in range(3, 6)]
    told = "complete runs were best in their last epoch: with more epochs the order may differ."
    assert f"3 of 5 {told}" in caveat(results_of(*rising, *done[:2]))
    assert told not in caveat(results_of(*rising, *done))  # no more than half of them
    assert told not in caveat(results_of(*rising[:2]))


def test_movement_of_a_curve_is_not_told_from_three_changes() -> None:
    leader = trial(0, Status.COMPLETED, [0.5, 0.75, 0.625, 0.5])
    other = trial(1, Status.COMPLETED, [0.625])
    assert caveat(results_of(leader, other)) == (
        "One seed each: differences between configurations cannot be told from those between seeds."
    )


def test_leader_of_an_nnunet_sweep_is_told_to_be_ranked_by_a_hint_at_its_dice() -> None:
    leader, other = trial(0, Status.COMPLETED, [0.7]), trial(1, Status.COMPLETED, [0.6])
    results = results_of(leader, other)
    trainer = NnunetTrainer(kind="nnunet", dataset="Dataset002_Heart")
    nnunet = replace(results, spec=results.spec.model_copy(update={"trainer": trainer}))
    assert "in 65 % of 150 pairs, and on five folds together in 83 %" in caveat(nnunet)
    assert "pseudo" not in caveat(results)


def test_sweep_without_a_winner_says_what_most_likely_cures_it() -> None:
    results = results_of(trial(0, diverged_at(2), [0.5]), trial(1, diverged_at(3), [0.5]))
    assert headline(results) == (
        "None of 2 ended trials has a result: 2 diverged."
        " The likeliest cure, for t0000 and t0001: Set loss.sqrt_epsilon to 1e-6."
    )
    assert caveat(results) == ""
    failed = results_of(trial(0, Status.FAILED, [0.5]), trial(1, Status.FAILED, []))
    assert headline(failed) == "None of 2 ended trials has a result: 2 failed."


def test_state_tells_running_from_interrupted_from_finished() -> None:
    ended, started = trial(0, Status.COMPLETED, [0.5]), trial(1, None, [0.5])
    assert state(results_of(ended)) == "finished"
    running = results_of(ended, started, trials=4, in_use=True)
    assert state(running) == "running: 1 of 4 trials have ended"
    assert counts(running) == {"completed": 1, "running": 1}
    waiting = replace(running, waiting=frozenset({"t0001"}))
    assert counts(waiting) == {"completed": 1, "waiting for a worker": 1}
    behind = replace(running, waiting=frozenset({"t0000"}))  # the journal lacks its end
    assert counts(behind) == {"completed": 1, "running": 1}
    assert not running.is_over
    left = results_of(ended, started, trials=4)
    assert state(left) == "not running: 1 of 4 trials have ended"
    assert counts(left) == {"completed": 1, "interrupted": 1}
    assert left.is_over


def test_confirmation_that_is_asked_for_belongs_to_what_is_to_end() -> None:
    yaml = SWEEP_YAML.replace("space:", "confirm: {{top: 2, seeds: 2}}\nspace:")
    searched = [trial(n, Status.COMPLETED, [0.5], parameters(warmup=2 + n)) for n in range(2)]
    every = [replicate(n, seed, 0.5) for seed in (1, 2) for n in range(2)]
    started = replace(every[1], outcome=None)
    told = {
        "0 replicates have ended": [],
        "1 replicate has ended": [every[0], started],
        "2 replicates have ended": every[:2],
    }
    for words, replicates in told.items():
        left = replace(results_of(*searched, yaml=yaml), replicates=tuple(replicates))
        assert state(left) == f"not running: {words}"
        assert state(replace(left, in_use=True)) == f"confirming: {words}"
    over = replace(results_of(*searched, yaml=yaml), replicates=tuple(every))
    assert state(over) == "finished"


def test_headline_tells_the_gain_over_the_baseline() -> None:
    results = results_of(
        trial(0, Status.COMPLETED, [0.5], preset="baseline"),
        trial(1, Status.COMPLETED, [0.75], {WARMUP: 0}),
        trial(2, Status.COMPLETED, [0.625], {WARMUP: 0}),
    )
    assert headline(results) == (
        "t0001 leads with validation Dice 0.7500 (epoch 0), 0.1250 ahead of t0002 and 0.2500 above"
        " the baseline (t0000)."
    )


def test_headline_credits_no_loss_with_the_dice_of_its_warm_up() -> None:
    results = results_of(
        trial(0, Status.COMPLETED, [0.5], preset="baseline"),
        trial(1, Status.COMPLETED, [0.5, 0.75, 0.25, 0.625], {WARMUP: 2}),
        trial(2, Status.COMPLETED, [0.5, 0.5, 0.625], {WARMUP: 2}),
    )
    assert headline(results) == (
        "t0001 leads with validation Dice 0.7500 (epoch 1), 0.1250 ahead of t0002. The leader's"
        " best epoch lies before its geometric loss switched on: the loss had no part in it; since"
        " then it reached 0.6250."
    )
    assert learning_curves(results).finding.startswith(
        "t0001 reached 0.7500 in epoch 1, 1 before its geometric loss switched on or would have."
    )
    row = results.frame.set_index("trial_id")
    assert list(row["best_before_switch_on"][["t0001", "t0002"]]) == [True, False]
    assert list(row["dice_since_switch_on"][["t0001", "t0002"]]) == [0.625, 0.625]
    assert list(row["delta_baseline"][["t0001", "t0002"]]) == [0.125, 0.125]
    assert row.loc["t0000", ["best_before_switch_on", "dice_since_switch_on"]].isna().all()


def test_trials_are_compared_by_what_they_reached_with_their_loss_at_work() -> None:
    activation = (
        "scheduler: {{name: asha, clock: activation, grace_period: 2}}\npresets: [baseline]"
    )
    yaml = re.sub("scheduler: .*", activation, SWEEP_YAML)
    base = trial(0, Status.COMPLETED, [0.5, 0.625, 0.75, 0.7, 0.8125], preset="baseline")
    records = [
        trial(1, Status.COMPLETED, [0.5, 0.9, 0.25, 0.75], parameters(warmup=2)),
        trial(2, Status.PRUNED, [0.5, 0.625, 0.6875], parameters(warmup=2)),
        trial(3, Status.PRUNED, [0.5, 0.625], parameters(warmup=2)),  # never saw its loss
        trial(4, Status.EARLY_STOPPED, [0.5, 0.5, 0.6875], parameters(warmup=2)),
    ]
    # To the pruned one is added what the baseline gained after three epochs: 0.8125 − 0.75.
    assert results_of(base, *records, yaml=yaml).comparable == {
        "t0001": 0.75,
        "t0002": 0.75,
        "t0004": 0.6875,
    }
    # Without a baseline nobody knows what it would have gained, by a clock of each trial's own.
    alone = results_of(*records, yaml=yaml.replace("[baseline]", "[]"))
    assert alone.comparable == {"t0001": 0.75, "t0004": 0.6875}
    by_epochs = results_of(*records, yaml=SWEEP_YAML.replace("asha,", "asha, clock: epochs,"))
    assert by_epochs.comparable == {"t0001": 0.75, "t0002": 0.6875, "t0004": 0.6875}


# --- curves ---------------------------------------------------------------------------------------


def test_step_at_the_switch_on_is_the_difference_of_the_two_epochs_beside_it() -> None:
    results = results_of(
        trial(0, Status.COMPLETED, [0.25, 0.5, 0.375, 0.75], parameters(warmup=2)),
        trial(1, Status.COMPLETED, [0.25, 0.5, 0.5, 0.625], parameters(warmup=3)),
        trial(2, Status.PRUNED, [0.25, 0.5], parameters(warmup=5)),
        trial(3, Status.COMPLETED, [0.25, 0.5, None, 0.5], parameters(warmup=3)),
    )
    assert switch_on_steps(results) == [-0.125, 0.125]
    assert learning_curves(results).finding == (
        "t0000 reached 0.7500 in epoch 3, 1 after its geometric loss switched on. In the epoch of"
        " the switch-on, the change of Dice is +0.0000 in the median of 2 trials (from −0.1250 to"
        " +0.1250); training alone improves it too."
    )


def test_step_at_the_switch_on_is_told_less_that_of_the_baseline_in_the_same_epoch() -> None:
    results = results_of(
        trial(0, Status.COMPLETED, [0.25, 0.5, 0.625, 0.6875], preset="baseline"),
        trial(1, Status.COMPLETED, [0.25, 0.5, 0.5, 0.75], parameters(warmup=2)),
        trial(2, Status.COMPLETED, [0.25, 0.5, 0.625, 0.875], parameters(warmup=3)),
        trial(3, Status.COMPLETED, [0.5] * 8, parameters(warmup=6)),  # the baseline never got there
    )
    # −0.125 in epoch 2 and +0.1875 in epoch 3.
    assert switch_on_steps(results) == [0.1875, -0.125]
    assert (
        "the change of Dice less that of the baseline is +0.0312 in the median of 2 trials"
        in learning_curves(results).finding
    )
    assert "differ from the baseline" not in learning_curves(results).finding
    assert "training alone" not in learning_curves(results).finding


def test_a_gain_is_not_put_down_to_the_loss_alone_where_more_is_searched() -> None:
    results = results_of(
        trial(0, Status.COMPLETED, [0.25, 0.5, 0.5], preset="baseline"),
        trial(1, Status.COMPLETED, [0.25, 0.5, 0.75], parameters(warmup=2)),
        yaml=SWEEP_YAML + "  optimizer.name: {{choice: [sgd, adamw]}}\n",
    )
    assert learning_curves(results).finding == (
        "t0001 reached 0.7500 in epoch 2, in which its geometric loss switched on. In the epoch of"
        " the switch-on, the change of Dice less that of the baseline is +0.2500 in the only trial"
        " that can be compared; trials differ from the baseline in `optimizer.name` too."
    )


def test_curves_of_trials_that_still_train_are_not_said_to_have_no_value() -> None:
    running = results_of(trial(0, None, [0.5, 0.6], {WARMUP: 2}))
    assert learning_curves(running).finding == "No trial has ended yet, so none is compared."
    without = results_of(trial(0, Status.DIVERGED, [None], {WARMUP: 2}))
    assert learning_curves(without).finding.startswith("No trial has a validation Dice")


def test_marks_of_learning_curves_are_explained_only_where_there_are_any() -> None:
    through = trial(0, Status.COMPLETED, [0.25, 0.5, 0.75], parameters(warmup=2))
    broken = trial(1, diverged_at(2), [0.25, 0.5], parameters(warmup=2))
    plain = learning_curves(results_of(through, yaml=NO_SCHEDULER))
    assert "✕" not in plain.reading
    assert "Bars" not in plain.reading
    assert "verticals" not in plain.reading
    assert "✕" in learning_curves(results_of(through, broken)).reading
    assert plain.figure is not None
    # The mark in the caption is the open triangle of the figure.
    (mark,) = (trace.marker for trace in plain.figure.data if "switches" in trace.name)
    assert (mark.symbol, mark.color) == ("triangle-up", "#ffffff")
    assert "△" in plain.reading


def test_where_all_diverged_whole_curves_are_shown_and_no_mark_is_explained_that_none_has() -> None:
    # The last value of each is far out of the others: among leaders it would not be framed.
    curves = [[0.8 + 0.001 * n + 0.0001 * k for k in range(8)] + [0.01] for n in range(9)]
    broken = [trial(n, diverged_at(9), c, parameters(warmup=9)) for n, c in enumerate(curves)]
    alone = learning_curves(results_of(*broken))
    assert alone.figure is not None
    assert alone.figure.layout.yaxis.range is None
    assert "△" not in alone.reading  # it diverged in the very epoch of the switch-on
    assert "One seed each" not in alone.reading
    assert alone.reading.startswith("None is ranked. ✕: ")
    leader = trial(9, Status.COMPLETED, [0.8] * 9)
    beside = learning_curves(results_of(*broken, leader)).figure
    assert beside is not None
    assert beside.layout.yaxis.range[0] > 0.5


def test_trial_of_one_measured_epoch_is_a_dot_and_a_gap_between_measurements_is_drawn_over() -> (
    None
):
    leaders = [trial(n, Status.COMPLETED, [0.5, None, 0.7 + 0.01 * n]) for n in range(5)]
    short = trial(5, Status.PRUNED, [0.3])
    gappy = trial(6, Status.PRUNED, [0.3, None, 0.4])
    figure = learning_curves(results_of(*leaders, short, gappy, yaml=NO_SCHEDULER)).figure
    assert figure is not None
    (dots,) = (trace for trace in figure.data if list(trace.ids or ()) == ["t0005"])
    assert (list(dots.x), list(dots.y), dots.mode) == ([0], [0.3], "markers")
    (thin,) = (trace for trace in figure.data if trace.name == "others")
    assert "t0006" in list(thin.ids)
    assert [y for y, name in zip(thin.y, thin.ids, strict=True) if name == "t0006"] == [
        0.3,
        0.4,
        None,
    ]
    (first,) = (trace for trace in figure.data if trace.name == "1. t0004")
    assert (list(first.x), list(first.y)) == ([0, 2], [0.5, 0.74])


def test_rungs_of_a_leader_are_marked_where_its_own_clock_has_come_to_them() -> None:
    clock = "scheduler: {{name: asha, clock: activation, grace_period: 2, reduction_factor: 2}}"
    yaml = re.sub("scheduler: .*", clock, SWEEP_YAML) + "presets: [baseline]\n"
    results = results_of(
        trial(0, Status.COMPLETED, [0.5] * 20, parameters(warmup=2)),
        trial(1, Status.COMPLETED, [0.4] * 20, parameters(warmup=5)),
        yaml=yaml,
    )
    assert results.spec.rungs() == [2, 4]
    figure = learning_curves(results).figure
    assert figure is not None
    (rungs,) = (trace for trace in figure.data if trace.name == "rung")
    # The first comes to the rung of 2 when it has trained four times as many, with epoch 7; the
    # second acts in full after 5 + 2 epochs, and comes there with epoch 8.
    assert list(rungs.x) == [7, 15, 8, 15]
    assert (
        "compares a leader, 2 and 4 epochs after its loss has full weight, and after 8 and 16"
        in learning_curves(results).reading
    )


def test_bars_of_rungs_are_not_told_of_where_the_baseline_alone_leads() -> None:
    clock = "scheduler: {{name: asha, clock: activation, grace_period: 2, reduction_factor: 2}}"
    yaml = re.sub("scheduler: .*", clock, SWEEP_YAML) + "presets: [baseline]\n"
    exhibit = learning_curves(
        results_of(trial(0, Status.COMPLETED, [0.5] * 20, preset="baseline"), yaml=yaml)
    )
    assert "Bars" not in exhibit.reading
    assert exhibit.figure is not None
    assert not [trace for trace in exhibit.figure.data if trace.name == "rung"]


# --- stability ------------------------------------------------------------------------------------


def test_rate_is_the_posterior_under_jeffreys_prior() -> None:
    # Oracle: the likelihood of 3 in 4 times the prior, x^2.5 √(1 − x), integrated numerically.
    def mass(low: float, high: float) -> float:
        return float(quad(lambda x: x**2.5 * (1 - x) ** 0.5, low, high)[0])

    # Where nobody was cut short, when they diverged is of no account.
    rate = rate_of([*(Exposure(n, 9, diverged=True) for n in (1, 2, 9)), came_through(9)])
    low, high = rate.interval
    assert rate.mean == pytest.approx(3.5 / 5)
    assert mass(0, low) / mass(0, 1) == pytest.approx(0.05)
    assert mass(high, 1) / mass(0, 1) == pytest.approx(0.05)
    assert rate_of([came_through(9)] * 4).interval[0] == 0
    assert rate_of([Exposure(2, 9, diverged=True)] * 4).interval[1] == 1


def came_through(epochs: int) -> Exposure:
    return Exposure(epochs, epochs, diverged=False)


def test_censored_trials_leave_the_estimate_of_kaplan_and_meier() -> None:
    # Oracle: scipy's Kaplan-Meier, which the prior of one trial hardly moves with so many.
    draw = np.random.default_rng(0)
    time, cut = draw.geometric(0.03, 4000), draw.choice([4, 12, 60], 4000)
    exposures = [
        Exposure(int(min(t, c)), 60, diverged=bool(t <= c)) for t, c in zip(time, cut, strict=True)
    ]
    died = [one.epochs for one in exposures if one.diverged]
    left = [one.epochs for one in exposures if not one.diverged]
    data = CensoredData(uncensored=died, right=left)
    oracle = ecdf(data).sf.probabilities[-1]
    assert 1 - rate_of(exposures).mean == pytest.approx(oracle, abs=0.002)
    assert rate_of(exposures).mean == pytest.approx(1 - 0.97**60, abs=0.03)
    assert len(died) / 4000 < 0.5  # what a count of the diverged would say


def test_field_of_which_nobody_was_seen_to_the_end_says_so() -> None:
    cut_short = rate_of([Exposure(4, 60, diverged=False)] * 5)
    assert cut_short.is_open
    assert cut_short.interval == (0, 1)
    assert cut_short.words == "0 of 5, none observed to its end (0 % to 100 %)"


def test_trial_that_ended_before_its_switch_on_says_nothing_about_divergence() -> None:
    results = results_of(
        trial(0, diverged_at(2), [0.5, 0.5], parameters(epsilon=0)),
        trial(1, Status.PRUNED, [0.5] * 2, parameters(epsilon=0, warmup=2)),
        trial(2, Status.PRUNED, [0.5] * 3, parameters(epsilon=1e-6, warmup=2)),
        trial(3, Outcome(status=Status.FAILED), [0.5] * 2, parameters(epsilon=0)),
        trial(4, Status.EARLY_STOPPED, [0.6] * 5, parameters(epsilon=1e-6)),
        trial(5, Status.COMPLETED, [0.5], parameters(warmup=99), preset="geometric-v2.3"),
        trial(6, Status.COMPLETED, [0.5], parameters(compactness=0), preset="baseline"),
        trial(7, Status.EARLY_STOPPED, [0.6] * 5, parameters(epsilon=0, warmup=6)),
        trial(8, Status.COMPLETED, [0.6] * 5, parameters(epsilon=1e-6, warmup=6)),
        trial(9, diverged_at(3), [0.6] * 3, parameters(epsilon=0, warmup=6)),
        trial(10, Status.COMPLETED, [0.6] * 20, parameters(epsilon=1e-6)),
        trial(11, None, [0.6] * 12, parameters(epsilon=0)),  # it still trains
    )
    # Epochs since the switch-on in epoch 2, of the 18 that there are in 20.
    assert results.exposures == {
        "t0000": Exposure(1, 18, diverged=True),
        "t0002": Exposure(1, 18, diverged=False),
        "t0004": Exposure(3, 18, diverged=False),
        "t0010": Exposure(18, 18, diverged=False),
        "t0011": Exposure(10, 18, diverged=False),
    }
    assert stability_map(results).finding == (
        "1 of 5 trials at risk diverged; 3 were cut short (33 of 73 epochs at risk were observed)."
        " In a complete training an estimated 30 % would (90 % interval 4 % to 68 %). 1 trial"
        " diverged before the geometric loss acted (t0009): none of its settings had a part in"
        " that, so the maps leave it out."
    )


def test_settings_with_most_and_fewest_divergences_are_told_from_three_trials_each_on() -> None:
    pairs = [(0, n) for n in range(3)] + [(1e-6, n) for n in range(3)]
    trials = [
        trial(n, diverged_at(2) if n == 0 else Status.COMPLETED, [0.5] * 20, parameters(2 + w, e))
        for n, (e, w) in enumerate(pairs)
    ]
    # Of Beta(1.5, 2.5) the quantiles 0.025 and 0.975: both intervals together hold with 90 %.
    told = "Most with loss.sqrt_epsilon = 0: 1 of 3 (4 % to 82 %); fewest with 1e-6: 0 of 3"
    assert told in stability_map(results_of(*trials)).finding
    assert "Most with" not in stability_map(results_of(*trials[:-1])).finding


def test_settings_that_act_from_the_start_are_judged_from_the_first_epoch() -> None:
    yaml = SWEEP_YAML.split("space:")[0] + "space:\n  optimizer.lr: {{loguniform: [1.0e-3, 1.0]}}\n"
    results = results_of(
        trial(0, diverged_at(1), [0.5], {"optimizer.lr": 0.9}),
        trial(1, Status.COMPLETED, [0.5] * 20, {"optimizer.lr": 0.01}),
        yaml=yaml,
    )
    assert settings_of(results.spec, results.records[0])(WARMUP) == 20
    assert results.exposures["t0000"] == Exposure(2, 20, diverged=True)
    assert "before the geometric loss" not in stability_map(results).finding


def test_field_of_the_map_without_a_trial_stays_empty() -> None:
    results = results_of(
        trial(0, diverged_at(2), [0.5], parameters(epsilon=0, warmup=2)),
        trial(1, Status.COMPLETED, [0.5] * 20, parameters(epsilon=1e-6, warmup=7)),
    )
    figure = stability_map(results).figure
    assert figure is not None
    (shades,) = (trace for trace in figure.data if trace.type == "heatmap")  # ε over warm-up
    assert list(shades.text[0]) == ["1/1", "", ""]
    assert list(shades.text[2]) == ["", "", "0/1"]


def test_field_of_fewer_than_three_trials_has_counts_and_neither_shade_nor_percentage() -> None:
    def sweep(of_each: int) -> Results:
        diverged, through = diverged_at(2), Status.COMPLETED
        outcomes = [(0, diverged)] * of_each + [(1e-6, through)] * of_each
        return results_of(
            *(
                trial(
                    n,
                    outcome,
                    [0.5] * 20,
                    parameters(epsilon=epsilon, warmup=(2, 7)[n >= 2 * of_each]),
                )
                for n, (epsilon, outcome) in enumerate(outcomes * 2)
            )
        )

    for of_each, shown, texts in (
        (1, [], {"1/1", "0/1"}),
        (3, [0.875, 0.125], {"87 %<br>3/3", "13 %<br>0/3"}),
    ):
        figure = stability_map(sweep(of_each)).figure
        assert figure is not None
        (shades,) = (trace for trace in figure.data if trace.type == "heatmap")
        (counts,) = (trace for trace in figure.data[1:] if trace.mode == "text")
        assert sorted({z for row in shades.z for z in row if z is not None}, reverse=True) == (
            pytest.approx(shown)
        )
        assert set(counts.text) == texts
        assert shades.showscale == bool(shown)


def test_evidence_of_a_rate_is_the_number_of_trials_seen_to_their_end() -> None:
    assert rate_of([came_through(9)] * 3).evidence == 3
    assert not rate_of([came_through(9)] * 3).is_guess
    assert rate_of([came_through(9)] * 2).is_guess
    cut_short = rate_of([came_through(9)] + [Exposure(4, 9, diverged=False)] * 3)
    assert 1 < cut_short.evidence < 4


def test_where_nobody_diverged_one_sentence_stands_in_place_of_the_maps() -> None:
    trials = [
        trial(n, Status.PRUNED if n else Status.COMPLETED, [0.5] * 20, parameters(2 + n))
        for n in range(5)
    ]
    exhibit = stability_map(results_of(*trials))
    assert exhibit.figure is None
    assert exhibit.finding == (
        "None of 5 trials at risk diverged: in a complete training 0 % to 30 % would"
        " (90 % interval)."
    )
    assert divergence_importance(results_of(*trials)).finding == (
        "No trial of the 5 at risk diverged: nothing distinguishes them."
    )
    cut_short = [replace(one, history=one.history[:9]) for one in trials[1:]]
    assert stability_map(results_of(*cut_short)).finding == (
        "None of 4 trials at risk diverged; 4 were cut short, 18 of 62 epochs at risk were"
        " observed: too little to say how many would in a complete training."
    )


def test_marks_of_trials_that_were_cut_short_can_be_seen_on_white() -> None:
    figure = stability_map(results_of(*(drawn(n) for n in range(40)))).figure
    assert figure is not None
    dots = [trace for trace in figure.data if trace.type == "scatter" and trace.mode == "markers"]
    marks = {trace.name: trace.marker for trace in dots}
    assert set(marks) == {"diverged", "completed", "cut short"}
    looks = {(mark.symbol, mark.color) for mark in marks.values()}
    assert len(looks) == 3
    assert not any(str(mark.symbol).endswith("-open") for mark in marks.values())  # white on white


def test_last_row_of_maps_is_of_the_most_important_weight_only_where_that_is_known() -> None:
    few = [
        trial(
            n,
            diverged_at(2) if n == 0 else Status.COMPLETED,
            [0.5] * 20,
            parameters(epsilon=(0, 1e-6)[n % 2], warmup=2 + n, compactness=10 ** -(n / 2)),
        )
        for n in range(6)
    ]
    assert "the map of weights.compactness by the length" in stability_map(results_of(*few)).reading
    many = stability_map(results_of(*(drawn(n) for n in range(80))))
    assert "compactness, the weight that matters most by fANOVA, by the" in many.reading


def test_map_of_three_parameters_shows_each_trial_with_the_warm_ups_of_its_length() -> None:
    results = results_of(
        *(
            trial(
                n,
                diverged_at(2) if n == 0 else Status.COMPLETED,
                [0.5] * 20,
                parameters(epsilon=(0, 1e-6)[n % 2], warmup=2 + n, compactness=10 ** -(n / 2)),
            )
            for n in range(6)
        )
    )
    figure = stability_map(results).figure
    assert figure is not None
    assert [title.text for title in figure.layout.annotations] == [
        "warmup_epochs 2 – 3",
        "warmup_epochs 4 – 5",
        "warmup_epochs 6 – 7",
    ]
    shades = [trace for trace in figure.data if trace.type == "heatmap"]
    counts = [[text for row in trace.text for text in row if text] for trace in shades[2:]]
    assert counts == [["1/1", "0/1"], ["0/1", "0/1"], ["0/1", "0/1"]]


# --- timeline -------------------------------------------------------------------------------------


def test_divergence_is_placed_from_the_switch_on_by_epoch_and_step() -> None:
    bare = replace(trial(2, diverged_at(1), [0.5]), parameters=parameters(compactness=0))
    results = results_of(
        trial(0, diverged_at(3, 5), [0.5] * 3, parameters(warmup=3)),  # ten steps an epoch
        trial(1, diverged_at(4, 0), [0.5] * 4, parameters(warmup=2)),
        bare,
    )
    found, without = divergences(results)
    assert [(trial_id, epochs) for epochs, trial_id, _ in found] == [("t0000", 0.5), ("t0001", 2.0)]
    assert without == [bare]
    assert divergence_timeline(results).finding == (
        "1 of 2 divergences came within one epoch of the switch-on (median 1.2 epochs after it);"
        " most often nonfinite gradient (compactness) (2). 1 more had no geometric loss."
    )
    before = [trial(n, diverged_at(1), [0.5], parameters(warmup=3 + n)) for n in range(2)]
    assert "2 before it (median 2.5 epochs before it);" in (
        divergence_timeline(results_of(*before)).finding
    )


# --- patience -------------------------------------------------------------------------------------

# Best so far after each epoch: patience counts from epoch 4 (warm-up 2, ramp-up 2).
CURVE = [0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5, 0.7, *[0.7] * 12]
DRAWN = SWEEP_YAML + "replay_patience: false\n"


def traded(results: Results) -> Tradeoff | None:
    return tradeoff(results.spec, results.records)


def test_replayed_patience_stops_where_training_would_have_stopped() -> None:
    # No improvement in epochs 5 and 6: patience 2 stops after epoch 6 with 0.5. Patience 3 sees
    # 0.7 in epoch 7 and stops after epoch 10, patience 5 after epoch 12, …
    records = [trial(n, Status.COMPLETED, CURVE, parameters()) for n in range(6)]
    results = results_of(*records, yaml=DRAWN)
    found = traded(results)
    assert found is not None
    assert found.curves == 6
    assert [(s.label, s.epochs, round(s.lost, 9), s.best) for s in found.steps] == [
        ("2", 42, 0.2, 0.5),
        ("3", 66, 0.0, 0.7),
        ("5", 78, 0.0, 0.7),
        ("8", 96, 0.0, 0.7),
        ("10", 108, 0.0, 0.7),
        ("15", 120, 0.0, 0.7),
    ]
    assert found.enough.label == "3"
    assert "Patience 3 is enough: the average of 6 trials loses 0.0000 Dice against 15" in (
        patience_tradeoff(results).finding
    )
    assert "saves 45 % of 120 epochs" in patience_tradeoff(results).finding


def test_replayed_patiences_are_those_of_the_space_and_of_few_curves_none_is_called_enough() -> (
    None
):
    ended = [trial(n, Status.EARLY_STOPPED, CURVE[:16], parameters()) for n in range(6)]
    results = results_of(ended[0])
    found = traded(results)
    assert found is not None
    assert [(step.label, step.epochs) for step in found.steps] == [("3", 11), ("5", 13), ("8", 16)]
    assert patience_tradeoff(results).finding == (
        "From patience 3 to 8, the epochs of 1 curve go from 11 to 16, and up to 0.0000 Dice is"
        " lost on average (0.0000 at most). Too few to say: 1 curve ran on to where each patience"
        " ends it, and it takes 6 to call one enough."
    )
    assert patience_tradeoff(results_of(*ended)).finding == (
        "Patience 3 is enough: the average of 6 trials loses 0.0000 Dice against 8 (at most 0.002"
        " is tolerated; the worst loses 0.0000) and it saves 31 % of 96 epochs."
    )


def test_replicates_of_the_finalists_are_replayed_beside_the_runs_of_the_search() -> None:
    first = trial(0, Status.EARLY_STOPPED, CURVE[:16], parameters())
    again = tuple(
        replace(first, trial_id=f"t0000r{seed}", replicate=Replicate("t0000", seed, 0))
        for seed in range(1, 6)
    )
    alone, confirmed = results_of(first), replace(results_of(first), replicates=again)
    assert "the average of 1 configuration (6 curves)" in patience_tradeoff(confirmed).finding
    assert "counts once, with the mean of its curves" in patience_tradeoff(confirmed).reading
    assert "Only the search's single runs count" in patience_tradeoff(alone).reading


def test_patience_that_saves_nothing_is_not_called_enough() -> None:
    jump = [*[0.1] * 10, *(0.5 + n / 100 for n in range(10))]  # patience 3 and 5 end before it
    trials = [trial(n, Status.COMPLETED, jump, parameters()) for n in range(6)]
    assert patience_tradeoff(results_of(*trials)).finding == (
        "No patience that saves an epoch stays within 0.002 Dice of 8, the longest that 6 curves"
        " can answer for."
    )


def test_patience_that_hardly_matters_is_told_in_a_sentence_without_a_figure() -> None:
    late = [trial(n, Status.COMPLETED, [0.5] * 20, parameters(warmup=14)) for n in range(6)]
    exhibit = patience_tradeoff(results_of(*late))
    assert exhibit.figure is None
    assert "nearly the same, so nothing is drawn" in exhibit.finding
    assert "enough" not in exhibit.finding


def test_curve_cut_by_its_own_patience_answers_for_no_longer_one() -> None:
    stopped = [trial(n, Status.EARLY_STOPPED, CURVE[:11], parameters(patience=3)) for n in range(3)]
    found = traded(results_of(*stopped, yaml=DRAWN))
    assert found is not None
    assert found.steps[-1] == PatienceOutcome(
        setting={PATIENCE: 3}, lost=0.0, most_lost=0.0, best=0.7, epochs=33
    )


def test_curves_that_were_pruned_too_early_are_not_replayed() -> None:
    pruned = [trial(n, Status.PRUNED, CURVE[:6], parameters()) for n in range(5)]
    assert traded(results_of(*pruned, yaml=DRAWN)) is None
    assert traded(results_of(*pruned)) is None
    assert "nothing to replay" in patience_tradeoff(results_of(*pruned)).finding


# --- budget ---------------------------------------------------------------------------------------


def test_shared_epochs_count_as_saved_and_not_as_trained() -> None:
    own = trial(0, Status.COMPLETED, [0.5] * 4, parameters())
    history = tuple(epoch_of(n, 0.5, shared=n < 3) for n in range(4))
    sharing = TrialRecord(
        trial_id="t0001", number=1, parameters=parameters(), history=history,
        outcome=diverged_at(4),
    )  # fmt: skip
    results = results_of(own, sharing)
    by_status = {part.status: part for part in spent(results)}
    assert by_status[Status.COMPLETED].epochs == 4
    assert by_status[Status.DIVERGED].epochs == 1
    assert by_status[Status.DIVERGED].shared_epochs == 3
    assert budget_by_status(results).finding == (
        "5 epochs in 10 s of training: 20 % in diverged trials."
        " Sharing warm-ups saved 3 epochs (6 s)."
    )
    figure = budget_by_status(results).figure
    assert figure is not None
    assert figure.layout.showlegend
    assert [trace.name for trace in figure.data if trace.showlegend] == [
        "saved by sharing warm-ups"
    ]


def test_replicates_of_the_confirmation_are_a_part_of_the_budget_of_their_own() -> None:
    searched = [trial(0, Status.COMPLETED, [0.5] * 4), trial(1, Status.PRUNED, [0.5])]
    again = [
        replace(trial(0, outcome, [0.5] * 4), trial_id=f"t0000r{seed}",
                replicate=Replicate("t0000", seed, 0))
        for seed, outcome in ((1, Status.COMPLETED), (2, diverged_at(4)), (3, None))
    ]  # fmt: skip
    results = replace(results_of(*searched), replicates=tuple(again))
    assert [(part.status, part.trials, part.epochs) for part in spent(results)] == [
        (Status.COMPLETED, 1, 4),
        (Status.PRUNED, 1, 1),
        (None, 3, 12),
    ]
    exhibit = budget_by_status(results)
    assert exhibit.finding == (
        "17 epochs in 34 s of training: 6 % in pruned trials and 71 % in replicates."
    )
    assert exhibit.figure is not None
    assert "replicates (3)" in [bar for trace in exhibit.figure.data for bar in trace.y]


# --- importance, slices, parallel -----------------------------------------------------------------


def test_importance_finds_what_the_trials_were_made_from() -> None:
    """`drawn` lets the weight decide about Dice and ε alone about divergence."""
    results = results_of(*(drawn(n) for n in range(80)))
    for_dice, for_divergence = importance_for_dice(results), importance_for_divergence(results)
    assert for_dice is not None
    assert for_divergence is not None
    assert max(for_dice.shares, key=for_dice.shares.__getitem__) == COMPACTNESS
    assert max(for_dice.leading, key=for_dice.leading.__getitem__) == COMPACTNESS
    assert max(for_divergence.shares, key=for_divergence.shares.__getitem__) == EPSILON
    assert for_dice.explained > 0.5
    assert sum(for_dice.shares.values()) == pytest.approx(1)
    found = dice_importance(results).finding
    assert "that compactness matters may be relied on, the shares may not. A forest" in found
    assert found.endswith("under 1 % of shuffled results depend as strongly on any parameter.")
    assert " for divergence lies with loss.sqrt_epsilon, " in divergence_importance(results).finding


def test_importance_of_noise_is_called_noise() -> None:
    rng = np.random.default_rng(0)
    results = results_of(
        *(
            replace(drawn(n), outcome=Outcome(status=Status.COMPLETED), history=late(x))
            for n, x in enumerate(rng.uniform(size=40))
        )
    )
    found = importance_for_dice(results)
    assert found is not None
    assert found.is_noise
    assert dice_importance(results).finding.startswith("Nothing that 40 trials can show: ")


def test_importance_says_of_trials_that_are_all_alike_that_they_are() -> None:
    alike = [trial(n, Status.COMPLETED, [0.5] * 9, parameters(compactness=0.1)) for n in range(12)]
    assert dice_importance(results_of(*alike)).finding == (
        "12 trials, too much alike: importances have nothing to share out."
    )


def test_trial_outside_the_space_does_not_enter_the_importance() -> None:
    inside = [drawn(n) for n in range(40)]
    preset = trial(40, Status.COMPLETED, [0.99], parameters(warmup=20), preset="geometric-v2.3")
    with_preset = importance_for_dice(results_of(*inside, preset))
    without = importance_for_dice(results_of(*inside))
    assert with_preset is not None
    assert without is not None
    assert with_preset.shares == without.shares
    assert with_preset.leading == without.leading


def test_trend_is_spearmans_with_a_correction_for_the_parameters_looked_at() -> None:
    dice = [value for value in (0.5, 0.625, 0.75, 0.875, 0.9) for _ in range(2)]
    epsilons = [0, 1e-6, 0, 1e-8, 1e-6] * 2
    results = results_of(
        *(
            trial(n, Status.COMPLETED, [0.0] * 8 + [d], parameters(warmup=2 + n // 2, epsilon=e))
            for n, (d, e) in enumerate(zip(dice, epsilons, strict=True))
        )
    )
    found = correlations(results)
    assert set(found) == {WARMUP, EPSILON}
    assert found[WARMUP] == pytest.approx((1.0, 0.0), abs=1e-12)
    assert found[EPSILON] == pytest.approx(tuple(spearmanr(epsilons, dice)))
    told = (
        "Strongest trend: Dice rises with loss.warmup_epochs (Spearman's ρ = +1.00 over 10 trials,"
        " p < 0.001 corrected for 2 parameters), more than chance would show"
    )
    assert slices(results).finding == (  # its trials are those of TPE
        f"{told} if trials were independent, which those of a searcher that learns are not."
    )
    at_random = results_of(*results.records, yaml=SWEEP_YAML + "searcher: random\n")
    assert slices(at_random).finding == f"{told}."
    assert "Too few" in slices(results_of(*results.records[:9])).finding


def extrapolated(count: int = 12) -> Results:
    """A baseline and trials of one warm-up, of which all but the first two were pruned."""
    base = trial(0, Status.COMPLETED, [0.25, 0.5, 0.5625, 0.625, 0.75], preset="baseline")
    trials = [
        trial(
            n,
            Status.COMPLETED if n < 3 else Status.PRUNED,
            [0.25, 0.5, 0.5, 0.5 + n / 128],
            parameters(warmup=2 + n % 2, compactness=10 ** (-3 + n / 8)),
        )
        for n in range(1, count)
    ]
    return results_of(base, *trials, yaml=BY_ACTIVATION)


def test_expected_values_are_called_so_and_counted() -> None:
    results = extrapolated()
    assert results.expected.keys() == {f"t{n:04d}" for n in range(3, 12)}
    exhibit = slices(results)
    assert exhibit.finding.endswith(" 9 of 11 values are expected, not measured.")
    assert exhibit.figure is not None
    assert {trace.name for trace in exhibit.figure.data} == {
        "completed",
        "pruned (expected, not measured)",
    }
    pruned = next(one for one in exhibit.figure.data if one.name.startswith("pruned"))
    assert len(pruned.error_y.array) == len(pruned.y)
    assert pruned.text[0].endswith(", Dice 0.5859 measured in 4 epochs")
    parallel = parallel_coordinates(extrapolated(24)).figure
    assert parallel is not None
    assert "expected" in parallel.data[0].dimensions[-1].label


def test_measured_values_are_nowhere_called_expected() -> None:
    results = results_of(*(drawn(n) for n in range(60)))  # pruned ones too, but no baseline
    assert not results.expected
    for show in (slices, parallel_coordinates):
        exhibit = show(results)
        assert exhibit.figure is not None
        assert "expected" not in exhibit.finding + exhibit.reading
        assert "expected" not in exhibit.figure.to_json()


def test_order_of_parameters_is_fanovas_only_where_importances_could_be_computed() -> None:
    few = extrapolated()
    assert importance_for_dice(few) is None
    many = results_of(*(drawn(n) for n in range(80)))
    assert "in the order of the sweep file" in slices(few).reading
    assert "important" not in slices(few).reading
    assert "the most important first, by fANOVA" in slices(many).reading


def test_axes_have_no_place_for_what_did_not_happen() -> None:
    through = [drawn(n) for n in range(60) if drawn(n).status is Status.COMPLETED]
    broken = trial(60, diverged_at(2), [0.5, 0.5], parameters(epsilon=0))
    for show, tick in ((slices, "diverged"), (parallel_coordinates, "none")):
        without, with_one = (show(results_of(*through, *more)) for more in ((), (broken,)))
        assert without.figure is not None
        assert with_one.figure is not None
        assert f'"{tick}"' not in without.figure.to_json()
        assert f'"{tick}"' in with_one.figure.to_json()
        assert ("✕" in without.reading, "“none”" in without.reading) == (False, False)
    assert "✕" in slices(results_of(*through, broken)).reading


def test_parallel_coordinates_tell_what_the_best_quarter_shares() -> None:
    compactness = [0.1, 0.2, 0.15, 0.12, 0.18, *[0.9, 0.001, 0.5, 0.01, 0.15] * 3]
    results = results_of(
        *(
            trial(n, Status.COMPLETED, [0.0] * 8 + [0.9 - 0.02 * n], parameters(2 + n % 6, 1e-6, c))
            for n, c in enumerate(compactness)
        )
    )
    assert parallel_coordinates(results).finding == (
        "The best 5 of 20 trials (Dice from 0.8200) agree most on loss.weights.compactness:"
        " 0.1 to 0.2, where 3 of the 15 others lie too."
    )
    figure = parallel_coordinates(results).figure
    assert figure is not None
    assert "#ffffff" in figure.data[0].tickfont.shadow  # lines would strike the ticks through
    axis = figure.data[0].dimensions[-1]
    assert (axis.tickvals[0], axis.tickvals[-1]) == (min(axis.values), max(axis.values))
    few = parallel_coordinates(results_of(*results.records[1:]))
    assert "too few for a pattern" in few.finding
    assert few.figure is None
