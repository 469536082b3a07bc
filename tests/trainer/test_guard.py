import math

import pytest
import torch
from torch import nn

from sweep.record import Stage
from sweep.trainer.guard import Diverged, Guard


def make(name: str = "sgd", clip: float | None = 12.0) -> tuple[nn.Module, Guard]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    optimizer: torch.optim.Optimizer
    if name == "sgd":
        optimizer = torch.optim.SGD(
            model.parameters(), lr=0.1, momentum=0.9, nesterov=True, fused=True
        )
    else:
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    guard = Guard(model, optimizer, clip)
    guard.start_epoch(3)
    return model, guard


def train(model: nn.Module, guard: Guard, scale: float = 1.0) -> None:
    inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    loss = model(inputs).square().mean() * scale
    guard.step(loss, {"dice": loss})


def snapshot(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_healthy_steps_change_the_weights_and_are_reported_with_their_values(
    optimizer: str,
) -> None:
    model, guard = make(optimizer)
    before = snapshot(model)
    train(model, guard)
    assert not same(before, snapshot(model))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_nan_loss_ends_training_before_any_weight_changes(optimizer: str) -> None:
    model, guard = make(optimizer)
    train(model, guard)
    before = snapshot(model)
    with pytest.raises(Diverged) as stop:
        train(model, guard, scale=math.nan)
    weights = [name for name, _ in model.named_parameters()]
    after = snapshot(model)
    assert all(torch.equal(before[name], after[name]) for name in weights)
    verdict = stop.value.divergence
    assert (verdict.epoch, verdict.step, verdict.stage) == (3, 1, Stage.LOSS)
    assert verdict.term == "dice"
    assert verdict.terms == {"dice": "nan"}


def test_batch_norm_statistics_that_saw_a_nan_are_put_back_too() -> None:
    model, guard = make()
    train(model, guard)
    before = snapshot(model)
    loss = model(torch.full((8, 3), math.nan)).mean()
    with pytest.raises(Diverged):
        guard.step(loss, {"ce": loss})
    assert same(
        before, {**snapshot(model), "1.num_batches_tracked": before["1.num_batches_tracked"]}
    )


def test_a_finite_loss_with_a_nan_gradient_is_a_divergence_of_the_gradient() -> None:
    model, guard = make()
    before = snapshot(model)
    flat = model(torch.zeros(8, 3)).sum() * 0
    loss = torch.sqrt(flat)  # value 0, gradient inf · 0
    with pytest.raises(Diverged) as stop:
        guard.step(loss, {"compactness": loss})
    assert stop.value.divergence.stage is Stage.GRADIENT
    weights = [name for name, _ in model.named_parameters()]
    after = snapshot(model)
    assert all(torch.equal(before[name], after[name]) for name in weights)


def test_weights_that_a_finite_step_overflows_are_put_back() -> None:
    model, guard = make(clip=None)
    for group in guard._optimizer.param_groups:
        group["lr"] = 1e38
    before = snapshot(model)
    with pytest.raises(Diverged) as stop:
        train(model, guard, scale=1e6)
    assert stop.value.divergence.stage is Stage.WEIGHTS
    after = snapshot(model)
    assert all(torch.equal(before[name], after[name]) for name, _ in model.named_parameters())


def test_steps_that_were_not_read_yet_cannot_harm_the_weights_and_the_first_one_is_named() -> None:
    # As on a GPU: the flag stays on the device and is read every few steps.
    model, guard = make()
    guard.interval = 5
    train(model, guard)
    healthy = snapshot(model)
    for _ in range(3):
        train(model, guard, scale=math.nan)
    with pytest.raises(Diverged) as stop:
        train(model, guard)  # healthy again, but the flag is sticky
    after = snapshot(model)
    assert all(torch.equal(healthy[name], after[name]) for name, _ in model.named_parameters())
    assert stop.value.divergence.step == 1


def test_what_is_unread_at_the_end_of_an_epoch_is_judged_by_read() -> None:
    model, guard = make()
    guard.interval = 100
    train(model, guard, scale=math.inf)
    with pytest.raises(Diverged):
        guard.read()


def test_the_guarded_step_equals_a_plain_clipped_step_bit_for_bit() -> None:
    model, guard = make(clip=0.5)
    train(model, guard, scale=100)
    reference, plain = make(clip=0.5)
    inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    loss = reference(inputs).square().mean() * 100
    plain._optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(reference.parameters(), 0.5)
    plain._optimizer.step()
    assert same(snapshot(model), snapshot(reference))
