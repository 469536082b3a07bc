from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from sweep.slurm_job.ray_on_node import ray_start

NODE = """\
import os, sys
from sweep.slurm_job.ray_on_node import run_node
# Stands in for Ray: tells that it runs, and ends with 3 as soon as its input is closed.
ray = [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read(); sys.exit(3)"]
sys.exit(run_node(ray, head=True, shell=os.getppid()))
"""


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


@pytest.mark.slow
def test_ray_does_not_end_by_the_signal_that_cancels_a_job_and_the_job_script_is_told() -> None:
    told: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: told.append(number))
    try:
        with subprocess.Popen(
            [sys.executable, "-c", NODE],
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
