"""Whose fault it was. What Ray noted is as Ray 2.60 noted it, shortened."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from ray._raylet import (  # type: ignore[attr-defined]
    raise_sys_exit_with_custom_error_message,
)

from sweep.engine.decisions.faults import is_infrastructure, outcome_of, read_failures
from sweep.vocabulary.errors import InputError, NotApplied, ResultsError, StorageFailed, SweepFailed
from sweep.vocabulary.record import Status

DIED = """\
The actor died unexpectedly before finishing this task.
	class_name: TrialActor
	pid: 28953
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit \
detail: Worker unexpectedly exits with a connection error code 2. End of file. Some common causes \
include: (1) the process was killed by the OOM killer due to high memory usage, (2) ray stop"""
KILLED_FOR_MEMORY = """\
1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 192.0.2.2, \
ID: f9a6) was 1.35GB used / 23.54GB limit (0.057341)
OOM kill reason: Memory usage 1449381888B exceeded threshold of 25276504B
Refer to the documentation on how to address the out of memory issue: https://docs.ray.io/"""
RAISED = """\
ray::t0001 sqrt_epsilon=1e-6 epoch 3 Dice 0.9512 (pid=1234, ip=192.0.2.2, actor_id=ef3b)
  File "trainable.py", line 331, in train
    result = self.step()
  File "training.py", line 7, in run_epoch
{}"""


@pytest.mark.parametrize(
    "error",
    [
        OSError(5, "Input/output error"),
        FileNotFoundError("the data cache"),
        StorageFailed("cannot write last.pt: No space left on device"),
        ResultsError("provenance.json: broken"),
        torch.AcceleratorError("CUDA error: unspecified launch failure"),
    ],
)
def test_fault_of_the_machine_is_retried(error: Exception) -> None:
    assert is_infrastructure(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("Expected more than 1 spatial element"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        NotApplied({"optimizer.lr": (0.1, 0.2)}),
        InputError.single("no such setting"),
        SweepFailed("a trainer's own"),
        KeyboardInterrupt(),
        SystemExit(1),
        asyncio.CancelledError(),
    ],
)
def test_fault_of_the_configuration_is_not_retried(error: BaseException) -> None:
    assert not is_infrastructure(error)


def test_worker_that_is_told_to_end_is_no_fault_of_its_trial() -> None:
    with pytest.raises(SystemExit) as ended:
        raise_sys_exit_with_custom_error_message("The process receives a SIGTERM.", exit_code=1)
    assert is_infrastructure(ended.value)


@pytest.mark.parametrize(
    ("last", "cause"),
    [
        (DIED, "its worker died 3 times: it was killed, crashed, or its node was lost"),
        ("", "its worker died 3 times: it was killed, crashed, or its node was lost"),
        (
            KILLED_FOR_MEMORY,
            "out of memory: Ray killed its worker 3 times because the node ran out of memory",
        ),
        (
            RAISED.format("OSError: [Errno 5] Input/output error"),
            "OSError: [Errno 5] Input/output error",
        ),
        (
            RAISED.format("torch.AcceleratorError: CUDA error: device-side assert triggered"),
            "torch.AcceleratorError: CUDA error: device-side assert triggered",
        ),
        (
            RAISED.format("sweep.vocabulary.errors.SweepFailed: mine"),
            "sweep.vocabulary.errors.SweepFailed: mine",
        ),
    ],
)
def test_trial_that_ray_gave_up_fails_with_its_last_cause(last: str, cause: str) -> None:
    failures = [DIED, KILLED_FOR_MEMORY, last] if last else []
    outcome = outcome_of(failures, 3)
    assert outcome.status is Status.FAILED
    assert outcome.cause == cause
    assert outcome.error == ("\n\n".join(failures) or cause)


def test_results_that_cannot_be_written_end_the_sweep_and_fail_no_trial() -> None:
    told = "cannot write last.pt: No space left on device; earlier data are intact"
    with pytest.raises(SweepFailed) as caught:
        outcome_of([DIED, RAISED.format(f"sweep.vocabulary.errors.StorageFailed: {told}")], 2)
    assert str(caught.value) == told


@dataclass
class NotedTrial:
    """What is read of one of Ray's trials."""

    error_file: str | None


def test_failures_are_read_from_what_ray_noted(tmp_path: Path) -> None:
    noted: Any = NotedTrial(str(tmp_path / "error.txt"))
    assert read_failures(noted) == []
    (tmp_path / "error.txt").write_text(
        f"Failure # 1 (occurred at 2026-11-21_23-55-00)\n{DIED}\n"
        f"Failure # 2 (occurred at 2026-11-21_23-55-03)\n{KILLED_FOR_MEMORY}\n"
    )
    assert read_failures(noted) == [DIED, KILLED_FOR_MEMORY]
    nothing: Any = NotedTrial(None)
    assert read_failures(nothing) == []
