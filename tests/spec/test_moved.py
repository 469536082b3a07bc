"""Data are known by what they hold: folders may move, and other data at the same path are told."""

from pathlib import Path
from typing import Any

import pytest

from sweep.spec.search.shared_warmup import trunk_key
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.session_changes import continued
from sweep.spec.tree.moved_data import changed_parts, with_places_of
from sweep.vocabulary.errors import ResultsError

HERE, THERE = "dataset.json:1a imagesTr:2b labelsTr:3c", "dataset.json:1a imagesTr:2b labelsTr:4d"


def spec_of(**groups: Any) -> SweepSpec:
    return SweepSpec.model_validate({"name": "s", "space": {"seed": {"choice": [1, 2]}}} | groups)


def raw(folder: str, fingerprint: str | None, **more: Any) -> SweepSpec:
    data = {"source": "nnunet_raw", "folder": folder, "fingerprint": fingerprint}
    return spec_of(data=data | more)


def test_same_data_in_another_folder_go_on_there() -> None:
    spec = continued([raw("/a", HERE)], raw("/b", HERE))
    assert spec == raw("/b", HERE)
    assert trunk_key(spec) == trunk_key(raw("/a", HERE))


@pytest.mark.parametrize("folder", ["/a", "/b"])
def test_other_data_are_refused_wherever_they_lie(folder: str) -> None:
    with pytest.raises(ResultsError, match="over other data: labelsTr of the dataset differ"):
        continued([raw("/a", HERE)], raw(folder, THERE))


def test_another_change_is_refused_beside_a_move() -> None:
    with pytest.raises(ResultsError, match=r"holds a sweep with another spec"):
        continued([raw("/a", HERE)], raw("/b", HERE, normalization="minmax"))


def test_refusal_beside_a_move_asks_for_no_folder_that_was_left() -> None:
    asked = raw("/b", HERE, normalization="minmax")
    with pytest.raises(ResultsError) as told:
        continued([raw("/a", HERE)], asked)
    first, *difference = str(told.value).splitlines()
    assert first.endswith(""" as recorded: --set 'data.normalization="zscore"'""")
    assert difference[-2:] == ["-  normalization: zscore", "+  normalization: minmax"]


def test_sweep_of_before_fingerprints_goes_on_where_it_was_and_records_one() -> None:
    recorded = raw("/a", None, slice_axis=2)
    spec = continued([recorded], raw("/a", HERE))  # auto
    assert spec == raw("/a", HERE, slice_axis=2)
    assert continued([recorded, spec], raw("/b", HERE, slice_axis=2)).data.folder == "/b"  # type: ignore[union-attr]
    with pytest.raises(ResultsError):
        continued([recorded], raw("/b", HERE))  # nobody knows whether it is the same


def test_own_trainer_goes_on_in_another_folder_if_its_file_is_the_same(tmp_path: Path) -> None:
    def custom(folder: str) -> SweepSpec:
        return spec_of(trainer={"kind": "custom", "entry": f"{tmp_path}/{folder}/mine.py:Mine"})

    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.py").write_text("class Mine: ...")
    assert continued([custom("a")], custom("b")) == custom("b")  # a has gone: it was moved
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine.py").write_text("class Mine: ...")
    assert continued([custom("a")], custom("b")) == custom("b")  # copied
    (tmp_path / "a" / "mine.py").write_text("class Mine: other = 1")
    with pytest.raises(ResultsError):
        continued([custom("a")], custom("b"))


def test_nnunets_folders_are_known_by_what_is_preprocessed() -> None:
    def nnunet(folder: str, fingerprint: str | None) -> SweepSpec:
        folders = {"raw": f"{folder}/raw", "preprocessed": f"{folder}/pre"}
        trainer = {"kind": "nnunet", "dataset": 502, "fingerprint": fingerprint} | folders
        return spec_of(trainer=trainer)

    assert continued([nnunet("/a", HERE)], nnunet("/b", HERE)) == nnunet("/b", HERE)
    with pytest.raises(ResultsError):
        continued([nnunet("/a", HERE)], nnunet("/b", THERE))
    with pytest.raises(ResultsError):
        continued([nnunet("/a", None)], nnunet("/b", HERE))


def test_parts_that_changed_are_named() -> None:
    assert changed_parts(HERE, THERE) == ["labelsTr"]
    assert changed_parts("a:1", "a:1 splits_final.json:2") == ["splits_final.json"]


def test_places_of_another_dataset_are_not_taken() -> None:
    assert with_places_of(raw("/a", HERE), raw("/b", THERE)) == raw("/a", HERE)
