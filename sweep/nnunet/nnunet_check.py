"""What is wrong with a sweep of nnU-Net, told before anything is planned or trained.

Names, plans, splits and dataset.json are looked at, and no pixel; torch is not imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
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
    configuration_of,
    fold_mistakes,
    is_planned,
    named,
    no_plans,
    planned_mistakes,
    raw_dataset,
    read_dataset,
    read_plans,
)
from sweep.nnunet.dataset.nnunet_folders import Folders
from sweep.nnunet.dataset.plans import patch_mistakes
from sweep.nnunet.dataset.preprocess import PLANNERS
from sweep.nnunet.dataset.raw_files import file_mistakes, raw_cases
from sweep.nnunet.dataset.well_formed import description_mistakes, plans_mistakes
from sweep.nnunet.training.trainer_limits import geometric_channel, unsupported
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.words.phrases import did_you_mean, near_miss, one_of
from sweep.vocabulary.errors import InputError, Mistake

CONFIGURATIONS = ("2d", "3d_fullres", "3d_lowres")
"""What nnU-Net's planners make and a trial can train by itself."""
CASCADE = "3d_cascade_fullres"
REFERENCES = "gt_segmentations"
"""Folder of a preprocessed dataset with the labels as they were."""


def check_nnunet(settings: TrialSettings) -> list[Mistake]:
    """What is wrong with a dataset, its plans or nnU-Net itself (an old copy of the trainer).

    Of a dataset that is not planned yet, what can be told.
    """
    absent = how_to_install("nnunet", "nnunetv2")
    if absent is not None:
        return [Mistake(absent, key="trainer.kind")]
    asked = nnunet_trainer(settings)
    every = [
        *_raised(refuse_other_copies),
        *_told(lambda: _folder_mistakes(asked)),
        *_told(lambda: _cascade_mistakes(asked)),
        *_told(lambda: _plan_mistakes(asked)),
        *_told(lambda: _dataset_mistakes(settings)),
        *_told(lambda: _fold_mistakes(asked)),
        *_told(lambda: fold_mistakes(asked)),
    ]
    return list(dict.fromkeys(every))


def _told(look: Callable[[], Iterable[Mistake]]) -> Iterator[Mistake]:
    """The mistakes of one look, also where it ends in one."""
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


def _folder_mistakes(asked: NnunetTrainer) -> Iterator[Mistake]:
    folders = Folders.of(asked)
    yield from _raised(lambda: folders.need("preprocessed"))
    # A dataset that is planned and preprocessed can do without its raw images.
    if _folder(folders.preprocessed, asked) is None or not is_planned(asked):
        yield from _raised(lambda: raw_dataset(asked))


def _cascade_mistakes(asked: NnunetTrainer) -> Iterator[Mistake]:
    if asked.configuration == CASCADE:
        yield Mistake(
            f"`{CASCADE}` trains on what a finished `3d_lowres` predicts, which a sweep has not:"
            " must be one of the others",
            key="trainer.configuration",
        )


def _plan_mistakes(asked: NnunetTrainer) -> Iterator[Mistake]:
    folder = _folder(Folders.of(asked).preprocessed, asked)
    if folder is not None and (folder / f"{asked.plans}.json").is_file():
        file = folder / f"{asked.plans}.json"
        plans = read_plans(file)
        yield from repeated_keys(file)
        yield from _told(lambda: planned_mistakes(asked, folder))
        planned = configuration_of(plans, asked.configuration)
        if not any(plans_mistakes(plans, asked.configuration, file)):
            yield from patch_mistakes(asked.patch_size, planned)
        return
    if asked.plans not in PLANNERS:  # whose plans are made when the sweep begins
        where = no_plans(folder, asked.plans) if folder is not None else "they do not exist yet"
        hint = did_you_mean(near_miss(asked.plans, PLANNERS))
        yield Mistake(
            f"`{asked.plans}`: {where}, and only {', '.join(PLANNERS)} are made here; make yours"
            f" with nnUNetv2_plan_and_preprocess{hint}",
            key="trainer.plans",
        )
    if asked.configuration not in (*CONFIGURATIONS, CASCADE):
        hint = did_you_mean(near_miss(asked.configuration, CONFIGURATIONS))
        yield Mistake(
            f"must be {one_of(CONFIGURATIONS)}, which nnU-Net plans, but is"
            f" `{asked.configuration}`{hint}",
            key="trainer.configuration",
        )


def _dataset_mistakes(settings: TrialSettings) -> Iterator[Mistake]:
    asked = nnunet_trainer(settings)
    file = _description_file(asked)
    if file is None:
        return
    try:
        description = read_dataset(file)
    except InputError as error:
        yield from error.mistakes
        yield from unsupported(settings.loss, {"labels": {}}, str(file))
        return
    labels = description.get("labels")
    known = {"labels": labels if isinstance(labels, dict) else {}}
    yield from unsupported(settings.loss, known, str(file))
    wrong = [*repeated_keys(file), *description_mistakes(description, file)]
    regions = any(isinstance(value, list) and len(value) > 1 for value in known["labels"].values())
    if not regions and not any(label_mistakes(description, nnunet=True)):
        geometric = asked.geometric_class
        yield from _raised(lambda: geometric_channel(description, geometric, str(file)))
    yield from wrong
    yield from _file_mistakes(asked, file, description)


def _file_mistakes(
    asked: NnunetTrainer, file: Path, description: Mapping[str, Any]
) -> Iterator[Mistake]:
    """The raw files, where nnU-Net is still to read them; else only whether none was left out."""
    raw = _folder(Folders.of(asked).raw, asked)
    if raw is not None and not is_planned(asked):
        yield from file_mistakes(raw, description, file)
        return
    cases, announced = _cases(asked), whole_number(description.get("numTraining"))
    if cases is not None and type(announced) is int and announced != len(cases):
        yield Mistake(
            f"`numTraining` is {announced}, but the dataset has {len(cases)} training cases",
            file=str(file),
        )


def _fold_mistakes(asked: NnunetTrainer) -> Iterator[Mistake]:
    cases = _cases(asked)
    if asked.fold == "all":
        return
    folder = _folder(Folders.of(asked).preprocessed, asked)
    if folder is not None and (folder / SPLITS_FILE).is_file():
        if cases:
            yield from _raised(lambda: read_splits(folder, cases))
    elif cases and len(cases) < FOLDS:  # without any it is told why there are none
        yield Mistake(
            f"nnU-Net deals the cases to {FOLDS} folds, and the dataset has {len(cases)}: `all`"
            f" trains and validates on every case, or a {SPLITS_FILE} in the preprocessed dataset"
            " says which validate",
            key="trainer.fold",
        )


def nnunet_doubts(settings: TrialSettings) -> list[Mistake]:
    """What names alone show that is allowed but hardly meant, of a dataset without a mistake."""
    asked = nnunet_trainer(settings)
    cases = _cases(asked)
    if not cases or asked.fold == "all":
        return []
    folder = _folder(Folders.of(asked).preprocessed, asked)
    splits = None if folder is None else read_splits(folder, cases)
    sides = split(cases, FOLDS, asked.fold) if splits is None else splits[asked.fold]
    return list(doubts(Dealt(*sides, ()), cases, splits, asked.fold))


def _folder(base: Path | None, asked: NnunetTrainer) -> Path | None:
    """Folder of the dataset below one of nnU-Net's; None where there is none."""
    try:
        return None if base is None else named(base, asked.dataset, "")
    except InputError:
        return None


def _description_file(asked: NnunetTrainer) -> Path | None:
    """The dataset.json that counts: the preprocessed dataset's once it has these plans, else the
    raw one's, which nnU-Net copies when it plans.
    """
    folders = Folders.of(asked)
    done, raw = _folder(folders.preprocessed, asked), _folder(folders.raw, asked)
    planned = done is not None and (done / f"{asked.plans}.json").is_file()
    folder = done if planned or raw is None else raw
    return None if folder is None else folder / "dataset.json"


def _cases(asked: NnunetTrainer) -> list[str] | None:
    """Identifiers of the training cases, sorted; None where no file tells."""
    folders, file = Folders.of(asked), _description_file(asked)
    description = {} if file is None else read_dataset(file)
    raw, done = _folder(folders.raw, asked), _folder(folders.preprocessed, asked)
    if raw is not None:
        return raw_cases(raw, description)
    ending = description.get("file_ending")
    if done is None or not isinstance(ending, str) or not (done / REFERENCES).is_dir():
        return None
    names = [file.name for file in (done / REFERENCES).iterdir()]
    return sorted(name.removesuffix(ending) for name in names if name.endswith(ending))
