"""The folder that masks are written to: what may be in it already, and by which model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweep.data.nnunet_raw.splits import enumerated
from sweep.store.files import atomic_write_text, read_json, to_json, writing
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

    Raises:
        InputError: it has masks already and neither ``resume`` nor ``overwrite`` is set, or those
            to keep are of another model, or it is where images or references lie.
        SweepFailed: it cannot be written.
    """
    if mistakes := list(_mistakes(output, model, images, resume=resume, overwrite=overwrite)):
        raise InputError(mistakes)
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
        if overwrite and _recorded(output) != model.identity:
            for name in images.masks.values():
                (output / name).unlink(missing_ok=True)
    atomic_write_text(output / PREDICTION_FILE, to_json(model.identity, indent=2) + "\n")


def _mistakes(
    output: Path, model: TrainedModel, images: Images, *, resume: bool, overwrite: bool
) -> Iterator[Mistake]:
    if resume and overwrite:
        yield Mistake("masks are either kept or replaced: leave out one", key="resume, overwrite")
        return
    if output.exists() and not output.is_dir():
        yield Mistake("is a file, not a folder for the masks", file=str(output))
        return
    dataset = images.dataset
    taken = {"images": dataset.folder / dataset.images_folder}
    if images.is_labelled:
        taken["references"] = dataset.folder / dataset.labels_folder
    for what, folder in taken.items():
        if output.resolve() == folder.resolve():
            message = f"holds the {what}: write the masks to another folder"
            yield Mistake(message, file=str(output))
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


def _recorded(output: Path) -> Mapping[str, Any] | None:
    """What predicted the masks that are there; None if that is not known."""
    try:
        return read_json(output / PREDICTION_FILE, dict)
    except ResultsError:
        return None
