"""Settings that act on nothing, as nnU-Net's plans show."""

from __future__ import annotations

from collections.abc import Iterator

from sweep.errors import InputError
from sweep.nnunet.datasets import configuration_of, preprocessed_folder, read_plans
from sweep.spec.inactive import Rule
from sweep.spec.settings import TrialSettings
from sweep.spec.sweep import SweepSpec
from sweep.spec.trainer import NnunetTrainer

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
