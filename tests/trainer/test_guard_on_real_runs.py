"""A sample of the real runs of ``benchmarks/real_runs.py``, whose table is in its README."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "real_runs.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("real_runs", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


real_runs = load()
EVERY_TENTH = real_runs.configurations()[::10]
"""Without and with ε, rates that are far too high with clipping and without, one term alone,
another optimizer, half precision. The script runs all of them."""


@pytest.mark.parametrize("overrides", EVERY_TENTH, ids=" ".join)
def test_no_healthy_run_is_ended_and_no_dead_one_goes_on(overrides: tuple[str, ...]) -> None:
    run = real_runs.classify(overrides)
    assert run.judgement == "right", str(run)


@pytest.mark.parametrize(
    ("losses", "dice", "finite", "health"),
    [
        ([1.0, 0.2, 0.1], [0.9, 0.93, 0.95], True, "healthy"),
        ([1.0, 0.2, 0.1], [0.9, 0.93, 0.95], False, "dead"),
        ([1.0, 0.2, float("nan")], [0.5, 0.9, 0.9], True, "dead"),
        ([1.0, 0.2, 18.0], [0.5, 0.9, 0.9], True, "dead"),
        ([1.0, 0.2, 0.1, 0.1, 0.1], [0.5, 0.9, 0.0, 0.0, 0.1], True, "dead"),
        ([1.6, 1.6, 1.6], [0.0, 0.0, 0.05], True, "dead"),
        ([1.0, 0.2, 0.5], [0.9, 0.9, 0.9], True, "hurt"),
        ([1.0, 0.2, 0.1], [0.9, 0.5, 0.5], True, "hurt"),
    ],
)
def test_oracle_looks_at_weights_losses_and_dice(
    losses: list[float], dice: list[float], finite: bool, health: str
) -> None:
    assert real_runs.PlainRun(1.7, losses, dice, finite).health == health
