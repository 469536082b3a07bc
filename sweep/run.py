"""``python -m sweep.run SPACE.yaml``: run a sweep and rank its trials."""

from __future__ import annotations

import os
import shlex
import socket
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.command_line.command_options import Address, Overrides, ResultsRoot, Space
from sweep.command_line.exit_codes import exit_codes, run_alone
from sweep.machine.interrupted import INTERRUPTED, forget_interruption, stops_as_ctrl_c

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

    from sweep.analysis.ranking.ranking_frame import Ranking
    from sweep.engine.on_ray.monitoring import Monitoring
    from sweep.engine.session.ending import Ending
    from sweep.engine.session.site import Site
    from sweep.machine.hardware import Machine
    from sweep.spec.search.sweep_spec import SweepSpec
    from sweep.store.store import Store


def command(
    space: Space,
    overrides: Overrides = None,
    results: ResultsRoot = "results",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a sweep that was interrupted.")
    ] = False,
    extend: Annotated[
        list[str] | None,
        typer.Option(
            "--extend",
            metavar="KEY=VALUE",
            help="Go on with more: trials=+20, trials=60, time_budget=4h.",
        ),
    ] = None,
    address: Address = None,
    dashboard: Annotated[
        bool | None,
        typer.Option(
            "--dashboard/--no-dashboard",
            envvar="MEDICAL_SWEEP_DASHBOARD",
            help="Start Ray's dashboard; by default where the extra `dashboard` is installed.",
            show_default=False,
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show what Ray and the libraries say.")
    ] = False,
) -> None:
    """Run a sweep: train its trials, stop the diverging ones, rank the rest by the objective."""
    with exit_codes(goes_on=True):
        from sweep.console.console_words import print_warnings
        from sweep.engine.on_ray.monitoring import wanted
        from sweep.engine.session.ending import Ending
        from sweep.engine.session.site import Site
        from sweep.machine.hardware import Machine
        from sweep.machine.user_paths import argument, results_argument
        from sweep.store.layout import Layout

        space, results = argument(space, "SPACE.yaml"), results_argument(results, "--results")
        machine = Machine.here() if address is None else Machine.any()
        spec = load(space, overrides or [], machine, resume=resume)
        site = Site.of(spec.name, results, address)
        again = ["python", "-m", "sweep.run", str(space)]
        again += [part for item in overrides or [] for part in ("--set", item)]
        again += ["--results", results] if results != "results" else []
        again += ["--address", address] if address is not None else []
        to_go_on = shlex.join([*again, "--resume"])

        shows, missing = wanted(dashboard)
        print_warnings(missing)
        show = Show(dashboard=shows, verbose=verbose)
        try:
            with stops_as_ctrl_c():
                ending = start(spec, site, to_go_on, show, resume=resume, extend=extend or [])
        except KeyboardInterrupt:  # just before its first trial, or while it prints the ranking
            if not Layout(site.folder).sweep_yaml.exists():
                raise
            forget_interruption()
            ending = Ending.INTERRUPTED
        if ending is not Ending.FINISHED:
            typer.echo(f"Stopped: {ending.value}. Nothing that was reported is lost. Go on with:")
            typer.echo(f"  {to_go_on}")
        if ending is Ending.INTERRUPTED:
            raise typer.Exit(INTERRUPTED)


@dataclass(frozen=True, slots=True)
class Show:
    """What the user sees while the sweep runs.

    Args:
        dashboard: start Ray's.
        verbose: print what Ray and the libraries say.
    """

    dashboard: bool
    verbose: bool


def load(space: Path, overrides: list[str], machine: Machine, *, resume: bool = False) -> SweepSpec:
    """The validated spec, its data looked at and its warnings printed.

    Raises:
        InputError: with every mistake.
    """
    from sweep.check import load_checked
    from sweep.console.console_words import print_warnings

    spec, warnings = load_checked(space, overrides, machine, begins=not resume)
    print_warnings(warnings)
    return spec


def start(
    asked: SweepSpec,
    site: Site,
    to_go_on: str,
    show: Show,
    *,
    resume: bool,
    extend: Sequence[str],
) -> Ending:
    """Run the sweep at ``site``, from its beginning or where it stopped, and print its ranking.

    Args:
        to_go_on: the command that resumes it.
    Raises:
        SweepFailed: it broke off, or came to its end and no trial has a result.
    """
    from sweep.analysis.confirm.detectable_difference import can_show
    from sweep.api.handover import hand_over
    from sweep.console.console_words import make_console
    from sweep.engine.session.ending import Ending
    from sweep.engine.session.open_store import open_store, require_folder
    from sweep.vocabulary.errors import SweepFailed

    console = make_console()
    resume = resume or bool(extend)
    require_folder(site, resume=resume)  # before the data is read, which may take long
    asked = prepare_data(asked, console)
    if site.address is not None:
        look_at_nodes(asked, site, console, verbose=show.verbose)
    spec, store = open_store(asked, site, resume=resume, extend=extend)
    if told := can_show(spec):
        console.print(told, soft_wrap=not console.is_terminal, highlight=False, markup=False)
    try:
        with store:
            ending, ranking = run(spec, store, site, console, show)
            _show(spec, site, ranking, console)
            if ending is not Ending.INTERRUPTED:  # who pressed Ctrl-C will not wait
                hand_over(spec, store, ranking, console, uri=site.uri)
    except SweepFailed as error:
        after = "nothing that was reported is lost; once that is mended, go on with"
        raise SweepFailed(f"{error}; {after}: {to_go_on}") from error
    if ending is Ending.FINISHED and ranking.winner is None:
        raise SweepFailed(f"no trial of {spec.name} has a result; the causes stand in {site}")
    return ending


def run(
    spec: SweepSpec, store: Store, site: Site, console: Console, show: Show
) -> tuple[Ending, Ranking]:
    """Execute what is left of the sweep, and rank all of it.

    Raises:
        SweepFailed: it broke off.
    """
    from sweep.engine.session.ending import Ending

    try:
        ending = _execute(spec, store, site, console, show)
        if ending is Ending.FINISHED:
            _test(spec, store, console)
    except KeyboardInterrupt:  # of imports, of Ray's start or end, of the test
        forget_interruption()
        ending = Ending.INTERRUPTED
    from sweep.analysis.ranking.ranking_frame import write_ranking

    return ending, write_ranking(store.layout.folder)


@contextmanager
def told_or_shown(console: Console, first: str) -> Iterator[Callable[[str], None]]:
    """Shows what is being done; where there is no terminal, a line for each new stage of it."""
    if console.is_terminal:
        with console.status(first) as status:
            yield status.update
        return
    said = set[str]()

    def tell(sentence: str) -> None:
        stage = sentence.partition(":")[0]  # without how far it is
        if stage not in said:
            said.add(stage)
            console.print(stage, soft_wrap=True, highlight=False, markup=False)

    yield tell


def prepare_data(spec: SweepSpec, console: Console) -> SweepSpec:
    """Read and normalise the data once, before any trial asks for it; warn of what it shows.

    Returns:
        the spec with what the data are known by, unless it searches where they are.
    """
    from sweep.console.console_words import print_warnings
    from sweep.data.prepared.outline_length import outline_warnings
    from sweep.spec.checks.doubtful_settings import largest_loss, largest_sizes, size_warnings
    from sweep.spec.settings.moved_data import PLACES
    from sweep.trial.kinds.kind_table import kind_of, make_ready, pinned

    with told_or_shown(console, kind_of(spec).preparing) as tell:
        data = make_ready(spec, tell)
    if data is not None:
        print_warnings(data.warnings)
        print_warnings(outline_warnings(largest_loss(spec), data, spec.data.patch_size))
        if spec.data.size_keys is None:  # else the settings told it
            side = max(max(sample.label.shape) for sample in data.training)
            batch, patch = largest_sizes(spec)
            print_warnings(size_warnings(batch, len(data.training), patch, side))
    return spec if spec.space.keys() & PLACES else pinned(spec, data)


def look_at_nodes(spec: SweepSpec, site: Site, console: Console, *, verbose: bool) -> None:
    """Have every node of the cluster prepare the data, and show that it can work with us.

    Raises:
        InputError: one cannot; says which and why.
    """
    from sweep.console.console_words import print_warnings
    from sweep.engine.on_ray.node_checks import check_nodes

    with console.status("Preparing the data on the cluster's nodes"):
        found = check_nodes(spec, site, verbose=verbose)
    print_warnings(found)


def _monitoring(
    spec: SweepSpec, trials: int, log: Path, console: Console, show: Show
) -> Monitoring:
    from sweep.console.console_words import dashboard_words
    from sweep.engine.decisions.tally import Tally
    from sweep.engine.on_ray.monitoring import Monitoring

    def announce(address: str | None) -> None:
        if address is None:
            words = f"warning: Ray's dashboard did not start; more in {log}"
        else:
            asks = os.environ.get("RAY_AUTH_MODE") == "token"
            words = dashboard_words(address, socket.gethostname(), asks_for_token=asks)
        console.print(words, soft_wrap=True, highlight=False, markup=False)

    return Monitoring(Tally(trials, spec.judged_by), show.dashboard, announce)


def _execute(spec: SweepSpec, store: Store, site: Site, console: Console, show: Show) -> Ending:
    from sweep.analysis.ranking.finalists import Planned
    from sweep.analysis.ranking.live_ranking import RankingFile
    from sweep.console.console_words import duration_words, make_console, print_warnings
    from sweep.console.live_view import LiveView
    from sweep.console.plain_view import PlainView
    from sweep.console.sweep_progress import Progress
    from sweep.engine.decisions.conductor import Conductor
    from sweep.engine.on_ray.execute import execute
    from sweep.engine.session.ending import Ending
    from sweep.engine.session.log_file import note
    from sweep.tracking.make_trackers import Tracked, tracking
    from sweep.tracking.study_file import live_study
    from sweep.vocabulary.errors import SweepFailed
    from sweep.vocabulary.record import Observer, last_line

    is_live = console.is_terminal and not show.verbose
    # Bound now: while Ray runs, stderr goes to the log. A live view is printed above, not into.
    screen = console if is_live else make_console(stderr=True)

    def warn(text: str) -> None:
        print_warnings([text], screen)

    def failed(observer: str, error: Exception) -> None:
        log = store.layout.log
        note(log, error)
        warn(f"{observer} failed: {last_line(error)}; the sweep goes on, more in {log}")

    planned = Planned(spec)
    trials = planned.total
    monitoring = _monitoring(spec, trials, store.layout.log, console, show)
    epochs = spec.extents.most_epochs
    progress = Progress(trials, epochs, objective=spec.judged_by, planned=planned)
    tracked = Tracked(spec.name, store.layout, store.layout.trial)
    with (
        tracking(spec.tracking, tracked, warn) as trackers,
        live_study(store.layout.study, spec, store.records, warn) as study,
    ):
        ranking = RankingFile(store.layout.ranking_csv, spec)
        observers: list[Observer] = [progress, ranking, monitoring.tally, *trackers]
        conductor = Conductor(spec, store, observers, failed)
        conductor.subscribe(study)
        progress.start_clock()

        def acknowledge(words: str) -> None:
            progress.stopping = True
            if not is_live:  # there the next redraw shows it; in a handler nothing else is safe
                os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{words}\n".encode())

        run_it = partial(execute, conductor, spec, store.layout.log, site, monitoring)
        if is_live:
            with LiveView(spec.name, progress, console):
                ending = run_it(acknowledge=acknowledge)
            print_warnings(progress.warning_words)
        else:
            conductor.subscribe(PlainView(progress, console))
            ending = run_it(acknowledge=acknowledge, verbose=show.verbose)
        if ending is Ending.OUT_OF_TIME and not progress.epochs_reported:
            raise SweepFailed(
                f"the time budget of {duration_words(spec.time_budget or 0)} was spent before any"
                " trial had reported an epoch: starting workers and the first epoch took longer;"
                " give it more by --extend time_budget=+10m"
            )
        return ending


def _test(spec: SweepSpec, store: Store, console: Console) -> None:
    """Evaluate the finalists on the test split, if there is one."""
    if not spec.data.test:
        return
    from sweep.console.console_words import print_warnings
    from sweep.engine.session.evaluate_finalists import evaluate_finalists

    with console.status("Evaluating the finalists on the test split"):
        evaluate_finalists(spec, store, lambda text: print_warnings([text]))


def _show(spec: SweepSpec, site: Site, ranking: Ranking, console: Console) -> None:
    from sweep.analysis.ranking.ranking_columns import own_metrics
    from sweep.console.sweep_summary import print_patience, print_results

    print_results(
        console,
        ranking.frame,
        ranking.records,
        list(spec.space),
        title=spec.name,
        objective=spec.judged_by,
        own=own_metrics(spec.model_dump(include={"trainer"}), ranking.records),
        kinds=[spec.trainer.kind],
    )
    if ranking.patience is not None:
        print_patience(console, ranking.patience)
    where = site.uri or site.folder / "ranking.csv"
    console.print(f"Ranking: {where}", soft_wrap=True, highlight=False, markup=False)
    if ranking.winner is not None:
        best = shlex.quote(str(site.folder / "best.yaml"))
        console.print(
            f"Best:    {best}  (trial {ranking.winner}; train it alone with"
            f" python -m sweep.train {best})",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )


def main() -> None:
    run_alone(command)


if __name__ == "__main__":
    main()
