"""A sweep that a test conducts itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sweep.spec.load import to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.store import Store


@pytest.fixture
def spec() -> SweepSpec:
    return SweepSpec.model_validate(
        {
            "name": "toy",
            "trials": 3,
            "space": {"loss.warmup_epochs": {"randint": [1, 9]}, "optimizer.lr": {"choice": [0.1]}},
            "searcher": "random",
            "scheduler": "none",
        }
    )


@pytest.fixture
def make_store(tmp_path: Path, spec: SweepSpec) -> Callable[[], Store]:
    """The sweep's results folder; made at the first call, opened again afterwards."""
    folder = tmp_path / "toy"

    def make() -> Store:
        return Store.open(folder) if folder.exists() else Store.create(folder, to_yaml(spec))

    return make
