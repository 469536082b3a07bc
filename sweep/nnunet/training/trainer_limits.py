"""Refuse what the trainer cannot do before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweep.data.nnunet_raw.labels import geometric_labels, label_mistakes, named_labels
from sweep.spec.settings.geometric_terms import ALL_CLASSES, COMPARING, GeometricClass, weight_keys
from sweep.spec.settings.loss_settings import LossSettings
from sweep.spec.words.phrases import did_you_mean, near_miss
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
    if has_regions(labels):
        names = list(_regions(labels))
        if wanted is None:
            return (0,)
        if wanted == ALL_CLASSES and wanted not in names:
            return tuple(range(len(names)))
        several = wanted if isinstance(wanted, tuple) else (wanted,)
        return tuple(_channel(names, one) for one in several)
    return geometric_labels(named_labels(dataset_json), wanted, key="trainer.geometric_class")


def has_regions(labels: Mapping[str, Any]) -> bool:
    """Whether nnU-Net trains regions, as in its ``LabelManager.has_regions``."""
    return any(isinstance(value, list | tuple) and len(value) > 1 for value in labels.values())


def _regions(labels: Mapping[str, Any]) -> Iterator[str]:
    """Names of the regions in the order of their channels, as in ``LabelManager._get_regions``."""
    for name, value in labels.items():
        values = value if isinstance(value, list | tuple) else [value]
        if name != "ignore" and any(one not in (0, "0") for one in values):
            yield name


def _channel(regions: Sequence[str], wanted: str | int) -> int:
    """Channel of a region, which has a name and, unlike a class, no number."""
    if wanted in regions:
        return regions.index(str(wanted))
    near = did_you_mean(near_miss(str(wanted), regions))
    raise InputError.single(
        f"{wanted!r} is not the name of a region{near} (the dataset's regions:"
        f" {', '.join(regions)})",
        key="trainer.geometric_class",
    )


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
    if has_regions(labels):
        regions, order = list(_regions(labels)), dataset_json.get("regions_class_order")
        if not isinstance(order, list) or len(order) != len(regions):
            yield Mistake(
                f"`regions_class_order` must be a list with a label for each of the {len(regions)}"
                f" regions ({', '.join(regions)}), in the order in which nnU-Net writes them into a"
                f" mask, but is {order!r}",
                file=name,
            )
    if loss.main != "dice_ce":
        yield Mistake(
            f"nnU-Net's own main loss is `dice_ce` (of regions with binary cross-entropy): must be"
            f" that, but is `{loss.main}`",
            key="loss.main",
        )
    if labels.get("ignore") is not None:
        for key in weight_keys(name for name in loss.weights.used if name in COMPARING):
            yield Mistake(
                "must be 0 where the dataset has an ignore label, to which there is no distance",
                key=key,
            )
