"""From a data source to training and validation samples, read and normalised once per machine.

source → raw folder → reader → bias field correction → normalisation → resampling → packed arrays in
the cache → samples

A normalisation by the intensities of the whole dataset reads the cases twice.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.data.files.image_geometry import size
from sweep.data.files.nnunet_normalize import DatasetIntensities
from sweep.data.files.normalize import correct_bias_field
from sweep.data.files.resampling import target_spacing
from sweep.data.nnunet_raw.dealt_cases import deal, is_share, share_of
from sweep.data.nnunet_raw.header_survey import Survey, survey
from sweep.data.nnunet_raw.labels import geometric_labels
from sweep.data.nnunet_raw.pixels import load_case
from sweep.data.nnunet_raw.raw_dataset import RawDataset, open_raw, open_test
from sweep.data.nnunet_raw.raw_fingerprint import without_groups
from sweep.data.nnunet_raw.splits import hold_out, read_splits
from sweep.data.prepared.case_arrays import (
    array_spacing,
    constant_channels,
    copied_image,
    prepared_case,
)
from sweep.data.prepared.packed_cases import FORMAT, Contents, open_packed, write_packed
from sweep.data.prepared.samples import CaseArrays, PreparedData, Samples, Spacing
from sweep.data.prepared.unfit_data import class_doubts, patch_doubts
from sweep.data.sources.data_source import DataSource
from sweep.data.sources.source_table import open_source
from sweep.machine.machine_cache import cached, default_cache
from sweep.spec.settings.data_settings import (
    BY_NAME,
    AnatomyData,
    DataSettings,
    NnunetRawData,
    RawLayoutData,
)
from sweep.vocabulary.errors import InputError, Mistake, gathered, gathering

NOT_CONTENT = {
    "fold", "folds", "patch_size", "geometric_class", "folder", "fingerprint",
    "oversample_foreground", "groups",
}  # fmt: skip
"""Settings that do not change a packed pixel: they select cases, or belong to the trainer. The
fingerprint of the dataset replaces its folder."""


def prepare(settings: DataSettings, cache: Path | None = None) -> PreparedData:
    """Samples of a data source, mapped from the cache. The first call on a machine fills the cache.

    Args:
        settings: the trial's ``data``.
        cache: folder for packed data; None: `default_cache`.

    Raises:
        InputError: with every mistake in the settings or, failing that, in the dataset's files.
        SweepFailed: the cache cannot be written.
    """
    source = open_source(settings)
    if source.mistakes:
        raise InputError(source.mistakes)
    cache = cache or default_cache()
    held = source.fingerprint(cache)
    entry = cache / f"{settings.source}-{_digest(settings, held, source.packages)}"
    found, cases = cached(entry, open_packed, lambda folder: _build(source, settings, folder))
    folded = [name for name in cases if name not in found.test]
    dealt = deal(settings, folded, found.splits, found.test, source.groups)
    sides = {side: [cases[name] for name in names] for side, names in dealt._asdict().items()}
    _require_foreground(sides, found.classes)
    volumes, doubts = settings.spatial_dims == 3, list[str]()
    if source.is_foreign:
        doubts += class_doubts(sides, found.classes)
        doubts += patch_doubts(sides["training"], settings.patch, volumes=volumes)
    return PreparedData(
        channels=found.channels,
        classes=found.classes,
        geometric_classes=geometric_labels(
            found.labels, source.geometric_class, regions=found.regions is not None
        ),
        **{side: Samples(cases, volumes=volumes) for side, cases in sides.items()},
        origin={
            **found.settings,
            **_where(settings),
            **({"fingerprint": held} if held else {}),
            "folds": settings.folds if found.splits is None else len(found.splits),
            "dealt": found.splits is None,
            "fold": settings.fold,
            "test": settings.test,
            "geometric_class": source.geometric_class,
        },
        warnings=(*found.warnings, *doubts),
        sizes=found.sizes,
        file_ending=found.file_ending,
        ignore=found.ignore,
        regions=found.regions,
        intensities=found.intensities,
        groups=source.groups,
    )


def _where(settings: DataSettings) -> dict[str, str | None]:
    """Settings that say where a dataset of the user's own lies, and what its groups are."""
    groups = {"groups": settings.groups} if isinstance(settings, RawLayoutData) else {}
    if not isinstance(settings, NnunetRawData):
        return groups
    return {"folder": str(Path(settings.folder).resolve()), **groups}


def check_pixels(settings: DataSettings) -> tuple[list[Mistake], PreparedData | None]:
    """Check the pixels: returns mistakes, or the data if there are none.

    The whole source is read and normalised as in a trial. It stays in the machine's cache, so that
    a following sweep starts at once.

    Raises:
        SweepFailed: the cache cannot be written.
    """
    try:
        return [], prepare(settings)
    except InputError as error:
        return gathered(error.mistakes), None


def _require_foreground(sides: Mapping[str, Sequence[CaseArrays]], classes: Sequence[str]) -> None:
    mistakes = [
        Mistake(
            f"none of the {len(cases)} {side} cases has a pixel of {' or '.join(classes[1:])};"
            " choose another fold or check the labels",
            key="data.fold",
        )
        for side, cases in sides.items()
        if not any(case.foreground for case in cases) and (cases or side != "test")
    ]
    if mistakes:
        raise InputError(mistakes)


def _build(source: DataSource, settings: DataSettings, folder: Path) -> None:
    """Fill a cache entry. A generated source leaves its raw dataset there for inspection."""
    raw = source.raw(folder / "raw")
    dataset = open_raw(raw)
    held_out = [open_test(dataset)] if settings.test and not is_share(settings) else []
    volumes, resamples = settings.spatial_dims == 3, source.spacing is not None
    found = survey([dataset, *held_out], source.slice_axis, volumes=volumes, resampled=resamples)
    # Those of all folds, by which nnU-Net's rules go.
    counted, _ = hold_out(dataset.cases, share_of(settings), source.groups)
    target = _target(source, settings, counted, found)
    doubts: list[Mistake] = []
    splits = read_splits(raw, dataset.cases)
    mistakes = [*found.mistakes]
    intensities = None
    if settings.normalization == BY_NAME:
        with gathering(mistakes):
            cases = _loaded(dataset, counted, settings, found, mistakes)
            intensities = DatasetIntensities.of(dataset.channel_names, cases)

    def contents() -> Contents:
        foreign = source.is_foreign  # generated images need no warnings
        resolved: dict[str, Any] = {"slice_axis": found.slice_axis} if foreign else {}
        if isinstance(settings, AnatomyData):
            resolved["spacing"] = target
        return Contents(
            channels=dataset.channel_names,
            classes=dataset.classes,
            splits=splits,
            settings=_content(settings) | resolved,
            test=tuple(case for part in held_out for case in part.cases),
            warnings=(*found.warnings, *map(str, gathered(doubts))) if foreign else (),
            sizes=found.sizes + _resampled_words(target, found.slice_axis) + _ct_words(intensities),
            file_ending=dataset.file_ending,
            ignore=dataset.ignore,
            regions=dataset.regions,
            intensities=intensities,
        )

    parts = [dataset, *held_out]
    read = set(counted) if settings.normalization == BY_NAME else set()
    prepared = _prepared_cases(parts, settings, found, target, intensities, read, mistakes, doubts)
    write_packed(folder, prepared, contents)


def _loaded(
    dataset: RawDataset,
    names: Sequence[str],
    settings: DataSettings,
    found: Survey,
    mistakes: list[Mistake],
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    """Image and label of these cases, as they are before the normalisation.

    Args:
        names: of the cases.
        mistakes: are added to it.
    """
    for case in names:
        if case in found.grids:
            with gathering(mistakes):
                image, label = load_case(dataset, case, found.grids[case])
                if settings.n4:
                    image = correct_bias_field(image, str(dataset.image_paths(case)[0]))
                yield image, label


def _ct_words(intensities: DatasetIntensities | None) -> str:
    """``, CT clipped to -17 to 201``."""
    found = intensities.foreground if intensities else ()
    return "".join(f", CT clipped to {of.low:g} to {of.high:g}" for of in found if of)


def _target(
    source: DataSource, settings: DataSettings, names: Sequence[str], found: Survey
) -> Spacing | None:
    """The spacing to resample to, along the axes of a sample; None: cases stay as they are.

    The median runs over the cases for training and validation of all folds, as in nnU-Net. Test
    cases are not looked at.

    Args:
        names: of these cases.
    """
    if source.spacing != "median":
        return source.spacing
    grids = [found.grids[name] for name in names if name in found.grids]
    axes = max((len(grid.axes) for grid in grids), default=0)
    spacings, shapes = [], []
    for grid in grids:
        spacing = array_spacing(grid, found.slice_axis)
        if spacing is None or len(spacing) < axes:  # an image among volumes that are cut
            continue
        shape = [grid.geometry.shape[axis] for axis in grid.axes]
        if axes == 3:
            shape.insert(0, shape.pop(found.slice_axis))
        spacings.append(spacing)
        shapes.append(shape)
    if not spacings:  # every case has a mistake, which is told
        return None
    return target_spacing(np.array(spacings), np.array(shapes))[-settings.spatial_dims :]


def _resampled_words(target: Spacing | None, slice_axis: int) -> str:
    """``, resampled to 1.5×1.5×4 mm``: in the order of the files' axes, as the sizes are."""
    if target is None:
        return ""
    steps = list(target)
    if len(steps) == 3:
        steps.insert(slice_axis, steps.pop(0))
    return f", resampled to {size(steps, '.3g')} mm"


def _prepared_cases(
    parts: Sequence[RawDataset],
    settings: DataSettings,
    found: Survey,
    target: Spacing | None,
    intensities: DatasetIntensities | None,
    read: Collection[str],
    mistakes: list[Mistake],
    doubts: list[Mistake],
) -> Iterator[CaseArrays]:
    """The cases, with one at a time in memory.

    Mistakes of all cases are raised at the end. After the first one, cases are only read.

    Args:
        target: the spacing to resample to.
        intensities: to normalise by, for `nnunet`.
        read: the cases that were read for these.
        mistakes: those known so far; it is added to.
        doubts: warnings are added to it.
    """
    seen: dict[bytes, str] = {}
    for dataset, case in ((part, name) for part in parts for name in part.cases):
        if case not in found.grids or (mistakes and case in read):  # its mistake is already noted
            continue
        with gathering(mistakes):
            image, label = load_case(dataset, case, found.grids[case])
            doubts += constant_channels(dataset, case, image)
            doubts += copied_image(dataset, case, image, seen)
            if mistakes:
                continue
            yield prepared_case(
                dataset,
                case,
                image,
                label,
                found.grids[case],
                slice_axis=found.slice_axis,
                normalization=settings.normalization,
                intensities=intensities,
                n4=settings.n4,
                spacing=target,
            )
    if mistakes:
        raise InputError(mistakes)


def _content(settings: DataSettings) -> dict[str, Any]:
    """The settings that the packed pixels and their warnings depend on, besides the dataset's
    content. Volumes that are not resampled have the pixels of their slices, but other warnings."""
    excluded = set(NOT_CONTENT)
    if not settings.test or (is_share(settings) and not _looks_at_all(settings)):
        excluded |= {"test"}  # neither looks at test cases
    return settings.model_dump(mode="json", exclude=excluded)


def _looks_at_all(settings: DataSettings) -> bool:
    """Whether a case's pixels depend on other cases, all but those of the test."""
    spacing = settings.spacing if isinstance(settings, AnatomyData) else None
    return spacing == "median" or settings.normalization == BY_NAME


def _digest(settings: DataSettings, held: str, packages: Sequence[str]) -> str:
    """Digest of everything that the packed pixels depend on."""
    content = _content(settings) | {"format": FORMAT}
    if held:
        # Groups decide only which cases are tested.
        depends = _looks_at_all(settings) and share_of(settings)
        content["holds"] = held if depends else without_groups(held)
    if settings.n4:
        content["simpleitk"] = importlib.metadata.version("SimpleITK")
    content |= {package: importlib.metadata.version(package) for package in packages}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:20]
