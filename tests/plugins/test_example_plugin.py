"""The example package, installed by pip: its short names, a sweep with it, and its contracts."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import sweep
from sweep.testing import (
    DataSourceContract,
    LossTermContract,
    MetricContract,
    NetworkContract,
    SchedulerContract,
    SearcherContract,
    TrackerContract,
)

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("plugin")
    source, target = folder / "source", folder / "target"
    source.mkdir()
    for name in ("pyproject.toml", "example_plugin.py"):
        (source / name).write_text((EXAMPLE / name).read_text())
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(target), str(source)], check=True)
    sys.path.insert(0, str(target))
    yield target
    sys.path.remove(str(target))
    sys.modules.pop("example_plugin", None)


def plugin(name: str) -> Any:
    return getattr(importlib.import_module("example_plugin"), name)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, installed: Path) -> sweep.SweepResults:
    folder = tmp_path_factory.mktemp("whole")
    return sweep.run(EXAMPLE / "plugin.yaml", results=folder, executor="local", progress=False)


def test_sweep_of_the_example_runs_with_a_plugin_of_each_kind(results: sweep.SweepResults) -> None:
    assert len(results) == 3
    assert results.is_finished
    lines = (results.folder / "lines.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["t0000", "t0001", "t0002"]
    run = json.loads((results.folder / "trials" / "t0000" / "provenance.json").read_text())
    effective = run["runs"][0]["effective"]
    assert effective["network.name"] == "example_net"
    assert effective["network.options"] == dict(results["t0000"].config.network.options)
    assert effective["loss.terms"] == ["example_variation"]
    assert effective["data.entry"] == "example_squares"
    assert results.frame["example_area_error"].notna().all()
    assert (results.frame["loss.weights.example_variation"] > 0).all()
    searched = plugin("MiddleDraw")(sweep.load(EXAMPLE / "plugin.yaml").drawn, 0, draws=5).ask(0)
    assert results["t0000"].config.network.options["width"] == searched["network.options.width"]


def test_extended_sweep_with_a_plugin_searcher_and_scheduler_equals_the_whole_one(
    tmp_path: Path, results: sweep.SweepResults
) -> None:
    options: dict[str, Any] = {"executor": "local", "progress": False, "results": tmp_path}
    spec = sweep.load(EXAMPLE / "plugin.yaml", {"trials": 1, "pictures": None})
    assert len(sweep.run(spec, **options)) == 1
    part = sweep.run(spec, extend={"trials": 3}, **options)
    assert list(part) == list(results)
    for trial_id in results:
        whole = results[trial_id]
        assert part[trial_id].parameters == whole.parameters
        assert part[trial_id].history["val_dice"].equals(whole.history["val_dice"])


def test_short_name_that_nobody_registers_is_told_with_the_near_miss() -> None:
    values = {"name": "toy", "space": {"optimizer.lr": {"choice": [0.1]}}}
    with pytest.raises(sweep.InputError, match="did you mean `example_middle`"):
        sweep.load({**values, "searcher": {"name": "custom", "entry": "example_midle"}})


def test_class_that_lacks_a_method_is_refused_with_what_it_lacks() -> None:
    values = {"name": "toy", "space": {"optimizer.lr": {"choice": [0.1]}}}
    with pytest.raises(sweep.InputError, match="lacks `ask`, `tell`, `learn`"):
        sweep.check({**values, "searcher": "example_plugin:Lines"})


class TestNet(NetworkContract):
    def make(self, *given: Any) -> Any:
        return plugin("Net")(*given)


class TestTotalVariation(LossTermContract):
    def term(self, *given: Any) -> Any:
        return plugin("total_variation")(*given)


class TestAreaError(MetricContract):
    def metric(self, *given: Any) -> Any:
        return plugin("area_error")(*given)


class TestSquares(DataSourceContract):
    def write(self, *given: Any) -> Any:
        return plugin("squares")(*given)


class TestMiddleDraw(SearcherContract):
    def make(self, *given: Any) -> Any:
        return plugin("MiddleDraw")(*given)


class TestThreshold(SchedulerContract):
    def make(self, *given: Any) -> Any:
        return partial(plugin("Threshold"), gap=0.4)(*given)


class TestLines(TrackerContract):
    def make(self, *given: Any) -> Any:
        return plugin("Lines")(*given)
