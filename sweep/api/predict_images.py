"""Predict images with what a sweep or a single training has trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.machine.user_paths import argument
from sweep.store.at_uri.local_results import local_results, place_within
from sweep.store.at_uri.remote_folder import is_uri
from sweep.store.files import read_json
from sweep.store.layout import TRIAL_ID, Layout, TrialPaths, is_replicate
from sweep.vocabulary.class_scores import ClassScore, DistanceUnit
from sweep.vocabulary.errors import InputError, Mistake, ResultsError, gathered

if TYPE_CHECKING:
    import pandas as pd

    from sweep.api.results import SweepResults, TrialResult
    from sweep.console.prediction_view import PredictionView
    from sweep.trial.prediction.predict_cases import Images
    from sweep.trial.prediction.trained_model import Device, TrainedModel


@dataclass(frozen=True, slots=True)
class Predictions:
    """The masks that `sweep.predict` wrote.

    Args:
        folder: their folder.
        runs: names of the runs that predicted, together.
        masks: case → file.
        class_scores: scores of each case and class, if there were references.
        unit: of their distances.
        kept: number of masks that were there before and are kept.
    """

    folder: Path
    runs: tuple[str, ...]
    masks: dict[str, Path]
    class_scores: tuple[ClassScore, ...] = ()
    unit: DistanceUnit = "pixels"
    kept: int = 0

    @property
    def scores(self) -> pd.DataFrame | None:
        """The rows of ``scores.csv``, one for each case and class; None without references."""
        import pandas as pd

        rows = [
            {
                "case": one.case,
                "class": one.label,
                **one.values,
                "n_reference": one.n_reference,
                "n_prediction": one.n_prediction,
            }
            for one in self.class_scores
        ]
        return pd.DataFrame(rows).convert_dtypes() if rows else None


def predict_images(
    model: SweepResults | TrialResult | str | Path,
    images: str | Path,
    output: str | Path,
    view: PredictionView,
    *,
    names: Sequence[str],
    labels: str | Path | None = None,
    single: bool = False,
    tta: bool | None = None,
    device: Device | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Predictions:
    """Predict images and write their masks; arguments and errors as for `sweep.predict`.

    Args:
        names: of the first three arguments and of ``labels``, for messages.
    """
    from sweep.trial.prediction.output_folder import begin
    from sweep.trial.prediction.predict_cases import Images
    from sweep.trial.prediction.trained_model import load_model

    there, masks = argument(images, names[1]), argument(output, names[2])
    references = None if labels is None else argument(labels, names[3])
    with _model_folder(model, names[0]) as folder:
        runs = runs_of_model(folder, single=single, warn=view.warn)
        trained = load_model(runs, tta=tta, device=device)
        if references is not None and references.is_file():
            message = "must be the folder of the references, but is a file"
            raise InputError.single(message, file=str(references))
        found = Images.of(trained, there, references)
        begin(masks, trained, found, resume=resume, overwrite=overwrite)
        view.warn(*found.doubts)
        return _written(trained, found, masks, view, resume=resume)


def _written(
    model: TrainedModel, found: Images, output: Path, view: PredictionView, *, resume: bool
) -> Predictions:
    """Predict the images that were found, and write masks and scores."""
    from sweep.store.case_table import write_cases
    from sweep.trial.prediction.output_folder import SCORES_FILE
    from sweep.trial.prediction.predict_cases import predict_cases

    masks: dict[str, Path] = {}
    scores: list[ClassScore] = []
    doubts: list[Mistake] = []
    kept = 0
    try:
        with view.predicting(len(found.masks)) as predicted:
            for one in predict_cases(model, found, output, resume=resume):
                masks[one.case] = one.mask
                scores += one.scores
                doubts += one.doubts
                predicted(one.case, one.seconds if one.is_new else None, one.scores)
                kept += not one.is_new
    finally:
        if scores:
            write_cases(output / SCORES_FILE, scores)
        view.warn(*map(str, gathered(doubts)))
    is_flat = any(grid.geometry.spacing is None for grid in found.grids.values())
    unit: DistanceUnit = "pixels" if is_flat else "mm"
    return Predictions(output, tuple(model.identity["runs"]), masks, tuple(scores), unit, kept)


@contextmanager
def _model_folder(model: SweepResults | TrialResult | str | Path, name: str) -> Iterator[Path]:
    """The folder of a model; of one at a URI a temporary copy, with its weights.

    Args:
        model: as of `sweep.predict`.
        name: of this argument, for messages.
    """
    from sweep.api.results import SweepResults, TrialResult

    if isinstance(model, SweepResults | TrialResult):
        (model.best if isinstance(model, SweepResults) else model).fetch_weights()
        yield model.folder
    elif isinstance(model, str) and is_uri(model):
        root, rest = place_within(model)
        with local_results(root) as copy:
            results, trial = SweepResults(copy, root), Path(rest).name
            if not rest or trial in results:
                (results[trial] if rest else results.best).fetch_weights()
            yield copy / rest
    else:
        yield argument(model, name)


def runs_of_model(
    folder: Path, *, single: bool = False, warn: Callable[[str], object] = lambda _: None
) -> list[TrialPaths]:
    """The runs that predict together for the model in a folder.

    A trial with replicates is predicted by all of them; the run of the search, which was chosen
    for its luck too, is then left out. Without a confirmation the replicates of the search predict,
    each trained on other folds, and the trial with them.

    Args:
        folder: of results, for their winner; of a trial; or of `sweep.train`.
        single: only the first of them (`sweep.analysis.ranking.finalists.runs_of`).
        warn: called for replicates whose weights were not kept.

    Raises:
        ResultsError: it is none of these, or no weights were kept.
    """
    runs = [TrialPaths(run) for run in _run_folders(folder)]
    chosen = representing_runs(runs) if is_trial(runs[0].folder) else runs[:1]
    kept = [run for run in chosen if run.best_checkpoint.exists()]
    if not kept:
        raise ResultsError(f"no weights of {chosen[0].folder} were kept")
    for run in chosen:
        if run not in kept:
            warn(f"{run.folder.name} is left out: its weights were not kept")
    return kept[:1] if single else kept


def representing_runs(runs: Sequence[TrialPaths]) -> list[TrialPaths]:
    """As `sweep.vocabulary.record.representing`, of the folders of runs of one trial."""
    replicates = [run for run in runs if is_replicate(run.folder.name)]
    confirming = [run for run in replicates if not read_json(run.trial, dict).get("in_search")]
    return confirming or list(runs)


def is_trial(folder: Path) -> bool:
    """Whether a folder is that of a trial of a sweep."""
    above = folder.absolute().parent
    is_named = above.name == "trials" and TRIAL_ID.fullmatch(folder.absolute().name) is not None
    return is_named and Layout(above.parent).sweep_yaml.is_file()


def _run_folders(folder: Path) -> Sequence[Path]:
    """Folders of the runs of a model, the best first."""
    from sweep.api.results import SweepResults

    if folder.is_file():
        raise ResultsError(
            f"{folder} is a file: name the folder of a sweep's results, of a trial, or of a"
            " training of sweep.train"
        )
    if is_trial(folder):
        results, name = SweepResults(folder.absolute().parent.parent), folder.absolute().name
        if name not in results:
            raise ResultsError(f"{folder} is no trial of {results.folder}, or was never started")
        trial = results[name]
        return [*dict.fromkeys((*trial.runs, trial.folder))]
    if TrialPaths(folder).config.is_file():
        return [folder]
    best = SweepResults(folder).best  # raises for what is no results folder
    return [*dict.fromkeys((*best.runs, best.folder))]
