"""Train one configuration in this process. It writes the same files as a trial of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
from sweep.store.files import make_folder
from sweep.store.layout import Layout, TrialPaths
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
    results: str | Path,
    track: Sequence[str],
    all_cases: bool,
    warn: Warn,
    lines: bool = True,
) -> tuple[TrialRecord, Path]:
    """Load, check and train a configuration; returns its record and its folder.

    The arguments and what it raises are those of `sweep.train`.

    Args:
        warn: gets each warning, in the words of the commands.
        lines: print a line per epoch.
    """
    settle_user()
    settings, warnings = load_checked_trial(config, overrides)
    warn(warnings)
    file = Path(config) if isinstance(config, str | Path) else None
    whole = AllCases.of(file, settings, as_overrides(overrides)) if all_cases else None
    if name is None:
        plain = "train-all-cases" if all_cases else "train"
        name = default_name(file, all_cases=all_cases) if file else plain
    folder = Path(results).absolute() / folder_name(name)
    shown = [TrainingLines(settings.trainer.traits.dice)] if lines else []
    return train_one(settings, folder, warn, shown, chosen_trackers(track), whole), folder


def train_one(
    settings: TrialSettings,
    folder: Path,
    warn: Warn,
    observers: Sequence[Observer] = (),
    trackers: Sequence[TrackerName] = (),
    all_cases: AllCases | None = None,
) -> TrialRecord:
    """Train ``settings``. Each epoch and the end are recorded, then observed and tracked.

    Args:
        folder: the folder for its files, which must not exist.
        all_cases: train on training and validation cases; None: only on the training cases.

    Raises:
        ResultsError: the folder exists.
        SweepFailed: results cannot be written, or the trainer ended the process (`sys.exit`).
        Exception: any error of the trainer, after recording it.
    """
    if is_used(folder):
        raise ResultsError(f"{folder} already exists: choose another --name, or remove the folder")
    if all_cases is not None:
        stopping = settings.early_stopping.model_copy(update={"patience": None})
        settings = settings.model_copy(update={"early_stopping": stopping})
    make_folder(folder)
    paths = TrialPaths(folder)
    write_start(paths, {}, to_yaml(settings))
    tracked = Tracked(folder.name, Layout(folder), lambda _: paths, nested=False)
    with tracking(trackers, tracked, lambda text: warn([text])) as started:
        return _observed(settings, paths, warn, Observers([*observers, *started]), all_cases)


def _observed(
    settings: TrialSettings,
    paths: TrialPaths,
    warn: Warn,
    observers: Observer,
    all_cases: AllCases | None,
) -> TrialRecord:
    name, history = paths.folder.name, list[EpochMetrics]()

    def report(metrics: EpochMetrics) -> None:
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
    from sweep.data.prepared.outline_length import outline_warnings
    from sweep.data.prepared.shape_prior import shape_warnings
    from sweep.trial.checkpoints import Checkpoints
    from sweep.trial.fit import fit
    from sweep.trial.kinds.kind_table import make_ready

    data = make_ready(settings)
    if data is not None:
        warn(data.warnings)
        warn(outline_warnings(settings.loss, data, settings.data.patch))
        warn(shape_warnings(settings, data))
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


def default_name(config: Path, *, all_cases: bool = False) -> str:
    """A name after the file and, if a sweep wrote it, after the sweep.

    So the ``best.yaml`` of two sweeps, or the ``config.yaml`` of two trials, get different folders.

    Args:
        all_cases: whether it is trained on all cases, which gets a folder of its own too.
    """
    end = "-all-cases" if all_cases else ""
    plain, folder = f"train-{config.stem}", config.parent.resolve()
    name, sweep = plain, Layout(folder.parent.parent)
    if Layout(folder).sweep_yaml.exists():
        name = f"train-{folder.name}-{config.stem}"
    elif folder.parent == sweep.trials and sweep.sweep_yaml.exists():
        name = f"train-{sweep.folder.name}-{folder.name}"
    try:
        return check_name(name + end)
    except ValueError:  # the folder was renamed to an invalid name
        return plain + end


def folder_name(name: str) -> str:
    """``name`` itself; raises InputError if it is not a valid folder name."""
    try:
        return check_name(name)
    except ValueError as error:
        raise InputError.single(str(error), key="--name") from None


def chosen_trackers(names: Sequence[str]) -> tuple[TrackerName, ...]:
    """Trackers by name; raises InputError for unknown ones."""
    known, wrong = chosen(names)
    if wrong:
        raise InputError([Mistake(message, key="--track") for message in wrong])
    return known
