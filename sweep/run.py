"""``python -m sweep.run SPACE.yaml``: run a sweep and rank its trials."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.console.exits import INTERRUPTED, exit_codes, run_alone

if TYPE_CHECKING:
    from rich.console import Console

    from sweep.analysis.ranking import Ranking
    from sweep.engine.ending import Ending
    from sweep.spec.sweep import SweepSpec
    from sweep.store.store import Store

Space = Annotated[Path, typer.Argument(metavar="SPACE.yaml", help="The search space.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a key of the file, as often as you like."
    ),
]
Results = Annotated[Path, typer.Option("--results", help="Folder that holds all results folders.")]


def command(
    space: Space,
    overrides: Overrides = None,
    results: Results = Path("results"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a sweep that was interrupted.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show what Ray and the libraries say.")
    ] = False,
) -> None:
    """Run a sweep: train its trials, stop the diverging ones, rank the rest by validation Dice."""
    with exit_codes():
        from sweep.engine.ending import Ending

        spec = load(space, overrides or [])
        folder = results.absolute() / spec.name
        ending = run(spec, folder, resume=resume, verbose=verbose)
        if ending is not Ending.FINISHED:
            again = ["python", "-m", "sweep.run", str(space)]
            again += [part for item in overrides or [] for part in ("--set", item)]
            again += ["--results", str(results)] if results != Path("results") else []
            typer.echo(f"Stopped: {ending.value}. Nothing that was reported is lost. Go on with:")
            typer.echo(f"  {shlex.join([*again, '--resume'])}")
        if ending is Ending.INTERRUPTED:
            raise typer.Exit(INTERRUPTED)


def load(space: Path, overrides: list[str]) -> SweepSpec:
    """The validated spec, its data looked at and its warnings printed.

    Raises:
        InputError: with every mistake.
    """
    from sweep.check import load_checked
    from sweep.console.words import print_warnings

    spec, warnings = load_checked(space, overrides)
    print_warnings(warnings)
    return spec


def run(spec: SweepSpec, folder: Path, *, resume: bool, verbose: bool) -> Ending:
    """Run the sweep in ``folder`` and print its ranking.

    Raises:
        SweepFailed: it came to its end and no trial has a result.
    """
    from sweep.analysis.ranking import write_ranking
    from sweep.console.words import make_console
    from sweep.engine.ending import Ending
    from sweep.errors import SweepFailed
    from sweep.store.layout import Layout
    from sweep.store.store import require_unused

    console = make_console()
    if not resume:
        require_unused(Layout(folder))  # before the data is read, which may take long
    prepare_data(spec, console)
    with open_store(spec, folder, resume=resume) as store:
        try:
            ending = _execute(spec, store, console, verbose=verbose)
        except KeyboardInterrupt:  # while Ray starts or ends
            ending = Ending.INTERRUPTED
        ranking = write_ranking(folder)
    _show(spec, folder, ranking, console)
    if ending is Ending.FINISHED and ranking.winner is None:
        raise SweepFailed(f"no trial of {spec.name} has a result; the causes stand in {folder}")
    return ending


def open_store(spec: SweepSpec, folder: Path, *, resume: bool) -> Store:
    """A new results folder, or with ``resume`` the one that an interrupted sweep left.

    Raises:
        ResultsError: it is there already (or is not), or belongs to another spec.
    """
    from sweep.spec.load import to_yaml
    from sweep.store.files import read_text
    from sweep.store.store import Store

    text = to_yaml(spec)
    if not resume:
        return Store.create(folder, text)
    store = Store.open(folder)
    recorded = read_text(store.layout.sweep_yaml)
    if recorded != text:
        store.close()
        raise _changed(recorded, text, folder)
    return store


def prepare_data(spec: SweepSpec, console: Console) -> None:
    """Read and normalise the data once, before any trial asks for it; warn of what it shows."""
    from sweep.console.words import print_warnings
    from sweep.data.outlines import outline_warnings
    from sweep.data.prepare import prepare
    from sweep.spec.warn import largest_loss

    with console.status("Preparing the data"):
        data = prepare(spec.data)
    print_warnings(outline_warnings(largest_loss(spec), data, spec.data.patch_size))


def _execute(spec: SweepSpec, store: Store, console: Console, *, verbose: bool) -> Ending:
    from sweep.console.live import LiveView
    from sweep.console.plain import PlainView
    from sweep.console.progress import Progress
    from sweep.console.words import print_warnings
    from sweep.engine.conductor import Conductor
    from sweep.engine.execute import execute
    from sweep.tracking.make import Tracked, tracking

    progress = Progress(spec.trials, spec.extents.most_epochs)
    tracked = Tracked(spec.name, store.layout, store.layout.trial)
    with tracking(spec.tracking, tracked, lambda text: print_warnings([text])) as trackers:
        conductor = Conductor(spec, store, [progress, *trackers])
        progress.start_clock()
        if console.is_terminal and not verbose:
            with LiveView(spec.name, progress, console):
                return execute(conductor, spec, store.layout.log)
        conductor.subscribe(PlainView(progress, console))
        return execute(conductor, spec, store.layout.log, verbose=verbose)


def _show(spec: SweepSpec, folder: Path, ranking: Ranking, console: Console) -> None:
    from sweep.console.results import print_results

    print_results(console, ranking.frame, ranking.records, list(spec.space), title=spec.name)
    console.print(
        f"Ranking: {folder / 'ranking.csv'}", soft_wrap=True, highlight=False, markup=False
    )
    if ranking.winner is not None:
        best = shlex.quote(str(folder / "best.yaml"))
        console.print(
            f"Best:    {best}  (trial {ranking.winner}; train it alone with"
            f" python -m sweep.train {best})",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )


def _changed(recorded: str, asked: str, folder: Path) -> Exception:
    import difflib

    from sweep.errors import ResultsError

    lines = difflib.unified_diff(
        recorded.splitlines(), asked.splitlines(), "recorded", "asked for", lineterm="", n=0
    )
    return ResultsError(
        f"{folder} holds a sweep with another spec; go on with the recorded one, or choose another"
        f" `name:` for the changed one:\n" + "\n".join(lines)
    )


def main() -> None:
    run_alone(command)


if __name__ == "__main__":
    main()
