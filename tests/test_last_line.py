"""The vocabulary that all layers share."""

from __future__ import annotations

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
