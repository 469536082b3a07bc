"""``python -m sweep.train CONFIG.yaml``: train one configuration, without Ray.

``--replay DIVERGENCE`` takes the step at which a trial diverged once more instead.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.command_line.command_options import Overrides, Results
from sweep.command_line.exit_codes import exit_codes, run_alone
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.spec.search.tracker_names import TrackerName
    from sweep.spec.settings.trial_settings import TrialSettings
    from sweep.store.layout import TrialPaths
    from sweep.tracking.tracker import Tracker
    from sweep.vocabulary.record import Divergence


def command(
    config: Annotated[
        Path | None,
        typer.Argument(metavar="CONFIG.yaml", help="A trial, such as a sweep's best.yaml."),
    ] = None,
    overrides: Overrides = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            help="Folder of the results; default: train-CONFIG, of a sweep's file train-SWEEP-best"
            " or train-SWEEP-TRIAL.",
        ),
    ] = None,
    results: Results = Path("results"),
    track: Annotated[
        list[str] | None,
        typer.Option("--track", metavar="TRACKER", help="Log to tensorboard, mlflow, or both."),
    ] = None,
    again: Annotated[
        Path | None,
        typer.Option(
            "--replay",
            metavar="DIVERGENCE",
            help="Take the step of a divergence.json (or of a trial's folder) again.",
        ),
    ] = None,
) -> None:
    """Train one configuration and report each epoch."""
    with exit_codes(goes_on=True):
        from sweep.machine.user_paths import argument

        if again is not None:
            _replay(argument(again, "--replay"))
            return
        from sweep.console.console_words import print_warnings
        from sweep.machine.codebase import codebase
        from sweep.machine.hardware import Machine
        from sweep.spec.checks.doubtful_settings import trial_warnings
        from sweep.spec.load import load_trial
        from sweep.trial.trainer_check import Look
        from sweep.vocabulary.errors import InputError, Mistake

        if config is None:
            raise InputError.single("name a CONFIG.yaml to train, or a divergence to --replay")
        config, results = argument(config, "CONFIG.yaml"), argument(results, "--results")
        idle, look = list[Mistake](), Look()
        settings = load_trial(
            config,
            overrides or [],
            machine=Machine.here(),
            check_data=look,
            look_for_idle=look.idle,
            tell=idle.append,
        )
        shadowing = codebase().shadowing
        told = [*map(str, idle), *trial_warnings(settings)]
        print_warnings([*([shadowing] if shadowing else []), *told])
        folder = _folder_name(_default_name(config) if name is None else name)
        _train(settings, results.absolute() / folder, _trackers(track or []))


def _default_name(config: Path) -> str:
    """Named after the file, and after the sweep that left it where one did.

    So ``best.yaml`` of two sweeps, and ``config.yaml`` of two trials, do not share a folder.
    """
    from sweep.spec.search.sweep_spec import check_name
    from sweep.store.layout import Layout

    plain, folder = f"train-{config.stem}", config.parent.resolve()
    name, sweep = plain, Layout(folder.parent.parent)
    if Layout(folder).sweep_yaml.exists():
        name = f"train-{folder.name}-{config.stem}"
    elif folder.parent == sweep.trials and sweep.sweep_yaml.exists():
        name = f"train-{sweep.folder.name}-{folder.name}"
    try:
        return check_name(name)
    except ValueError:  # a folder that was renamed to what no sweep may be called
        return plain


def _folder_name(name: str) -> str:
    from sweep.spec.search.sweep_spec import check_name
    from sweep.vocabulary.errors import InputError

    try:
        return check_name(name)
    except ValueError as error:
        raise InputError.single(str(error), key="--name") from None


def _trackers(names: list[str]) -> tuple[TrackerName, ...]:
    from sweep.spec.search.tracker_names import chosen
    from sweep.vocabulary.errors import InputError, Mistake

    known, wrong = chosen(names)
    if wrong:
        raise InputError([Mistake(message, key="--track") for message in wrong])
    return known


def _train(settings: TrialSettings, folder: Path, trackers: tuple[TrackerName, ...]) -> None:
    from sweep.console.console_words import print_warnings
    from sweep.spec.load import to_yaml
    from sweep.store.files import make_folder
    from sweep.store.layout import Layout, TrialPaths
    from sweep.store.store import is_used
    from sweep.store.trial_files import write_start
    from sweep.tracking.make_trackers import Tracked, tracking
    from sweep.vocabulary.errors import ResultsError, SweepFailed
    from sweep.vocabulary.record import Status

    if is_used(folder):
        raise ResultsError(f"{folder} exists already: choose another --name, or remove the folder")
    make_folder(folder)
    paths = TrialPaths(folder)
    write_start(paths, {}, to_yaml(settings))

    tracked = Tracked(folder.name, Layout(folder), lambda _: paths, nested=False)
    with tracking(trackers, tracked, lambda text: print_warnings([text])) as observers:
        outcome = _observed(settings, paths, observers)
    if outcome.divergence is not None:
        _show(outcome.divergence)
    typer.echo(f"{outcome.status}: {outcome.cause}" if outcome.cause else str(outcome.status))
    typer.echo(f"Results: {folder}")
    if outcome.status is Status.DIVERGED:
        if paths.offending.exists():
            command = shlex.join(["python", "-m", "sweep.train", "--replay", str(folder)])
            typer.echo(f"Take that step again: {command}")
        raise SweepFailed(f"the trial diverged; see {paths.divergence}")


def _observed(settings: TrialSettings, paths: TrialPaths, observers: Sequence[Tracker]) -> Outcome:
    """Train the configuration; every epoch and the end are recorded, printed, then tracked."""
    from sweep.console.console_words import print_warnings
    from sweep.data.prepared.outline_length import outline_warnings
    from sweep.store.trial_files import discard, write_end, write_epoch
    from sweep.trial.checkpoints import Checkpoints
    from sweep.trial.fit import fit
    from sweep.trial.kinds.kind_table import make_ready
    from sweep.vocabulary.errors import SweepFailed
    from sweep.vocabulary.record import Status, TrialRecord, last_line

    name, history = paths.folder.name, list[EpochMetrics]()

    def report(metrics: EpochMetrics) -> None:
        write_epoch(paths, metrics)
        history.append(metrics)
        typer.echo(_line(metrics))
        print_warnings(metrics.warnings)
        for observer in observers:
            observer.epoch_reported(name, metrics)

    def end(outcome: Outcome) -> None:
        write_end(paths, outcome)
        discard(paths, best=outcome.status is Status.DIVERGED)
        record = TrialRecord(
            trial_id=name,
            number=0,
            parameters={},
            history=tuple(history),
            outcome=outcome,
            objective=settings.judged_by,
        )
        for observer in observers:
            observer.trial_ended(record)

    for observer in observers:
        observer.trial_started(name, {})
    try:
        data = make_ready(settings)
        if data is not None:
            print_warnings(data.warnings)
            print_warnings(outline_warnings(settings.loss, data, settings.data.patch_size))
        outcome = fit(
            settings,
            report=report,
            checkpoint=Checkpoints(paths.folder),
            data=data,
            provenance=paths.provenance,
        )
    except KeyboardInterrupt:  # Ctrl-C: no fault of the trial
        raise
    except BaseException as error:
        end(Outcome.failed(error))
        if isinstance(error, Exception):
            raise
        # `sys.exit` in a user's own trainer would end this process too, and without a word.
        raise SweepFailed(f"the trial failed: {last_line(error)}; see {paths.error}") from error
    end(outcome)
    return outcome


def _replay(path: Path) -> None:
    """Take the diverging step of a trial's folder once more, and say whether it came out the same.

    Raises:
        ResultsError: there is nothing to replay there.
        SweepFailed: it did not come out the same.
    """
    from sweep.console.console_words import make_console
    from sweep.console.divergence_panel import steps_table
    from sweep.spec.load import load_trial
    from sweep.store.files import read_json
    from sweep.store.layout import TrialPaths
    from sweep.store.parsed_records import parsed
    from sweep.trial.kinds.kind_table import kind_of
    from sweep.vocabulary.errors import ResultsError, SweepFailed
    from sweep.vocabulary.record import Divergence

    paths = TrialPaths(path if path.is_dir() else path.parent)
    divergence = read_json(paths.divergence, lambda values: parsed(Divergence, values))
    settings = load_trial(paths.config)
    replay = kind_of(settings).replay
    if replay is None:
        raise ResultsError(
            f"a trainer of the kind `{settings.trainer.kind}` keeps no single step: train the trial"
            f" again, up to that step: python -m sweep.train {shlex.quote(str(paths.config))}"
        )
    if not paths.offending.exists():
        raise ResultsError(f"{paths.offending} does not exist: no single step is to blame")

    from sweep.trial.checkpoints import Checkpoints

    done = replay(settings, divergence, Checkpoints(paths.folder).load_offending() or {})
    _show(divergence)
    console = make_console()
    console.print("As recorded, and again:")
    console.print(steps_table([done.recorded, done.again]))
    if done.is_exact:
        typer.echo("Reproduced: every value is the same, bit for bit.")
    elif done.is_alike:
        typer.echo("Reproduced in kind: the same part breaks, but the last bits differ.")
    else:
        raise SweepFailed("not reproduced: the step came out otherwise")


def _show(divergence: Divergence) -> None:
    from sweep.console.console_words import make_console
    from sweep.console.divergence_panel import diagnosis_panel

    make_console().print(diagnosis_panel(divergence))


def _line(metrics: EpochMetrics) -> str:
    dice = "none" if metrics.val_dice is None else f"{metrics.val_dice:.4f}"
    loss = "none" if metrics.train_loss is None else f"{metrics.train_loss:.4f}"
    terms = "  ".join(f"{name} {value:.4f}" for name, value in metrics.terms.items())
    skipped = (
        f"  {metrics.skipped_steps} steps skipped, weights finite" if metrics.skipped_steps else ""
    )
    return (
        f"epoch {metrics.epoch:4d}  val Dice {dice}  loss {loss}  ({terms}){_measured(metrics)}"
        f"  {metrics.seconds:.1f} s{skipped}"
    )


def _measured(metrics: EpochMetrics) -> str:
    """What this epoch measured beside Dice; the references' shapes are the same in every epoch."""
    return "".join(
        f"  {name} {value:.4g}"
        for name, value in metrics.metrics.items()
        if value is not None and not name.startswith("reference_")
    )


def main() -> None:
    run_alone(command)


if __name__ == "__main__":
    main()
