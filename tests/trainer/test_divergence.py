"""How trials diverge, are diagnosed, and are taken to the offending step again. All by numerics."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cut_short import cut_short

from sweep.data.prepared.prepare import prepare
from sweep.data.prepared.samples import CaseArrays, PreparedData, Samples
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.files import parsed
from sweep.trainer.divergence.judging import RECENT
from sweep.trainer.runs.monai_run import MonaiTraining
from sweep.trainer.runs.reproduce import ReproducedStep, replay
from sweep.trainer.runs.tried_cures import cured_words, refuted_words
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Divergence, Outcome, Stage, Status

MakeTrial = Callable[..., TrialSettings]
CURED, REFUTED = cured_words("that step"), refuted_words("that step")
ROOT_OF_ZERO = ("loss.sqrt_epsilon=0", "loss.warmup_epochs=3", "trainer.epochs=8")
"""NaN at the switch-on: 3 epochs of 3 steps before it."""


def train(
    config: TrialSettings, folder: Path | None = None, data: PreparedData | None = None
) -> tuple[list[EpochMetrics], Outcome]:
    history: list[EpochMetrics] = []
    keep = Checkpoints(folder) if folder else None
    return history, fit(config, report=history.append, checkpoint=keep, data=data)


def verdict_of(
    config: TrialSettings, folder: Path | None = None, data: PreparedData | None = None
) -> Divergence:
    _, outcome = train(config, folder, data)
    assert outcome.divergence is not None
    return outcome.divergence


def with_broken_pixel(config: TrialSettings, *, cases: int = 1) -> PreparedData:
    """The trial's data, a NaN in the first training images."""
    data = prepare(config.data)
    broken = []
    for number, sample in enumerate(data.training):
        image = np.array(sample.image)
        if number < cases:
            image[0, 5, 5] = math.nan
        broken.append(CaseArrays(sample.case, image[None], sample.label[None], (1,)))
    return dataclasses.replace(data, training=Samples(broken))


# Skipping.


@pytest.mark.parametrize("network", ["unet", "attention_unet"])  # the second has batch norm
def test_one_nan_batch_an_epoch_whose_step_is_skipped_neither_harms_nor_hides_the_epoch(
    trial: MakeTrial, network: str
) -> None:
    config = trial("guard.on_nonfinite=skip", f"network.name={network}")
    history, outcome = train(config, data=with_broken_pixel(config))
    assert outcome.status is Status.COMPLETED
    for metrics in history:
        assert (metrics.steps, metrics.skipped_steps) == (2, 1)
        assert metrics.train_loss is not None
        assert metrics.weight_norm is not None
        assert math.isfinite(metrics.train_loss + metrics.weight_norm)
    assert history[-1].train_loss < history[0].train_loss  # type: ignore[operator]


def test_the_same_batch_ends_the_trial_where_nothing_is_skipped_and_its_pixels_are_blamed(
    trial: MakeTrial,
) -> None:
    config = trial()
    verdict = verdict_of(config, data=with_broken_pixel(config))
    assert (verdict.cause, verdict.stage, verdict.epoch) == ("nonfinite", Stage.LOSS, 0)
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.setting == "data.source"
    assert None in verdict.diagnosis.soft_areas


def test_skipping_every_step_of_an_epoch_is_a_zombie_and_explained_by_the_first(
    trial: MakeTrial, tmp_path: Path
) -> None:
    config = trial(*ROOT_OF_ZERO, "guard.on_nonfinite=skip")
    history, outcome = train(config, tmp_path)
    verdict = outcome.divergence
    assert verdict is not None
    assert (verdict.cause, verdict.epoch, verdict.step) == ("zombie", 3, 0)
    assert (verdict.stage, verdict.term) == (Stage.GRADIENT, "compactness")
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.setting == "loss.sqrt_epsilon"
    assert replayed(config, tmp_path, verdict).is_exact
    last = history[-1]
    assert (last.epoch, last.steps, last.skipped_steps, last.train_loss) == (3, 0, 3, None)
    assert last.val_dice == history[-2].val_dice  # what a zombie looks like


def test_limit_of_skipped_steps_names_the_first_of_them_and_who_broke_it(
    trial: MakeTrial, tmp_path: Path
) -> None:
    config = trial(*ROOT_OF_ZERO, "guard.on_nonfinite=skip", "guard.skipped_in_a_row=2")
    verdict = verdict_of(config, tmp_path)
    assert (verdict.cause, verdict.epoch, verdict.step) == ("zombie", 3, 0)
    assert (verdict.stage, verdict.term) == (Stage.GRADIENT, "compactness")
    assert replayed(config, tmp_path, verdict).is_exact


# The weights that are kept.


def before_step(config: TrialSettings, epoch: int, step: int) -> dict[str, torch.Tensor]:
    """Weights just before a step, by training up to it alone."""
    training = MonaiTraining(config, prepare(config.data))
    for earlier in range(epoch):
        training.run_epoch(earlier)
    training.train_steps(epoch, step)
    return dict(training.model.state_dict())


EXPLODING = (
    "optimizer.lr=100", "optimizer.schedule=constant", "trainer.steps_per_epoch=12",
    "guard.exploded_steps=5", "trainer.epochs=6",
)  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "cause", "stage"),
    [
        (ROOT_OF_ZERO, "nonfinite", Stage.GRADIENT),
        (("optimizer.lr=1e30",), "nonfinite", Stage.WEIGHTS),
        (EXPLODING, "exploded", Stage.LOSS),
        ((*EXPLODING, "trainer.steps_per_epoch=3"), "exploded", Stage.LOSS),  # over epochs
    ],
)
def test_kept_weights_are_those_before_the_named_step_and_the_step_is_replayed_bit_for_bit(
    trial: MakeTrial,
    tmp_path: Path,
    overrides: tuple[str, ...],
    cause: str,
    stage: Stage,
) -> None:
    config = trial(*overrides)
    verdict = verdict_of(config, tmp_path)
    assert (verdict.cause, verdict.stage) == (cause, stage)
    assert verdict.weights_finite
    healthy = torch.load(tmp_path / "healthy.pt", weights_only=True)["model"]
    expected = before_step(config, verdict.epoch, verdict.step)
    assert all(torch.equal(healthy[name], expected[name]) for name in expected)
    assert replayed(config, tmp_path, verdict).is_exact


def test_explosion_that_began_before_a_resume_is_found_all_the_same(
    trial: MakeTrial, tmp_path: Path
) -> None:
    config = trial(*EXPLODING, "trainer.steps_per_epoch=3")
    uninterrupted = verdict_of(config)
    cut_short(config, uninterrupted.epoch + 1, checkpoint=Checkpoints(tmp_path))
    resumed = verdict_of(config, tmp_path)
    assert dataclasses.replace(resumed, diagnosis=None) == dataclasses.replace(
        uninterrupted, diagnosis=None
    )
    assert resumed.diagnosis is not None
    assert not resumed.diagnosis.replayable  # the state before that step is gone
    assert not (tmp_path / "offending.pt").exists()


# Diagnosis.


def test_diagnosis_of_a_root_of_zero_tells_everything_that_is_known(trial: MakeTrial) -> None:
    config = trial(*ROOT_OF_ZERO)
    verdict = verdict_of(config)
    diagnosis = verdict.diagnosis
    assert diagnosis is not None
    assert (diagnosis.epochs_after_switch_on, diagnosis.steps_after_switch_on) == (0, 0)
    assert [values.place for values in diagnosis.recent] == [
        *((epoch, step) for epoch in range(3) for step in range(3)),
        (3, 0),
    ]
    offending = diagnosis.recent[-1]
    assert math.isnan(offending.grad_norm)
    assert math.isfinite(offending.loss)
    batch = MonaiTraining(config, prepare(config.data)).batch(3, 0)
    assert diagnosis.cases == batch.cases
    assert all(area is not None and area > 50 for area in diagnosis.soft_areas)
    epsilon = diagnosis.epsilon
    assert epsilon is not None
    assert (epsilon.value, epsilon.gradient_bound, epsilon.bias) == (0, None, 0)
    assert epsilon.perimeter is not None
    assert 2 * math.pi * 3 < epsilon.perimeter < 4 * 32
    assert diagnosis.setting == "loss.sqrt_epsilon"
    # The first convolution of MONAI's UNet, whose residual branch is registered after it.
    assert verdict.parameter == "model.0.residual.weight"


BROKEN = """\
def root(masks):
    return (masks.flatten(1).var(1) * 0).sqrt()

def far_too_large(logits, target):
    return 1e8 * logits.pow(2).sum()

def area(masks):
    return 1 + masks.flatten(1).sum(1)
"""
"""A term whose gradient is always NaN, a loss whose gradient only float32 holds, and a term that
float16 holds once the scale has come down."""


def test_cure_that_is_not_enough_for_the_step_is_told_so(trial: MakeTrial, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    terms = f"loss.terms=[{tmp_path}/broken.py:root]"
    settings = trial(*ROOT_OF_ZERO, terms, "loss.weights.root=0.1")
    alone, both = (verdict_of(one).diagnosis for one in (trial(*ROOT_OF_ZERO), settings))
    assert alone is not None
    assert both is not None
    assert alone.advice.endswith(CURED)
    assert both.advice == alone.advice.replace(CURED, REFUTED)
    assert (alone.change, both.change) == ({"loss.sqrt_epsilon": 1e-6}, {})


def test_likely_advice_gives_way_to_the_one_that_cures_the_step(
    trial: MakeTrial, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    main = f"loss.main={tmp_path}/broken.py:far_too_large"
    settings = trial("trainer.amp=fp16", "trainer.epochs=8", main, "loss.weights.compactness=0")
    known = verdict_of(settings, tmp_path).diagnosis
    assert known is not None
    assert (known.setting, known.advice.endswith(CURED)) == ("trainer.amp", True)


def test_weight_is_not_said_to_cure_a_step_that_only_the_scale_of_float16_broke(
    trial: MakeTrial, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    terms = [f"loss.terms=[{tmp_path}/broken.py:area]", "loss.weights.area=10"]
    few = ["trainer.amp=fp16", "trainer.epochs=2", "loss.warmup_epochs=0", "loss.rampup_epochs=0"]
    known = verdict_of(trial(*few, *terms, "loss.weights.compactness=0")).diagnosis
    assert known is not None
    assert known.change == {"trainer.amp": "bf16"}


def test_at_most_ten_steps_before_the_divergence_are_told(trial: MakeTrial) -> None:
    config = trial("loss.sqrt_epsilon=0", "loss.warmup_epochs=1", "trainer.steps_per_epoch=15")
    diagnosis = verdict_of(config).diagnosis
    assert diagnosis is not None
    assert len(diagnosis.recent) == RECENT + 1


def test_network_that_never_learns_is_told_with_its_advice(trial: MakeTrial) -> None:
    config = trial("optimizer.lr=1e-12", "guard.learnt_by=1", "guard.learnt_dice=0.9")
    history, outcome = train(config)
    verdict = outcome.divergence
    assert verdict is not None
    assert len(history) == 2  # the epoch that was judged was measured and is reported
    assert (verdict.cause, verdict.epoch) == ("collapsed", 1)
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.setting == "optimizer.lr"


def test_verdict_on_an_epoch_is_the_same_after_a_resume(trial: MakeTrial, tmp_path: Path) -> None:
    config = trial("optimizer.lr=1e-12", "guard.learnt_by=1", "guard.learnt_dice=0.9")
    assert train(config, tmp_path)[1] == train(config, tmp_path)[1]


# Replay.


def replayed(config: TrialSettings, folder: Path, verdict: Divergence) -> ReproducedStep:
    offending = Checkpoints(folder).load_offending()
    assert offending is not None
    return replay(config, parsed(Divergence, verdict.to_json()), offending)


def test_replay_needs_neither_the_data_nor_what_else_the_process_draws(
    trial: MakeTrial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = trial(*ROOT_OF_ZERO, "network.dropout=0.3")
    verdict = verdict_of(config, tmp_path)
    monkeypatch.delattr("sweep.data.prepared.prepare.prepare")
    torch.rand(7)
    done = replayed(config, tmp_path, verdict)
    assert done.is_exact
    assert math.isnan(done.again.grad_norm)
    assert done.blamed == (verdict.term, verdict.parameter)


def test_components_diverge_are_blamed_and_replayed_as_whole_masks_are(
    trial: MakeTrial, tmp_path: Path
) -> None:
    config = trial(*ROOT_OF_ZERO, "loss.components=separate", "loss.border=ignore")
    verdict = verdict_of(config, tmp_path)
    assert (verdict.epoch, verdict.stage) == (3, Stage.GRADIENT)
    assert verdict.term in ("compactness", "aspect")
    assert replayed(config, tmp_path, verdict).is_exact


def test_step_that_an_earlier_version_kept_is_replayed_with_its_single_geometric_class(
    trial: MakeTrial, tmp_path: Path
) -> None:
    config = trial(*ROOT_OF_ZERO)
    verdict = verdict_of(config, tmp_path)
    kept = Checkpoints(tmp_path).load_offending()
    assert kept is not None
    assert kept.pop("geometric_classes") == [1]
    assert replay(config, verdict, {**kept, "geometric_class": 1}).is_exact


def test_replay_of_a_cured_configuration_says_that_the_step_no_longer_breaks(
    trial: MakeTrial, tmp_path: Path
) -> None:
    verdict = verdict_of(trial(*ROOT_OF_ZERO), tmp_path)
    cured = trial(*ROOT_OF_ZERO, "loss.sqrt_epsilon=1e-6")
    done = replayed(cured, tmp_path, verdict)
    assert not done.is_exact
    assert not done.is_alike
    assert math.isfinite(done.again.grad_norm)
    assert done.again.terms["dice"] == done.recorded.terms["dice"]


def test_values_that_are_not_finite_are_reproduced_too(trial: MakeTrial, tmp_path: Path) -> None:
    config = trial()
    verdict = verdict_of(config, tmp_path, with_broken_pixel(config))
    done = replayed(config, tmp_path, verdict)
    assert done.is_exact
    assert all(math.isnan(value) for value in done.again.terms.values())


# Precision.


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_training_in_mixed_precision_learns_as_well_and_is_deterministic(
    trial: MakeTrial, amp: str
) -> None:
    config = trial(f"trainer.amp={amp}", "trainer.epochs=8")
    history, outcome = train(config)
    assert outcome.status is Status.COMPLETED
    full, _ = train(trial("trainer.epochs=8"))
    assert history[-1].train_loss < 0.5 * history[0].train_loss  # type: ignore[operator]
    assert history[-1].val_dice == pytest.approx(full[-1].val_dice, abs=0.05)
    assert [e.train_loss for e in history] != [e.train_loss for e in full]
    again, _ = train(config)
    assert [dataclasses.replace(e, seconds=0) for e in history] == [
        dataclasses.replace(e, seconds=0) for e in again
    ]


def test_scale_of_float16_is_reported_and_survives_a_resume(
    trial: MakeTrial, tmp_path: Path
) -> None:
    config = trial("trainer.amp=fp16")
    whole, _ = train(config)
    assert all(e.scale is not None and 1 <= e.scale <= 2**16 for e in whole)
    cut_short(config, 2, checkpoint=Checkpoints(tmp_path))
    parts, _ = train(config, tmp_path)
    assert [e.train_loss for e in parts] == [e.train_loss for e in whole]
    assert [e.scale for e in parts] == [e.scale for e in whole]


def test_root_of_zero_in_float16_is_no_calibration_but_a_zombie(
    trial: MakeTrial, tmp_path: Path
) -> None:
    config = trial(*ROOT_OF_ZERO, "trainer.amp=fp16", "trainer.epochs=20")
    verdict = verdict_of(config, tmp_path)
    assert (verdict.cause, verdict.epoch, verdict.step) == ("zombie", 3, 0)
    assert (verdict.stage, verdict.term) == (Stage.GRADIENT, "compactness")
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.setting == "loss.sqrt_epsilon"
    assert replayed(config, tmp_path, verdict).is_exact


def test_training_in_float16_that_ends_while_every_step_is_skipped_has_no_result(
    trial: MakeTrial,
) -> None:
    config = trial(*ROOT_OF_ZERO, "trainer.amp=fp16")  # 15 steps, fewer than make a limit
    verdict = verdict_of(config)
    assert (verdict.cause, verdict.epoch, verdict.step) == ("zombie", 7, 0)
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.setting == "loss.sqrt_epsilon"


def test_geometric_part_is_float32_whatever_the_network_computes_in(
    trial: MakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    config = trial("trainer.amp=bf16", "loss.warmup_epochs=0")
    training = MonaiTraining(config, prepare(config.data))
    training.model.register_forward_hook(lambda _m, _i, output: seen.append(output.dtype))
    passed = training.forward(training.batch(0, 0), 0, 0)
    assert seen == [torch.bfloat16]
    assert {value.dtype for value in passed.terms.values()} == {torch.float32}
