"""What is told of a sweep of nnU-Net before anything is planned or trained."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest
from nnunetv2.experiment_planning import verify_dataset_integrity as integrity
from nnunetv2.imageio.reader_writer_registry import LIST_OF_IO_CLASSES
from nnunetv2.preprocessing.normalization.map_channel_name_to_normalization import (
    get_normalization_scheme,
)
from nnunetv2.utilities import utils
from raw_dataset import write_cases

from sweep.data.files.image_file import FILE_ENDINGS
from sweep.data.nnunet_raw.pixels import RawCase
from sweep.data.sources.shapes_datasets import write_shapes_dataset
from sweep.nnunet.dataset.plans import planned_as_asked
from sweep.nnunet.nnunet_check import NnunetLook
from sweep.nnunet.training.trainer_limits import geometric_channels
from sweep.spec.load import load_sweep
from sweep.spec.settings.data_settings import ShapesData
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trial.trainer_check import TrainerCheck
from sweep.vocabulary.errors import InputError

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
    return [str(mistake) for mistake in NnunetLook(settings).mistakes]


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
        "trainer.fold: nnU-Net splits the cases into 5 folds, and the dataset has 3: `all` trains"
        " and "
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
    assert line.startswith("trainer.configuration: `3d_cascade_fullres` trains on the predictions")


def test_dataset_that_is_not_there_is_told_with_those_that_are(raw: Path, tmp_path: Path) -> None:
    assert told(raw, tmp_path, dataset=503) == [
        f"trainer.dataset: {raw} has no dataset 503; it has {NAME}"
    ]
    [line] = told(raw, tmp_path, dataset="Dataset502_Shape_One")
    assert line.endswith(f"did you mean `{NAME}`?")
    assert told(raw, tmp_path, dataset="502") == [
        "trainer.dataset: 502 in quotes is not the name of a dataset: write it without quotes"
    ]
    assert told(tmp_path / "gone", tmp_path) == [
        f"trainer.raw: {tmp_path / 'gone'} is not a folder"
    ]
    shutil.copytree(raw / NAME, tmp_path / "raw" / NAME)
    (tmp_path / "raw" / "Dataset502_Other").mkdir()
    [line] = told(tmp_path / "raw", tmp_path)
    assert line == (
        f"trainer.dataset: {tmp_path / 'raw'} has several datasets 502: Dataset502_Other, {NAME};"
        " nnU-Net accepts none of them"
    )


def test_every_mistake_of_dataset_plans_and_losses_is_told_at_once(
    few: Path, tmp_path: Path
) -> None:
    file = few / NAME / "dataset.json"
    change(file, numTraining=4)
    found = told(
        few, None, plans="MyPlans", configuration="3D", geometric_class="x",
        loss={"main": "my.losses:tversky"},
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
        ({"background": 0, "all": [1, 2], "part": 2}, {},
         "`regions_class_order` must be a list with a label for each of the 2 regions (all, part)"),
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
    assert {named_in(line) for line in told(tmp_path / "raw", tmp_path)} == {str(file)}
    shutil.copytree(preprocessed / NAME, tmp_path / NAME)
    plans = tmp_path / NAME / "nnUNetPlans.json"
    plans.write_text(text)
    assert {named_in(line) for line in told(raw, tmp_path)} == {str(plans)}


def named_in(line: str) -> str:
    """The file that a mistake names."""
    return re.sub(r":\d+$", "", line.partition(": ")[0])


@pytest.fixture
def copied(raw: Path, tmp_path: Path) -> Path:
    """The raw dataset, to be spoilt; its folder."""
    return Path(shutil.copytree(raw / NAME, tmp_path / "raw" / NAME))


def refused_by_nnunet(folder: Path) -> bool:
    """What nnU-Net itself says of a raw dataset before it plans."""
    threads = SimpleNamespace(get_context=lambda _: SimpleNamespace(Pool=ThreadPool))
    try:
        with pytest.MonkeyPatch.context() as patch:  # processes take seconds to start
            patch.setattr(integrity, "multiprocessing", threads)
            patch.setattr(utils, "Pool", ThreadPool)
            integrity.verify_dataset_integrity(str(folder), 1)
        # As its planner does next.
        names = json.loads((folder / "dataset.json").read_text())["channel_names"].values()
        for name in names:
            get_normalization_scheme(name)
    except Exception:  # noqa: BLE001 (it asserts, and raises whatever comes to hand)
        return True
    return False


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": {"lesion": 0, "circle": 1}}, "lacks `background`, which must be 0; 0 is `le"),
        ({"labels": {"0": "background", "1": "circle"}}, "as in nnU-Net v1; swap them"),
        ({"labels": {}}, "must name the background and at least 1 class"),
        ({"labels": {"background": 0, "circle": 1, "b": 3}}, "without a gap or repeat, not [0, 1,"),
        ({"labels": {"background": 0, "circle": -1}}, "without a gap or repeat, not [-1, 0]"),
        ({"labels": {"background": 0, "circle": None}}, "must map each name to an integer"),
        ({"labels": {"background": 0, "circle": "x"}}, "must map each name to an integer"),
        ({"labels": {"background": [0], "circle": 1}}, "must be 0, not the list [0]"),
        ({"labels": {"background": 1, "circle": 0}}, "must be 0, but is 1: swap it with `circle`"),
        ({"labels": {"background": 0, "circle": 1, "ignore": 1}}, "`ignore` must be 2, the highes"),
        ({"labels": {"background": 0, "circle": 1, "ignore": 3}}, "`ignore` must be 2, the highes"),
        ({"labels": {"background": 0, "circle": 1, "ignore": [2]}}, "no list, but is [2]"),
        ({"labels": ["background", "circle"]}, "`labels` must be an object"),
        ({"channel_names": ["grey"]}, "`channel_names` must be an object"),
        ({"channel_names": {"0": 1}}, "`channel_names` must map to names"),
        ({"channel_names": {"0": "a", "1": "b"}}, "channels of `channel_names` that are missing:"),
        ({"numTraining": "six"}, "`numTraining` is 'six'; it must be the number of training cases"),
        ({"numTraining": None}, "`numTraining` is missing"),
        ({"numTraining": 6.0}, "`numTraining` must be 6, but is 6.0"),
        ({"numTraining": 7}, "`numTraining` is 7, but imagesTr holds 6 cases"),
        ({"file_ending": [".png"]}, "`file_ending` is ['.png']; it must be one of .png, "),
        ({"file_ending": "png"}, "; did you mean `.png`?"),
        ({"file_ending": ".nrrd"}, "(the `file_ending`); its files have other extensions, such as"),
        ({"dataset": {}}, "`dataset` must be an object that names the files of each case"),
        ({"dataset": {"a": {"images": ["x.png"]}}, "numTraining": 1}, "`images`, a list, and a `l"),
        (
            {"dataset": {"a": {"images": ["x.png"], "label": "y.png"}}, "numTraining": 1},
            "`dataset` names files that are not there: ",
        ),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")  # of what nnU-Net calls
def test_dataset_json_that_nnunet_refuses_is_refused_before_it_plans(
    six: Path, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    file = six / "dataset.json"
    change(file, **changes)
    assert refused_by_nnunet(six)
    found = told(six.parent, tmp_path / "none")
    assert any(words in line for line in found), found
    few = {"trainer.fold"} if changes.get("numTraining") == 1 else set()
    assert {named_in(line) for line in found} <= {str(file), str(six / "imagesTr")} | few


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"labels": {"background": 0, "circle": 1, "ignore": 2}},
        {"labels": {"background": "0", "circle": "1"}},
        {"labels": {"background": 0, "circle": [1]}},
        {"labels": {"background": 0, "circle": 1, "ignore": None}},
        {"file_ending": ".PNG", "overwrite_image_reader_writer": "NaturalImage2DIO"},
    ],
)
@pytest.mark.filterwarnings("ignore")  # of what nnU-Net calls
def test_forms_that_nnunet_takes_are_taken_before_it_plans(
    six: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    change(six / "dataset.json", **changes)
    if "file_ending" in changes:
        for path in [*six.glob("*Tr/*.png")]:
            path.rename(path.with_suffix(".PNG"))
    assert not refused_by_nnunet(six)
    assert told(six.parent, tmp_path / "none") == []
    assert told(six.parent, tmp_path / "none", geometric_class=1) == []


@pytest.fixture
def six(tmp_path: Path) -> Path:
    """A raw dataset of 6 cases, nothing of it planned; its folder."""
    return write_shapes_dataset(tmp_path / "raw", 502, ShapesData(size=32, count=6), test=0)


def test_endings_are_those_of_nnunets_readers() -> None:
    every = {ending for reader in LIST_OF_IO_CLASSES for ending in reader.supported_file_endings}
    assert set(FILE_ENDINGS) == every


def test_file_that_holds_all_channels_in_a_fourth_axis_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "Dataset502_Volumes"
    label = np.zeros((8, 8, 8), np.uint8)
    label[2:5, 2:5, 2:5] = 1
    write_cases(
        folder,
        [RawCase(f"c{n}", label[None] * 9, label) for n in range(5)],
        "box",
        channels=["a", "b"],
    )
    [line] = told(tmp_path / "raw", tmp_path / "none")
    assert "channels of `channel_names` that are missing: c0_0001.nii.gz" in line
    for path in (folder / "imagesTr").iterdir():
        nibabel.save(nibabel.Nifti1Image(np.stack([label] * 2, -1), np.eye(4)), path)
    assert told(tmp_path / "raw", tmp_path / "none") == []


def test_hidden_files_and_dead_links_of_a_raw_dataset_are_told(six: Path, tmp_path: Path) -> None:
    (six / "imagesTr" / "._a_0000.png").touch()
    link = six / "labelsTr" / "one_circle_00001.png"
    link.unlink()
    link.symlink_to("/gone")
    assert told(six.parent, tmp_path / "none") == [
        f"{link}: is a broken link to /gone",
        f"{six / 'imagesTr'}: hidden files, which nnU-Net takes for cases: ._a_0000.png",
    ]


def test_labels_without_an_image_are_spare_for_nnunet(six: Path, tmp_path: Path) -> None:
    shutil.copy(six / "labelsTr" / "one_circle_00001.png", six / "labelsTr" / "more.png")
    assert told(six.parent, tmp_path / "none") == []


@pytest.mark.parametrize("count", ["six", None, [6], -1, True])
def test_number_of_cases_of_a_preprocessed_dataset_is_told(
    raw: Path, preprocessed: Path, tmp_path: Path, count: Any
) -> None:
    shutil.copytree(preprocessed / NAME, tmp_path / NAME)
    file = tmp_path / NAME / "dataset.json"
    change(file, numTraining=count)
    [line] = told(raw, tmp_path)
    assert line.startswith(f"{file}: `numTraining` is ")
    assert line.endswith("it must be the number of training cases")


def planned(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
    """Changes the configuration of some plans."""
    return lambda plans: change(plans["configurations"]["2d"])


@pytest.mark.parametrize("patch", [None, [32, 32]])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (planned(lambda c: c.update(architecture=None)), "2d`: `architecture` must be an object"),
        (planned(lambda c: c["architecture"].pop("arch_kwargs")), "2d`: `arch_kwargs` must be an"),
        (planned(lambda c: c.update(patch_size=32)), "`patch_size` must be a list of 2 or 3 sizes"),
        (planned(lambda c: c.update(patch_size=["a", 2])), "`patch_size` must be a list of 2 or 3"),
        (planned(lambda c: c.pop("patch_size")), "`patch_size` must be a list of 2 or 3 sizes, bu"),
        (planned(lambda c: c.update(batch_size=0)), "`batch_size` must be a whole number of at le"),
        (planned(lambda c: c.update(data_identifier=3)), "`data_identifier` must be a text, but i"),
        (
            planned(lambda c: c["architecture"]["arch_kwargs"].update(strides=[1, 2])),
            "strides` must have a list of 2 whole numbers for each level, but has 1",
        ),
        (
            planned(lambda c: c["architecture"]["arch_kwargs"].update(strides=[[1], [2]])),
            "strides` must have a list of 2 whole numbers for each level, but has [1]",
        ),
        (lambda p: p["configurations"].update({"2d": None}), "`2d` must be an object, but is None"),
        (lambda p: p["configurations"].update({"2d": {"inherits_from": "zz"}}), "inherits from 'z"),
        (planned(lambda c: c.update(inherits_from="2d")), "inherits from `2d`, and so from itself"),
        (planned(lambda c: c.update(inherits_from=["2d"])), "inherits from ['2d'], which the plan"),
        (lambda p: p.pop("plans_name"), "`plans_name` must be a text, but is None"),
    ],
)  # fmt: skip
def test_plans_that_nobody_can_train_with_are_told(
    raw: Path, preprocessed: Path, tmp_path: Path, change: Any, words: str, patch: Any
) -> None:
    shutil.copytree(preprocessed / NAME, tmp_path / NAME)
    file = tmp_path / NAME / "nnUNetPlans.json"
    plans = json.loads(file.read_text())
    change(plans)
    file.write_text(json.dumps(plans))
    found = told(raw, tmp_path, patch_size=patch)
    assert any(words in line for line in found), found
    assert {named_in(line) for line in found} == {str(file)}


def test_configuration_that_inherits_its_network_is_fine(
    raw: Path, preprocessed: Path, tmp_path: Path
) -> None:
    shutil.copytree(preprocessed / NAME, tmp_path / NAME)
    file = tmp_path / NAME / "nnUNetPlans.json"
    plans = json.loads(file.read_text())
    plans["configurations"]["mine"] = {"inherits_from": "2d", "batch_size": 3}
    file.write_text(json.dumps(plans))
    assert told(raw, tmp_path, configuration="mine", patch_size=[32, 32]) == []


@pytest.mark.parametrize(("wanted", "channel"), [("b", 2), (2, 2), ("a", 1), (None, 1)])
def test_geometric_class_is_found_whatever_form_the_labels_have(wanted: Any, channel: int) -> None:
    for labels in ({"background": "0", "a": "1", "b": [2]}, {"background": 0, "b": 2.0, "a": [1]}):
        found = geometric_channels({"labels": {**labels, "ignore": 3}}, wanted, "dataset.json")
        assert found == (channel,)
    with pytest.raises(InputError, match=r"dataset.json: `labels` must be numbered"):
        geometric_channels({"labels": {"background": 0, "a": 2}}, wanted, "dataset.json")


def test_fold_is_told_also_where_the_preprocessed_folder_has_no_plans(
    six: Path, tmp_path: Path
) -> None:
    done = tmp_path / "done" / NAME
    done.mkdir(parents=True)
    wanted = "trainer.fold: must be below 5, the number of folds, or `all`, but is 7"
    assert told(six.parent, tmp_path / "done", fold=7) == [wanted]
    shutil.copy(six / "dataset.json", done)
    assert told(six.parent, tmp_path / "done", fold=7) == [wanted]
    names = [f"one_circle_0000{n}" for n in range(6)]
    (done / "splits_final.json").write_text(json.dumps([{"train": names[:4], "val": names[4:]}]))
    assert told(six.parent, tmp_path / "done", fold=0) == []
    [line] = told(six.parent, tmp_path / "done", fold=1)
    assert line.startswith("trainer.fold: must be below 1, the number of folds")


@pytest.mark.parametrize(
    "text", ["{", '{"train": ["a"], "val": ["b"]}', '[{"train": ["a"], "train": ["a"], "val": []}]']
)
def test_mistake_of_the_splits_is_told_once(
    raw: Path, preprocessed: Path, tmp_path: Path, text: str
) -> None:
    shutil.copytree(preprocessed / NAME, tmp_path / NAME)
    file = tmp_path / NAME / "splits_final.json"
    file.write_text(text)
    found = told(raw, tmp_path)
    assert len(found) == len(set(found))
    assert {named_in(line) for line in found} == {str(file)}
    assert len(found) == (3 if 'train": ["a"], "train' in text else 1), found


def test_subjects_and_unused_cases_of_a_dataset_for_nnunet_are_doubted(tmp_path: Path) -> None:
    label = np.eye(32, dtype=np.uint8)
    names = [f"sub-0{n}_ses-{session}" for n in range(5) for session in (1, 2)]
    write_cases(
        tmp_path / "raw" / NAME,
        [RawCase(name, label[None], label) for name in names],
        "line",
        ending=".png",
    )
    asked = {"kind": "nnunet", "dataset": 502, "raw": str(tmp_path / "raw")}
    asked["preprocessed"] = str(tmp_path / "done")

    def doubted(**more: Any) -> list[str]:
        settings = TrialSettings.model_validate({"trainer": asked | more})
        assert NnunetLook(settings).mistakes == []
        return [str(doubt) for doubt in NnunetLook(settings).doubts()]

    [line] = doubted(fold=0)
    assert line.startswith("2 of 2 validation cases have another image of the same subject in tr")
    assert line.endswith("set `trainer.groups` to `(sub-[A-Za-z0-9]+)`")
    assert doubted(fold="all") == []
    [alone] = doubted(fold=0, groups="(sub-[0-9]+)")
    assert alone.startswith("all 2 validation cases are of one group, sub-00: ")
    refused = NnunetLook(TrialSettings.model_validate({"trainer": asked | {"groups": "(ses-.)"}}))
    assert [str(mistake) for mistake in refused.mistakes] == [
        "trainer.groups: 2 groups cannot be split into 5 folds"
    ]
    refused = NnunetLook(TrialSettings.model_validate({"trainer": asked | {"groups": "(sub-00)"}}))
    assert str(refused.mistakes[0]).startswith(
        "trainer.groups: `(sub-00)` finds no group in 8 of 10"
    )
    (tmp_path / "done" / NAME).mkdir(parents=True)
    (tmp_path / "done" / NAME / "splits_final.json").write_text(
        json.dumps([{"train": names[:4], "val": names[4:6]}])
    )
    [line] = doubted(fold=0)
    assert line.startswith("4 of 10 cases are on neither side of the split")


def test_searched_value_that_the_dataset_does_not_allow_is_told_at_its_line(
    raw: Path, tmp_path: Path
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        f"trainer: {{kind: nnunet, dataset: 502, raw: {raw}, preprocessed: {tmp_path}}}\n"
        "space:\n"
        "  trainer.fold: {choice: [0, 7]}\n"
        "  loss.main: {choice: [dice_ce, 'my.losses:tversky']}\n"
        "  trainer.plans: {choice: [nnUNetPlans, MyPlans]}\n"
    )
    with pytest.raises(InputError) as caught:
        load_sweep(path, check_data=TrainerCheck())
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
    keys = [key for rule in TrainerCheck().idle(settings) for key in rule.keys]
    assert keys == ([] if has_volumes else ["trainer.geometry"])


def test_no_mistake_of_a_preprocessed_dataset_hides_another(
    raw: Path, preprocessed: Path, tmp_path: Path
) -> None:
    shutil.copytree(preprocessed / NAME, tmp_path / NAME)
    (tmp_path / NAME / "splits_final.json").write_text("{")
    (tmp_path / NAME / "dataset.json").write_text("[")
    found = told(raw, tmp_path, patch_size=[30, 32], loss={"main": "my.losses:tversky"})
    told_of = {line.partition(": ")[0].removeprefix(f"{tmp_path / NAME}/") for line in found}
    assert told_of == {"trainer.patch_size", "loss.main", "splits_final.json:1", "dataset.json:1"}


def test_plans_are_looked_at_for_nnunets_own_command_too(preprocessed: Path) -> None:
    plans = json.loads((preprocessed / NAME / "nnUNetPlans.json").read_text())
    plans["configurations"]["2d"]["architecture"] = None
    asked = NnunetTrainer(kind="nnunet", dataset=502, patch_size=(32, 32))
    with pytest.raises(InputError, match=r"nnUNetPlans.json: configuration `2d`: `architecture`"):
        planned_as_asked(plans, "2d", asked)
