"""Ctrl-C at moments at which nobody would press it on purpose; the shell always sees 130."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.machine.codebase import PACKAGE

CAUGHT_IN_GENERATED_CODE = """
import sys, typer
from sweep.command_line.exit_codes import exit_codes
try:
    with exit_codes():
        exec("raise KeyboardInterrupt")  # as the imports of many libraries run code
except typer.Exit as end:
    sys.exit(end.exit_code)
"""


def test_interruption_inside_generated_code_is_not_sent_again_by_the_interpreter() -> None:
    done = subprocess.run([sys.executable, "-c", CAUGHT_IN_GENERATED_CODE], capture_output=True)
    assert (done.returncode, done.stderr) == (130, b"interrupted\n")


@pytest.mark.parametrize("module", ["sweep.export", "sweep.watch", "sweep"])
def test_interruption_while_a_command_is_loaded_is_a_word_and_its_code(
    tmp_path: Path, module: str
) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt\n")
    path = os.pathsep.join([str(tmp_path), str(PACKAGE.parent)])
    done = subprocess.run(
        [sys.executable, "-m", module, "x"],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (130, b"interrupted\n")


def test_other_faults_while_a_command_is_loaded_keep_their_traceback(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ValueError('no')\n")
    path = os.pathsep.join([str(tmp_path), str(PACKAGE.parent)])
    done = subprocess.run(
        [sys.executable, "-m", "sweep.export", "x"],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
    )
    assert done.returncode == 1
    assert b"Traceback" in done.stderr
    assert b"ValueError: no" in done.stderr


def test_package_that_is_only_imported_leaves_the_hook_of_the_program_alone() -> None:
    code = "import sys, sweep; assert sys.excepthook is sys.__excepthook__"
    subprocess.run([sys.executable, "-c", code], check=True)


FORKED = """
import multiprocessing, time
from sweep.machine.interrupted import handling_stops
with handling_stops(lambda number, frame: None):
    for _ in range(20):
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        child.start()
        child.terminate()  # as a Pool does, often before the child has run at all
        child.join(20)
        assert child.exitcode == -15, child.exitcode
"""


def test_process_that_a_training_forks_does_not_take_the_signals_of_the_sweep() -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], check=True)


LEAVES = """
import os
from sweep.machine.interrupted import handling_stops
try:
    with handling_stops(lambda number, frame: None):
        if (child := os.fork()) == 0:
            raise SystemExit(7)
except SystemExit as stop:
    os._exit(stop.code)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""


def test_forked_process_that_ends_by_an_error_of_its_own_ends_by_that_one() -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", LEAVES], check=True)


SPAWNED = """
import multiprocessing, os, signal, time
from sweep.machine.interrupted import handling_stops

def told(pipe):
    pipe.send(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    time.sleep(60)

def is_deaf():
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=told, args=(there,))
    child.start()
    there.close()
    os.kill(child.pid, signal.SIGINT)  # long before its first line
    try:
        found = here.recv()
    except EOFError:  # it has died
        found = None
    child.terminate()
    child.join()
    return found, child.exitcode

if __name__ == "__main__":
    with handling_stops(lambda number, frame: None):
        assert is_deaf() == (True, -signal.SIGTERM)
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    found, exitcode = is_deaf()  # Python's own traceback, or death by the signal
    assert (found, exitcode) != (True, -signal.SIGTERM)
"""


def test_process_that_is_spawned_gets_no_ctrl_c_and_ends_by_terminate(tmp_path: Path) -> None:
    (script := tmp_path / "spawns.py").write_text(SPAWNED)
    subprocess.run([sys.executable, script], check=True, stderr=subprocess.DEVNULL)
