from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "ray", "monai", "optuna", "pandas")


@pytest.mark.parametrize(
    "module",
    [
        "sweep.analysis",
        "sweep.analysis.ranking.ranking_frame",
        "sweep.store.store",
        "sweep.store.read_results",
    ],
)
def test_module_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_ranking_a_sweep_imports_neither_torch_nor_ray() -> None:
    code = (
        "import sys; from sweep.analysis.ranking.ranking_frame import ranking_frame;"
        "ranking_frame([], []);"
        "print('pandas' in sys.modules, 'torch' in sys.modules, 'ray' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "False", "False"]
