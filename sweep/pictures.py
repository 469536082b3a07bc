"""``python -m sweep.pictures RESULTS [TRIAL …]``: draw segmentations of trials."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from sweep.command_line.command_options import Device, listed
from sweep.command_line.exit_codes import exit_codes, run_alone


def command(
    results: Annotated[
        str,
        typer.Argument(metavar="RESULTS", help="A results folder, or that of sweep.train."),
    ],
    trials: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TRIAL]...", help="Ids, such as t0007; default: the leader and the baseline."
        ),
    ] = None,
    cases: Annotated[
        list[str] | None,
        typer.Option(
            "--cases",
            metavar="CASE,…",
            help="Validation cases beside the worst, the median and the best.",
        ),
    ] = None,
    channel: Annotated[
        str | None,
        typer.Option("--channel", help="Image channel to show; default: as the sweep says."),
    ] = None,
    device: Annotated[
        Device, typer.Option("--device", help="Default: the `trainer.device` of the trial.")
    ] = None,
) -> None:
    """Draw validation cases of trials: the image, the outlines and the errors. The report shows
    them."""
    with exit_codes():
        from sweep.api.draw_pictures import draw_pictures
        from sweep.console.sweep_view import TerminalView
        from sweep.machine.user_paths import argument

        folder = argument(results, "RESULTS")
        view = TerminalView(live=True, table=False)
        for one in draw_pictures(
            folder,
            trials or (),
            view.working,
            cases=[case for case in listed(cases) if case],
            channel=channel,
            device=device,
        ):
            what = "the batch at which it diverged"
            if one.pictures.cases:
                what = ", ".join(
                    f"{case.case} ({', '.join(case.reasons)})" for case in one.pictures.cases
                )
            left = f"; {one.pictures.left_out} pictures left out" if one.pictures.left_out else ""
            typer.echo(f"{one.trial.folder.name}: {what}{left}")
            typer.echo(f"  {shlex.quote(str(one.trial.pictures))}  ({one.size / 1e3:,.0f} kB)")
        typer.echo(
            f"The report shows them: python -m sweep.export {shlex.quote(str(folder))}"
            " --format html"
        )


if __name__ == "__main__":
    run_alone(command)
