"""The configuration as nnU-Net's live objects have it, for `verify` and ``provenance.json``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch._dynamo import OptimizedModule

from sweep.data.nnunet_raw.case_groups import groups_of
from sweep.data.nnunet_raw.dealt_cases import case_counts
from sweep.data.nnunet_raw.splits import NO_GROUPS
from sweep.nnunet.command.asked_settings import STEPS, VALIDATION_STEPS
from sweep.nnunet.dataset.grouped_splits import GROUPS_KEY
from sweep.nnunet.dataset.nnunet_datasets import number_of
from sweep.nnunet.dataset.planned_network import encoder_of
from sweep.nnunet.training.augmentation_strength import strength_of
from sweep.nnunet.training.guarded_trainer import GuardedTrainer
from sweep.nnunet.training.ordered_batches import TRAINING
from sweep.nnunet.training.own_trainer_class import OwnLoss, overrides
from sweep.spec.tree.setting_tree import names_in
from sweep.trainer.runs.readers import LOOP_READERS, expected, read_back
from sweep.trainer.runs.run_protocol import EffectiveConfiguration, Loop
from sweep.vocabulary.early_stopping import EarlyStopping
from sweep.vocabulary.errors import InputError

NNUNETS_LOOP = "nnU-Net's own loop trains every epoch and judges none"
NOT_READ: Mapping[str, str] = {
    "trainer.kind": "this is the trainer of that kind",
    "trainer.raw": "training reads what was preprocessed",
    "trainer.fingerprint": "it is compared before a trial starts",
    "trainer.groups": "they decide which splits the preprocessed dataset gets",
    "trainer.test": "a test comes when the sweep has ended",
    **{
        key: NNUNETS_LOOP
        for key in LOOP_READERS
        if key.startswith(("early_stopping.", "expect", "objective."))
    },
    **{f"guard.{key}": NNUNETS_LOOP for key in ("collapsed_epochs", "learnt_dice", "learnt_by")},
}
"""Settings that no object of nnU-Net's own loop holds, with the reason."""


def effective_configuration(
    trainer: GuardedTrainer, loop: Loop | None = None
) -> EffectiveConfiguration:
    """Every setting that can be read back, once the trainer has its network and loaders.

    Args:
        loop: what decides where the run ends; None for nnU-Net's own loop.
    """
    not_read = {k: w for k, w in NOT_READ.items() if loop is None or w is not NNUNETS_LOOP}
    not_read |= replaced(trainer)
    ends = loop or Loop(EarlyStopping(patience=None, min_delta=0), trainer.num_epochs)
    found = read_back(trainer, ends, not_read)
    found |= {key: read(trainer) for key, read in READERS.items() if key not in not_read}
    own, planned = trainer.trainer_settings, trainer.configuration_manager
    # Plans and machine decide a part of these settings.
    decided = {
        "trainer.steps_per_epoch": own.steps_per_epoch or STEPS,
        "trainer.validation_steps": own.validation_steps or VALIDATION_STEPS,
        "trainer.amp": trainer.amp,
        "trainer.batch_size": own.batch_size or planned.batch_size,
        "trainer.patch_size": own.patch_size or list(planned.patch_size),
        **_expected_network(trainer),
        # nnU-Net compiles only on a GPU.
        "trainer.compile": own.compile and trainer.device.type == "cuda",
    }
    labels = trainer.label_manager
    return EffectiveConfiguration(
        effective=found,
        expected=expected(trainer) | decided,
        not_read=not_read,
        model=trainer.model,
        cases=_cases(trainer),
        classes={"regions": labels.has_regions, "ignore": labels.ignore_label},
    )


def replaced(trainer: GuardedTrainer) -> dict[str, str]:
    """Settings whose place a class of the user's takes, and why nothing holds them."""
    own, keys = trainer.derived_from, names_in(trainer.settings)
    return {
        key: f"{own.__name__} has its own {method}"
        for method, groups in REPLACED_BY.items()
        if overrides(own, method) or (method == LOSS and isinstance(trainer.guarded_loss, OwnLoss))
        for key in keys
        if key.startswith(groups)
    }


LOSS = "_build_loss"
REPLACED_BY = {
    LOSS: ("loss.", "trainer.geometr"),
    "configure_optimizers": (
        *("optimizer.name", "optimizer.options", "optimizer.lr", "optimizer.momentum"),
        *("optimizer.weight_decay", "optimizer.schedule", "optimizer.poly_exponent"),
    ),
    "get_training_transforms": ("trainer.augmentation_strength",),
    "build_network_architecture": (
        *("trainer.encoder", "trainer.base_features", "trainer.max_features"),
    ),
}
"""Method of nnU-Net's trainer → prefixes of the settings that a user's method replaces."""


def _cases(trainer: GuardedTrainer) -> dict[str, int]:
    """How many cases, and groups of them if the settings name groups, are on both sides."""
    training, validation = trainer.do_split()
    groups = NO_GROUPS
    with suppress(InputError):  # the file with the groups is not on this machine
        groups = groups_of(trainer.trainer_settings.groups, [*training, *validation], GROUPS_KEY)
    return case_counts(training, validation, groups)


def _geometric_class(trainer: GuardedTrainer) -> Any:
    """The classes that the loss acts on; as the settings name them, if they are those."""
    acts_on = trainer.guarded_loss.geometric_classes
    as_asked = acts_on == trainer.geometric_classes
    return trainer.trainer_settings.geometric_class if as_asked else acts_on


def _dataset(trainer: GuardedTrainer) -> int | str:
    """The dataset that is trained on, by number or name as in the settings."""
    name: str = trainer.plans_manager.dataset_name
    return number_of(name) if isinstance(trainer.trainer_settings.dataset, int) else name


def _expected_network(trainer: GuardedTrainer) -> dict[str, Any]:
    """The settings of the network; where they say nothing, those of the plans, as trained with."""
    own, planned = trainer.trainer_settings, trainer.configuration_manager
    features = planned.network_arch_init_kwargs.get("features_per_stage") or ()
    kind = encoder_of(planned.network_arch_class_name) or "plans"
    return {
        "trainer.encoder": kind if own.encoder == "plans" else own.encoder,
        "trainer.base_features": own.base_features or (features[0] if features else None),
        "trainer.max_features": max(features, default=None),
    }


def _features(trainer: GuardedTrainer) -> Sequence[int]:
    """Channels of each stage of the encoder; empty for a network without one."""
    found: Sequence[int] = getattr(getattr(trainer.model, "encoder", None), "output_channels", ())
    return found


READERS: Mapping[str, Callable[[GuardedTrainer], Any]] = {
    "trainer.trainer_class": lambda trainer: (
        trainer.trainer_settings.trainer_class
        if isinstance(trainer, trainer.derived_from)
        else None
    ),
    "trainer.options": lambda trainer: {
        name: getattr(trainer, name) for name in trainer.trainer_settings.options
    },
    "trainer.dataset": _dataset,
    "trainer.configuration": lambda trainer: trainer.configuration_name,
    "trainer.fold": lambda trainer: trainer.fold,
    "trainer.plans": lambda trainer: trainer.plans_manager.plans_name,
    "trainer.batch_size": lambda trainer: trainer.batch_size,
    "trainer.patch_size": lambda trainer: list(trainer.configuration_manager.patch_size),
    "trainer.encoder": lambda trainer: encoder_of(type(trainer.model).__name__) or "plans",
    "trainer.base_features": lambda trainer: next(iter(_features(trainer)), None),
    "trainer.max_features": lambda trainer: max(_features(trainer), default=None),
    "trainer.oversample_foreground": lambda trainer: trainer.oversample_foreground_percent,
    "trainer.augmentation_strength": lambda trainer: (
        strength_of(trainer.batches.loader(TRAINING).transforms) if trainer.batches else None
    ),
    "trainer.validation_steps": lambda trainer: trainer.num_val_iterations_per_epoch,
    "trainer.workers": lambda trainer: trainer.batches.workers if trainer.batches else None,
    "trainer.compile": lambda trainer: isinstance(trainer.network, OptimizedModule),
    "trainer.geometric_class": _geometric_class,
    "trainer.geometry": lambda trainer: trainer.guarded_loss.geometry,
    "trainer.preprocessed": lambda trainer: str(
        Path(trainer.preprocessed_dataset_folder_base).parent.absolute()
    ),
}
"""Dotted name → where nnU-Net has the value."""
