"""Gradients of several batches make one step: as in a plain loop, and a verdict names the batch."""

from __future__ import annotations

import math
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
import torch
from cut_short import cut_short
from foreign import trial
from torch import Tensor, nn

from sweep.spec.settings.trial_settings import GuardSettings
from sweep.trainer.divergence.guard import Diverged, Guard
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.vocabulary.divergence import StepValues
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import TrainerError
from sweep.vocabulary.record import Outcome, Stage, Status

OPTIMIZERS = [
    lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, fused=True),  # takes a flag on the device
    lambda p: torch.optim.RMSprop(p, lr=0.01),
]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))


def losses(model: nn.Module, count: int, seed: int = 1) -> list[Tensor]:
    drawn = torch.Generator().manual_seed(seed)
    return [model(torch.randn(8, 3, generator=drawn)).square().mean() for _ in range(count)]


@pytest.mark.parametrize("fp16", [False, True])
@pytest.mark.parametrize("make", OPTIMIZERS)
def test_accumulated_step_is_bit_for_bit_that_of_a_plain_loop(make: Any, fp16: bool) -> None:
    plain, guarded = network(), network()
    optimizer, scaler = make(plain.parameters()), torch.amp.GradScaler("cpu", enabled=fp16)
    guard = Guard(guarded, make(guarded.parameters()), 0.05, fp16=fp16)
    guard.start_epoch(0)
    for step in range(3):
        optimizer.zero_grad()
        for loss in losses(plain, 4, step):
            scaler.scale(loss / 4).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(plain.parameters(), 0.05)
        scaler.step(optimizer)
        scaler.update()
        for loss in losses(guarded, 4, step):
            guard.backward(loss / 4, {"dice": loss})
        guard.take_accumulated()
    found, wanted = guarded.state_dict(), plain.state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_step_reports_the_sum_of_its_losses_and_the_mean_of_its_terms() -> None:
    model = network()
    guard = Guard(model, OPTIMIZERS[0](model.parameters()), None)
    guard.start_epoch(0)
    parts = losses(model, 4)
    mean = torch.stack([part.detach() for part in parts]).mean().item()
    for part in parts:
        guard.backward(part / 4, {"dice": part})
    guard.take_accumulated()
    [values] = guard.read()
    assert (values.loss, values.terms["dice"]) == pytest.approx((mean, mean))
    assert (values.batches, values.broken_batch, values.step) == (4, None, 0)
    assert StepValues.from_json(values.to_json()) == values


def breaking(model: nn.Module, where: dict[int, str], guard: Guard) -> Diverged:
    """Four batches, some of which break in a term or in the gradient alone."""
    for place, loss in enumerate(losses(model, 4)):
        kind = where.get(place)
        ce = loss * math.nan if kind == "ce" else loss
        dice = loss * math.inf if kind == "dice" else loss
        root = (loss * 0).sqrt() if kind == "gradient" else loss * 0  # infinity times 0
        guard.backward((dice + ce + root) / 4, {"dice": dice, "ce": ce})
    guard.take_accumulated()
    with pytest.raises(Diverged) as stop:
        guard.read()
    return stop.value


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize(
    ("where", "stage", "term", "batch"),
    [
        ({2: "ce"}, Stage.LOSS, "ce", 2),
        ({0: "dice"}, Stage.LOSS, "dice", 0),
        ({1: "ce", 3: "dice"}, Stage.LOSS, "dice", 3),  # the batch of the term that is named
        ({1: "gradient"}, Stage.GRADIENT, None, 1),
        ({3: "gradient"}, Stage.GRADIENT, None, 3),
        ({1: "gradient", 2: "ce"}, Stage.LOSS, "ce", 2),
    ],
)
def test_verdict_names_the_batch_that_broke_and_the_step_is_not_taken(
    make: Any, where: dict[int, str], stage: Stage, term: str | None, batch: int
) -> None:
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    guard = Guard(model, make(model.parameters()), 12.0)
    guard.start_epoch(0)
    stop = breaking(model, where, guard)
    verdict = stop.divergence
    assert (verdict.stage, verdict.term) == (stage, term)
    said = f"It broke in batch {batch + 1} of the 4 that the step accumulates."
    assert verdict.message.endswith(said)
    assert stop.recent[-1].broken_batch == batch
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)  # statistics too


def test_skipped_step_leaves_out_all_its_batches_and_the_next_one_is_taken() -> None:
    model = network()
    guard = Guard(
        model, OPTIMIZERS[0](model.parameters()), None, GuardSettings(on_nonfinite="skip")
    )
    guard.start_epoch(0)
    before = model[0].weight.clone()
    for place, loss in enumerate(losses(model, 3)):
        guard.backward(loss * (math.nan if place == 1 else 1), {})
    guard.take_accumulated()
    assert torch.equal(model[0].weight, before)
    for loss in losses(model, 3):
        guard.backward(loss, {})
    guard.take_accumulated()
    skipped, taken = guard.read()
    assert (skipped.skipped, skipped.broken_batch, taken.skipped) == (True, 1, False)
    assert not torch.equal(model[0].weight, before)


# In a function.

LOOP = """\
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
guard, start = trial.guard(model, optimizer), 0
if (state := trial.checkpoint.load()) is not None:
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    start = state["epoch"] + 1
for epoch in range(start, trial.epochs):
    for index in range(6):
        loss = (model(torch.randn(4, 2)) - 1).square().mean()
        broken = loss * float("nan" if (epoch, index) == {broken} else 1)
        {batch}
    trial.checkpoint.save(
        {{"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()}}
    )
    trial.report(epoch, dice=0.5)
"""
BATCH = """guard.backward(broken / 3, {"fit": broken})
        if (index + 1) % 3 == 0:
            guard.step()"""


def function(folder: Path, batch: str = BATCH, broken: str = "None") -> str:
    file = folder / "accumulates.py"
    body = indent(LOOP.format(batch=batch, broken=broken), "    ")
    file.write_text(f"import torch\n\n\ndef train(config, trial):\n{body}")
    return f"{file}:train"


def history(entry: str, **where: Any) -> tuple[list[dict[str, Any]], Outcome]:
    told: list[EpochMetrics] = []
    outcome = fit(trial(entry, epochs=3), report=told.append, **where)
    return [epoch.to_json() | {"seconds": 0} for epoch in told], outcome


def test_function_that_accumulates_ends_in_the_step_and_is_told_the_batch(tmp_path: Path) -> None:
    told, outcome = history(function(tmp_path, broken="(1, 4)"))
    assert [epoch["steps"] for epoch in told] == [2]
    verdict = outcome.divergence
    assert verdict is not None
    assert (verdict.epoch, verdict.step, verdict.term) == (1, 1, "fit")
    assert "It broke in batch 2 of the 3 that the step accumulates." in verdict.message


def test_last_batch_may_come_with_the_step(tmp_path: Path) -> None:
    together = BATCH.replace(
        "guard.backward(", "(guard.step if (index + 1) % 3 == 0 else guard.backward)("
    )
    together = together.partition("\n")[0]
    assert history(function(tmp_path, together)) == history(function(tmp_path))


def test_function_that_accumulates_goes_on_bit_for_bit(tmp_path: Path) -> None:
    entry = function(tmp_path)
    whole, outcome = history(entry)
    assert outcome.status is Status.COMPLETED
    cut_short(trial(entry, epochs=3), 2, checkpoint=Checkpoints(tmp_path))
    assert history(entry, checkpoint=Checkpoints(tmp_path))[0] == whole


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        (BATCH.replace("% 3", "% 4"), "after 2 times guard.backward without a guard.step"),
        ("guard.step()", r"called guard.step\(\) without a loss: guard.step\(loss\), or"),
        (
            "guard.backward(broken, {'b': broken} if index else {'a': broken})",
            r"gave the terms \['b'\] of one batch and \['a'\] of another of the same step",
        ),
        ("guard.backward(broken.item())", "the loss must be a tensor with its graph"),
    ],
)
def test_accumulation_that_is_hardly_meant_fails_its_trial_in_words(
    tmp_path: Path, batch: str, said: str
) -> None:
    with pytest.raises(TrainerError, match=rf"accumulates\.py.*{said}"):
        history(function(tmp_path, batch))


# In a class.

MINE = """\
import torch
from sweep import CustomTraining, Validation


class Mine(CustomTraining):
    {size}

    def build_model(self):
        return torch.nn.Conv2d(1, 2, 3, padding=1)

    def batches(self, epoch):
        for place in range({batches}):
            yield torch.rand(2, 1, 16, 16), torch.randint(0, 2, (2, 16, 16)), place

    def compute_loss(self, batch, factor):
        images, labels, place = batch
        ce = torch.nn.functional.cross_entropy(self.model(images), labels)
        root = (ce * (0 if place == {broken} else 1)).sqrt()
        return ce + root * 0.1, {{"ce": ce, "root": root}}

    def validate(self, epoch):
        return Validation(dice=0.5)
"""


def of_class(folder: Path, size: str, batches: int, broken: int = -1) -> str:
    file = folder / "mine.py"
    file.write_text(MINE.format(size=size, batches=batches, broken=broken))
    return f"{file}:Mine"


def test_class_averages_the_batches_of_a_step_and_of_the_rest(tmp_path: Path) -> None:
    told, outcome = history(of_class(tmp_path, "accumulate_grad_batches = 4", 10))
    assert outcome.status is Status.COMPLETED
    assert [epoch["steps"] for epoch in told] == [3, 3, 3]  # 4, 4 and 2 batches
    ce, root = told[0]["terms"]["ce"], told[0]["terms"]["root"]
    assert told[0]["train_loss"] == pytest.approx(ce + 0.1 * root)


def test_gradient_of_one_batch_of_a_class_is_blamed_on_its_term_and_parameter(
    tmp_path: Path,
) -> None:
    entry = of_class(tmp_path, "accumulate_grad_batches = 5", 10, broken=7)
    _, outcome = history(entry)
    verdict = outcome.divergence
    assert verdict is not None
    assert (verdict.epoch, verdict.step, verdict.stage) == (0, 1, Stage.GRADIENT)
    assert (verdict.term, verdict.parameter) == ("root", "weight")
    assert "batch 3 of the 5" in verdict.message


@pytest.mark.parametrize("size", ["0", "2.5", "'4'", "None"])
def test_number_of_batches_of_a_step_must_be_one(tmp_path: Path, size: str) -> None:
    entry = of_class(tmp_path, f"accumulate_grad_batches = {size}", 4)
    with pytest.raises(TrainerError, match=r"Mine: its accumulate_grad_batches is .* from 1"):
        history(entry)
