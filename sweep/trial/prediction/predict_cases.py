"""Predict images case by case, write their masks, and score them where there are references."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sweep.data.files.image_file import has_bands, write_mask
from sweep.data.nnunet_raw.case_grid import CaseGrid, look_at
from sweep.data.nnunet_raw.images_to_predict import open_images
from sweep.data.nnunet_raw.pixels import load_case, load_image
from sweep.data.nnunet_raw.raw_dataset import RawDataset
from sweep.data.prepared.case_arrays import (
    as_stored,
    constant_channels,
    prepared_case,
    written_mask,
)
from sweep.data.prepared.samples import CaseArrays
from sweep.trial.prediction.prediction_scores import score
from sweep.trial.prediction.trained_model import TrainedModel
from sweep.vocabulary.class_scores import ClassScore
from sweep.vocabulary.errors import InputError, Mistake, gathered, gathering


@dataclass(frozen=True, slots=True)
class PredictedCase:
    """A case whose mask is written.

    Args:
        case: its identifier.
        mask: the file.
        seconds: that it took to read, predict, write and score it.
        is_new: whether it was predicted now, not in an earlier session.
        scores: one for each foreground class, if there is a reference.
        doubts: about its pixels, where they were read.
    """

    case: str
    mask: Path
    seconds: float
    is_new: bool
    scores: tuple[ClassScore, ...] = ()
    doubts: tuple[Mistake, ...] = ()


@dataclass(frozen=True)
class Images:
    """Images to predict, whose names and headers are in order.

    Args:
        dataset: their files.
        grids: of each case.
        doubts: what is probably not intended, each one sentence.
        is_labelled: whether there are references.
    """

    dataset: RawDataset
    grids: Mapping[str, CaseGrid]
    doubts: tuple[str, ...]
    is_labelled: bool

    @classmethod
    def of(cls, model: TrainedModel, source: Path, labels_in: Path | None) -> Images:
        """Look at the names and headers of all images.

        Args:
            source: folder of the images, or one file.
            labels_in: folder of the references.

        Raises:
            InputError: with every mistake.
        """
        facts, is_labelled = model.facts, labels_in is not None
        dataset = open_images(
            source,
            channels=facts.channels,
            labelled=facts,
            file_ending=facts.file_ending,
            labels_in=labels_in,
        )
        grids: dict[str, CaseGrid] = {}
        mistakes: list[Mistake] = []
        for case in dataset.cases:
            with gathering(mistakes):
                grids[case] = look_at(dataset, case, labelled=is_labelled)
        mistakes += _other_cases(model, dataset, grids)
        if mistakes:
            raise InputError(mistakes)
        doubts = gathered(doubt for grid in grids.values() for doubt in grid.doubts)
        return cls(dataset, grids, tuple(map(str, doubts)), is_labelled)

    @cached_property
    def masks(self) -> dict[str, str]:
        """Name of the mask of each case."""
        return {case: f"{case}{self.dataset.file_ending}" for case in self.dataset.cases}


def predict_cases(
    model: TrainedModel, images: Images, output: Path, *, resume: bool
) -> Iterator[PredictedCase]:
    """Predict each case and write its mask, with one case at a time in memory.

    A mask is written as a whole or not at all. A case whose pixels cannot be used is left out; the
    others are predicted, and its mistakes are raised at the end.

    Args:
        output: an existing folder.
        resume: keep the masks that are there.

    Raises:
        InputError: with every mistake in the pixels.
        SweepFailed: a mask cannot be written.
    """
    axis, mistakes = model.facts.slice_axis, list[Mistake]()
    for case, name in images.masks.items():
        start, mask = time.perf_counter(), output / name
        doubts: list[Mistake] = []
        with gathering(mistakes):
            if is_new := not (resume and mask.exists()):
                arrays = _arrays(model, images, case, doubts)
                classes = model.inference.classes(arrays)
                stored = as_stored(classes, images.grids[case], axis)
                write_mask(mask, stored, images.dataset.image_paths(case)[0])
            scores: tuple[ClassScore, ...] = ()
            if images.is_labelled:
                if not is_new:  # an earlier session has written it
                    arrays = _arrays(model, images, case, doubts)
                    classes = written_mask(images.dataset, case, output, axis)
                scores = score(arrays, classes, model.facts, model.settings.evaluation)
            seconds = time.perf_counter() - start
            yield PredictedCase(case, mask, seconds, is_new, scores, tuple(doubts))
    if mistakes:
        raise InputError(mistakes)


def _arrays(model: TrainedModel, images: Images, case: str, doubts: list[Mistake]) -> CaseArrays:
    """A case as the training saw its own; ``doubts`` are added to."""
    dataset, grid, data = images.dataset, images.grids[case], model.settings.data
    image, label = (
        load_case(dataset, case, grid)
        if images.is_labelled
        else (load_image(dataset, case, grid), None)
    )
    doubts += constant_channels(dataset, case, image)
    return prepared_case(
        dataset,
        case,
        image,
        label,
        grid,
        slice_axis=model.facts.slice_axis,
        normalization=data.normalization,
        intensities=model.facts.intensities,
        n4=data.n4,
        spacing=model.facts.target,
    )


def _other_cases(
    model: TrainedModel, dataset: RawDataset, grids: Mapping[str, CaseGrid]
) -> Iterator[Mistake]:
    """Images of another kind than the network was trained on."""
    sees_volumes = model.settings.data.spatial_dims == 3
    facts = model.facts  # those of an early version know no spacing, of NIfTI neither
    saw_pictures = facts.sample_spacing is None and has_bands(Path(f"x{facts.file_ending}"))
    for case, grid in grids.items():
        file, is_picture = str(dataset.image_paths(case)[0]), grid.geometry.spacing is None
        if sees_volumes and len(grid.axes) == 2:
            message = "is a 2D image, but the network was trained on volumes"
            yield Mistake(message, file=file, kind="2D image")
        elif saw_pictures and not is_picture:
            message = (
                "is a volume of several pages, but the network was trained on pictures: write each"
                " page as a picture of its own"
            )
            yield Mistake(message, file=file, kind="volume")
        elif is_picture and facts.sample_spacing is not None:
            message = (
                "is a picture without a spacing and an orientation, but the network was trained on"
                " files that have both"
            )
            yield Mistake(message, file=file, kind="picture")
