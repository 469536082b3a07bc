"""Splits: nnU-Net's own folds, and the laws that every split obeys."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.data.nnunet_raw.case_groups import pattern_of_subjects, subject
from sweep.data.nnunet_raw.dealt_cases import Dealt, doubts
from sweep.data.nnunet_raw.splits import read_splits, split, unused
from sweep.vocabulary.errors import InputError

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
        ("{", "is not valid JSON"),
        ("7", "must be a list of"),
        ('{"train": ["a"], "val": ["b"]}', "must be a list of .*, but is an object"),
        ('"a"', "must be a list of .*, but is 'a'"),
        ("[3]", 'split 0 must be an object {"train": .*, but is 3'),
        ('[{"train": ["a"]}]', "split 0 lacks `val`, the list of its validation cases"),
        ('[{"train": "a", "val": ["b"]}]', "split 0 `train` must be a list of names, but has 'a'"),
        ('[{"train": ["a"], "val": "b"}]', "split 0 `val` must be a list of names, but has 'b'"),
        ('[{"train": ["a"], "val": {"b": 1}}]', "`val` must be a list of names, but has an object"),
        ('[{"train": ["a", 1], "val": ["b"]}]', "split 0 `train` must list only names, but has 1"),
        ('[{"train": ["a", "a"], "val": ["b"]}]', "split 0 has cases twice in `train`: a"),
        ('[{"train": ["a_0000"], "val": ["b"]}]', "a_0000; cases are named without .* ending: a"),
        ('[{"train": ["a"], "val": ["b.nii.gz"]}]', "b.nii.gz; cases are named without .*: b"),
        ('[{"train": ["a"], "train": ["a"], "val": ["b"]}]', "has the key `train` twice"),
        ('[{"train": [], "val": ["a"]}]', "split 0 has no training cases"),
        ('[{"train": ["a"], "val": []}]', "split 0 has no validation cases"),
        ('[{"train": ["a", "b"], "val": ["b"]}]', "split 0 has the same cases in both sets: b"),
        ('[{"train": ["a"], "val": ["z"]}]', "split 0 names cases that the dataset does not have"),
    ],
)
def test_mistake_in_the_split_file_is_told(tmp_path, content, expected):
    (tmp_path / "splits_final.json").write_text(content)
    with pytest.raises(InputError, match=expected) as caught:
        read_splits(tmp_path, ["a", "b"])
    assert "splits_final.json" in str(caught.value)


def test_all_mistakes_of_a_split_file_are_told_at_once(tmp_path):
    entries = [{"train": "a", "val": ["b", "b"]}, 7, {"train": ["z"], "val": []}]
    (tmp_path / "splits_final.json").write_text(json.dumps(entries))
    with pytest.raises(InputError) as caught:
        read_splits(tmp_path, ["a", "b"])
    assert [mistake.message for mistake in caught.value.mistakes] == [
        "split 0 `train` must be a list of names, but has 'a'",
        "split 0 has cases twice in `val`: b",
        'split 1 must be an object {"train": [cases], "val": [cases]}, but is 7',
        "split 2 has no validation cases",
        "split 2 names cases that the dataset does not have: z",
    ]


def test_cases_in_no_split_are_counted():
    [told] = unused((("a",), ("b",)), list("abcdefg"))
    assert str(told) == (
        "5 of 7 cases are on neither side of the split that splits_final.json gives, and never"
        " read: c, d, e and 2 more"
    )
    assert not list(unused((("a",), ("b",)), ["b", "a"]))


def told_of(*sides, own_test=False):
    """What is told of cases that were dealt to training, validation and test."""
    dealt = Dealt(*map(tuple, sides), *[()] * (3 - len(sides)))
    found = doubts(dealt, [case for side in sides for case in side], None, 0, own_test=own_test)
    return [str(doubt) for doubt in found]


def test_subject_on_both_sides_is_told_with_a_count_and_an_example():
    training = ["sub-01.ses-2", "sub-02_ses-1"]
    validation = ["sub-01.ses-1", "MSD_sub-02_ses-2", "sub-03", "sub-021"]
    told = (
        "2 of 4 validation cases have another image of the same subject in training, such as"
        " sub-01.ses-1 and sub-01.ses-2: validation Dice is too high; set `data.groups` to "
    )
    assert told_of(training, validation) == [f"{told}`(sub-[A-Za-z0-9]+)`"]
    # A pattern that does not find the group of every case would be refused.
    by_file = f"{told}a file that names the group of each case"
    assert told_of([*training, "other"], validation) == [by_file]


def test_subject_of_a_test_case_is_told_from_either_side():
    sides = ["sub-1_a"], ["sub-2_a"], ["sub-2_b", "sub-3"]
    told = (
        "1 of 2 test cases has another image of the same subject in validation, such as sub-2_b"
        " and sub-2_a: test Dice is too high; "
    )
    assert told_of(*sides) == [f"{told}set `data.groups` to `(sub-[A-Za-z0-9]+)`"]
    assert told_of(*sides, own_test=True) == [f"{told}keep whole subjects for the test"]


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("sub-01.ses-2", "sub-01"),
        ("patient007_frame01", "patient007"),  # ACDC
        ("site2_Patient_12_t2", "Patient_12"),
        ("subject3-b", "subject3"),
        ("xyz_pat-4_visit2", "pat-4"),
        ("outpatient12", ""),
        ("patients_1", ""),
        ("patient_a", ""),
    ],
)
def test_subject_is_read_from_the_words_that_name_one(name, named):
    assert subject(name) == named


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (["sub-01_ses-1", "x_sub-ab_ses-2", "sub-01_ses-2"], "(sub-[A-Za-z0-9]+)"),
        (["ACDC_patient_007_1", "ACDC_patient_007_2"], "(patient_[0-9]+)"),
        (["x_pat-4_a", "x_pat-4_b", "x_pat-15_a"], "(pat-[0-9]+)"),
        (["pat-4_a", "pat-4_b", "patient15_a"], None),  # no pattern finds both
        (["sub-01", "sub-02"], None),  # a case each
        (["sub-01_a", "sub-01_b", "other"], None),
    ],
)
def test_pattern_of_subjects_is_given_where_it_finds_those_of_all_cases(names, pattern):
    assert pattern_of_subjects(names) == pattern


@pytest.mark.parametrize(
    "names", [("case_1", "case_1b"), ("resub-1", "resub-1b"), ("sub_1", "sub_1b")]
)
def test_no_other_scheme_of_names_is_guessed(names):
    assert not told_of(names[:1], names[1:])
