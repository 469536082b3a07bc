"""``python -m sweep.train CONFIG.yaml``: train one configuration, without Ray.

``--replay DIVERGENCE`` repeats the step at which a trial diverged instead.
"""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.command_line.command_options import Overrides, Results
from sweep.command_line.exit_codes import exit_codes, run_alone

if TYPE_CHECKING:
    from sweep.vocabulary.record import Outcome


def command(
    config: Annotated[
        str | None,
        typer.Argument(
            metavar="CONFIG.yaml", help="A trial, such as a sweep's best.yaml; also at a URI."
        ),
    ] = None,
    overrides: Overrides = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            help="Folder of the results; default: train-CONFIG, or for a sweep's file"
            " train-SWEEP-best or train-SWEEP-TRIAL.",
        ),
    ] = None,
    results: Results = Path("results"),
    track: Annotated[
        list[str] | None,
        typer.Option(
            "--track",
            metavar="TRACKER",
            help="Log to tensorboard, mlflow or wandb.",
        ),
    ] = None,
    on_all_cases: Annotated[
        bool,
        typer.Option("--all-cases", help="Train on the validation cases too."),
    ] = False,
    again: Annotated[
        str | None,
        typer.Option(
            "--replay",
            metavar="DIVERGENCE",
            help="Repeat the step of a divergence.json, or of a trial's folder, or its URI.",
        ),
    ] = None,
) -> None:
    """Train one configuration and report each epoch."""
    with exit_codes(continues=True):
        from sweep.machine.user_paths import argument, results_argument

        if again is not None:
            from sweep.store.at_uri.local_results import local_place

            place = results_argument(again, "--replay")
            with local_place(place, partial(_is_replayed, place)) as path:
                _replay(path)
            return
        from sweep.api.train_one import train_alone
        from sweep.console.console_words import print_warnings
        from sweep.vocabulary.errors import InputError

        if config is None:
            raise InputError.single("name a CONFIG.yaml to train, or a divergence to --replay")
        record, folder = train_alone(
            results_argument(config, "CONFIG.yaml"),
            overrides,
            name=name,
            results=argument(results, "--results"),
            track=track or (),
            all_cases=on_all_cases,
            warn=print_warnings,
        )
        assert record.outcome is not None
        _say_end(record.outcome, folder)


def _say_end(outcome: Outcome, folder: Path) -> None:
    """Print how the training ended and where its files are.

    Raises:
        SweepFailed: it diverged.
    """
    from sweep.console.console_words import make_console
    from sweep.console.divergence_panel import diagnosis_panel
    from sweep.store.layout import TrialPaths
    from sweep.vocabulary.errors import SweepFailed
    from sweep.vocabulary.record import Status

    paths = TrialPaths(folder)
    if outcome.divergence is not None:
        make_console().print(diagnosis_panel(outcome.divergence))
    typer.echo(f"{outcome.status}: {outcome.cause}" if outcome.cause else str(outcome.status))
    typer.echo(f"Results: {folder}")
    if outcome.status is Status.DIVERGED:
        if paths.offending.exists():
            command = shlex.join(["python", "-m", "sweep.train", "--replay", str(folder)])
            typer.echo(f"Repeat that step with: {command}")
        raise SweepFailed(f"the trial diverged; see {paths.divergence}")


def _is_replayed(place: str, name: str) -> bool:
    """Whether the file of this name is needed of the trial at a URI."""
    from sweep.store.layout import TrialPaths

    folder, _, file = name.rpartition("/")
    needed = TrialPaths.config, TrialPaths.divergence, TrialPaths.offending
    return folder in place and file in {one.name for one in needed}


def _replay(path: Path) -> None:
    """Repeat the diverging step of a trial and print whether the result is the same.

    Raises:
        ResultsError: there is nothing to replay.
        SweepFailed: the result differs.
    """
    from sweep.console.console_words import make_console
    from sweep.console.divergence_panel import diagnosis_panel, steps_table
    from sweep.spec.load import load_trial
    from sweep.store.files import read_record
    from sweep.store.layout import TrialPaths
    from sweep.trial.kinds.kind_table import kind_of
    from sweep.vocabulary.errors import ResultsError, SweepFailed
    from sweep.vocabulary.record import Divergence

    paths = TrialPaths(path.parent if path.name == TrialPaths.divergence.name else path)
    if not paths.config.exists():
        raise ResultsError(
            f"{paths.folder} is not the folder of a trial, such as results/quickstart/trials/t0001"
        )
    if not paths.divergence.exists():
        raise ResultsError(f"{paths.folder} has not diverged, so there is no step to repeat")
    divergence = read_record(paths.divergence, Divergence)
    settings = load_trial(paths.config)
    replay = kind_of(settings).replay
    if replay is None:
        raise ResultsError(
            f"a trainer of the kind `{settings.trainer.kind}` does not keep single steps: train"
            " the trial again, up to that step:"
            f" python -m sweep.train {shlex.quote(str(paths.config))}"
        )
    if not paths.offending.exists():
        raise ResultsError(
            f"{paths.offending} does not exist: no single step caused the divergence"
        )

    from sweep.trial.checkpoints import Checkpoints

    done = replay(settings, divergence, Checkpoints(paths.folder).load_offending() or {})
    console = make_console()
    console.print(diagnosis_panel(divergence))
    console.print("As recorded, and repeated:")
    console.print(steps_table([done.recorded, done.again]))
    if done.is_exact:
        typer.echo("Reproduced: every value is the same, bit for bit.")
    elif done.is_alike:
        typer.echo("Reproduced in kind: the same part breaks, but the last bits differ.")
    else:
        raise SweepFailed("not reproduced: the repeated step differs")


if __name__ == "__main__":
    run_alone(command)
