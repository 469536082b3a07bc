from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.analysis.ranking import ranking_columns
from sweep.analysis.shown_columns import known_columns
from sweep.spec.settings.evaluation_settings import MEASURED
from sweep.spec.settings.objective_settings import OTHER_COLUMNS
from sweep.spec.tree.setting_tree import WITH_OWN_KEYS, setting_names
from sweep.spec.words.short_names import SAYS_NOTHING_ALONE, label, short_names, words
from sweep.vocabulary.objective import DICE
from sweep.vocabulary.record import ParameterValue, Replicate

OWN_KEYS = st.sampled_from(["dice", "hd95", "compactness", "width", "name", "lr", "options"])
DOTTED = st.one_of(
    st.sampled_from(setting_names()),
    st.tuples(st.sampled_from(WITH_OWN_KEYS), OWN_KEYS).map(".".join),
)
HEADINGS_OF_COLUMNS = {
    *ranking_columns.COLUMNS,
    *(column.heading for column in known_columns(DICE)),
    *OTHER_COLUMNS,
    *(name for names in MEASURED.values() for name in names),
    "front", "kind", "main", "metric", "mode", "name", "note", "notes", "pareto", "time",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("optimizer.name", "optimizer.name"),
        ("optimizer.lr", "lr"),
        ("loss.main", "loss.main"),
        ("loss.sqrt_epsilon", "sqrt_epsilon"),
        ("loss.weights.compactness", "weights.compactness"),
        ("evaluation.nsd_tolerance.liver", "nsd_tolerance.liver"),
        ("trainer.options.width", "options.width"),
        ("trainer.epochs", "trainer.epochs"),
        ("augmentation.noise.probability", "noise.probability"),
        ("share_warmup", "share_warmup"),
    ],
)
def test_short_name_begins_where_a_stranger_understands_it(name: str, short: str) -> None:
    assert short_names([name]) == {name: short}


def test_names_with_the_same_end_keep_what_tells_them_apart() -> None:
    assert short_names(["loss.a", "optimizer.lr", "other.lr", "x.b.lr"]) == {
        "loss.a": "a",
        "optimizer.lr": "optimizer.lr",
        "other.lr": "other.lr",
        "x.b.lr": "b.lr",
    }


@given(st.lists(DOTTED, unique=True))
def test_short_names_are_ends_of_the_names_and_no_two_are_equal(names: list[str]) -> None:
    short = short_names(names)
    assert list(short) == names
    assert len(set(short.values())) == len(names)
    assert all(name == end or name.endswith(f".{end}") for name, end in short.items())


@given(st.lists(DOTTED, unique=True).flatmap(lambda n: st.tuples(st.just(n), st.permutations(n))))
def test_short_names_do_not_depend_on_the_order(both: tuple[list[str], list[str]]) -> None:
    names, mixed = both
    assert short_names(names) == short_names(mixed)


@given(st.lists(DOTTED.filter(lambda name: "." in name), unique=True))
def test_no_short_name_is_the_heading_of_another_column(names: list[str]) -> None:
    assert not set(short_names(names).values()) & HEADINGS_OF_COLUMNS


def test_every_setting_has_a_short_name_that_is_no_heading() -> None:
    inside = [name for name in setting_names() if "." in name]
    assert not set(short_names(inside).values()) & HEADINGS_OF_COLUMNS
    for name in inside:
        assert not set(short_names([name]).values()) & HEADINGS_OF_COLUMNS, name


def test_words_that_say_nothing_alone_are_ends_of_settings() -> None:
    assert {name.rpartition(".")[2] for name in setting_names()} >= SAYS_NOTHING_ALONE


def test_label_is_every_parameter_by_its_short_name() -> None:
    parameters: dict[str, ParameterValue] = {
        "loss.weights.compactness": 0.03125,
        "trainer.epochs": 20,
        "loss.warmup.epochs": 5,
        "early_stopping.patience": None,
        "share_warmup": True,
    }
    assert label(parameters) == (
        "weights.compactness=0.0312 trainer.epochs=20 warmup.epochs=5 patience=null"
        " share_warmup=true"
    )


def test_preset_is_labelled_by_its_name() -> None:
    assert label({"loss.weights.aspect": 0.5}, preset="baseline") == "baseline"


def test_replicate_is_labelled_by_whose_it_is_and_by_what_chance_it_has() -> None:
    replicate = Replicate(of="t0003", seed=7, fold=1)
    assert label({"loss.weights.aspect": 0.5}, None, replicate) == (
        "replicate of t0003 seed=7 fold=1 weights.aspect=0.5"
    )


@pytest.mark.parametrize(
    ("value", "text"), [(1e-8, "1e-8"), (0.25, "0.25"), (1234.5, "1.23e+3"), ("unet", "unet")]
)
def test_numbers_have_three_digits(value: ParameterValue, text: str) -> None:
    assert words(value) == text
