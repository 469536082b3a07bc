"""The ignore label: what nobody has annotated is in no loss, no geometric mask and no metric."""

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from torch import Tensor

from sweep.data.nnunet_raw.pixels import RawCase, write_raw
from sweep.data.nnunet_raw.regions import Labelled
from sweep.data.prepared.prepare import prepare
from sweep.data.prepared.unfit_data import unfit
from sweep.data.sources.source_table import check_data
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.data_settings import NnunetRawData
from sweep.spec.settings.loss_settings import LossSettings, MainLoss
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.evaluation.validation_dice import DicePerCase
from sweep.trainer.losses.training_loss import TrainingLoss
from sweep.trainer.runs.monai_run import MonaiTraining

IGNORE = 2
WEIGHTS = {"compactness": 0.3, "boundary": 0.2, "aspect": 0.1}
NO_WEIGHTS = dict.fromkeys(WEIGHTS, 0.0)


def batch(*shape: int) -> tuple[Tensor, Tensor]:
    """Logits of two classes, and a target whose last columns are ignored."""
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 2, *shape, generator=generator)
    target = torch.randint(0, 2, (2, 1, *shape), generator=generator)
    target[..., -5:] = IGNORE
    return logits, target


def loss_of(main: str, ignore: int | None, **settings: Any) -> TrainingLoss:
    given = LossSettings.model_validate({"main": main, **settings})
    return TrainingLoss(given, [1], ignore=ignore)


@pytest.mark.parametrize("shape", [(16, 20), (6, 16, 20)])
def test_dice_and_cross_entropy_are_those_of_nnunet(shape: tuple[int, ...]) -> None:
    logits, target = batch(*shape)
    of_nnunet = DC_and_CE_loss(
        {"batch_dice": True, "smooth": 1e-5, "do_bg": False, "ddp": False},
        {},
        ignore_label=IGNORE,
        dice_class=MemoryEfficientSoftDiceLoss,
    )(logits, target)
    total, _ = loss_of("dice_ce", IGNORE)([logits], target, 0.0)
    torch.testing.assert_close(total - 1, of_nnunet, atol=1e-6, rtol=0)


@pytest.mark.parametrize("main", get_args(MainLoss))
@pytest.mark.parametrize("shape", [(16, 20), (6, 16, 20)])
def test_ignored_voxels_have_no_gradient_and_no_influence_on_the_main_loss(
    main: str, shape: Any
) -> None:
    loss = loss_of(main, IGNORE)
    values = []
    for there in (0.0, 7.0):
        logits, target = batch(*shape)
        logits[..., -5:] += there * torch.randn(logits[..., -5:].shape)
        logits.requires_grad_()
        total, _ = loss([logits], target, 0.0)
        total.backward()
        assert logits.grad is not None
        assert logits.grad[..., -5:].eq(0).all()
        assert logits.grad[..., :-5].ne(0).any()
        values.append((total.item(), logits.grad[..., :-5].clone()))
    assert values[0][0] == values[1][0]
    torch.testing.assert_close(values[0][1], values[1][1], rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(16, 20), (6, 16, 20)])
def test_shape_terms_look_at_the_whole_prediction_and_move_nothing_in_ignored_voxels(
    shape: Any,
) -> None:
    logits, target = batch(*shape)
    logits.requires_grad_()
    _, terms = loss_of("dice_ce", IGNORE, weights=WEIGHTS, min_area=0)([logits], target, 1.0)
    _, whole = loss_of("dice_ce", None, weights=WEIGHTS, min_area=0)(
        [logits], target.clamp(max=1), 1.0
    )
    for name in WEIGHTS:
        assert terms[name].item() == whole[name].item()
    [gradient] = torch.autograd.grad(sum(terms[name] for name in WEIGHTS), logits)
    assert gradient[..., -5:].eq(0).all()
    assert gradient[..., :-5].ne(0).any()


@pytest.mark.parametrize("main", get_args(MainLoss))
def test_main_losses_over_all_voxels_are_those_without_an_ignore_label(main: str) -> None:
    logits, target = batch(16, 20)
    target[target == IGNORE] = 1
    plain, _ = loss_of(main, None)([logits], target, 0.0)
    total, _ = loss_of(main, IGNORE)([logits], target, 0.0)
    torch.testing.assert_close(total, plain, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("main", get_args(MainLoss))
def test_batch_that_is_ignored_as_a_whole_teaches_nothing(main: str) -> None:
    logits, target = batch(16, 20)
    logits.requires_grad_()
    loss = loss_of(main, IGNORE, weights=WEIGHTS, sqrt_epsilon=1e-6)
    target = torch.full_like(target, IGNORE)
    total, _ = loss([logits], target, 1.0, loss.distances(target, 1.0))
    total.backward()
    assert logits.grad is not None
    assert logits.grad.eq(0).all()


PIXELWISE = """
from torch import nn

def pixelwise(channels, classes):
    return nn.Conv2d(channels, classes, 1)
"""


def write(folder: Path, ignored: int) -> Path:
    """Bright discs, with a stripe that nobody has annotated and that holds pixels of a seed."""
    rng, there = np.random.default_rng(0), np.random.default_rng(ignored)
    cases = []
    for n in range(6):
        y, x = np.ogrid[:24, :24]
        disc = (y - 10 - n % 3) ** 2 + (x - 10) ** 2 <= 36
        image = (disc * 90 + rng.integers(1, 100, disc.shape)).astype(np.uint8)
        image[0, :2] = 0, 255  # the same extremes whatever the stripe holds
        label = disc.astype(np.uint8)
        label[:, 14:18] = IGNORE
        image[:, 14:18] = there.integers(0, 256, (24, 4))
        cases.append(RawCase(f"c{n}", image[None], label))
    write_raw(
        folder,
        cases,
        name="stripes",
        channel_names=["scan"],
        labels={"background": 0, "disc": 1, "ignore": IGNORE},
        file_ending=".png",
    )
    return folder


def trained(folder: Path, plugin: Path) -> tuple[dict[str, Tensor], Any]:
    settings = TrialSettings.model_validate(
        {
            "data": {
                "source": "nnunet_raw",
                "folder": str(folder),
                "folds": 2,
                "normalization": "minmax",
            },
            "trainer": {"epochs": 8, "batch_size": 1, "device": "cpu"},
            "network": {"name": f"{plugin}:pixelwise"},
            "optimizer": {"name": "adamw", "lr": 0.3},
            "loss": {"warmup_epochs": 1, "rampup_epochs": 0, "weights": NO_WEIGHTS},
            "evaluation": {"metrics": ["iou", "hd95", "shape"], "every": 1},
        }
    )
    data = prepare(settings.data)
    assert data.ignore == IGNORE
    assert data.classes == ("background", "disc")
    run = MonaiTraining(settings, data)
    for epoch in range(8):
        metrics = run.run_epoch(epoch)
    found = run.measured(metrics, best=True)
    return {k: v.clone() for k, v in run.model.state_dict().items()}, (
        found.val_dice,
        found.metrics,
    )


def test_training_does_not_depend_on_a_bit_of_what_is_ignored(tmp_path: Path) -> None:
    plugin = tmp_path / "pixelwise_network.py"
    plugin.write_text(PIXELWISE)
    first, second = (trained(write(tmp_path / f"raw{n}", n), plugin) for n in (1, 2))
    assert first[0].keys() == second[0].keys()
    for name, weights in first[0].items():
        torch.testing.assert_close(weights, second[0][name], rtol=0, atol=0)
    assert first[1] == second[1]
    assert first[1][0] > 0


def test_voxels_that_are_ignored_are_kept_in_the_labels_and_are_no_class(tmp_path: Path) -> None:
    settings = NnunetRawData(source="nnunet_raw", folder=str(write(tmp_path / "raw", 1)), folds=2)
    assert check_data(settings) == []
    data = prepare(settings, tmp_path / "cache")
    for case in (*data.training.case_arrays, *data.validation.case_arrays):
        assert case.foreground == (1,)
        assert (case.labels[..., 14:18] == IGNORE).all()


def test_ignore_label_has_to_be_the_highest(tmp_path: Path) -> None:
    folder = write(tmp_path / "raw", 1)
    description = json.loads((folder / "dataset.json").read_text())
    description["labels"]["ignore"] = 3
    (folder / "dataset.json").write_text(json.dumps(description))
    [mistake] = check_data(NnunetRawData(source="nnunet_raw", folder=str(folder), folds=2))
    assert "the label `ignore` must be 2, the highest one and no list, but is 3" in str(mistake)


def test_main_loss_of_a_plugin_is_refused_beside_an_ignore_label(tmp_path: Path) -> None:
    plugin = tmp_path / "own_loss.py"
    plugin.write_text("def mine(logits, target):\n    return logits.mean()\n")
    folder = write(tmp_path / "raw", 1)
    settings = TrialSettings.model_validate(
        {
            "data": {"source": "nnunet_raw", "folder": str(folder), "folds": 2},
            "loss": {"main": f"{plugin}:mine"},
        }
    )
    [mistake] = unfit(settings, prepare(settings.data))
    assert str(mistake).startswith(
        "loss.main: the dataset has an `ignore` label (2), but a plug-in"
    )


@pytest.mark.parametrize("is_searched", [False, True])
def test_kervadecs_term_is_refused_beside_ignored_voxels_also_where_it_is_searched(
    tmp_path: Path, is_searched: bool
) -> None:
    folder = write(tmp_path / "raw", 1)
    values: dict[str, Any] = {"data": {"source": "nnunet_raw", "folder": str(folder), "folds": 2}}
    if is_searched:
        weight = {"loguniform": [1e-3, 1.0]}
        sweep = {"name": "x", "trials": 2, "space": {"loss.weights.kervadec": weight}}
        settings: TrialSettings = SweepSpec.model_validate(values | sweep)
    else:
        settings = TrialSettings.model_validate(values | {"loss": {"weights": {"kervadec": 0.1}}})
    [mistake] = unfit(settings, prepare(settings.data))
    assert str(mistake).startswith("loss.weights.kervadec: must be 0 where the dataset has")


def test_case_of_which_nothing_is_annotated_does_not_count_in_the_trivial_dice() -> None:
    dice = DicePerCase(Labelled(classes=("background", "disc")))
    half = torch.tensor([[0, 1], [0, 1]], dtype=torch.uint8)
    dice.add("half", half, half)
    expected = dice.trivial()
    nothing = torch.full((2, 2), IGNORE, dtype=torch.uint8)
    dice.add("nothing", nothing, nothing)
    assert dice.trivial() == expected
    only = DicePerCase(Labelled(classes=("background", "disc")))
    only.add("nothing", nothing, nothing)
    assert only.trivial() is None
