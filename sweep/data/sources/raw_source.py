"""``source: nnunet_raw``: a dataset of the user's own, in nnU-Net's raw layout."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from sweep.data.files.image_file import is_flat, read_header
from sweep.data.files.image_geometry import squeezed
from sweep.data.files.nnunet_normalize import CT
from sweep.data.nnunet_raw.case_groups import groups_of
from sweep.data.nnunet_raw.dealt_cases import deal, doubts, fold_mistakes, share_of
from sweep.data.nnunet_raw.header_survey import NO_SPACING
from sweep.data.nnunet_raw.labels import geometric_labels
from sweep.data.nnunet_raw.raw_dataset import RawDataset, open_raw, open_test
from sweep.data.nnunet_raw.raw_fingerprint import fingerprint
from sweep.data.nnunet_raw.splits import (
    NO_GROUPS,
    SPLITS_FILE,
    Groups,
    Split,
    hold_out,
    read_splits,
)
from sweep.data.sources.data_source import DataSource
from sweep.spec.checks.inactive_settings import Rule
from sweep.spec.settings.data_settings import BY_NAME, TEST_FOLDER, NnunetRawData, RawLayoutData
from sweep.spec.tree.moved_data import changed_parts
from sweep.spec.words.phrases import counted
from sweep.vocabulary.errors import InputError, Mistake, gathering

_CT_WORD = re.compile(r"(?<![a-z])(ct|cbct|cta)(?![a-z])", re.IGNORECASE)


class RawSource(DataSource):
    """The folder is opened once, whatever is asked of it then."""

    is_foreign = True

    def __init__(self, settings: RawLayoutData) -> None:
        self._settings = settings
        self.slice_axis = settings.slice_axis
        self.spacing = settings.spacing
        self.geometric_class = settings.geometric_class
        mistakes = self._found()
        self.classes = () if mistakes else self._dataset.classes[1:]
        self.groups = NO_GROUPS if mistakes else self._groups
        super().__init__(settings, mistakes)

    @cached_property
    def _folder(self) -> Path:
        assert isinstance(self._settings, NnunetRawData)
        return Path(self._settings.folder)

    @cached_property
    def _dataset(self) -> RawDataset:
        return open_raw(self._folder)

    @cached_property
    def _parts(self) -> list[RawDataset]:
        """The dataset, and its own test cases where they are asked for."""
        is_asked = self._settings.test == TEST_FOLDER
        return [self._dataset, *([open_test(self._dataset)] if is_asked else [])]

    @cached_property
    def _splits(self) -> tuple[Split, ...] | None:
        return read_splits(self._folder, self._dataset.cases)

    @cached_property
    def _groups(self) -> Groups:
        every = [case for part in self._parts for case in part.cases]
        return groups_of(self._settings.groups, every)

    def raw(self, folder: Path) -> Path:
        return self._folder

    def fingerprint(self, cache: Path) -> str:
        recorded = self._settings.fingerprint
        found = fingerprint(self._parts, cache, self.groups)
        if recorded not in (None, found):
            parts = ", ".join(changed_parts(recorded or "", found))
            raise InputError.single(
                f"{self._folder} holds other data than these settings were recorded with"
                f" ({parts} differ); put those back, or set it to null to train on what is there",
                key="data.fingerprint",
            )
        return found

    def doubts(self) -> list[Mistake]:
        cases = self._dataset.cases
        test = tuple(case for part in self._parts[1:] for case in part.cases)
        dealt = deal(self._settings, cases, self._splits, test, self.groups)
        found = doubts(
            dealt, cases, self._splits, self._settings.fold, self.groups, own_test=bool(test)
        )
        return [*found, *self._ct_doubts()]

    def _ct_doubts(self) -> Iterator[Mistake]:
        """Channels of CT whose Hounsfield units the normalisation throws away."""
        is_nnunet = self._settings.normalization == BY_NAME
        for name in self._dataset.channel_names:
            is_ct = name.casefold() == CT
            if _CT_WORD.search(name) and not (is_ct and is_nnunet):
                rename = "" if is_ct else f", and `{name}` called `CT` in dataset.json,"
                yield Mistake(
                    f"the channel `{name}` seems to be CT, but is normalised case by case: what"
                    " its Hounsfield units say is lost, and metal sets the scale;"
                    f" `data.normalization: nnunet`{rename} scales all cases alike",
                    key="data.normalization",
                    kind=f"CT {name}",
                )

    def idle(self, searched: Container[str]) -> Iterator[Rule]:
        data = self._settings
        if "data.folder" in searched:
            return
        try:
            splits = self._splits
            # Whoever wrote as many folds as the file has asked for what there is.
            if splits is not None and (data.folds != len(splits) or "data.folds" in searched):
                has = counted(len(splits), "split")
                yield Rule(("data.folds",), {}, f"{SPLITS_FILE} counts instead, which has {has}")
            # Headers are read only where an axis is asked for.
            is_asked = data.slice_axis != "auto" or "data.slice_axis" in searched
            if is_asked and not any(map(_has_a_volume, self._parts)):
                yield Rule(("data.slice_axis",), {}, "every case is an image, and none a volume")
        except InputError:
            return

    def _found(self) -> list[Mistake]:
        found: list[Mistake] = []
        with gathering(found):
            cases = self._parts[0].cases
            with gathering(found):
                found += fold_mistakes(self._settings, cases, self._splits, self._groups)
                found += self._test_mistakes(cases, self._splits)
            regions = self._dataset.regions is not None
            geometric_labels(self._dataset.labels, self.geometric_class, regions=regions)
            found += self._flat_mistakes()
        return found

    def _flat_mistakes(self) -> Iterator[Mistake]:
        """What needs more than a PNG or BMP holds."""
        ending = self._dataset.file_ending
        if not is_flat(ending):
            return
        if self._settings.spatial_dims == 3:
            message = (
                f"`volumes` needs 3D volumes, but the dataset holds {ending} images: use `slices`"
            )
            yield Mistake(message, key="data.spatial")
        if self.spacing is not None:
            yield Mistake(NO_SPACING, key="data.spacing")

    def _test_mistakes(
        self, cases: Sequence[str], splits: Sequence[Split] | None
    ) -> Iterator[Mistake]:
        """A split of the dataset's own of which the test takes all cases of a side."""
        share, fold = share_of(self._settings), self._settings.fold
        if splits is None or fold >= len(splits):
            return
        _, test = hold_out(cases, share, self._groups)
        for side, names in zip(("training", "validation"), splits[fold], strict=True):
            if not set(names) - set(test):
                message = f"{share:g} takes every {side} case of split {fold}"
                yield Mistake(message, key="data.test")


def _has_a_volume(dataset: RawDataset) -> bool:
    """Whether any case has three axes. One is enough, so mostly the first file decides.

    Raises:
        InputError: a file on the way there cannot be read.
    """
    first_files = (dataset.image_paths(case)[0] for case in dataset.cases)
    return not is_flat(dataset.file_ending) and any(
        len(squeezed(read_header(file)[0].shape)) > 2 for file in first_files
    )
