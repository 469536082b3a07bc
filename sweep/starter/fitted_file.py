"""The text of a sweep's file that is fitted to a dataset, with a comment for each value."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from textwrap import wrap

from sweep.data.nnunet_raw.splits import SPLITS_FILE, enumerated
from sweep.machine.hardware import Machine, gpu_memory
from sweep.nnunet.dataset.nnunet_datasets import NAME
from sweep.spec.settings.data_settings import TEST_FOLDER
from sweep.spec.settings.trainer_settings import FROM_ENVIRONMENT
from sweep.spec.words.phrases import counted
from sweep.starter.dataset_sizes import DatasetSizes
from sweep.starter.fitted_plan import FEWEST_SLICES, ON_CPU, ON_GPU, Plan, folds, plan
from sweep.vocabulary.errors import InputError, one_line

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
    made = plan(sizes, memory)
    body = {"monai": _monai, "nnunet": _nnunet}[trainer](sizes, made, memory)
    lines = [*_head(sizes, memory, file), "", *_search(memory), "", *body, "", *_space(sizes, made)]
    return "\n".join(lines) + "\n"


def _why(text: str, indent: int = 0) -> list[str]:
    """A comment."""
    return wrap(one_line(text), _WIDTH, initial_indent=" " * indent + "# ",
                subsequent_indent=" " * indent + "# ", break_on_hyphens=False)  # fmt: skip


def _text(value: str) -> str:
    """A text as YAML."""
    return value if _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)


def _numbers(values: tuple[float, ...]) -> str:
    return f"[{', '.join(f'{value:.4g}' if value % 1 else f'{value:.0f}' for value in values)}]"


def _gib(memory: float) -> str:
    return f"about {memory:.1f} GiB" if memory >= 0.05 else "less than 0.1 GiB"


def _device(memory: float | None) -> str:
    return "a CPU" if memory is None else f"a GPU with {memory:.0f} GiB"


def _head(sizes: DatasetSizes, memory: float | None, file: Path) -> Iterator[str]:
    dataset = sizes.dataset
    yield from _why(
        f"A sweep of {dataset.folder.name}, written by sweep.init for {_device(memory)} from the"
        " headers of its images. The values are starting points. None of them is tuned: change what"
        " you know better."
    )
    yield "#"
    yield f"#   python -m sweep.check {quote(str(file))} --data    # reads the images too"
    yield f"#   python -m sweep.run {quote(str(file))}"
    yield "#"
    channels = enumerated(list(dataset.channel_names), most=6)
    yield from _why(
        f"{counted(len(sizes.shapes), 'case')} of {sizes.words or 'unknown size'}; channels:"
        f" {channels}; classes: {enumerated(list(dataset.classes[1:]), most=12)}"
        + ", which are regions and may overlap" * (dataset.regions is not None)
        + f"; label {dataset.ignore} is ignored" * (dataset.ignore is not None)
        + "."
    )


def _search(memory: float | None) -> Iterator[str]:
    size = ON_CPU if memory is None else ON_GPU
    yield f"trials: {size.trials}"
    yield "presets: [baseline]      # a trial without geometric losses, to compare with"
    yield f"searcher: {{name: tpe, startup_trials: {size.trials // 3}}}"
    yield "scheduler: {name: asha, reduction_factor: 2}"


def _monai(sizes: DatasetSizes, made: Plan, memory: float | None) -> Iterator[str]:
    dataset = sizes.dataset
    yield "data:"
    yield "  source: nnunet_raw"
    yield f"  folder: {_text(str(dataset.folder))}"
    yield from _spatial(sizes, made, memory)
    yield from _spacing(sizes, made)
    yield from _patch(sizes, made, memory)
    yield from _folds(sizes)
    yield from _test(sizes)
    yield from _geometric_class(sizes)
    yield "trainer:"
    yield from _length(made, memory)
    yield from _why(
        f"A step takes {_gib(made.memory)} by estimate. Raise it if memory is left.", 2,
    )  # fmt: skip
    yield f"  batch_size: {made.batch}"
    if memory is not None:
        yield "  # amp: bf16               # often faster on a GPU; the losses stay in float32"
    yield from _why("As many levels as patch and images have room for; each doubles the channels.")
    yield f"network: {{name: dynunet, channels: [{', '.join(map(str, made.channels))}]}}"
    if memory is None:
        yield from _why("A short run learns little at nnU-Net's rate of 0.01.")
        yield "optimizer: {name: sgd, lr: 0.05, momentum: 0.9}"
    else:
        yield "optimizer: {name: sgd, lr: 0.01, momentum: 0.99}      # those of nnU-Net"
    yield from _ramp(made)


def _spatial(sizes: DatasetSizes, made: Plan, memory: float | None) -> Iterator[str]:
    if not sizes.some_volumes:
        return
    if made.volumes:
        why = "Every case is a volume with enough slices for a network in 3D. `slices` is faster."
    elif not sizes.all_volumes:
        why = "Some cases are images and not volumes, so volumes are cut into slices."
    elif memory is None:
        why = "A network in 3D is slow on a CPU: `volumes` is worth a try on a GPU."
    else:
        why = f"Most volumes have fewer than {FEWEST_SLICES} slices: too few for a network in 3D."
    yield from _why(why, 2)
    yield f"  spatial: {'volumes' if made.volumes else 'slices'}"


def _spacing(sizes: DatasetSizes, made: Plan) -> Iterator[str]:
    if made.spacing is None:
        return
    if made.spacing == "median":
        why = "The spacing differs between cases. All are brought to the median, as in nnU-Net."
        value = "median"
    else:
        assert isinstance(made.spacing, tuple)
        why = "Pixels are not square, and the geometric losses would see shapes stretched."
        value = _numbers(made.spacing)
    yield from _why(why, 2)
    yield f"  spacing: {value}"


def _patch(sizes: DatasetSizes, made: Plan, memory: float | None) -> Iterator[str]:
    shape = "×".join(map(str, made.shape))
    if made.patch is None:
        yield from _why(f"Whole images are trained on: all have {shape} pixels.", 2)
        yield "  patch_size: null"
        return
    what = "volume" if made.volumes else "image"
    yield from _why(
        f"The median {what} has {shape} {'voxels' if made.volumes else 'pixels'}; this is what fits"
        f" {_device(memory)} and the levels of the network.", 2,
    )  # fmt: skip
    yield f"  patch_size: {_numbers(made.patch)}"


def _folds(sizes: DatasetSizes) -> Iterator[str]:
    cases = len(sizes.shapes)
    if sizes.splits is not None:
        yield from _why(f"The folds are those of {SPLITS_FILE}: {len(sizes.splits)}.", 2)
    elif folds(cases) < 5:
        yield from _why(f"{cases} cases do not make five folds.", 2)
        yield f"  folds: {folds(cases)}"
    yield "  fold: 0"


def _test(sizes: DatasetSizes) -> Iterator[str]:
    if sizes.has_test:
        yield from _why("No trial sees the test images. The finalists are scored on them.", 2)
        yield f"  test: {TEST_FOLDER}"


def _geometric_class(sizes: DatasetSizes) -> Iterator[str]:
    names = sizes.dataset.classes[1:]
    if len(names) > 1:
        why = "Each class is a mask of its own. Better name those with a smooth outline."
        yield from _why(why, 2)
        yield "  geometric_class: all"


def _length(made: Plan, memory: float | None) -> Iterator[str]:
    through = -(-made.samples // made.batch)
    if made.steps is not None:
        longer = "longer, so that a trial trains enough"
        shorter = "shorter, so that trials are compared often enough"
        yield from _why(
            f"Once through {counted(made.samples, 'sample')} would be {counted(through, 'step')}:"
            f" an epoch is {longer if made.steps > through else shorter}.", 2,
        )  # fmt: skip
        yield f"  steps_per_epoch: {made.steps}"
    steps = made.epochs * (made.steps or through)
    rest = ": short, for a CPU" if memory is None else ""
    yield from _why(f"{steps} steps a trial{rest}. Train the winner longer.", 2)
    yield f"  epochs: {made.epochs}"


def _ramp(made: Plan) -> Iterator[str]:
    yield from _why("The geometric losses rise to their weights over so many epochs.")
    yield f"loss: {{rampup_epochs: {max(1, made.epochs // 10)}, sqrt_mode: centered}}"


def _space(sizes: DatasetSizes, made: Plan) -> Iterator[str]:
    epochs = made.epochs
    low, high = max(1, epochs // 10), max(3, epochs // 2)
    patience = sorted({max(3, round(epochs * share)) for share in (0.15, 0.25, 0.4)})
    yield "space:"
    yield from _why("Switch the geometric losses on once the network knows where things are.", 2)
    yield f"  loss.warmup_epochs: {{randint: [{low}, {high}]}}"
    yield from _why(
        "Wide ranges, since the right weight depends on the shapes: compactness and aspect pull"
        " towards discs. Leave out a term that does not suit them.", 2,
    )  # fmt: skip
    for name in ("compactness", "boundary", "aspect"):
        yield f"  loss.weights.{name}: {{loguniform: [1.0e-4, 0.3]}}"
    yield from _why("0 is left out: with it, a run can turn NaN.", 2)
    yield "  loss.sqrt_epsilon: {choice: [1.0e-8, 1.0e-6, 1.0e-4]}"
    yield from _why("Costs no trial: the shorter ones are answered from the curves.", 2)
    yield f"  early_stopping.patience: {{choice: [{', '.join(map(str, patience))}]}}"


def _nnunet(sizes: DatasetSizes, made: Plan, memory: float | None) -> Iterator[str]:
    folder = sizes.dataset.folder
    name = NAME.fullmatch(folder.name)
    if name is None:
        raise InputError.single(
            f"nnU-Net needs a folder named like Dataset123_Name, but this is {folder.name}",
            file=str(folder),
        )
    yield "trainer:"
    yield "  kind: nnunet"
    yield f"  dataset: {int(name[1])}"
    yield from _nnunet_folders(folder.parent)
    if sizes.some_volumes:
        why = (
            "Every case is a volume. nnU-Net plans patch, batch and network itself."
            if made.volumes
            else "nnU-Net's 2D network takes slices; 3d_fullres wants a GPU and volumes."
        )
        yield from _why(why, 2)
    yield f"  configuration: {'3d_fullres' if made.volumes else '2d'}"
    if sizes.splits is not None:
        yield from _why(f"The folds are those of {SPLITS_FILE}: {len(sizes.splits)}.", 2)
    yield "  fold: 0"
    yield from _test(sizes)
    yield from _geometric_class(sizes)
    if memory is None:
        yield from _why("nnU-Net's 250 steps an epoch take long on a CPU.", 2)
        yield "  steps_per_epoch: 20"
        yield "  validation_steps: 5"
    yield f"  epochs: {made.epochs}"
    yield from _ramp(made)


def _nnunet_folders(raw: Path) -> Iterator[str]:
    """The folders that the environment does not name."""
    variable = FROM_ENVIRONMENT["trainer.raw"]
    given = os.environ.get(variable)
    if given is None or Path(given).absolute() != raw.absolute():
        yield f"  raw: {_text(str(raw.absolute()))}"
    variable = FROM_ENVIRONMENT["trainer.preprocessed"]
    if not os.environ.get(variable):
        yield from _why(f"${variable} is not set. What nnU-Net prepares goes here.", 2)
        yield f"  preprocessed: {_text(str(raw.absolute().parent / 'nnUNet_preprocessed'))}"
