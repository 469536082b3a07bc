"""The network of nnU-Net's plans, with the encoder and the width that a trial sets instead.

Only the network changes. nnU-Net's own presets for residual encoders (M, L, XL) also plan another
patch and batch for the memory of a GPU: plan with them for these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.vocabulary.errors import Mistake

NETWORKS = "dynamic_network_architectures.architectures.unet."
CLASSES = {"plain": "PlainConvUNet", "residual": "ResidualEncoderUNet"}
"""``trainer.encoder`` → class of the network in `NETWORKS`."""
RESIDUAL_BLOCKS = (1, 3, 4, 6)
"""Blocks of the first stages of a residual encoder; all further stages have as many as the last.

Source: nnU-Net 2.8.1, ``ResEncUNetPlanner``, also the single convolution of a decoder's stage."""
PLAIN_CONVOLUTIONS = 2
"""Convolutions of each stage of a plain encoder and its decoder; ``ExperimentPlanner`` there."""
MOST_FEATURES = {2: 512, 3: 320}
"""Number of axes → most channels of a stage; ``ExperimentPlanner`` there."""


def changes_network(trainer: NnunetTrainer) -> bool:
    """Whether a trial sets anything of the network itself."""
    return trainer.encoder != "plans" or bool(trainer.base_features or trainer.max_features)


def encoder_of(class_name: object) -> str | None:
    """``plain`` or ``residual`` for the class of a network; None for another one."""
    name = str(class_name).rpartition(".")[2]
    return next((kind for kind, known in CLASSES.items() if known == name), None)


def network_mistakes(trainer: NnunetTrainer, planned: Mapping[str, Any]) -> Iterator[Mistake]:
    """Why the network of a configuration cannot be changed as a trial asks.

    Args:
        planned: the configuration, without mistakes of `sweep.nnunet.dataset.plans`.
    """
    if not changes_network(trainer):
        return
    network = planned.get("architecture", {})
    values = network.get("arch_kwargs", {})
    if trainer.encoder != "plans" and encoder_of(network.get("network_class_name")) is None:
        found = network.get("network_class_name", "no network (nnU-Net before 2.5)")
        yield Mistake(
            f"changes only nnU-Net's own networks ({', '.join(CLASSES.values())}), but the"
            f" plans have {found}: must be `plans`, or plan again",
            key="trainer.encoder",
        )
    for key in ("base_features", "max_features"):
        features = values.get("features_per_stage")
        if getattr(trainer, key) is not None and not isinstance(features, list):
            yield Mistake(
                "changes the `features_per_stage` of a planned network, which these plans do not"
                " have: must be null, or plan again",
                key=f"trainer.{key}",
            )
            return


def network_as_asked(trainer: NnunetTrainer, planned: Mapping[str, Any]) -> dict[str, Any]:
    """The ``architecture`` of a configuration, with what a trial sets; `network_mistakes` has none.

    Args:
        planned: the configuration with everything that it inherits.
    """
    network: dict[str, Any] = deepcopy(planned["architecture"])
    values = network["arch_kwargs"]
    stages = len(values["strides"])
    if trainer.encoder not in ("plans", encoder_of(network["network_class_name"])):
        network["network_class_name"] = NETWORKS + CLASSES[trainer.encoder]
        values.pop("n_conv_per_stage", None)
        values.pop("n_blocks_per_stage", None)
        if trainer.encoder == "residual":
            more = stages - len(RESIDUAL_BLOCKS)
            values["n_blocks_per_stage"] = [*RESIDUAL_BLOCKS, *RESIDUAL_BLOCKS[-1:] * more][:stages]
            values["n_conv_per_stage_decoder"] = [1] * (stages - 1)
        else:
            values["n_conv_per_stage"] = [PLAIN_CONVOLUTIONS] * stages
            values["n_conv_per_stage_decoder"] = [PLAIN_CONVOLUTIONS] * (stages - 1)
    if trainer.base_features or trainer.max_features:
        base = trainer.base_features or values["features_per_stage"][0]
        most = trainer.max_features or MOST_FEATURES[len(planned["patch_size"])]
        values["features_per_stage"] = [min(base * 2**stage, most) for stage in range(stages)]
    return network
