"""Splits: nnU-Net's own folds, and the laws that every split obeys."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.data.splits import read_splits, split
from sweep.errors import InputError

CASES = st.lists(st.text(min_size=1), min_size=2, max_size=60, unique=True)


@given(CASES, st.data())
def test_folds_are_those_of_nnunet(cases, data):
    # oracle: scikit-learn's KFold, used as in nnunetv2/utilities/crossval_split.py
    model_selection = pytest.importorskip("sklearn.model_selection")
    folds = data.draw(st.integers(2, min(len(cases), 10)))
    names = sorted(cases)
    kfold = model_selection.KFold(n_splits=folds, shuffle=True, random_state=12345)
    for fold, (train, val) in enumerate(kfold.split(names)):
        expected = tuple(names[i] for i in train), tuple(names[i] for i in val)
        assert split(cases, folds, fold) == expected


@given(CASES, st.data())
def test_folds_cover_all_cases_once_in_nearly_equal_shares(cases, data):
    folds = data.draw(st.integers(2, min(len(cases), 10)))
    splits = [split(cases, folds, fold) for fold in range(folds)]
    assert sorted(case for _, validation in splits for case in validation) == sorted(cases)
    for training, validation in splits:
        assert not set(training) & set(validation)
        assert set(training) | set(validation) == set(cases)
    sizes = [len(validation) for _, validation in splits]
    assert max(sizes) - min(sizes) <= 1


@given(CASES, st.randoms())
def test_order_of_the_cases_does_not_matter(cases, random):
    shuffled = list(cases)
    random.shuffle(shuffled)
    assert split(shuffled, 2, 0) == split(cases, 2, 0)


@pytest.mark.parametrize(("folds", "fold"), [(1, 0), (4, 0), (2, 2), (2, -1)])
def test_impossible_fold_raises(folds, fold):
    with pytest.raises(ValueError, match="over 3 cases"):
        split(["a", "b", "c"], folds, fold)


def test_no_split_file_is_no_split(tmp_path):
    assert read_splits(tmp_path, ["a"]) is None


def test_split_file_is_read_in_nnunets_format(tmp_path):
    entries = [{"train": ["a", "b"], "val": ["c"]}, {"train": ["c"], "val": ["a"]}]
    (tmp_path / "splits_final.json").write_text(json.dumps(entries))
    assert read_splits(tmp_path, ["a", "b", "c"]) == ((("a", "b"), ("c",)), (("c",), ("a",)))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[]", "holds no split"),
        ("{", "must be a list of"),
        ("7", "must be a list of"),
        ("[3]", "must be a list of"),
        ('[{"train": ["a"]}]', "must be a list of"),
        ('[{"train": [], "val": ["a"]}]', "split 0 has no training cases"),
        ('[{"train": ["a"], "val": []}]', "split 0 has no validation cases"),
        ('[{"train": ["a", "b"], "val": ["b"]}]', "split 0 has the same cases on both sides: b"),
        ('[{"train": ["a"], "val": ["z"]}]', "split 0 names cases that the dataset does not have"),
    ],
)
def test_mistake_in_the_split_file_is_told(tmp_path, content, expected):
    (tmp_path / "splits_final.json").write_text(content)
    with pytest.raises(InputError, match=expected) as caught:
        read_splits(tmp_path, ["a", "b"])
    assert "splits_final.json" in str(caught.value)
