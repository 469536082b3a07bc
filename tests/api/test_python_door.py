"""`import sweep`: its names, its examples, and what loading it costs."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import sweep
from sweep import SweepResults, TrialResult

DOOR = {
    "CustomTraining",
    "EpochMetrics",
    "InputError",
    "ResultsError",
    "SweepError",
    "SweepFailed",
    "SweepResults",
    "SweepSpec",
    "TrialResult",
    "TrialSettings",
    "Validation",
    "check",
    "load",
    "open",
    "predict",
    "run",
    "train",
}
EXAMPLES = ("load", "check", "run", "open", "train", "TrialResult", "SweepResults", "predict")
"""In this order: the second half looks at what the first half has run."""
SWEEP = """\
trials: 2
searcher: {name: random, seed: 0}
data: {source: shapes, count: 12, size: 32}
trainer: {epochs: 3, batch_size: 4, device: cpu}
network: {name: unet, channels: [4, 8, 16]}
loss: {warmup_epochs: 1}
space: {loss.weights.boundary: {loguniform: [0.001, 1.0]}}
"""


def test_public_names_are_these() -> None:
    assert set(sweep.__all__) == DOOR
    assert set(sweep.__all__) <= set(dir(sweep))
    assert all(getattr(sweep, name).__module__.startswith("sweep.") for name in sweep.__all__)


def test_name_that_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'sweep' has no attribute 'lode'"):
        sweep.lode  # noqa: B018


@pytest.mark.parametrize("name", sorted(DOOR))
def test_public_name_has_a_docstring_with_an_example(name: str) -> None:
    examples = doctest.DocTestParser().get_examples(getattr(sweep, name).__doc__ or "")
    assert any("sweep." in example.source for example in examples)


def test_examples_do_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "doctest.yaml").write_text(SWEEP)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(optionflags=flags)
    for name in (*EXAMPLES, *sorted(DOOR - set(EXAMPLES))):
        text = getattr(sweep, name).__doc__ or ""
        test = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
        assert runner.run(test).failed == 0, name


def test_importing_the_package_loads_nothing_that_it_does_not_need() -> None:
    code = "import sys, sweep; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded & {"torch", "ray", "pandas", "numpy", "pydantic", "ruamel", "rich"} == set()


@pytest.mark.parametrize("name", ["run", "train", "check", "predict"])
def test_importing_a_command_leaves_the_function_of_its_name_in_place(name: str) -> None:
    module = importlib.import_module(f"sweep.{name}")
    assert getattr(sweep, name) is not module
    assert getattr(sweep, name).__module__ == "sweep.api.public"


def test_overrides_of_python_are_read_as_the_values_of_a_mapping_are(tmp_path: Path) -> None:
    asked = {
        "trials": np.int64(5),
        "optimizer.lr": np.float32(0.5),
        "optimizer.momentum": np.float64(1e-05),
        "network.channels": (8, np.int16(16), 32),
        "trainer.deterministic": np.bool_(False),
        "data.folder": tmp_path,
    }
    base = {"name": "x", "space": {"seed": {"randint": (0, 3)}}, "data": {"source": "nnunet_raw"}}
    spec = sweep.load(base, asked)
    assert (spec.trials, spec.optimizer.lr, spec.optimizer.momentum) == (5, 0.5, 1e-05)
    assert (spec.network.channels, spec.trainer.deterministic) == ((8, 16, 32), False)
    assert spec.data.model_dump()["folder"] == str(tmp_path)
    for wrong in (object(), np.float32):
        with pytest.raises(sweep.InputError, match=r"but this is a (object|type):"):
            sweep.load(base, {"optimizer.name": wrong})


def test_argument_of_another_kind_is_told_by_its_name_and_with_what_would_be_right() -> None:
    here: Any = sweep  # as for a caller without a type checker
    results, trial = SweepResults.__new__(SweepResults), TrialResult.__new__(TrialResult)
    mapping = r"must be a mapping, such as"
    for call, message in {
        lambda: here.load(None): r"`source` must be a YAML file, .* but is a NoneType",
        lambda: here.run(results): r"`spec` must be .*, such as its `spec`, but is a SweepResults",
        lambda: here.train(results): r"`config` must be .*, such as its `best.config`",
        lambda: here.train(config=trial): r"`config` must be .*, such as its `config`",
        lambda: here.load({}, "trials=5"): rf"`overrides` {mapping} .*, but is a str",
        lambda: here.run({}, extend="trials=+5"): rf"`extend` {mapping} .*, but is a str",
        lambda: here.open(results): "`folder` must be a path, but is a SweepResults",
        lambda: here.train({}, results=None): "`results` must be a path, but is a NoneType",
        lambda: here.predict("x", ["a.png"], "out"): "`images` must be a path, but is a list",
        lambda: here.predict({}, "in", "out"): "`model` must be results, .* but is a dict",
    }.items():
        with pytest.raises(TypeError, match=message):
            call()


def test_unknown_executor_is_refused_before_anything_runs(tmp_path: Path) -> None:
    spec = sweep.load(yaml.safe_load(SWEEP) | {"name": "never"})
    wrong: Any = "loca"
    with pytest.raises(sweep.InputError, match=r"executor: must be .*; did you mean `local`"):
        sweep.run(spec, executor=wrong, results=tmp_path, progress=False)
    assert not any(tmp_path.iterdir())


def test_results_opened_by_a_relative_path_are_read_from_another_folder_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = sweep.load(yaml.safe_load(SWEEP) | {"name": "here", "trials": 1, "pictures": None})
    sweep.run(spec, executor="local", progress=False)
    results = sweep.open("results/here")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert results.best.config.trainer.epochs == 3
    assert results.best.weights()
    assert len(results.per_class) == 1
