"""A `Trainer.fit` of Lightning as the trial of a function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, LambdaCallback
from lightning.pytorch.plugins import MixedPrecision, Precision
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature

from sweep.spec.settings.trial_settings import OptimizerSettings, TrialSettings
from sweep.trainer.custom.function_run import Trial
from sweep.trainer.lightning.guarded_precision import GuardedPrecision, TrainingStep, replaced
from sweep.trainer.runs.returned_values import described
from sweep.trainer.runs.tried_cures import changed
from sweep.vocabulary.errors import TrainerError

HERE = "the trial's checkpoint"
"""Stands for a path, as which Lightning passes it on."""

HYPER_PARAMETERS = ("hyper_parameters", "hparams_name", "hparams_type")

CLIP = OptimizerSettings().gradient_clip

PRECISIONS = {"32-true": "off", "bf16-mixed": "bf16", "16-mixed": "fp16"}
"""Lightning's word → that of ``trainer.amp``."""


def fit(
    trial: Trial,
    trainer: Trainer,
    model: LightningModule,
    train_dataloaders: Any = None,
    val_dataloaders: Any = None,
    datamodule: Any = None,
    *,
    dice: str | None = "val_dice",
    guard: bool = True,
) -> None:
    """``trainer.fit(model, …)`` for ``trial.epochs``: reported, saved, resumed, and guarded.

    All that the module logs is reported. Under the guard, the ``train_loss`` of an epoch is the
    mean over its steps, whatever is logged by that name.

    Args:
        trial: the second argument of the function.
        dice: name under which the module logs its validation Dice; None if it logs none.
        guard: take no step whose loss or gradient is not finite, as `Trial.guard`.
    Raises:
        TrainerError: this trainer or module cannot be trained so.
    """
    for why in _refusals(trainer, model, trial):
        raise TrainerError(f"sweep.lightning.fit: {why}")
    with ExitStack() as stack:
        plugin = None
        if guard:
            step, said = TrainingStep(model), trainer.precision_plugin.precision
            plugin = GuardedPrecision(said, step, _settings_of(trainer, model, trial))
            stack.enter_context(step.watched(model))
            stack.enter_context(replaced(trainer.strategy, "precision_plugin", plugin))
        own = InTrial(trial, trainer.strategy.checkpoint_io)
        stack.enter_context(replaced(trainer.strategy, "checkpoint_io", own))
        report = Report(trial, own, dice, plugin)
        callbacks: list[Any] = vars(trainer)["callbacks"]  # which its class does not declare
        # What is saved is from before other callbacks begin the next epoch, or end the fit.
        first = LambdaCallback(on_train_epoch_start=report.report, on_train_end=report.report)
        callbacks[:] = [first, *callbacks, report]
        for one in first, report:
            stack.callback(callbacks.remove, one)
        trainer.fit_loop.max_epochs = trial.epochs
        goes_on = trial.checkpoint.load() is not None
        trainer.fit(
            model, train_dataloaders, val_dataloaders, datamodule, HERE if goes_on else None
        )


class Report(Checkpoint):
    """Reports each epoch when the next begins: what ends an epoch, such as the step of a
    scheduler, comes after the last hook of Lightning that is called at its end.
    """

    def __init__(
        self, trial: Trial, own: InTrial, dice: str | None, plugin: GuardedPrecision | None
    ) -> None:
        self._trial, self._own, self._dice, self._plugin = trial, own, dice, plugin
        self._told: dict[str, Any] = {}  # the metrics of the epochs before
        self._ended: tuple[int, dict[str, Any]] | None = None
        self._is_validated = False

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        if self._plugin is not None:
            settings = self._plugin.settings
            self._plugin.guard = self._trial.guard(module, trainer.optimizers[0], settings)
        self._trial.checkpoint.load()  # the random generators once more: making things drew numbers

    def on_before_zero_grad(self, trainer: Trainer, *args: Any) -> None:
        if self._plugin is not None and self._plugin.guard.guard.accumulated:
            raise TrainerError(
                f"sweep.lightning.fit: {described(trainer.lightning_module)} has left out the step"
                " of a batch: under the guard, its optimizer_step must call optimizer.step"
            )

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        self._is_validated = self._is_validated or not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        self._ended = trainer.current_epoch, dict(trainer.callback_metrics)
        self._own.loops = trainer.fit_loop.state_dict()  # at the beginning of one it cannot go on

    def on_save_checkpoint(self, trainer: Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["should_stop"] = trainer.should_stop  # Lightning forgets it

    def on_load_checkpoint(self, trainer: Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        trainer.should_stop = checkpoint.get("should_stop", False)

    def report(self, trainer: Trainer, module: LightningModule) -> None:
        if self._ended is None:
            return
        (epoch, found), self._ended = self._ended, None
        if self._dice is not None and self._is_validated and self._dice not in found:
            raise TrainerError(
                f"sweep.lightning.fit: no {self._dice!r} is logged, but {sorted(found)}:"
                ' fit(…, dice="NAME") names the validation Dice, dice=None that there is none'
            )
        # What was not logged in this epoch is still the same object.
        new = {k: v for k, v in found.items() if v is not self._told.get(k)}
        self._told = found
        new = {k: v for k, v in new.items() if not _is_fork(k, new)}
        dice = None if self._dice is None else new.pop(self._dice, None)
        if self._plugin is not None:
            new.pop("train_loss", None)
        if taken := new.keys() & {"epoch", "dice", "self"}:
            raise TrainerError(
                f"sweep.lightning.fit: a metric is logged as {min(taken)!r}, which is a name of the"
                " sweep: log it under another one"
            )
        trainer.save_checkpoint(HERE, weights_only=False)
        self._trial.report(epoch, dice, **new)


class InTrial(CheckpointIO):
    """Keeps Lightning's checkpoint in the trial's. Files of the user's go where they went.

    Hyper-parameters are left out: they may be anything, and nothing that goes on needs them.

    Attributes:
        loops: where the fit is.
    """

    loops: Mapping[str, Any]

    def __init__(self, trial: Trial, files: CheckpointIO) -> None:
        self._trial, self._files = trial, files

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        if path != HERE:
            self._files.save_checkpoint(checkpoint, path, storage_options)
            return
        kept = {k: v for k, v in checkpoint.items() if not k.endswith(HYPER_PARAMETERS)}
        kept["loops"] = {**kept["loops"], "fit_loop": self.loops}
        self._trial.checkpoint.save({"lightning": kept})

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        if path != HERE:
            return self._files.load_checkpoint(path, map_location, weights_only)
        state = self._trial.checkpoint.load()
        assert state is not None
        found: dict[str, Any] = state["lightning"]
        return found

    def remove_checkpoint(self, path: Any) -> None:
        self._files.remove_checkpoint(path)


def _is_fork(name: str, names: dict[str, Any]) -> bool:
    """Whether it is one of the two that Lightning adds to a metric of each step and epoch."""
    metric, _, fork = name.rpartition("_")
    return fork in ("step", "epoch") and metric in names


def _refusals(trainer: Any, model: Any, trial: Trial) -> Iterator[str]:
    """Why something cannot be trained, guarded or not."""
    for given, kind in ((trainer, Trainer), (model, LightningModule)):
        if not isinstance(given, kind):
            name, of = described(given), type(given).__mro__
            if any(one.__module__.startswith("pytorch_lightning.") for one in of):
                name += " of pytorch_lightning, another package: import lightning.pytorch as pl"
            yield f"takes a lightning.pytorch.{kind.__name__}, but got {name}"
            return
    strategy = trainer.strategy
    if type(strategy) is not SingleDeviceStrategy:
        yield (
            f"the Trainer has {described(strategy)}, but a trial has one device:"
            " Trainer(accelerator=trial.device.type, devices=1)"
        )
    elif strategy.root_device.type != trial.device.type:
        yield (
            f"the Trainer trains on {strategy.root_device}, but the trial on {trial.device.type}:"
            " Trainer(accelerator=trial.device.type, devices=1), and trainer.device in the sweep's"
            " file chooses"
        )
    if trainer.max_steps != -1:
        yield f"max_steps is {trainer.max_steps}, but a trial has epochs: leave it out"


def _settings_of(trainer: Trainer, model: LightningModule, trial: Trial) -> TrialSettings:
    """The trial's settings with what the Trainer says of precision and clip.

    Raises:
        TrainerError: the guard cannot take these steps.
    """
    for why in _unguarded(trainer, model):
        raise TrainerError(
            f"sweep.lightning.fit: {why}; fit(…, guard=False) trains it without the guard"
        )
    settings, precision = trial.settings, str(trainer.precision_plugin.precision)
    clip, clips = trainer.gradient_clip_val, settings.optimizer.gradient_clip
    change = {
        "trainer.amp": (PRECISIONS[precision], settings.trainer.amp, "off", f"{precision=}"),
        "optimizer.gradient_clip": (clip or None, clips, CLIP, f"gradient_clip_val={clip}"),
    }
    return changed(settings, {key: _agreed(key, *said) for key, said in change.items()})


def _agreed(key: str, asked: Any, here: Any, default: Any, words: str) -> Any:
    """A setting by what the Trainer says of it, and by what the sweep's file says."""
    if asked in (here, None, "off"):  # the Trainer says nothing else
        return here
    if here == default:
        return asked
    raise TrainerError(
        f"sweep.lightning.fit: the Trainer has {words}, but {key} is {here}: leave one of them out"
    )


def _unguarded(trainer: Trainer, model: LightningModule) -> Iterator[str]:
    """Why the guard cannot take the steps of a module."""
    kind, plugin = type(model).__name__, trainer.precision_plugin
    if not model.automatic_optimization:
        yield f"{kind} optimizes by itself (automatic_optimization is False)"
    for hook in ("backward", "configure_gradient_clipping"):
        if is_overridden(hook, model):
            yield f"{kind} has a {hook} of its own, which the guard replaces"
    if is_param_in_hook_signature(model.training_step, "dataloader_iter", explicit=True):
        yield f"training_step of {kind} takes a dataloader_iter, whose batches pass only once"
    if type(plugin) not in (Precision, MixedPrecision):
        yield f"its precision is {plugin.precision}, but the guard knows {', '.join(PRECISIONS)}"
    if trainer.gradient_clip_val and trainer.gradient_clip_algorithm not in (None, "norm"):
        yield "it clips by value, which hides an infinite gradient; the guard clips the norm"
