"""What a trial does to its process is undone before the next one."""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import random
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from sweep.plugins.entry_names import module_of
from sweep.plugins.user_files import FILE_MARK
from sweep.trial import process_state as process
from sweep.trial.own_modules import _installed
from sweep.trial.process_state import SETTINGS, CleanProcess


@pytest.fixture(autouse=True, scope="module")
def _frozen() -> None:
    """All that the tests before have left is searched for garbage once, not in each test."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def clean() -> Iterator[CleanProcess]:
    """This process; whatever the test does to it is undone by the test or by us."""
    clean = CleanProcess.here()
    yield clean
    for name in sys.modules.keys() - clean.modules:
        if hasattr(sys.modules[name], FILE_MARK):
            del sys.modules[name]  # nobody runs it again
    clean.restore()


@pytest.mark.parametrize(
    ("draw", "spoil"),
    [
        (random.random, lambda: random.seed(1)),
        (lambda: float(np.random.rand()), lambda: np.random.seed(1)),
        (lambda: torch.rand(()).item(), lambda: torch.manual_seed(1)),
    ],
    ids=["random", "numpy", "torch"],
)
def test_generators_go_on_as_if_the_trial_had_drawn_nothing(
    clean: CleanProcess, draw: Callable[[], float], spoil: Callable[[], object]
) -> None:
    expected = draw()
    clean.restore()
    spoil()
    assert draw() != expected
    clean.restore()
    assert draw() == expected


SPOILT: dict[str, Any] = {
    "threads": 7,
    "determinism": 2,
    "default dtype": torch.float64,
    "default device": torch.device("meta"),
    "gradients": False,
    "anomaly detection": True,
    "precision of products": "medium",
    "autocast on cpu": True,
    "autocast on cuda": True,
    "autocast dtype on cpu": torch.float16,
    "autocast dtype on cuda": torch.bfloat16,
    "autocast cache": False,
    "autocast contexts": 2,
    "cuDNN": False,
    "cuDNN benchmark": True,
    "cuDNN determinism": True,
    "TF32 of cuDNN": False,
    "warnings": [("error", None, Warning, None, 0)],
    "numpy's errors": dict.fromkeys(("divide", "over", "under", "invalid"), "raise"),
    "environment": {b"ONLY": b"this"},
    "working directory": os.sep,
    "import path": [],
    "recursion limit": 12_345,
    "oneDNN": False,
    "memory filled": False,
    "garbage collection": False,
    "root logger": (50, 10, []),
    "start of processes": "spawn",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_again_what_they_were(
    clean: CleanProcess, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = clean.settings["environment"][b"PYTEST_CURRENT_TEST"].decode()
    monkeypatch.setenv("PYTEST_CURRENT_TEST", current)
    setting = SETTINGS[name]
    before = setting.read()
    setting.write(SPOILT[name])
    assert setting.read() == SPOILT[name] != before
    assert clean.restore() == ()
    assert setting.read() == before


def test_default_device_is_not_said_aloud_where_it_was_not(clean: CleanProcess) -> None:
    torch.set_default_device("meta")
    clean.restore()
    assert torch.overrides._get_current_function_mode_stack() == []


def _raise(*_: object) -> None:
    raise AssertionError("a hook of the trial before")


@pytest.mark.parametrize(
    "register",
    [
        torch.nn.modules.module.register_module_forward_pre_hook,
        torch.nn.modules.module.register_module_forward_hook,
        torch.nn.modules.module.register_module_full_backward_pre_hook,
        torch.nn.modules.module.register_module_full_backward_hook,
        torch.nn.modules.module.register_module_parameter_registration_hook,
        torch.nn.modules.module.register_module_buffer_registration_hook,
        torch.nn.modules.module.register_module_module_registration_hook,
        register_optimizer_step_pre_hook,
        register_optimizer_step_post_hook,
    ],
)
def test_hooks_on_every_module_and_optimizer_are_gone(
    clean: CleanProcess, register: Callable[[Callable[..., None]], object]
) -> None:
    def step() -> None:
        model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model(torch.eye(2, requires_grad=True)).sum().backward()
        optimizer.step()

    register(_raise)
    with pytest.raises(AssertionError, match="hook of the trial before"):
        step()
    assert clean.restore() == ()
    step()


def test_hooks_from_before_the_trial_stay() -> None:
    seen: list[object] = []
    handle = torch.nn.modules.module.register_module_forward_hook(lambda *_: seen.append(1))
    try:
        clean = CleanProcess.here()
        handle.remove()
        clean.restore()
        torch.nn.Identity()(torch.zeros(1))
    finally:
        torch.nn.modules.module._global_forward_hooks.clear()
    assert seen == [1]


def test_model_that_a_traceback_holds_in_a_circle_is_freed(clean: CleanProcess) -> None:
    gone: list[weakref.ref[torch.nn.Module]] = []

    def train() -> None:
        model = torch.nn.Linear(2, 2)
        gone.append(weakref.ref(model))
        try:
            model(torch.zeros(3))
        except RuntimeError as error:
            model.failed = error  # the frame holds the model, the model its exception

    train()
    assert gone[0]() is not None
    clean.restore()
    assert gone[0]() is None


def test_thread_that_is_about_to_end_is_waited_for(clean: CleanProcess) -> None:
    thread = threading.Thread(target=time.sleep, args=(0.2,))
    thread.start()
    assert clean.restore() == ()
    assert not thread.is_alive()


def test_thread_that_does_not_end_is_told_by_its_name(
    clean: CleanProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SECONDS_TO_END", 0.05)
    enough = threading.Event()
    thread = threading.Thread(target=enough.wait, name="prefetch")
    thread.start()
    assert clean.restore() == ("a thread of the trial before still runs: prefetch",)
    enough.set()
    thread.join()


def test_processes_that_the_trial_started_are_ended(clean: CleanProcess) -> None:
    child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
    child.start()
    clean.restore()
    assert child.exitcode is not None


def test_process_group_of_the_trial_is_ended(clean: CleanProcess) -> None:
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    assert clean.restore(alone=False) == ()
    assert torch.distributed.is_initialized()
    assert clean.restore() == ()
    assert not torch.distributed.is_initialized()


def test_number_that_torch_takes_once_in_a_process_spoils_it(clean: CleanProcess) -> None:
    before = replace(clean, interop_threads=clean.interop_threads + 1)
    assert before.restore() == ("the trial before has set the number of torch's interop threads",)


MODULE = """\
import torch

torch.set_default_dtype(torch.float64)
calls = []
"""


def test_module_of_a_user_is_run_again_with_all_that_it_sets(
    clean: CleanProcess, tmp_path: Path
) -> None:
    (tmp_path / "beside.py").write_text("calls = []")
    (tmp_path / "loop.py").write_text(MODULE + "import beside")
    first = module_of(str(tmp_path / "loop.py"))
    first.calls.append(1)
    first.beside.calls.append(1)
    assert clean.restore() == ()
    assert torch.get_default_dtype() is torch.float64
    again = module_of(str(tmp_path / "loop.py"))
    assert (first.calls, again.calls, again.beside.calls) == ([1], [], [])
    assert str(tmp_path) in sys.path


def test_module_of_an_installed_package_is_not_run_again(
    clean: CleanProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / "dist-packages"  # of another environment
    packages.mkdir()
    (packages / "installed_there.py").write_text("calls = []")
    monkeypatch.syspath_prepend(str(packages))
    module = importlib.import_module("installed_there")
    assert clean.restore() == ()
    assert sys.modules["installed_there"] is module


def test_module_of_a_package_that_is_installed_where_it_lies_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tmp_path / "edited-1.0.dist-info"  # as of `pip install -e`
    known.mkdir()
    (known / "METADATA").write_text("Metadata-Version: 2.1\nName: edited\nVersion: 1.0\n")
    (known / "top_level.txt").write_text("edited_there\n")
    (tmp_path / "edited_there.py").write_text("calls = []")
    monkeypatch.syspath_prepend(str(tmp_path))
    _installed.cache_clear()
    before = CleanProcess.here()
    module = importlib.import_module("edited_there")
    assert before.restore() == ()
    assert sys.modules["edited_there"] is module
    _installed.cache_clear()


def test_module_that_other_trials_of_the_process_use_is_left(
    clean: CleanProcess, tmp_path: Path
) -> None:
    file = tmp_path / "loop.py"
    file.write_text("calls = []")
    module = module_of(str(file))
    assert clean.restore(alone=False) == ()
    assert module_of(str(file)) is module
    assert str(tmp_path) in sys.path


def test_module_that_cannot_be_run_again_spoils_the_process_and_stays(
    clean: CleanProcess, tmp_path: Path
) -> None:
    file = tmp_path / "loop.py"
    file.write_text("import sys\nassert not hasattr(sys, 'registered')\nsys.registered = True")
    module = module_of(str(file))
    [why] = clean.restore()
    del sys.registered  # type: ignore[attr-defined]
    assert why == "a module of the trial before cannot be run again: AssertionError"
    assert module_of(str(file)) is module


def test_folder_that_has_gone_is_left(clean: CleanProcess, tmp_path: Path) -> None:
    here = Path.cwd()
    folder = tmp_path / "gone"
    folder.mkdir()
    os.chdir(folder)
    folder.rmdir()
    clean.restore()
    assert Path.cwd() == here
    assert sys.path
