"""Cases that neither training nor validation of any fold ever sees."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.data.nnunet_raw.splits import hold_out, split
from sweep.data.prepared.prepare import prepare
from sweep.data.sources.brain import held_out_slab, slabs
from sweep.data.sources.shape_images import write_shapes
from sweep.data.sources.source_table import check_data
from sweep.spec.settings.data_settings import BrainData, NnunetRawData, ShapesData


def settings_of(**changes: Any) -> ShapesData:
    return ShapesData.model_validate({"size": 32, "count": 20, "difficulty": 0.0} | changes)


@given(count=st.integers(10, 60), share=st.floats(0.01, 0.4), folds=st.integers(2, 5))
def test_no_fold_sees_a_test_case_and_every_other_case_validates_once(
    count: int, share: float, folds: int
) -> None:
    cases = [f"case{n}" for n in range(count)]
    rest, test = hold_out(cases, share)
    assert len(test) == max(1, round(share * count))
    assert sorted(rest + test) == sorted(cases)
    splits = [split(rest, folds, fold) for fold in range(folds)]
    assert sorted(name for _, validation in splits for name in validation) == sorted(rest)
    assert all(not set(test) & {*training, *validation} for training, validation in splits)
    assert hold_out(cases[::-1], share) == (rest, test)


def test_without_a_share_nothing_is_held_out() -> None:
    assert hold_out(["b", "a"], 0.0) == (("a", "b"), ())


def test_all_folds_share_the_packed_pixels_and_leave_out_the_same_cases() -> None:
    plain = prepare(settings_of())
    assert plain.test.cases == ()
    for fold in (0, 3):
        data = prepare(settings_of(test=0.2, fold=fold))
        assert len(data.test.cases) == 4
        every = {*data.training.cases, *data.validation.cases}
        assert not every & set(data.test.cases)
        assert data.test.cases == prepare(settings_of(test=0.2)).test.cases
        assert data.origin["test"] == 0.2


def raw(folder: Path) -> Path:
    """A dataset with two test cases of its own."""
    write_shapes(folder, settings_of(count=12))
    for kind in ("images", "labels"):
        (folder / f"{kind}Ts").mkdir()
        for file in sorted((folder / f"{kind}Tr").iterdir())[:2]:
            shutil.move(file, folder / f"{kind}Ts" / file.name)
    description = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(description | {"numTraining": 10}))
    return folder


def of_raw(folder: Path, **changes: Any) -> NnunetRawData:
    return NnunetRawData.model_validate({"source": "nnunet_raw", "folder": str(folder)} | changes)


def test_datasets_own_test_cases_are_read_where_they_are_asked_for(tmp_path: Path) -> None:
    folder = raw(tmp_path / "raw")
    data = prepare(of_raw(folder, test="imagesTs"), cache=tmp_path / "cache")
    assert len(data.test.cases) == 2
    assert len(data.training.cases) + len(data.validation.cases) == 10
    plain = prepare(of_raw(folder), cache=tmp_path / "cache")
    assert plain.test.cases == ()
    assert plain.training.cases == data.training.cases


def test_what_is_wrong_with_a_test_split_is_told(tmp_path: Path) -> None:
    folder = raw(tmp_path / "raw")
    few = check_data(settings_of(count=6, test=0.5))
    assert [str(m) for m in few] == [
        "data.test: 3 of 6 cases for the test leave too few for 5 folds"
    ]
    label = next((folder / "labelsTs").iterdir())
    label.unlink()
    [mistake] = check_data(of_raw(folder, test="imagesTs"))
    assert "images without a label" in mistake.message
    assert check_data(of_raw(folder)) == []  # nobody asks for them
    shutil.rmtree(folder / "imagesTs")
    assert "is missing" in check_data(of_raw(folder, test="imagesTs"))[0].message
    with pytest.raises(ValueError, match="needs `source: nnunet_raw`"):
        settings_of(test="imagesTs")


def test_test_may_not_take_a_whole_side_of_the_datasets_own_split(tmp_path: Path) -> None:
    folder = raw(tmp_path / "raw")
    cases = sorted(path.stem for path in (folder / "labelsTr").iterdir())
    _, test = hold_out(cases, 0.1)
    rest = [case for case in cases if case not in test]
    (folder / "splits_final.json").write_text(json.dumps([{"train": rest, "val": list(test)}]))
    [mistake] = check_data(of_raw(folder, test=0.1))
    assert str(mistake) == "data.test: 0.1 takes every validation case of split 0"


def test_slab_of_the_brain_keeps_its_distance_from_all_others() -> None:
    settings = BrainData.model_validate({"source": "brain", "test": 0.15})
    training, validation = slabs(settings)
    test = held_out_slab(settings)
    assert validation == slabs(BrainData(source="brain"))[1]  # the validation stays what it was
    assert len(test) == 11  # 0.15 · 142 slices, every second
    for z in test:
        assert min(abs(z - other) for other in (*training, *validation)) > settings.gap
    assert held_out_slab(BrainData(source="brain")) == ()
