"""Find mistakes in a sweep of nnU-Net before anything is planned or trained.

Names, plans, splits and dataset.json are checked, but no pixels. torch is not imported here.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from sweep.data.files.json_file import read_object, repeated_keys
from sweep.data.nnunet_raw.case_groups import groups_of
from sweep.data.nnunet_raw.dealt_cases import Dealt, doubts
from sweep.data.nnunet_raw.labels import label_mistakes
from sweep.data.nnunet_raw.raw_dataset import TEST_LABELS_FOLDER, RawFiles, whole_number
from sweep.data.nnunet_raw.splits import SPLITS_FILE, read_splits, split
from sweep.machine.installed_packages import how_to_install
from sweep.nnunet.command.asked_settings import nnunet_trainer
from sweep.nnunet.command.trainer_copies import entry_of_class, refuse_other_copies
from sweep.nnunet.dataset.grouped_splits import GROUPS_KEY, cases_of, too_few
from sweep.nnunet.dataset.nnunet_datasets import (
    FOLDS,
    find_dataset,
    fold_mistakes,
    is_planned,
    need_dataset,
    planned_mistakes,
    read_plans,
)
from sweep.nnunet.dataset.nnunet_folders import Folders
from sweep.nnunet.dataset.planned_network import network_mistakes
from sweep.nnunet.dataset.planning import require_planner
from sweep.nnunet.dataset.plans import configuration_of, patch_mistakes, plans_mistakes
from sweep.nnunet.dataset.raw_files import description_mistakes, file_mistakes, raw_cases
from sweep.nnunet.training.trainer_limits import geometric_channels, unsupported
from sweep.spec.checks.entry_check import entry_mistakes
from sweep.spec.checks.first_look import FirstLook
from sweep.spec.checks.inactive_settings import Rule
from sweep.spec.settings.data_settings import TEST_FOLDER
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.words.phrases import did_you_mean, near_miss, one_of
from sweep.vocabulary.errors import InputError, Mistake, gathering

CONFIGURATIONS = ("2d", "3d_fullres", "3d_lowres")
"""Configurations that nnU-Net's planners make and that a trial can train by itself."""
CASCADE = "3d_cascade_fullres"
CHOOSING = ("trainer.dataset", "trainer.plans", "trainer.configuration")
"""Settings that decide which plans are used."""


class NnunetLook(FirstLook):
    """Mistakes in a dataset, its plans or nnU-Net itself (an old copy of the trainer).

    A dataset that is not planned yet is checked as far as possible. Each file is looked for once.
    """

    def __init__(self, settings: TrialSettings) -> None:
        self._settings = settings
        self._trainer = nnunet_trainer(settings)
        absent = how_to_install("nnunet", "nnunetv2")
        if absent is not None:
            super().__init__([Mistake(absent, key="trainer.kind")])
            return
        super().__init__()
        for look in (
            refuse_other_copies,
            self._look_at_trainer_class,
            self._look_at_folders,
            self._look_at_plans,
            self._look_at_description,
            self._look_at_folds,
            self._look_at_test,
        ):
            with gathering(self.mistakes):
                look()
        self.mistakes = list(dict.fromkeys(self.mistakes))

    def doubts(self) -> list[Mistake]:
        trainer, cases = self._trainer, self._cases
        if not cases or trainer.fold == "all":
            return []
        splits = None if self._done is None else read_splits(self._done, cases)
        groups = groups_of(trainer.groups, cases, GROUPS_KEY)
        if splits is None:
            sides = split(cases, FOLDS, trainer.fold, groups)
        else:
            sides = splits[trainer.fold]
        return list(doubts(Dealt(*sides, ()), cases, splits, trainer.fold, groups, GROUPS_KEY))

    def idle(self, searched: Container[str]) -> Iterator[Rule]:
        trainer = self._trainer
        if any(key in searched for key in CHOOSING):
            return
        plans: Mapping[str, Any] = {"configurations": {}}
        with suppress(InputError):
            if self._plans is not None:
                plans = read_plans(self._plans)
        patch = configuration_of(plans, trainer.configuration).get("patch_size")
        if isinstance(patch, list) and len(patch) == 2:
            why = f"the configuration `{trainer.configuration}` has no volumes"
            yield Rule(("trainer.geometry",), {}, why)

    @cached_property
    def _done(self) -> Path | None:
        return find_dataset(self._trainer, "preprocessed")

    @cached_property
    def _raw(self) -> Path | None:
        return find_dataset(self._trainer, "raw")

    @cached_property
    def _plans(self) -> Path | None:
        """The file of the plans; None if it does not exist."""
        file = self._done / f"{self._trainer.plans}.json" if self._done else None
        return file if file and file.is_file() else None

    @cached_property
    def _description(self) -> Path | None:
        """The ``dataset.json`` in use: of the preprocessed dataset if it has these plans, else of
        the raw dataset. nnU-Net copies it when it plans.
        """
        folder = self._done if self._plans or self._raw is None else self._raw
        return None if folder is None else folder / "dataset.json"

    @cached_property
    def _cases(self) -> list[str] | None:
        """Sorted identifiers of the training cases; None if no file shows them."""
        if self._raw is not None:
            file = self._description
            return raw_cases(self._raw, {} if file is None else read_object(file))
        if self._done is None or not (self._done / "gt_segmentations").is_dir():
            return None
        return cases_of(self._done)

    def _look_at_folders(self) -> None:
        with gathering(self.mistakes):
            Folders.of(self._trainer).need("preprocessed")
        # A dataset that is planned and preprocessed needs no raw images.
        if self._done is None or not is_planned(self._trainer):
            need_dataset(self._trainer, "raw")

    def _look_at_trainer_class(self) -> None:
        trainer, key = self._trainer, "trainer.trainer_class"
        if trainer.options and not trainer.own_code:
            message = f"sets attributes of `{key}`: name your class there"
            self.mistakes.append(Mistake(message, key="trainer.options"))
        if ":" in trainer.trainer_class:
            self.mistakes += entry_mistakes(trainer.trainer_class, key)
        else:
            entry_of_class(trainer.trainer_class)

    def _look_at_plans(self) -> None:
        trainer, folder, found = self._trainer, self._done, self.mistakes
        if trainer.configuration == CASCADE:
            message = (
                f"`{CASCADE}` trains on the predictions of a finished `3d_lowres`, which a sweep"
                " does not have: must be another configuration"
            )
            found.append(Mistake(message, key="trainer.configuration"))
        if self._plans is not None and folder is not None:
            plans = read_plans(self._plans)
            found += repeated_keys(self._plans)
            with gathering(found):
                found += planned_mistakes(trainer, folder)
            if not any(plans_mistakes(plans, trainer.configuration, self._plans)):
                planned = configuration_of(plans, trainer.configuration)
                found += patch_mistakes(trainer.patch_size, planned)
                found += network_mistakes(trainer, planned)
            return
        with gathering(found):
            require_planner(trainer.plans, folder)
        if trainer.configuration not in (*CONFIGURATIONS, CASCADE):
            hint = did_you_mean(near_miss(trainer.configuration, CONFIGURATIONS))
            message = (
                f"must be {one_of(CONFIGURATIONS)}, which nnU-Net plans, but is"
                f" `{trainer.configuration}`{hint}"
            )
            found.append(Mistake(message, key="trainer.configuration"))

    def _look_at_description(self) -> None:
        file, loss, found = self._description, self._settings.loss, self.mistakes
        if file is None:
            return
        try:
            description = read_object(file)
        except InputError as error:
            found += error.mistakes
            found += unsupported(loss, {"labels": {}}, str(file))
            return
        is_fit = not any(label_mistakes(description, nnunet=True))
        found += unsupported(loss, description if is_fit else {"labels": {}}, str(file))
        if is_fit:
            with gathering(found):
                geometric_channels(description, self._trainer.geometric_class, str(file))
        found += repeated_keys(file)
        found += description_mistakes(description, file)
        if self._raw is not None and not is_planned(self._trainer):
            found += file_mistakes(self._raw, description, file)
            return
        # nnU-Net has read the files: only check that none is missing.
        cases, announced = self._cases, whole_number(description.get("numTraining"))
        if cases is not None and type(announced) is int and announced != len(cases):
            message = (
                f"`numTraining` is {announced}, but the dataset has {len(cases)} training cases"
            )
            found.append(Mistake(message, file=str(file)))

    def _look_at_test(self) -> None:
        if self._trainer.test is None:
            return
        raw = need_dataset(self._trainer, "raw")
        description = read_object(raw / "dataset.json")
        ending, names = description.get("file_ending"), description.get("channel_names")
        if isinstance(ending, str) and ending:  # else it is reported above
            files = RawFiles.under(raw, ending, TEST_FOLDER, TEST_LABELS_FOLDER)
            channels = files.per_image(len(names)) if isinstance(names, dict) and names else None
            self.mistakes += files.mistakes(channels, None, spare_labels=True)
            groups_of(self._trainer.groups, sorted(files.images), GROUPS_KEY)

    def _look_at_folds(self) -> None:
        folder = self._done
        if self._trainer.fold != "all":
            with gathering(self.mistakes):
                cases = self._cases
                groups = groups_of(self._trainer.groups, cases or (), GROUPS_KEY)
                if folder is not None and (folder / SPLITS_FILE).is_file():
                    if cases:
                        read_splits(folder, cases)
                elif groups:
                    self.mistakes += too_few(groups)
                elif cases and len(cases) < FOLDS:  # a dataset without cases is reported above
                    message = (
                        f"nnU-Net splits the cases into {FOLDS} folds, and the dataset has"
                        f" {len(cases)}: `all` trains and validates on every case, or a"
                        f" {SPLITS_FILE} in the preprocessed dataset says which validate"
                    )
                    self.mistakes.append(Mistake(message, key="trainer.fold"))
        self.mistakes += fold_mistakes(self._trainer)
