"""The page that answers the users' post-mortems names settings and tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.tree.setting_tree import setting_names

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "explanation" / "post-mortems.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.split(" | ")]
    for line in PAGE.splitlines()
    if re.match(r"\| [GL] \|", line)
]
NAMED_TESTS = sorted(set(re.findall(r"`(\S+\.py)::(\w+)`", PAGE)))
KNOWN_SETTINGS = {*setting_names(SweepSpec), *setting_names(), *SweepSpec.model_fields}


def test_both_post_mortems_are_answered() -> None:
    assert {row[0] for row in ROWS} == {"| G", "| L"}
    assert len(ROWS) >= 20


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1])
def test_every_problem_has_settings_that_exist_a_test_and_a_diagnosis(row: list[str]) -> None:
    _, _, settings, tests, told = row
    named = re.findall(r"`([^`]+)`", settings)
    assert named
    assert set(named) <= KNOWN_SETTINGS
    assert re.search(r"::test_", tests)
    assert told.strip("| ")


@pytest.mark.parametrize(("file", "name"), NAMED_TESTS, ids="::".join)
def test_every_test_that_is_named_exists(file: str, name: str) -> None:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
