"""Which trainer runs a trial, and what its loop looks like: MONAI's, nnU-Net's, a user's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from sweep.machine.user_paths import Folder
from sweep.plugins.entry_names import as_entry
from sweep.spec.settings.entry_source import computes_its_own_loss
from sweep.spec.settings.settings_base import Options, Settings
from sweep.spec.settings.trainer_traits import TrainerTraits


class CommonTrainer(Settings):
    """What the loop of every trainer has, beside an ``amp`` with the precisions that it knows."""

    traits: ClassVar[TrainerTraits] = TrainerTraits()

    kind: str
    epochs: int = Field(default=100, ge=1)
    """Most epochs that a trial trains."""
    steps_per_epoch: int | None = Field(default=None, ge=1)
    """Optimizer steps an epoch; null: once through the training images, in nnU-Net its 250."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU where the trial has one."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of torch; sums depend on it in the last bit, so it is a setting."""
    deterministic: bool = True
    """Ask torch for deterministic kernels: the same numbers in every run on the same device."""

    @property
    def computes_its_own_loss(self) -> bool:
        """Whether no setting below ``loss`` acts unless the trainer looks at it itself."""
        return False


class MonaiTrainer(CommonTrainer):
    """Networks of MONAI on ``data``."""

    traits = TrainerTraits(
        reads=frozenset({"data", "network", "augmentation", "evaluation"}),
        looked_at=("data",),
        has_test_split=True,
    )

    kind: Literal["monai"] = "monai"
    batch_size: int = Field(default=8, ge=1)
    """Images a step."""
    amp: Literal["off", "bf16", "fp16"] = "off"
    """Precision of the network: float32, or mixed with bfloat16 or float16; losses are float32."""


FROM_ENVIRONMENT = {
    "trainer.raw": "nnUNet_raw",
    "trainer.preprocessed": "nnUNet_preprocessed",
}
"""Settings whose default is a folder that nnU-Net takes from the environment → its variable."""


def _from_environment(name: str) -> Any:
    """The default of such a setting, as it is when the settings are read."""
    return Field(default_factory=lambda: os.environ.get(FROM_ENVIRONMENT[name]) or None)


class NnunetTrainer(CommonTrainer):
    """nnU-Net v2 on one of its datasets: data, network and augmentation are those of its plans."""

    # Source of the figures: 150 pairs of trainings that AutoML Hannover published
    # (github.com/automl/AutoNNUnet), three architectures on five folds of ten datasets, 1,000
    # epochs each; mean of the last 20.
    traits = TrainerTraits(
        looked_at=("trainer", "loss"),
        fold_key="trainer.fold",
        folds=5,
        dice_alone="nnU-Net measures no other metric in an epoch than its pseudo Dice",
        processes="trainer.workers",
        places=("raw", "preprocessed"),
        packages=("nnunetv2",),
        caution=(
            "Ranked by nnU-Net's pseudo Dice, which on one fold ordered two published trainings"
            " like the real validation of that fold in 65 % of 150 pairs, and on five folds"
            " together in 83 % (docs/reference/nnunet.md): the first is a candidate, its real"
            " validation tells."
        ),
    )

    kind: Literal["nnunet"]
    dataset: int | Annotated[str, Field(min_length=1)]
    """Its number or its name, such as 502 or Dataset502_Shapes."""
    configuration: Annotated[str, Field(min_length=1)] = "2d"
    """One of the plans' configurations: 2d, 3d_fullres, …"""
    fold: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    """The fold that validates, from 0, or all: every case trains and validates."""
    plans: Annotated[str, Field(min_length=1)] = "nnUNetPlans"
    """Name of the plans: their file without its ending."""
    batch_size: int | None = Field(default=None, ge=1)
    """Patches a step; null: the plans'."""
    patch_size: (
        Annotated[
            tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False, min_length=2, max_length=3)
        ]
        | None
    ) = None
    """Voxels along each axis, the plans' order; null: the plans'."""
    validation_steps: int | None = Field(default=None, ge=1)
    """Batches of validation patches an epoch, for the pseudo Dice; null: nnU-Net's 50."""
    workers: int = Field(default=0, ge=0)
    """Processes that augment beside the training; 0: none, and a run can be repeated exactly."""
    compile: bool = False
    """Compile the network, which nnU-Net does on a GPU."""
    amp: Literal["auto", "off", "fp16"] = "auto"
    """Precision of the network; auto: fp16 on a GPU and off on a CPU, as nnU-Net has it."""
    geometric_class: str | int | None = None
    """Label, by name or number, that the geometric losses act on; null: the first foreground."""
    geometry: Literal["slices", "volume"] = "slices"
    """How the geometric losses look at 3D patches: slice by slice along the coarsest axis, or at
    whole bodies, with the plans' spacing."""
    raw: Folder | None = _from_environment("trainer.raw")
    """Folder of the raw datasets; default: the environment's nnUNet_raw."""
    preprocessed: Folder | None = _from_environment("trainer.preprocessed")
    """Folder of the preprocessed datasets; default: the environment's nnUNet_preprocessed."""
    fingerprint: str | None = None
    """What the preprocessed dataset is, as a sweep records it (see `data.fingerprint`)."""

    @property
    def looks_at_volumes(self) -> bool:
        """Whether the geometric losses look at whole bodies."""
        return self.geometry == "volume" and self.configuration != "2d"


def _check_entry(entry: str) -> str:
    """``entry`` with an absolute path where it names a file.

    Raises:
        ValueError: it names neither a file nor a module with a class or function.
    """
    found = as_entry(entry)
    if found is None:
        raise ValueError(
            "must name a class or a function as `my_trainer.py:MyTraining` or"
            f" `my_package.module:train`, but is {entry!r}"
        )
    return found


class CustomTrainer(CommonTrainer):
    """A user's own loop: a class that `sweep.trainer.custom.custom_run` describes, or a function of
    `sweep.trainer.custom.function_run`."""

    traits = TrainerTraits(is_own_loop=True)

    kind: Literal["custom"]
    entry: Annotated[str, AfterValidator(_check_entry)]
    """Class or function, in a file or a module: my_trainer.py:MyTraining, my_package.loop:train."""
    amp: Literal["off", "bf16", "fp16"] = "off"
    """Precision of the network: float32, or mixed with bfloat16 or float16."""
    options: Options = Field(default_factory=dict)
    """What the class or function is set by; each can be searched, as trainer.options.NAME."""

    @property
    def computes_its_own_loss(self) -> bool:
        return computes_its_own_loss(self.entry)


def _monai_unless_said(value: Any) -> Any:
    return {"kind": "monai", **value} if isinstance(value, dict) else value


AnyTrainerSettings = MonaiTrainer | NnunetTrainer | CustomTrainer
TrainerSettings = Annotated[
    AnyTrainerSettings,
    Field(discriminator="kind"),
    BeforeValidator(_monai_unless_said, json_schema_input_type=AnyTrainerSettings),
]

TRAINERS: Mapping[str, type[CommonTrainer]] = {
    get_args(one.model_fields["kind"].annotation)[0]: one for one in get_args(AnyTrainerSettings)
}
"""``trainer.kind`` → its settings."""


def traits_of(kind: object) -> TrainerTraits:
    """What a kind of trainer says of itself; of a kind that a later version knows, as of none."""
    return TRAINERS.get(str(kind), CommonTrainer).traits
