"""Trials that start from a shared warm-up are bit for bit those that trained it themselves."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from cut_short import cut_short

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.tree.setting_tree import after_switch_on_keys, run_ending_keys
from sweep.store.layout import TrialPaths
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.trial.warmup_snapshots import Trunk
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Divergence, Outcome, Stage, Status

MakeTrial = Callable[..., TrialSettings]
EVERY_EPOCH = range(1, 10)

PLUGINS = Path(__file__).parents[2] / "examples" / "plugin" / "example_plugin.py"
OTHER_VALUES = {
    "loss.warmup_epochs": ["1", "3", "4"],
    "loss.rampup_epochs": ["0", "3"],
    "loss.terms": [f"[{PLUGINS}:total_variation]"],
    "loss.weights.compactness": ["0", "1"],
    "loss.weights.boundary": ["1"],
    "loss.weights.aspect": ["0"],
    "loss.weights.kervadec": ["0.1"],
    "loss.sqrt_epsilon": ["0", "1e-2"],
    "loss.sqrt_mode": ["clamp"],
    "loss.min_area": ["1000"],
    "loss.components": ["separate"],
    "loss.border": ["ignore"],
    "early_stopping.patience": ["1", "null"],
    "early_stopping.min_delta": ["0.5"],
    "early_stopping.counts_from": ["start"],
}


def train(
    config: TrialSettings, folder: Path, kept: Any = EVERY_EPOCH
) -> tuple[list[EpochMetrics], Outcome]:
    """One trial of the sweep in ``folder``'s parent, which shares its warm-ups."""
    trunk = Trunk.of(config, TrialPaths(folder), folder.parent / "trunks", kept)
    history: list[EpochMetrics] = []
    folder.mkdir(parents=True)
    outcome = fit(config, report=history.append, checkpoint=Checkpoints(folder), trunk=trunk)
    return history, outcome


def plain(config: TrialSettings, folder: Path) -> tuple[list[EpochMetrics], Outcome]:
    """The same trial, alone in the world."""
    folder.mkdir()
    history: list[EpochMetrics] = []
    outcome = fit(config, report=history.append, checkpoint=Checkpoints(folder))
    return history, outcome


def comparable(history: list[EpochMetrics]) -> list[EpochMetrics]:
    return [replace(metrics, seconds=0, shared=False) for metrics in history]


def shared(history: list[EpochMetrics]) -> list[int]:
    return [metrics.epoch for metrics in history if metrics.shared]


def best_weights(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(folder / "best.pt", weights_only=True)
    return state


def assert_same(one: Any, other: Any) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        if isinstance(value, dict):
            assert_same(value, other[key])
        elif isinstance(value, torch.Tensor):
            assert torch.equal(value, other[key]), key
        else:
            assert value == other[key], key


def test_every_setting_that_is_declared_to_act_late_is_tried() -> None:
    assert set(OTHER_VALUES) == after_switch_on_keys() | run_ending_keys()


LATE = ("network.dropout=0.2", "loss.weights.compactness=0.5")


@pytest.fixture(scope="module")
def led(trial: MakeTrial, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep whose leader has trained its warm-up of 2 epochs, for tests to go on from a copy."""
    folder = tmp_path_factory.mktemp("led")
    train(trial(*LATE), folder / "leader")
    return folder


@pytest.mark.parametrize(
    "change", [f"{key}={value}" for key, values in OTHER_VALUES.items() for value in values]
)
def test_trial_from_a_trunk_equals_the_one_that_trained_alone(
    trial: MakeTrial, tmp_path: Path, led: Path, change: str
) -> None:
    shutil.copytree(led / "trunks", tmp_path / "trunks")
    config = trial(*LATE, change)
    history, outcome = train(config, tmp_path / "follower")
    alone, alone_outcome = plain(config, tmp_path / "alone")
    assert comparable(history) == comparable(alone)
    assert (outcome.status, outcome.cause) == (alone_outcome.status, alone_outcome.cause)
    assert_same(best_weights(tmp_path / "follower"), best_weights(tmp_path / "alone"))
    # The leader's warm-up of 2 epochs is what there is to share.
    stopped = outcome.status is Status.EARLY_STOPPED and len(history) < 2
    assert (
        shared(history) == list(range(min(2, config.loss.warmup_epochs, len(history)))) or stopped
    )


@pytest.mark.parametrize(
    "change",
    ["seed=1", "optimizer.lr=0.05", "trainer.epochs=5", "network.dropout=0.1", "data.count=16"],
)
def test_trial_that_differs_from_the_start_shares_nothing(
    trial: MakeTrial, tmp_path: Path, led: Path, change: str
) -> None:
    shutil.copytree(led / "trunks", tmp_path / "trunks")
    history, _ = train(trial(*LATE, change), tmp_path / "other")
    assert shared(history) == []


def test_trial_without_geometric_loss_is_a_trunk_to_its_end(
    trial: MakeTrial, tmp_path: Path
) -> None:
    weights = [f"loss.weights.{term}=0" for term in ("compactness", "boundary", "aspect")]
    train(trial(*weights), tmp_path / "baseline")
    history, _ = train(trial("loss.warmup_epochs=4"), tmp_path / "follower")
    assert shared(history) == [0, 1, 2, 3]
    history, _ = train(trial(*weights, "early_stopping.patience=3"), tmp_path / "again")
    assert shared(history) == [0, 1, 2, 3]


def test_longer_warmup_extends_the_trunk_for_those_after_it(
    trial: MakeTrial, tmp_path: Path
) -> None:
    train(trial("loss.warmup_epochs=1"), tmp_path / "short")
    longer, _ = train(trial("loss.warmup_epochs=3"), tmp_path / "long")
    again, _ = train(trial("loss.warmup_epochs=3", "loss.sqrt_mode=clamp"), tmp_path / "again")
    assert shared(longer) == [0]
    assert shared(again) == [0, 1, 2]


def test_only_the_epochs_that_somebody_may_branch_at_are_kept(
    trial: MakeTrial, tmp_path: Path
) -> None:
    train(trial("loss.warmup_epochs=4"), tmp_path / "leader", kept=(1, 3))
    (trunk,) = (tmp_path / "trunks").iterdir()
    assert sorted(entry.name for entry in trunk.iterdir()) == ["1", "3"]
    history, _ = train(trial("loss.warmup_epochs=2"), tmp_path / "between", kept=(1, 3))
    alone, _ = plain(trial("loss.warmup_epochs=2"), tmp_path / "alone")
    assert shared(history) == [0]
    assert comparable(history) == comparable(alone)


def test_patience_that_ends_within_the_trunk_ends_the_trial_there(
    trial: MakeTrial, tmp_path: Path
) -> None:
    train(trial("loss.warmup_epochs=4"), tmp_path / "leader")
    impatient = trial(
        "loss.warmup_epochs=4",
        "early_stopping.counts_from=start",
        "early_stopping.patience=1",
        "early_stopping.min_delta=0.9",
    )
    history, outcome = train(impatient, tmp_path / "impatient")
    assert outcome.status is Status.EARLY_STOPPED
    assert shared(history) == [0, 1] == [metrics.epoch for metrics in history]


@pytest.mark.parametrize(("rate", "epoch"), [("10", 2), ("1e20", 0)])
def test_trunk_that_diverged_ends_its_followers_without_a_step(
    trial: MakeTrial, tmp_path: Path, rate: str, epoch: int
) -> None:
    absurd = (f"optimizer.lr={rate}", "optimizer.gradient_clip=null", "trainer.epochs=8")
    late = trial(*absurd, "loss.warmup_epochs=6", "loss.sqrt_epsilon=1e-2")
    _, alone = plain(late, tmp_path / "alone")
    leader, outcome = train(trial(*absurd, "loss.warmup_epochs=4"), tmp_path / "leader")
    assert outcome.divergence is not None
    assert outcome.divergence.epoch == epoch
    follower, same = train(late, tmp_path / "follower")
    assert same == alone  # with its own ε, and its own distance to the switch-on
    assert same != outcome
    assert comparable(follower) == comparable(leader)
    assert shared(follower) == list(range(epoch))
    assert (tmp_path / "leader" / "offending.pt").exists()
    for name in ("healthy.pt", "offending.pt"):
        assert (tmp_path / "follower" / name).samefile(tmp_path / "leader" / name)


def test_divergence_after_the_switch_on_says_nothing_of_the_trunk(
    trial: MakeTrial, tmp_path: Path
) -> None:
    dead = trial("loss.sqrt_epsilon=0", "loss.weights.compactness=1", "trainer.epochs=8")
    _, outcome = train(dead, tmp_path / "dead")
    assert outcome.divergence is not None
    assert outcome.divergence.cause == "nonfinite"
    history, outcome = train(trial("trainer.epochs=8"), tmp_path / "healthy")
    assert outcome.status is Status.COMPLETED
    assert shared(history) == [0, 1]


def test_damaged_snapshot_is_passed_over(trial: MakeTrial, tmp_path: Path) -> None:
    train(trial(), tmp_path / "leader")
    (trunk,) = (tmp_path / "trunks").iterdir()
    last = trunk / "2" / "last.pt"
    content = last.read_bytes()
    last.unlink()
    last.write_bytes(content[: len(content) // 2])
    history, outcome = train(trial("loss.sqrt_mode=clamp"), tmp_path / "follower")
    assert outcome.status is Status.COMPLETED
    assert shared(history) == [0]


def test_verdict_that_a_full_disk_refuses_ends_no_trial(trial: MakeTrial, tmp_path: Path) -> None:
    trunks, config = tmp_path / "trunks", trial("loss.warmup_epochs=4")
    trunk = Trunk.of(config, TrialPaths(tmp_path / "leader"), trunks, EVERY_EPOCH)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # fails as a full disk does
    try:
        trunk.save_end(
            1, Divergence(cause="nonfinite", stage=Stage.LOSS, epoch=1, step=0, message="NaN.")
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(trunks.rglob("*.json")) == []


def test_snapshots_are_links_and_outlive_the_trial_that_made_them(
    trial: MakeTrial, tmp_path: Path
) -> None:
    train(trial("loss.warmup_epochs=4"), tmp_path / "leader", kept=(4,))
    (trunk,) = (tmp_path / "trunks").iterdir()
    assert (trunk / "4" / "last.pt").samefile(tmp_path / "leader" / "last.pt")
    (tmp_path / "leader" / "last.pt").unlink()
    history, _ = train(trial("loss.warmup_epochs=4", "seed=0"), tmp_path / "follower")
    assert shared(history) == [0, 1, 2, 3]


def test_warmup_of_a_network_that_was_edited_since_is_not_taken(
    trial: MakeTrial, tmp_path: Path
) -> None:
    file, width = tmp_path / "nets.py", tmp_path / "width.py"
    file.write_text(
        "import torch\nfrom width import WIDTH\n\ndef tiny(channels, classes):\n"
        "    convolution = torch.nn.Conv2d(channels, classes, WIDTH, padding='same')\n"
        "    return torch.nn.Sequential(convolution)\n"
    )
    config = trial(f"network={{name: '{file}:tiny'}}", "loss.warmup_epochs=2", "trainer.epochs=3")
    width.write_text("WIDTH = 3\n")
    train(config, tmp_path / "leader")
    assert shared(train(config, tmp_path / "follower")[0]) == [0, 1]
    width.write_text("WIDTH = 5\n")
    assert shared(train(config, tmp_path / "later")[0]) == []


def test_resumed_trial_goes_on_from_its_own_state_and_not_from_the_trunk(
    trial: MakeTrial, tmp_path: Path
) -> None:
    train(trial(), tmp_path / "leader")
    config, folder = trial("loss.sqrt_mode=clamp"), tmp_path / "follower"
    trunk = Trunk.of(config, TrialPaths(folder), tmp_path / "trunks", EVERY_EPOCH)
    folder.mkdir()
    cut_short(config, 3, checkpoint=Checkpoints(folder), trunk=trunk)
    history: list[EpochMetrics] = []
    fit(config, report=history.append, checkpoint=Checkpoints(folder), trunk=trunk)
    alone, _ = plain(config, tmp_path / "alone")
    assert comparable(history) == comparable(alone)
    assert shared(history) == [0, 1]
