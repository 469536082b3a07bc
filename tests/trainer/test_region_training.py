"""Regions in our own trainer: losses, labels and metrics are nnU-Net's, from files to masks."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from cut_short import cut_short
from nnunetv2.evaluation.evaluate_predictions import region_or_label_to_mask
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from PIL import Image
from torch import Tensor, nn

import sweep
from sweep.data.nnunet_raw.pixels import RawCase, load_case, write_raw
from sweep.data.nnunet_raw.raw_dataset import open_raw
from sweep.data.nnunet_raw.regions import Labelled, Regions, class_mask
from sweep.data.prepared.case_arrays import resampled
from sweep.data.prepared.data_facts import DataFacts
from sweep.data.prepared.outline_length import perimeter, typical_perimeter
from sweep.data.prepared.prepare import prepare
from sweep.data.prepared.samples import CaseArrays, PreparedData, Samples
from sweep.data.prepared.unfit_data import unfit
from sweep.data.sources.source_table import check_data
from sweep.spec.settings.data_settings import NnunetRawData
from sweep.spec.settings.loss_settings import LossSettings, MainLoss
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.case_table import read_cases
from sweep.trainer.batches.foreground_places import ForegroundPlaces
from sweep.trainer.evaluation.case_metrics import CaseMetrics
from sweep.trainer.evaluation.inference import Inference
from sweep.trainer.evaluation.mean_network import mean_network
from sweep.trainer.evaluation.mirroring import mirrors
from sweep.trainer.evaluation.own_grid import regions_on_grid
from sweep.trainer.evaluation.validation_dice import DicePerCase
from sweep.trainer.losses.kervadec import kervadec, signed_distances
from sweep.trainer.losses.training_loss import TrainingLoss
from sweep.trainer.runs.reproduce import replay
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.trial.test_evaluation import evaluate
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.record import Status

NESTED = Regions(labels=((1, 2), (1,), (2,)), class_order=(1, 1, 2))  # whole, rim, core
REGIONS = Labelled(classes=("background", "whole", "rim", "core"), regions=NESTED)
NAMES = {"background": 0, "whole": [1, 2], "rim": 1, "core": 2}
IGNORE = 3


def batch(*shape: int, ignored: bool = False) -> tuple[Tensor, Tensor]:
    """Logits of the three regions, and labels whose last columns may be ignored."""
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 3, *shape, generator=generator)
    target = torch.randint(0, 3, (2, 1, *shape), generator=generator, dtype=torch.uint8)
    if ignored:
        target[..., -5:] = IGNORE
    return logits, target


def as_nnunet(target: Tensor, *, ignored: bool) -> Tensor:
    """The target that nnU-Net's ConvertSegmentationToRegionsTransform makes."""
    masks = [torch.isin(target, torch.tensor(own)) for own in NESTED.labels]
    return torch.cat([*masks, *([target == IGNORE] if ignored else [])], dim=1)


def loss_of(main: str, ignored: bool = False, number: int = 1, **settings: Any) -> TrainingLoss:
    given = LossSettings.model_validate({"main": main, **settings})
    return TrainingLoss(given, [number], ignore=IGNORE if ignored else None, regions=NESTED)


def of_nnunet(ignored: bool) -> nn.Module:
    dice = {"batch_dice": True, "smooth": 1e-5, "do_bg": True, "ddp": False}
    return DC_and_BCE_loss({}, dice, 1, 1, ignored, MemoryEfficientSoftDiceLoss)


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("shape", [(16, 20), (6, 16, 20)])
def test_dice_and_cross_entropy_are_those_of_nnunet(shape: tuple[int, ...], ignored: bool) -> None:
    logits, target = batch(*shape, ignored=ignored)
    expected = of_nnunet(ignored)(logits, as_nnunet(target, ignored=ignored))
    total, terms = loss_of("dice_ce", ignored)([logits], target, 0.0)
    assert terms.keys() == {"dice", "ce"}
    torch.testing.assert_close(total - 1, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("ignored", [False, True])
def test_deep_outputs_see_the_nearest_labels_as_regions(ignored: bool) -> None:
    logits, target = batch(16, 20, ignored=ignored)
    outputs = [logits, logits[..., ::2, ::2]]
    half = torch.nn.functional.interpolate(target.float(), (8, 10), mode="nearest-exact")
    pairs = zip(outputs, (target, half), (2 / 3, 1 / 3), strict=True)
    own = of_nnunet(ignored)
    expected = sum(share * own(out, as_nnunet(at, ignored=ignored)) for out, at, share in pairs)
    total, _ = loss_of("dice_ce", ignored)(outputs, target, 0.0)
    torch.testing.assert_close(total - 1, expected, atol=1e-6, rtol=0)


def test_focal_loss_is_binary_and_its_dice_that_of_nnunet() -> None:
    logits, target = batch(16, 20)
    _, focal = loss_of("dice_focal", focal_gamma=2)([logits], target, 0.0)
    _, plain = loss_of("dice_ce")([logits], target, 0.0)
    masks = as_nnunet(target, ignored=False)
    right = torch.where(masks, logits.sigmoid(), 1 - logits.sigmoid())  # p_t of Lin et al.
    torch.testing.assert_close(focal["focal"], (-((1 - right) ** 2) * right.log()).mean())
    assert focal["dice"] == plain["dice"]
    _, curved = loss_of("focal_logcosh_dice")([logits], target, 0.0)
    torch.testing.assert_close(curved["logcosh_dice"], plain["dice"].cosh().log())


@pytest.mark.parametrize("main", get_args(MainLoss))
def test_ignored_voxels_have_no_gradient_in_any_main_loss_or_shape_term(main: str) -> None:
    logits, target = batch(16, 20, ignored=True)
    logits.requires_grad_()
    total, _ = loss_of(main, ignored=True, min_area=0)([logits], target, 1.0)
    [gradient] = torch.autograd.grad(total, logits)
    assert gradient[..., -5:].eq(0).all()
    assert gradient[..., :-5].ne(0).any()


def test_shape_terms_act_on_the_sigmoid_of_one_region() -> None:
    logits, target = batch(16, 20)
    logits.requires_grad_()
    loss = loss_of("dice_ce", number=3, min_area=0)
    _, terms = loss([logits], target, 1.0)
    [gradient] = torch.autograd.grad(terms["boundary"], logits)
    assert gradient[:, 2].ne(0).any()
    assert gradient[:, :2].eq(0).all()
    areas = loss.soft_areas(logits)
    torch.testing.assert_close(areas, logits[:, [2]].sigmoid().sum(dim=(2, 3)))


def test_kervadecs_term_knows_the_outline_of_the_union() -> None:
    weights = {"compactness": 0, "boundary": 0, "aspect": 0, "kervadec": 1}
    logits, target = batch(16, 20)
    loss = loss_of("dice_ce", number=1, weights=weights)
    _, terms = loss([logits], target, 1.0, loss.distances(target, 1.0))
    distances = signed_distances((target > 0).byte(), 1)
    torch.testing.assert_close(terms["kervadec"], kervadec(logits[:, 0].sigmoid(), distances))


@pytest.mark.parametrize("regions", [NESTED, Regions(((1, 2, 3), (2, 3), (3,)), (1, 2, 3))])
def test_masks_are_those_of_nnunets_label_manager(regions: Regions) -> None:
    own = {f"r{n}": list(labels) for n, labels in enumerate(regions.labels)}
    manager = LabelManager({"background": 0, **own}, list(regions.class_order))
    logits = torch.randn(3, 5, 16, 20, generator=torch.Generator().manual_seed(0))
    for scores, are_logits in ((logits, True), (logits.sigmoid(), False)):
        given = manager.convert_logits_to_segmentation(logits)
        order = regions.class_order
        found = regions_on_grid(scores, (5, 16, 20), None, order, are_logits=are_logits)
        assert torch.equal(found, given.byte())
    assert len(found.unique()) > 2


def test_region_is_interpolated_before_it_is_cut() -> None:
    scores = torch.tensor([-1.0, 3.0]).reshape(1, 1, 1, 2)
    found = regions_on_grid(scores, (1, 1, 4), None, [7], are_logits=True)
    # Linear to -1, 0, 2, 3; a probability of 0.5 itself is outside, as in nnU-Net.
    assert found.flatten().tolist() == [0, 0, 7, 7]


def test_flips_average_sigmoids_and_an_ensemble_too() -> None:
    weights = torch.randn(3, 1, 3, 3, generator=torch.Generator().manual_seed(1))

    def network(images: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(images, weights, padding=1)

    images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    how: Any = {"device": torch.device("cpu"), "divisor": (1, 1), "regions": NESTED}
    flipped = Inference(network=network, tta="flips", **how).scores(images)
    each = [network(images.flip(axes)).sigmoid().flip(axes) for axes in mirrors(2)]
    torch.testing.assert_close(flipped, torch.stack(each).mean(dim=0))
    both = mean_network([network, lambda x: 3 * network(x)], regions=True)(images)
    mean = (network(images).sigmoid() + (3 * network(images)).sigmoid()) / 2
    torch.testing.assert_close(both.sigmoid(), mean)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_class_mask_is_nnunets(number: int) -> None:
    labels = np.random.default_rng(0).integers(0, 4, (6, 7), dtype=np.uint8)
    expected = region_or_label_to_mask(labels, NESTED.labels[number - 1])
    assert (class_mask(labels, number, NESTED) == expected).all()
    assert (class_mask(torch.from_numpy(labels), number, NESTED).numpy() == expected).all()
    assert (class_mask(labels, number, None) == (labels == number)).all()


def case_of(labels: list[list[int]]) -> CaseArrays:
    array = np.array([labels], np.uint8)
    return CaseArrays("a", np.zeros((1, 1, *array.shape[1:]), np.float32), array, (1, 2, 3))


def test_dice_and_voxels_of_overlapping_regions_by_hand() -> None:
    reference = torch.tensor([[1, 1, 2, 2, 0, 0, 0, 3]])
    prediction = torch.tensor([[1, 2, 2, 0, 1, 0, 0, 3]])  # 3 is ignored
    dice = DicePerCase(REGIONS)
    dice.add("a", prediction, reference)
    found = {one.label: one for one in dice.scores()}
    counts = {name: (one.n_reference, one.n_prediction) for name, one in found.items()}
    assert counts == {"whole": (4, 4), "rim": (2, 2), "core": (2, 2)}
    values = {name: one.values["dice"] for name, one in found.items()}
    assert values == {"whole": 6 / 8, "rim": 2 / 4, "core": 2 / 4}
    # Of seven voxels four are whole. Label 1 or 2 everywhere has the whole and one of its parts;
    # both parts at random, half and half, have the whole and half of each.
    whole, part = 2 * (4 / 7) / (4 / 7 + 1), 2 * (2 / 7) / (2 / 7 + 1)
    mixed = 2 * (2 / 7) * 0.5 / (2 / 7 + 0.5)
    assert dice.trivial() == pytest.approx(max((whole + part) / 3, (whole + 2 * mixed) / 3))


def test_trivial_dice_of_regions_is_reached_by_one_label_everywhere() -> None:
    reference = torch.zeros(1, 8, 8, dtype=torch.uint8)
    reference[:, 2:6, 2:6] = 2
    dice = DicePerCase(REGIONS)
    dice.add("a", torch.full_like(reference, 2), reference)
    assert dice.trivial() == pytest.approx(dice.mean())
    assert dice.predicted_classes() == 1  # though it is both the whole and the core


def test_outlines_and_places_are_those_of_the_union() -> None:
    case = case_of([[0] * 6, [0, 1, 1, 2, 2, 0], [0, 1, 1, 2, 2, 0], [0] * 6])
    mask = case.labels[0] > 0
    data = PreparedData(
        ("grey",),
        (1,),
        Samples([case]),
        Samples([]),
        classes=REGIONS.classes,
        regions=NESTED,
    )
    assert typical_perimeter(data) == perimeter(mask)
    places = ForegroundPlaces(Samples([case]), 1.0, seed=0, regions=NESTED)
    found = [{*part.tolist()} for part in places._found(0)]
    assert found == [{7, 8, 9, 10, 13, 14, 15, 16}, {7, 8, 13, 14}, {9, 10, 15, 16}]
    metrics = CaseMetrics({"hd95"}, data, (), {})
    metrics.add(case, np.where(mask[None], np.uint8(1), np.uint8(0)))
    hd95 = [metrics.values["a", number]["hd95"] for number in (1, 2, 3)]
    assert hd95[0] == 0  # the whole is right, whatever its parts are
    assert hd95[1] == 2
    assert hd95[2] == pytest.approx(np.hypot(4, 6), abs=2)  # nothing of the core: the diagonal


# A dataset from files to masks.


def write(folder: Path, *, ignored: bool = False, **changes: Any) -> Path:
    """Discs whose core is brighter than their rim."""
    rng = np.random.default_rng(0)
    cases = []
    for n in range(8):
        y, x = np.ogrid[:32, :32]
        away = np.hypot(y - 14 - n % 4, x - 15)
        label = np.where(away < 5, 2, np.where(away < 9, 1, 0)).astype(np.uint8)
        image = (label * 90 + rng.integers(1, 40, label.shape)).astype(np.uint8)
        if ignored:
            label[:, :6] = IGNORE
        cases.append(RawCase(f"c{n}", image[None], label))
    write_raw(folder, cases, name="nested", channel_names=["scan"], labels={}, file_ending=".png")
    file = folder / "dataset.json"
    description = json.loads(file.read_text())
    description |= {"labels": NAMES, "regions_class_order": [1, 1, 2]}
    if ignored:
        description["labels"] = NAMES | {"ignore": IGNORE}
    file.write_text(json.dumps(description | changes))
    return folder


def trial(folder: Path, **groups: dict[str, Any]) -> TrialSettings:
    given = {
        "data": {"source": "nnunet_raw", "folder": str(folder), "folds": 3},
        "trainer": {"epochs": 5, "batch_size": 4, "device": "cpu", "steps_per_epoch": 10},
        "network": {"channels": [8, 16, 16]},
        "optimizer": {"name": "adamw", "lr": 0.02},
        "loss": {"warmup_epochs": 2, "rampup_epochs": 1, "min_area": 4},
        "evaluation": {"metrics": ["iou", "hd95", "shape"], "every": 1},
    }
    return TrialSettings.model_validate(
        {key: value | groups.get(key, {}) for key, value in given.items()}
    )


@pytest.mark.parametrize("ignored", [False, True])
def test_trial_on_regions_learns_them_and_resumes_bit_for_bit(
    tmp_path: Path, ignored: bool
) -> None:
    settings = trial(
        write(tmp_path / "raw", ignored=ignored), data={"geometric_class": ["core", "whole"]}
    )
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole: list[Any] = []
    outcome = fit(settings, report=whole.append, checkpoint=Checkpoints(tmp_path / "whole"))
    assert outcome.status is Status.COMPLETED, outcome
    assert whole[-1].val_dice > 0.8 > whole[0].val_dice
    assert {"dice", "ce", "compactness"} <= whole[-1].terms.keys()
    cut_short(settings, 3, checkpoint=Checkpoints(tmp_path / "killed"))
    again: list[Any] = []
    fit(settings, report=again.append, checkpoint=Checkpoints(tmp_path / "killed"))
    assert [dataclasses.replace(one, seconds=0) for one in again] == [
        dataclasses.replace(one, seconds=0) for one in whole
    ]
    states = [Checkpoints(tmp_path / name).load_best() for name in ("whole", "killed")]
    for name, weights in states[0]["model"].items():
        assert torch.equal(weights, states[1]["model"][name])


@pytest.mark.parametrize("tta", ["none", "flips"])
def test_masks_hold_labels_and_score_as_in_the_training(tmp_path: Path, tta: str) -> None:
    raw = write(tmp_path / "raw", ignored=True)
    settings = trial(
        raw,
        trainer={"epochs": 3},
        data={"test": 0.25},
        evaluation={"tta": tta, "metrics": ["hd95"]},
    )
    trained = sweep.train(settings, name="nested", results=tmp_path, progress=False)
    kept = read_cases(trained.folder / "cases.csv")
    assert {one.label for one in kept} == {"whole", "rim", "core"}
    done = sweep.predict(
        trained, raw / "imagesTr", tmp_path / "out", labels=raw / "labelsTr", progress=False
    )
    assert done.scores is not None
    rows = done.scores.set_index(["case", "class"])
    for one in kept:
        row = rows.loc[one.case, one.label]
        assert row["dice"] == pytest.approx(one.values["dice"])
        assert row["hd95"] == pytest.approx(one.values["hd95"])
        assert (row["n_reference"], row["n_prediction"]) == (one.n_reference, one.n_prediction)
    weights = Checkpoints(trained.folder).load_best()
    assert weights is not None
    tested_cases = evaluate(settings, weights, prepare(settings.data))
    assert len(tested_cases) == 2
    for tested in tested_cases:
        for one in tested.classes:
            row = rows.loc[one.case, one.label]
            assert row["dice"] == pytest.approx(one.values["dice"])
    for mask in done.masks.values():
        found = np.unique(np.asarray(Image.open(mask)))
        assert set(found.tolist()) <= {0, 1, 2}
        assert len(found) == 3


def test_resampled_volumes_with_regions_are_scored_on_their_own_grid(tmp_path: Path) -> None:
    given = np.zeros((1, 12, 12), np.uint8)
    given[:, 2:10, 2:10], given[:, 4:8, 4:8] = 1, 2
    case = CaseArrays(
        "a", np.zeros((1, 1, 12, 12), np.float32), given, (1, 2, 3), spacing=(1.0, 1.0)
    )
    coarse = resampled(case, (2.0, 2.0), REGIONS)
    assert coarse.labels.shape == (1, 6, 6)
    assert coarse.foreground == (1, 2, 3)
    masks = torch.from_numpy(
        np.concatenate([class_mask(coarse.labels, n, NESTED) for n in (1, 2, 3)])
    )

    def perfect(images: Tensor) -> Tensor:
        return (20.0 * masks - 10)[None].expand(len(images), -1, -1, -1)

    how: Any = {"device": torch.device("cpu"), "divisor": (1, 1), "regions": NESTED}
    found = Inference(network=perfect, **how).classes(coarse)
    assert (found == given).all()


def test_diverged_step_of_regions_is_replayed_bit_for_bit(tmp_path: Path) -> None:
    settings = trial(
        write(tmp_path / "raw", ignored=True),
        loss={"sqrt_epsilon": 0, "min_area": 0},
        optimizer={"lr": 1e30},
        data={"geometric_class": "core"},
    )
    outcome = fit(settings, report=lambda _: None, checkpoint=Checkpoints(tmp_path))
    offending = Checkpoints(tmp_path).load_offending()
    assert outcome.divergence is not None
    assert offending is not None
    assert replay(settings, outcome.divergence, offending).is_exact


def test_facts_of_regions_survive_their_way_through_json(tmp_path: Path) -> None:
    data = prepare(trial(write(tmp_path / "raw", ignored=True)).data)
    facts = DataFacts.of(data)
    assert DataFacts.read(json.loads(json.dumps(facts.to_json()))) == facts
    assert facts.regions == data.regions == NESTED
    assert data.classes == ("background", "whole", "rim", "core")
    assert data.network_channels == 3
    for case in data.training.case_arrays:
        assert case.foreground == (1, 2, 3)
        assert (case.labels[..., :6] == IGNORE).all()


@pytest.mark.parametrize("wanted", [1, "cor", ["whole", 2]])
def test_geometric_class_of_regions_has_a_name_and_no_number(tmp_path: Path, wanted: Any) -> None:
    data = {"source": "nnunet_raw", "folder": str(write(tmp_path / "raw")), "folds": 4}
    settings = NnunetRawData.model_validate(data | {"geometric_class": wanted})
    [mistake] = check_data(settings)
    assert str(mistake).startswith("data.geometric_class: ")
    assert "is not the name of a region" in str(mistake)
    assert "(its regions: whole, rim, core)" in str(mistake)


def test_main_loss_of_a_plugin_is_refused_for_regions(tmp_path: Path) -> None:
    plugin = tmp_path / "own_loss.py"
    plugin.write_text("def mine(logits, target):\n    return logits.mean()\n")
    settings = trial(write(tmp_path / "raw"), loss={"main": f"{plugin}:mine"})
    [mistake] = unfit(settings, prepare(settings.data))
    assert str(mistake) == (
        "loss.main: the dataset has regions (whole, rim, core), which overlap, but a plug-in is"
        " given one class a voxel: choose one of our own main losses"
    )


def test_label_that_is_in_no_region_is_told_with_the_regions_of_the_others(tmp_path: Path) -> None:
    dataset = open_raw(write(tmp_path / "raw", ignored=True))
    assert dataset.labels == {"background": 0, "whole": 1, "rim": 2, "core": 3}
    without = dataclasses.replace(dataset, ignore=None)
    with pytest.raises(InputError) as error:
        load_case(without, "c0")
    assert "the value 3, but `labels` of dataset.json names only 0 (background)," in str(
        error.value
    )
    assert "1 (whole and rim), 2 (whole and core)" in str(error.value)
