"""``python -m sweep.pictures RESULTS [TRIAL …]``: draw segmentations of trials."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.command_line.command_options import Device, listed
from sweep.command_line.exit_codes import exit_codes, run_alone

if TYPE_CHECKING:
    from sweep.api.draw_pictures import DrawnTrial


def command(
    results: Annotated[
        str,
        typer.Argument(
            metavar="RESULTS", help="A results folder or its URI, or that of sweep.train."
        ),
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
        from sweep.machine.user_paths import results_argument
        from sweep.store.at_uri.local_results import as_given, edited_results
        from sweep.store.at_uri.remote_folder import is_uri

        place = results_argument(results)
        uri = place if is_uri(place) else None
        view = TerminalView(live=True, table=False)
        with edited_results(place) as folder:
            for one in draw_pictures(
                folder,
                trials or (),
                view.working,
                uri=uri,
                cases=[case for case in listed(cases) if case],
                channel=channel,
                device=device,
            ):
                paths = one.trial.pictures
                _say(one, as_given(folder, uri, paths))
        output = "" if uri is None else " -o ."
        typer.echo(
            f"The report shows them: python -m sweep.export {shlex.quote(place)}"
            f" --format html{output}"
        )


def _say(one: DrawnTrial, where: str) -> None:
    """Print what was drawn of a trial, and where it is."""
    what = "the batch at which it diverged"
    if one.pictures.cases:
        what = ", ".join(f"{case.case} ({', '.join(case.reasons)})" for case in one.pictures.cases)
    left = f"; {one.pictures.left_out} pictures left out" if one.pictures.left_out else ""
    typer.echo(f"{one.trial.folder.name}: {what}{left}")
    typer.echo(f"  {shlex.quote(where)}  ({one.size / 1e3:,.0f} kB)")


if __name__ == "__main__":
    run_alone(command)
