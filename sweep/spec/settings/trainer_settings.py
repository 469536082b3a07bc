"""The trainer of a trial and its loop: ours with MONAI, nnU-Net's, or a user's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from sweep.machine.user_paths import Folder
from sweep.plugins.entry_names import as_entry
from sweep.spec.settings.data_settings import GroupsSource
from sweep.spec.settings.entry_source import computes_its_own_loss
from sweep.spec.settings.geometric_terms import GeometricClass, Geometry
from sweep.spec.settings.settings_base import Options, Settings
from sweep.vocabulary.objective import DiceOf


@dataclass(frozen=True, slots=True)
class TrainerTraits:
    """Facts about a kind of trainer. The trainers themselves are in `sweep.trial.kinds`.

    Args:
        reads: which of the groups `data`, `network`, `augmentation` and `evaluation` it reads. The
            others have no effect and are left out of its ``config.yaml``.
        looked_at: groups in which a first look at data and trainer can find mistakes.
        must_fit_data: further settings in which it can, if it reads the pixels.
        fold_key: dotted name of the setting that chooses the fold.
        folds: number of folds; None: as in ``data``.
        has_test_split: whether it keeps the cases of ``data.test`` out of training.
        dice_alone: why an epoch has no metric but Dice, as a clause; empty if it has others.
        is_own_loop: whether it is a user's own loop. It can return any metrics, and its loss need
            not be that of ``loss``.
        processes: dotted name of the setting for worker processes of a trial; empty: none.
        places: settings below ``trainer`` with folders that its fingerprint identifies.
        packages: packages that a worker needs in addition to those that every kind needs.
        dice: what kind of Dice an epoch measures.
        caution: a caution about the Dice that its trials are ranked by.
        unvalidated: a caution that holds until the leader has a real validation.
    """

    reads: frozenset[str] = frozenset()
    looked_at: tuple[str, ...] = ("trainer",)
    must_fit_data: frozenset[str] = frozenset()
    fold_key: str = "data.fold"
    folds: int | None = None
    has_test_split: bool = False
    dice_alone: str = ""
    is_own_loop: bool = False
    processes: str = ""
    places: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    dice: DiceOf = "validation"
    caution: str = ""
    unvalidated: str = ""


class CommonTrainer(Settings):
    """Settings of every trainer's loop. Each trainer adds an ``amp`` with the precisions it
    knows."""

    traits: ClassVar[TrainerTraits] = TrainerTraits()

    kind: str
    epochs: int = Field(default=100, ge=1)
    """Number of epochs of a trial that nothing stops earlier."""
    steps_per_epoch: int | None = Field(default=None, ge=1)
    """Optimizer steps per epoch; null: once through the training images, with nnU-Net its 250."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device to train on; auto: a GPU if the trial has one."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of torch. The last bit of sums depends on it, so results do too."""
    deterministic: bool = True
    """Use torch's deterministic kernels: the same numbers in every run on the same device."""

    @property
    def computes_its_own_loss(self) -> bool:
        """Whether the settings below ``loss`` act only if the trainer itself reads them."""
        return False

    @property
    def own_code(self) -> str:
        """Dotted name of the setting that names the user's code; empty if none trains."""
        return ""


class GeometricTrainer(CommonTrainer):
    """Settings of the trainers that know whether they train on images or volumes."""

    geometry: Geometry = "slices"
    """How the geometric losses treat volumes. slices: slice by slice, with nnU-Net along the
    coarsest axis. volume: as whole volumes, with their spacing, with nnU-Net that of the plans."""


class MonaiTrainer(GeometricTrainer):
    """Our own trainer: MONAI's networks on ``data``."""

    traits = TrainerTraits(
        reads=frozenset({"data", "network", "augmentation", "evaluation"}),
        looked_at=("data",),
        must_fit_data=frozenset({"network.name", "network.channels"}),
        has_test_split=True,
    )

    kind: Literal["monai"] = "monai"
    batch_size: int = Field(default=8, ge=1)
    """Images per step."""
    amp: Literal["off", "bf16", "fp16"] = "off"
    """Precision of the network: float32 (off), or mixed with bfloat16 or float16. Losses always use
    float32."""
    tf32: bool | None = None
    """Let a GPU round the factors of float32 products to TensorFloat-32, with 10 bits instead of
    23: faster. null: as torch does by itself, in convolutions only."""
    channels_last: bool = False
    """Keep the channels of a pixel side by side in memory: often faster on a GPU, above all beside
    `amp`. The last bits of the results differ."""
    compile: bool = False
    """Compile the network (`torch.compile`): minutes before the first step, faster steps. It needs
    a C++ compiler; on a GPU, Triton. The last bits of the results differ."""


FROM_ENVIRONMENT = {
    "trainer.raw": "nnUNet_raw",
    "trainer.preprocessed": "nnUNet_preprocessed",
}
"""Setting whose default is a folder that nnU-Net takes from the environment → its variable."""


def _from_environment(name: str) -> Any:
    """The default of such a setting, taken from the environment when the settings are read."""
    return Field(default_factory=lambda: os.environ.get(FROM_ENVIRONMENT[name]) or None)


NNUNETS_OWN = "nnUNetTrainer"
"""nnU-Net's trainer class, from which all others derive."""


def _trainer_class(name: str) -> str:
    if name.isidentifier():
        return name
    return _named(name, "must name a trainer class of nnU-Net, or one as `my_trainer.py:MyTrainer`")


class NnunetTrainer(GeometricTrainer):
    """nnU-Net v2 on one of its datasets. Its plans define data, network and augmentation."""

    # Source of the figures: 150 pairs of trainings that AutoML Hannover published
    # (github.com/automl/AutoNNUnet), three architectures on five folds of ten datasets, 1,000
    # epochs each; mean of the last 20.
    traits = TrainerTraits(
        looked_at=("trainer", "loss"),
        fold_key="trainer.fold",
        folds=5,
        dice_alone="nnU-Net measures only its pseudo Dice in an epoch",
        processes="trainer.workers",
        places=("raw", "preprocessed", "groups"),
        packages=("nnunetv2",),
        dice="pseudo",
        caution=(
            "The search compares trials by nnU-Net's pseudo Dice, which on one fold ordered two"
            " published trainings like the real validation of that fold in 65 % of 150 pairs, and"
            " on five folds together in 83 % (docs/reference/nnunet.md)."
        ),
        unvalidated="The leader is only a candidate until its real validation.",
    )

    kind: Literal["nnunet"]
    dataset: int | Annotated[str, Field(min_length=1)]
    """Number or name of the dataset, such as 502 or Dataset502_Shapes."""
    configuration: Annotated[str, Field(min_length=1)] = "2d"
    """Configuration of the plans: 2d, 3d_fullres, …"""
    fold: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    """Validation fold, counted from 0; all: every case is used for both training and validation."""
    plans: Annotated[str, Field(min_length=1)] = "nnUNetPlans"
    """Name of the plans: their file name without its extension."""
    batch_size: int | None = Field(default=None, ge=1)
    """Patches per step; null: as in the plans."""
    patch_size: (
        Annotated[
            tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False, min_length=2, max_length=3)
        ]
        | None
    ) = None
    """Patch size in voxels along each axis, in the plans' order; null: as in the plans."""
    validation_steps: int | None = Field(default=None, ge=1)
    """Batches of validation patches per epoch, for the pseudo Dice; null: nnU-Net's 50."""
    trainer_class: Annotated[str, AfterValidator(_trainer_class)] = NNUNETS_OWN
    """Class that trains: one that nnU-Net finds by this name, such as nnUNetTrainerDA5, or your own
    subclass of nnUNetTrainer, as my_trainer.py:MyTrainer or my_package.module:MyTrainer."""
    options: Options = Field(default_factory=dict)
    """Attributes of `trainer_class` in a trial. Each can be searched, as trainer.options.NAME."""
    encoder: Literal["plans", "plain", "residual"] = "plans"
    """Encoder of the network. plans: as planned. plain: two convolutions per stage, as in nnU-Net's
    default. residual: the blocks of nnU-Net's residual encoder presets. Patch, batch and stages
    stay as planned."""
    base_features: int | None = Field(default=None, ge=1)
    """Channels of the first stage, which each further stage doubles up to `max_features`; null: as
    in the plans."""
    max_features: int | None = Field(default=None, ge=1)
    """Most channels of a stage; null: as in the plans, or nnU-Net's 512 (2D) and 320 (3D) beside
    `base_features`."""
    oversample_foreground: float = Field(default=0.33, ge=0, le=1)
    """Share of the patches of a batch that hold foreground for sure. nnU-Net rounds: of a batch of
    n, round(n · (1 − share)) patches lie anywhere."""
    augmentation_strength: float = Field(default=1.0, ge=0, le=10)
    """Factor of the probability of each of nnU-Net's random changes of a patch, none of which gets
    above 1; 0: no change. Mirroring stays, because predictions are averaged over it."""
    workers: int = Field(default=0, ge=0)
    """Processes that make batches ahead; 0: the training process makes them. Any number gives the
    same results."""
    compile: bool = False
    """Compile the network, as nnU-Net does on a GPU."""
    amp: Literal["auto", "off", "fp16"] = "auto"
    """Precision of the network; auto: fp16 on a GPU and off on a CPU, as in nnU-Net."""
    geometric_class: GeometricClass = None
    """Label that the geometric losses act on, by name or number, or several as a list; all: every
    foreground label; null: the first foreground label."""
    raw: Folder | None = _from_environment("trainer.raw")
    """Folder of the raw datasets; default: the environment variable nnUNet_raw."""
    preprocessed: Folder | None = _from_environment("trainer.preprocessed")
    """Folder of the preprocessed datasets; default: the environment variable
    nnUNet_preprocessed."""
    groups: GroupsSource | None = None
    """What tells which cases are of one patient, as in `data.groups`. The folds are then of whole
    groups, and written to the preprocessed dataset as splits_final.json, where there is none."""
    test: Literal["imagesTs"] | None = None
    """Test images of the raw dataset, with references in labelsTs, on which the finalists are
    scored; null: none."""
    fingerprint: str | None = None
    """Fingerprint of the preprocessed dataset. A sweep records it (see `data.fingerprint`)."""

    @property
    def own_code(self) -> str:
        return "" if self.trainer_class == NNUNETS_OWN else "trainer.trainer_class"

    @property
    def computes_its_own_loss(self) -> bool:
        return bool(self.own_code)


def _named(entry: str, right: str) -> str:
    found = as_entry(entry)
    if found is None:
        raise ValueError(f"{right}, but is {entry!r}")
    return found


def _check_entry(entry: str) -> str:
    right = (
        "must name a class or a function as `my_trainer.py:MyTraining` or `my_package.module:train`"
    )
    return _named(entry, right)


class CustomTrainer(CommonTrainer):
    """A user's own training loop: a class as in `sweep.trainer.custom.custom_run`, or a function as
    in `sweep.trainer.custom.function_run`."""

    traits = TrainerTraits(is_own_loop=True)

    kind: Literal["custom"]
    entry: Annotated[str, AfterValidator(_check_entry)]
    """Class or function in a file or a module: my_trainer.py:MyTraining, my_package.loop:train."""
    amp: Literal["off", "bf16", "fp16"] = "off"
    """Precision of the network: float32 (off), or mixed with bfloat16 or float16."""
    options: Options = Field(default_factory=dict)
    """Options of the class or function. Each can be searched, as trainer.options.NAME."""

    @property
    def own_code(self) -> str:
        return "trainer.entry"

    @property
    def computes_its_own_loss(self) -> bool:
        return computes_its_own_loss(self.entry)


AnyTrainerSettings = MonaiTrainer | NnunetTrainer | CustomTrainer
TrainerSettings = Annotated[
    AnyTrainerSettings,
    Field(discriminator="kind"),
    BeforeValidator(
        lambda value: {"kind": "monai", **value} if isinstance(value, dict) else value,
        json_schema_input_type=AnyTrainerSettings,
    ),
]

TRAINERS: Mapping[str, type[CommonTrainer]] = {
    get_args(one.model_fields["kind"].annotation)[0]: one for one in get_args(AnyTrainerSettings)
}
"""``trainer.kind`` → its settings."""


def traits_of(kind: object) -> TrainerTraits:
    """The traits of a kind of trainer; default traits for a kind of a later version."""
    return TRAINERS.get(str(kind), CommonTrainer).traits
