from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweep.slurm_job.ray_on_node import ray_start

NODE = """\
import os, sys
from pathlib import Path
from sweep.slurm_job import ray_on_node
ray_on_node.SECONDS_TO_START_AGAIN = 0
# Stands in for Ray: tells that it runs, and ends with 3 as soon as its input is closed.
ray = [sys.executable, "-c", sys.argv[1]]
sys.exit(ray_on_node.run_node(ray, head=True, shell=os.getppid(), up=Path("up")))
"""
RAY = "open('up', 'w'); import sys; print('up', flush=True); sys.stdin.read(); sys.exit(3)"


def test_first_node_is_the_head_and_the_others_join_it() -> None:
    first = ray_start("10.0.0.1:20007", {"SLURM_NODEID": "0", "SLURM_CPUS_ON_NODE": "16"})
    other = ray_start(
        "10.0.0.1:20007",
        {"SLURM_NODEID": "1", "SLURM_CPUS_ON_NODE": "8", "SLURM_GPUS_ON_NODE": "4"},
    )
    assert {"--head", "--node-ip-address=10.0.0.1", "--port=20007"} <= set(first)
    assert {"--num-cpus=16", "--num-gpus=0"} <= set(first)
    assert {"--address=10.0.0.1:20007", "--num-cpus=8", "--num-gpus=4"} <= set(other)
    assert "--head" not in other


def test_a_head_is_started_again_until_it_has_come_up(tmp_path: Path) -> None:
    fails_once = "import os, sys; os.path.exists('one') or (open('one', 'w'), sys.exit(1))"
    node = [sys.executable, "-c", NODE, f"{fails_once}; {RAY}"]
    ended = subprocess.run(
        node, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False
    )
    assert (ended.stdout, ended.returncode) == ("up\n", 3)


@pytest.mark.slow
def test_ray_does_not_end_by_the_signal_that_cancels_a_job_and_the_job_script_is_told(
    tmp_path: Path,
) -> None:
    told: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: told.append(number))
    try:
        with subprocess.Popen(
            [sys.executable, "-c", NODE, RAY],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            assert process.stdout.readline() == "up\n"
            os.killpg(process.pid, signal.SIGTERM)  # as Slurm does, to all processes of the step
            while not told:
                time.sleep(0.05)
            process.stdin.close()
            assert process.wait(timeout=60) == 3  # its own end, not that of the signal
    finally:
        signal.signal(signal.SIGUSR1, before)
