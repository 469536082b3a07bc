"""Whole trials without Ray: the same twice, the same when interrupted, and how they end."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cut_short import cut_short
from raw_dataset import write_cases
from torch import Tensor

from sweep.data.nnunet_raw.pixels import RawCase
from sweep.data.prepared.prepare import prepare
from sweep.data.prepared.samples import CaseArrays, Samples
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.layout import TrialPaths
from sweep.trainer.divergence.guard import Guard
from sweep.trainer.evaluation.inference import Inference
from sweep.trainer.runs.guarded_run import GuardedRun
from sweep.trainer.runs.monai_run import MonaiTraining
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Stage, Status

MakeTrial = Callable[..., TrialSettings]


class Killed(Exception):
    """Stands for the end of the process."""


def train(config: TrialSettings, folder: Path | None = None) -> tuple[list[EpochMetrics], Outcome]:
    """History without wall times, and the outcome."""
    history: list[EpochMetrics] = []
    if folder is not None:
        folder.mkdir(exist_ok=True)
    outcome = fit(config, report=history.append, checkpoint=Checkpoints(folder) if folder else None)
    return timeless(history), outcome


def timeless(history: list[EpochMetrics]) -> list[EpochMetrics]:
    return [dataclasses.replace(metrics, seconds=0) for metrics in history]


def load(file: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(file, weights_only=True)
    return state


def same(one: Any, other: Any) -> bool:
    """Equal bit for bit, through all levels."""
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


# Reproducibility.


def test_the_same_configuration_twice_gives_the_same_history_bit_for_bit(trial: MakeTrial) -> None:
    config = trial("network.dropout=0.2", "data.patch_size=16")
    once, _ = train(config)
    torch.rand(7)  # what else the process draws does not matter
    np.random.rand(7)
    again, _ = train(config)
    assert once == again
    assert len(once) == 4


def test_another_seed_gives_another_history(trial: MakeTrial) -> None:
    assert train(trial("seed=1"))[0] != train(trial("seed=2"))[0]


def test_trials_that_differ_only_in_what_acts_late_are_one_run_until_the_warmup_ends(
    trial: MakeTrial,
) -> None:
    short, _ = train(trial())
    long, _ = train(
        trial("loss.warmup_epochs=3", "loss.weights.compactness=0.5", "loss.sqrt_mode=clamp")
    )
    assert short[:2] == long[:2]
    assert short[2] != long[2]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_trial_that_was_stopped_and_resumed_equals_the_uninterrupted_one_bit_for_bit(
    trial: MakeTrial, tmp_path: Path, optimizer: str
) -> None:
    config = trial(f"optimizer.name={optimizer}", "optimizer.lr=0.01", "network.dropout=0.2")
    uninterrupted = train(config, tmp_path / "whole")
    for stopped_after in (1, 2, 3):
        (folder := tmp_path / str(stopped_after)).mkdir()
        cut_short(config, stopped_after, checkpoint=Checkpoints(folder))
        assert train(config, folder) == uninterrupted
        for name in ("last.pt", "best.pt"):
            parts, whole = load(folder / name), load(tmp_path / "whole" / name)
            parts.pop("history", None), whole.pop("history", None)  # holds wall times
            assert same(parts, whole), (name, stopped_after)


@pytest.mark.parametrize(
    ("damaged", "goes_on_at"), [(["last.pt"], 2), (["last.pt", "previous.pt"], 0)]
)
def test_trial_whose_checkpoints_are_damaged_goes_on_from_the_one_before_and_comes_out_the_same(
    trial: MakeTrial, tmp_path: Path, damaged: list[str], goes_on_at: int
) -> None:
    config, paths = trial(), TrialPaths(tmp_path)
    uninterrupted, outcome = train(config)
    cut_short(config, 3, checkpoint=Checkpoints(tmp_path))
    for name in damaged:
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[:-100])
    again: list[EpochMetrics] = []
    end = fit(
        config,
        report=again.append,
        checkpoint=Checkpoints(tmp_path),
        provenance=paths.provenance,
    )
    assert (timeless(again), end) == (uninterrupted, outcome)
    [run] = json.loads(paths.provenance.read_text())["runs"]
    assert run["first_epoch"] == goes_on_at
    assert [text.partition(": ")[0] for text in run["damaged"]] == [
        f"{tmp_path / name} is damaged" for name in damaged
    ]


def test_trial_that_was_killed_in_the_middle_of_an_epoch_trains_that_epoch_again(
    trial: MakeTrial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = trial()
    uninterrupted, _ = train(config, tmp_path / "whole")
    steps = 0
    take = Guard.take

    def mortal(self: Guard, *args: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 5:
            raise Killed
        return take(self, *args)

    monkeypatch.setattr(Guard, "take", mortal)
    with pytest.raises(Killed):
        train(config, tmp_path / "parts")
    monkeypatch.undo()
    assert train(config, tmp_path / "parts")[0] == uninterrupted
    parts, whole = (load(tmp_path / name / "last.pt")["training"] for name in ("parts", "whole"))
    assert same(parts, whole)


def test_resumed_trial_reports_what_it_had_reported_and_goes_on(
    trial: MakeTrial, tmp_path: Path
) -> None:
    before = cut_short(trial(), 2, checkpoint=Checkpoints(tmp_path))
    after: list[EpochMetrics] = []
    fit(trial(), report=after.append, checkpoint=Checkpoints(tmp_path))
    assert after[:2] == before  # wall times included: the epochs were not trained again
    assert [metrics.epoch for metrics in after] == [0, 1, 2, 3]


def test_epoch_is_saved_before_it_is_reported(trial: MakeTrial, tmp_path: Path) -> None:
    def report(metrics: EpochMetrics) -> None:
        saved = load(tmp_path / "last.pt")["history"]
        assert [EpochMetrics.from_json(line) for line in saved][-1] == metrics

    fit(trial(), report=report, checkpoint=Checkpoints(tmp_path))


@pytest.mark.parametrize("overrides", [(), ("early_stopping.patience=1", "optimizer.lr=1e-9")])
def test_finished_trial_is_not_trained_any_further_when_it_is_resumed(
    trial: MakeTrial, tmp_path: Path, overrides: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = train(trial(*overrides), tmp_path)
    monkeypatch.delattr(GuardedRun, "run_epoch")
    assert train(trial(*overrides), tmp_path) == ended


def test_best_checkpoint_holds_the_weights_of_the_best_epoch(
    trial: MakeTrial, tmp_path: Path
) -> None:
    config = trial("optimizer.lr=0.02", "trainer.epochs=3")
    history, _ = train(config, tmp_path)
    best = load(tmp_path / "best.pt")
    dice = [metrics.val_dice for metrics in history]
    assert best["epoch"] == dice.index(max(filter(None, dice)))
    training = MonaiTraining(config, prepare(config.data))
    training.model.load_state_dict(best["model"])
    assert training.dice_per_case().mean() == dice[best["epoch"]]


# Divergence.


def test_epsilon_zero_diverges_by_its_own_numerics_and_changes_no_weight(
    trial: MakeTrial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: dict[str, Tensor] = {}
    forward = MonaiTraining.forward

    def watched(self: MonaiTraining, *args: Any) -> Any:
        before.update({name: tensor.clone() for name, tensor in self.model.state_dict().items()})
        return forward(self, *args)

    monkeypatch.setattr(MonaiTraining, "forward", watched)
    config = trial("loss.sqrt_epsilon=0", "loss.warmup_epochs=3", "trainer.epochs=8")
    history, outcome = train(config, tmp_path)

    assert outcome.status is Status.DIVERGED
    verdict = outcome.divergence
    assert verdict is not None
    assert (verdict.cause, verdict.stage) == ("nonfinite", Stage.GRADIENT)
    assert verdict.term in ("compactness", "aspect")
    assert verdict.epoch >= 3
    assert len(history) == verdict.epoch
    assert verdict.term in verdict.message
    assert outcome.cause == (
        f"nonfinite gradient ({verdict.term}) at epoch {verdict.epoch} step {verdict.step}"
    )
    assert all(np.isfinite(float(value)) for value in verdict.terms.values())
    healthy = load(tmp_path / "healthy.pt")["model"]
    assert same(healthy, before)
    assert all(torch.isfinite(tensor).all() for tensor in healthy.values())


def test_a_small_epsilon_keeps_the_same_trial_alive(trial: MakeTrial, tmp_path: Path) -> None:
    config = trial("loss.sqrt_epsilon=1e-6", "loss.warmup_epochs=3", "trainer.epochs=8")
    history, outcome = train(config, tmp_path)
    assert outcome == Outcome(status=Status.COMPLETED)
    assert len(history) == 8
    assert not (tmp_path / "healthy.pt").exists()


def test_resumed_trial_diverges_at_the_same_step(trial: MakeTrial, tmp_path: Path) -> None:
    config = trial("loss.sqrt_epsilon=0", "loss.warmup_epochs=3", "trainer.epochs=8")
    once = train(config, tmp_path)
    assert train(config, tmp_path) == once
    assert once[1].status is Status.DIVERGED


# Early stopping. With this learning rate nothing moves: only epoch 0 improves on what was before.

IDLE = ("optimizer.lr=1e-12", "early_stopping.patience=2", "trainer.epochs=9")


def test_patience_is_counted_from_the_end_of_the_ramp(trial: MakeTrial) -> None:
    history, outcome = train(trial(*IDLE))
    assert outcome.status is Status.EARLY_STOPPED
    assert len(history) == 5  # epochs 0 to 2 are warm-up and ramp, 3 and 4 do not improve


def test_patience_can_be_counted_from_the_start(trial: MakeTrial) -> None:
    history, outcome = train(trial(*IDLE, "early_stopping.counts_from=start"))
    assert outcome.status is Status.EARLY_STOPPED
    assert len(history) == 3


def test_patience_that_runs_out_in_the_last_epoch_is_a_completed_trial(trial: MakeTrial) -> None:
    history, outcome = train(trial(*IDLE, "trainer.epochs=5"))
    assert outcome.status is Status.COMPLETED
    assert len(history) == 5


# Data.


def test_report_that_raises_ends_the_trial_with_its_error(trial: MakeTrial) -> None:
    reported: list[int] = []

    def report(metrics: EpochMetrics) -> None:
        reported.append(metrics.epoch)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fit(trial(), report=report)
    assert reported == [0]


def test_prepared_data_is_not_read_again(trial: MakeTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    data = prepare(trial().data)
    monkeypatch.delattr("sweep.data.prepared.prepare.prepare")
    assert fit(trial("trainer.epochs=1"), data=data).status is Status.COMPLETED


def test_validation_without_a_measurable_dice_is_none_and_never_improves(
    trial: MakeTrial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = trial("early_stopping.patience=1", "trainer.epochs=9")
    data = prepare(config.data)
    empty = [
        CaseArrays(s.case, s.image[None], np.zeros_like(s.label)[None], ()) for s in data.validation
    ]
    data = dataclasses.replace(data, validation=Samples(empty))

    def background(self: Inference, images: Tensor) -> Tensor:
        return torch.tensor([1.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, *images.shape[-2:])

    monkeypatch.setattr(Inference, "logits", background)
    history: list[EpochMetrics] = []
    outcome = fit(config, report=history.append, checkpoint=Checkpoints(tmp_path), data=data)
    assert {metrics.val_dice for metrics in history} == {None}
    assert outcome.status is Status.EARLY_STOPPED
    assert len(history) == 4  # the first that counts is epoch 3
    assert not (tmp_path / "best.pt").exists()


def test_multi_class_volumes_train_with_the_geometry_of_the_chosen_class(
    trial: MakeTrial, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(size=(5, 2, 45, 61, 3)).astype(np.float32)
    label = np.zeros((5, 45, 61, 3), np.uint8)
    label[:, 5:20, 5:20], label[:, 25:40, 30:55] = 1, 2
    image[:, 0] += label
    write_cases(
        tmp_path / "raw",
        [RawCase(f"case_{n}", image[n], label[n]) for n in range(5)],
        "liver",
        "tumour",
        channels=["T1", "T2"],
    )
    data = f"data={{source: nnunet_raw, folder: {tmp_path / 'raw'}, geometric_class: tumour}}"
    config = trial(data, "trainer.epochs=3", "optimizer.lr=0.05", "trainer.batch_size=6")
    assert prepare(config.data).geometric_classes == (2,)
    history, outcome = train(config)
    assert outcome.status is Status.COMPLETED
    assert list(history[-1].terms) == ["dice", "ce", "compactness", "boundary", "aspect"]
    assert history[-1].steps == 2  # 4 cases of 3 slices
    assert history[-1].val_dice is not None


def test_a_trial_trains_with_another_main_loss_and_kervadecs_and_reports_their_terms(
    trial: MakeTrial,
) -> None:
    config = trial("loss.main=focal_logcosh_dice", "loss.weights={kervadec: 0.01, aspect: 0}")
    history, outcome = train(config)
    assert outcome.status is Status.COMPLETED
    assert [list(epoch.terms) for epoch in history[:3]] == [
        ["logcosh_dice", "focal"],
        ["logcosh_dice", "focal"],
        ["logcosh_dice", "focal", "compactness", "boundary", "kervadec"],
    ]
