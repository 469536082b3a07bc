"""The raw layout: what is read from names and dataset.json, and every mistake in them."""

import json
import re
import shutil
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from sweep.data.nnunet_raw.labels import label_mistakes, named_labels, regions_of
from sweep.data.nnunet_raw.raw_dataset import channel_mistakes, open_raw
from sweep.nnunet.dataset.raw_files import description_mistakes
from sweep.vocabulary.errors import InputError


def describe(folder: Path, **changes: Any) -> None:
    """Change entries of dataset.json; None takes one out."""
    file = folder / "dataset.json"
    description = json.loads(file.read_text()) | changes
    kept = {key: value for key, value in description.items() if value is not None}
    file.write_text(json.dumps(kept))


def mistakes_of(folder: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        open_raw(folder)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_dataset_is_opened_by_its_names_alone(write_grey):
    dataset = open_raw(write_grey(count=3))
    assert dataset.folder.name == "Dataset001_Grey"
    assert dataset.cases == ("case_0", "case_1", "case_2")
    assert dataset.channel_names == ("grey",)
    assert dataset.classes == ("background", "dot")
    assert [path.name for path in dataset.image_paths("case_1")] == ["case_1_0000.png"]
    assert dataset.label_path("case_1").name == "case_1.png"


def test_classes_stand_in_order_of_their_integers(write_grey):
    folder = write_grey()
    describe(folder, labels={"tumour": 2, "dot": 1, "background": 0})
    assert open_raw(folder).classes == ("background", "dot", "tumour")


@pytest.mark.parametrize(
    "changes",
    [
        {"regions_class_order": []},
        {"regions_class_order": [1]},
        {"labels": {"background": "0", "dot": "1"}},
        {"labels": {"background": 0, "dot": [1]}},
        {"labels": {"background": 0, "dot": 1.0}},
        {"labels": {"background": 0, "dot": 1, "ignore": None}},
        {"channel_names": {"1": "grey"}},
        {"channel_names": {"0000": "grey"}},
        {"numTraining": 6.0},
    ],
)
def test_forms_that_nnunet_takes_are_taken(write_grey, changes):
    folder = write_grey()
    describe(folder, **changes)
    dataset = open_raw(folder)
    assert dataset.labels == {"background": 0, "dot": 1}
    assert dataset.channel_names == ("grey",)
    # The oracle: nnU-Net's own reading of the same.
    description = json.loads((folder / "dataset.json").read_text())
    manager = LabelManager(description["labels"], description.get("regions_class_order"))
    assert manager.all_labels == [0, 1]
    assert (manager.has_regions, manager.has_ignore_label) == (False, False)


def test_channels_stand_in_the_order_of_their_numbers(write_grey):
    folder = write_grey(file_ending=".nii.gz")
    describe(folder, channel_names={"1": "T2", "0": "T1"})
    for path in (folder / "imagesTr").iterdir():
        shutil.copy(path, path.with_name(path.name.replace("_0000", "_0001")))
    assert open_raw(folder).channel_names == ("T1", "T2")


def test_missing_folder_is_told():
    (message,) = mistakes_of(Path("no/such folder"))
    assert message.startswith("data.folder: no/such folder is not a folder")


@pytest.mark.parametrize("name", ["a" * 5000, "a\0b"])
def test_impossible_folder_name_is_told_without_a_traceback(name):
    (message,) = mistakes_of(Path(name))
    assert message.startswith("data.folder")


def test_missing_description_is_told(tmp_path):
    (message,) = mistakes_of(tmp_path)
    assert message.startswith(f"{tmp_path / 'dataset.json'}: is missing")
    example = re.search(r"such as (\{.*\}) beside imagesTr/CASE_0000.png and labelsTr/", message)
    assert example is not None
    assert [
        *channel_mistakes(json.loads(example[1])),
        *label_mistakes(json.loads(example[1])),
    ] == []


def test_names_that_only_look_the_same_are_told(write_grey):
    folder = write_grey(count=2)
    for file in [*folder.glob("*/case_0*")]:
        form = "NFC" if file.parent.name == "imagesTr" else "NFD"
        file.rename(file.with_name(normalize(form, file.name.replace("case_0", "M\u00fcller"))))
    label, image = mistakes_of(folder)
    assert "; M\u00fcller only looks the same as a name there" in label
    assert "labels without an image" in image


@pytest.mark.parametrize(
    ("name", "image", "command"),
    [
        ("Task05_Prostate", "case_0.nii.gz", "convert_MSD_dataset -i {}"),
        ("Task05 of mine", "case_0.nii.gz", "convert_MSD_dataset -i '{}'"),
        ("Task105_Eye", "case_0_0000.nii.gz", "convert_old_nnUNet_dataset {} Dataset105_Eye"),
        ("Task005 b", "c_0000.nii.gz", "convert_old_nnUNet_dataset '{}' 'Dataset005 b'"),
    ],
)
def test_dataset_of_the_decathlon_or_of_nnunet_1_is_told_what_converts_it(
    write_grey, name, image, command
):
    folder = write_grey(name, count=0, file_ending=".nii.gz")
    (folder / "imagesTr" / image).touch()
    (folder / "imagesTr" / f"._{image}").touch()  # as it is published: packed on a Mac
    (folder / "dataset.json").write_text(
        json.dumps(
            {
                "tensorImageSize": "4D",
                "modality": {"0": "T2", "1": "ADC"},
                "labels": {"0": "background", "1": "PZ"},
                "numTraining": 1,
                "training": [{"image": f"./imagesTr/{image}", "label": "./labelsTr/case_0.nii.gz"}],
            }
        )
    )
    (message,) = mistakes_of(folder)
    assert f"`nnUNetv2_{command.format(folder)}`" in message
    assert ("docs/how-to/first-file.md does it" in message) == ("MSD" in command)
    description, file = json.loads((folder / "dataset.json").read_text()), folder / "dataset.json"
    assert [*map(str, description_mistakes(description, file))] == [message]


def test_broken_json_is_told_with_its_line(write_grey):
    folder = write_grey()
    (folder / "dataset.json").write_text('{\n  "labels": {},\n  oops\n}')
    (message,) = mistakes_of(folder)
    assert message.startswith(f"{folder / 'dataset.json'}:3: is not valid JSON")


@pytest.mark.parametrize(
    "content", [b"[]", b"3", b"null", b"\xff\xfe\x00", b"", b"[" * 100_000, b"9" * 5000]
)
def test_description_that_is_no_object_is_told(write_grey, content):
    folder = write_grey()
    (folder / "dataset.json").write_bytes(content)
    (message,) = mistakes_of(folder)
    assert message.startswith(str(folder / "dataset.json"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"channel_names": None}, "`channel_names` is missing"),
        ({"channel_names": {}}, "`channel_names` must be an object"),
        ({"channel_names": ["T1"]}, "`channel_names` must be an object"),
        ({"channel_names": {"0": 7}}, "must map to names"),
        ({"labels": None}, "`labels` is missing"),
        ({"labels": ["dot"]}, "`labels` must be an object"),
        ({"labels": {}}, "must name the background and 1 to 255 classes"),
        ({"labels": {"background": 0}}, "must name the background and 1 to 255 classes"),
        ({"labels": {"background": 0, "dot": 2}}, "repeat, not [0, 2]; number the classes anew"),
        ({"labels": {"background": 0, "dot": 0}}, "without a gap or repeat, not [0, 0]"),
        ({"labels": {"dot": 1}}, "`labels` lacks `background`, which must be 0: add"),
        (
            {"labels": {"lesion": 0, "dot": 1}},
            "must be 0; 0 is `lesion`: rename `lesion` if that",
        ),
        ({"labels": {"background": 1, "dot": 0}}, "must be 0, but is 1: swap it with `dot`, which"),
        ({"labels": {"background": [0], "dot": 1}}, "must be 0, not the list [0]"),
        ({"labels": {"background": 0, "dot": True}}, "must map each name to an integer"),
        ({"labels": {"background": 0, "dot": 1.5}}, "must map each name to an integer"),
        ({"labels": {"background": 0, "dot": []}}, "must map each name to an integer"),
        ({"labels": {"background": 0, "dot": "7" * 5000}}, "must map each name to an integer"),
        ({"labels": {"0": "background", "1": "dot"}}, "as in nnU-Net v1; swap them"),
        (
            {"labels": {"background": 0, "whole": [1, 2]}},
            "`regions_class_order` must be a list with a label for each of the 1 regions (whole)",
        ),
        (
            {
                "labels": {"background": 0, "whole": [1, 2], "core": 2},
                "regions_class_order": [1, 3],
            },
            "`regions_class_order` must hold labels of the regions (1, 2), but holds 3",
        ),
        (
            {"labels": {"background": 0, "whole": [0, 1]}, "regions_class_order": [1]},
            "the region `whole` must list integers above 0, but is [0, 1]",
        ),
        (
            {"labels": {"background": 0, "whole": [1, 3]}, "regions_class_order": [1]},
            "without a gap or repeat, not [0, 1, 3]",
        ),
        (
            {
                "labels": {"background": 0, "whole": [1, 2], "ignore": 2},
                "regions_class_order": [1],
            },
            "`ignore` must be 3, the highest",
        ),
        ({"labels": {"background": 0, "dot": 1, "ignore": 3}}, "`ignore` must be 2, the highest"),
        ({"labels": {"background": 0} | {str(n): n for n in range(1, 257)}}, "1 to 255 classes"),
        ({"numTraining": None}, "`numTraining` is missing"),
        ({"numTraining": "6"}, "`numTraining` is '6'"),
        ({"numTraining": 5}, "`numTraining` is 5, but imagesTr holds 6 cases"),
        ({"file_ending": None}, "`file_ending` is missing"),
        (
            {"file_ending": "png"},
            "must be one of .png, .bmp, .tif, .tiff, .nii, .nii.gz, .nrrd, .mha, .gipl; did you",
        ),
        ({"file_ending": ".nii.gz "}, "; did you mean `.nii.gz`?"),
        ({"file_ending": ".mgz"}, "`file_ending` is '.mgz'; it must be one of .png, .bmp, "),
        (
            {"file_ending": ".mhd"},
            ".gipl; write header and pixels into one file, as .mha, and set `file_ending` to it",
        ),
        ({"file_ending": ".nrrd"}, "holds no image named CASE_0000.nrrd"),
        ({"file_ending": [".png"]}, "must be one of .png, .bmp, "),
        ({"file_ending": ".nii"}, "holds no image named CASE_0000.nii"),
        ({"dataset": {}}, "lists its files under `dataset`"),
    ],
)
def test_mistake_in_the_description_is_told(write_grey, changes, expected):
    folder = write_grey()
    describe(folder, **changes)
    (message,) = mistakes_of(folder)
    assert expected in message


JSON_LABELS = st.dictionaries(
    st.sampled_from(["background", "ignore", "a", "b", "c"]),
    st.sampled_from([0, 1, 2, 3, -1, None, "0", "1", "x", 1.0, [0], [1], [2], [1, 2]]),
)


@settings(deadline=None)
@given(labels=JSON_LABELS)
@example(labels={"background": 0, "a": 1, "ignore": 2})
@example(labels={"background": 0, "a": "1"})
@example(labels={"background": "0", "a": [1]})
@example(labels={"a": 0, "b": 1})
def test_labels_without_a_mistake_are_those_that_nnunet_takes(labels):
    description = {"labels": labels}
    if any(isinstance(value, list) and len(value) > 1 for value in labels.values()):
        return  # regions, see below
    try:  # as verify_dataset_integrity does
        manager = LabelManager(labels, None)
        ignored = [manager.ignore_label] * manager.has_ignore_label
        taken = (np.ediff1d(manager.all_labels + ignored) == 1).all() and len(
            manager.all_labels
        ) > 1
        # Two names for one label it counts once; then its trainer cannot tell them apart.
        taken &= len(manager.all_labels) == len(labels.keys() - {"ignore"})
        taken &= manager.all_labels[0] == 0
    except (RuntimeError, AssertionError, TypeError, ValueError):
        taken = False
    assert (not list(label_mistakes(description, nnunet=True))) == taken
    if taken:
        assert sorted(named_labels(description).values()) == manager.all_labels
    if not list(label_mistakes(description)):
        assert taken  # ours are fewer


REGION_LABELS = st.dictionaries(
    st.sampled_from(["ignore", "a", "b", "c"]),
    st.sampled_from([0, 1, 2, 3, 4, None, "1", [0], [1], [2, 1], [1, 2, 3], [2, 3], [0, 1]]),
    min_size=1,
)


@settings(deadline=None)
@given(labels=REGION_LABELS, order=st.lists(st.integers(1, 3), max_size=3))
@example(labels={"a": [1, 2], "ignore": 3, "b": [2]}, order=[1, 2])
@example(labels={"a": [1, 3], "b": 2}, order=[1, 2])
def test_regions_without_a_mistake_are_those_of_nnunet(labels, order):
    labels = {"background": 0} | labels
    description = {"labels": labels, "regions_class_order": order}
    if list(label_mistakes(description)):
        return
    manager = LabelManager(labels, order)
    assert (regions_of(description) is not None) == manager.has_regions
    assert manager.ignore_label == labels.get("ignore")
    if not manager.has_regions:
        return
    # As verify_dataset_integrity does.
    ignored = [manager.ignore_label] * manager.has_ignore_label
    assert (np.ediff1d(manager.all_labels + ignored) == 1).all()
    found = regions_of(description)
    own = [(one,) if isinstance(one, int) else one for one in manager.foreground_regions]
    assert found.labels == tuple(tuple(sorted(one)) for one in own)
    assert found.class_order == tuple(order)


def test_key_that_stands_twice_is_told_by_name_and_line(write_grey):
    folder = write_grey()
    text = json.dumps(json.loads((folder / "dataset.json").read_text()), indent=1)
    twice = text.replace('"dot": 1', '"dot": 2,\n  "dot": 1')
    (folder / "dataset.json").write_text(twice)
    (message,) = mistakes_of(folder)
    line = 1 + twice[: twice.rindex('"dot"')].count("\n")
    assert message == (
        f"{folder / 'dataset.json'}:{line}: has the key `dot` twice in one object; only the last"
        " would count: keep one"
    )
    (folder / "dataset.json").write_text(
        text.replace('"labels"', '"labels": {"background": 0, "other": 1},\n "labels"').replace(
            '"numTraining": 6', '"numTraining": 7'
        )
    )
    first, second = mistakes_of(folder)
    assert "has the key `labels` twice" in first
    assert "`numTraining` is 7, but imagesTr holds 6 cases" in second


def test_dataset_above_or_below_the_folder_is_proposed(write_grey, tmp_path):
    folder = write_grey()
    for wrong in (folder / "imagesTr", folder / "dataset.json", tmp_path):
        (message,) = mistakes_of(wrong)
        assert message.endswith(f"; did you mean {folder}?")
    write_grey("Dataset002_Grey")
    (message,) = mistakes_of(tmp_path)
    assert message.endswith(
        "; it holds several datasets, name one: Dataset001_Grey, Dataset002_Grey"
    )


def test_links_that_lead_nowhere_are_told_as_such_and_once(write_grey):
    folder = write_grey()
    for name in ("imagesTr/case_0_0000.png", "imagesTr/case_1_0000.png", "labelsTr/case_2.png"):
        (folder / name).unlink()
        (folder / name).symlink_to("/gone/away.png")
    (folder / "labelsTr" / "case_3.png").rename(folder / "kept.png")
    (folder / "labelsTr" / "case_3.png").symlink_to(folder / "kept.png")  # as data lakes do
    with pytest.raises(InputError) as caught:
        open_raw(folder)
    assert str(caught.value) == (
        f"{folder}/imagesTr/case_0_0000.png: is a broken link to /gone/away.png;"
        " the same of 2 more files, such as case_1_0000.png"
    )


def test_all_mistakes_are_told_at_once(write_grey):
    folder = write_grey()
    describe(folder, labels={"background": 0, "dot": 3}, numTraining=9)
    (folder / "labelsTr" / "case_2.png").unlink()
    (folder / "imagesTr" / "case_4_0000.png").unlink()
    (folder / "imagesTr" / "case_5_0000.png").rename(folder / "imagesTr" / "case_5_0001.png")
    (folder / "imagesTr" / "stray.png").touch()
    report = "\n".join(mistakes_of(folder))
    for expected in (
        "without a gap or repeat, not [0, 3]",
        "imagesTr: files without a channel number: stray.png",
        "labelsTr: images without a label; missing here: case_2.png",
        "imagesTr: labels without an image; missing here: case_4_0000.png",
        "channels of `channel_names` that are missing: case_5_0000.png",
        "channels that `channel_names` does not name: case_5_0001.png",
        "`numTraining` is 9, but imagesTr holds 5 cases",
    ):
        assert expected in report


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 300) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
DESCRIPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "channel_names": JSON | st.just({"0": "grey"}),
        "labels": JSON | st.just({"background": 0, "dot": 1}),
        "numTraining": JSON | st.just(6),
        "file_ending": JSON | st.just(".png"),
        "name": JSON,
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(description=DESCRIPTIONS)
def test_any_description_is_either_opened_or_told(write_grey, tmp_path, description):
    folder = tmp_path / "fuzzed"
    if not folder.exists():
        write_grey(name=folder.name)
    (folder / "dataset.json").write_text(json.dumps(description))
    try:
        dataset = open_raw(folder)
    except InputError:  # never without a mistake: its constructor sees to that
        return
    assert sorted(dataset.labels.values()) == list(range(len(dataset.classes)))


@pytest.mark.parametrize("name", ["imagesTr", "labelsTr"])
def test_missing_subfolder_is_told(write_grey, name):
    folder = write_grey()
    (folder / name).rename(folder / "elsewhere")
    (message,) = mistakes_of(folder)
    assert message.startswith(f"{folder / name}: is missing")


def test_files_of_another_ending_are_named_where_there_are_no_others(write_grey):
    folder = write_grey(count=3)
    for label in (folder / "labelsTr").iterdir():
        label.rename(label.with_suffix(".nii.gz"))
    [message] = mistakes_of(folder)
    assert message.endswith("; its files have other extensions, such as case_0.nii.gz")
    describe(folder, file_ending=".nii.gz")
    message = mistakes_of(folder)[0]
    assert message.endswith(
        "(the `file_ending`); its files have other extensions, such as case_0_0000.png"
    )


def test_long_lists_of_files_are_shortened(write_grey):
    folder = write_grey(count=40)
    for label in (folder / "labelsTr").iterdir():
        label.unlink()
    (message,) = mistakes_of(folder)
    assert re.search(r"case_0\.png, case_1\.png, .* and 35 more$", message)


def test_hidden_files_and_other_endings_are_passed_over(write_grey):
    folder = write_grey()
    (folder / "imagesTr" / "._case_0_0000.png").touch()
    (folder / "imagesTr" / "notes.txt").touch()
    (folder / "labelsTr" / "case_9.png").mkdir()
    assert len(open_raw(folder).cases) == 6


@pytest.mark.parametrize("name", ["with space", "Größe-脑-🧠", "quo'te\"s", "-dash", "a%20b#?"])
def test_folder_may_have_any_name(write_grey, name):
    folder = write_grey(name=name)
    assert open_raw(folder).folder.name == name
    assert open_raw(str(folder)).label_path("case_0").is_file()
