"""The settings of one trial: everything that shapes a training run.

A trial's ``config.yaml`` is this tree. A sweep file is this tree plus a ``space`` and how to
search it (`sweep.spec.search.sweep_spec`). A setting's dotted name (``loss.warmup_epochs``) is its
path in the tree.

Settings without effect before the geometric loss switches on have the mark `ActsLate`. Trials that
differ only in those are the same run until then.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from sweep.machine.user_paths import Folder
from sweep.plugins.entry_names import PLUGIN, PluginName
from sweep.plugins.plugin_kinds import (
    DATA_SOURCE,
    LOSS_TERM,
    MAIN_LOSS,
    METRIC,
    own_or_plugin,
    required_entry,
    short_name,
)
from sweep.spec.settings.augmentation_settings import AugmentationSettings
from sweep.spec.settings.geometric_terms import TERMS, GeometricWeights
from sweep.spec.settings.network_settings import NetworkSettings
from sweep.spec.settings.objective_settings import (
    JUDGED,
    MEASURED,
    ObjectiveChoice,
    ObjectiveSettings,
    is_other_column,
)
from sweep.spec.settings.settings_base import ActsLate, EndsRun, Options, Settings, one_or_several
from sweep.spec.settings.trainer_settings import (
    CommonTrainer,
    MonaiTrainer,
    NnunetTrainer,
    TrainerSettings,
)
from sweep.vocabulary.geometric_ramp import GeometricRamp
from sweep.vocabulary.objective import Objective

MainLoss = Literal["dice_ce", "dice_focal", "focal_logcosh_dice"]
OWN_MAIN_LOSSES: tuple[str, ...] = get_args(MainLoss)
MAIN_TERMS = ("dice", "logcosh_dice", "ce", "focal")
"""Names of the terms of the main losses."""


TEST_FOLDER = "imagesTs"
"""Value of ``data.test`` that stands for a dataset's own test cases."""


class CommonData(Settings):
    """Settings of every data source."""

    keeps_test_cases: ClassVar[bool] = False
    """Whether its datasets can have their own ``imagesTs``."""
    has_one_split: ClassVar[bool] = False
    """Whether it has one fixed split, test cases included, instead of folds."""
    size_keys: ClassVar[tuple[str, str] | None] = None
    """Settings for the number of images and their side, known before the images exist."""
    places: ClassVar[tuple[str, ...]] = ()
    """Settings with folders that its fingerprint identifies."""

    source: str
    normalization: Literal["zscore", "minmax"] = "zscore"
    """Normalisation per case and channel: zscore (zero mean, unit variance) or minmax (to [0,
    1])."""
    n4: bool = False
    """Correct the bias field of each case and channel (N4) before normalisation."""
    folds: int = Field(default=5, ge=2)
    """Number of cross-validation folds. Cases are split as in nnU-Net."""
    fold: int = Field(default=0, ge=0)
    """The fold held out for validation, counted from 0."""
    test: Annotated[float, Field(ge=0, lt=1)] | Literal["imagesTs"] = 0.0
    """Fraction of the cases kept for testing. No trial sees them; the finalists are evaluated on
    them once.

    imagesTs: the dataset's own test cases in imagesTs and labelsTs (`source: nnunet_raw`).
    """
    patch_size: int | None = Field(default=None, ge=16)
    """Side of the square training patch in pixels; null: whole images."""

    @property
    def smallest_side(self) -> int | None:
        """Side in pixels of the smallest image that the network sees; None if unknown."""
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
    """Synthetic circles, generated on your machine. The same seed gives the same pixels."""

    size_keys = ("data.count", "data.size")

    source: Literal["shapes"] = "shapes"
    kind: Literal["one_circle", "several_circles"] = "one_circle"
    """One circle per image (like Dataset502), or several (like Dataset501)."""
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
    """Axial slices of the MNI152 T1 template that ships with nilearn. Foreground is white
    matter."""

    has_one_split = True

    source: Literal["brain"]
    validation_slices: int = Field(default=24, ge=4)
    """Thickness of the validation slab in slices."""
    gap: int = Field(default=8, ge=0)
    """Slices left out on each side of the validation slab, because neighbouring slices are
    alike."""
    step: int = Field(default=2, ge=1)
    """Take every N-th slice."""
    threshold: float = Field(default=0.5, gt=0, lt=1)
    """Tissue probability above which a pixel counts as white matter."""


class RawLayoutData(CommonData):
    """Settings of a dataset in nnU-Net's raw layout, wherever it comes from."""

    keeps_test_cases = True

    slice_axis: Annotated[int, Field(ge=0, le=2)] | Literal["auto"] = "auto"
    """Axis along which 3D volumes are cut into 2D slices, after reorientation to RAS: 0 sagittal,
    1 coronal, 2 axial slices.

    auto: the axis of the coarsest spacing (median over all volumes); 2 if all are equal.
    """
    geometric_class: str | int | None = None
    """Label, by name or number, that the geometric losses act on; null: the first foreground."""
    fingerprint: str | None = None
    """Fingerprint of the dataset's content. A sweep records it, to refuse changed data and to
    recognise the same data in another folder; null: accept any data."""


class NnunetRawData(RawLayoutData):
    """Any dataset in nnU-Net's raw layout."""

    places = ("folder",)

    source: Literal["nnunet_raw"]
    folder: Folder
    """Folder with dataset.json, imagesTr and labelsTr. It can be relative to the working directory
    and contain `~` and `$VARIABLES`.

    It is stored as an absolute path, because a trial may run in another directory.
    """


class PluginData(RawLayoutData):
    """A dataset that a plug-in writes once on each machine, docs/how-to/plugins.md."""

    source: Literal["custom"]
    entry: Annotated[str, AfterValidator(partial(required_entry, DATA_SOURCE))]
    """As package.module:attribute, file.py:attribute or by its registered name; `source: ENTRY` is
    short for it."""
    options: Options = Field(default_factory=dict)
    """Keyword arguments of the plug-in. Each can be searched, as data.options.NAME."""


AnyDataSettings = ShapesData | BrainData | NnunetRawData | PluginData
DATA_SOURCES: Mapping[str, type[CommonData]] = {
    get_args(one.model_fields["source"].annotation)[0]: one for one in get_args(AnyDataSettings)
}
"""``data.source`` → its settings."""


def _plugin_or_own(value: Any) -> Any:
    """Read a plug-in's name in ``source`` as ``{source: custom, entry: NAME}``."""
    entry = (
        DATA_SOURCE.entry(value.get("source"), DATA_SOURCES) if isinstance(value, dict) else None
    )
    return value if entry is None else {**value, "source": PLUGIN, "entry": entry}


DataSettings = Annotated[
    AnyDataSettings, Field(discriminator="source"), BeforeValidator(_plugin_or_own)
]


PluginEntry = Annotated[str, AfterValidator(partial(required_entry, LOSS_TERM))]


def _main_has_own_name(main: str) -> str:
    name = short_name(main)
    if main not in OWN_MAIN_LOSSES and name in {*TERMS, *MAIN_TERMS}:
        raise ValueError(f"`{name}` is the name of another loss term: rename the plug-in")
    return main


def _names_of_their_own(entries: tuple[str, ...]) -> tuple[str, ...]:
    """Plug-in terms whose short names are no other term's."""
    taken = {*TERMS, *MAIN_TERMS}
    if len({*entries}) < len(entries):
        raise ValueError("names a plug-in twice")
    for name in map(short_name, entries):
        if name in taken:
            raise ValueError(f"`{name}` is the name of another loss term: rename the plug-in")
        taken.add(name)
    return entries


class LossSettings(Settings):
    """``main + g(epoch) · Σ weight · geometric term``."""

    main: Annotated[str, own_or_plugin(MAIN_LOSS, MainLoss), AfterValidator(_main_has_own_name)] = (
        "dice_ce"
    )
    """Main loss, on from the first step: a Dice term plus a pixel-wise term; or a plug-in, as
    package.module:attribute, file.py:attribute or by its registered name."""
    dice_weight: float = Field(default=1.0, ge=0)
    """Weight of the main loss's Dice or log-cosh Dice term; 0 leaves it out."""
    pixel_weight: float = Field(default=1.0, ge=0)
    """Weight of the main loss's cross-entropy or focal term; 0 leaves it out."""
    focal_gamma: float | None = Field(default=None, ge=1)
    """Exponent γ of the focal term; null: 2, or unused if `loss.main` has no focal term.

    Not below 1: for a pixel that is already right the gradient is γ · 0^(γ − 1) · 0, which is NaN.
    """
    warmup_epochs: Annotated[int, ActsLate()] = Field(default=20, ge=0)
    """Epochs before the geometric loss switches on: g = 0 while epoch < warmup_epochs."""
    rampup_epochs: Annotated[int, ActsLate()] = Field(default=10, ge=0)
    """Epochs after the warm-up over which g rises linearly to 1; 0: g is 1 at once."""
    terms: Annotated[
        tuple[PluginEntry, ...],
        Field(strict=False),
        one_or_several(str, str | list[str]),
        AfterValidator(_names_of_their_own),
        ActsLate(),
    ] = ()
    """Geometric terms of plug-ins, as package.module:attribute, file.py:attribute or by their
    registered names. `loss.weights` has their weights, by the name after the colon."""
    weights: GeometricWeights = GeometricWeights()
    sqrt_epsilon: Annotated[float, ActsLate()] = Field(default=1e-6, ge=0)
    """ε that guards the square roots (see `loss.sqrt_mode`). With 0 the gradient is NaN where a
    prediction is exactly flat."""
    sqrt_mode: Annotated[Literal["clamp", "offset", "centered"], ActsLate()] = "centered"
    """How ε acts. clamp: sqrt(max(q, ε)). offset: sqrt(q + ε). centered: sqrt(q + ε) − sqrt(ε)."""
    min_area: Annotated[float, ActsLate()] = Field(default=50.0, ge=0)
    """Smallest soft area in pixels. Smaller samples are left out of the shape terms, those that
    look at the prediction alone."""

    @model_serializer(mode="wrap")
    def _without_empty_terms(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = write(self)
        if not self.terms:  # without plug-ins, a file need not say so
            values.pop("terms", None)
        return values

    @property
    def has_plugin_main(self) -> bool:
        """Whether another package brings the main loss."""
        return self.main not in OWN_MAIN_LOSSES

    @property
    def plugin_terms(self) -> dict[str, str]:
        """Short name of each plug-in term → the name by which it is found."""
        return {short_name(entry): entry for entry in self.terms}

    @property
    def ramp(self) -> GeometricRamp:
        """The schedule of the geometric loss: off, rising, full."""
        return GeometricRamp(
            off_until=self.warmup_epochs,
            full_from=self.warmup_epochs + self.rampup_epochs,
            acts=bool(self.weights.used),
        )

    @field_validator("pixel_weight")
    @classmethod
    def _a_main_loss_is_left(cls, weight: float, info: ValidationInfo) -> float:
        if weight == 0 and info.data.get("dice_weight") == 0:
            raise ValueError("must be above 0 if `dice_weight` is 0: no main loss is left")
        return weight

    @field_validator("weights")
    @classmethod
    def _terms_have_weights(
        cls, weights: GeometricWeights, info: ValidationInfo
    ) -> GeometricWeights:
        names = [short_name(entry) for entry in info.data.get("terms", ())]
        if short_name(info.data.get("main", "")) in names:
            raise ValueError(f"`{info.data['main']}` and a term of `terms` have the same name")
        return weights.for_plugins(names)

    @field_validator("focal_gamma")
    @classmethod
    def _there_is_a_focal_term(cls, gamma: float | None, info: ValidationInfo) -> float | None:
        main = info.data.get("main", "")
        if gamma is not None and main not in ("dice_focal", "focal_logcosh_dice"):
            raise ValueError(f"`{main}` has no focal term: must be null, but is {gamma:g}")
        return gamma


class OptimizerSettings(Settings):
    """Optimizer, learning-rate schedule and gradient clip."""

    name: Literal["sgd", "adamw"] = "sgd"
    """sgd: SGD with Nesterov momentum. adamw: AdamW."""
    lr: float = Field(default=1e-2, gt=0)
    """Learning rate of epoch 0."""
    momentum: float = Field(default=0.99, ge=0, lt=1)
    """Momentum of SGD. AdamW does not use it."""
    weight_decay: float = Field(default=3e-5, ge=0)
    """Weight decay: an L2 penalty with SGD, decoupled with AdamW."""
    schedule: Literal["poly", "constant"] = "poly"
    """Learning-rate schedule. poly: lr · (1 − epoch / epochs)^poly_exponent, as in nnU-Net."""
    poly_exponent: float = Field(default=0.9, gt=0)
    """Exponent of `schedule: poly`. 1 falls linearly; less falls later and more steeply."""
    gradient_clip: float | None = Field(default=12.0, gt=0)
    """Gradients are clipped to this norm; null: no clipping."""


class GuardSettings(Settings):
    """Rules that end a trial as diverged."""

    on_nonfinite: Literal["terminate", "skip"] = "terminate"
    """What a nonfinite loss or gradient does. terminate: it ends the trial. skip: only the step is
    skipped."""
    skipped_in_a_row: int = Field(default=20, ge=1)
    """Consecutive skipped steps that end the trial. fp16 skips up to 16 steps to find its scale."""
    skipped_per_epoch: int | None = Field(default=50, ge=1)
    """Most skipped steps in one epoch; more end the trial; null: no limit."""
    exploded_factor: float | None = Field(default=30.0, gt=1)
    """A step is an outlier if a main loss term is this many times its initial value, or the
    gradient norm this many times its usual level; null: no step is."""
    exploded_steps: int = Field(default=10, ge=1)
    """Consecutive outlier steps that end the trial."""
    collapsed_epochs: int | None = Field(default=2, ge=1)
    """Consecutive collapsed validations that end a trial once it has learnt; null: no limit.

    A validation is collapsed if one class is predicted everywhere, or Dice is below a tenth of the
    best. When the training ends, the rule also holds for a trial that has never learnt."""
    learnt_dice: float = Field(default=0.1, gt=0, lt=1)
    """Progress of validation Dice, from 0 to 1, at which the network counts as having learnt.

    0 is the Dice of a prediction that ignores the images (foreground everywhere), 1 is a Dice
    of 1."""
    learnt_by: int | None = Field(default=None, ge=0)
    """Epoch, counted from 0, by which the network must have learnt; null: no deadline."""


MetricName = Literal["iou", "hd95", "shape"]


def _columns_of_their_own(metrics: tuple[str, ...]) -> tuple[str, ...]:
    """Metrics of which no plug-in has the name of another column of results."""
    taken = {*JUDGED, "shape", *(f"reference_{name}" for name in MEASURED["shape"])}
    for name in (short_name(entry) for entry in metrics if entry not in MEASURED):
        if name in taken or is_other_column(name):
            raise ValueError(f"`{name}` is the name of another metric or column: rename it")
        taken.add(name)
    return metrics


class EvaluationSettings(Settings):
    """How validation cases are predicted, and which metrics are measured besides Dice."""

    metrics: Annotated[
        tuple[Annotated[str, own_or_plugin(METRIC, MetricName)], ...],
        Field(strict=False),
        BeforeValidator(
            lambda value: get_args(MetricName) if value == "all" else value,
            json_schema_input_type=Literal["all"] | list[MetricName | PluginName],
        ),
        AfterValidator(_columns_of_their_own),
    ] = get_args(MetricName)
    """Metrics besides Dice: all, or a list of iou, hd95 (in pixels), shape (compactness, solidity
    and eccentricity of prediction and reference) and plug-ins (package.module:attribute,
    file.py:attribute or a registered name); [] for none. all: all but plug-ins."""
    every: int | None = Field(default=None, ge=1)
    """Measure these metrics every N epochs; null: only when the objective improves.

    The best epoch is always measured. If the objective is one of these metrics, every epoch is.
    """
    tta: Literal["none", "flips"] = "none"
    """Test-time augmentation. flips: mean softmax over the four mirrored images, at four times the
    cost."""


class EarlyStoppingSettings(Settings):
    """Stop a trial that no longer improves."""

    patience: Annotated[int | None, EndsRun()] = Field(default=50, ge=1)
    """Consecutive epochs without improvement after which the trial stops; null: never."""
    min_delta: Annotated[float, EndsRun()] = Field(default=1e-4, ge=0)
    """Smallest improvement of the objective that counts."""
    counts_from: Annotated[Literal["rampup_end", "start"], EndsRun()] = "rampup_end"
    """First epoch that patience counts. rampup_end: the first after warm-up and ramp-up. start:
    epoch 0.

    With a custom trainer, the default is start if no trial has a geometric term."""


class Expectation(Settings):
    """What a healthy run has reached by some epoch. A run that has not gets a warning."""

    epoch: int = Field(default=0, ge=0)
    """Epoch, counted from 0, after which it is checked. `max_gap` is checked from there on."""
    val_dice: float | None = Field(default=None, gt=0, le=1)
    """Least validation Dice of the best epoch so far."""
    train_loss: float | None = None
    """Largest training loss of the epoch."""
    max_gap: float | None = Field(default=None, gt=0, le=1)
    """Largest difference by which training Dice may exceed validation Dice.

    Training Dice is estimated at no cost from the Dice term of the loss. That term is soft and
    averaged over augmented batches while the weights change, so the estimate tends to be too low.
    """


NO_GEOMETRY: dict[str, Any] = {
    "warmup_epochs": 0,
    "rampup_epochs": 0,
    "weights": dict.fromkeys(TERMS, 0.0),
}
"""Default of ``loss`` with a trainer that computes its own loss. It has no geometric terms, so
nothing waits for them or reports on them."""


def _without_geometry(loss: Any, trainer: Any) -> Any:
    """``loss`` as written, or merged over `NO_GEOMETRY` for a trainer with its own loss."""
    is_own = isinstance(trainer, CommonTrainer) and trainer.computes_its_own_loss
    if not is_own or not isinstance(loss, dict):
        return loss
    weights = loss.get("weights", {})
    merged = NO_GEOMETRY["weights"] | weights if isinstance(weights, dict) else weights
    return NO_GEOMETRY | loss | {"weights": merged}


class TrialSettings(Settings):
    """The whole configuration of one trial.

    >>> import sweep
    >>> sweep.TrialSettings(seed=3).loss.warmup_epochs
    20
    """

    seed: int = Field(default=0, ge=0, lt=2**31)
    """Seed of the weights, data order and augmentation."""
    data: DataSettings = ShapesData()
    augmentation: AugmentationSettings = AugmentationSettings()
    trainer: TrainerSettings = MonaiTrainer()
    network: NetworkSettings = NetworkSettings()
    loss: LossSettings = Field(
        default_factory=lambda values: LossSettings.model_validate(
            _without_geometry({}, values.get("trainer"))
        )
    )
    optimizer: OptimizerSettings = OptimizerSettings()
    guard: GuardSettings = GuardSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    objective: ObjectiveChoice = ObjectiveSettings()
    """The metric that trials are compared by: its name, or {metric: NAME, mode: max | min}."""
    early_stopping: EarlyStoppingSettings = EarlyStoppingSettings()
    expect: Annotated[
        tuple[Expectation, ...],
        Field(strict=False),
        one_or_several(dict, Expectation | list[Expectation]),
    ] = ()
    """What a healthy run reaches, such as `[{epoch: 10, val_dice: 0.3}, {max_gap: 0.15}]`. A run
    that does not gets a warning."""

    @field_validator("loss", mode="before")
    @classmethod
    def _loss_is_the_trainers(cls, loss: Any, info: ValidationInfo) -> Any:
        return _without_geometry(loss, info.data.get("trainer"))

    @field_validator("loss", "expect", "objective", "augmentation", "network")
    @classmethod
    def _fits_earlier_fields(cls, value: Any, info: ValidationInfo) -> Any:
        # A field that is missing in `info.data` is itself invalid.
        names = ("data", "trainer", "loss", "evaluation")
        data, trainer, loss, evaluation = map(info.data.get, names)
        match value:
            case LossSettings() if isinstance(trainer, NnunetTrainer) and trainer.looks_at_volumes:
                value.weights.must_fit_volumes()
            case ObjectiveSettings() if trainer and evaluation:
                value.must_fit(trainer.traits, evaluation.metrics)
            case AugmentationSettings() if data:
                value.gamma.must_fit(data.normalization)
            case NetworkSettings() if data and isinstance(trainer, MonaiTrainer):
                if data.smallest_side is not None:
                    value.must_fit(data.smallest_side, trainer.batch_size)
            case tuple() if loss and any(expected.max_gap is not None for expected in value):
                if loss.has_plugin_main:
                    raise ValueError(f"`max_gap` needs a Dice term, but `{loss.main}` has none")
                if loss.dice_weight == 0:
                    raise ValueError("`max_gap` needs a Dice term, but `loss.dice_weight` is 0")
        return value

    @model_validator(mode="after")
    def _count_from_the_start_without_geometry(self) -> Self:
        # Written out explicitly: a trial read alone does not know the sweep's other trials.
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

    @property
    def judged_by(self) -> Objective:
        """The objective that its trials are compared by."""
        return self.objective.plain
