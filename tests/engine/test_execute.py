"""Signals that ask for a stop: what we make of them, and who else gets them."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweep.engine.on_ray import ray_cluster as cluster
from sweep.engine.session.ending import STOPPING, noting_stops
from sweep.machine.interrupted import STOPS


@pytest.fixture(autouse=True)
def _handlers_of_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOPS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.mark.parametrize("number", STOPS)
def test_signal_in_the_midst_of_a_sweep_is_taken_note_of_and_the_next_one_is_as_usual(
    number: int, said: list[str]
) -> None:
    seconds = []
    signal.signal(number, lambda *_: seconds.append(number))
    with noting_stops(said.append) as stop:
        assert not stop.asked
        os.kill(os.getpid(), number)
        assert (stop.asked, said, seconds) == (True, [STOPPING], [])
        os.kill(os.getpid(), number)
    os.kill(os.getpid(), number)
    assert (said, seconds) == ([STOPPING], [number, number])


@pytest.mark.parametrize("number", STOPS)
def test_signal_while_ray_starts_or_ends_is_as_ctrl_c(number: int, said: list[str]) -> None:
    signal.signal(number, signal.SIG_IGN if number != signal.SIGHUP else signal.SIG_DFL)
    with pytest.raises(KeyboardInterrupt), noting_stops(said.append, raises=True):
        os.kill(os.getpid(), number)
    assert said == [STOPPING]


@pytest.mark.parametrize("raises", [False, True])
def test_end_of_the_terminal_stays_ignored_where_nohup_asked_for_it(
    raises: bool, said: list[str]
) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with noting_stops(said.append, raises=raises):
        os.kill(os.getpid(), signal.SIGHUP)
    assert said == []


def test_processes_of_ray_are_out_of_reach_of_signals_to_us(tmp_path: Path) -> None:
    gcs = tmp_path / "gcs_server"
    gcs.symlink_to("/bin/sleep")
    processes = [
        cluster._start_out_of_reach(subprocess.Popen, [str(command), "60"])
        for command in (gcs, "/bin/sleep")
    ]
    for process in processes:
        assert os.getpgid(process.pid) == process.pid
        assert os.getsid(process.pid) == os.getsid(0)
        for number in STOPS:
            os.kill(process.pid, number)
    answers, ended = processes
    assert ended.wait(10) < 0
    assert answers.poll() is None
    answers.terminate()  # as Ray does at its end: it then waits a second
    assert answers.wait(10) == -signal.SIGKILL
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(STOPS)


def test_signal_after_ray_has_started_reaches_us_and_no_handler_of_its_compiled_part() -> None:
    """Ray's own printed a stack, and later ended the process with SIGABRT."""
    seen = list[int]()
    for number in STOPS:
        signal.signal(number, lambda number, _: seen.append(number))
    with cluster._signals_are_ours():
        for number in STOPS:
            ctypes.CDLL(None).signal(number, ctypes.c_void_p(1))  # SIG_IGN, past Python
            os.kill(os.getpid(), number)
    assert not seen
    for number in STOPS:
        os.kill(os.getpid(), number)
    assert seen == [*STOPS]


def test_log_that_cannot_be_written_any_more_ends_no_sweep(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    logger = logging.getLogger("ray.tune")
    for log in (folder / "sweep.log", Path("/dev/full")):  # the folder is moved; the disk is full
        with cluster._log_file(log) as file, cluster._messages_to(file):
            logger.error("before")
            if log.parent == folder:
                folder.rename(tmp_path / "elsewhere")
            logger.error("after")
    lines = (tmp_path / "elsewhere" / "sweep.log").read_text().splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == ["before", "after"]
