import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from sweep.spec.settings.trial_settings import GuardSettings, OptimizerSettings
from sweep.trainer.divergence.guard import Diverged, Guard
from sweep.trainer.networks.optimizers import build_optimizer
from sweep.vocabulary.record import Stage


def make(
    name: str = "sgd", clip: float | None = 12.0, *, fp16: bool = False, **settings: Any
) -> tuple[nn.Module, Guard]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    chosen = OptimizerSettings.model_validate({"name": name, "lr": 0.1, "momentum": 0.9})
    optimizer = build_optimizer(chosen, model.parameters())
    guard = Guard(model, optimizer, clip, GuardSettings(**settings), fp16=fp16)
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
    assert same(before, snapshot(model))


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


@pytest.mark.parametrize("policy", ["terminate", "skip"])
def test_finite_step_that_overflows_the_weights_ends_training_under_both_policies(
    policy: str,
) -> None:
    model, guard = make(clip=None, on_nonfinite=policy)
    for group in guard._optimizer.param_groups:
        group["lr"] = 1e38
    with pytest.raises(Diverged) as stop:
        train(model, guard, scale=1e6)
    assert stop.value.divergence.stage is Stage.WEIGHTS


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


def test_steps_read_at_once_keep_the_names_of_their_own_terms() -> None:
    # As in a function on a GPU that adds a term, or gives another one, from some step on.
    model, guard = make()
    guard.interval = 100
    wanted = ["dice"], ["dice", "shape"], ["ce"], ["loss"]
    for names in wanted:
        loss = model(torch.ones(8, 3)).square().mean()
        guard.take(loss, {name: loss for name in names if name != "loss"})
    assert [list(one.terms) for one in guard.read()] == [*wanted]


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


# Skipping.


def nan_inputs(model: nn.Module, guard: Guard) -> None:
    loss = model(torch.full((8, 3), math.nan)).square().mean()
    guard.step(loss, {"dice": loss})


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("interval", [1, 100])
def test_skipped_step_leaves_no_trace_and_the_next_healthy_one_is_taken(
    optimizer: str, interval: int
) -> None:
    model, guard = make(optimizer, on_nonfinite="skip")
    guard.interval = interval
    train(model, guard)
    nan_inputs(model, guard)  # batch-norm statistics have seen it
    train(model, guard)
    reference, plain = make(optimizer)
    train(reference, plain)
    train(reference, plain)
    assert same(snapshot(model), snapshot(reference))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_even_the_very_first_step_can_be_skipped(optimizer: str) -> None:
    # torch's fused SGD would start the second step from momentum that nobody has written.
    model, guard = make(optimizer, on_nonfinite="skip")
    nan_inputs(model, guard)
    train(model, guard)
    reference, plain = make(optimizer)
    train(reference, plain)
    assert same(snapshot(model), snapshot(reference))


def test_skipped_steps_are_reported_as_such() -> None:
    model, guard = make(on_nonfinite="skip")
    guard.interval = 100
    train(model, guard)
    train(model, guard, scale=math.nan)
    train(model, guard)
    assert [values.skipped for values in guard.read()] == [False, True, False]


def test_too_many_skipped_steps_in_a_row_are_a_zombie_that_began_at_the_first_of_them() -> None:
    model, guard = make(on_nonfinite="skip", skipped_in_a_row=3)
    train(model, guard)
    for _ in range(2):
        train(model, guard, scale=math.inf)
    with pytest.raises(Diverged) as stop:
        train(model, guard, scale=math.inf)
    verdict = stop.value.divergence
    assert (verdict.cause, verdict.epoch, verdict.step) == ("zombie", 3, 1)
    assert (verdict.stage, verdict.term) == (Stage.LOSS, "dice")


@pytest.mark.parametrize("limits", [{"skipped_in_a_row": 2}, {"skipped_per_epoch": 1}])
def test_no_step_is_taken_past_a_limit_of_skipped_steps_though_nobody_has_read_it_yet(
    limits: dict[str, int],
) -> None:
    model, guard = make(on_nonfinite="skip", **limits)
    guard.interval = 100
    train(model, guard, scale=math.nan)
    train(model, guard, scale=math.nan)
    before = snapshot(model)
    train(model, guard)
    assert same(before, snapshot(model))
    with pytest.raises(Diverged) as stop:
        guard.read()
    assert stop.value.divergence.cause == "zombie"


# Float16.


def overflow(model: nn.Module, guard: Guard) -> None:
    """A finite loss whose gradient overflows float32 once it is scaled by more than 1."""
    loss = model(torch.ones(8, 3)).sum() * 1e-3
    guard.step(loss + 3e38 * (loss - loss.detach()), {"dice": loss})


def scale(guard: Guard) -> float:
    return float(guard.scaler.get_scale())


@pytest.mark.parametrize("policy", ["terminate", "skip"])
def test_gradient_that_overflows_at_its_scale_is_a_skipped_step_and_lowers_the_scale(
    policy: str,
) -> None:
    model, guard = make(fp16=True, on_nonfinite=policy)
    before = snapshot(model)
    overflow(model, guard)
    weights = [name for name, _ in model.named_parameters()]
    after = snapshot(model)
    assert all(torch.equal(before[name], after[name]) for name in weights)
    assert scale(guard) == 2**15
    train(model, guard)
    assert not same(after, snapshot(model))


def test_loss_that_is_not_finite_is_no_calibration() -> None:
    model, guard = make(fp16=True)
    with pytest.raises(Diverged) as stop:
        train(model, guard, scale=math.inf)
    assert stop.value.divergence.cause == "nonfinite"


def test_scaler_that_never_finds_its_scale_is_a_zombie() -> None:
    model, guard = make(fp16=True, skipped_in_a_row=20)

    def root_of_zero() -> None:
        loss = torch.sqrt(model(torch.zeros(8, 3)).sum() * 0)  # inf · 0 at every scale
        guard.step(loss, {"compactness": loss})

    for _ in range(19):
        root_of_zero()
    with pytest.raises(Diverged) as stop:
        root_of_zero()
    verdict = stop.value.divergence
    assert (verdict.cause, verdict.stage, verdict.step) == ("zombie", Stage.GRADIENT, 0)


def test_step_in_float16_equals_the_plain_one_since_scales_are_powers_of_two() -> None:
    model, guard = make(fp16=True)
    train(model, guard)
    reference, plain = make()
    train(reference, plain)
    assert same(snapshot(model), snapshot(reference))


# No question to the device.


class Questions(TorchDispatchMode):
    """Counts what would make the host wait for a device: every way to read a value back."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func in (
            torch.ops.aten._local_scalar_dense.default,
            torch.ops.aten.equal.default,
            torch.ops.aten.nonzero.default,
        )
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("policy", ["terminate", "skip"])
@pytest.mark.parametrize("fp16", [False, True])
def test_step_asks_the_device_for_nothing(policy: str, fp16: bool) -> None:
    model, guard = make(fp16=fp16, on_nonfinite=policy)
    guard.interval = 100
    with Questions() as questions:
        train(model, guard)
        train(model, guard, scale=math.nan)
        train(model, guard)
    assert questions.count == 0
    with Questions() as questions:
        float(torch.ones(()))
    assert questions.count == 1  # so it does count


def test_buffer_that_was_never_finite_is_not_judged_and_any_other_is() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    model.register_buffer("mask", torch.full((2, 2), -math.inf).triu(1))
    model.register_buffer("hidden", torch.tensor([0.0, math.nan]), persistent=False)
    optimizer = build_optimizer(OptimizerSettings(lr=0.1), model.parameters())
    guard = Guard(model, optimizer, None)
    for epoch in range(2):
        guard.watch(model, optimizer)
        guard.start_epoch(epoch)
        train(model, guard)
    assert guard.weights_are_finite
    statistics = model[1].running_mean
    assert isinstance(statistics, torch.Tensor)
    statistics.fill_(math.nan)  # as a validation in training mode does
    guard.watch(model, optimizer)
    guard.start_epoch(2)
    assert not guard.weights_are_finite
    with pytest.raises(Diverged) as stop:
        train(model, guard)
    assert stop.value.divergence.stage is Stage.WEIGHTS
