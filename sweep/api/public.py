"""The functions of `import sweep`: define, check, run, open, train, predict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.api.checked_spec import Overrides, as_overrides, load_checked
from sweep.api.python_words import for_python, in_python
from sweep.spec.load import Source, load_sweep
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings

if TYPE_CHECKING:
    from sweep.api.predict_images import Predictions
    from sweep.api.results import SweepResults, TrialResult
    from sweep.api.run_sweep import ExecutorName
    from sweep.trial.prediction.trained_model import Device


@for_python
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


@for_python
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
    return [*map(in_python, load_checked(spec, overrides)[1])]


@for_python
def run(
    spec: SweepSpec | Source,
    overrides: Overrides | None = None,
    *,
    results: str | Path = "results",
    executor: ExecutorName = "ray",
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
    live = not (verbose or is_local)
    view = TerminalView(live=live, table=False, words=in_python) if progress else View()
    machine = None if address is None else Machine.any()
    goes_on = resume or bool(extend)
    checked, warnings = load_checked(spec, overrides, machine, begins=lambda _: not goes_on)
    location = SweepLocation.of(checked.name, results_argument(results, "results"), address)
    shows, missing = wanted_dashboard(dashboard)
    view.warn(*warnings, *missing)
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
    return SweepResults(location.folder, location.uri)


@for_python
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

    return SweepResults.at(results_argument(folder, "folder"))


@for_python
def train(
    config: TrialSettings | Source,
    overrides: Overrides | None = None,
    *,
    name: str | None = None,
    results: str | Path = "results",
    track: str | Sequence[str] = (),
    all_cases: bool = False,
    progress: bool = True,
) -> TrialResult:
    """Train one configuration in this process, without Ray.

    Args:
        config: the settings of a trial (``results.best.config``), a YAML file, that of results at
            a URI, or a mapping.
        overrides: as of `load`.
        name: name of the results folder; None: ``train-CONFIG`` after the file, else ``train``.
        results: folder of all results folders.
        track: trackers, ``tensorboard``, ``mlflow`` or ``wandb``: one or several.
        all_cases: train on the validation cases too, until the epoch in which the results beside
            the file of ``config`` were best; for all epochs if there are none. Dice and metrics are
            then of training cases, and the weights are those of the last epoch.
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
    from sweep.api.results import TrialResult
    from sweep.api.train_one import train_alone
    from sweep.console.console_words import print_warnings
    from sweep.machine.user_paths import argument

    def warn(found: Iterable[str]) -> None:
        if progress:
            print_warnings(map(in_python, found))

    record, folder = train_alone(
        config,
        overrides,
        name=name,
        results=argument(results, "results"),
        track=track,
        all_cases=all_cases,
        warn=warn,
        lines=progress,
    )
    return TrialResult(record, folder)


@for_python
def predict(
    model: SweepResults | TrialResult | str | Path,
    images: str | Path,
    output: str | Path,
    *,
    labels: str | Path | None = None,
    single: bool = False,
    tta: bool | None = None,
    device: Device | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> Predictions:
    """Predict images with a trained model, and write a mask for each.

    A mask has the shape and the header of its image, and 8-bit integers: the label values of the
    training data. Images are read and normalised as those were.

    Args:
        model: results, their folder or URI, for the winner; a trial, its folder or URI; or a
            training of `train`. A trial with replicates predicts the mean of their probabilities.
        images: folder with files named as in nnU-Net (``CASE_0000.nii.gz`` for the first channel),
            or one file.
        output: folder for the masks, ``CASE.nii.gz``.
        labels: folder with references ``CASE.nii.gz``, to score the masks against.
        single: use only the best replicate on the sweep's own fold, not the mean of all.
        tta: average over flipped images; None: as in the validation of the training.
        device: ``auto``, ``cpu`` or ``cuda``, in place of ``trainer.device``.
        resume: keep the masks of an interrupted prediction, which must be of the same model.
        overwrite: replace the masks that are there.
        progress: show the progress.

    Returns:
        the files (``masks``), and with ``labels`` a pandas frame of ``scores``.

    Raises:
        InputError: with every mistake in names and headers of the images, before anything is
            predicted; or, after all other cases, in their pixels.
        ResultsError: there is no such model, it is not of our own trainer, or it has no weights.
        SweepFailed: a mask cannot be written.

    >>> import sweep
    >>> from pathlib import Path
    >>> from skimage import data, io
    >>> Path("new").mkdir()
    >>> io.imsave("new/coins_0000.png", data.coins())
    >>> done = sweep.predict("results/doctest", "new", "masks", progress=False)
    >>> io.imread(done.masks["coins"]).shape == data.coins().shape
    True
    """
    from sweep.api.predict_images import predict_images
    from sweep.api.results import SweepResults, TrialResult
    from sweep.console.prediction_view import PredictionLines, PredictionView
    from sweep.machine.user_identity import settle_user

    settle_user()
    view = PredictionLines() if progress else PredictionView()
    if not isinstance(model, SweepResults | TrialResult | str | Path):
        kind = type(model).__name__
        raise TypeError(f"`model` must be results, a trial, or the folder of one, but is a {kind}")
    return predict_images(
        model,
        images,
        output,
        view,
        names=("model", "images", "output", "labels"),
        labels=labels,
        single=single,
        tta=tta,
        device=device,
        resume=resume,
        overwrite=overwrite,
    )
