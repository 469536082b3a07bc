"""What is told of a sweep of nnU-Net before anything is planned or trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sweep.data.shapes_datasets import write_shapes_dataset
from sweep.errors import InputError
from sweep.nnunet.check import check_nnunet
from sweep.spec.load import load_sweep
from sweep.spec.settings import ShapesData, TrialSettings
from sweep.trainer.check import check_trainer, idle_by_look

NAME = "Dataset502_Shapes_One"


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """A raw folder whose dataset has 3 cases, nothing of it planned."""
    folder = write_shapes_dataset(tmp_path / "raw", 502, ShapesData(size=32, count=5), test=0)
    for number in (3, 4):
        (folder / "labelsTr" / f"one_circle_0000{number}.png").unlink()
        (folder / "imagesTr" / f"one_circle_0000{number}_0000.png").unlink()
    change(folder / "dataset.json", numTraining=3)
    return tmp_path / "raw"


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def told(raw: Path | None, preprocessed: Path | None, **more: Any) -> list[str]:
    loss = more.pop("loss", {})
    trainer = {
        "kind": "nnunet",
        "dataset": 502,
        "raw": raw and str(raw),
        "preprocessed": preprocessed and str(preprocessed),
    }
    settings = TrialSettings.model_validate({"trainer": trainer | more, "loss": loss})
    return [str(mistake) for mistake in check_nnunet(settings)]


def test_planned_dataset_is_fine(raw: Path, preprocessed: Path) -> None:
    assert told(raw, preprocessed) == []
    assert told(None, preprocessed) == []
    assert told(raw, preprocessed, patch_size=[32, 48]) == []


def test_dataset_that_is_not_planned_yet_is_fine(raw: Path, tmp_path: Path) -> None:
    assert told(raw, tmp_path / "none") == []


def test_plans_that_nobody_makes_are_told_before_the_sweep(
    raw: Path, preprocessed: Path, tmp_path: Path
) -> None:
    [line] = told(raw, preprocessed, plans="MyPlans")
    assert line.startswith(
        f"trainer.plans: `MyPlans`: {preprocessed / NAME} has no plans 'MyPlans'; it has "
        "nnUNetPlans, and only nnUNetPlans, "
    )
    [line] = told(raw, tmp_path, plans="nnUNetResEncUNetMPlan")
    assert line.startswith("trainer.plans: `nnUNetResEncUNetMPlan`: they do not exist yet")
    assert line.endswith("did you mean `nnUNetResEncUNetMPlans`?")


def test_fewer_cases_than_folds_are_told(few: Path, tmp_path: Path) -> None:
    message = (
        "trainer.fold: nnU-Net deals the cases to 5 folds, and the dataset has 3: `all` trains and "
        "validates on every case, or a splits_final.json in the preprocessed dataset says which "
        "validate"
    )
    assert told(few, tmp_path / "none") == [message]
    assert told(few, tmp_path / "none", fold="all") == []
    splits = tmp_path / "none" / NAME / "splits_final.json"
    splits.parent.mkdir(parents=True)
    cases = [f"one_circle_0000{number}" for number in range(3)]
    splits.write_text(json.dumps([{"train": cases[:2], "val": cases[2:]}]))
    assert told(few, tmp_path / "none") == []
    splits.write_text(json.dumps([{"train": cases[:2], "val": ["nobody"]}]))
    [line] = told(few, tmp_path / "none")
    assert line == f"{splits}: split 0 names cases that the dataset does not have: nobody"


def test_configuration_fold_and_patch_are_held_against_the_plans(
    raw: Path, preprocessed: Path, tmp_path: Path
) -> None:
    assert told(raw, preprocessed, configuration="3d_fullres", fold=5, patch_size=[30, 33]) == [
        "trainer.configuration: must be `2d`, which are planned, but is `3d_fullres`",
        "trainer.fold: must be below 5, the number of folds, or `all`, but is 5",
    ]
    [line, _] = told(raw, preprocessed, patch_size=[30, 33])
    assert line.startswith("trainer.patch_size: must be a multiple of ")
    assert told(raw, tmp_path, configuration="2D", fold=5) == [
        "trainer.configuration: must be `2d`, `3d_fullres` or `3d_lowres`, which nnU-Net plans, but"
        " is `2D`; did you mean `2d`?",
        "trainer.fold: must be below 5, the number of folds, or `all`, but is 5",
    ]
    [line] = told(raw, tmp_path, configuration="3d_cascade_fullres")
    assert line.startswith("trainer.configuration: `3d_cascade_fullres` trains on what a finished")


def test_dataset_that_is_not_there_is_told_with_those_that_are(raw: Path, tmp_path: Path) -> None:
    assert told(raw, tmp_path, dataset=503) == [
        f"trainer.dataset: {raw} has no dataset 503; it has {NAME}"
    ]
    [line] = told(raw, tmp_path, dataset="Dataset502_Shape_One")
    assert line.endswith(f"did you mean `{NAME}`?")
    assert told(raw, tmp_path, dataset="502") == [
        "trainer.dataset: 502 as a text is no name of a dataset: write it without quotes"
    ]
    assert told(tmp_path / "gone", tmp_path) == [
        f"trainer.raw: {tmp_path / 'gone'} is not a folder"
    ]
    shutil.copytree(raw / NAME, tmp_path / "raw" / NAME)
    (tmp_path / "raw" / "Dataset502_Other").mkdir()
    [line] = told(tmp_path / "raw", tmp_path)
    assert line == (
        f"trainer.dataset: {tmp_path / 'raw'} has several datasets 502: Dataset502_Other, {NAME};"
        " nnU-Net takes none of them"
    )


def test_every_mistake_of_dataset_plans_and_losses_is_told_at_once(
    few: Path, tmp_path: Path
) -> None:
    file = few / NAME / "dataset.json"
    change(file, numTraining=4)
    found = told(
        few, None, plans="MyPlans", configuration="3D", geometric_class="x",
        loss={"main": "dice_focal"},
    )  # fmt: skip
    assert [line.split(": ")[0] for line in found] == [
        "trainer.preprocessed",
        "trainer.plans",
        "trainer.configuration",
        "loss.main",
        "trainer.geometric_class",
        str(file),
        "trainer.fold",
    ]


@pytest.mark.parametrize(
    ("labels", "loss", "message"),
    [
        ({"background": 0, "all": [1, 2], "part": 2}, {}, "region-based labels are not supported"),
        ({"background": 0, "a": 1, "ignore": 2}, {"weights": {"kervadec": 0.1}},
         "must be 0 where the dataset has an ignore label"),
    ],
)  # fmt: skip
def test_labels_that_the_losses_cannot_take_are_told(
    raw: Path, tmp_path: Path, labels: dict[str, Any], loss: dict[str, Any], message: str
) -> None:
    shutil.copytree(raw / NAME, tmp_path / "raw" / NAME)
    change(tmp_path / "raw" / NAME / "dataset.json", labels=labels)
    [line] = told(tmp_path / "raw", tmp_path, loss=loss)
    assert message in line


@pytest.mark.parametrize("text", ["{", "[]", '{"labels": 3}', "{}"])
def test_broken_files_are_named(raw: Path, preprocessed: Path, tmp_path: Path, text: str) -> None:
    shutil.copytree(raw / NAME, tmp_path / "raw" / NAME)
    file = tmp_path / "raw" / NAME / "dataset.json"
    file.write_text(text)
    assert [line.partition(": ")[0] for line in told(tmp_path / "raw", tmp_path)] == [str(file)]
    (tmp_path / NAME).mkdir()
    plans = tmp_path / NAME / "nnUNetPlans.json"
    plans.write_text(text)
    assert [line.partition(": ")[0] for line in told(raw, tmp_path)] == [str(plans)]


def test_searched_value_that_the_dataset_does_not_allow_is_told_at_its_line(
    raw: Path, tmp_path: Path
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        f"trainer: {{kind: nnunet, dataset: 502, raw: {raw}, preprocessed: {tmp_path}}}\n"
        "space:\n"
        "  trainer.fold: {choice: [0, 7]}\n"
        "  loss.main: {choice: [dice_ce, dice_focal]}\n"
        "  trainer.plans: {choice: [nnUNetPlans, MyPlans]}\n"
    )
    with pytest.raises(InputError) as caught:
        load_sweep(path, check_data=check_trainer)
    assert [(m.line, m.key) for m in caught.value.mistakes] == [
        (3, "space.trainer.fold"),
        (4, "space.loss.main"),
        (5, "space.trainer.plans"),
    ]


@pytest.mark.parametrize(
    ("configuration", "has_volumes"),
    [("flat", False), ("flat_again", False), ("deep", True), ("none", True), ("odd", True)],
)
def test_how_volumes_are_looked_at_acts_on_nothing_where_the_plans_have_none(
    tmp_path: Path, configuration: str, has_volumes: bool
) -> None:
    (tmp_path / NAME).mkdir()
    configurations = {
        "flat": {"patch_size": [32, 32]},
        "flat_again": {"inherits_from": "flat", "batch_size": 3},
        "deep": {"patch_size": [8, 32, 32]},
        "odd": {"patch_size": 32},
    }
    plans = {"configurations": configurations}
    (tmp_path / NAME / "nnUNetPlans.json").write_text(json.dumps(plans))
    trainer = {"kind": "nnunet", "dataset": 502, "preprocessed": str(tmp_path)}
    settings = TrialSettings.model_validate({"trainer": trainer | {"configuration": configuration}})
    keys = [key for rule in idle_by_look(settings) for key in rule.keys]
    assert keys == ([] if has_volumes else ["trainer.geometry"])
