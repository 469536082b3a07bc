from __future__ import annotations

from pathlib import Path

import pytest
from synthetic import drawn, trial, write_sweep


@pytest.fixture(scope="session")
def sweep_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty trials, of which some diverged and one still runs."""
    folder = tmp_path_factory.mktemp("results") / "a sweep"
    running = trial(30, None, [0.5, 0.6], dict(drawn(30).parameters))
    return write_sweep(folder, [*(drawn(n) for n in range(30)), running])
