"""Batches of nnU-Net are functions of (seed, epoch, step), whatever process makes them."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_loop import train_epoch

from sweep.nnunet.training.geometric_trainer import nnUNetTrainerGeometric
from sweep.nnunet.training.ordered_batches import TRAINING, VALIDATION, Batch, Place, through_pipe
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics

MakeTrainer = Callable[..., nnUNetTrainerGeometric]


@pytest.fixture
def started(trainer: MakeTrainer) -> Iterator[MakeTrainer]:
    """Makes trainers with their processes, which end with the test."""
    made = []

    def make(**groups: Any) -> nnUNetTrainerGeometric:
        made.append(trainer(**groups))
        return made[-1]

    yield make
    for one in made:
        one.close()


def tensors(batch: Batch) -> list[torch.Tensor]:
    return [batch["data"], *batch["target"]]


def same(one: Batch, other: Batch) -> bool:
    pairs = zip(tensors(one), tensors(other), strict=True)
    return list(one["keys"]) == list(other["keys"]) and all(torch.equal(*pair) for pair in pairs)


def test_any_number_of_processes_trains_and_validates_on_the_same_bits(
    started: MakeTrainer,
) -> None:
    found = []
    for workers in (0, 1, 2):
        made = started(trainer={"workers": workers})
        told: list[Any] = []
        for epoch in (0, 1):
            told += [step.to_json() for step in train_epoch(made, epoch)]
            told += [made.validate_epoch(), made.logger.get_value("val_losses", step=-1)]
        found.append((told, {k: v.clone() for k, v in made.model.state_dict().items()}))
        made.close()
    (alone, weights), *others = found
    for told, others_weights in others:
        assert told == alone
        assert all(torch.equal(weights[name], value) for name, value in others_weights.items())


def test_batch_depends_on_its_place_alone(started: MakeTrainer) -> None:
    """Not on the batches before, on the generators of the process, or on its threads."""
    here = started().batches
    there = started(trainer={"workers": 2}).batches
    assert here is not None
    assert there is not None
    places = [
        Place(TRAINING, 0, 0),
        Place(TRAINING, 0, 1),  # the next one
        Place(VALIDATION, 4, 1),  # from here on out of order: the processes start again
        Place(TRAINING, 1, 2),
        Place(TRAINING, 0, 0),
    ]
    expected = [here.take(place) for place in places]
    assert same(expected[0], expected[-1])
    assert not same(expected[0], expected[1])
    assert all(same(there.take(place), one) for place, one in zip(places, expected, strict=True))
    torch.set_num_threads(2)
    try:
        torch.manual_seed(7)
        assert same(here.take(places[0]), expected[0])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_processes_follow_the_order_of_a_training_and_then_need_no_new_start(
    started: MakeTrainer,
) -> None:
    made = started(trainer={"workers": 1, "steps_per_epoch": 2, "validation_steps": 1})
    assert made.batches is not None
    order = [
        Place(part, epoch, step)
        for epoch in (3, 4)
        for part, steps in ((TRAINING, 2), (VALIDATION, 1))
        for step in range(steps)
    ]
    made.batches.take(order[0])
    [child] = multiprocessing.active_children()
    for place in order[1:]:
        made.batches.take(place)
    assert multiprocessing.active_children() == [child]


@pytest.mark.parametrize("workers", [0, 1])
def test_making_a_batch_leaves_the_generators_of_the_training_alone(
    started: MakeTrainer, workers: int
) -> None:
    made = started(trainer={"workers": workers})
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    expected = random.random(), np.random.rand(), torch.rand(1)
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    next(made.dataloader_train)
    assert (random.random(), np.random.rand(), torch.rand(1)) == expected


def test_other_seed_has_other_batches(started: MakeTrainer) -> None:
    first, other = (next(started(seed=seed).dataloader_train) for seed in (0, 1))
    assert not same(first, other)


@pytest.mark.parametrize("workers", [0, 2])
def test_error_of_the_augmentation_is_the_error_of_the_trial(
    trial: Callable[..., TrialSettings], preprocessed: Path, tmp_path: Path, workers: int
) -> None:
    """The second epoch finds its cases damaged."""
    own = tmp_path / "preprocessed"
    shutil.copytree(preprocessed, own)

    def damage(_: EpochMetrics) -> None:
        for file in own.glob("*/nnUNetPlans_2d/*.b2nd"):
            file.unlink()  # a process may have mapped it, and ends where it is cut
            file.write_bytes(b"")

    settings = trial({"preprocessed": str(own), "workers": workers})
    with pytest.raises(RuntimeError, match="blosc2_schunk_open_offset"):
        fit(settings, report=damage)
    assert multiprocessing.active_children() == []


def test_batch_that_does_not_fit_into_shared_memory_arrives_through_the_pipe(
    started: MakeTrainer,
) -> None:
    batch = next(started().dataloader_train)
    sent = bytes(ForkingPickler.dumps(through_pipe(batch)))
    assert len(sent) > sum(one.nbytes for one in tensors(batch))  # else they are names of memory
    arrived = pickle.loads(sent)
    assert same(arrived, batch)
    arrived["data"].zero_()  # a validation step of nnU-Net writes into its batch


# torch looks whether files can still be opened, and leaves ten open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_death_of_a_process_is_told_and_ends_the_others(started: MakeTrainer) -> None:
    made = started(trainer={"workers": 2, "steps_per_epoch": 50})
    next(made.dataloader_train)
    killed = multiprocessing.active_children()[0].pid
    assert killed is not None

    def go_on() -> None:
        os.kill(killed, signal.SIGKILL)
        try:
            for _ in range(50):
                next(made.dataloader_train)
        finally:  # where the signal of its death comes, at any later moment, torch tells it too
            with suppress(ChildProcessError):
                os.waitid(os.P_PID, killed, os.WEXITED | os.WNOWAIT)

    with pytest.raises(RuntimeError, match=r"DataLoader worker .* (killed|exited)"):
        go_on()
    made.close()
    assert multiprocessing.active_children() == []
