"""``nnUNetTrainerGeometric`` an epoch at a time: nnU-Net's own steps, then the geometric loss."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from own_loop import train_epoch

from sweep.nnunet.dataset.nnunet_folders import Folders
from sweep.nnunet.training.augmentation_strength import (
    PROBABILITIES,
    parts_of,
    strength_of,
    strengthen,
)
from sweep.nnunet.training.geometric_trainer import nnUNetTrainerGeometric
from sweep.nnunet.training.nnunet_effective import effective_configuration
from sweep.nnunet.training.ordered_batches import TRAINING
from sweep.trainer.divergence.guard import Diverged
from sweep.trainer.readback.verify import verify
from sweep.vocabulary.errors import InputError, NotApplied
from sweep.vocabulary.record import Stage

MakeTrainer = Callable[..., nnUNetTrainerGeometric]
ROOT_OF_ZERO: dict[str, Any] = {
    # A rate at which the network is sure of its answer, and flat, after one epoch.
    "optimizer": {"lr": 1.0, "momentum": 0.9},
    "loss": {"sqrt_epsilon": 0.0},
    "trainer": {"steps_per_epoch": 8},
}


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def weights(trainer: nnUNetTrainerGeometric) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_before_the_switch_on_its_steps_are_nnunets_own(
    trainer: MakeTrainer, preprocessed: Path, tmp_path: Path
) -> None:
    ours = trainer()
    with Folders(preprocessed=preprocessed, results=tmp_path / "theirs").in_effect():
        plans = {**ours.plans_manager.plans, "continue_training": False}
        theirs = nnUNetTrainer(plans, "2d", 0, ours.dataset_json, torch.device("cpu"))
    theirs.num_epochs = ours.num_epochs
    theirs.initialize()
    theirs.network.load_state_dict(ours.model.state_dict())
    for one in (ours, theirs):
        one.on_train_epoch_start()
    for _ in range(3):
        batch = next(ours.dataloader_train)
        taken = ours.train_step(batch)
        assert float(taken["loss"]) == pytest.approx(
            float(theirs.train_step(batch)["loss"]), rel=1e-5
        )
    assert ours.optimizer.param_groups[0]["lr"] == theirs.optimizer.param_groups[0]["lr"]
    for name, value in theirs.network.state_dict().items():
        torch.testing.assert_close(ours.model.state_dict()[name], value, rtol=1e-4, atol=1e-6)


def test_geometric_terms_are_there_from_the_switch_on(trainer: MakeTrainer) -> None:
    made = trainer(loss={"weights": {"compactness": 0.1, "boundary": 0.1, "aspect": 0.1}})
    assert set(train_epoch(made, 0)[0].terms) == {"dice", "ce"}
    [dice] = made.validate_epoch()
    assert dice is not None
    assert 0 <= dice <= 1
    first = train_epoch(made, 1)[0]
    assert set(first.terms) == {"dice", "ce", "compactness", "boundary", "aspect"}
    geometric = sum(0.1 * first.terms[name] for name in ("compactness", "boundary", "aspect"))
    main = first.terms["dice"] - 1 + first.terms["ce"]
    assert first.loss == pytest.approx(main + geometric, abs=1e-5)


def test_root_of_zero_ends_the_run_at_the_switch_on_with_the_weights_from_before_it(
    trainer: MakeTrainer,
) -> None:
    made = trainer(**ROOT_OF_ZERO)
    train_epoch(made, 0)
    before = weights(made)
    with pytest.raises(Diverged) as stop:
        train_epoch(made, 1)
    verdict = stop.value.divergence
    assert (verdict.cause, verdict.epoch, verdict.step) == ("nonfinite", 1, 0)
    assert (verdict.stage, verdict.term) == (Stage.GRADIENT, "compactness")
    assert verdict.parameter is not None
    assert verdict.weights_finite
    assert same(weights(made), before)
    diagnosis = verdict.diagnosis
    assert diagnosis is not None
    assert diagnosis.setting == "loss.sqrt_epsilon"
    assert diagnosis.steps_after_switch_on == 0
    assert len(diagnosis.cases) == len(diagnosis.soft_areas) == made.batch_size
    assert diagnosis.cases[0].startswith("one_circle_")


def test_epoch_with_skipped_steps_has_the_mean_loss_of_the_others(trainer: MakeTrainer) -> None:
    made = trainer(**ROOT_OF_ZERO, guard={"on_nonfinite": "skip", "skipped_in_a_row": 100})
    train_epoch(made, 0)
    kept = weights(made)
    steps = train_epoch(made, 1)
    assert all(step.skipped for step in steps)
    assert same(weights(made), kept)
    assert math.isnan(made.logger.get_value("train_losses", step=-1))  # no step was taken


def test_same_seed_trains_the_same_bits_and_another_one_does_not(trainer: MakeTrainer) -> None:
    first, again, other = (trainer(seed=seed) for seed in (0, 0, 1))
    for made in (first, again, other):
        train_epoch(made, 0)
        made.validate_epoch()
        train_epoch(made, 1)
    assert same(weights(first), weights(again))
    assert not same(weights(first), weights(other))


def test_run_that_goes_on_from_a_state_is_the_run_that_never_stopped(trainer: MakeTrainer) -> None:
    whole = trainer()
    train_epoch(whole, 0)
    state = {name: _cloned(part) for name, part in whole.state_dict().items()}
    expected = [step.to_json() for step in train_epoch(whole, 1)]
    resumed = trainer()
    np.random.seed(99)  # whatever happened before
    resumed.load_state_dict(state)
    assert [step.to_json() for step in train_epoch(resumed, 1)] == expected
    assert same(weights(resumed), weights(whole))


def _cloned(part: Any) -> Any:
    if isinstance(part, torch.Tensor):
        return part.clone()
    if isinstance(part, dict):
        return {key: _cloned(value) for key, value in part.items()}
    return [_cloned(value) for value in part] if isinstance(part, list) else part


def test_half_precision_is_scaled_and_its_losses_are_float32(trainer: MakeTrainer) -> None:
    made = trainer(trainer={"amp": "fp16", "steps_per_epoch": 1})
    for epoch in (0, 1):
        steps = train_epoch(made, epoch)
    assert made.grad_scaler is made.guard.scaler  # so nnU-Net's checkpoints keep its state
    assert all(step.scale is not None and step.scale > 1 for step in steps)
    taken = [step for step in steps if not step.skipped]
    assert taken
    assert all(math.isfinite(step.loss) and math.isfinite(step.grad_norm) for step in taken)


def test_what_is_in_effect_is_what_was_asked_for(trainer: MakeTrainer) -> None:
    made = trainer(
        trainer={
            "batch_size": 3,
            "patch_size": [16, 24],
            "encoder": "residual",
            "base_features": 8,
            "max_features": 24,
            "oversample_foreground": 0.7,
            "augmentation_strength": 1.7,
        },
        optimizer={"lr": 0.02, "momentum": 0.9, "gradient_clip": 5.0},
        guard={"exploded_steps": 7},
    )
    found = effective_configuration(made)
    verify(made.settings, found)
    assert found.cases == {"training": 16, "validation": 4}
    batch = next(made.dataloader_train)
    assert batch["data"].shape == (3, 1, 16, 24)
    assert type(made.model).__name__ == "ResidualEncoderUNet"
    assert made.model.encoder.output_channels == [8, 16, 24, 24]


def test_groups_on_each_side_and_on_both_are_counted(trainer: MakeTrainer) -> None:
    made = trainer(trainer={"groups": "(.)$"})  # the last digit; the splits are there already
    training, validation = ({case[-1] for case in side} for side in made.do_split())
    assert training & validation
    assert effective_configuration(made).cases == {
        "training": 16,
        "validation": 4,
        "training_groups": len(training),
        "validation_groups": len(validation),
        "groups_in_both": len(training & validation),
    }


def _transforms(trainer: nnUNetTrainerGeometric) -> Any:
    assert trainer.batches is not None
    return trainer.batches.loader(TRAINING).transforms


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda t: setattr(t, "num_epochs", 2), "trainer.epochs"),
        (lambda t: t.optimizer.param_groups[0].update(momentum=0.5), "optimizer.momentum"),
        (lambda t: setattr(t.loss, "geometric_classes", (0,)), "trainer.geometric_class"),
        (lambda t: setattr(t, "factor", lambda epoch: float(epoch >= 5)), "loss.warmup_epochs"),
        (lambda t: setattr(t, "num_iterations_per_epoch", 9), "trainer.steps_per_epoch"),
        (
            lambda t: setattr(t, "oversample_foreground_percent", 0.5),
            "trainer.oversample_foreground",
        ),
        (lambda t: strengthen(_transforms(t), 0.5), "trainer.augmentation_strength"),
        (lambda t: setattr(t.model, "encoder", None), "trainer.base_features"),
    ],
)
def test_trainer_that_works_with_something_else_is_told_of(
    trainer: MakeTrainer, change: Callable[[nnUNetTrainerGeometric], None], key: str
) -> None:
    made = trainer()
    change(made)
    with pytest.raises(NotApplied) as error:
        verify(made.settings, effective_configuration(made))
    assert key in error.value.differences


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"loss": {"main": "my.losses:tversky"}}, "loss.main: nnU-Net trains with `dice_ce`,"),
        ({"trainer": {"geometric_class": "square"}}, "trainer.geometric_class: 'square' is not a"),
        (
            {"trainer": {"patch_size": [30, 32]}},
            "trainer.patch_size: must be a multiple of 8",
        ),
        ({"trainer": {"patch_size": [8, 16, 16]}}, "trainer.patch_size: must have 2 sizes"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_trained(
    trainer: MakeTrainer, groups: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as error:
        trainer(start=False, **groups)
    assert str(error.value).startswith(message)


def test_without_augmentation_a_patch_is_cut_from_the_case_as_it_is_or_mirrored(
    trainer: MakeTrainer,
) -> None:
    made = trainer(trainer={"augmentation_strength": 0.0})
    changes = [type(part).__name__ for part in parts_of(_transforms(made))]
    assert "MirrorTransform" in changes
    batch = next(made.dataloader_train)
    for patch, name in zip(batch["data"].numpy(), batch["keys"], strict=True):
        case = made.dataloader_train._batches.loader(TRAINING)._data.load_case(name)[0][:, 0]
        known = np.unique(case)
        inside = patch[np.isin(patch, known)]
        assert (
            inside.size + (patch == 0).sum() >= patch.size
        )  # beyond the image it is padded with 0


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 3.0, 10.0])
def test_strength_is_read_back_and_no_probability_gets_above_one(factor: float) -> None:
    own = nnUNetTrainer.get_training_transforms((32, 32), (-0.5, 0.5), None, (0, 1), False)
    strengthen(own, factor)
    assert strength_of(own) == factor
    names = [name for part in parts_of(own) for name in vars(part) if name in PROBABILITIES]
    values = [
        getattr(part, name)
        for part in parts_of(own)
        for name in PROBABILITIES
        if hasattr(part, name)
    ]
    assert len(names) == 10
    assert all(0 <= value <= 1 for value in values)
