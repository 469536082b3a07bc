"""The settings of one trial: everything that shapes a training run.

A trial's ``config.yaml`` is this tree. A sweep file is this tree plus a ``space`` and how to
search it (`sweep.spec.search.sweep_spec`). A setting's dotted name (``loss.warmup_epochs``) is its
path in the tree.

Settings without effect before the geometric loss switches on have the mark `ActsLate`. Trials that
differ only in those are the same run until then.
"""

from __future__ import annotations

from dataclasses import replace
from operator import not_
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from sweep.plugins.plugin_kinds import OPTIMIZER, own_or_plugin
from sweep.spec.settings.augmentation_settings import AugmentationSettings
from sweep.spec.settings.data_settings import CommonData, DataSettings, ShapesData
from sweep.spec.settings.evaluation_settings import EvaluationSettings
from sweep.spec.settings.geometric_terms import TERMS
from sweep.spec.settings.loss_settings import LossSettings
from sweep.spec.settings.network_settings import NetworkSettings
from sweep.spec.settings.objective_settings import ObjectiveChoice, ObjectiveSettings
from sweep.spec.settings.settings_base import EndsRun, Options, Settings, one_or_several
from sweep.spec.settings.trainer_settings import (
    CommonTrainer,
    GeometricTrainer,
    MonaiTrainer,
    NnunetTrainer,
    TrainerSettings,
)
from sweep.vocabulary.objective import Objective

OptimizerName = Literal["sgd", "adamw"]
OWN_OPTIMIZERS: tuple[str, ...] = get_args(OptimizerName)


class OptimizerSettings(Settings):
    """Optimizer, learning-rate schedule and gradient clip."""

    name: Annotated[str, own_or_plugin(OPTIMIZER, OptimizerName)] = "sgd"
    """sgd: SGD with Nesterov momentum. adamw: AdamW. Or a plug-in: any other optimizer, as
    torch.optim:RAdam."""
    lr: float = Field(default=1e-2, gt=0)
    """Learning rate of epoch 0."""
    momentum: float = Field(default=0.99, ge=0, lt=1)
    """Momentum of SGD. AdamW does not use it."""
    weight_decay: float = Field(default=3e-5, ge=0)
    """Weight decay: an L2 penalty with SGD, decoupled with AdamW."""
    schedule: Literal["poly", "cosine", "constant"] = "poly"
    """Learning-rate schedule. poly: lr · (1 − epoch / epochs)^poly_exponent, as in nnU-Net. cosine:
    lr · (1 + cos(π · epoch / epochs)) / 2."""
    poly_exponent: float = Field(default=0.9, gt=0)
    """Exponent of `schedule: poly`. 1 falls linearly; less falls later and more steeply."""
    gradient_clip: float | None = Field(default=12.0, gt=0)
    """Gradients are clipped to this norm; null: no clipping."""
    options: Options = Field(default_factory=dict, exclude_if=not_)
    """Keyword arguments of a plug-in, beside `lr`. Each can be searched, as
    optimizer.options.NAME."""

    @property
    def is_plugin(self) -> bool:
        """Whether it is an optimizer of another package."""
        return self.name not in OWN_OPTIMIZERS


class GuardSettings(Settings):
    """Rules that end a trial as diverged."""

    on_nonfinite: Literal["terminate", "skip"] = "terminate"
    """What a nonfinite loss or gradient does. terminate: it ends the trial. skip: only the step is
    skipped. It also applies to the `train_loss` that a custom trainer reports for an epoch."""
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


def _losses_see_volumes(trainer: CommonTrainer | None, data: CommonData | None) -> bool:
    """Whether the geometric losses see whole volumes."""
    if not isinstance(trainer, GeometricTrainer) or trainer.geometry == "slices":
        return False
    if isinstance(trainer, NnunetTrainer):
        return trainer.configuration != "2d"
    return data is not None and data.spatial_dims == 3


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
    """The metric that trials are compared by: its name, or {metric: NAME, mode: max | min}. A list
    of two or three, such as [val_dice, hd95] or [val_dice, epochs], searches their trade-off."""
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
            case LossSettings() if _losses_see_volumes(trainer, data):
                value.weights.must_fit_volumes()
            case ObjectiveSettings() if trainer and evaluation:
                value.must_fit(trainer.traits, evaluation.metrics)
            case AugmentationSettings() if data:
                value.gamma.must_fit(data.normalization)
            case NetworkSettings() if data and isinstance(trainer, MonaiTrainer):
                # Where a network follows the spacing, it takes the data to know (`unfit`).
                if (smallest := data.smallest_input) is not None:
                    value.must_fit(smallest, trainer.batch_size)
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
    def has_test_cases(self) -> bool:
        """Whether cases are kept for a test of the finalists."""
        return bool(self.data.test or getattr(self.trainer, "test", None))

    @property
    def judged_by(self) -> Objective:
        """The objective that its trials are compared by, with the others if there are several."""
        plain, dice = self.objective.plain, self.trainer.traits.dice
        return replace(
            plain, dice=dice, others=tuple(replace(one, dice=dice) for one in plain.others)
        )
