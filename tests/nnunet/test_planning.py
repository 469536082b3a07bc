"""Planning and preprocessing: once, told as it goes on, and nnU-Net's errors as ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweep.data.sources.shapes_datasets import write_shapes_dataset
from sweep.nnunet.dataset import planning
from sweep.nnunet.dataset.nnunet_datasets import is_planned
from sweep.nnunet.dataset.planning import ensure_preprocessed
from sweep.spec.settings.data_settings import ShapesData
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.vocabulary.errors import InputError


def asked(raw: Path, preprocessed: Path, **more: object) -> NnunetTrainer:
    return NnunetTrainer.model_validate(
        {"kind": "nnunet", "dataset": 502, "raw": str(raw), "preprocessed": str(preprocessed)}
        | more
    )


def test_what_was_done_is_not_done_again(
    raw: Path, preprocessed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "_run", lambda *_: pytest.fail("planned again"))
    plans, dataset = ensure_preprocessed(asked(raw, preprocessed))
    folder = preprocessed / "Dataset502_Shapes_One"
    assert (plans, dataset) == (folder / "nnUNetPlans.json", folder / "dataset.json")
    assert json.loads(plans.read_text())["configurations"]["2d"]["batch_dice"] is True
    log = (preprocessed / "Dataset502_Shapes_One.log").read_text()
    assert "verify_dataset_integrity Done" in log


def test_dataset_that_lacks_a_case_is_not_taken_for_done(
    raw: Path, preprocessed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "Dataset502_Shapes_One"
    (folder / "nnUNetPlans_2d").mkdir(parents=True)
    (folder / "gt_segmentations").mkdir()
    done = preprocessed / folder.name
    for name in ("nnUNetPlans.json", "dataset.json"):
        (folder / name).write_text((done / name).read_text())
    names = sorted(file.name for file in (done / "nnUNetPlans_2d").glob("*.pkl"))
    for name in names[1:]:
        (folder / "nnUNetPlans_2d" / name).touch()
    assert not is_planned(asked(raw, tmp_path))
    (folder / "nnUNetPlans_2d" / names[0]).touch()
    assert is_planned(asked(raw, tmp_path))


def test_dataset_that_nnunet_refuses_is_told_in_its_words_with_the_log(tmp_path: Path) -> None:
    raw, told = tmp_path / "raw", list[str]()
    folder = write_shapes_dataset(raw, 502, ShapesData(size=32, count=5), test=0)
    (folder / "labelsTr" / "one_circle_00003.png").unlink()
    with pytest.raises(InputError) as error:
        ensure_preprocessed(asked(raw, tmp_path / "pre"), told.append)
    said = str(error.value)
    assert said.startswith(f"{folder}: nnU-Net refuses it: not all training cases have a label")
    assert "one_circle_00003" in said
    assert f"(full output: {tmp_path}/pre/Dataset502_Shapes_One.log)" in said
    assert set(told) == {"nnU-Net looks through Dataset502_Shapes_One"}


def test_plans_that_nnunet_has_only_begun_to_write_end_nothing(raw: Path, tmp_path: Path) -> None:
    base = tmp_path / "Dataset502_Shapes_One"
    base.mkdir()
    (base / "dataset_fingerprint.json").touch()
    (base / "nnUNetPlans.json").write_text('{"dataset_name": "Da')
    said = planning._progress(asked(raw, tmp_path), raw / base.name, base)
    assert said == "nnU-Net plans Dataset502_Shapes_One"


def test_plans_that_are_none_of_nnunets_own_have_to_be_made_by_hand(
    raw: Path, tmp_path: Path
) -> None:
    told = r"trainer.plans: .* only nnUNetPlans, .* are made here"
    with pytest.raises(InputError, match=told):
        ensure_preprocessed(asked(raw, tmp_path, plans="mine"))
    assert not (tmp_path / "Dataset502_Shapes_One").exists()


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("raw", "the raw datasets (Dataset502_…)"),
        ("preprocessed", "what nnU-Net plans and preprocesses"),
    ],
)
def test_folder_that_nobody_names_is_asked_for(
    raw: Path, tmp_path: Path, name: str, holds: str
) -> None:
    with pytest.raises(InputError) as error:
        ensure_preprocessed(asked(raw, tmp_path).model_copy(update={name: None}))
    assert str(error.value) == (
        f"trainer.{name}: nnU-Net needs the folder of {holds}: set trainer.{name}, or set the"
        f" environment variable nnUNet_{name}"
    )
