"""The settings of one trial: everything that shapes a training run, and nothing about the sweep.

A trial's ``config.yaml`` is this tree; a sweep file is this tree plus a ``space`` and how to
search it (`sweep.spec.search.sweep_spec`). A setting's dotted name (``loss.warmup_epochs``) is its
path here.

Settings that have no effect before the geometric loss switches on carry the mark `ActsLate`:
trials that differ only in those are one and the same run until then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from sweep.machine.user_paths import Folder
from sweep.spec.settings.augmentation_settings import AugmentationSettings
from sweep.spec.settings.geometric_terms import TERMS, GeometricWeights
from sweep.spec.settings.network_settings import NetworkSettings
from sweep.spec.settings.objective_settings import ObjectiveChoice, ObjectiveSettings
from sweep.spec.settings.settings_base import ActsLate, EndsRun, Settings
from sweep.spec.settings.trainer_settings import (
    CommonTrainer,
    MonaiTrainer,
    NnunetTrainer,
    TrainerSettings,
)
from sweep.vocabulary.geometric_ramp import GeometricRamp
from sweep.vocabulary.objective import Objective

MainLoss = Literal["dice_ce", "dice_focal", "focal_logcosh_dice"]


TEST_FOLDER = "imagesTs"
"""Value of ``data.test`` for the cases that a dataset itself keeps for testing."""


class CommonData(Settings):
    """What every data source has."""

    keeps_test_cases: ClassVar[bool] = False
    """Whether its datasets may have an ``imagesTs`` of their own."""
    has_one_split: ClassVar[bool] = False
    """Whether it brings one fixed split, test included, and has no folds."""
    size_keys: ClassVar[tuple[str, str] | None] = None
    """Settings that tell the number of images and their side before any is there."""
    places: ClassVar[tuple[str, ...]] = ()
    """Settings whose folders its fingerprint stands for."""

    source: str
    normalization: Literal["zscore", "minmax"] = "zscore"
    """Per case and channel: zero mean and unit variance, or rescaled to [0, 1]."""
    n4: bool = False
    """Correct the bias field of each case and channel before it is normalised."""
    folds: int = Field(default=5, ge=2)
    """Number of cross-validation folds; cases are dealt to them as nnU-Net does."""
    fold: int = Field(default=0, ge=0)
    """The fold that is held out for validation, from 0."""
    test: Annotated[float, Field(ge=0, lt=1)] | Literal["imagesTs"] = 0.0
    """Share of the cases that no trial ever sees, on which the finalists are evaluated once.

    imagesTs: the dataset's own test cases, in imagesTs and labelsTs (`source: nnunet_raw`).
    """
    patch_size: int | None = Field(default=None, ge=16)
    """Side of the square training patch in pixels; null trains on whole images."""

    @property
    def smallest_side(self) -> int | None:
        """Pixels of the smallest image that is shown to the network; None where it is not known."""
        return self.patch_size

    @field_validator("test")
    @classmethod
    def _has_test_folders(cls, test: float | str) -> float | str:
        if test == TEST_FOLDER and not cls.keeps_test_cases:
            raise ValueError(
                f"`{TEST_FOLDER}` needs `source: nnunet_raw`; must be a share of cases"
            )
        return test

    @field_validator("fold")
    @classmethod
    def _is_one_of_the_folds(cls, fold: int, info: ValidationInfo) -> int:
        folds = info.data.get("folds")
        if folds is not None and fold >= folds:
            raise ValueError(f"must be below `folds`, which is {folds}, but is {fold}")
        return fold


class ShapesData(CommonData):
    """Synthetic circles, generated on the machine itself; the same seed gives the same pixels."""

    size_keys = ("data.count", "data.size")

    source: Literal["shapes"] = "shapes"
    kind: Literal["one_circle", "several_circles"] = "one_circle"
    """One circle an image (as the users' Dataset502), or several (Dataset501)."""
    difficulty: float = Field(default=0.3, ge=0, le=1)
    """0: bright discs on a clean background; 1: faint, noisy, with distractors."""
    size: int = Field(default=64, ge=32, le=2048)
    """Side of the square images in pixels."""
    count: int = Field(default=80, ge=5, le=100_000)
    """Number of images."""
    seed: int = Field(default=0, ge=0)
    """Seed of the generator; not the trial's seed."""

    @property
    def smallest_side(self) -> int | None:
        return min(self.size, self.patch_size or self.size)


class BrainData(CommonData):
    """Axial slices of the MNI152 T1 template that nilearn ships; foreground: white matter."""

    has_one_split = True

    source: Literal["brain"]
    validation_slices: int = Field(default=24, ge=4)
    """Thickness of the validation slab in slices."""
    gap: int = Field(default=8, ge=0)
    """Slices left out on each side of the validation slab, since neighbouring slices leak."""
    step: int = Field(default=2, ge=1)
    """Every how many slices one is taken."""
    threshold: float = Field(default=0.5, gt=0, lt=1)
    """Tissue probability from which a pixel counts as white matter."""


class NnunetRawData(CommonData):
    """Any dataset in nnU-Net's raw layout."""

    keeps_test_cases = True
    places = ("folder",)

    source: Literal["nnunet_raw"]
    folder: Folder
    """Folder with dataset.json, imagesTr and labelsTr; relative to the working directory, and with
    `~` and `$VARIABLES`.

    Kept as an absolute path: a trial may run in another directory, or on another machine.
    """
    slice_axis: Annotated[int, Field(ge=0, le=2)] | Literal["auto"] = "auto"
    """Axis along which 3D volumes are cut into 2D slices, once they are turned to RAS by their
    headers: 0 sagittal, 1 coronal, 2 axial slices.

    auto: the one of the coarsest spacing, by the median over all volumes; 2 where all are equal.
    """
    geometric_class: str | int | None = None
    """Label, by name or number, that the geometric losses act on; null: the first foreground."""
    fingerprint: str | None = None
    """What the dataset holds, as a sweep records it: other data in the folder are then refused, and
    the same data in another folder are known; null: whatever is there."""


AnyDataSettings = ShapesData | BrainData | NnunetRawData
DataSettings = Annotated[AnyDataSettings, Field(discriminator="source")]
DATA_SOURCES: Mapping[str, type[CommonData]] = {
    get_args(one.model_fields["source"].annotation)[0]: one for one in get_args(AnyDataSettings)
}
"""``data.source`` → its settings."""


class LossSettings(Settings):
    """``main + g(epoch) · Σ weight · geometric term``."""

    main: MainLoss = "dice_ce"
    """The loss that is on from the first step: a Dice term plus a pixel-wise term."""
    dice_weight: float = Field(default=1.0, ge=0)
    """Weight of the main loss's Dice or log-cosh Dice term; 0 leaves it out."""
    pixel_weight: float = Field(default=1.0, ge=0)
    """Weight of the main loss's cross-entropy or focal term; 0 leaves it out."""
    focal_gamma: float | None = Field(default=None, ge=1)
    """Exponent of the focal term; null: 2, or no focal term.

    Not below 1: a pixel that is already right has the gradient γ · 0^(γ − 1) · 0, which is NaN.
    """
    warmup_epochs: Annotated[int, ActsLate()] = Field(default=20, ge=0)
    """Epochs before the geometric loss switches on: g = 0 while epoch < warmup_epochs."""
    rampup_epochs: Annotated[int, ActsLate()] = Field(default=10, ge=0)
    """Epochs over which g then rises linearly to 1; 0 switches on at once."""
    weights: GeometricWeights = GeometricWeights()
    sqrt_epsilon: Annotated[float, ActsLate()] = Field(default=1e-6, ge=0)
    """Guard of the square roots; 0 gives NaN where a prediction is exactly flat."""
    sqrt_mode: Annotated[Literal["clamp", "offset", "centered"], ActsLate()] = "centered"
    """sqrt(max(q, ε)), sqrt(q + ε), or sqrt(q + ε) − sqrt(ε)."""
    min_area: Annotated[float, ActsLate()] = Field(default=50.0, ge=0)
    """Samples of a smaller soft area, in pixels, are left out of the terms of their shape."""

    @property
    def ramp(self) -> GeometricRamp:
        """When the geometric loss is off, rises and acts in full."""
        return GeometricRamp(
            off_until=self.warmup_epochs,
            full_from=self.warmup_epochs + self.rampup_epochs,
            acts=bool(self.weights.used),
        )

    @field_validator("pixel_weight")
    @classmethod
    def _a_main_loss_is_left(cls, weight: float, info: ValidationInfo) -> float:
        if weight == 0 and info.data.get("dice_weight") == 0:
            raise ValueError("must be above 0 where `dice_weight` is 0: no main loss is left")
        return weight

    @field_validator("focal_gamma")
    @classmethod
    def _there_is_a_focal_term(cls, gamma: float | None, info: ValidationInfo) -> float | None:
        main = info.data.get("main", "")
        if gamma is not None and main == "dice_ce":
            raise ValueError(f"`{main}` has no focal term: must be null, but is {gamma:g}")
        return gamma


class OptimizerSettings(Settings):
    """Optimizer, learning-rate schedule and gradient clip."""

    name: Literal["sgd", "adamw"] = "sgd"
    """SGD with Nesterov momentum, or AdamW."""
    lr: float = Field(default=1e-2, gt=0)
    """Learning rate of epoch 0."""
    momentum: float = Field(default=0.99, ge=0, lt=1)
    """Momentum of SGD; AdamW does not use it."""
    weight_decay: float = Field(default=3e-5, ge=0)
    """L2 penalty of SGD; AdamW takes it off the weights directly."""
    schedule: Literal["poly", "constant"] = "poly"
    """poly: lr · (1 − epoch / epochs)^poly_exponent, as in nnU-Net."""
    poly_exponent: float = Field(default=0.9, gt=0)
    """How the learning rate falls: 1 in a straight line, less later and steeper."""
    gradient_clip: float | None = Field(default=12.0, gt=0)
    """Largest gradient norm of a step; null: no clipping."""


class GuardSettings(Settings):
    """What ends a trial as diverged."""

    on_nonfinite: Literal["terminate", "skip"] = "terminate"
    """A loss or gradient that is not finite ends the trial, or only its step is skipped."""
    skipped_in_a_row: int = Field(default=20, ge=1)
    """So many skipped steps in a row end the trial; fp16 skips up to 16 to find its scale."""
    skipped_per_epoch: int | None = Field(default=50, ge=1)
    """More skipped steps than this in one epoch end the trial; null: any number."""
    exploded_factor: float | None = Field(default=30.0, gt=1)
    """A main loss term so many times the untrained network's is far out, or a gradient norm so many
    times its usual level; null: nothing is."""
    exploded_steps: int = Field(default=10, ge=1)
    """So many steps far out in a row end the trial."""
    collapsed_epochs: int | None = Field(default=2, ge=1)
    """Consecutive validations with one class everywhere or less than a tenth of the best Dice that
    end a trial as collapsed once it has learnt, and at the end of a training any; null: none do."""
    learnt_dice: float = Field(default=0.1, gt=0, lt=1)
    """How far validation Dice must have come, as a share of the way from what an answer scores that
    ignores the images (foreground everywhere) up to 1, for the network to have learnt."""
    learnt_by: int | None = Field(default=None, ge=0)
    """Epoch, from 0, by which the network must have learnt; null: never."""


MetricName = Literal["iou", "hd95", "shape"]


def _all_metrics(value: Any) -> Any:
    return get_args(MetricName) if value == "all" else value


class EvaluationSettings(Settings):
    """How the validation cases are predicted, and what is measured of them beside Dice."""

    metrics: Annotated[
        tuple[MetricName, ...],
        Field(strict=False),
        BeforeValidator(_all_metrics, json_schema_input_type=Literal["all"] | list[MetricName]),
    ] = get_args(MetricName)
    """all, or some of iou, hd95 (in pixels) and shape (compactness, solidity and eccentricity of
    prediction and reference); [] for none."""
    every: int | None = Field(default=None, ge=1)
    """Epochs between two measurements, 1 for each; null: only where the objective is at its best.

    The best epoch is measured in either case, and every epoch where the metric is the objective.
    """
    tta: Literal["none", "flips"] = "none"
    """flips: the mean of the softmax over the four mirror images, at four times the cost."""


class EarlyStoppingSettings(Settings):
    """Stop a trial that no longer improves."""

    patience: Annotated[int | None, EndsRun()] = Field(default=50, ge=1)
    """Epochs in a row without improvement after which the trial stops; null: never."""
    min_delta: Annotated[float, EndsRun()] = Field(default=1e-4, ge=0)
    """How much better the objective must become to count as an improvement."""
    counts_from: Annotated[Literal["rampup_end", "start"], EndsRun()] = "rampup_end"
    """The first epoch that patience counts: after warm-up and ramp-up, or the very first. Where no
    trial of a custom trainer has a geometric term, and nothing is written here, the very first."""


class Expectation(Settings):
    """What a healthy run has reached by some epoch; a run that has not is warned about."""

    epoch: int = Field(default=0, ge=0)
    """Index of the epoch, from 0, after which it is looked at; `max_gap` from there on."""
    val_dice: float | None = Field(default=None, gt=0, le=1)
    """Validation Dice that the best epoch so far has at least."""
    train_loss: float | None = None
    """Training loss that the epoch has at most."""
    max_gap: float | None = Field(default=None, gt=0, le=1)
    """How far training Dice may lie above validation Dice.

    Training Dice is estimated at no cost from the loss's Dice term of the epoch: soft, over
    augmented batches, with weights that were still changing. It tends to be too low.
    """


NO_GEOMETRY: dict[str, Any] = {
    "warmup_epochs": 0,
    "rampup_epochs": 0,
    "weights": dict.fromkeys(TERMS, 0.0),
}
"""What ``loss`` is, where nothing else is asked for, beside a trainer with a loss of its own: it
has no geometric terms, so nothing waits for them and nothing is said of them."""


def _default_loss(values: dict[str, Any]) -> LossSettings:
    return LossSettings.model_validate(_without_geometry({}, values.get("trainer")))


def _without_geometry(loss: Any, trainer: Any) -> Any:
    """``loss`` as it was written, or with `NO_GEOMETRY` below that."""
    if not (isinstance(trainer, CommonTrainer) and trainer.computes_its_own_loss):
        return loss
    if not isinstance(loss, dict):
        return loss
    weights = loss.get("weights", {})
    merged = NO_GEOMETRY["weights"] | weights if isinstance(weights, dict) else weights
    return NO_GEOMETRY | loss | {"weights": merged}


def _one_or_several(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class TrialSettings(Settings):
    """The whole configuration of one trial.

    >>> import sweep
    >>> sweep.TrialSettings(seed=3).loss.warmup_epochs
    20
    """

    seed: int = Field(default=0, ge=0, lt=2**31)
    """Seed of weights, data order and augmentation."""
    data: DataSettings = ShapesData()
    augmentation: AugmentationSettings = AugmentationSettings()
    trainer: TrainerSettings = MonaiTrainer()
    network: NetworkSettings = NetworkSettings()
    loss: LossSettings = Field(default_factory=_default_loss)
    optimizer: OptimizerSettings = OptimizerSettings()
    guard: GuardSettings = GuardSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    objective: ObjectiveChoice = ObjectiveSettings()
    """What trials are compared by; a metric's bare name, or {metric: NAME, mode: max | min}."""
    early_stopping: EarlyStoppingSettings = EarlyStoppingSettings()
    expect: Annotated[
        tuple[Expectation, ...],
        Field(strict=False),
        BeforeValidator(_one_or_several, json_schema_input_type=Expectation | list[Expectation]),
    ] = ()
    """What a healthy run reaches, such as `[{epoch: 10, val_dice: 0.3}, {max_gap: 0.15}]`."""

    @field_validator("loss", mode="before")
    @classmethod
    def _loss_is_the_trainers(cls, loss: Any, info: ValidationInfo) -> Any:
        return _without_geometry(loss, info.data.get("trainer"))

    @field_validator("loss")
    @classmethod
    def _terms_fit_the_geometry(cls, loss: LossSettings, info: ValidationInfo) -> LossSettings:
        trainer = info.data.get("trainer")
        if isinstance(trainer, NnunetTrainer) and trainer.looks_at_volumes:
            loss.weights.must_fit_volumes()
        return loss

    @model_validator(mode="after")
    def _count_from_the_start_without_geometry(self) -> Self:
        # As it is written from then on: a trial alone does not know what others are beside it.
        stopping, ramp = self.early_stopping, self.loss.ramp
        if not self.trainer.traits.is_own_loop or "counts_from" in stopping.model_fields_set:
            return self
        if not self.has_geometry and ramp.full_from > 0:
            update = {"counts_from": "start"}
            object.__setattr__(self, "early_stopping", stopping.model_copy(update=update))
        return self

    @property
    def has_geometry(self) -> bool:
        """Whether a geometric term has a weight."""
        return self.loss.ramp.acts

    @field_validator("expect")
    @classmethod
    def _gap_can_be_estimated(
        cls, expect: tuple[Expectation, ...], info: ValidationInfo
    ) -> tuple[Expectation, ...]:
        loss = info.data.get("loss")
        if loss and loss.dice_weight == 0 and any(one.max_gap is not None for one in expect):
            raise ValueError("`max_gap` needs a Dice term, but `loss.dice_weight` is 0")
        return expect

    @field_validator("objective")
    @classmethod
    def _objective_fits_the_trainer(
        cls, objective: ObjectiveSettings, info: ValidationInfo
    ) -> ObjectiveSettings:
        trainer, evaluation = info.data.get("trainer"), info.data.get("evaluation")
        if trainer is not None and evaluation is not None:
            objective.must_fit(trainer.traits, evaluation.metrics)
        return objective

    @property
    def judged_by(self) -> Objective:
        """What its trials are compared by, for whoever compares."""
        return self.objective.plain

    @field_validator("augmentation")
    @classmethod
    def _augmentation_fits_the_data(
        cls, augmentation: AugmentationSettings, info: ValidationInfo
    ) -> AugmentationSettings:
        if "data" in info.data:
            augmentation.gamma.must_fit(info.data["data"].normalization)
        return augmentation

    @field_validator("network")
    @classmethod
    def _network_fits_the_images(
        cls, network: NetworkSettings, info: ValidationInfo
    ) -> NetworkSettings:
        trainer = info.data.get("trainer")
        if "data" in info.data and isinstance(trainer, MonaiTrainer):
            side = info.data["data"].smallest_side
            if side is not None:
                network.must_fit(side, trainer.batch_size)
        return network
