"""Train one configuration in this process. It writes the same files as a trial of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from sweep.api.all_cases import AllCases
from sweep.api.checked_spec import Overrides, as_overrides, load_checked_trial
from sweep.console.plain_view import TrainingLines
from sweep.engine.decisions.observers import Observers
from sweep.machine.user_identity import settle_user
from sweep.spec.load import Source, to_yaml
from sweep.spec.search.sweep_spec import check_name
from sweep.spec.search.tracker_names import TrackerName, chosen
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.at_uri.local_results import local_place
from sweep.store.at_uri.remote_folder import is_uri
from sweep.store.files import make_folder
from sweep.store.layout import Layout, TrialPaths
from sweep.store.lock import training
from sweep.store.store import is_used
from sweep.store.trial_files import discard, write_end, write_epoch, write_start
from sweep.tracking.make_trackers import Tracked, tracking
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.error_lines import last_line
from sweep.vocabulary.errors import InputError, Mistake, ResultsError, SweepFailed
from sweep.vocabulary.record import Observer, Outcome, Status, TrialRecord

Warn = Callable[[Iterable[str]], None]
"""Shows warnings, each one sentence."""


def train_alone(
    config: TrialSettings | Source,
    overrides: Overrides | None,
    *,
    name: str | None,
    results: Path,
    track: str | Sequence[str],
    all_cases: bool,
    warn: Warn,
    lines: bool = True,
) -> tuple[TrialRecord, Path]:
    """Load, check and train a configuration; returns its record and its folder.

    Each epoch and the end are recorded, then observed and tracked. The arguments are those of
    `sweep.train`.

    Args:
        warn: gets each warning, in the words of the commands.
        lines: print a line per epoch.

    Raises:
        InputError: with every mistake.
        ResultsError: the folder exists.
        SweepFailed: results cannot be written, another process trains in the folder, or the trainer
            ended the process (`sys.exit`).
        Exception: any error of the trainer, after recording it.
    """
    settle_user()
    is_away = isinstance(config, str) and is_uri(config)
    with local_place(str(config)) if is_away else nullcontext(config) as source:
        settings, warnings = load_checked_trial(source, overrides)
        warn(warnings)
        file = Path(source) if isinstance(source, str | Path) else None
        whole = AllCases.of(file, settings, as_overrides(overrides)) if all_cases else None
        if name is None:
            name = _default_name(file, all_cases=all_cases)
    folder = results.absolute() / _checked_name(name)
    trackers = _chosen_trackers(track)
    if is_used(folder):
        raise ResultsError(f"{folder} already exists: choose another --name, or remove the folder")
    if whole is not None:
        stopping = settings.early_stopping.model_copy(update={"patience": None})
        settings = settings.model_copy(update={"early_stopping": stopping})
    make_folder(folder)
    paths = TrialPaths(folder)
    tracked = Tracked(folder.name, Layout(folder), lambda _: paths, nested=False)
    shown = [TrainingLines(settings.trainer.traits.dice)] if lines else []
    with training(paths, wait=0):  # the tasks of a Slurm array may ask for one name at once
        write_start(paths, {}, to_yaml(settings))
        with tracking(trackers, tracked, lambda text: warn([text])) as started:
            return _observed(settings, paths, warn, Observers([*shown, *started]), whole), folder


def _observed(
    settings: TrialSettings,
    paths: TrialPaths,
    warn: Warn,
    observers: Observer,
    all_cases: AllCases | None,
) -> TrialRecord:
    from sweep.trial.machine_use import MachineUse

    name, history = paths.folder.name, list[EpochMetrics]()

    def report(metrics: EpochMetrics) -> None:
        metrics = replace(metrics, machine=use.read())
        write_epoch(paths, metrics)
        history.append(metrics)
        observers.epoch_reported(name, metrics)

    def end(outcome: Outcome) -> TrialRecord:
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
        observers.trial_ended(record)
        return record

    observers.trial_started(name, {})
    try:
        with MachineUse() as use:
            outcome = _fit(settings, paths, warn, report, all_cases)
    except KeyboardInterrupt:  # Ctrl-C is not an error of the trial
        raise
    except BaseException as error:
        end(Outcome.failed(error))
        if isinstance(error, Exception):
            raise
        # `sys.exit` in a user's own trainer would also end this process, without a message.
        raise SweepFailed(f"the trial failed: {last_line(error)}; see {paths.error}") from error
    return end(outcome)


def _fit(
    settings: TrialSettings,
    paths: TrialPaths,
    warn: Warn,
    report: Callable[[EpochMetrics], None],
    all_cases: AllCases | None,
) -> Outcome:
    from sweep.trial.checkpoints import Checkpoints
    from sweep.trial.fit import fit
    from sweep.trial.kinds.kind_table import kind_of, make_ready

    data = make_ready(settings)
    if data is not None:
        warn(kind_of(settings).doubts(settings, data))
    train = partial(
        fit,
        settings,
        report=report,
        checkpoint=Checkpoints(paths.folder),
        provenance=paths.provenance,
    )
    if all_cases is None:
        return train(data=data)
    assert data is not None, "all cases are those of `data`"
    data = data.on_all_cases()
    cases = len(data.training.cases)
    warn(all_cases.warnings(settings, cases))
    outcome = train(data=data, exactly=all_cases.epochs)
    if outcome.status is not Status.COMPLETED:
        return outcome
    return replace(outcome, cause=all_cases.cause(settings, cases))


def _default_name(file: Path | None, *, all_cases: bool) -> str:
    """A name after the file and, if a sweep wrote it, after the sweep.

    So the ``best.yaml`` of two sweeps, or the ``config.yaml`` of two trials, get different folders.

    Args:
        all_cases: whether it is trained on all cases, which gets a folder of its own too.
    """
    end = "-all-cases" if all_cases else ""
    if file is None:
        return f"train{end}"
    plain, folder = f"train-{file.stem}", file.parent.resolve()
    name, sweep = plain, Layout(folder.parent.parent)
    if Layout(folder).sweep_yaml.exists():
        name = f"train-{folder.name}-{file.stem}"
    elif folder.parent == sweep.trials and sweep.sweep_yaml.exists():
        name = f"train-{sweep.folder.name}-{folder.name}"
    try:
        return check_name(name + end)
    except ValueError:  # the folder was renamed to an invalid name
        return plain + end


def _checked_name(name: str) -> str:
    """``name`` itself; raises InputError if it is not a valid folder name."""
    try:
        return check_name(name)
    except ValueError as error:
        raise InputError.single(str(error), key="--name") from None


def _chosen_trackers(names: str | Sequence[str]) -> tuple[TrackerName, ...]:
    """Trackers by name; raises InputError for unknown ones."""
    known, wrong = chosen([names] if isinstance(names, str) else names)
    if wrong:
        raise InputError([Mistake(message, key="--track") for message in wrong])
    return known
