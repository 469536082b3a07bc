"""The verdicts on sequences of made-up steps and epochs: no network, no torch."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.analysis.ranking.sweep_state import SweepState
from sweep.engine.decisions.sweep_metrics import Metric, samples
from sweep.spec.settings.trial_settings import GuardSettings, TrialSettings
from sweep.trainer.divergence.advice import Advice, Case
from sweep.trainer.divergence.judging import RECENT, StepJudge, judge_epochs
from sweep.trainer.divergence.verdict import Broken, Verdict
from sweep.trainer.divergence.verdicts import VERDICTS, advise
from sweep.vocabulary.divergence import StepValues
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Divergence, Stage

NAN = math.nan


def step(number: int, **values: Any) -> StepValues:
    """Step ``number`` of epochs of 100 steps, of a healthy run but for ``values``."""
    healthy: dict[str, Any] = {
        "terms": {"dice": 0.5, "ce": 0.7},
        "loss": 1.2,
        "grad_norm": 1.0,
        "weight_norm": 10.0,
    }
    epoch, place = divmod(number, 100)
    return StepValues(epoch=epoch, step=place, **(healthy | values))


def judge_of(*, clip: float | None = 12.0, scaled: bool = False, **settings: Any) -> StepJudge:
    return StepJudge(GuardSettings(**settings), gradient_clip=clip, scaled=scaled)


def first_verdict(judge: StepJudge, steps: list[StepValues]) -> tuple[int, Divergence] | None:
    """Number of the step at which the verdict falls, and the verdict."""
    for number, values in enumerate(steps):
        if (verdict := judge.judge(values)) is not None:
            return number, verdict
    return None


# Not finite.


@pytest.mark.parametrize(
    ("values", "stage", "term"),
    [
        ({"terms": {"dice": 0.5, "ce": NAN}, "loss": NAN, "grad_norm": NAN}, Stage.LOSS, "ce"),
        ({"terms": {"dice": math.inf, "ce": NAN}, "loss": NAN}, Stage.LOSS, "dice"),
        ({"loss": math.inf}, Stage.LOSS, None),
        ({"grad_norm": math.inf}, Stage.GRADIENT, None),
        ({"weight_norm": NAN}, Stage.WEIGHTS, None),
    ],
)
def test_first_value_that_is_not_finite_is_named(
    values: dict[str, Any], stage: Stage, term: str | None
) -> None:
    verdict = judge_of().judge(step(307, **values))
    assert verdict is not None
    assert (verdict.cause, verdict.stage, verdict.term) == ("nonfinite", stage, term)
    assert (verdict.epoch, verdict.step) == (3, 7)


def test_skipping_forgives_losses_and_gradients_but_not_broken_weights() -> None:
    judge = judge_of(on_nonfinite="skip")
    assert judge.judge(step(0, loss=NAN)) is None
    assert judge.judge(step(1, grad_norm=math.inf)) is None
    verdict = judge.judge(step(2, weight_norm=math.inf))
    assert verdict is not None
    assert verdict.cause == "nonfinite"


# Zombies.


def test_healthy_step_ends_the_count_of_skipped_steps_in_a_row() -> None:
    judge = judge_of(on_nonfinite="skip", skipped_in_a_row=3, skipped_per_epoch=None)
    steps = [step(n, **({} if n % 3 == 0 else {"loss": NAN})) for n in range(300)]
    assert first_verdict(judge, steps) is None


def test_skipped_steps_in_a_row_are_counted_across_epochs() -> None:
    judge = judge_of(on_nonfinite="skip", skipped_in_a_row=4)
    for number in (98, 99):
        assert judge.judge(step(number, loss=NAN)) is None
    judge.start_epoch(0.0)
    assert judge.judge(step(100, loss=NAN)) is None
    verdict = judge.judge(step(101, loss=NAN))
    assert verdict is not None
    assert (verdict.cause, verdict.epoch, verdict.step) == ("zombie", 0, 98)


def test_skipped_steps_of_an_epoch_have_a_limit_that_starts_anew() -> None:
    judge = judge_of(on_nonfinite="skip", skipped_per_epoch=2)
    for epoch in range(3):
        judge.start_epoch(0.0)
        for place in (0, 10):
            assert judge.judge(step(100 * epoch + place, loss=NAN)) is None
            assert judge.judge(step(100 * epoch + place + 1)) is None
    verdict = judge.judge(step(250, loss=NAN))
    assert verdict is not None
    assert (verdict.cause, verdict.epoch, verdict.step) == ("zombie", 2, 50)


@pytest.mark.parametrize("overflows", [1, 16])
def test_scaler_that_looks_for_its_scale_is_no_divergence(overflows: int) -> None:
    # 16 halvings lead from 65536 to 1.
    judge = judge_of(scaled=True)
    for number in range(overflows):
        scale = 2.0 ** (16 - number)
        assert judge.judge(step(number, grad_norm=math.inf, scale=scale, skipped=True)) is None
    assert judge.judge(step(overflows, scale=1.0)) is None


def test_scaler_that_skips_everything_is_a_zombie_long_before_its_scale_underflows() -> None:
    # After about 145 halvings 1 / scale overflows float32 and the next step destroys the weights.
    steps = [step(n, grad_norm=NAN, scale=2.0 ** (16 - n), skipped=True) for n in range(145)]
    found = first_verdict(judge_of(scaled=True), steps)
    assert found is not None
    number, verdict = found
    assert verdict.cause == "zombie"
    assert number == 19


# Explosions.


def exploding(count: int, value: float, *, begin: int = 50) -> list[StepValues]:
    healthy = [step(n) for n in range(begin)]
    return healthy + [step(begin + n, terms={"dice": 0.9, "ce": value}) for n in range(count)]


def test_loss_far_out_for_several_steps_is_an_explosion_that_began_at_the_first() -> None:
    found = first_verdict(judge_of(), exploding(10, 700.0))
    assert found is not None
    number, verdict = found
    assert (verdict.cause, verdict.stage, verdict.term) == ("exploded", Stage.LOSS, "ce")
    assert (number, verdict.step) == (59, 50)


@pytest.mark.parametrize(("count", "value"), [(9, 700.0), (100, 20.0)])
def test_short_or_low_excursion_is_no_explosion(count: int, value: float) -> None:
    assert first_verdict(judge_of(), exploding(count, value)) is None


def test_slow_explosion_is_not_followed_by_its_own_statistics() -> None:
    steps = [step(n, terms={"dice": 0.9, "ce": 0.7 * 1.02**n}) for n in range(400)]
    found = first_verdict(judge_of(), steps)
    assert found is not None
    number, _ = found
    assert 30 * 0.7 < steps[number].terms["ce"] < 30 * 0.7 * 1.3


def test_loss_that_has_become_small_may_be_as_high_again_as_it_was_at_first() -> None:
    quiet = [step(n, terms={"dice": 0.01, "ce": 1e-4}) for n in range(1, 300)]
    again = [step(300 + n) for n in range(50)]
    assert first_verdict(judge_of(), [step(0), *quiet, *again]) is None


@pytest.mark.parametrize("weight", [1.0, 1e3, 1e6])
def test_switching_on_a_large_geometric_weight_is_no_explosion(weight: float) -> None:
    judge = judge_of(clip=None)
    judge.start_epoch(0.0)
    assert first_verdict(judge, [step(n) for n in range(100)]) is None
    judge.start_epoch(0.5)
    terms = {"dice": 0.5, "ce": 0.7, "compactness": 0.9}
    late = [
        step(100 + n, terms=terms, loss=0.5 * weight, grad_norm=0.5 * weight) for n in range(100)
    ]
    assert first_verdict(judge, late) is None


def test_gradient_is_judged_as_it_is_applied() -> None:
    steps = [step(n) for n in range(50)] + [step(50 + n, grad_norm=1e6) for n in range(50)]
    assert first_verdict(judge_of(clip=12.0), steps) is None
    found = first_verdict(judge_of(clip=None), steps)
    assert found is not None
    assert (found[1].cause, found[1].stage) == ("exploded", Stage.GRADIENT)


def test_explosions_can_be_left_unjudged() -> None:
    judge = judge_of(exploded_factor=None)
    assert first_verdict(judge, exploding(100, 1e9)) is None


# State.


@given(
    values=st.lists(st.sampled_from([0.7, 20.0, 700.0, NAN]), min_size=1, max_size=60),
    cut=st.integers(0, 60),
)
def test_judge_that_was_stored_and_loaded_goes_on_as_if_nothing_had_been(
    values: list[float], cut: int
) -> None:
    limits = {"on_nonfinite": "skip", "skipped_in_a_row": 3, "exploded_steps": 4}
    steps = [step(n, terms={"ce": value}) for n, value in enumerate(values)]
    expected = first_verdict(judge_of(**limits), steps)
    if expected is not None and expected[0] < cut:
        return
    judge = judge_of(**limits)
    first_verdict(judge, steps[:cut])
    loaded = judge_of(**limits)
    loaded.load_state_dict(json.loads(json.dumps(judge.state_dict())))
    found = first_verdict(loaded, steps[cut:])
    assert (found and (found[0] + min(cut, len(steps)), found[1])) == expected


def test_steps_before_a_verdict_are_kept_however_long_it_took() -> None:
    judge = judge_of(on_nonfinite="skip", skipped_in_a_row=50)
    found = first_verdict(judge, [step(n, **({"loss": NAN} if n >= 30 else {})) for n in range(99)])
    assert found is not None
    verdict = found[1]
    told = [values.step for values in judge.recent((verdict.epoch, verdict.step))]
    assert told == list(range(30 - RECENT, 31))


# Epochs.


def history(*dice: float | None, classes: int = 2, **last: Any) -> list[EpochMetrics]:
    """Epochs of 5 steps; Dice 0 stands for one class everywhere; ``last`` is of the last epoch."""
    epochs = [
        EpochMetrics(
            epoch=number, val_dice=value, steps=5, predicted_classes=1 if value == 0 else classes
        )
        for number, value in enumerate(dice)
    ]
    return [*epochs[:-1], EpochMetrics(**(epochs[-1].to_json() | last))]


@pytest.mark.parametrize(
    ("dice", "since"),
    [
        ((0.8, 0.0, 0.0), 1),
        ((0.8, 0.0), None),  # one validation may be an accident
        ((0.8, 0.0, 0.7, 0.0), None),
        ((0.05, 0.0, 0.0), None),  # it had not learnt anything yet
        ((0.0, 0.0, 0.0, 0.0), None),
        ((0.8, 0.07, 0.01), 1),  # not one class everywhere, but all that it knew is lost
        ((0.8, 0.3, 0.2), None),  # bad, but a result
        ((0.8, None, None), None),  # nothing to find, nothing found
    ],
)
def test_network_that_answers_nothing_after_having_learnt_has_collapsed(
    dice: tuple[float | None, ...], since: int | None
) -> None:
    verdict = judge_epochs(history(*dice), GuardSettings(), scaled=False)
    assert (verdict and verdict.epoch) == since
    if verdict is not None:
        assert (verdict.cause, verdict.step) == ("collapsed", 4)


@pytest.mark.parametrize(
    ("dice", "since"),
    [
        ((0.0, 0.0, 0.0, 0.0), 0),
        ((0.05, 0.04, 0.0, 0.0), 2),  # what it was before is of no account
        ((0.09, 0.008, 0.005), 1),  # a tenth of next to nothing is nothing
        ((0.09, 0.09, 0.0), None),  # one validation may be an accident here too
        ((0.0,), 0),  # there was only one
        ((0.0, 0.0, 0.05), None),  # it has just begun to learn
        ((0.05, 0.04, 0.03), None),  # bad, but a result
        ((None, None), None),
    ],
)
def test_training_that_ends_with_a_network_that_answers_nothing_is_dead(
    dice: tuple[float | None, ...], since: int | None
) -> None:
    epochs = history(*dice)
    assert judge_epochs(epochs, GuardSettings(), scaled=False) is None  # it may yet begin
    verdict = judge_epochs(epochs, GuardSettings(), scaled=False, over=True)
    assert (verdict and verdict.epoch) == since
    assert verdict is None or verdict.cause == "collapsed"
    unjudged = GuardSettings(collapsed_epochs=None)
    assert judge_epochs(epochs, unjudged, scaled=False, over=True) is None


def answers(*told: tuple[float, int], trivial: float | None) -> list[EpochMetrics]:
    """Epochs of (Dice, number of predicted classes), all with the same trivial Dice."""
    return [
        EpochMetrics(epoch=n, val_dice=dice, predicted_classes=classes, trivial_dice=trivial)
        for n, (dice, classes) in enumerate(told)
    ]


@pytest.mark.parametrize(
    ("told", "trivial"),
    [
        # Foreground everywhere, then background everywhere, then it learns: seen to reach 0.86.
        (((0.2, 1), (0.0, 1), (0.0, 1)), 0.2),
        (((0.2, 1), (0.0, 1), (0.0, 1)), None),  # of an older folder: one class is no answer
        (((0.201, 2), (0.0, 1), (0.0, 1)), 0.2),  # nearly everywhere
        (((0.9, 2), (0.0, 1), (0.0, 1)), 0.9),  # images that are nearly all foreground
        (((0.002, 2), (0.0, 1), (0.0, 1)), 0.002),  # and nearly none
    ],
)
def test_foreground_everywhere_is_nothing_learnt_and_so_no_collapse_follows(
    told: tuple[tuple[float, int], ...], trivial: float | None
) -> None:
    epochs = answers(*told, trivial=trivial)
    assert judge_epochs(epochs, GuardSettings(), scaled=False) is None
    assert judge_epochs(epochs, GuardSettings(learnt_by=2), scaled=False) is not None


def test_learnt_is_counted_from_the_trivial_dice_upwards() -> None:
    # The default asks for a tenth of the way from there to 1: 0.28, 0.91 and 0.1018.
    for trivial, enough in ((0.2, 0.28), (0.9, 0.91), (0.002, 0.1018)):
        for dice, collapsed in ((enough + 1e-9, True), (enough - 1e-9, False)):
            epochs = answers((dice, 2), (0.0, 1), (0.0, 1), trivial=trivial)
            found = judge_epochs(epochs, GuardSettings(), scaled=False)
            assert (found is not None) == collapsed, (trivial, dice)


def test_one_class_everywhere_at_the_end_is_dead_however_much_it_scores() -> None:
    epochs = answers((0.905, 2), (0.9, 1), (0.9, 1), trivial=0.9)
    verdict = judge_epochs(epochs, GuardSettings(), scaled=False, over=True)
    assert verdict is not None
    assert verdict.message == (
        "The training ended with a network that, since epoch 1, predicts one class everywhere or"
        " next to nothing right; its best validation Dice was 0.9050 (a prediction that ignores"
        " the images has 0.9000)."
    )


def test_one_class_that_is_everywhere_in_the_reference_is_no_dead_answer() -> None:
    epochs = answers((1.0, 1), (1.0, 1), trivial=1.0)
    assert judge_epochs(epochs, GuardSettings(), scaled=False, over=True) is None


def test_where_nobody_tells_classes_the_first_validation_counts_as_trivial() -> None:
    def told(*dice: float) -> list[EpochMetrics]:
        return [EpochMetrics(epoch=n, val_dice=value) for n, value in enumerate(dice)]

    settings = GuardSettings()
    assert judge_epochs(told(0.2, 0.0, 0.0), settings, scaled=False) is None
    assert judge_epochs(told(0.2, 0.0, 0.0), settings, scaled=False, over=True) is not None
    assert judge_epochs(told(0.2, 0.5, 0.0, 0.0), settings, scaled=False) is not None


def test_constant_answer_that_scores_is_a_collapse_all_the_same() -> None:
    # All foreground scores the foreground's share: a small constant Dice.
    epochs = history(0.8, 0.24, 0.24)
    flat = [EpochMetrics(**(e.to_json() | {"predicted_classes": 1})) for e in epochs[1:]]
    verdict = judge_epochs([epochs[0], *flat], GuardSettings(), scaled=False)
    assert verdict is not None
    assert verdict.cause == "collapsed"


def test_collapse_can_be_left_unjudged_or_take_longer() -> None:
    epochs = history(0.8, 0.0, 0.0)
    assert judge_epochs(epochs, GuardSettings(collapsed_epochs=None), scaled=False) is None
    assert judge_epochs(epochs, GuardSettings(collapsed_epochs=3), scaled=False) is None


@pytest.mark.parametrize(
    ("dice", "fell"),
    [((0.0, 0.05), False), ((0.0, 0.05, 0.06), True), ((0.0, 0.2, 0.06), False)],
)
def test_network_must_have_learnt_by_the_stated_epoch(dice: tuple[float, ...], fell: bool) -> None:
    verdict = judge_epochs(history(*dice), GuardSettings(learnt_by=2), scaled=False)
    assert (verdict is not None) == fell


def test_epoch_without_a_step_is_a_zombie_since_the_next_meets_the_same_weights() -> None:
    skipped = history(0.8, 0.8, steps=0, skipped_steps=5)
    verdict = judge_epochs(skipped, GuardSettings(), scaled=False)
    assert verdict is not None
    assert verdict.cause == "zombie"


def test_epoch_without_a_step_may_be_the_search_of_a_scaler() -> None:
    skipped = history(0.8, 0.8, steps=0, skipped_steps=5)
    assert judge_epochs(skipped, GuardSettings(), scaled=True) is None


def test_epoch_in_which_one_step_was_skipped_is_healthy() -> None:
    skipped = history(0.8, 0.8, steps=4, skipped_steps=1)
    assert judge_epochs(skipped, GuardSettings(), scaled=False) is None


def test_judging_needs_no_torch() -> None:
    code = "import sys, sweep.trainer.divergence.judging;print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# A verdict that does not exist yet.


class Frozen(Verdict):
    """The gradient is exactly 0."""

    cause = "frozen"
    cures = (lambda case: Advice("Nothing moves.", "optimizer.lr", "Raise optimizer.lr."),)

    def judge_step(self, values: StepValues, broken: Broken | None) -> Divergence | None:
        return None if values.grad_norm else self.on_step(values, "Zero.", Stage.GRADIENT)


def test_new_verdict_is_one_class_which_judges_advises_and_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(VERDICTS, "frozen", Frozen)
    found = first_verdict(judge_of(), [step(0), step(1, grad_norm=0.0)])
    assert found is not None
    number, verdict = found
    assert (number, verdict.summary) == (1, "frozen gradient at epoch 0 step 1")
    case = Case(verdict=verdict, settings=TrialSettings())
    assert advise(case).cure == "Raise optimizer.lr."
    counted = [one.tag for one in samples(SweepState(1)) if one.metric is Metric.DIVERGENCES]
    assert counted[-1] == "frozen"
