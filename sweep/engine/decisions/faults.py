"""Classify failures: faults of the configuration fail the trial, faults of the machine are retried.

Each retry runs in a fresh process and from the last checkpoint. If the fault persists and the
worker died, the trial has failed. If results cannot be written, the sweep ends instead, because the
next trial would fail too. It can be resumed once there is space.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.vocabulary.errors import ResultsError, StorageFailed, SweepFailed
from sweep.vocabulary.record import Outcome, Status

if TYPE_CHECKING:
    from ray.tune.experiment import Trial

RETRIES = 2
"""How often a trial goes on from its checkpoint after a fault of the machine."""

_FAILURE = re.compile(r"^Failure # \d+ \(occurred at .*\)\n", re.MULTILINE)
_UNWRITABLE = re.compile(
    rf"^{re.escape(StorageFailed.__module__)}\.(?:StorageFailed|ResultsError): (.+)", re.MULTILINE
)
_TASK = re.compile(r"ray::.+ \(pid=")
_NODE = re.compile(r"\bits node has died\b")
_PREEMPTED = re.compile(r"\bnode was preempted\b")
_MEMORY = re.compile(r"(\w+\.)*(OutOfMemoryError|MemoryError)\b|.*can't allocate memory")


def is_infrastructure(error: BaseException) -> bool:
    """Whether training the same configuration again may succeed.

    True if results cannot be written, a file cannot be read, the accelerator broke, which leaves
    the process unusable, or the worker was ordered to end. False for everything else, also for a
    lack of main or GPU memory: that configuration does not fit.
    """
    if is_ordered_end(error):
        return True
    return device_broke(error) or isinstance(error, (OSError, StorageFailed, ResultsError))


def device_broke(error: BaseException) -> bool:
    """Whether the accelerator broke. It says so later, perhaps to another trial of the process."""
    # By name: a driver does not need torch, which has this class from version 2.8 on.
    return any(kind.__name__ == "AcceleratorError" for kind in type(error).__mro__)


def is_ordered_end(error: BaseException) -> bool:
    """Whether it is the SystemExit that Ray raises in a worker on SIGTERM, not a trainer's."""
    return hasattr(error, "ray_terminate_msg")


def memory_hint(error: BaseException, others: int) -> str:
    """What may help a trial that lacked memory, a clause; empty for any other error.

    Args:
        error: of its trainer.
        others: number of trials with which it shared its process.
    """
    if not others:
        return ""
    of_gpu = any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)
    of_torch = "can't allocate memory" in str(error)  # a RuntimeError, on a CPU
    if not (of_gpu or of_torch or isinstance(error, MemoryError)):
        return ""
    trials = "another trial" if others == 1 else f"{others} other trials"
    return f"; it shared its process with {trials}: lower `resources.trials_per_gpu`"


def node_was_lost(failures: list[str]) -> bool:
    """Whether the last failure was that the worker's node was lost."""
    return bool(failures and _NODE.search(failures[-1]))


def was_preempted(failures: list[str]) -> bool:
    """Whether the last failure was that a cloud took the worker's node back, as announced."""
    return bool(failures and _PREEMPTED.search(failures[-1]))


def is_out_of_memory(outcome: Outcome) -> bool:
    """Whether a trial failed because main or GPU memory did not suffice."""
    return outcome.status is Status.FAILED and bool(_MEMORY.match(outcome.cause))


def read_failures(trial: Trial) -> list[str]:
    """Ray's note on each failure of a trial, in order; empty if Ray could not write them."""
    try:
        text = Path(trial.error_file or "").read_text(encoding="utf-8", errors="backslashreplace")
    except OSError:
        return []
    return [part.strip() for part in _FAILURE.split(text)[1:]]


def outcome_of(failures: list[str], count: int) -> Outcome:
    """The outcome of a trial that Ray gave up.

    Args:
        failures: Ray's notes on them.
        count: how many there were.
    Raises:
        SweepFailed: the last failure was that results cannot be written; says which.
    """
    last = failures[-1] if failures else ""
    if unwritable := _UNWRITABLE.search(last):
        raise SweepFailed(unwritable[1])
    # The trainer raised; the traceback, as Ray or as Python notes it, ends with its exception.
    if _TASK.search(last) or last.startswith("Traceback "):
        cause = last.strip().splitlines()[-1]
    elif "low on memory" in last:
        cause = (
            f"out of memory: Ray killed its worker {count} times because the node ran out of memory"
        )
    else:
        cause = f"its worker died {count} times: it was killed, crashed, or its node was lost"
    return Outcome(status=Status.FAILED, cause=cause, error="\n\n".join(failures) or cause)
