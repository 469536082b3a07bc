"""One run, an epoch at a time, over whole images of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch

from sweep.data.prepared.prepare import PreparedData, prepare
from sweep.data.prepared.samples import CaseArrays, Samples
from sweep.spec.settings.network_settings import NetworkName
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.networks.network_outputs import as_outputs
from sweep.trainer.runs.monai_run import MonaiTraining

MakeTrial = Callable[..., TrialSettings]


def odd_data(height: int = 45, width: int = 61) -> PreparedData:
    """A bright rectangle in images of sides that cannot be halved."""

    def samples(count: int) -> Samples:
        label = np.zeros((1, height, width), np.uint8)
        label[:, 10:30, 15:45] = 1
        rng = np.random.default_rng(0)
        noise = rng.normal(size=(count, 1, 1, height, width)).astype(np.float32)
        return Samples(
            [CaseArrays(f"case_{n}", label[None] + noise[n], label, (1,)) for n in range(count)]
        )

    return PreparedData(("grey",), (1,), samples(4), samples(2), classes=("background", "box"))


def training_of(config: TrialSettings) -> MonaiTraining:
    return MonaiTraining(config, prepare(config.data))


@pytest.mark.parametrize("name", get_args(NetworkName))
def test_every_network_trains_an_epoch_and_predicts_images_of_odd_sizes(
    trial: MakeTrial, name: str
) -> None:
    levels = 5 if name == "basic_unet_plus_plus" else 3
    channels = [8 * 2**level for level in range(levels)]
    config = trial(f"network.name={name}", f"network.channels={channels}", "loss.warmup_epochs=0")
    training = MonaiTraining(config, odd_data())
    before = [weight.detach().clone() for weight in training.model.parameters()]
    metrics = training.run_epoch(0)
    changed = [
        not torch.equal(old, new)
        for old, new in zip(before, training.model.parameters(), strict=True)
    ]
    assert sum(changed) > len(changed) / 2
    assert metrics.steps == 1
    assert metrics.val_dice is not None
    assert 0 <= metrics.val_dice <= 1
    assert metrics.grad_norm is not None
    assert metrics.grad_norm > 0
    training.model.eval()
    assert training.inference.logits(torch.zeros(1, 1, 45, 61)).shape == (1, 2, 45, 61)


@pytest.mark.parametrize("size", [(16, 16), (20, 40), (45, 61), (70, 33)])
def test_images_larger_than_the_patch_are_predicted_window_by_window(
    trial: MakeTrial, size: tuple[int, int]
) -> None:
    training = training_of(trial("data.patch_size=18"))
    training.model.eval()
    logits = training.inference.logits(torch.randn(1, 1, *size))
    assert logits.shape == (1, 2, *size)
    assert torch.isfinite(logits).all()


def test_image_that_needs_no_padding_is_predicted_by_the_network_itself(trial: MakeTrial) -> None:
    training = training_of(trial())
    training.model.eval()
    image = torch.randn(1, 1, 32, 32)
    assert torch.equal(training.inference.logits(image), as_outputs(training.model(image))[0])


def test_validation_dice_is_that_of_the_predicted_masks(trial: MakeTrial) -> None:
    training = MonaiTraining(trial(), odd_data())
    training.run_epoch(0)
    training.dice_per_case()
    dice = {one.case: one.value("dice") for one in training.class_scores()}
    training.model.eval()
    for sample in training.data.validation:
        with torch.no_grad():
            logits = training.inference.logits(torch.from_numpy(np.array(sample.image))[None])
        mask = logits.argmax(dim=1)[0].numpy().astype(bool)
        reference = sample.label.astype(bool)
        expected = 2 * (mask & reference).sum() / (mask.sum() + reference.sum())
        assert dice[sample.case] == pytest.approx(expected, abs=1e-12)


def test_validation_changes_nothing_of_the_run(trial: MakeTrial) -> None:
    config = trial("network.dropout=0.3")
    once, again = training_of(config), training_of(config)
    undisturbed = [once.run_epoch(epoch).train_loss for epoch in range(2)]
    disturbed = []
    for epoch in range(2):
        again.dice_per_case()
        disturbed.append(again.run_epoch(epoch).train_loss)
        again.dice_per_case()
    assert disturbed == undisturbed


def test_geometric_terms_are_reported_from_the_end_of_the_warmup_on(trial: MakeTrial) -> None:
    training = training_of(trial())  # warm-up 2, ramp 1
    history = [training.run_epoch(epoch) for epoch in range(4)]
    main = ["dice", "ce"]
    geometric = ["compactness", "boundary", "aspect"]
    assert [list(metrics.terms) for metrics in history] == [main] * 2 + [main + geometric] * 2
    assert [metrics.geometric_factor for metrics in history] == [0, 0, 0.5, 1]


def test_terms_of_weight_zero_are_left_out(trial: MakeTrial) -> None:
    training = training_of(trial("loss.weights.boundary=0", "loss.warmup_epochs=0"))
    assert list(training.run_epoch(0).terms) == ["dice", "ce", "compactness", "aspect"]


def test_loss_of_the_warmup_is_the_sum_of_its_terms(trial: MakeTrial) -> None:
    metrics = training_of(trial()).run_epoch(0)
    assert metrics.train_loss is not None
    assert metrics.train_loss == pytest.approx(sum(filter(None, metrics.terms.values())), rel=1e-6)


def test_learning_rate_of_an_epoch_follows_the_schedule(trial: MakeTrial) -> None:
    training = training_of(trial("optimizer.lr=0.08", "optimizer.poly_exponent=1"))
    rates = [training.run_epoch(epoch).learning_rate for epoch in range(4)]
    assert rates == pytest.approx([0.08, 0.06, 0.04, 0.02])


def test_steps_of_an_epoch_can_be_chosen(trial: MakeTrial) -> None:
    training = training_of(trial("trainer.steps_per_epoch=7"))
    assert training.run_epoch(0).steps == 7


def test_threads_are_a_setting(trial: MakeTrial) -> None:
    training_of(trial("trainer.threads=2"))
    assert torch.get_num_threads() == 2
    training_of(trial())
    assert torch.get_num_threads() == 1
