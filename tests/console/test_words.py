from __future__ import annotations

import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from sweep.analysis.report_words import correlation
from sweep.analysis.report_words import status as status_words
from sweep.console.console_words import (
    STYLES,
    count_words,
    duration_words,
    make_console,
    print_sentence,
    value_words,
)
from sweep.vocabulary.objective import DICE
from sweep.vocabulary.record import Status


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (42, "42 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7629, "2 h 07 min"),
        (86_399.7, "1 d 00 h"),
        (3 * 86_400 + 4 * 3600 + 59 * 60, "3 d 04 h"),
    ],
)
def test_duration_is_told_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words


@given(st.floats(0, 1e8))
def test_duration_words_stay_short(seconds: float) -> None:
    assert len(duration_words(seconds)) <= len("1000 d 00 h")


def test_statuses_are_written_as_people_read_them() -> None:
    assert status_words(Status.EARLY_STOPPED) == "early-stopped"
    assert {status_words(status) for status in Status} >= {"running", "diverged", "pruned"}


def test_every_status_has_a_style() -> None:
    assert set(STYLES) == set(Status)


def test_counts_are_one_line_with_zeros_dimmed() -> None:
    text = count_words({Status.RUNNING: 2, Status.EARLY_STOPPED: 0, Status.DIVERGED: 13})
    assert text.plain == "2 running · 0 early-stopped · 13 diverged"
    styles = {text.plain[span.start : span.end]: span.style for span in text.spans}
    assert styles == {"2 running": "cyan", "0 early-stopped": "dim", "13 diverged": "red"}


def test_waiting_trials_stand_beside_the_running_ones_also_where_there_is_little_room() -> None:
    counts = {Status.RUNNING: 0, Status.PRUNED: 0, Status.DIVERGED: 13}
    assert count_words(counts, waiting=3).plain == "0 running · 3 waiting · 0 pruned · 13 diverged"
    assert count_words(counts, 35, waiting=3).plain == "0 running · 3 waiting · 13 diverged"


def test_dice_has_four_digits_or_a_dash() -> None:
    assert value_words(0.91236, DICE) == "0.9124"
    assert value_words(0.0, DICE) == "0.0000"
    assert value_words(None, DICE) == "–"


@given(st.integers(25, 200))
def test_counts_are_broken_between_counts_only(width: int) -> None:
    counts = dict.fromkeys(Status, 12)
    lines = count_words(counts, width).plain.split("\n")
    assert all(len(line) <= width for line in lines)
    assert " · ".join(lines) == count_words(counts).plain


def printed(sentence: str, width: int, *, terminal: bool = True) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    print_sentence(console, sentence)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


PATH = "/data/of/a/long/project/results/quickstart-with-a-long-name/trials/t0003/config.yaml"
COPIED = st.sampled_from([PATH, "'/my data/a b/c.yaml'", "`python -m sweep.rank 'my results'`"])


@given(
    st.lists(st.one_of(COPIED, st.sampled_from(["the", "trial's", "curves", "(95 %)"]))),
    st.integers(60, 200),
)
def test_sentence_is_broken_between_words_but_never_inside_what_is_copied(
    parts: list[str], width: int
) -> None:
    lines = printed(" ".join(parts), width)
    assert " ".join(lines) == " ".join(parts)
    for copied in (part for part in parts if part[0] in "'`/"):
        assert any(copied in line for line in lines)
    assert all(len(line) <= width or line in parts for line in lines)


def test_sentence_fills_the_lines_of_a_terminal_and_is_one_line_of_a_file() -> None:
    sentence = "word " * 30
    assert [len(line) for line in printed(sentence, 60)] == [59, 59, 29]
    assert printed(sentence, 60, terminal=False) == [sentence.rstrip()]


def test_name_between_colons_is_not_read_as_an_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    make_console().print("results/:fire:/ranking.csv", markup=False)
    assert capsys.readouterr().out == "results/:fire:/ranking.csv\n"


@pytest.mark.parametrize(
    ("value", "words"),
    [(1.0, "1.00"), (0.9974, "0.99"), (0.5, "0.50"), (-0.9999, "−0.99"), (-1.0, "−1.00")],
)
def test_correlation_is_called_one_only_where_it_is(value: float, words: str) -> None:
    assert correlation(value) == words
    assert correlation(value, "+") == ("+" if value > 0 else "") + words


def test_no_correlation_is_neither_strong_nor_falling() -> None:
    assert correlation(math.nan) == "nan"
    assert correlation(-0.001) == "0.00"
