"""One run under the most patient setting tells what training with every other one would have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from foreign import write_trainer
from ruamel.yaml import YAML

from sweep.analysis.patience.patience_replay import Candidates, replays
from sweep.data.prepared.prepare import prepare
from sweep.spec.checks.doubtful_settings import warnings
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.space.replayed_settings import candidates
from sweep.trainer.runs.run_protocol import Loop
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Status, TrialRecord

MakeTrial = Callable[..., TrialSettings]

# The learning rate is so high that Dice goes up and down; the geometric loss acts from epoch 2 on.
SPACE = """\
name: x
presets: []
data: {source: shapes, difficulty: 0.6, size: 32, count: 15}
trainer: {epochs: 12, batch_size: 4, device: cpu}
network: {name: unet, channels: [4, 8, 16]}
loss: {warmup_epochs: 2, rampup_epochs: 1, weights: {compactness: 0.1}}
optimizer: {lr: 0.3, momentum: 0.9}
space:
  early_stopping.patience: {choice: [1, 3, 5]}
  early_stopping.min_delta: {choice: [0, 0.05]}
  early_stopping.counts_from: {choice: [start, rampup_end]}
"""


@pytest.fixture(scope="module")
def spec() -> SweepSpec:
    return SweepSpec.model_validate(YAML(typ="safe", pure=True).load(SPACE))


def trained(config: TrialSettings) -> tuple[list[EpochMetrics], Outcome]:
    history: list[EpochMetrics] = []
    outcome = fit(config, report=history.append, data=prepare(config.data))
    return history, outcome


def test_replaying_a_curve_equals_training_with_each_patience_bit_for_bit(spec: SweepSpec) -> None:
    parameters = spec.to_train({})
    history, outcome = trained(spec.trial(parameters))
    record = TrialRecord(
        trial_id="t0000",
        number=0,
        parameters=parameters,
        history=tuple(history),
        outcome=outcome,
    )
    ends = set()
    for setting in candidates(spec.replayed):
        [told] = replays(record, Candidates(spec, [setting]).stoppings(record))
        assert told is not None
        really, _ = trained(spec.trial({**parameters, **setting}))
        best = max(really, key=lambda epoch: (epoch.val_dice or 0.0, -epoch.epoch))
        assert (told.epochs, told.value, told.best_epoch) == (
            len(really), best.val_dice, best.epoch,
        )  # fmt: skip
        assert [e.val_dice for e in really] == [e.val_dice for e in history[: len(really)]]
        ends.add(told.epochs)
    assert len(ends) > 3  # they end in different epochs, so the test can fail


def of_a_class(tmp_path: Path, **changes: Any) -> SweepSpec:
    """A sweep over a class of somebody's; its warm-up is what a sweep has without a word."""
    values = {
        "name": "own",
        "trainer": {"kind": "custom", "entry": write_trainer(tmp_path), "epochs": 6},
        "loss": {"weights": dict.fromkeys(("compactness", "boundary", "aspect"), 0.0)},
        "early_stopping": {"patience": 2},
        "space": {"optimizer.lr": {"choice": [0.01, 0.1]}},
    }
    return SweepSpec.model_validate(values | changes)


def test_patience_of_a_class_without_geometric_terms_waits_for_no_ramp_up(tmp_path: Path) -> None:
    spec = of_a_class(tmp_path)
    settings = spec.trial({"optimizer.lr": 0.01})
    told: list[EpochMetrics] = []
    assert fit(settings, report=told.append).status is Status.EARLY_STOPPED
    assert len(told) == 3  # the first is the best
    record = TrialRecord(
        trial_id="t0", number=0, parameters={"optimizer.lr": 0.01}, history=tuple(told)
    )
    assert Candidates(spec, [{}]).stoppings(record)[0] == Loop.of(settings).stopping
    assert not [said for said in warnings(spec) if "early_stopping" in said]


def test_baseline_beside_geometric_trials_counts_as_they_do(tmp_path: Path) -> None:
    for geometric in (
        of_a_class(tmp_path, loss={}, presets=["baseline"]),
        of_a_class(tmp_path, presets=["baseline", "geometric-v2.3"]),
        of_a_class(
            tmp_path,
            presets=["baseline"],
            space={"loss.weights.boundary": {"choice": [0.0, 0.1]}},
        ),
    ):
        settings, loss = geometric.preset_trial("baseline"), geometric.loss
        assert Loop.of(settings).stopping.first_epoch == loss.warmup_epochs + loss.rampup_epochs > 0
    written = of_a_class(tmp_path, early_stopping={"patience": 2, "counts_from": "rampup_end"})
    assert Loop.of(written.trial({})).stopping.first_epoch > 0
