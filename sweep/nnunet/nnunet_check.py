"""Find mistakes in a sweep of nnU-Net before anything is planned or trained.

Names, plans, splits and dataset.json are checked, but no pixels. torch is not imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from sweep.data.files.json_file import repeated_keys
from sweep.data.nnunet_raw.dealt_cases import Dealt, doubts
from sweep.data.nnunet_raw.labels import label_mistakes
from sweep.data.nnunet_raw.raw_dataset import whole_number
from sweep.data.nnunet_raw.splits import SPLITS_FILE, read_splits, split
from sweep.machine.installed_packages import how_to_install
from sweep.nnunet.command.asked_settings import nnunet_trainer
from sweep.nnunet.command.trainer_copies import refuse_other_copies
from sweep.nnunet.dataset.nnunet_datasets import (
    FOLDS,
    fold_mistakes,
    is_planned,
    named,
    no_plans,
    planned_mistakes,
    preprocessed_folder,
    raw_dataset,
    read_dataset,
    read_plans,
)
from sweep.nnunet.dataset.nnunet_folders import Folders
from sweep.nnunet.dataset.plans import patch_mistakes
from sweep.nnunet.dataset.preprocess import PLANNERS
from sweep.nnunet.dataset.raw_files import file_mistakes, raw_cases
from sweep.nnunet.dataset.well_formed import configuration_of, description_mistakes, plans_mistakes
from sweep.nnunet.training.trainer_limits import geometric_channel, unsupported
from sweep.spec.checks.first_look import FirstLook
from sweep.spec.checks.inactive_settings import Rule
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.words.phrases import did_you_mean, near_miss, one_of
from sweep.vocabulary.errors import InputError, Mistake

CONFIGURATIONS = ("2d", "3d_fullres", "3d_lowres")
"""What nnU-Net's planners make and a trial can train by itself."""
CASCADE = "3d_cascade_fullres"
REFERENCES = "gt_segmentations"
"""Folder of a preprocessed dataset with the labels as they were."""
CHOOSING = ("trainer.dataset", "trainer.plans", "trainer.configuration")
"""Settings that decide which plans are meant."""


class NnunetLook(FirstLook):
    """Mistakes of a dataset, its plans or nnU-Net itself (an old copy of the trainer).

    Of a dataset that is not planned yet, what can be told. Each file is looked for once.
    """

    def __init__(self, settings: TrialSettings) -> None:
        self._settings = settings
        self._asked = nnunet_trainer(settings)
        absent = how_to_install("nnunet", "nnunetv2")
        if absent is not None:
            super().__init__([Mistake(absent, key="trainer.kind")])
            return
        every = [
            *_raised(refuse_other_copies),
            *_told(self._folder_mistakes),
            *_told(self._cascade_mistakes),
            *_told(self._plan_mistakes),
            *_told(self._dataset_mistakes),
            *_told(self._fold_mistakes),
            *_told(lambda: fold_mistakes(self._asked)),
        ]
        super().__init__(dict.fromkeys(every))

    def doubts(self) -> list[Mistake]:
        asked, cases = self._asked, self._cases
        if not cases or asked.fold == "all":
            return []
        splits = None if self._done is None else read_splits(self._done, cases)
        sides = split(cases, FOLDS, asked.fold) if splits is None else splits[asked.fold]
        return list(doubts(Dealt(*sides, ()), cases, splits, asked.fold))

    def idle(self, searched: Container[str]) -> Iterator[Rule]:
        asked = self._asked
        if any(key in searched for key in CHOOSING):
            return
        try:
            folder = preprocessed_folder(asked)
            plans = read_plans(folder / f"{asked.plans}.json") if folder else {"configurations": {}}
        except InputError:
            return
        patch = configuration_of(plans, asked.configuration).get("patch_size")
        if isinstance(patch, list) and len(patch) == 2:
            why = f"the configuration `{asked.configuration}` has no volumes"
            yield Rule(("trainer.geometry",), {}, why)

    @cached_property
    def _folders(self) -> Folders:
        return Folders.of(self._asked)

    @cached_property
    def _done(self) -> Path | None:
        """The preprocessed dataset."""
        return _folder(self._folders.preprocessed, self._asked)

    @cached_property
    def _raw(self) -> Path | None:
        """The raw dataset."""
        return _folder(self._folders.raw, self._asked)

    @cached_property
    def _plans(self) -> Path | None:
        """The file of the plans, where there is one."""
        file = self._done / f"{self._asked.plans}.json" if self._done else None
        return file if file and file.is_file() else None

    @cached_property
    def _description(self) -> Path | None:
        """The dataset.json that counts: the preprocessed dataset's once it has these plans, else
        the raw one's, which nnU-Net copies when it plans.
        """
        folder = self._done if self._plans or self._raw is None else self._raw
        return None if folder is None else folder / "dataset.json"

    @cached_property
    def _cases(self) -> list[str] | None:
        """Identifiers of the training cases, sorted; None where no file tells."""
        description = {} if self._description is None else read_dataset(self._description)
        if self._raw is not None:
            return raw_cases(self._raw, description)
        ending = description.get("file_ending")
        references = self._done / REFERENCES if self._done else None
        if references is None or not isinstance(ending, str) or not references.is_dir():
            return None
        names = [file.name for file in references.iterdir()]
        return sorted(name.removesuffix(ending) for name in names if name.endswith(ending))

    def _folder_mistakes(self) -> Iterator[Mistake]:
        yield from _raised(lambda: self._folders.need("preprocessed"))
        # A dataset that is planned and preprocessed can do without its raw images.
        if self._done is None or not is_planned(self._asked):
            yield from _raised(lambda: raw_dataset(self._asked))

    def _cascade_mistakes(self) -> Iterator[Mistake]:
        if self._asked.configuration == CASCADE:
            yield Mistake(
                f"`{CASCADE}` trains on what a finished `3d_lowres` predicts, which a sweep has"
                " not: must be one of the others",
                key="trainer.configuration",
            )

    def _plan_mistakes(self) -> Iterator[Mistake]:
        asked, folder = self._asked, self._done
        if self._plans is not None and folder is not None:
            plans = read_plans(self._plans)
            yield from repeated_keys(self._plans)
            yield from _told(lambda: planned_mistakes(asked, folder))
            planned = configuration_of(plans, asked.configuration)
            if not any(plans_mistakes(plans, asked.configuration, self._plans)):
                yield from patch_mistakes(asked.patch_size, planned)
            return
        if asked.plans not in PLANNERS:  # whose plans are made when the sweep begins
            where = no_plans(folder, asked.plans) if folder is not None else "they do not exist yet"
            hint = did_you_mean(near_miss(asked.plans, PLANNERS))
            yield Mistake(
                f"`{asked.plans}`: {where}, and only {', '.join(PLANNERS)} are made here; make"
                f" yours with nnUNetv2_plan_and_preprocess{hint}",
                key="trainer.plans",
            )
        if asked.configuration not in (*CONFIGURATIONS, CASCADE):
            hint = did_you_mean(near_miss(asked.configuration, CONFIGURATIONS))
            yield Mistake(
                f"must be {one_of(CONFIGURATIONS)}, which nnU-Net plans, but is"
                f" `{asked.configuration}`{hint}",
                key="trainer.configuration",
            )

    def _dataset_mistakes(self) -> Iterator[Mistake]:
        file, loss = self._description, self._settings.loss
        if file is None:
            return
        try:
            description = read_dataset(file)
        except InputError as error:
            yield from error.mistakes
            yield from unsupported(loss, {"labels": {}}, str(file))
            return
        labels = description.get("labels")
        known = {"labels": labels if isinstance(labels, dict) else {}}
        yield from unsupported(loss, known, str(file))
        wrong = [*repeated_keys(file), *description_mistakes(description, file)]
        regions = any(isinstance(one, list) and len(one) > 1 for one in known["labels"].values())
        if not regions and not any(label_mistakes(description, nnunet=True)):
            geometric = self._asked.geometric_class
            yield from _raised(lambda: geometric_channel(description, geometric, str(file)))
        yield from wrong
        yield from self._file_mistakes(file, description)

    def _file_mistakes(self, file: Path, description: Mapping[str, Any]) -> Iterator[Mistake]:
        """The raw files, where nnU-Net is still to read them; else only whether none was left
        out.
        """
        if self._raw is not None and not is_planned(self._asked):
            yield from file_mistakes(self._raw, description, file)
            return
        cases, announced = self._cases, whole_number(description.get("numTraining"))
        if cases is not None and type(announced) is int and announced != len(cases):
            yield Mistake(
                f"`numTraining` is {announced}, but the dataset has {len(cases)} training cases",
                file=str(file),
            )

    def _fold_mistakes(self) -> Iterator[Mistake]:
        cases, folder = self._cases, self._done
        if self._asked.fold == "all":
            return
        if folder is not None and (folder / SPLITS_FILE).is_file():
            if cases:
                yield from _raised(lambda: read_splits(folder, cases))
        elif cases and len(cases) < FOLDS:  # without any it is told why there are none
            yield Mistake(
                f"nnU-Net splits the cases into {FOLDS} folds, and the dataset has {len(cases)}:"
                " `all`"
                f" trains and validates on every case, or a {SPLITS_FILE} in the preprocessed"
                " dataset says which validate",
                key="trainer.fold",
            )


def _told(look: Callable[[], Iterable[Mistake]]) -> Iterator[Mistake]:
    """The mistakes of one check, including a raised one."""
    try:
        yield from look()
    except InputError as error:
        yield from error.mistakes


def _raised(call: Callable[[], object]) -> Iterator[Mistake]:
    """The mistakes that a call raises."""
    try:
        call()
    except InputError as error:
        yield from error.mistakes


def _folder(base: Path | None, asked: NnunetTrainer) -> Path | None:
    """Folder of the dataset below one of nnU-Net's; None where there is none."""
    try:
        return None if base is None else named(base, asked.dataset, "")
    except InputError:
        return None
