"""``python -m sweep.train CONFIG.yaml``: train one configuration, without Ray.

``--replay DIVERGENCE`` repeats the step at which a trial diverged instead, and with ``--set`` tries
a cure on it.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.command_line.command_options import Overrides, Results
from sweep.command_line.exit_codes import exit_codes, run_alone

if TYPE_CHECKING:
    from sweep.spec.settings.trial_settings import TrialSettings
    from sweep.store.layout import TrialPaths
    from sweep.trainer.runs.reproduce import ReproducedStep
    from sweep.vocabulary.record import Outcome

OF_A_STEP = ("loss.", "trainer.amp")
"""How the names of settings begin that a single step depends on, given the weights before it."""
OF_ITS_PLACE = ("trainer.device", "trainer.threads", "trainer.deterministic")
"""Settings that say where a step is taken again."""
RESULTS = Path("results")
UNREAD = "has no effect with --replay, which trains nothing: leave it out"


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
    results: Results = RESULTS,
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
            help="Repeat the step of a divergence.json, or of a trial's folder, or its URI; with"
            " --set, try a cure on it.",
        ),
    ] = None,
) -> None:
    """Train one configuration and report each epoch."""
    with exit_codes(continues=True):
        from sweep.machine.user_paths import argument, results_argument
        from sweep.vocabulary.errors import InputError, Mistake

        if again is not None:
            others = {"--name": name, "--track": track, "--all-cases": on_all_cases}
            unread = {"CONFIG.yaml": config, "--results": results != RESULTS} | others
            if mistakes := [Mistake(UNREAD, key=key) for key, given in unread.items() if given]:
                raise InputError(mistakes)
            from sweep.store.at_uri.local_results import local_place

            place = results_argument(again, "--replay")
            with local_place(place, partial(_is_replayed, place)) as path:
                _replay(path, place, overrides or [])
            return
        from sweep.api.train_one import train_alone
        from sweep.console.console_words import print_warnings

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
        known = outcome.divergence.diagnosis if outcome.divergence is not None else None
        if known is not None and paths.offending.exists():
            typer.echo(f"Repeat that step with: {known.command(str(folder), cure=False)}")
            if known.change:
                typer.echo(f"Try the cure on it with: {known.command(str(folder))}")
        raise SweepFailed(f"the trial diverged; see {paths.divergence}")


def _is_replayed(place: str, name: str) -> bool:
    """Whether the file of this name is needed of the trial at a URI."""
    from sweep.store.at_uri.local_results import place_within
    from sweep.store.layout import TrialPaths

    needed = TrialPaths.config, TrialPaths.divergence, TrialPaths.offending
    trial = place_within(place)[1].removesuffix(f"/{TrialPaths.divergence.name}")
    return name in {f"{trial}/{file.name}" for file in needed}


def _replay(path: Path, place: str, overrides: Sequence[str]) -> None:
    """Take the diverging step of a trial again, and print what came of it.

    Args:
        path: of the trial's folder, or of its ``divergence.json``.
        place: how the user names that.
        overrides: a cure to try on it.
    Raises:
        ResultsError: there is nothing to replay.
        InputError: an override is wrong, or a step does not depend on it.
        SweepFailed: the step came out otherwise, or breaks with the cure too.
    """
    from sweep.console.console_words import make_console
    from sweep.console.divergence_panel import diagnosis_panel, steps_table
    from sweep.spec.load import load_trial
    from sweep.store.files import read_record
    from sweep.trainer.runs.reproduce import unscaled
    from sweep.trial.checkpoints import Checkpoints
    from sweep.trial.kinds.kind_table import kind_of
    from sweep.vocabulary.errors import ResultsError
    from sweep.vocabulary.record import Divergence

    paths = _diverged_trial(path)
    divergence = read_record(paths.divergence, Divergence)
    trained = load_trial(paths.config)
    folder = place.removesuffix(paths.divergence.name).rstrip("/") or "."
    again = shlex.join(["python", "-m", "sweep.train", f"{folder}/{paths.config.name}"])
    replay = kind_of(trained).replay
    if replay is None:
        raise ResultsError(
            f"a trainer of the kind `{trained.trainer.kind}` does not keep single steps: train"
            f" the trial again, up to that step: {again}"
        )
    if not paths.offending.exists():
        raise ResultsError(
            f"{paths.offending} does not exist: no single step caused the divergence"
        )
    again += "".join(f" --set {shlex.quote(item)}" for item in overrides)
    settings = load_trial(paths.config, overrides)
    cure = _cure(trained, settings, again)
    offending = Checkpoints(paths.folder).load_offending() or {}
    at_one = unscaled(offending)
    done = replay(settings, divergence, at_one if cure else offending)
    console = make_console()
    console.print(diagnosis_panel(divergence))
    again_as = f"with {cure}" if cure else "repeated"
    console.print(f"As recorded, and {again_as}:", markup=False, soft_wrap=True)
    console.print(steps_table([done.recorded, done.again]))
    if not cure:
        _say_repeated(done)
        return
    epoch = done.again.epoch
    is_off = trained.loss.ramp.factor(epoch) > 0 and settings.loss.ramp.factor(epoch) == 0
    is_scaled = settings.trainer.amp == "fp16"
    fits = is_scaled and replay(trained, divergence, at_one).is_finite
    _say_tried(done, is_off=is_off, fits_unscaled=fits)
    typer.echo(f"Whether the training stays finite, only training shows: {again}")


def _diverged_trial(path: Path) -> TrialPaths:
    """The files of a trial that diverged, given its folder or its ``divergence.json``."""
    from sweep.store.layout import TrialPaths
    from sweep.vocabulary.errors import ResultsError

    paths = TrialPaths(path.parent if path.name == TrialPaths.divergence.name else path)
    if not paths.config.exists():
        raise ResultsError(
            f"{paths.folder} is not the folder of a trial, such as results/quickstart/trials/t0001"
        )
    if not paths.divergence.exists():
        raise ResultsError(f"{paths.folder} has not diverged, so there is no step to repeat")
    return paths


def _cure(trained: TrialSettings, settings: TrialSettings, again: str) -> str:
    """What differs from the settings of the trial, in words; empty if the step is only repeated.

    Args:
        again: the command that trains with these settings.
    Raises:
        InputError: a step does not depend on it.
    """
    from sweep.spec.session_changes import values_of
    from sweep.vocabulary.errors import InputError, Mistake

    before, now = values_of(trained), values_of(settings)
    changed = {
        key: value for key, value in now.items() if key not in before or before[key] != value
    }
    message = (
        "cannot be tried on the step: its batch, weights and optimizer are those that were kept. A"
        " step can be tried with other settings of `loss` and another `trainer.amp`; for the rest,"
        f" train again: {again}"
    )
    mistakes = [
        Mistake(message, key=key)
        for key in changed
        if not key.startswith(OF_A_STEP) and key not in OF_ITS_PLACE
    ]
    if mistakes:
        raise InputError(mistakes)
    return ", ".join(f"{key}={value}" for key, value in changed.items() if key not in OF_ITS_PLACE)


def _say_repeated(done: ReproducedStep) -> None:
    from sweep.vocabulary.errors import SweepFailed

    if done.is_exact:
        typer.echo("Reproduced: every value is the same, bit for bit.")
    elif done.is_alike:
        typer.echo("Reproduced in kind: the same part breaks, but the last bits differ.")
    else:
        raise SweepFailed("not reproduced: the repeated step differs")


def _say_tried(done: ReproducedStep, *, is_off: bool, fits_unscaled: bool) -> None:
    """Print whether a cure helps in the step.

    Args:
        is_off: whether it switches the geometric loss off there.
        fits_unscaled: whether the step is finite in float16 without the cure, at a scale of 1.
    Raises:
        SweepFailed: it does not.
    """
    from sweep.vocabulary.errors import SweepFailed

    if not done.is_finite:
        raise SweepFailed("no cure: the step breaks with it too")
    if done.was_finite:
        typer.echo("Both steps are finite: compare their losses and gradients.")
    elif fits_unscaled:
        typer.echo("The step is finite without it too: only the scale of float16 broke it.")
    elif is_off:
        typer.echo("The step is finite because the geometric loss is off in it now.")
    else:
        typer.echo("Cured in this step: with it, loss, gradient and weights are finite.")


if __name__ == "__main__":
    run_alone(command)
