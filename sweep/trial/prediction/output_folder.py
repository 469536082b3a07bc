"""The folder that masks are written to: what may be in it already, and by which model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweep.data.files.image_file import FILE_ENDINGS
from sweep.data.nnunet_raw.splits import enumerated
from sweep.store.case_table import read_cases
from sweep.store.files import read_json, write_json, writing
from sweep.trial.prediction.predict_cases import Images
from sweep.trial.prediction.trained_model import TrainedModel
from sweep.vocabulary.errors import InputError, Mistake, ResultsError

PREDICTION_FILE = "prediction.json"
"""What predicted the masks of a folder: runs, digests of their weights, augmentation."""
SCORES_FILE = "scores.csv"


def begin(
    output: Path, model: TrainedModel, images: Images, *, resume: bool, overwrite: bool
) -> None:
    """Make the folder and record what predicts.

    Masks of another model, which are to be replaced, are deleted before: if this prediction is
    interrupted, a later one that keeps masks would take them for its own.

    One prediction.json and one scores.csv speak for all masks of a folder. So masks of other cases
    may lie beside the new ones only if the same model predicted them.

    Raises:
        InputError: it has masks already and neither ``resume`` nor ``overwrite`` is set, or those
            to keep are of another model, or it has masks of other cases by another model or scores
            of other cases, or it is where images or references lie, or has the name of a file.
        SweepFailed: it cannot be written.
    """
    if mistakes := list(_mistakes(output, model, images, resume=resume, overwrite=overwrite)):
        raise InputError(mistakes)
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
        if overwrite and _recorded(output) != model.identity:
            for name in images.masks.values():
                (output / name).unlink(missing_ok=True)
        if not resume:  # else its rows are of these cases, and written again with references
            (output / SCORES_FILE).unlink(missing_ok=True)
    write_json(output / PREDICTION_FILE, model.identity)


def _mistakes(
    output: Path, model: TrainedModel, images: Images, *, resume: bool, overwrite: bool
) -> Iterator[Mistake]:
    if resume and overwrite:
        yield Mistake("masks are either kept or replaced: leave out one", key="resume, overwrite")
        return
    wrong = _no_place(output, images) or _others(output, model, images, replaced=overwrite)
    if wrong is not None:
        yield wrong
        return
    there = [case for case, name in images.masks.items() if (output / name).exists()]
    if not there or overwrite:
        return
    if not resume:
        yield Mistake(
            f"holds masks of {len(there)} of {len(images.masks)} cases already"
            f" ({enumerated(there, most=3)}): keep them (`--resume`) or replace them"
            " (`--overwrite`)",
            file=str(output),
        )
    elif _recorded(output) != model.identity:
        yield Mistake(
            "does not say that this model with these options predicted the masks that are there:"
            " replace them (`--overwrite`), or write to another folder",
            file=str(output / PREDICTION_FILE),
        )


def _no_place(output: Path, images: Images) -> Mistake | None:
    """Why masks cannot go there: it is a file, is named as one, or holds images or references."""
    place, dataset = str(output), images.dataset
    if output.exists() and not output.is_dir():
        return Mistake("is a file, not a folder for the masks", file=place)
    ending = next((one for one in FILE_ENDINGS if place.lower().endswith(one)), None)
    if ending is not None and not output.exists():
        message = (
            f"names a file, but masks go to a folder, one `CASE{dataset.file_ending}` for each"
            f" case: leave out the `{ending}`"
        )
        return Mistake(message, file=place)
    taken = {"images": dataset.folder / dataset.images_folder}
    if images.is_labelled:
        taken["references"] = dataset.folder / dataset.labels_folder
    for what, folder in taken.items():
        if output.resolve() == folder.resolve():
            message = f"holds the {what}: write the masks to another folder"
            return Mistake(message, file=place)
    return None


def _others(output: Path, model: TrainedModel, images: Images, *, replaced: bool) -> Mistake | None:
    """Masks or scores of other cases that these masks must not be mixed with."""
    own, ending = set(images.masks.values()), images.dataset.file_ending
    recorded = _recorded(output)
    if recorded is not None and recorded != model.identity:
        others = sorted(
            path.name.removesuffix(ending)
            for path in output.iterdir()
            if path.name.endswith(ending) and path.name not in own
        )
        if others:
            return Mistake(
                f"holds masks of other cases ({enumerated(others, most=3)}) that another model, or"
                " this one with other options, predicted: write to another folder",
                file=str(output),
            )
    scored = sorted(_scored(output) - images.masks.keys())
    if scored and not replaced:
        return Mistake(
            f"holds scores of other cases ({enumerated(scored, most=3)}): write to another folder,"
            " or replace the scores (`--overwrite`)",
            file=str(output / SCORES_FILE),
        )
    return None


def _scored(output: Path) -> set[str]:
    """Names of the cases of an earlier scores.csv; ``"?"`` if it cannot be read."""
    try:
        return {one.case for one in read_cases(output / SCORES_FILE)}
    except ResultsError:
        return {"?"}


def _recorded(output: Path) -> Mapping[str, Any] | None:
    """What predicted the masks that are there; None if that is not known."""
    try:
        return read_json(output / PREDICTION_FILE, dict)
    except ResultsError:
        return None
