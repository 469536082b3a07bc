"""``trainer.trainer_class``: a user's subclass of nnU-Net's trainer, or one of nnU-Net's variants.

`GuardedTrainer` stands before it in the order of inheritance, so its ``super()`` is the user's
class. That keeps its loss, optimizer, network, augmentation and hooks. The guard takes the steps.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor

from sweep.nnunet.command.asked_settings import asked_in_file, nnunet_trainer
from sweep.nnunet.command.trainer_copies import trainer_classes
from sweep.nnunet.training.augmentation_strength import parts_of
from sweep.plugins.plugin_kinds import PluginKind
from sweep.spec.settings.loss_settings import LossSettings
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.spec.words.phrases import did_you_mean, near_miss
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
    known = {} if ":" in name else trainer_classes()
    if ":" not in name and name not in known:
        hint = did_you_mean(near_miss(name, known))
        raise TRAINER_CLASS.wrong(f"nnU-Net finds no trainer class `{name}`{hint}")
    found = TRAINER_CLASS.resolve(known.get(name, name), {})
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


def asked_trainer_class() -> type[nnUNetTrainer]:
    """That of the file which nnU-Net's command is given; nnU-Net's own without one."""
    asked = asked_in_file()
    return nnUNetTrainer if asked is None else trainer_class(nnunet_trainer(asked[0]))


def overrides(one: type, method: str) -> bool:
    """Whether a class has another method than nnU-Net's trainer."""
    return getattr(one, method) is not getattr(nnUNetTrainer, method)


def members_of(one: type[nnUNetTrainer], options: Mapping[str, Any]) -> dict[str, Any]:
    """What a subclass of `GuardedTrainer` and this class has: the options, and the static methods,
    which have no ``super()``."""
    return {
        **options,
        "get_training_transforms": staticmethod(partial(untimed, one.get_training_transforms)),
        "build_network_architecture": staticmethod(one.build_network_architecture),
    }


def untimed(make: Callable[..., BasicTransform], *arguments: Any, **named: Any) -> BasicTransform:
    """nnU-Net's transforms, without a choice of algorithm by timing.

    nnU-Net's blur times two algorithms once per process and takes the faster one. They differ in
    the last bits, so two runs of one seed would differ too. Without the timing it convolves.
    """
    transforms = make(*arguments, **named)
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
    """The loss that a trainer class builds, beside what every loss of ours has.

    The class reads and sets the attributes of its loss as if it stood alone.

    Args:
        own: what its ``_build_loss`` returned.
        settings: of the trial's loss, which have no effect.
    """

    geometric_classes: tuple[int, ...] = ()
    geometry = "slices"
    main_weights: Mapping[str, float] = {}

    def __init__(self, own: Callable[..., Tensor], settings: LossSettings) -> None:
        terms: dict[str, Tensor] = {}
        vars(self).update(own=own, settings=settings, factor=0.0, terms=terms)

    def __call__(self, output: Any, target: Any) -> Tensor:
        total: Tensor = vars(self)["own"](output, target)
        self.terms = {"loss": total}
        return total

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked by `copy`, before there is anything
            raise AttributeError(name)
        return getattr(vars(self)["own"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self):
            vars(self)[name] = value
        else:
            setattr(vars(self)["own"], name, value)


def _require_attribute(one: type[nnUNetTrainer], option: str) -> None:
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
