"""A parameter that acts on nothing in a trial is empty there, and drawn in no figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweep.analysis.effective_settings import idle
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.parameters.parallel_coordinates import parallel_coordinates
from sweep.analysis.parameters.slices import correlations
from sweep.analysis.ranking.ranking_frame import ranking_frame
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Status, TrialRecord

SPEC = SweepSpec.model_validate(
    {
        "name": "x",
        "searcher": "random",
        "presets": ["baseline"],
        "trainer": {"epochs": 30},
        "space": {
            "optimizer.name": {"choice": ["sgd", "adamw"]},
            "optimizer.momentum": {"uniform": [0.5, 0.99]},
            "loss.sqrt_epsilon": {"loguniform": [1e-8, 1e-2]},
            "loss.warmup_epochs": {"randint": [0, 40]},
        },
    }
)


def trial(number: int, dice: float, preset: str | None = None, **changes: Any) -> TrialRecord:
    parameters = {
        "optimizer.name": "sgd",
        "optimizer.momentum": 0.5 + 0.01 * number,
        "loss.sqrt_epsilon": 1e-6,
        "loss.warmup_epochs": 5,
    } | {key.replace("__", "."): value for key, value in changes.items()}
    return TrialRecord(
        trial_id=f"t{number:04d}",
        number=number,
        parameters=parameters,
        # Its best lies after the warm-up: what came before is credited to no setting of the loss.
        history=tuple(EpochMetrics(epoch=e, val_dice=dice if e == 5 else 0.0) for e in range(6)),
        outcome=Outcome(status=Status.COMPLETED),
        preset=preset,
    )


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (trial(0, 0.5), set()),
        (trial(0, 0.5, optimizer__name="adamw"), {"optimizer.momentum"}),
        (trial(0, 0.5, preset="baseline"), {"loss.sqrt_epsilon"}),  # patience counts from warm-up
        (trial(0, 0.5, loss__warmup_epochs=30), {"loss.sqrt_epsilon"}),  # never switches on
    ],
)
def test_what_acts_on_nothing_follows_from_the_other_settings(
    record: TrialRecord, expected: set[str]
) -> None:
    assert idle(SPEC, record) == expected
    assert idle(None, record) == set()


NO_WEIGHT = {f"loss.weights.{term}": 0.0 for term in ("compactness", "boundary", "aspect")}
NNUNET = {"trainer": {"kind": "nnunet", "dataset": 1, "epochs": 30, "configuration": "3d_fullres"}}
RAW = {"data": {"source": "nnunet_raw", "folder": "/x"}}
SOLIDITY = {"objective": {"metric": "solidity", "mode": "max"}}


@pytest.mark.parametrize(
    ("base", "key", "drawn", "is_idle"),
    [
        (RAW, "data.geometric_class", {}, False),
        (RAW, "data.geometric_class", NO_WEIGHT, True),
        (RAW | SOLIDITY, "data.geometric_class", NO_WEIGHT, False),
        (NNUNET, "trainer.geometric_class", {}, False),
        (NNUNET, "trainer.geometric_class", NO_WEIGHT, True),
        (NNUNET, "trainer.geometry", {}, False),
        (NNUNET, "trainer.geometry", NO_WEIGHT, True),
        (NNUNET, "trainer.geometry", {"trainer.configuration": "2d"}, True),
        (NNUNET, "trainer.geometry", {"loss.warmup_epochs": 30}, True),
    ],
)
def test_settings_of_the_geometric_losses_act_on_nothing_without_them(
    base: dict[str, Any], key: str, drawn: dict[str, Any], is_idle: bool
) -> None:
    values: list[Any] = ["slices", "volume"] if key == "trainer.geometry" else [1, 2]
    spec = SweepSpec.model_validate({"name": "x", **base, "space": {key: {"choice": values}}})
    record = TrialRecord(trial_id="t0000", number=0, parameters={key: values[1], **drawn})
    assert (key in idle(spec, record)) is is_idle


def test_a_warmup_of_nothing_counts_only_where_patience_does() -> None:
    without = SPEC.model_copy(
        update={"early_stopping": SPEC.early_stopping.model_copy(update={"patience": None})}
    )
    baseline = trial(0, 0.5, preset="baseline")
    assert idle(without, baseline) == {"loss.sqrt_epsilon", "loss.warmup_epochs"}


@pytest.mark.parametrize(("warmup", "is_idle"), [(29, False), (30, True)])
def test_warmup_of_a_baseline_that_outlasts_its_training_is_not_shown(
    warmup: int, is_idle: bool
) -> None:
    baseline = trial(0, 0.5, preset="baseline", loss__warmup_epochs=warmup)
    assert ("loss.warmup_epochs" in idle(SPEC, baseline)) is is_idle


def test_weight_of_0_is_no_setting_without_effect_where_the_warmup_has_none() -> None:
    weight, warmup = "loss.weights.compactness", "loss.warmup_epochs"
    spec = SweepSpec.model_validate(
        {
            "name": "x",
            "trainer": {"epochs": 6},  # shorter than the warm-up of the file, 20
            "loss": {"weights": {"boundary": 0, "aspect": 0}},
            "early_stopping": {"patience": None},
            "space": {
                weight: {"choice": [0, 0.1]},
                warmup: {"randint": [1, 5], "when": {weight: {"above": 0}}},
            },
        }
    )
    off = TrialRecord(trial_id="t0000", number=0, parameters={weight: 0})
    assert idle(spec, off) == {warmup}
    on = TrialRecord(trial_id="t0001", number=1, parameters={weight: 0.1, warmup: 6})
    assert idle(spec, on) == {weight}  # never switches on


def test_column_of_the_ranking_is_empty_where_the_parameter_does_nothing() -> None:
    records = [trial(0, 0.9), trial(1, 0.8, optimizer__name="adamw")]
    frame = ranking_frame(records, list(SPEC.space), SPEC)
    assert frame["optimizer.momentum"].isna().tolist() == [False, True]
    assert frame["loss.sqrt_epsilon"].isna().tolist() == [False, False]
    assert ranking_frame(records, list(SPEC.space))["optimizer.momentum"].notna().all()


def test_trend_is_that_of_the_trials_in_which_the_parameter_acts(tmp_path: Path) -> None:
    acting = [trial(n, 0.5 + 0.01 * n) for n in range(12)]
    idling = [trial(n, 0.9 - 0.01 * n, optimizer__name="adamw") for n in range(12, 24)]
    rho, _ = correlations(Results(tmp_path, SPEC, tuple(acting)))["optimizer.momentum"]
    assert rho == pytest.approx(1)
    both = Results(tmp_path, SPEC, (*acting, *idling))
    assert correlations(both)["optimizer.momentum"][0] == pytest.approx(1)
    figure = parallel_coordinates(both).figure
    assert figure is not None
    axis = next(d for d in figure.data[0].dimensions if d.label == "momentum")
    assert axis.ticktext[0] == "no effect"
    assert sum(value < 0 for value in axis.values) == len(idling)
