"""The vocabulary that all layers share."""

from __future__ import annotations

import traceback

import pytest

from sweep.vocabulary.error_lines import last_line
from sweep.vocabulary.errors import SweepFailed


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("first\nsecond"), "ValueError: first"),
        (ValueError("\n\n  first\nsecond"), "ValueError: first"),
        (ValueError("these:\nsecond"), "ValueError: these:"),
        (ValueError(""), "ValueError"),
        (SweepFailed("\nfirst\nsecond"), "first"),
        (SweepFailed(""), "sweep.vocabulary.errors.SweepFailed"),
    ],
)
def test_cause_of_an_error_is_its_first_line_that_says_anything(
    error: Exception, line: str
) -> None:
    assert last_line(error) == line


@pytest.mark.parametrize("said", ["no such file: 'a/b'", "no such file: 'a/b'\nwhatever follows"])
def test_cause_of_an_error_that_quotes_a_traceback_is_the_last_line_of_that(said: str) -> None:
    try:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError(said)  # noqa: B904 - as a handler that fails
    except ValueError:
        quoted = RuntimeError(traceback.format_exc())
    assert last_line(quoted) == "ValueError: no such file: 'a/b'"
