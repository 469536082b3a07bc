"""Settings that act on nothing, as nnU-Net's plans show."""

from __future__ import annotations

from collections.abc import Iterator

from sweep.nnunet.dataset.nnunet_datasets import configuration_of, preprocessed_folder, read_plans
from sweep.spec.checks.inactive_settings import Rule
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.errors import InputError

CHOOSING = frozenset({"trainer.dataset", "trainer.plans", "trainer.configuration"})


def idle_by_plans(settings: TrialSettings) -> Iterator[Rule]:
    """What a planned configuration of images leaves without effect, whatever its name.

    There is nothing of plans that are wrong, which is told elsewhere, nor where they are searched.
    """
    asked = settings.trainer
    searched = settings.space.keys() if isinstance(settings, SweepSpec) else frozenset()
    if not isinstance(asked, NnunetTrainer) or CHOOSING & searched:
        return
    try:
        folder = preprocessed_folder(asked)
        file = folder / f"{asked.plans}.json" if folder else None
        planned = configuration_of(read_plans(file), asked.configuration) if file else {}
    except InputError:
        return
    patch = planned.get("patch_size")
    if isinstance(patch, list) and len(patch) == 2:
        why = f"the configuration `{asked.configuration}` has no volumes"
        yield Rule(("trainer.geometry",), {}, why)
