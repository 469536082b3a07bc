"""Cases of one patient stay together: in folds, in the test share, and in what a trial records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw_dataset import write_cases
from sklearn.model_selection import GroupKFold, KFold

from sweep.api.checked_spec import read_words
from sweep.data.nnunet_raw.case_groups import groups_of
from sweep.data.nnunet_raw.pixels import RawCase
from sweep.data.nnunet_raw.splits import hold_out, split
from sweep.data.prepared.prepare import prepare
from sweep.data.sources.source_table import check_data, open_source
from sweep.spec.settings.data_settings import NnunetRawData
from sweep.vocabulary.errors import InputError

GROUPED = st.integers(2, 5).flatmap(
    lambda folds: st.tuples(
        st.just(folds), st.lists(st.integers(1, 7), min_size=folds + 2, max_size=20)
    )
)
"""Folds, and the number of cases of each group."""


def grouped(sizes: Sequence[int]) -> dict[str, str]:
    return {f"c{g}_{n}": f"p{g}" for g, size in enumerate(sizes) for n in range(size)}


@given(GROUPED)
def test_each_case_validates_once_and_no_group_is_on_two_sides(
    drawn: tuple[int, list[int]],
) -> None:
    folds, sizes = drawn
    groups = grouped(sizes)
    dealt = [split([*groups], folds, fold, groups) for fold in range(folds)]
    assert sorted(case for _, validation in dealt for case in validation) == sorted(groups)
    for training, validation in dealt:
        assert sorted((*training, *validation)) == sorted(groups)
        assert not {groups[case] for case in training} & {groups[case] for case in validation}


@given(GROUPED, st.floats(0.01, 0.6))
def test_test_share_takes_whole_groups_and_no_fewer_cases_than_would_be_nearer(
    drawn: tuple[int, list[int]], share: float
) -> None:
    groups = grouped(drawn[1])
    rest, test = hold_out([*groups], share, groups)
    assert test
    assert sorted((*rest, *test)) == sorted(groups)
    assert not {groups[case] for case in rest} & {groups[case] for case in test}
    wanted = max(1, round(share * len(groups)))
    if len(test) < wanted:  # no group that is left would bring it nearer
        left = Counter(groups[case] for case in rest)
        assert all(size >= 2 * (wanted - len(test)) for size in left.values())


@given(GROUPED, st.randoms(use_true_random=False))
def test_order_of_the_cases_does_not_matter(drawn: tuple[int, list[int]], random: Any) -> None:
    folds, sizes = drawn
    groups = grouped(sizes)
    shuffled = [*groups]
    random.shuffle(shuffled)
    assert split(shuffled, folds, 1, groups) == split([*groups], folds, 1, groups)
    assert hold_out(shuffled, 0.3, groups) == hold_out([*groups], 0.3, groups)


@given(GROUPED)
def test_folds_are_as_even_as_those_of_scikit_learn(drawn: tuple[int, list[int]]) -> None:
    folds, sizes = drawn
    groups = grouped(sizes)
    oracle = GroupKFold(folds).split([*groups], groups=[*groups.values()])
    ours = [len(split([*groups], folds, fold, groups)[1]) for fold in range(folds)]
    assert sorted(ours) == sorted(len(validation) for _, validation in oracle)


@given(st.integers(2, 5), st.integers(5, 20), st.integers(1, 3))
def test_groups_of_one_size_are_dealt_as_nnunet_deals_cases(
    folds: int, count: int, size: int
) -> None:
    groups = grouped([size] * count)
    names = sorted(set(groups.values()))
    for fold, (_, held_out) in enumerate(
        KFold(folds, shuffle=True, random_state=12345).split(names)
    ):
        _, validation = split([*groups], folds, fold, groups)
        assert {groups[case] for case in validation} == {names[index] for index in held_out}


CASES = ("patient1_a", "patient1_b", "patient2_a")
WANTED = {"patient1_a": "patient1", "patient1_b": "patient1", "patient2_a": "patient2"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("groups.csv", "age,case,group\n" + "".join(f"7,{c},{g}\n" for c, g in WANTED.items())),
        ("groups.TSV", "\ufeffcase\tgroup\n" + "".join(f"{c}\t{g}\n" for c, g in WANTED.items())),
        ("groups.csv", "case, group\n\n" + "".join(f"{c} , {g}\n" for c, g in WANTED.items())),
        ("groups.json", json.dumps(WANTED | {"elsewhere": 7})),
    ],
)
def test_groups_come_from_a_table_or_an_object(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert groups_of(str(tmp_path / name), CASES) == WANTED


def test_groups_come_from_a_pattern_anywhere_in_the_name() -> None:
    assert groups_of("(patient[0-9]+)", CASES) == WANTED
    assert groups_of("_([ab])$", CASES)["patient1_b"] == "b"
    assert groups_of(None, CASES) == {}


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("g.csv", "case,group\npatient1_a,1\n", "for 2 of 3 cases: patient1_b, patient2_a; every"),
        ("g.csv", "case,group\npatient1_a_0000.nii.gz,1\n", "needs one; cases are named without"
         " channel and ending: patient1_a"),
        ("g.csv", "case,group\npatient1_a,\npatient1_b,2\npatient2_a,3\n", "for 1 of 3 cases"),
        ("g.csv", "case,patient\na,b\n", ":1: must have the columns `case` and `group`, separated"
         " by commas; `group` is missing, there are: case, patient"),
        ("g.tsv", "case,group\n", "separated by tabs; `case` is missing, there are: case,group"),
        ("g.csv", "", "`case` is missing, there are: none"),
        ("g.csv", "case,group\na,1\na,2\n", ":3: puts `a` into two groups, `1` and `2`"),
        ("g.csv", "case,group,group\na,1,2\n", "`group` is there twice, there are: case, "),
        ("g.csv", "case,group\na,Doe, Jo\n", ":2: has 3 cells under 2 columns; quote texts with"),
        ("g.csv", 'case,group\n"a,1\n', "cannot be read as a table"),
        ("g.json", '{"a": [1]}', "the group of `a` must be a text or a whole number, but is [1]"),
        ("g.json", '{"a": 1, "a": 2}', "has the key `a` twice"),
        ("g.json", "[]", "must hold a JSON object"),
        ("g.json", "{", "is not valid JSON"),
        ("none.csv", None, "none.csv: is missing"),
        ("none.json", None, "none.json: is missing"),
    ],
)  # fmt: skip
def test_file_that_leaves_a_group_open_is_told_with_its_place(
    name: str, text: str | None, told: str, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as raised:
        groups_of(str(tmp_path / name), CASES)
    [line] = map(str, raised.value.mistakes)
    assert line.startswith(str(tmp_path / name))
    assert told in line


def test_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as text in UTF-8"):
        groups_of(str(tmp_path / "g.csv"), CASES)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("patient", "must have one pair of brackets"),
        ("(a)(b)", "has 2"),
        ("(", "is no regular expression: missing ), unterminated subpattern at position 0"),
    ],
)
def test_pattern_that_names_no_group_is_refused(asked: str, told: str) -> None:
    with pytest.raises(ValueError, match="groups") as raised:
        settings_of(Path("x"), groups=asked)
    assert told in str(raised.value)


def settings_of(folder: Path, **changes: Any) -> NnunetRawData:
    return NnunetRawData.model_validate({"source": "nnunet_raw", "folder": str(folder)} | changes)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Six patients of two images each, and one test case of another."""
    label = np.eye(32, dtype=np.uint8)

    def case(name: str) -> RawCase:
        return RawCase(name, (label * 200)[None], label)

    write_cases(
        tmp_path / "raw",
        [case(f"patient{n}_{time}") for n in range(6) for time in "ab"],
        "line",
        ending=".png",
        test=[case("patient9_a")],
    )
    return tmp_path / "raw"


PATTERN = "(patient[0-9]+)"


def patients(cases: Sequence[str]) -> set[str]:
    return {case.partition("_")[0] for case in cases}


def test_trial_trains_and_validates_on_whole_patients(raw: Path) -> None:
    settings = settings_of(raw, groups=PATTERN, test=0.2, folds=4, fold=2)
    data = prepare(settings)
    sides = [patients(side.cases) for side in (data.training, data.validation, data.test)]
    assert [len(side) for side in sides] == [4, 1, 1]
    assert len(set.union(*sides)) == sum(map(len, sides)) == 6
    assert read_words(data).endswith(
        " of 32×32; fold 2: 8 train (4 groups), 2 validate (1 group), 2 test (1 group)"
    )
    assert data.origin["groups"] == PATTERN
    assert data.groups["patient3_b"] == "patient3"
    alone = [str(doubt).partition(" group, ")[0] for doubt in open_source(settings).doubts()]
    assert alone == [f"all 2 {side} cases are of one" for side in ("validation", "test")]
    two = settings_of(raw, groups=PATTERN, test=0.4, folds=2)  # two patients on each side
    assert open_source(two).doubts() == []


def test_names_that_tell_of_subjects_are_doubted_with_the_setting_that_cures_it(raw: Path) -> None:
    [doubt, *_] = map(str, open_source(settings_of(raw)).doubts())
    assert doubt.endswith(f"validation Dice is too high; set `data.groups` to `{PATTERN}`")
    assert open_source(settings_of(raw, groups=PATTERN)).doubts() == []


def mistakes(raw: Path, **changes: Any) -> list[str]:
    return [str(mistake) for mistake in check_data(settings_of(raw, **changes))]


def test_case_without_a_group_and_too_few_groups_are_mistakes(raw: Path) -> None:
    assert mistakes(raw, groups="(patient[0-4])") == [
        "data.groups: `(patient[0-4])` finds no group in 2 of 12 cases: patient5_a, patient5_b;"
        " every case needs one"
    ]
    assert mistakes(raw, groups="_([ab])$") == ["data.folds: 2 groups cannot be split into 5 folds"]
    assert mistakes(raw, groups=PATTERN, test=0.4) == [
        "data.test: 4 of 12 cases for the test leave 4 groups, too few for 5 folds"
    ]
    [told] = mistakes(raw, groups="(patient[0-5])", test="imagesTs")
    assert "finds no group in 1 of 13 cases: patient9_a" in told


def test_splits_of_the_dataset_count_and_what_they_divide_is_told(raw: Path) -> None:
    names = [f"patient{n}_{time}" for n in range(6) for time in "ab"]
    one = {"train": names[:9], "val": names[9:]}
    (raw / "splits_final.json").write_text(json.dumps([one]))
    settings = settings_of(raw, groups=PATTERN)
    assert prepare(settings).validation.cases == tuple(names[9:])
    assert [str(doubt) for doubt in open_source(settings).doubts()] == [
        "1 of 3 validation cases has another image of the same group in training, such as"
        " patient4_b and patient4_a: validation Dice is too high; give splits by group in"
        " splits_final.json, which counts, or remove it"
    ]


def test_pattern_that_groups_nothing_is_doubted(raw: Path) -> None:
    [doubt, *_] = map(str, open_source(settings_of(raw, groups="(.+)")).doubts())
    assert doubt == "data.groups: each of the 12 cases is a group of its own, so nothing is grouped"


def fingerprint_of(raw: Path, cache: Path, **changes: Any) -> str:
    return open_source(settings_of(raw, **changes)).fingerprint(cache)


def test_fingerprint_has_the_groups_and_without_them_is_as_it_was(
    raw: Path, tmp_path: Path
) -> None:
    plain = fingerprint_of(raw, tmp_path)
    found = fingerprint_of(raw, tmp_path, groups=PATTERN)
    assert "groups" not in plain
    assert found.startswith(f"{plain} data.groups:")
    table: Mapping[str, str] = groups_of(PATTERN, open_source(settings_of(raw))._dataset.cases)  # type: ignore[attr-defined]
    (tmp_path / "one.json").write_text(json.dumps(dict(table)))
    (tmp_path / "other.json").write_text(json.dumps(dict(table) | {"patient1_a": "patient2"}))
    assert fingerprint_of(raw, tmp_path, groups=str(tmp_path / "one.json")) == found
    with pytest.raises(InputError, match=r"\(data\.groups differ\)"):
        fingerprint_of(raw, tmp_path, groups=str(tmp_path / "other.json"), fingerprint=found)


def test_other_groups_pack_no_pixel_again_unless_the_test_share_decides_pixels(
    raw: Path, tmp_path: Path
) -> None:
    def packed() -> int:
        return len([entry for entry in (tmp_path / "cache").iterdir() if entry.is_dir()])

    for changes in ({}, {"groups": PATTERN}, {"groups": PATTERN, "test": 0.2}):
        prepare(settings_of(raw, **changes), tmp_path / "cache")
    assert packed() == 1
    more = {"normalization": "nnunet", "test": 0.2}
    prepare(settings_of(raw, **more), tmp_path / "cache")
    prepare(settings_of(raw, **more, groups=PATTERN), tmp_path / "cache")
    assert packed() == 3
