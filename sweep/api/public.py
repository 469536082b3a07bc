"""The functions of `import sweep`: define, check, run, open, train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import finalize

from sweep.api.checked_spec import Overrides, as_overrides, load_checked
from sweep.spec.load import Source, load_sweep
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings

if TYPE_CHECKING:
    from sweep.api.results import SweepResults, TrialResult
    from sweep.api.run_sweep import Executor
    from sweep.api.train_one import Warn


def load(source: Source, overrides: Overrides | None = None) -> SweepSpec:
    """The validated settings of a sweep.

    Args:
        source: a YAML file, or a mapping of what one would hold.
        overrides: dotted names with their values, in place of what ``source`` has.

    Raises:
        InputError: with every mistake, its file, line and key.

    >>> import sweep
    >>> spec = sweep.load(
    ...     {
    ...         "name": "doctest",
    ...         "trials": 2,
    ...         "data": {"source": "shapes", "count": 12, "size": 32},
    ...         "network": {"name": "unet", "channels": [4, 8, 16]},
    ...         "space": {"loss.weights.boundary": {"loguniform": [0.001, 1.0]}},
    ...     },
    ...     {"trainer.epochs": 3, "loss.warmup_epochs": 1},
    ... )
    >>> spec.trials, spec.trainer.epochs
    (2, 3)
    """
    return load_sweep(source, as_overrides(overrides))


def check(spec: SweepSpec | Source, overrides: Overrides | None = None) -> list[str]:
    """Check a sweep together with its data and this machine. Nothing is trained.

    Args:
        spec: from `load`, or what `load` takes.
        overrides: as of `load`.

    Returns:
        warnings: settings that are valid but probably not intended.

    Raises:
        InputError: with every mistake.

    >>> import sweep
    >>> sweep.check(sweep.load({"name": "typo", "spaec": {}}))
    Traceback (most recent call last):
    ...
    sweep.vocabulary.errors.InputError: ...did you mean `space`?...
    """
    return load_checked(spec, overrides)[1]


def run(
    spec: SweepSpec | Source,
    overrides: Overrides | None = None,
    *,
    results: str | Path = "results",
    executor: Executor = "ray",
    resume: bool = False,
    extend: Mapping[str, Any] | None = None,
    address: str | None = None,
    dashboard: bool | None = None,
    progress: bool = True,
    verbose: bool = False,
) -> SweepResults:
    """Run a sweep: train its trials, stop the diverging ones, rank the rest.

    Ctrl-C stops it as it stops the command: all reported epochs are saved, and the function returns
    the results so far. ``resume=True`` or the command ``sweep.run --resume`` resumes the sweep.

    Args:
        spec: from `load`, or what `load` takes.
        overrides: as of `load`.
        results: folder or URI of all results folders.
        executor: ``ray``, or ``local`` for one trial after the other in this process.
        resume: resume an interrupted sweep.
        extend: resume with more: ``{"trials": "+20"}``.
        address: of a Ray cluster: ``auto``, or HOST:PORT.
        dashboard: start Ray's dashboard; None: if the extra ``dashboard`` is installed.
        progress: show the progress, in a terminal or a notebook.
        verbose: show the messages of Ray and other libraries.

    Returns:
        the results, even if no trial has one.

    Raises:
        InputError: with every mistake of the settings or the data.
        ResultsError: the results folder already exists, or it does not exist and ``resume`` is set.
        SweepFailed: the sweep failed. All reported epochs are saved.

    >>> import sweep
    >>> spec = sweep.load("doctest.yaml")
    >>> results = sweep.run(spec, executor="local", progress=False)
    >>> results
    <SweepResults 'doctest': 2 trials, finished, ...>
    """
    from sweep.api.results import SweepResults
    from sweep.api.run_sweep import Session, run_sweep
    from sweep.console.sweep_view import TerminalView, View
    from sweep.engine.on_ray.ray_cluster import wanted_dashboard
    from sweep.engine.session.ending import Ending
    from sweep.engine.session.sweep_location import SweepLocation
    from sweep.machine.hardware import Machine
    from sweep.machine.user_identity import settle_user
    from sweep.machine.user_paths import results_argument

    settle_user()
    is_local = executor == "local"
    view = TerminalView(live=not (verbose or is_local), table=False) if progress else View()
    begins = not (resume or extend)
    machine = None if address is None else Machine.any()
    checked, warnings = load_checked(spec, overrides, machine, begins=begins)
    location = SweepLocation.of(checked.name, results_argument(str(results), "results"), address)
    shows, missing = wanted_dashboard(dashboard)
    view.warn([*warnings, *missing])
    session = Session(
        location=location,
        resume_with="sweep.run(…, resume=True)",
        resume=resume,
        extend=[f"{key}={value}" for key, value in (extend or {}).items()],
        executor=executor,
        dashboard=shows,
        verbose=verbose,
    )
    ending, _ = run_sweep(checked, session, view)
    if ending is not Ending.FINISHED:
        view.say(f"Stopped: {ending.value}. All reported epochs are saved. Resume with:")
        view.say(f"  {session.resume_with}")
    return SweepResults(location.folder)


def open(folder: str | Path) -> SweepResults:  # noqa: A001 - as `sweep.open`
    """The results of a sweep, finished, interrupted or running.

    Args:
        folder: its results folder or URI.

    Raises:
        ResultsError: it is not a results folder, or a file in it is broken.

    >>> import sweep
    >>> sweep.open("results/doctest").best.status.has_result
    True
    """
    from sweep.api.results import SweepResults
    from sweep.machine.user_paths import results_argument
    from sweep.store.at_uri.mirrored_results import local_results

    stack = ExitStack()  # keeps the local copy of a URI
    results = SweepResults(stack.enter_context(local_results(results_argument(str(folder)))))
    finalize(results, stack.close)
    return results


def train(
    config: TrialSettings | Source,
    overrides: Overrides | None = None,
    *,
    name: str | None = None,
    results: str | Path = "results",
    track: Sequence[str] = (),
    progress: bool = True,
) -> TrialResult:
    """Train one configuration in this process, without Ray.

    Args:
        config: the settings of a trial (``results.best.config``), a YAML file, or a mapping.
        overrides: as of `load`.
        name: name of the results folder; None: ``train-CONFIG`` after the file, else ``train``.
        results: folder of all results folders.
        track: trackers, ``tensorboard`` or ``mlflow``.
        progress: print a line per epoch.

    Returns:
        the training. If it diverged, ``divergence`` says why.

    Raises:
        InputError: with every mistake.
        ResultsError: the folder exists already.

    >>> import sweep
    >>> best = sweep.open("results/doctest").best
    >>> again = sweep.train(best.config, name="again", progress=False)
    >>> again.value == best.value
    True
    """
    from sweep.api.checked_spec import load_checked_trial
    from sweep.api.results import TrialResult
    from sweep.api.train_one import chosen_trackers, default_name, folder_name, train_one
    from sweep.console.console_words import print_warnings
    from sweep.console.plain_view import TrainingLines
    from sweep.machine.user_identity import settle_user

    settle_user()
    settings, warnings = load_checked_trial(config, overrides)
    warn: Warn = print_warnings if progress else lambda _: None
    warn(warnings)
    if name is None:
        name = default_name(Path(config)) if isinstance(config, str | Path) else "train"
    folder = Path(results).absolute() / folder_name(name)
    lines = [TrainingLines(settings.trainer.traits.dice)] if progress else []
    record = train_one(settings, folder, warn, lines, chosen_trackers(track))
    return TrialResult(record, folder)
