"""What is wrong with a trainer and its data, told before anything heavy is imported or trained."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from sweep.data.check import check_data
from sweep.errors import Mistake
from sweep.spec.settings import TrialSettings
from sweep.spec.trainer import CustomTrainer, MonaiTrainer, NnunetTrainer


def check_trainer(settings: TrialSettings) -> list[Mistake]:
    """Everything that can be told without reading pixels and without running anything.

    A mistake of the settings has a key and no file, one of a dataset names its file.
    """
    match settings.trainer:
        case MonaiTrainer():
            return check_data(settings.data)
        case NnunetTrainer() as trainer:
            from sweep.nnunet.datasets import check_nnunet

            return check_nnunet(trainer)
        case CustomTrainer() as trainer:
            return list(_entry_mistakes(trainer.entry))


def _entry_mistakes(entry: str) -> Iterator[Mistake]:
    """A file or package that there is not; none is imported, for that would run it."""
    where, _, _ = entry.rpartition(":")
    if where.endswith(".py"):
        if not Path(where).is_file():
            yield Mistake(f"{where} is no file", key="trainer.entry")
    elif find_spec(package := where.partition(".")[0]) is None:
        yield Mistake(f"the package {package} is not installed", key="trainer.entry")
