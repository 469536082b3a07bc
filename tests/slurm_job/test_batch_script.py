"""The batch script, run by bash with stand-ins for the sweep and for Slurm's commands.

What Slurm and Ray themselves do with it is tried by hand: benchmarks/README.md.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sweep.slurm_job.batch_script import SlurmJob, sbatch_option
from sweep.vocabulary.errors import InputError

STRANGE = """it's a "b" $HOME `x` \\ #%j *"""

SLURM = """\
#!/bin/bash
echo "$(basename "$0") $*" >> {calls}
"""

SWEEP = """\
#!/bin/bash
printf '%s\\n' "$@" > {calls}.arguments
trap 'exit 130' TERM
touch {calls}.started
{does}
"""


SLURM_VARIABLES = {
    "SLURM_JOB_ID": "7",
    "SLURM_JOB_NODELIST": "n1",
    "SLURM_JOB_NUM_NODES": "1",
}


def job(folder: Path, **changes: object) -> SlurmJob:
    one = SlurmJob(
        name="toy",
        made_by=["python", "-m", "sweep.slurm", "toy.yaml"],
        file=folder / "toy.sbatch",
        folder=folder,
        python=[str(folder / "python")],
        run=["-m", "sweep.run", "toy.yaml", "--results", "results"],
        results=str(folder / "results" / "toy"),
        logs=folder / "results",
        nodes=1,
        cpus_per_node=2,
    )
    return replace(one, **changes)  # type: ignore[arg-type]


class Running:
    """The script under bash. The sweep is a shell script that ``does`` something; ``then`` is what
    scontrol does."""

    def __init__(self, folder: Path, does: str, then: str = "", **changes: object) -> None:
        self.folder, self.calls = folder, folder / "calls"
        (folder / "results" / "toy").mkdir(parents=True)
        (folder / "toy.sbatch").write_text(job(folder, **changes).render())
        commands = {"python": SWEEP, "scontrol": SLURM + then, "srun": SLURM}
        for name, text in commands.items():
            (folder / name).write_text(text.format(calls=self.calls, does=does))
            (folder / name).chmod(0o755)
        path = f"{folder}:{os.environ['PATH']}"
        self.process = subprocess.Popen(
            ["bash", "toy.sbatch"],
            cwd=folder,
            env=os.environ | SLURM_VARIABLES | {"PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def told(self, number: signal.Signals) -> None:
        """Send a signal to the script as soon as its sweep runs."""
        while not Path(f"{self.calls}.started").exists():
            time.sleep(0.01)
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output

    @property
    def requeued(self) -> bool:
        return self.calls.exists() and "scontrol requeue 7" in self.calls.read_text()


FOREVER = "while true; do sleep 0.01; done"
PROGRESS = "echo '{{}}' >> results/toy/journal.jsonl; " + FOREVER


@pytest.mark.parametrize("code", [0, 1, 2])
def test_sweep_that_ended_by_itself_is_not_requeued(tmp_path: Path, code: int) -> None:
    running = Running(tmp_path, f"exit {code}")
    assert running.end()[0] == code
    assert not running.requeued


def test_sweep_is_stopped_and_requeued_before_the_time_limit(tmp_path: Path) -> None:
    running = Running(tmp_path, PROGRESS.format())
    running.told(signal.SIGUSR1)
    code, output = running.end()
    assert (code, running.requeued) == (0, True)
    assert output.splitlines()[-2].endswith("the job has to stop soon")
    assert output.splitlines()[-1].endswith("the job goes back into the queue")


def test_job_that_slurm_does_not_requeue_has_not_succeeded(tmp_path: Path) -> None:
    running = Running(tmp_path, PROGRESS.format(), then="exit 1")
    running.told(signal.SIGUSR1)
    code, output = running.end()
    assert code == 130
    assert f"Slurm refused: go on with sbatch {tmp_path}/toy.sbatch" in output


def test_sweep_that_ends_although_time_is_up_is_not_requeued(tmp_path: Path) -> None:
    running = Running(tmp_path, "trap 'exit 1' TERM; " + PROGRESS.format())
    running.told(signal.SIGUSR1)
    assert running.end()[0] == 1
    assert not running.requeued


def test_run_of_over_an_hour_that_recorded_nothing_is_not_repeated_for_ever(tmp_path: Path) -> None:
    running = Running(tmp_path, FOREVER, setup=["SECONDS=3601"])
    running.told(signal.SIGUSR1)
    code, output = running.end()
    assert (code, running.requeued) == (1, False)
    assert output.splitlines()[-1].endswith("A longer --time may help.")


def test_run_that_was_preempted_before_its_first_epoch_is_requeued(tmp_path: Path) -> None:
    running = Running(tmp_path, FOREVER)
    running.told(signal.SIGUSR1)
    assert running.end()[0] == 0
    assert running.requeued


def test_cancelled_job_ends_with_its_sweep_and_is_not_requeued(tmp_path: Path) -> None:
    running = Running(tmp_path, "while [ ! -e gone ]; do sleep 0.01; done; exit 130")
    running.told(signal.SIGTERM)
    (tmp_path / "gone").touch()  # Slurm sends TERM to the sweep too, which ends by itself
    assert running.end()[0] == 130
    assert not running.requeued


def test_signals_while_the_sweep_ends_do_not_change_its_exit_code(tmp_path: Path) -> None:
    running = Running(tmp_path, "trap '' TERM; while [ ! -e gone ]; do sleep 0.01; done; exit 1")
    running.told(signal.SIGTERM)
    (tmp_path / "gone").touch()
    for _ in range(300):  # one signal seldom comes at the very moment that matters
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.0001)
    assert running.end()[0] == 1


@pytest.mark.parametrize("nodes", [1, 4])
def test_script_is_valid_bash_whatever_the_paths_are_called(tmp_path: Path, nodes: int) -> None:
    folder = tmp_path / STRANGE
    text = job(folder, nodes=nodes, setup=["module load cuda", "export X=1"]).render()
    done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_arguments_reach_the_sweep_as_they_were_given(tmp_path: Path) -> None:
    given = ["-m", "sweep.run", "toy.yaml", "--set", f"name={STRANGE}"]
    running = Running(tmp_path, "exit 0", run=given)
    assert running.end()[0] == 0
    file = str(tmp_path / "toy.sbatch")
    further = ["--continue", "--resume-with", f"sbatch {file}"]
    assert (tmp_path / "calls.arguments").read_text().splitlines() == [*given, *further]


def test_options_of_the_user_come_last_because_slurm_takes_the_last(tmp_path: Path) -> None:
    text = job(tmp_path, raw=["--signal=B:USR1@60"], options=(("mem", "64G"), ("qos", None)))
    options = [line for line in text.render().splitlines() if line.startswith("#SBATCH")]
    assert options[-1] == "#SBATCH --signal=B:USR1@60"
    assert "#SBATCH --mem=64G" in options
    assert not any("qos" in line for line in options)


def test_script_of_several_nodes_waits_for_all_of_them_and_is_not_one_of_ray_stop(
    tmp_path: Path,
) -> None:
    one, several = job(tmp_path).render(), job(tmp_path, nodes=4).render()
    assert "--wait-for-nodes" in several
    assert "ray.scripts" not in one  # a private Ray of sweep.run
    assert "ray stop" not in several


ROUTES = """\
case "$*" in
    "show hostnames n[1-2]") echo n1; echo n2 ;;
    "-o show node n2") echo "NodeName=n2 Arch=x86_64 NodeAddr=n2-ib NodeHostName=n2 Port=0" ;;
    "ahostsv4 n2-ib") echo "10.9.0.2 STREAM n2-ib" ;;
    "-4 route get 10.9.0.2") echo "10.9.0.2 dev ib0 src 10.9.0.1 uid 0" ;;
    "ahostsv4"*) echo "192.168.0.1 STREAM n1" ;;
esac
"""


@pytest.mark.parametrize(
    ("answers", "address"),
    [
        (ROUTES, "10.9.0.1"),
        (ROUTES.replace("dev ib0", "unreachable").replace("src 10.9.0.1", ""), "192.168.0.1"),
        (ROUTES.replace("ahostsv4 n2-ib", "unknown"), "192.168.0.1"),
    ],
    ids=["by route", "no route", "no name"],
)
def test_head_has_the_address_from_which_it_reaches_the_other_nodes(
    tmp_path: Path, answers: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("getent", "ip"):
        (tmp_path / name).write_text(f"#!/bin/bash\n{answers}")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setitem(SLURM_VARIABLES, "SLURM_JOB_NODELIST", "n[1-2]")
    running = Running(tmp_path, "exit 2", then=answers, nodes=2)
    code, output = running.end()
    assert f"ray_on_node {address}:20007 " in running.calls.read_text()
    # The sweep may have failed because Ray did.
    assert (code, f"what Ray said: {tmp_path}/results/toy.7.ray.log" in output) == (2, True)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("/data/a100:8,b-[1-2]", "--x=/data/a100:8,b-[1-2]"),
        ("/a b", '--x="/a b"'),
        ("it's", '--x="it\'s"'),
        ('a"b\\c', '--x="a\\"b\\\\c"'),
        ("#1", '--x="#1"'),
        ("", '--x=""'),
    ],
)
def test_value_is_quoted_for_sbatch(value: str, line: str) -> None:
    assert sbatch_option("x", value) == line


def test_percent_sign_of_a_folder_is_no_variable_of_slurm(tmp_path: Path) -> None:
    assert job(tmp_path, logs=Path("/data/50%j")).log == "/data/50%%j/toy.%j.log"


def test_line_break_in_an_argument_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line break"):
        job(tmp_path, raw=["--comment=a\nrm -rf /"]).render()
