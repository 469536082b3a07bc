"""The network of nnU-Net's plans, as a trial changes it: values of nnU-Net's own planners."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (
    ExperimentPlanner,
)
from nnunetv2.experiment_planning.experiment_planners.resencUNet_planner import ResEncUNetPlanner
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

from sweep.nnunet.dataset.planned_network import network_as_asked, network_mistakes
from sweep.nnunet.dataset.plans import planned_as_asked
from sweep.spec.settings.trainer_settings import NnunetTrainer


def trainer(**own: Any) -> NnunetTrainer:
    return NnunetTrainer(kind="nnunet", dataset=1, **own)


def planned(stages: int, axes: int = 2, encoder: str = "PlainConvUNet") -> dict[str, Any]:
    """A configuration as nnU-Net plans it."""
    op = f"torch.nn.modules.conv.Conv{axes}d"
    own = {"n_conv_per_stage": [2] * stages, "n_conv_per_stage_decoder": [2] * (stages - 1)}
    if encoder != "PlainConvUNet":
        own = {"n_blocks_per_stage": [1] * stages, "n_conv_per_stage_decoder": [1] * (stages - 1)}
    return {
        "patch_size": [2**stages] * axes,
        "batch_size": 2,
        "architecture": {
            "network_class_name": f"dynamic_network_architectures.architectures.unet.{encoder}",
            "arch_kwargs": {
                "n_stages": stages,
                "features_per_stage": [min(32 * 2**n, 320) for n in range(stages)],
                "conv_op": op,
                "kernel_sizes": [[3] * axes] * stages,
                "strides": [[1] * axes, *[[2] * axes] * (stages - 1)],
                **own,
                "conv_bias": True,
                "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{axes}d",
                "norm_op_kwargs": {"eps": 1e-5, "affine": True},
                "dropout_op": None,
                "dropout_op_kwargs": None,
                "nonlin": "torch.nn.LeakyReLU",
                "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
    }


def planner(kind: type[ExperimentPlanner]) -> Any:
    """What a planner of nnU-Net sets before it looks at a dataset."""
    text = "".join(inspect.getsource(one.__init__) for one in kind.__mro__[:-1])
    found = re.search(r"UNet_blocks_per_stage_encoder = \((.*?)\)", text)
    decoder = re.search(r"UNet_blocks_per_stage_decoder = \((.*?)\)", text)
    assert found
    assert decoder
    return [tuple(map(int, one[1].split(","))) for one in (found, decoder)]


@pytest.mark.parametrize("stages", [2, 4, 5, 7])
@pytest.mark.parametrize(
    ("encoder", "kind", "blocks"),
    [("residual", ResEncUNetPlanner, "n_blocks_per_stage"),
     ("plain", ExperimentPlanner, "n_conv_per_stage")],
)  # fmt: skip
def test_encoder_has_the_blocks_that_nnunets_planner_gives_it(
    stages: int, encoder: str, kind: type[ExperimentPlanner], blocks: str
) -> None:
    other = "PlainConvUNet" if encoder == "residual" else "ResidualEncoderUNet"
    found = network_as_asked(trainer(encoder=encoder), planned(stages, encoder=other))
    own, decoder = planner(kind)
    assert found["arch_kwargs"][blocks] == list(own[:stages])
    assert found["arch_kwargs"]["n_conv_per_stage_decoder"] == list(decoder[: stages - 1])


@pytest.mark.parametrize(
    ("own", "axes", "features"),
    [
        ({"base_features": 16}, 2, [16, 32, 64, 128, 256]),
        ({"base_features": 64}, 2, [64, 128, 256, 512, 512]),
        ({"base_features": 64}, 3, [64, 128, 256, 320, 320]),
        ({"max_features": 100}, 3, [32, 64, 100, 100, 100]),
        ({"base_features": 6, "max_features": 20}, 2, [6, 12, 20, 20, 20]),
    ],
)
def test_width_doubles_from_the_base_up_to_the_limit(
    own: dict[str, int], axes: int, features: list[int]
) -> None:
    found = network_as_asked(trainer(**own), planned(5, axes))
    assert found["arch_kwargs"]["features_per_stage"] == features


@pytest.mark.parametrize("encoder", ["plain", "residual"])
@pytest.mark.parametrize("before", ["PlainConvUNet", "ResidualEncoderUNet"])
def test_nnunet_builds_the_changed_network(encoder: str, before: str) -> None:
    asked = trainer(encoder=encoder, base_features=4)
    plans = {"plans_name": "p", "dataset_name": "Dataset001_A",
             "configurations": {"2d": planned(3, encoder=before)}}  # fmt: skip
    network = planned_as_asked(plans, "2d", asked)["configurations"]["2d"]["architecture"]
    built = get_network_from_plans(
        network["network_class_name"], network["arch_kwargs"], network["_kw_requires_import"], 1, 2
    )
    names = {"plain": "PlainConvUNet", "residual": "ResidualEncoderUNet"}
    assert type(built).__name__ == names[encoder]
    assert list(built.encoder.output_channels) == [4, 8, 16]


def test_network_of_a_user_keeps_its_encoder_and_older_plans_describe_none() -> None:
    foreign = planned(3, encoder="MyUNet")
    assert [str(one) for one in network_mistakes(trainer(encoder="residual"), foreign)] == [
        "trainer.encoder: changes only nnU-Net's own networks (PlainConvUNet, ResidualEncoderUNet),"
        " but the plans have dynamic_network_architectures.architectures.unet.MyUNet: must be"
        " `plans`, or plan again"
    ]
    old = {"patch_size": [8, 8], "pool_op_kernel_sizes": [[2, 2]]}
    keys = [one.key for one in network_mistakes(trainer(encoder="plain", base_features=8), old)]
    assert keys == ["trainer.encoder", "trainer.base_features"]
    assert not [*network_mistakes(trainer(), old)]
