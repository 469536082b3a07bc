"""What is wrong with a sweep of nnU-Net, told before anything is planned or trained.

Names, plans, splits and dataset.json are looked at, and no pixel; torch is not imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sweep.data.splits import SPLITS_FILE, read_splits
from sweep.errors import InputError, Mistake
from sweep.nnunet.asked import nnunet_trainer
from sweep.nnunet.copies import refuse_other_copies
from sweep.nnunet.datasets import (
    FOLDS,
    configuration_of,
    is_planned,
    named,
    no_plans,
    planned_mistakes,
    raw_dataset,
    read_dataset,
    read_plans,
)
from sweep.nnunet.folders import Folders
from sweep.nnunet.limits import geometric_channel, unsupported
from sweep.nnunet.plans import patch_mistakes
from sweep.nnunet.preprocess import PLANNERS
from sweep.spec.installed import how_to_install
from sweep.spec.settings import TrialSettings
from sweep.spec.trainer import NnunetTrainer
from sweep.spec.wording import did_you_mean, near_miss, one_of

CONFIGURATIONS = ("2d", "3d_fullres", "3d_lowres")
"""What nnU-Net's planners make and a trial can train by itself."""
CASCADE = "3d_cascade_fullres"
REQUIRED = ("channel_names", "labels", "numTraining", "file_ending")
"""Keys of dataset.json without which nnU-Net plans nothing."""


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
        plans = read_plans(folder / f"{asked.plans}.json")
        yield from planned_mistakes(asked, folder)
        planned = configuration_of(plans, asked.configuration)
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
    found = _description(asked)
    if found is None:
        return
    file, description = found
    missing = [key for key in REQUIRED if key not in description]
    if missing:
        there = " and ".join(f"`{key}`" for key in missing)
        hint = "; `modality` is of nnU-Net v1" * ("modality" in description)
        yield Mistake(f"lacks {there}{hint}", file=str(file))
    yield from unsupported(settings.loss, description, str(file))
    if all(isinstance(value, int) for value in description["labels"].values()):
        yield from _raised(lambda: geometric_channel(description, asked.geometric_class))
    cases, announced = _cases(asked), description.get("numTraining")
    if cases is not None and isinstance(announced, int) and announced != len(cases):
        yield Mistake(
            f"`numTraining` is {announced}, but the dataset has {len(cases)} training cases",
            file=str(file),
        )


def _fold_mistakes(asked: NnunetTrainer) -> Iterator[Mistake]:
    cases = _cases(asked)
    if asked.fold == "all" or cases is None:
        return
    folder = _folder(Folders.of(asked).preprocessed, asked)
    if folder is not None and (folder / SPLITS_FILE).is_file():
        read_splits(folder, cases)  # which raises what is wrong with them
    elif len(cases) < FOLDS:
        yield Mistake(
            f"nnU-Net deals the cases to {FOLDS} folds, and the dataset has {len(cases)}: `all`"
            f" trains and validates on every case, or a {SPLITS_FILE} in the preprocessed dataset"
            " says which validate",
            key="trainer.fold",
        )
    elif folder is None and asked.fold >= FOLDS:
        yield Mistake(
            f"must be below {FOLDS}, the number of folds, or `all`, but is {asked.fold}",
            key="trainer.fold",
        )


def _folder(base: Path | None, asked: NnunetTrainer) -> Path | None:
    """Folder of the dataset below one of nnU-Net's; None where there is none."""
    try:
        return None if base is None else named(base, asked.dataset, "")
    except InputError:
        return None


def _description(asked: NnunetTrainer) -> tuple[Path, Mapping[str, Any]] | None:
    """The dataset.json that counts: the preprocessed dataset's, else the raw one's."""
    folders = Folders.of(asked)
    for base in (folders.preprocessed, folders.raw):
        folder = _folder(base, asked)
        if folder is not None and (base == folders.raw or (folder / "dataset.json").is_file()):
            return folder / "dataset.json", read_dataset(folder / "dataset.json")
    return None


def _cases(asked: NnunetTrainer) -> list[str] | None:
    """Identifiers of the training cases, sorted; None where no file tells."""
    folders = Folders.of(asked)
    raw = _folder(folders.raw, asked)
    if raw is None:
        done = _folder(folders.preprocessed, asked)
        labels = None if done is None else done / "gt_segmentations"
        ending = read_dataset(done / "dataset.json").get("file_ending", "") if done else ""
    else:
        description = read_dataset(raw / "dataset.json")
        if isinstance(description.get("dataset"), dict):  # names its files itself
            return sorted(description["dataset"])
        labels, ending = raw / "labelsTr", description.get("file_ending", "")
    if labels is None or not labels.is_dir() or not isinstance(ending, str) or not ending:
        return None
    return sorted(
        file.name.removesuffix(ending)
        for file in labels.iterdir()
        if file.name.endswith(ending) and not file.name.startswith(".")
    )
