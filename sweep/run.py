"""``python -m sweep.run SPACE.yaml``: run a sweep and rank its trials."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.command_line.command_options import Address, Overrides, ResultsRoot, Space
from sweep.command_line.exit_codes import exit_codes, run_alone
from sweep.machine.interrupted import INTERRUPTED, forget_interruption, stops_as_ctrl_c

if TYPE_CHECKING:
    from sweep.spec.search.sweep_spec import SweepSpec


def command(
    space: Space,
    overrides: Overrides = None,
    results: ResultsRoot = "results",
    resume: Annotated[bool, typer.Option("--resume", help="Resume an interrupted sweep.")] = False,
    extend: Annotated[
        list[str] | None,
        typer.Option(
            "--extend",
            metavar="KEY=VALUE",
            help="Resume with more: trials=+20, trials=60, time_budget=4h.",
        ),
    ] = None,
    continue_: Annotated[
        bool,
        typer.Option("--continue", help="Start the sweep, or resume it if it has begun."),
    ] = False,
    address: Address = None,
    wait_for_nodes: Annotated[
        int | None,
        typer.Option(
            "--wait-for-nodes",
            metavar="N",
            min=1,
            help="Give the Ray cluster at --address up to 5 minutes to get that many nodes.",
        ),
    ] = None,
    local: Annotated[
        bool,
        typer.Option("--local", help="Run without Ray, in this process, for debugging."),
    ] = False,
    dashboard: Annotated[
        bool | None,
        typer.Option(
            "--dashboard/--no-dashboard",
            envvar="MEDICAL_SWEEP_DASHBOARD",
            help="Start Ray's dashboard; default: if the extra `dashboard` is installed.",
            show_default=False,
        ),
    ] = None,
    page: Annotated[
        bool,
        typer.Option("--page", help="Serve the report while the sweep runs; prints its address."),
    ] = False,
    resume_with: Annotated[
        str | None,
        typer.Option(hidden=True, help="The command that resumes: for scripts that run this one."),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the messages of Ray and other libraries.")
    ] = False,
) -> None:
    """Run a sweep: train its trials, stop the diverging ones, rank the rest by the objective."""
    with exit_codes(continues=True), stops_as_ctrl_c():
        from sweep.api.checked_spec import load_checked
        from sweep.api.run_sweep import Session, run_sweep
        from sweep.console.console_words import print_warnings
        from sweep.console.sweep_view import TerminalView
        from sweep.engine.on_ray.ray_cluster import wanted_dashboard
        from sweep.engine.session.ending import Ending
        from sweep.engine.session.open_store import has_begun
        from sweep.engine.session.sweep_location import SweepLocation
        from sweep.machine.hardware import Machine
        from sweep.machine.user_paths import argument, results_argument
        from sweep.page_server.page_process import page_beside
        from sweep.store.layout import Layout
        from sweep.vocabulary.errors import SweepFailed

        space, results = argument(space, "SPACE.yaml"), results_argument(results, "--results")
        machine = Machine.here() if address is None else Machine.any()

        def begins(spec: SweepSpec) -> bool:
            if resume or extend:
                return False
            return not (continue_ and has_begun(SweepLocation.of(spec.name, results, address)))

        spec, warnings = load_checked(space, overrides, machine, begins=begins)
        print_warnings(warnings)
        location = SweepLocation.of(spec.name, results, address)
        again = ["python", "-m", "sweep.run", str(space)]
        again += [part for item in overrides or [] for part in ("--set", item)]
        again += ["--results", results] if results != "results" else []
        again += ["--address", address] if address is not None else []
        again += ["--local"] * local + ["--page"] * page + ["--resume"]
        resume_with = resume_with or shlex.join(again)

        shows, missing = wanted_dashboard(dashboard)
        print_warnings(missing)
        session = Session(
            location=location,
            resume_with=resume_with,
            resume=resume,
            continues=continue_,
            extend=extend or [],
            nodes=wait_for_nodes,
            executor="local" if local else "ray",
            dashboard=shows,
            verbose=verbose,
        )
        try:
            with ExitStack() as stack:
                if page:
                    for line in stack.enter_context(page_beside(location.folder, location.uri)):
                        typer.echo(line)
                ending, ranking = run_sweep(
                    spec, session, TerminalView(live=not (verbose or local))
                )
        except KeyboardInterrupt:  # just before its first trial, or while it prints the ranking
            if not Layout(location.folder).sweep_yaml.exists():
                raise
            forget_interruption()
            ending, ranking = Ending.INTERRUPTED, None
        if ending is Ending.FINISHED and (ranking is None or ranking.winner is None):
            raise SweepFailed(f"no trial of {spec.name} has a result; the causes are in {location}")
        if ending is not Ending.FINISHED:
            typer.echo(f"Stopped: {ending.value}. All reported epochs are saved. Resume with:")
            typer.echo(f"  {resume_with}")
        if ending is Ending.INTERRUPTED:
            raise typer.Exit(INTERRUPTED)


if __name__ == "__main__":
    run_alone(command)
