"""A server in this process, and folders for it to show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from synthetic import drawn, trial, write_sweep
from visitor import Visitor, served

from sweep.page_server.sweep_list import SweepList


@pytest.fixture
def serve() -> Iterator[Callable[..., Visitor]]:
    """``serve(folder)``: somebody who has entered the page of that folder."""
    with ExitStack() as stack:
        yield lambda folder, **options: stack.enter_context(
            served(SweepList(folder), **options)
        ).enter()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with two sweeps and something else."""
    root = tmp_path / "results"
    write_sweep(root / "small", [trial(0, None, [0.5], dict(drawn(0).parameters))])
    write_sweep(root / "other one", [drawn(n) for n in range(3)])
    (root / "notes").mkdir()
    return root
