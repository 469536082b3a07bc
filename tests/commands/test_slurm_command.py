from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Call = Callable[..., Result]


def test_script_is_written_with_what_to_do_next(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["slurm", "tiny.yaml", "--nodes", "2", "--cpus-per-node", "4", "--time", "60"]
    monkeypatch.setattr(sys, "argv", ["sweep", *given])
    result = call(*given)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == [
        "tiny.sbatch: up to 8 trials at once on 2 nodes",
        "Submit: sbatch tiny.sbatch",
        f"Output: {folder}/results/tiny.JOB.log",
        f"Watch:  python -m sweep.watch {folder}/results/tiny",
    ]
    script = (folder / "tiny.sbatch").read_text()
    made_by = " ".join(["python -m sweep.slurm", *given[1:]])
    assert script.startswith(f"#!/bin/bash\n# Made by: {made_by}\n")
    assert "#SBATCH --nodes=2\n" in script
    assert "#SBATCH --time=60\n" in script
    assert (folder / "results").is_dir()  # Slurm does not make the folder of the log
    assert not (folder / "results" / "tiny").exists()


def test_wrong_sweep_file_is_refused_before_it_waits_in_a_queue(call: Call, folder: Path) -> None:
    result = call("slurm", "tiny.yaml", "--cpus-per-node", "4", "--set", "trials=-3")
    assert result.exit_code == 2
    assert "trials: must be at least 1" in result.stderr
    assert not (folder / "tiny.sbatch").exists()


def test_script_that_somebody_edited_stays(call: Call, folder: Path) -> None:
    options = ("slurm", "tiny.yaml", "--cpus-per-node", "4")
    assert call(*options).exit_code == 0
    assert call(*options).exit_code == 0  # the same again
    edited = (folder / "tiny.sbatch").read_text() + "# mine\n"
    (folder / "tiny.sbatch").write_text(edited)
    result = call(*options)
    assert result.exit_code == 2
    assert result.stderr == (
        "error: --output: tiny.sbatch exists and differs: overwrite it by --force, or name another"
        " with -o\n"
    )
    assert (folder / "tiny.sbatch").read_text() == edited
    assert call(*options, "--force").exit_code == 0
    assert (folder / "tiny.sbatch").read_text() == edited.removesuffix("# mine\n")


@pytest.mark.parametrize("called", [["sweep", "slurm"], ["/x/sweep/slurm.py"]])
def test_script_written_to_look_at_can_be_submitted_by_the_same_command(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, called: list[str]
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    for more in ([], ["--submit"], ["--force", "--submit"]):
        options = ["tiny.yaml", "--cpus-per-node", "4", *more]
        monkeypatch.setattr("sys.argv", [*called, *options])
        result = call("slurm", *options)
    assert "on a login node, submit with" in result.stderr
    assert (
        "# Made by: python -m sweep.slurm tiny.yaml --cpus-per-node 4\n"
        in (folder / "tiny.sbatch").read_text()
    )


def test_container_that_no_shell_could_read_is_refused(call: Call) -> None:
    result = call("slurm", "tiny.yaml", "--cpus-per-node", "4", "--container", "run 'my.sif")
    assert result.exit_code == 2
    assert "--container: No closing quotation: run 'my.sif" in result.stderr


def test_submitting_where_there_is_no_slurm_says_what_to_do(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    result = call("slurm", "tiny.yaml", "--cpus-per-node", "4", "--submit")
    assert result.exit_code == 2
    assert "on a login node, submit with `sbatch" in result.stderr
    assert (folder / "tiny.sbatch").exists()


def test_results_at_a_uri_leave_the_log_here(call: Call, folder: Path) -> None:
    uri = "s3://bucket/sweeps"
    result = call("slurm", "tiny.yaml", "--cpus-per-node", "4", "--results", uri)
    assert result.exit_code == 0, result.stderr
    assert f"Output: {folder}/tiny.JOB.log" in result.stdout
    assert f"sweep.watch {uri}/tiny" in result.stdout


def test_python_runs_inside_the_container(call: Call, folder: Path) -> None:
    container = "apptainer exec --nv 'my image.sif'"
    result = call("slurm", "tiny.yaml", "--cpus-per-node", "4", "--container", container)
    assert result.exit_code == 0, result.stderr
    script = (folder / "tiny.sbatch").read_text()
    assert "python=(apptainer exec --nv 'my image.sif' python)\n" in script
