"""One trial under another objective than Dice: its best epoch, its patience, what it measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scripted import write_scripted

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.record import Status


def scripted(
    folder: Path, curve: list[dict[str, float | None]], **more: Any
) -> tuple[TrialSettings, list[EpochMetrics]]:
    """The settings of a trial that reports these metrics, and a list for what it reports."""
    found = f"return Validation(dice=0.1 * epoch, metrics={curve}[epoch])"
    entry = write_scripted(folder, found)
    trainer = {"kind": "custom", "entry": entry, "epochs": len(curve)}
    weights = dict.fromkeys(("compactness", "boundary", "aspect"), 0.0)
    values: dict[str, Any] = {
        "trainer": trainer | {"device": "cpu"},
        "loss": {"weights": weights, "warmup_epochs": 0, "rampup_epochs": 0},
        "objective": {"metric": "distance", "mode": "min"},
    }
    return TrialSettings.model_validate(values | more), []


def distances(*values: float | None) -> list[dict[str, float | None]]:
    return [{"distance": value} for value in values]


def test_weights_of_the_lowest_value_are_kept_though_dice_rises(tmp_path: Path) -> None:
    settings, told = scripted(tmp_path, distances(9.0, 3.0, None, 3.0, 8.0))
    outcome = fit(settings, report=told.append, checkpoint=Checkpoints(tmp_path))
    assert outcome.status is Status.COMPLETED
    best = Checkpoints(tmp_path).load_best()
    assert best is not None
    assert best["epoch"] == 3  # as low as epoch 1, with the higher Dice
    assert [epoch.val_dice for epoch in told] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_patience_waits_for_a_lower_value_by_more_than_the_least_change(tmp_path: Path) -> None:
    stopping = {"patience": 2, "min_delta": 0.5}
    settings, told = scripted(tmp_path, distances(9.0, 8.0, 7.8, 7.6, 1.0), early_stopping=stopping)
    assert fit(settings, report=told.append).status is Status.EARLY_STOPPED
    assert len(told) == 4


def test_first_validation_that_does_not_name_the_objective_fails_with_what_it_has(
    tmp_path: Path,
) -> None:
    settings, told = scripted(tmp_path, [{"distanse": 1.0, "other": 2.0}])
    with pytest.raises(InputError) as refused:
        fit(settings, report=told.append)
    assert str(refused.value) == (
        "objective.metric: the first validation returned no `distance`, only val_dice, distanse,"
        " other; did you mean `distanse`? (a metric that only some epochs measure is returned in"
        " the others as None)"
    )
    assert told == []


def test_epoch_without_a_value_counts_against_patience_and_is_never_the_best(
    tmp_path: Path,
) -> None:
    settings, told = scripted(
        tmp_path, distances(3.0, None, None, 2.0), early_stopping={"patience": 2}
    )
    outcome = fit(settings, report=told.append, checkpoint=Checkpoints(tmp_path))
    assert outcome.status is Status.EARLY_STOPPED
    assert len(told) == 3
    best = Checkpoints(tmp_path).load_best()
    assert best is not None
    assert best["epoch"] == 0


def test_own_trainer_measures_its_objective_in_every_epoch_and_the_rest_where_it_is_best(
    tmp_path: Path,
) -> None:
    settings = TrialSettings.model_validate(
        {
            "data": {"source": "shapes", "difficulty": 0, "size": 32, "count": 10},
            "trainer": {"epochs": 6, "batch_size": 4, "device": "cpu"},
            "network": {"name": "unet", "channels": [4, 8]},
            "optimizer": {"lr": 0.3, "momentum": 0.9},
            "loss": {"weights": {"compactness": 0.0, "boundary": 0.0, "aspect": 0.0}},
            "objective": "hd95",
        }
    )
    told: list[EpochMetrics] = []
    fit(settings, report=told.append, checkpoint=Checkpoints(tmp_path))
    curve = [epoch.metrics["hd95"] for epoch in told]
    assert None not in curve
    merits = [(-(epoch.metrics["hd95"] or 0), epoch.val_dice) for epoch in told]
    assert ["solidity" in epoch.metrics for epoch in told] == [
        merit not in merits[:n] and merit == max(merits[: n + 1]) for n, merit in enumerate(merits)
    ]
    best = Checkpoints(tmp_path).load_best()
    assert best is not None
    assert best["epoch"] == merits.index(max(merits))
