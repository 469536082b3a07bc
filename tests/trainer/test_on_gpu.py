"""What only a GPU can show: the same numbers twice, float16 with its scaler, shared warm-ups."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from cut_short import cut_short
from foreign import trial as foreign_trial
from foreign import write_trainer

from sweep.data.nnunet_raw.regions import Labelled
from sweep.data.prepared.prepare import prepare
from sweep.data.prepared.samples import CaseArrays, Samples
from sweep.spec.settings.augmentation_settings import AugmentationSettings
from sweep.spec.settings.geometric_terms import GeometricWeights
from sweep.spec.settings.loss_settings import LossSettings
from sweep.spec.settings.trainer_settings import MonaiTrainer
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.layout import TrialPaths
from sweep.trainer.batches.augmentation import Augmentation
from sweep.trainer.batches.pixel_noise import standard_normal
from sweep.trainer.batches.training_batches import TrainingBatches
from sweep.trainer.evaluation.inference import Inference
from sweep.trainer.evaluation.kept_predictions import KeptPredictions
from sweep.trainer.evaluation.validation_dice import DicePerCase
from sweep.trainer.losses.geometric_loss import geometric_terms
from sweep.trainer.networks.device import to_device
from sweep.trainer.runs.monai_run import MonaiTraining
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.trial.warmup_snapshots import Trunk
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Stage, Status

MakeTrial = Callable[..., TrialSettings]
GPU = "trainer.device=cuda"
PRECISIONS = ("off", "bf16", "fp16")
DIES = (
    "loss.sqrt_epsilon=0",
    "loss.weights.compactness=1",
    "loss.rampup_epochs=0",
    "optimizer.lr=0.3",  # with 0.1 no region is exactly flat yet after two epochs on a GPU
)

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def train(config: TrialSettings, folder: Path, trunks: Path) -> tuple[list[EpochMetrics], Outcome]:
    """A trial without wall times; its warm-up is shared by all that use the same ``trunks``."""
    folder.mkdir(parents=True)
    history: list[EpochMetrics] = []
    outcome = fit(
        config,
        report=history.append,
        checkpoint=Checkpoints(folder),
        trunk=Trunk.of(config, TrialPaths(folder), trunks, range(1, 10)),
    )
    return [replace(metrics, seconds=0) for metrics in history], outcome


@pytest.mark.parametrize("axes", [2, 3])
def test_batches_of_a_gpu_are_those_of_a_cpu(axes: int) -> None:
    """Labels but for places between two voxels; images up to rounding in the resampling."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(4, 20 if axes == 3 else 1, 2, 40, 40)).astype(np.float32)
    cases = [
        CaseArrays(f"case_{n}", image, (image[:, 0] > 0).astype(np.uint8), (1,))
        for n, image in enumerate(images)
    ]
    samples = Samples(cases, volumes=axes == 3)
    asked = {kind: {"probability": 0.7} for kind in AugmentationSettings.model_fields}
    made = [
        TrainingBatches(
            samples,
            MonaiTrainer(batch_size=4),
            Augmentation(AugmentationSettings.model_validate(asked), "zscore", samples, seed=0),
            seed=0,
            patch=(16, 32, 32)[-axes:],
            divisor=(1,) * axes,
            oversample_foreground=0.5,
            device=torch.device(device),
        ).batch(3, 0)
        for device in ("cpu", "cuda")
    ]
    cpu, gpu = made
    assert gpu.images.device.type == gpu.labels.device.type == "cuda"
    assert (gpu.labels.cpu() != cpu.labels).float().mean() < 1e-3
    # 0.01 of the pixels may lie beside a place between two voxels of a lower resolution.
    different = (gpu.images.cpu() - cpu.images).abs() > 1e-3
    assert different.float().mean() < 1e-2
    keys = torch.tensor([[7, -8], [2**31 - 1, 5]]).int()
    assert torch.equal(
        standard_normal(keys.cuda(), (2, 33, 31)).cpu(), standard_normal(keys, (2, 33, 31))
    )


@pytest.mark.parametrize("amp", PRECISIONS)
def test_the_same_trial_gives_the_same_numbers_twice(
    trial: MakeTrial, tmp_path: Path, amp: str
) -> None:
    config = trial(GPU, f"trainer.amp={amp}")
    once, again = (train(config, tmp_path / n / "t0000", tmp_path / n / "trunks") for n in "ab")
    assert once == again
    assert once[1].status is Status.COMPLETED
    assert once[0][-1].val_dice is not None


@pytest.mark.parametrize("amp", PRECISIONS)
def test_a_trial_from_a_shared_warmup_is_the_trial_that_trained_it(
    trial: MakeTrial, tmp_path: Path, amp: str
) -> None:
    configs = [
        trial(GPU, f"trainer.amp={amp}", f"loss.weights.compactness={weight}")
        for weight in (0.1, 1)
    ]
    train(configs[0], tmp_path / "t0000", tmp_path / "trunks")
    history, outcome = train(configs[1], tmp_path / "t0001", tmp_path / "trunks")
    alone, end = train(configs[1], tmp_path / "alone" / "t0001", tmp_path / "none")
    assert [metrics.epoch for metrics in history if metrics.shared] == [0, 1]
    assert [replace(metrics, shared=False) for metrics in history] == alone
    assert outcome == end


@pytest.mark.parametrize("amp", ["off", "bf16"])
def test_a_root_of_zero_ends_the_trial_in_the_step_after_the_warmup(
    trial: MakeTrial, tmp_path: Path, amp: str
) -> None:
    config = trial(GPU, f"trainer.amp={amp}", *DIES)
    history, outcome = train(config, tmp_path / "t0000", tmp_path / "trunks")
    verdict = outcome.divergence
    assert verdict is not None
    assert (verdict.cause, verdict.stage) == ("nonfinite", Stage.GRADIENT)
    assert (verdict.term, verdict.epoch, verdict.step) == ("compactness", 2, 0)
    assert verdict.weights_finite
    assert len(history) == 2


def test_float16_skips_only_while_it_looks_for_its_scale(trial: MakeTrial, tmp_path: Path) -> None:
    history, outcome = train(trial(GPU, "trainer.amp=fp16"), tmp_path / "t0000", tmp_path / "t")
    assert outcome.status is Status.COMPLETED
    assert all(metrics.scale for metrics in history)
    assert history[-1].skipped_steps == 0


def test_a_root_of_zero_under_float16_is_told_from_a_scale_that_is_too_large(
    trial: MakeTrial, tmp_path: Path
) -> None:
    config = trial(GPU, "trainer.amp=fp16", *DIES, "trainer.epochs=20")
    _, outcome = train(config, tmp_path / "t0000", tmp_path / "trunks")
    verdict = outcome.divergence
    assert verdict is not None
    assert (verdict.cause, verdict.term) == ("zombie", "compactness")
    assert verdict.epoch in (2, 3)  # the first step in which some region is exactly flat
    assert verdict.weights_finite


@pytest.mark.parametrize("override", ["trainer.channels_last=true", "trainer.tf32=true"])
def test_faster_step_gives_the_same_numbers_twice(
    trial: MakeTrial, tmp_path: Path, override: str
) -> None:
    config = trial(GPU, "trainer.amp=bf16", override)
    once, again = (train(config, tmp_path / n / "t0000", tmp_path / n / "trunks") for n in "ab")
    assert once == again


@pytest.mark.parametrize("warmup", [0, 10])
def test_no_step_waits_for_the_gpu_between_two_readings_of_the_guard(
    trial: MakeTrial, warmup: int
) -> None:
    config = trial(GPU, f"loss.warmup_epochs={warmup}", "trainer.amp=bf16")
    run = MonaiTraining(config, prepare(config.data))
    batch = run.batch(0, 0)
    batch = replace(batch, images=batch.images.cuda(), labels=batch.labels.cuda())
    run.train_steps(0)
    run.guard.start_epoch(1, run.factor(1))
    torch.cuda.set_sync_debug_mode("error")
    try:
        for step in range(run.guard.interval - 1):
            passed = run.forward(batch, 1, step)
            assert run.guard.step(passed.loss, passed.terms) == []
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_trial_leaves_no_memory_on_the_gpu(trial: MakeTrial, tmp_path: Path) -> None:
    train(trial(GPU), tmp_path / "t0000", tmp_path / "trunks")
    gc.collect()
    before = torch.cuda.memory_allocated()
    train(trial(GPU, *DIES), tmp_path / "t0001", tmp_path / "trunks")
    gc.collect()
    assert torch.cuda.memory_allocated() <= before


@pytest.mark.parametrize("name", ["RMSprop", "AdamW", "Adadelta"])  # none of them knows the flag
def test_step_of_a_users_optimizer_is_withheld_on_a_gpu_too(tmp_path: Path, name: str) -> None:
    entry = write_trainer(
        tmp_path,
        f"def build_optimizer(self):\n    return torch.optim.{name}(self.model.parameters())\n"
        "def compute_loss(self, batch, factor):\n"
        "    loss, terms = super().compute_loss(batch, factor)\n"
        "    self.done = getattr(self, 'done', 0) + 1\n"
        "    return (loss * float('nan'), terms) if self.done == 5 else (loss, terms)\n",
    )
    config = foreign_trial(entry)
    trainer = config.trainer.model_copy(update={"device": "cuda"})
    outcome = fit(config.model_copy(update={"trainer": trainer}))
    assert outcome.divergence is not None
    assert (outcome.divergence.epoch, outcome.divergence.step) == (1, 1)
    assert outcome.divergence.weights_finite


def test_function_that_goes_on_draws_what_it_would_have_drawn_on_a_gpu(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(
        "import torch\n\ndef train(config, trial):\n"
        "    state = trial.checkpoint.load() or {'epoch': -1}\n"
        "    for epoch in range(state['epoch'] + 1, trial.epochs):\n"
        "        drawn = torch.rand((), device=trial.device)\n"
        "        trial.checkpoint.save({'epoch': epoch})\n"
        "        trial.report(epoch, dice=drawn)\n"
    )
    config = foreign_trial(f"{tmp_path / 'plain.py'}:train")
    trainer = config.trainer.model_copy(update={"device": "cuda"})
    config = config.model_copy(update={"trainer": trainer})
    whole: list[EpochMetrics] = []
    fit(config, report=whole.append)
    cut_short(config, 1, checkpoint=Checkpoints(tmp_path))
    resumed: list[EpochMetrics] = []
    fit(config, report=resumed.append, checkpoint=Checkpoints(tmp_path))
    assert [epoch.val_dice for epoch in resumed] == [epoch.val_dice for epoch in whole]


def test_shape_terms_of_components_are_those_of_a_cpu_and_the_same_twice() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(4, 1, 96, 96, generator=generator)
    p = (2 * torch.nn.functional.avg_pool2d(noise, 9, 1, 4)[:, 0] - 0.5).clamp(0, 1)
    weights = GeometricWeights(compactness=1, boundary=1, aspect=1)
    settings = LossSettings(weights=weights, components="separate", border="ignore", min_area=20)
    torch.use_deterministic_algorithms(True)
    found = []
    for device in ("cpu", "cuda", "cuda"):
        leaf = p.to(device).requires_grad_()
        terms = torch.stack(list(geometric_terms(settings, leaf).values()))
        terms.sum().backward()
        assert leaf.grad is not None
        found.append((terms.detach().cpu(), leaf.grad.cpu()))
    (cpu, cpu_gradient), (one, one_gradient), (two, two_gradient) = found
    assert torch.equal(one, two)
    assert torch.equal(one_gradient, two_gradient)
    torch.testing.assert_close(one, cpu)
    torch.testing.assert_close(one_gradient, cpu_gradient)


@pytest.mark.parametrize("kind", ["joint", "separate"])
def test_shape_terms_never_wait_for_the_gpu(kind: Literal["joint", "separate"]) -> None:
    weights = GeometricWeights(compactness=1, boundary=1, aspect=1)
    settings = LossSettings(weights=weights, components=kind, border="ignore")
    p = torch.rand(2, 64, 64, device="cuda", requires_grad=True)
    torch.cuda.set_sync_debug_mode("error")
    try:
        torch.stack(list(geometric_terms(settings, p).values())).sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_predictions_and_counts_on_a_gpu_are_those_of_a_cpu() -> None:
    """Also where copies to the host overlap the next batch."""

    def network(images: torch.Tensor) -> torch.Tensor:
        return torch.cat([0 * images, images, 2 * images - 1], dim=1)

    rng = np.random.default_rng(0)
    images = [rng.normal(size=(n, 1, 64, 48)).astype(np.float32) for n in (5, 1, 3, 7)]
    labels = [rng.integers(0, 3, (len(one), 64, 48)).astype(np.uint8) for one in images]
    cases = [
        CaseArrays(f"c{n}", *pair, ()) for n, pair in enumerate(zip(images, labels, strict=True))
    ]
    found = []
    for device in map(torch.device, ("cpu", "cuda")):
        how = Inference(network=network, device=device, divisor=(1, 1), batch_size=4)
        names = Labelled(classes=("background", "one", "two"))
        dice, kept = DicePerCase(names), KeptPredictions()
        for case, classes in how.predictions(cases):
            dice.add(case.name, classes, to_device(case.reference, device))
            kept.add(classes)
        found.append((dice.scores(), list(kept)))
    assert found[0][0] == found[1][0]
    assert all(np.array_equal(*pair) for pair in zip(found[0][1], found[1][1], strict=True))
