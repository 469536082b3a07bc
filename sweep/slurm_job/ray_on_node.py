"""Ray on one node of a job: ``srun python -m sweep.slurm_job.ray_on_node HEAD:PORT SHELL``.

On the first node it is the head. It is started again until it has come up: where a node or its file
system is slow, Ray gives up after half a minute. The others join it, and join again if their Ray
has died. When a job is cancelled or preempted, Slurm sends SIGTERM to all of its processes. Ray
ignores it here: its end is the job script's, after the sweep has stopped.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from sweep.machine.interrupted import STOPS

SECONDS_TO_START_AGAIN = 5
SECONDS_TO_TELL = 2
"""If Slurm tells the job script too, it has done so by then."""


def ray_start(address: str, environment: Mapping[str, str]) -> list[str]:
    """Arguments of ``ray start`` for the node on which Slurm has set ``environment``.

    No port is fixed but the head's two, so that Ray of several jobs can run on one node.
    """
    if environment["SLURM_NODEID"] == "0":
        host, port = address.rsplit(":", 1)
        role = ["--head", f"--node-ip-address={host}", f"--port={port}"]
        role += ["--include-dashboard=false", f"--ray-client-server-port={int(port) + 6000}"]
    else:
        role = [f"--address={address}"]
    return [
        *("start", *role, "--block", "--disable-usage-stats"),
        f"--num-cpus={environment['SLURM_CPUS_ON_NODE']}",
        f"--num-gpus={environment.get('SLURM_GPUS_ON_NODE', '0')}",
        *("--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0"),
    ]


def run_node(command: list[str], *, head: bool, shell: int, up: Path) -> int:
    """Run Ray on this node until the job ends.

    Args:
        command: starts Ray and ends with it.
        head: whether it is the head. Once that has been up, there is no cluster to join again.
        shell: process of the job script, on the head's node. If only the steps of a job are told
            that it is preempted, it is told here, by SIGUSR1.
        up: file that Ray writes once it has come up.
    Returns:
        the exit code of the head.
    """

    def tell(number: int, frame: FrameType | None) -> None:
        os.kill(shell, signal.SIGUSR1)

    def receive(number: int, frame: FrameType | None) -> None:
        if head:
            signal.alarm(SECONDS_TO_TELL)

    signal.signal(signal.SIGALRM, tell)
    for number in STOPS:
        signal.signal(number, receive)
    while True:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # inherited by all of Ray
        try:
            process = subprocess.Popen(command)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        code = process.wait()
        if head and up.exists():
            return code
        time.sleep(SECONDS_TO_START_AGAIN)


if __name__ == "__main__":
    start = ray_start(sys.argv[1], os.environ)
    is_head = os.environ["SLURM_NODEID"] == "0"
    os.environ.pop("SLURM_NTASKS", None)  # Lightning would take a trial for one task of several
    ray = [sys.executable, "-m", "ray.scripts.scripts", *start]
    came_up = Path(os.environ["RAY_TMPDIR"], "ray", "ray_current_cluster")
    came_up.unlink(missing_ok=True)  # of a run that was killed here
    sys.exit(run_node(ray, head=is_head, shell=int(sys.argv[2]), up=came_up))
