"""What a trial does to its process is undone before the next one."""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from sweep.trial import process_state as process
from sweep.trial.process_state import SETTINGS, CleanProcess


@pytest.fixture(autouse=True, scope="module")
def _frozen() -> Iterator[None]:
    """All that the tests before have left is searched for garbage once, not in each test."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def clean() -> Iterator[CleanProcess]:
    """This process; whatever the test does to it is undone by the test or by us."""
    clean = CleanProcess.here()
    yield clean
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


def test_folder_that_has_gone_is_left(clean: CleanProcess, tmp_path: Path) -> None:
    here = Path.cwd()
    folder = tmp_path / "gone"
    folder.mkdir()
    os.chdir(folder)
    folder.rmdir()
    clean.restore()
    assert Path.cwd() == here
    assert sys.path
