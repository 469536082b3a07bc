"""``cases.csv``: the best epoch of a trial, per case and class, through interruptions too."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cut_short import cut_short
from torch import Tensor

from sweep.api.results import TrialResult
from sweep.data.prepared.prepare import prepare
from sweep.data.prepared.samples import CaseArrays, OwnGrid, PreparedData, Samples
from sweep.data.prepared.unfit_data import unfit
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.case_table import read_cases
from sweep.store.layout import TrialPaths
from sweep.trainer.evaluation.inference import Inference
from sweep.trainer.evaluation.kept_predictions import KeptPredictions
from sweep.trainer.evaluation.surface_distances import SurfaceDistances
from sweep.trainer.runs.monai_run import MonaiTraining
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.trial.test_evaluation import evaluate
from sweep.trial.warmup_snapshots import Trunk
from sweep.vocabulary.class_scores import mean_over_classes
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError, ResultsError
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import TrialRecord

MakeTrial = Callable[..., TrialSettings]


def train(config: TrialSettings, folder: Path) -> list[EpochMetrics]:
    folder.mkdir(exist_ok=True)
    history: list[EpochMetrics] = []
    fit(config, report=history.append, checkpoint=Checkpoints(folder))
    return history


def test_it_is_a_recomputation_from_the_weights_of_the_best_epoch(
    trial: MakeTrial, tmp_path: Path
) -> None:
    config = trial("optimizer.lr=0.02")
    history = train(config, tmp_path / "t0000")
    kept = read_cases(tmp_path / "t0000" / "cases.csv")
    weights = Checkpoints(tmp_path / "t0000").load_best()
    assert weights is not None
    again = MonaiTraining(config, prepare(config.data))
    again.model.load_state_dict(weights["model"])
    assert again.score({"hd95", "nsd"}) == kept
    assert [score.case for score in kept] == list(again.data.validation.cases)
    best = history[weights["epoch"]]
    assert mean_over_classes(kept, "dice") == best.val_dice
    for name in ("iou", "hd95", "nsd"):
        assert mean_over_classes(kept, name) == best.metrics[name]
    for score, case in zip(kept, again.data.validation.case_arrays, strict=True):
        assert score.n_reference == int((case.reference == 1).sum())


def test_interrupted_trial_ends_with_the_same_table(trial: MakeTrial, tmp_path: Path) -> None:
    config = trial("optimizer.lr=0.02")
    train(config, tmp_path / "whole")
    for epochs in (1, 3):
        (folder := tmp_path / str(epochs)).mkdir()
        cut_short(config, epochs, checkpoint=Checkpoints(folder))
        assert (folder / "cases.csv").exists()
        train(config, folder)
        assert _table(folder) == _table(tmp_path / "whole")


def test_trial_that_starts_from_a_shared_warmup_has_the_table_of_its_best_epoch(
    trial: MakeTrial, tmp_path: Path
) -> None:
    config = trial("optimizer.lr=0.5", "loss.warmup_epochs=3")
    for name in ("first", "second"):
        paths = TrialPaths(tmp_path / name)
        paths.folder.mkdir()
        trunk = Trunk.of(config, paths, tmp_path / "trunks", range(9))
        fit(config, checkpoint=Checkpoints(paths.folder), trunk=trunk)
    assert _table(tmp_path / "second") == _table(tmp_path / "first")


def _table(folder: Path) -> str:
    return (folder / "cases.csv").read_text()


def test_python_gets_it_as_a_frame(trial: MakeTrial, tmp_path: Path) -> None:
    config = trial("trainer.epochs=1")
    train(config, tmp_path / "t0000")
    record = TrialRecord(trial_id="t0000", number=0, parameters={})
    frame = TrialResult(record, tmp_path / "t0000").cases
    names = ["case", "class", "dice", "iou", "hd95", "nsd", "n_reference", "n_prediction"]
    assert list(frame.columns) == names
    assert frame["class"].tolist() == ["circle"] * len(frame)
    assert frame["dice"].tolist() == [
        score.values["dice"] for score in read_cases(tmp_path / "t0000" / "cases.csv")
    ]
    (tmp_path / "t0000" / "cases.csv").unlink()
    with pytest.raises(ResultsError, match="t0000 has no"):
        _ = TrialResult(record, tmp_path / "t0000").cases


def test_test_split_is_measured_by_the_same_code(trial: MakeTrial) -> None:
    config = trial("data.test=0.2", "trainer.epochs=1")
    data = prepare(config.data)
    run = MonaiTraining(config, data)
    run.run_epoch(0)
    scores = evaluate(config, {"model": run.weights()}, data)
    assert [score.case for score in scores] == list(data.test.cases)
    for score in scores:
        [only] = score.classes
        assert (score.dice, score.hd95) == (only.values["dice"], only.values["hd95"])
        assert only.values.keys() == {"dice", "iou", "hd95", "nsd"}
    # The validation cases, scored as if they were a test split, are what the validation said.
    swapped = evaluate(config, {"model": run.weights()}, _swapped(data))
    run.measured(EpochMetrics(epoch=0, val_dice=None), best=True)
    assert tuple(one for score in swapped for one in score.classes) == run.class_scores()


def _swapped(data: PreparedData) -> PreparedData:
    return replace(data, test=data.validation, validation=data.test)


def test_slices_of_volumes_are_scored_as_volumes_in_their_millimetres(
    trial: MakeTrial, tmp_path: Path
) -> None:
    def volumes(*names: str) -> Samples:
        label = np.zeros((5, 16, 16), np.uint8)
        label[1:4, 4:12, 3:9] = 1
        noise = np.random.default_rng(0).normal(size=(5, 1, 16, 16))
        images = (label[:, None] + noise).astype(np.float32)
        return Samples([CaseArrays(name, images, label, (1,), (3.0, 0.5, 0.5)) for name in names])

    data = PreparedData(("grey",), (1,), volumes("a"), volumes("b"), classes=("background", "box"))
    history: list[EpochMetrics] = []
    config = trial("trainer.epochs=2", "objective=hd95")
    fit(config, report=history.append, checkpoint=Checkpoints(tmp_path), data=data)
    best = min(history, key=lambda epoch: epoch.metrics["hd95"] or 0)
    assert best.distance_unit == "mm"
    [score] = read_cases(tmp_path / "cases.csv")
    weights = Checkpoints(tmp_path).load_best()
    assert weights is not None
    run = MonaiTraining(config, data)
    run.model.load_state_dict(weights["model"])
    run.dice_per_case()
    [(case, prediction)] = run.predictions()
    masks = prediction == 1, case.reference == 1
    distances = SurfaceDistances.between(*masks, (3.0, 0.5, 0.5))
    assert score.values["hd95"] == best.metrics["hd95"] == distances.hausdorff()
    assert score.values["nsd"] == distances.surface_dice(1.0)
    assert (score.n_reference, score.n_prediction) == (3 * 8 * 6, int(masks[0].sum()))


# Batches of slices.


def case_of(name: str, slices: int, height: int = 6, width: int = 5, seed: int = 0) -> CaseArrays:
    images = np.random.default_rng(seed).normal(size=(slices, 1, height, width))
    labels = np.zeros((slices, height, width), np.uint8)
    return CaseArrays(name, images.astype(np.float32), labels, ())


class Counted:
    """A network that looks at one pixel at a time, so that batches change no bit."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, images: Tensor) -> Tensor:
        self.shapes.append(tuple(images.shape))
        return torch.cat([0 * images, images, 2 * images - 1], dim=1)


def inference(network: Counted, batch_size: int) -> Inference:
    return Inference(
        network=network, device=torch.device("cpu"), divisor=(1, 1), batch_size=batch_size
    )


def test_slices_of_one_size_go_through_the_network_together_also_those_of_several_cases() -> None:
    cases = [
        case_of("a", 5, seed=1),
        case_of("b", 1, seed=2),
        case_of("c", 3, seed=3),
        case_of("d", 2, height=8, seed=4),
        case_of("e", 2, seed=5),
    ]
    network = Counted()
    found = list(inference(network, 4).predictions(iter(cases)))
    assert [shape[0] for shape in network.shapes] == [4, 4, 1, 2, 2]
    assert [case.name for case, _ in found] == ["a", "b", "c", "d", "e"]
    for case, classes in found:
        x = case.images[:, 0]
        assert np.array_equal(classes, np.stack([0 * x, x, 2 * x - 1]).argmax(0))
        assert np.array_equal(inference(Counted(), 1).classes(case), classes)


def test_large_slices_go_one_by_one_on_a_cpu() -> None:
    network = Counted()
    case = case_of("a", 3, height=300, width=300)
    list(inference(network, 8).predictions([case]))
    assert [shape[0] for shape in network.shapes] == [1, 1, 1]


def test_resampled_case_is_predicted_on_its_own_grid() -> None:
    case = case_of("a", 2, 4, 4)
    case.images[:, :, :, :2] = -5
    case.images[:, :, :, 2:] = 5
    own = OwnGrid(np.zeros((2, 8, 12), np.uint8), (1.0, 0.5, 0.5))
    resampled = CaseArrays("a", case.images, case.labels, (), (1.0, 1.0, 1.5), own)
    classes = inference(Counted(), 3).classes(resampled)
    assert classes.shape == (2, 8, 12)
    assert np.array_equal(classes[..., :6], np.zeros((2, 8, 6)))
    assert np.array_equal(classes[..., 6:], np.full((2, 8, 6), 2))


def test_predictions_are_kept_as_they_are() -> None:
    kept = KeptPredictions()
    masks = [torch.randint(0, 3, (n, 4, 3), dtype=torch.uint8) for n in (1, 3, 2)]
    for mask in masks:
        kept.add(mask)
    for _ in range(2):
        assert all(np.array_equal(*pair) for pair in zip(kept, masks, strict=True))


# Tolerances.


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("-1", "must be a number of at least 0, in mm"),
        ("wide", 'but is "wide"'),
        ("true", "but is true"),
        ("{}", "must have a tolerance for at least one class"),
        ("{circle: thin}", "the tolerance of `circle` must be a number"),
    ],
)
def test_tolerance_that_is_none_is_refused_in_words(
    trial: MakeTrial, written: str, message: str
) -> None:
    with pytest.raises(InputError) as refused:
        trial(f"evaluation.nsd_tolerance={written}")
    [mistake] = refused.value.mistakes
    assert mistake.key == "evaluation.nsd_tolerance"
    assert message in mistake.message


def test_tolerance_of_an_unknown_class_names_the_one_that_is_meant(trial: MakeTrial) -> None:
    config = trial("evaluation.nsd_tolerance={cirlce: 2}")
    [mistake] = unfit(config, prepare(config.data))
    assert mistake.key == "evaluation.nsd_tolerance.cirlce"
    assert "did you mean `circle`?" in mistake.message
    assert unfit(trial("evaluation.nsd_tolerance={circle: 2}"), prepare(config.data)) == []
    assert trial("evaluation.nsd_tolerance=2").evaluation.nsd_tolerance == 2.0


# One class as the objective.


def test_objective_of_one_class_is_its_mean_over_the_cases_in_every_epoch(
    trial: MakeTrial, tmp_path: Path
) -> None:
    history = train(trial("objective=val_dice[circle]"), tmp_path / "dice")
    assert [epoch.metrics["val_dice[circle]"] for epoch in history] == [
        epoch.val_dice for epoch in history
    ]
    history = train(trial("objective=hd95[circle]"), tmp_path / "hd95")
    assert all(epoch.metrics["hd95[circle]"] == epoch.metrics["hd95"] for epoch in history)
    best = Objective("hd95[circle]", "min").best(history)
    weights = Checkpoints(tmp_path / "hd95").load_best()
    assert best is not None
    assert weights is not None
    assert weights["epoch"] == best.epoch
    assert (
        mean_over_classes(read_cases(tmp_path / "hd95" / "cases.csv"), "hd95")
        == (best.metrics["hd95"])
    )


def test_objective_of_a_class_that_the_data_lack_is_refused(trial: MakeTrial) -> None:
    config = trial("objective=nsd[cirlce]")
    [mistake] = unfit(config, prepare(config.data))
    assert mistake.key == "objective.metric"
    assert "no class `cirlce`; did you mean `circle`?" in mistake.message


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("solidity[circle]", "shapes are not measured per class: write `solidity`"),
        ("dise[circle]", "must be `val_dice`, `iou`"),
    ],
)
def test_objective_of_a_class_needs_a_metric_of_classes(
    trial: MakeTrial, written: str, message: str
) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        trial(f"objective={{metric: '{written}', mode: max}}")
