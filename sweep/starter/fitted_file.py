"""The text of a sweep's file that is fitted to a dataset, with a comment for each value."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from shlex import quote
from textwrap import wrap

from sweep.data.files.nnunet_normalize import NAMED
from sweep.data.nnunet_raw.case_groups import groups_of, pattern_of_subjects
from sweep.data.nnunet_raw.raw_dataset import open_test
from sweep.data.nnunet_raw.splits import SPLITS_FILE, enumerated, members
from sweep.machine.hardware import Machine, gpu_memory
from sweep.machine.text_templates import text_template
from sweep.nnunet.dataset.nnunet_datasets import FOLDS, NAME
from sweep.spec.settings.data_settings import TEST_FOLDER
from sweep.spec.settings.trainer_settings import FROM_ENVIRONMENT, TRAINERS
from sweep.spec.words.phrases import counted
from sweep.starter.dataset_sizes import DatasetSizes
from sweep.starter.fitted_plan import FEWEST_SLICES, ON_CPU, ON_GPU, folds, plan
from sweep.vocabulary.errors import InputError, one_line

_TEMPLATE = Path(__file__).with_name("fitted_file.yaml.j2")
_WIDTH = 96
_PLAIN = re.compile(r"[A-Za-z0-9/][A-Za-z0-9/._-]*")


def memory_of(given: float | None) -> float | None:
    """GiB of the GPU that trials will have; None: they train on a CPU.

    Args:
        given: what the user says, 0 for a CPU; None: the smallest GPU of this machine, if the
            installed torch can use one.
    """
    if given is None and Machine.here().no_cuda is None:
        return gpu_memory()
    return given or None


def fitted_file(sizes: DatasetSizes, memory: float | None, trainer: str, file: Path) -> str:
    """The file of a sweep.

    Args:
        sizes: of the dataset.
        memory: of `memory_of`.
        trainer: the kind, `monai` or `nnunet`.
        file: where it will be written, for the commands in its comments.

    Raises:
        InputError: the dataset has a single case, or no name that nnU-Net knows.
    """
    if len(sizes.shapes) < 2:
        raise InputError.single(
            "has one case; a sweep validates on other cases than it trains on, so it needs 2",
            file=str(sizes.dataset.folder),
        )
    made, dataset = plan(sizes, memory), sizes.dataset
    groups, parts = _groups(sizes, trainer)
    template = text_template(_TEMPLATE, why=_why, text=_text, numbers=_numbers, counted=counted)
    return template.render(
        trainer=trainer,
        sizes=sizes,
        dataset=dataset,
        made=made,
        on_cpu=memory is None,
        device="a CPU" if memory is None else f"a GPU with {memory:.0f} GiB",
        memory=f"about {made.memory:.1f} GiB" if made.memory >= 0.05 else "less than 0.1 GiB",
        trials=(ON_CPU if memory is None else ON_GPU).trials,
        file=quote(str(file)),
        cases=len(sizes.shapes),
        parts=counted(parts, "case" if groups is None else "subject"),
        groups=groups,
        channels=enumerated(list(dataset.channel_names), most=6),
        classes=enumerated(list(dataset.classes[1:]), most=12),
        folds=folds(parts),
        through=-(-made.samples // made.batch),
        patience=sorted({max(3, round(made.epochs * share)) for share in (0.15, 0.25, 0.4)}),
        fewest_slices=FEWEST_SLICES,
        by_name=[name for name in dataset.channel_names if name.casefold() in NAMED],
        splits_file=SPLITS_FILE,
        test_folder=TEST_FOLDER,
        **(_nnunet_folders(dataset.folder) if "dataset" in TRAINERS[trainer].model_fields else {}),
    )


def _groups(sizes: DatasetSizes, trainer: str) -> tuple[str | None, int]:
    """What the setting for the groups should be, and the number of groups or else of cases."""
    cases, count = sizes.dataset.cases, len(sizes.shapes)
    test = open_test(sizes.dataset).cases if sizes.has_test else ()
    if (pattern := pattern_of_subjects([*cases, *test])) is not None:
        found = len(members(cases, groups_of(pattern, cases)))
        if found >= (FOLDS if "dataset" in TRAINERS[trainer].model_fields else 2):
            return pattern, found
    return None, count


def _nnunet_folders(folder: Path) -> dict[str, object]:
    """The dataset's number, and the folders of nnU-Net that the environment does not name."""
    name = NAME.fullmatch(folder.name)
    if name is None:
        raise InputError.single(
            f"nnU-Net needs a folder named like Dataset123_Name, but this is {folder.name}",
            file=str(folder),
        )
    raw = folder.parent.absolute()
    given = os.environ.get(FROM_ENVIRONMENT["trainer.raw"])
    is_given = given is not None and Path(given).absolute() == raw
    has_other = os.environ.get(FROM_ENVIRONMENT["trainer.preprocessed"])
    return {
        "number": int(name[1]),
        "raw": None if is_given else raw,
        "preprocessed": None if has_other else raw.parent / "nnUNet_preprocessed",
    }


def _why(text: str, indent: int = 0) -> str:
    """A comment."""
    start = " " * indent + "# "
    lines = wrap(
        one_line(text), _WIDTH, initial_indent=start, subsequent_indent=start,
        break_on_hyphens=False,
    )  # fmt: skip
    return "\n".join(lines)


def _text(value: object) -> str:
    """A text as YAML."""
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _numbers(values: Iterable[float]) -> str:
    return f"[{', '.join(f'{value:.4g}' if value % 1 else f'{value:.0f}' for value in values)}]"
