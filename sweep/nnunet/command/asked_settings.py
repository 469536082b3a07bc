"""The settings for nnU-Net's own command, from a trial's ``config.yaml``.

``nnUNetv2_train`` has no option for them, so an environment variable names the file::

    SWEEP_NNUNET_CONFIG=results/x/best.yaml nnUNetv2_train 502 2d 0 -tr nnUNetTrainerGeometric

Without the variable, the losses are those of the preset ``geometric-recommended``, and everything
else is nnU-Net's own. In both cases the trainer prints and records what is in effect.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sweep.nnunet.dataset.nnunet_datasets import number_of
from sweep.spec.load import load_trial
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.errors import InputError, Mistake, SweepError

STEPS = 250
VALIDATION_STEPS = 50
"""nnU-Net's numbers of batches per epoch."""

CONFIG_VARIABLE = "SWEEP_NNUNET_CONFIG"


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turns our errors into a message and an exit code, for nnU-Net's own command."""
    try:
        yield
    except SweepError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(error.exit_code) from None


def nnunet_trainer(settings: TrialSettings) -> NnunetTrainer:
    """The trainer of a configuration of nnU-Net.

    Raises:
        InputError: it is of another kind.
    """
    if not isinstance(settings.trainer, NnunetTrainer):
        raise InputError.single(
            f"must be `nnunet` for nnU-Net to train, but is `{settings.trainer.kind}`",
            key="trainer.kind",
        )
    return settings.trainer


def asked_in_file() -> tuple[TrialSettings, str] | None:
    """The settings of the file in `CONFIG_VARIABLE`, and its path; None if it is not set.

    Raises:
        InputError: the file cannot be read.
    """
    file = os.environ.get(CONFIG_VARIABLE)
    return (load_trial(Path(file)), file) if file else None


def asked_by_environment(
    dataset: str, plans: str, configuration: str, fold: int | str
) -> tuple[TrialSettings, str]:
    """The settings of the file in `CONFIG_VARIABLE`, or the defaults if it is not set.

    Returns:
        The settings, and where they come from, as a clause.

    Args:
        dataset, plans, configuration, fold: from nnU-Net's command line. The fold may differ from
            the file's, because the file's configuration is trained on all folds.

    Raises:
        InputError: the file cannot be read, or has another kind of trainer, dataset, configuration
            or plans.
    """
    asked = asked_in_file()
    if asked is None:
        import torch
        from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA

        nnunets_own = {
            "kind": "nnunet",
            "dataset": dataset,
            "plans": plans,
            "configuration": configuration,
            "fold": fold,
            "epochs": 1000,
            "workers": get_allowed_n_proc_DA(),
            "compile": True,
            "deterministic": False,
            "threads": torch.get_num_threads(),
        }
        # The recommended losses are the defaults of `LossSettings`.
        settings = TrialSettings.model_validate({"trainer": nnunets_own})
        return settings, f"the defaults, since {CONFIG_VARIABLE} names no file"
    settings, file = asked
    trainer = nnunet_trainer(settings)
    by_name = isinstance(trainer.dataset, str) and not trainer.dataset.isdecimal()
    mistakes = [
        Mistake(
            f"asks for {wanted!r}, but nnU-Net's command trains {trained!r}",
            key=f"trainer.{name}",
            file=file,
        )
        for name, wanted, trained in (
            ("dataset", trainer.dataset, dataset if by_name else number_of(dataset)),
            ("configuration", trainer.configuration, configuration),
            ("plans", trainer.plans, plans),
        )
        if str(wanted) != str(trained)
    ]
    if mistakes:
        raise InputError(mistakes)
    trainer = trainer.model_copy(update={"fold": fold})
    return settings.model_copy(update={"trainer": trainer}), f"the file {file}"
