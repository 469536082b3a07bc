"""A Trainer of Lightning in a function: reported, saved, resumed, and under the guard."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from cut_short import cut_short
from foreign import trial

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import TrainerError
from sweep.vocabulary.record import Divergence, Outcome, Stage, Status

pytestmark = [
    pytest.mark.usefixtures("_torchvision"),
    # Lightning warns of few workers and of a short epoch, and torch of what Lightning uses of it.
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning"),
]


FILE = """\
import lightning
import torch
from torch.utils.data import DataLoader, TensorDataset

from sweep.lightning import fit


class Contrast(torch.nn.Module):
    def forward(self, x):
        return (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)


class Mine(lightning.LightningModule):
    def __init__(self, entry="mine.py", **options):
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential({network})
        self.seen = 0

    def training_step(self, batch, batch_idx):
        x, y = batch
        logits = self.net(x)
        fit = (logits - y).square().mean()
        root = (fit * {scale}).sqrt()
        self.log("fit", fit)
        self.log("unused", logits.square().mean())
        {returned}

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.log("val_dice", 1 / (1 + (self.net(x) - y).square().mean()))

    def configure_optimizers(self):
        optimizer = {optimizer}(self.parameters(), lr={lr})
        {scheduler}
        return optimizer

    {methods}


def data():
    made = torch.Generator().manual_seed(1)
    x, y = torch.randn(12, 2, generator=made), torch.randn(12, 2, generator=made)
    {data}
    return TensorDataset(x, y)


def made(trial, **options):
    return lightning.Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def train(config, trial):
    trainer, model = made(trial, {trainer}), Mine(config, kind=torch.float32)
    {fit}
"""
USUAL = {
    "network": "torch.nn.Linear(2, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 2)",
    "scale": "1",
    "returned": "return {'loss': fit + root, 'root': root, 'logits': logits}",
    "optimizer": "torch.optim.Adam",
    "lr": "0.01",
    "scheduler": "",
    "methods": "",
    "data": "",
    "trainer": "",
    "fit": "fit(trial, trainer, model, DataLoader(data(), 4, shuffle=True), DataLoader(data(), 4))",
}


def write(folder: Path, **parts: str) -> str:
    file, text = folder / "mine.py", FILE
    for name, part in (USUAL | parts).items():
        text = text.replace(f"{{{name}}}", part)
    file.write_text(text)
    return f"{file}:train"


def settings_of(entry: str, epochs: int = 3, amp: str = "off", **groups: Any) -> TrialSettings:
    settings = trial(entry, epochs=epochs, **groups)
    trainer = settings.trainer.model_copy(update={"amp": amp})
    return settings.model_copy(update={"trainer": trainer})


def trained(entry: str, **asked: Any) -> tuple[list[EpochMetrics], Outcome]:
    told: list[EpochMetrics] = []
    outcome = fit(settings_of(entry, **asked), report=told.append)
    return told, outcome


def verdict_of(entry: str, **groups: Any) -> Divergence:
    _, outcome = trained(entry, **groups)
    assert outcome.divergence is not None
    assert outcome.divergence.diagnosis is not None
    return outcome.divergence


@pytest.mark.parametrize(
    ("parts", "place", "said"),
    [
        (
            {"scale": "float(batch_idx != 2)"},
            (Stage.GRADIENT, "root"),
            "The gradient is not finite, though the network's answers are: the loss divides by 0",
        ),
        (
            {"network": "Contrast(), torch.nn.Linear(2, 2)", "data": "x[9] = 1"},
            (Stage.LOSS, "fit"),
            "The network's module 'net.0' (Contrast) answers usual values with some that are not",
        ),
        (
            {"data": "y[9] = float('nan')"},
            (Stage.LOSS, "fit"),
            "The batch contains values that are not finite before the network sees it.",
        ),
    ],
)
def test_step_that_broke_is_not_taken_and_its_batch_is_looked_at_again(
    tmp_path: Path, parts: dict[str, str], place: tuple[Stage, str], said: str
) -> None:
    ordered = USUAL["fit"].replace(", shuffle=True", "")
    verdict = verdict_of(write(tmp_path, fit=ordered, **parts))
    assert verdict.diagnosis is not None
    assert (verdict.cause, verdict.epoch, verdict.step) == ("nonfinite", 0, 2)
    assert (verdict.stage, verdict.term) == place
    assert verdict.diagnosis.likely_cause.startswith(said)
    assert verdict.terms.keys() == {"fit", "root"}  # and not what the loss is not made of


def test_batch_that_broke_is_named_among_those_that_a_step_accumulates(tmp_path: Path) -> None:
    asked = {"scale": "float(batch_idx != 1)", "trainer": "accumulate_grad_batches=3"}
    verdict = verdict_of(write(tmp_path, **asked))
    assert verdict.message.endswith("It broke in batch 2 of the 3 that the step accumulates.")


def test_other_precision_is_tried_on_a_step_that_left_float16(tmp_path: Path) -> None:
    verdict = verdict_of(write(tmp_path, data="x += 1e5"), amp="fp16")
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.setting == "trainer.amp"
    assert verdict.diagnosis.advice.endswith("With it, loss and gradient of that step are finite.")


def test_steps_that_break_are_left_out_where_the_settings_say_so(tmp_path: Path) -> None:
    entry = write(tmp_path, scale="float((self.current_epoch, batch_idx) != (0, 1))")
    told, outcome = trained(entry, guard={"on_nonfinite": "skip"})
    assert outcome.status is Status.COMPLETED
    assert [(epoch.steps, epoch.skipped_steps) for epoch in told] == [(2, 1), (3, 0), (3, 0)]


def test_epoch_without_any_step_is_a_zombie_whose_step_is_looked_at(tmp_path: Path) -> None:
    entry = write(tmp_path, scale="float(self.current_epoch != 1)")
    verdict = verdict_of(entry, guard={"on_nonfinite": "skip"})
    assert verdict.diagnosis is not None
    assert (verdict.cause, verdict.epoch, verdict.term) == ("zombie", 1, "root")


KEEPS = "def optimizer_zero_grad(self, e, batch, o):\n        if batch % 2 == 0: o.zero_grad()"


@pytest.mark.parametrize(
    ("options", "methods"),
    [
        ("accumulate_grad_batches=2, gradient_clip_val=0.5", ""),
        ("precision='bf16-mixed'", ""),
        ("gradient_clip_val=12", KEEPS),
    ],
)
def test_healthy_steps_are_bit_for_bit_those_that_lightning_takes(
    tmp_path: Path, options: str, methods: str
) -> None:
    weights = []
    for name, how in ("ours", USUAL["fit"]), ("theirs", USUAL["fit"][:-1] + ", guard=False)"):
        (tmp_path / name).mkdir()
        entry = write(tmp_path / name, trainer=options, methods=methods, fit=how)
        checkpoint = Checkpoints(tmp_path / name)
        outcome = fit(settings_of(entry), report=lambda _: None, checkpoint=checkpoint)
        assert outcome.status is Status.COMPLETED
        best = checkpoint.load_best()
        assert best is not None
        weights.append(best["model"]["lightning"]["state_dict"])
    ours, theirs = weights
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        assert torch.equal(weight, theirs[name]), name


PLATEAU = (
    "rate = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, 'max', patience=0, factor=0.3)\n"
    "        return {'optimizer': optimizer, 'lr_scheduler': {'scheduler': rate, 'monitor':"
    " 'val_dice'}}"
)


@pytest.mark.parametrize("scheduler", ["", PLATEAU])
@pytest.mark.parametrize(("guard", "amp"), [("", "off"), ("", "fp16"), (", guard=False", "off")])
def test_trial_that_goes_on_is_bit_for_bit_the_whole_one(
    tmp_path: Path, scheduler: str, guard: str, amp: str
) -> None:
    entry = write(
        tmp_path,
        scheduler=f"torch.rand(1 + bool(self.trainer.ckpt_path)); {scheduler}",
        lr="0.3",
        fit=f"{USUAL['fit'][:-1]}{guard})",
    )
    settings = settings_of(entry, epochs=4, amp=amp)
    whole: list[EpochMetrics] = []
    fit(settings, report=whole.append)
    checkpoint = Checkpoints(tmp_path)
    cut_short(settings, 2, checkpoint=checkpoint)
    resumed: list[EpochMetrics] = []
    assert fit(settings, report=resumed.append, checkpoint=checkpoint).status is Status.COMPLETED
    assert [e.to_json() | {"seconds": 0} for e in resumed] == [
        e.to_json() | {"seconds": 0} for e in whole
    ]


@pytest.mark.parametrize(
    "does",
    [
        "on_train_epoch_start=lambda t, m: m.net[0].weight.data.mul_(0.9)",
        "on_train_epoch_end=lambda t, m: setattr(t, 'should_stop', t.current_epoch == 1)",
    ],
)
def test_trial_with_a_callback_goes_on_as_the_whole_one(tmp_path: Path, does: str) -> None:
    called = f"callbacks=[lightning.pytorch.callbacks.LambdaCallback({does})]"
    settings = settings_of(write(tmp_path, trainer=called), epochs=4)
    whole: list[EpochMetrics] = []
    ended = fit(settings, report=whole.append)
    checkpoint, resumed = Checkpoints(tmp_path), list[EpochMetrics]()
    cut_short(settings, 2, checkpoint=checkpoint)
    outcome = fit(settings, report=resumed.append, checkpoint=checkpoint)
    assert outcome.status is ended.status
    assert [e.to_json() | {"seconds": 0} for e in resumed] == [
        e.to_json() | {"seconds": 0} for e in whole
    ]


def test_epoch_that_validates_nothing_has_no_dice_and_all_that_is_logged_is_reported(
    tmp_path: Path,
) -> None:
    logs = "def on_train_epoch_end(self):\n        self.log('speed', float(self.current_epoch))"
    told, _ = trained(write(tmp_path, trainer="check_val_every_n_epoch=2", methods=logs))
    assert [epoch.val_dice is None for epoch in told] == [True, False, True]
    assert [epoch.metrics["speed"] for epoch in told] == [0, 1, 2]
    assert all(epoch.metrics.keys() == {"speed", "fit", "unused"} for epoch in told)
    assert all(epoch.terms.keys() == {"fit", "root"} for epoch in told)
    assert all(epoch.train_loss is not None for epoch in told)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"methods": "automatic_optimization = False"}, "Mine optimizes by itself"),
        ({"methods": "def backward(self, loss): loss.backward()"}, "Mine has a backward of its"),
        ({"optimizer": "torch.optim.LBFGS"}, "its optimizer, a LBFGS, evaluates the loss several"),
        ({"trainer": "precision='64-true'"}, "its precision is 64-true, but the guard knows"),
        ({"trainer": "precision='bf16-mixed'", "amp": "fp16"}, "but trainer.amp is fp16: leave"),
        ({"trainer": "gradient_clip_val=1, gradient_clip_algorithm='value'"}, "it clips by value"),
        ({"trainer": "gradient_clip_val=1", "clip": "3"}, "but optimizer.gradient_clip is 3.0"),
        ({"trainer": "max_steps=3"}, "max_steps is 3, but a trial has epochs: leave it out"),
        (
            {"trainer": "strategy='ddp'"},
            "the Trainer has a DDPStrategy, but a trial has one device",
        ),
        (
            {"methods": "def configure_gradient_clipping(self, *_, **__): pass"},
            "Mine has a configure_gradient_clipping of its own, which the guard replaces",
        ),
        (
            {"methods": "def optimizer_step(self, e, b, o, closure): closure()"},
            "has left out the step of a batch",
        ),
        (
            {"methods": "def training_step(self, dataloader_iter): pass"},
            "training_step of Mine takes a dataloader_iter",
        ),
        (
            {"fit": "fit(trial, model, trainer)"},
            "takes a lightning.pytorch.Trainer, but got a Mine",
        ),
        (
            {"fit": "import pytorch_lightning; fit(trial, pytorch_lightning.Trainer(), model)"},
            "got a Trainer of pytorch_lightning, another package: import lightning.pytorch as pl",
        ),
        (
            {"fit": f"{USUAL['fit'][:-1]}, dice='val_dise')"},
            "no 'val_dise' is logged, but ['fit', 'unused', 'val_dice']: fit(…, dice=\"NAME\")",
        ),
        (
            {"methods": "def on_train_epoch_end(self): self.log('dice', 1.0)"},
            "a metric is logged as 'dice', which is a name of the sweep",
        ),
    ],
)
def test_what_cannot_be_trained_so_is_told(
    tmp_path: Path, parts: dict[str, str], said: str
) -> None:
    amp, clip = parts.pop("amp", "off"), float(parts.pop("clip", "12"))
    with pytest.raises(TrainerError, match=re.escape(said)):
        trained(write(tmp_path, **parts), amp=amp, optimizer={"gradient_clip": clip})


def test_module_that_optimizes_by_itself_is_trained_without_the_guard(tmp_path: Path) -> None:
    step = (
        "optimizer = self.optimizers(); optimizer.zero_grad(); self.manual_backward(fit)\n"
        "        optimizer.step(); self.log('train_loss', fit, on_step=False, on_epoch=True)"
    )
    entry = write(
        tmp_path,
        methods="automatic_optimization = False",
        returned=step,
        fit=f"{USUAL['fit'][:-1]}, guard=False)",
    )
    told, outcome = trained(entry)
    assert outcome.status is Status.COMPLETED
    assert [epoch.train_loss is not None for epoch in told] == [True] * 3
    assert [epoch.steps for epoch in told] == [0] * 3


def test_trainer_and_module_are_left_as_they_were(tmp_path: Path) -> None:
    after = "; assert not trainer.callbacks and not {'log', 'training_step'} & set(vars(model))"
    precise = "; assert type(trainer.precision_plugin).__name__ == 'Precision'"
    _, outcome = trained(write(tmp_path, fit=USUAL["fit"] + after + precise))
    assert outcome.status is Status.COMPLETED


def test_without_lightning_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning", None)
    monkeypatch.delitem(sys.modules, "sweep.lightning", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'medical-sweep\[lightning\]'"):
        importlib.import_module("sweep.lightning")
