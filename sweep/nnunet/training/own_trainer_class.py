"""``trainer.trainer_class``: a user's subclass of nnU-Net's trainer, or one of nnU-Net's variants.

`GuardedTrainer` stands before it in the order of inheritance, so its ``super()`` is the user's
class. That keeps its loss, optimizer, network, augmentation and hooks. The guard takes the steps.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any

from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor

from sweep.nnunet.command.trainer_copies import entry_of_class
from sweep.nnunet.training.augmentation_strength import parts_of
from sweep.plugins.plugin_kinds import PluginKind
from sweep.spec.settings.loss_settings import LossSettings
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.spec.words.phrases import did_you_mean, near_miss
from sweep.trainer.runs.returned_values import Method
from sweep.vocabulary.errors import InputError

TRAINER_CLASS = PluginKind(
    "nnU-Net trainer",
    "trainer.trainer_class",
    ("plans", "configuration", "fold", "dataset_json", "device"),
    ("_build_loss", "configure_optimizers"),
)
TAKEN_OVER = {
    "initial_lr": ("optimizer.lr", 1e-2),
    "weight_decay": ("optimizer.weight_decay", 3e-5),
    "num_epochs": ("trainer.epochs", 1000),
    "num_iterations_per_epoch": ("trainer.steps_per_epoch", 250),
    "num_val_iterations_per_epoch": ("trainer.validation_steps", 50),
    "oversample_foreground_percent": ("trainer.oversample_foreground", 0.33),
}
"""Attribute of nnU-Net's trainer → the setting that takes its place, and what nnU-Net sets."""

NOT_CALLED = (
    *("run_training", "on_train_end", "on_train_epoch_end", "on_epoch_start", "on_epoch_end"),
    *("save_checkpoint", "load_checkpoint"),
)
"""Methods of nnU-Net's trainer that a trial of a sweep does not call."""


def trainer_class(trainer: NnunetTrainer) -> type[nnUNetTrainer]:
    """The class that trains.

    Raises:
        InputError: there is none, it is no subclass of nnU-Net's trainer, it takes its steps
            itself, or it lacks an attribute that ``trainer.options`` sets.
    """
    name = trainer.trainer_class
    if not trainer.own_code:
        plain: type[nnUNetTrainer] = nnUNetTrainer
        return plain
    found = TRAINER_CLASS.resolve(name if ":" in name else entry_of_class(name), {})
    if not (inspect.isclass(found) and issubclass(found, nnUNetTrainer)):
        raise TRAINER_CLASS.wrong(f"`{name}` is no subclass of nnUNetTrainer")
    if overrides(found, "train_step"):
        raise TRAINER_CLASS.wrong(
            f"`{name}` has a train_step of its own, but the guard must take the steps: leave it"
            " out, and put the loss into _build_loss, the optimizer into configure_optimizers"
        )
    for option in trainer.options:
        _require_attribute(found, option)
    return found


def refuse_names(one: type, names: Iterable[str], taken: Container[str]) -> None:
    """
    Raises:
        InputError: a class names something of its own as the sweep's trainer names its own.
    """
    clash = [n for n in names if n in taken and not n.startswith(("__", "_abc_"))]
    if clash:
        raise TRAINER_CLASS.wrong(
            f"{one.__name__} has an attribute `{clash[0]}`, a name that the trainer of a sweep uses"
            " for its own: rename it"
        )


def overrides(one: type, method: str) -> bool:
    """Whether a class has another method than nnU-Net's trainer."""
    return getattr(one, method) is not getattr(nnUNetTrainer, method)


def members_of(one: type[nnUNetTrainer], options: Mapping[str, Any]) -> dict[str, Any]:
    """What a subclass of `GuardedTrainer` and this class has: the options, and the method that
    makes the network, be it static, of the class or of an object."""
    network = "build_network_architecture"
    return {**options, network: inspect.getattr_static(one, network)}


def untimed(transforms: BasicTransform) -> BasicTransform:
    """nnU-Net's transforms, without a choice of algorithm by timing.

    nnU-Net's blur times two algorithms once per process and takes the faster one. They differ in
    the last bits, so two runs of one seed would differ too. Without the timing it convolves.
    """
    for transform in parts_of(transforms):
        if hasattr(transform, "benchmark"):
            transform.benchmark = False
    return transforms


def without_effect(
    one: type[nnUNetTrainer], made_with: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[str]:
    """Sentences about what a class does and a sweep replaces or leaves out.

    Args:
        made_with: the attributes of `TAKEN_OVER` as its ``__init__`` left them.
        now: the values in effect.
    """
    for attribute, (setting, usual) in TAKEN_OVER.items():
        value = made_with[attribute]
        if value not in (usual, now[attribute]):
            yield (
                f"{attribute} = {value} of {one.__name__} has no effect: `{setting}`"
                f" ({now[attribute]}) takes its place"
            )
    for method in NOT_CALLED:
        if overrides(one, method):
            yield f"{method} of {one.__name__} has no effect: a sweep does not call it"


class OwnLoss:
    """The loss of a trainer class, as its steps take it.

    Args:
        own: what the class builds, or sets as ``self.loss``.
        settings: of the trial's loss, which have no effect.
    """

    main_weights: Mapping[str, float] = {}

    def __init__(self, own: Callable[..., Any], settings: LossSettings) -> None:
        self.settings = settings
        self.factor = 0.0
        self.terms: Mapping[str, Tensor] = {}
        self._own = own

    def __call__(self, output: Any, target: Any) -> Tensor:
        """The total (scalar).

        Raises:
            TrainerError: the loss returns something else.
        """
        total = self._own(output, target)
        if not (isinstance(total, Tensor) and total.numel() == 1):
            right = "the loss of a trainer class must return one number, as a tensor with its graph"
            Method(self._own).refuse(total, right)
        self.terms = {"loss": total.reshape(())}
        return self.terms["loss"]


def _require_attribute(one: type[nnUNetTrainer], option: str) -> None:
    if option in TAKEN_OVER:
        raise InputError.single(
            f"`{TAKEN_OVER[option][0]}` sets {option} of {one.__name__}: set that instead",
            key=f"trainer.options.{option}",
        )
    if not option.startswith("_") and hasattr(one, option) and not callable(getattr(one, option)):
        return
    known = [
        name
        for name, value in inspect.getmembers(one)
        if not name.startswith("_") and not callable(value)
    ]
    raise InputError.single(
        f"{one.__name__} has no attribute `{option}`{did_you_mean(near_miss(option, known))}:"
        f" give it a value in the class, as `{option} = …`",
        key=f"trainer.options.{option}",
    )
