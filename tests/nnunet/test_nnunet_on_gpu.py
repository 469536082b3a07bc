"""nnU-Net's own precision on a GPU: float16 with a scaler; the guard reads now and then."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from own_loop import train_epoch

from sweep.nnunet.training.geometric_trainer import nnUNetTrainerGeometric
from sweep.trainer.divergence.guard import Diverged
from sweep.vocabulary.record import Stage

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
    # nnU-Net's own cross-entropy: on a GPU it is not the same in every run.
    pytest.mark.filterwarnings("ignore:nll_loss2d:UserWarning"),
]
MakeTrainer = Callable[..., nnUNetTrainerGeometric]


def test_gpu_trains_in_float16_with_a_scaler(trainer: MakeTrainer) -> None:
    made = trainer(trainer={"device": "cuda", "steps_per_epoch": 20})
    assert made.amp == "fp16"
    steps = train_epoch(made, 0) + train_epoch(made, 1)
    taken = [step for step in steps if not step.skipped]
    assert len(steps) == 40
    assert len(taken) > 20
    assert all(math.isfinite(step.loss) and math.isfinite(step.grad_norm) for step in taken)
    assert made.validate_epoch() != [None]


def test_root_of_zero_is_found_at_its_own_step_though_the_guard_reads_later(
    trainer: MakeTrainer,
) -> None:
    made = trainer(
        trainer={"device": "cuda", "amp": "off", "steps_per_epoch": 8},
        optimizer={"lr": 1.0, "momentum": 0.9},
        loss={"sqrt_epsilon": 0.0},
    )
    assert made.guard.interval > 1
    train_epoch(made, 0)
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    with pytest.raises(Diverged) as stop:
        train_epoch(made, 1)
    verdict = stop.value.divergence
    assert (verdict.cause, verdict.stage, verdict.term) == (
        "nonfinite", Stage.GRADIENT, "compactness",
    )  # fmt: skip
    if (verdict.epoch, verdict.step) == (1, 0):
        assert all(torch.equal(made.model.state_dict()[name], before[name]) for name in before)
