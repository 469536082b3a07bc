"""``python -m sweep.slurm SPACE.yaml --nodes 4``: a batch script that runs a sweep on Slurm."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from sweep.command_line.command_options import Overrides, ResultsRoot, Space
from sweep.command_line.exit_codes import exit_codes, run_alone

Text = str | None


def command(
    space: Space,
    nodes: Annotated[int, typer.Option("--nodes", min=1, help="Nodes of the job.")] = 1,
    gpus_per_node: Annotated[
        Text, typer.Option("--gpus-per-node", metavar="N|TYPE:N", help="GPUs on each node.")
    ] = None,
    cpus_per_node: Annotated[
        int | None,
        typer.Option(
            "--cpus-per-node",
            min=1,
            help="CPU cores on each node; default: those that a trial on each GPU needs.",
            show_default=False,
        ),
    ] = None,
    time: Annotated[
        Text, typer.Option("--time", metavar="12:00:00", help="Time limit of each run of the job.")
    ] = None,
    mem: Annotated[Text, typer.Option("--mem", help="Memory on each node, such as 64G.")] = None,
    partition: Annotated[Text, typer.Option("--partition", help="Partition.")] = None,
    account: Annotated[Text, typer.Option("--account", help="Account.")] = None,
    qos: Annotated[Text, typer.Option("--qos", help="Quality of service.")] = None,
    sbatch: Annotated[
        list[str] | None,
        typer.Option(
            "--sbatch",
            metavar="OPTION",
            help="Any other option of sbatch: --sbatch=--constraint=a100; can be repeated.",
        ),
    ] = None,
    setup: Annotated[
        list[str] | None,
        typer.Option(
            "--setup",
            metavar="LINE",
            help="A line of shell to run first: 'module load cuda'; can be repeated.",
        ),
    ] = None,
    container: Annotated[
        Text,
        typer.Option(
            "--container",
            metavar="COMMAND",
            help="Run Python inside a container: 'apptainer exec --nv sweep.sif'.",
        ),
    ] = None,
    overrides: Overrides = None,
    results: ResultsRoot = "results",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The script; default: NAME.sbatch, here."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite a script that was written or edited before.")
    ] = False,
    submit: Annotated[bool, typer.Option("--submit", help="Submit the script too.")] = False,
) -> None:
    """Write a batch script for Slurm: Ray on all nodes, the sweep, and a requeue until it ends."""
    with exit_codes():
        import sys

        from sweep.api.checked_spec import load_checked
        from sweep.console.console_words import print_warnings
        from sweep.machine.hardware import Machine
        from sweep.machine.user_paths import argument, results_argument
        from sweep.slurm_job.batch_script import SlurmJob
        from sweep.slurm_job.job_request import doubts_about_time, node_share
        from sweep.slurm_job.script_file import submit_script, write_script
        from sweep.spec.words.phrases import counted

        space, results = argument(space, "SPACE.yaml"), results_argument(results, "--results")
        spec, warnings = load_checked(space, overrides, Machine.any())
        share = node_share(
            spec, gpus_per_node=gpus_per_node, cpus_per_node=cpus_per_node, time=time
        )
        file = argument(output, "--output") if output else Path(f"{spec.name}.sbatch")
        changes = [part for item in overrides or [] for part in ("--set", item)]
        run = ["-m", "sweep.run", str(space), *changes, "--results", results]
        local = "://" not in results
        root = str(Path(results).absolute()) if local else results
        job = SlurmJob(
            name=spec.name,
            made_by=["python", "-m", "sweep.slurm", *_own_arguments(sys.argv)],
            file=file.absolute(),
            folder=Path.cwd(),
            python=[*_words(container), "python"] if container else [sys.executable],
            run=run,
            results=f"{root}/{spec.name}",
            logs=Path(root) if local else Path.cwd(),
            nodes=nodes,
            cpus_per_node=share.cpus,
            gpus_per_node=gpus_per_node,
            options=(
                ("mem", mem),
                ("time", time),
                ("partition", partition),
                ("account", account),
                ("qos", qos),
            ),
            raw=sbatch or [],
            setup=setup or [],
        )
        write_script(file, job.render(), job.logs, force=force)
        print_warnings([*warnings, *doubts_about_time(time)])
        at_once = counted(share.trials * nodes, "trial")
        typer.echo(f"{shlex.quote(str(file))}: up to {at_once} at once on {counted(nodes, 'node')}")
        typer.echo(submit_script(file) if submit else f"Submit: sbatch {shlex.quote(str(file))}")
        typer.echo(f"Output: {job.log.replace('%j', 'JOB')}")
        typer.echo(f"Watch:  python -m sweep.watch {shlex.quote(job.results)}")


def _own_arguments(argv: list[str]) -> list[str]:
    """Without `slurm` of `sweep slurm`, and without `--submit` and `--force`, which change no
    script."""
    own = argv[1 if Path(argv[0]).name == "slurm.py" else 2 :]
    return [argument for argument in own if argument not in ("--submit", "--force")]


def _words(command: str) -> list[str]:
    from sweep.vocabulary.errors import InputError

    try:
        return shlex.split(command)
    except ValueError as error:
        wrong = f"{error}: {command}"
        raise InputError.single(wrong, key="--container") from None


if __name__ == "__main__":
    run_alone(command)
