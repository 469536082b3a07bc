"""What is wrong with a trainer and its data, told before anything heavy is imported or trained."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from sweep.data.check import check_data, check_pixels
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
        case NnunetTrainer():
            from sweep.nnunet.check import check_nnunet

            return check_nnunet(settings)
        case CustomTrainer() as trainer:
            return list(_entry_mistakes(trainer.entry))


class Look:
    """`check_trainer`, which also reads the pixels where it is told to.

    Args:
        pixels: read them, where nothing else is wrong with the data.

    Attributes:
        warnings: what the pixels show that is no mistake.
    """

    def __init__(self, *, pixels: bool) -> None:
        self._pixels = pixels
        self._seen: dict[str, list[Mistake]] = {}
        self.warnings: list[str] = []

    def __call__(self, settings: TrialSettings) -> list[Mistake]:
        found = check_trainer(settings)
        if found or not self._pixels or not isinstance(settings.trainer, MonaiTrainer):
            return found
        read = settings.data.model_dump_json()
        if read not in self._seen:  # a searched fold asks again and again
            self._seen[read], told = check_pixels(settings.data)
            self.warnings += [text for text in told if text not in self.warnings]
        return self._seen[read]


def _entry_mistakes(entry: str) -> Iterator[Mistake]:
    """A file or package that there is not; none is imported, for that would run it."""
    where, _, _ = entry.rpartition(":")
    if where.endswith(".py"):
        if not Path(where).is_file():
            yield Mistake(f"{where} is no file", key="trainer.entry")
    elif find_spec(package := where.partition(".")[0]) is None:
        yield Mistake(f"the package {package} is not installed", key="trainer.entry")
