"""The settings for nnU-Net's own command, from a trial's ``config.yaml``.

``nnUNetv2_train`` has no option for them, so the environment names the file::

    SWEEP_NNUNET_CONFIG=results/x/best.yaml nnUNetv2_train 502 2d 0 -tr nnUNetTrainerGeometric

Without the variable the losses are those of the preset ``geometric-recommended`` and all the rest
is nnU-Net's own. Either way the trainer prints and records what is in effect.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sweep.spec.load import load_trial
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.errors import InputError, Mistake, SweepError

STEPS = 250
VALIDATION_STEPS = 50
"""nnU-Net's batches an epoch."""

CONFIG_VARIABLE = "SWEEP_NNUNET_CONFIG"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be trained with.

    Args:
        settings: of the trial; its trainer is an `NnunetTrainer`.
        source: where they come from, as a clause.
    """

    settings: TrialSettings
    source: str

    @property
    def trainer(self) -> NnunetTrainer:
        return nnunet_trainer(self.settings)


@contextmanager
def told(alone: bool) -> Iterator[None]:
    """Turns our errors into a message and an exit code, where nnU-Net's own command runs."""
    try:
        yield
    except SweepError as error:
        if not alone:
            raise
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


def asked_by_environment(dataset: str, plans: str, configuration: str, fold: int | str) -> Asked:
    """What the file of `CONFIG_VARIABLE` asks for, or the defaults where it is not set.

    Args:
        dataset, plans, configuration, fold: what nnU-Net's command line says. The fold may be
            another than the file's: the file's configuration is to be trained on all of them.
    Raises:
        InputError: the file cannot be read, is of another kind, or is about another dataset,
            configuration or plans.
    """
    file = os.environ.get(CONFIG_VARIABLE)
    if not file:
        return Asked(
            _defaults(dataset, plans, configuration, fold),
            f"the defaults, since {CONFIG_VARIABLE} names no file",
        )
    settings = load_trial(Path(file))
    asked = nnunet_trainer(settings)
    number = int(dataset[len("Dataset") :].partition("_")[0])
    mistakes = [
        Mistake(
            f"asks for {wanted!r}, but nnU-Net's command trains {told!r}",
            key=f"trainer.{name}",
            file=file,
        )
        for name, wanted, told in (
            ("dataset", asked.dataset, dataset if isinstance(asked.dataset, str) else number),
            ("configuration", asked.configuration, configuration),
            ("plans", asked.plans, plans),
        )
        if str(wanted) not in (str(told), str(number) if name == "dataset" else str(told))
    ]
    if mistakes:
        raise InputError(mistakes)
    trainer = asked.model_copy(update={"fold": fold})
    return Asked(settings.model_copy(update={"trainer": trainer}), f"the file {file}")


def _defaults(dataset: str, plans: str, configuration: str, fold: int | str) -> TrialSettings:
    """The recommended losses (`LossSettings` has them) in nnU-Net's own loop."""
    import torch
    from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA

    return TrialSettings.model_validate(
        {
            "trainer": {
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
        }
    )
