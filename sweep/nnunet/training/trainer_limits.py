"""What the trainer cannot do, told before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sweep.data.nnunet_raw.labels import geometric_label, label_mistakes, named_labels
from sweep.spec.settings.trial_settings import LossSettings
from sweep.vocabulary.errors import InputError, Mistake

if TYPE_CHECKING:
    from sweep.nnunet.training.geometric_trainer import nnUNetTrainerGeometric


def refuse_unsupported(trainer: nnUNetTrainerGeometric) -> None:
    """Return only where the trainer can do what it is asked for.

    Raises:
        InputError: with every reason why not.
    """
    if mistakes := list(_mistakes(trainer)):
        raise InputError(mistakes)


def geometric_channel(dataset_json: Mapping[str, Any], wanted: str | int | None, name: str) -> int:
    """Channel of the class that the geometric terms act on; nnU-Net numbers channels as labels.

    Args:
        dataset_json: of the dataset, read from the file ``name``.
        wanted: the class by name or number; None: the first foreground.

    Raises:
        InputError: the dataset has no such class, or labels that nnU-Net does not take.
    """
    if messages := list(label_mistakes(dataset_json, nnunet=True)):
        raise InputError([Mistake(message, file=name) for message in messages])
    return geometric_label(named_labels(dataset_json), wanted, key="trainer.geometric_class")


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
    if loss.weights.kervadec > 0 and labels.get("ignore") is not None:
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
    name = file_of(trainer.plans_manager.dataset_name)
    yield from unsupported(trainer.asked.settings.loss, trainer.dataset_json, name)


def file_of(dataset: str) -> str:
    """The file of a dataset's labels, for people."""
    return f"{dataset}/dataset.json"
