"""Refuse what the trainer cannot do before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sweep.data.nnunet_raw.labels import (
    compared_with_ignored,
    geometric_labels,
    has_regions,
    label_mistakes,
    named_labels,
    region_order_mistakes,
)
from sweep.spec.settings.geometric_terms import GeometricClass
from sweep.spec.settings.loss_settings import OWN_MAIN_LOSSES, LossSettings
from sweep.spec.words.phrases import one_of
from sweep.vocabulary.errors import InputError, Mistake


def refuse_unsupported(
    loss: LossSettings, dataset_json: Mapping[str, Any], name: str, is_ddp: bool
) -> None:
    """Check that the trainer supports the requested settings.

    Args:
        loss, dataset_json, name: as in `unsupported`.
        is_ddp: whether several processes train together.

    Raises:
        InputError: with everything that is not supported.
    """
    mistakes = list(unsupported(loss, dataset_json, name))
    if is_ddp:
        message = (
            "the guard checks the steps of one process: train with -num_gpus 1, and run several"
            " folds in parallel"
        )
        mistakes.insert(0, Mistake(message))
    if mistakes:
        raise InputError(mistakes)


def geometric_channels(
    dataset_json: Mapping[str, Any], wanted: GeometricClass, name: str
) -> tuple[int, ...]:
    """Channels of the classes that the geometric terms act on; nnU-Net numbers channels as labels.

    Of a dataset with regions, the channel of a region: nnU-Net numbers them as they are written.

    Args:
        dataset_json: of the dataset, read from the file ``name``.
        wanted: a class by name or number, a region by name, or several; None: the first.

    Raises:
        InputError: the dataset has no such class, or labels that nnU-Net refuses.
    """
    if messages := list(label_mistakes(dataset_json, nnunet=True)):
        raise InputError([Mistake(message, file=name) for message in messages])
    labels = dataset_json["labels"]
    regions = has_regions(labels)
    found = geometric_labels(
        named_labels(dataset_json), wanted, key="trainer.geometric_class", regions=regions
    )
    return tuple(number - 1 for number in found) if regions else found


def unsupported(
    loss: LossSettings, dataset_json: Mapping[str, Any], name: str
) -> Iterator[Mistake]:
    """Losses that nnU-Net or this dataset do not allow.

    Args:
        loss: settings of the trial.
        dataset_json: of the dataset, whose ``labels`` are an object.
        name: the file that it was read from.
    """
    labels = dataset_json["labels"]
    for message in region_order_mistakes(dataset_json):
        yield Mistake(message, file=name)
    if loss.has_plugin_main:
        yield Mistake(
            f"nnU-Net trains with {one_of(OWN_MAIN_LOSSES)}, whose terms it supervises at each"
            f" resolution: must be one of them, but is the plug-in `{loss.main}`",
            key="loss.main",
        )
    if labels.get("ignore") is not None:
        yield from compared_with_ignored(loss.weights.used)
