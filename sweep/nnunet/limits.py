"""What the trainer cannot do, told before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sweep.data.check import geometric_label
from sweep.errors import InputError, Mistake
from sweep.spec.settings import LossSettings

if TYPE_CHECKING:
    from sweep.nnunet.trainer import nnUNetTrainerGeometric


def refuse_unsupported(trainer: nnUNetTrainerGeometric) -> None:
    """Return only where the trainer can do what it is asked for.

    Raises:
        InputError: with every reason why not.
    """
    if mistakes := list(_mistakes(trainer)):
        raise InputError(mistakes)


def geometric_channel(dataset_json: Mapping[str, Any], wanted: str | int | None) -> int:
    """Channel of the class that the geometric terms act on; nnU-Net numbers channels as labels.

    Raises:
        InputError: the dataset has no such class.
    """
    labels = {name: n for name, n in dataset_json["labels"].items() if name != "ignore"}
    return geometric_label(labels, wanted, key="trainer.geometric_class")


def unsupported(
    loss: LossSettings, dataset_json: Mapping[str, Any], name: str
) -> Iterator[Mistake]:
    """What a dataset and the losses that are asked for do not allow together.

    Args:
        loss: of the trial.
        dataset_json: of the dataset, whose ``labels`` are an object.
        name: the file that it was read from.
    """
    labels = dataset_json["labels"]
    # As in nnU-Net's LabelManager.has_regions.
    if any(isinstance(value, list | tuple) and len(value) > 1 for value in labels.values()):
        yield Mistake(
            "region-based labels are not supported: the losses here take classes that exclude each"
            " other (a softmax)",
            file=name,
        )
    if loss.main != "dice_ce":
        yield Mistake(
            f"nnU-Net's own main loss is `dice_ce`: must be that, but is `{loss.main}`",
            key="loss.main",
        )
    if loss.weights.kervadec > 0 and "ignore" in labels:
        yield Mistake(
            "must be 0 where the dataset has an ignore label, to which there is no distance",
            key="loss.weights.kervadec",
        )


def _mistakes(trainer: nnUNetTrainerGeometric) -> Iterator[Mistake]:
    if trainer.is_ddp:
        yield Mistake(
            "the guard judges the steps of one process: train with -num_gpus 1, and several folds"
            " side by side"
        )
    name = f"{trainer.plans_manager.dataset_name}/dataset.json"
    yield from unsupported(trainer.asked.settings.loss, trainer.dataset_json, name)
