"""Clocks jump: at a time server's word, in summer, when a laptop wakes. Nothing here minds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import sweep

PACKAGE = Path(sweep.__file__).parent
WALL_CLOCKS = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today"}
STAMPS = {
    "console/last_look.py",  # how long ago the reader last looked
    "engine/session/ending.py",  # when something went wrong
    "report/page_data.py",  # when it was written
    "store/at_uri/local_results.py",  # how long ago anybody wrote to a URI
    "store/spool/request_spool.py",  # when a user asked for something
    "trainer/readback/provenance.py",  # when a process took the trial up, for the reader
    "tracking/tensorboard_tracker.py",  # events must carry one
    "tracking/mlflow_tracker.py",
}


def calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module in ("time", "datetime"):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_wall_clocks_stamp_what_a_reader_sees_and_decide_nothing() -> None:
    readers = {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if WALL_CLOCKS & set(calls(ast.parse(file.read_text(encoding="utf-8"))))
    }
    assert readers == STAMPS
