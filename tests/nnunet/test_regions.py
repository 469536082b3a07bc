"""Regions and ignored voxels: nnU-Net's own loss beside ours, and a real dataset with both."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss, DC_and_CE_loss
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from PIL import Image
from torch import Tensor, nn

from sweep.data.nnunet_raw.regions import Regions
from sweep.nnunet.real_validation import real_validation
from sweep.nnunet.training.nnunet_loss import NnunetLoss
from sweep.nnunet.training.pseudo_validation import Answers
from sweep.nnunet.training.trainer_limits import geometric_channels
from sweep.spec.settings.geometric_terms import GeometricWeights
from sweep.spec.settings.loss_settings import LossSettings
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.layout import TrialPaths
from sweep.trainer.losses.geometric_loss import geometric_terms
from sweep.trainer.losses.main_losses import build_main_loss
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.trial.trainer_check import TrainerCheck
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.record import Status

SETTINGS = LossSettings(
    weights=GeometricWeights(compactness=0.3, boundary=0.2, aspect=0.1), min_area=5.0
)
SHARES = (4 / 7, 2 / 7, 1 / 7, 0.0)


def own(*, ignored: bool = False, supervised: bool = False) -> nn.Module:
    """What nnU-Net builds for regions."""
    dice = {"batch_dice": True, "smooth": 1e-5, "do_bg": True, "ddp": False}
    pair = DC_and_BCE_loss({}, dice, 1, 1, ignored, MemoryEfficientSoftDiceLoss)
    return DeepSupervisionWrapper(pair, SHARES) if supervised else pair


def own_classes(ignore_label: int) -> nn.Module:
    dice = {"batch_dice": True, "smooth": 1e-5, "do_bg": False, "ddp": False}
    return DC_and_CE_loss(dice, {}, 1, 1, ignore_label, MemoryEfficientSoftDiceLoss)


def example(*size: int, channels: int = 2, ignored: bool = False) -> tuple[Tensor, Tensor]:
    """Logits ``[3, C, …]`` of nested blobs, and regions, with the left column ignored."""
    generator = torch.Generator().manual_seed(len(size))
    target = torch.zeros(3, channels, *size, dtype=torch.bool)
    for channel in range(channels):
        depth = 4 - channel
        inside = tuple(slice(n // depth, n - n // depth) for n in size)
        target[(slice(None), channel, *inside)] = True
    noise = torch.randn(3, channels, *size, generator=generator)
    logits = (noise + 6 * target - 3).requires_grad_()
    if ignored:
        mask = torch.zeros(3, 1, *size, dtype=torch.bool)
        mask[..., : size[-1] // 3] = True
        target = torch.cat([target, mask], dim=1)
    return logits, target


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("supervised", [False, True])
def test_in_the_warmup_the_loss_of_regions_is_nnunets_and_its_terms_add_up(
    ignored: bool, supervised: bool
) -> None:
    sizes = (32, 16, 8, 4) if supervised else (32,)
    outputs, targets = zip(*(example(n, n, ignored=ignored) for n in sizes), strict=True)
    given: tuple[Any, Any] = (outputs, targets) if supervised else (outputs[0], targets[0])
    ignore = 9 if ignored else None
    loss = NnunetLoss(
        own(ignored=ignored, supervised=supervised), SETTINGS, 0, regions=True, ignore_label=ignore
    )
    total = loss(*given).item()
    assert total == own(ignored=ignored, supervised=supervised)(*given).item()
    terms = {name: value.item() for name, value in loss.terms.items()}
    assert terms.keys() == {"dice", "ce"}
    assert terms["dice"] - 1 + terms["ce"] == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize("ignored", [False, True])
def test_focal_loss_of_regions_is_that_of_our_own_trainer(ignored: bool) -> None:
    logits, target = example(32, 32, ignored=ignored)
    # The second region lies in the first: label 1 is in the first alone, 2 in both.
    labels = (target[:, 0].long() + target[:, 1].long())[:, None]
    regions = Regions(labels=((1, 2), (2,)), class_order=(1, 2))
    ignore = 9 if ignored else None
    if ignored:
        labels = torch.where(target[:, -1:], 9, labels)
    settings = LossSettings(main="dice_focal")
    loss = NnunetLoss(own(ignored=ignored), settings, (0,), regions=True, ignore_label=ignore)
    total = loss(logits, target)
    ours = build_main_loss(settings, ignore, regions)["focal"].value(logits, labels).item()
    assert loss.terms["focal"].item() == pytest.approx(ours, abs=1e-6)
    assert total.item() == pytest.approx(loss.terms["dice"].item() - 1 + ours, abs=1e-6)


@pytest.mark.parametrize("channel", [0, 1])
@pytest.mark.parametrize("size", [(32, 32), (4, 16, 16)])
def test_terms_act_on_the_sigmoid_channel_of_one_region(
    channel: int, size: tuple[int, ...]
) -> None:
    logits, target = example(*size)
    loss = NnunetLoss(own(), SETTINGS, [channel], regions=True)
    loss.factor = 1.0
    loss(logits, target)
    expected = geometric_terms(SETTINGS, torch.sigmoid(logits[:, channel]))
    for name, value in expected.items():
        assert loss.terms[name].item() == pytest.approx(value.item(), rel=1e-6)
    total = torch.stack([loss.terms[name] for name in expected]).sum()
    [gradient] = torch.autograd.grad(total, logits)
    assert gradient[:, channel].abs().max() > 0
    assert gradient[:, 1 - channel].abs().max() == 0


def test_kervadecs_term_takes_the_outline_of_the_region() -> None:
    weights = GeometricWeights(compactness=0, boundary=0, aspect=0, kervadec=1)
    settings = LossSettings(weights=weights)
    logits, target = example(16, 16)
    loss = NnunetLoss(own(), settings, [1], regions=True)
    loss.factor = 1.0
    loss(logits, target)
    # The same outline as the class 1 of two classes, whose softmax is that sigmoid.
    pair = torch.stack([torch.zeros_like(logits[:, 1]), logits[:, 1]], dim=1)
    alone = NnunetLoss(own_classes(7), settings, [1])
    alone.factor = 1.0
    alone(pair, target[:, 1:].float())
    assert loss.terms["kervadec"].item() == pytest.approx(alone.terms["kervadec"].item(), rel=1e-5)


@pytest.mark.parametrize("regions", [False, True])
def test_ignored_voxels_get_no_gradient_and_the_shape_is_that_of_the_whole(regions: bool) -> None:
    logits, target = example(32, 32, ignored=True)
    if regions:
        loss = NnunetLoss(own(ignored=True), SETTINGS, [1], regions=True, ignore_label=9)
        p = torch.sigmoid(logits[:, 1])
    else:
        labels = target[:, 1:2].float()
        labels[target[:, 2:]] = 2
        loss = NnunetLoss(own_classes(2), SETTINGS, [1], ignore_label=2)
        p, ignored = logits.softmax(dim=1)[:, 1], target[:, 2]
        target = labels
    loss.factor = 1.0
    total = loss(logits, target)
    expected = geometric_terms(SETTINGS, p)
    for name, value in expected.items():
        assert loss.terms[name].item() == pytest.approx(value.item(), rel=1e-6)
    [gradient] = torch.autograd.grad(total, logits)
    ignored = target[:, 2] if regions else ignored
    assert (gradient * ignored[:, None]).abs().max() == 0
    counted = ~ignored[:, None].expand_as(gradient)
    assert gradient[counted].abs().min() > 0


def test_region_is_chosen_by_its_name_and_the_first_by_default() -> None:
    labels = {"background": 0, "whole": [1, 2], "core": [2], "rim": 1, "ignore": 3}
    description = {"labels": labels, "regions_class_order": [1, 2, 1]}
    found = {name: geometric_channels(description, name, "x") for name in ("whole", "core", "rim")}
    assert found == {"whole": (0,), "core": (1,), "rim": (2,)}
    assert geometric_channels(description, ("rim", "whole"), "x") == (2, 0)
    assert geometric_channels(description, "all", "x") == (0, 1, 2)
    assert geometric_channels(description, None, "x") == (0,)
    for wrong in ("cor", 2, "ignore", "background"):
        with pytest.raises(InputError) as error:
            geometric_channels(description, wrong, "x")
        assert str(error.value).startswith("trainer.geometric_class: ")
        assert "(its regions: whole, core, rim)" in str(error.value)


def test_counts_of_regions_may_overlap() -> None:
    target = torch.zeros(1, 3, 4, 4, dtype=torch.bool)
    target[:, 0] = True  # fills the patch
    target[:, 1, :2] = True
    target[:, 2, 0] = True  # ignored
    answers = Answers(9, regions=True)
    answers.look_at({"target": [target]})
    counts = {"tp_hard": [12.0, 4.0], "fp_hard": [0.0, 0.0], "fn_hard": [0.0, 0.0]}
    answers.add([{key: np.array(value, np.float32) for key, value in counts.items()}])
    assert answers.predicted_classes() == 2  # and no background
    assert answers.trivial() == pytest.approx((1 + 2 * (4 / 12) / (1 + 4 / 12)) / 2)


# A real dataset: a disc with a core, and a stripe that nobody has annotated.

NAME, PLANNED = "Dataset777_Regions", "Dataset502_Shapes_One"


@pytest.fixture(scope="module")
def nested(preprocessed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """nnU-Net's raw and preprocessed folders.

    Preprocessed by nnU-Net in this process, by the plans of Dataset502, whose images are alike: its
    own processes would take half a minute to start.
    """
    base = tmp_path_factory.mktemp("regions")
    raw, done, planned = base / "raw" / NAME, base / "done" / NAME, preprocessed / PLANNED
    _write(raw)
    shutil.copytree(raw / "labelsTr", done / "gt_segmentations")
    shutil.copy(raw / "dataset.json", done)
    shutil.copy(planned / "dataset_fingerprint.json", done)
    plans = json.loads((planned / "nnUNetPlans.json").read_text()) | {"dataset_name": NAME}
    (done / "nnUNetPlans.json").write_text(json.dumps(plans))
    manager = PlansManager(plans)
    folder = done / "nnUNetPlans_2d"
    folder.mkdir()
    for label in sorted((raw / "labelsTr").iterdir()):
        image = raw / "imagesTr" / f"{label.stem}_0000.png"
        configuration, description = manager.get_configuration("2d"), str(raw / "dataset.json")
        DefaultPreprocessor(verbose=False).run_case_save(
            str(folder / label.stem), [str(image)], str(label), manager, configuration, description
        )
    return raw.parent, done.parent


def _write(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    y, x = np.mgrid[:32, :32]
    for number in range(6):
        away = np.hypot(*(axis - rng.integers(13, 19) for axis in (y, x)))
        label = np.where(away < 4, 2, np.where(away < 9, 1, 0)).astype(np.uint8)
        image = (label * 80 + rng.normal(40, 8, label.shape)).clip(0, 255).astype(np.uint8)
        label[:, :6] = 3
        Image.fromarray(image).save(folder / "imagesTr" / f"c{number}_0000.png")
        Image.fromarray(label).save(folder / "labelsTr" / f"c{number}.png")
    description = {
        "channel_names": {"0": "grey"},
        "labels": {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3},
        "regions_class_order": [1, 2],
        "numTraining": 6,
        "file_ending": ".png",
    }
    (folder / "dataset.json").write_text(json.dumps(description))


@pytest.mark.parametrize("region", [None, "core"])
def test_trial_on_regions_with_ignored_voxels_trains_and_is_validated_by_region(
    trial: Callable[..., TrialSettings],
    nested: tuple[Path, Path],
    tmp_path: Path,
    region: str | None,
) -> None:
    raw, done = map(str, nested)
    settings = trial(
        {"dataset": 777, "raw": raw, "preprocessed": done, "geometric_class": region},
    )
    assert TrainerCheck()(settings) == []
    epochs = []
    provenance = TrialPaths(tmp_path).provenance
    outcome = fit(
        settings, report=epochs.append, checkpoint=Checkpoints(tmp_path), provenance=provenance
    )
    assert outcome.status is Status.COMPLETED
    assert epochs[-1].terms.keys() == {"dice", "ce", "compactness"}
    assert 0 <= (epochs[-1].val_dice or 0) <= 1
    [run] = json.loads(provenance.read_text())["runs"]
    assert run["effective"]["trainer.geometric_class"] == region
    if region is None:
        return
    best = Checkpoints(tmp_path).load_best()
    assert best is not None
    found = real_validation(settings, best["model"], tmp_path / "nnunet")
    assert len(found.cases) == 2  # of fold 0 of 6
    assert all(classes.keys() == {"whole", "core"} for classes in found.cases.values())
