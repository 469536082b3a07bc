"""Find mistakes of a trainer and its data before anything heavy is imported or trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.spec.checks.first_look import FirstLook
from sweep.spec.checks.inactive_settings import Rule
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trial.kinds.kind_table import kind_of
from sweep.vocabulary.errors import Mistake

if TYPE_CHECKING:
    from sweep.data.prepared.samples import PreparedData


class TrainerCheck:
    """A look at the trainer and its data, for one command: the same is looked at once.

    Called with settings it tells every mistake that shows without running anything, and without
    reading pixels unless it is told to. A mistake of the settings has a key and no file, one of a
    dataset names its file.

    Args:
        pixels: read them, where nothing else is wrong with the data.

    Attributes:
        data: the first that were read; None where none were.
    """

    def __init__(self, *, pixels: bool = False) -> None:
        self._pixels = pixels
        self._seen: dict[str, FirstLook] = {}
        self._read: dict[str, tuple[list[Mistake], PreparedData | None]] = {}
        self._told: dict[str, str] = {}
        self.data: PreparedData | None = None

    @property
    def warnings(self) -> list[str]:
        """What names and pixels show that is no mistake; of several folds that of the first."""
        return list(self._told.values())

    def idle(self, settings: TrialSettings) -> list[Rule]:
        """Settings without effect, as far as names, plans and headers show."""
        searched = settings.space.keys() if isinstance(settings, SweepSpec) else ()
        return list(self._look(settings).idle(searched))

    def __call__(self, settings: TrialSettings) -> list[Mistake]:
        look = self._look(settings)
        if look.mistakes:
            return look.mistakes
        for doubt in look.doubts():
            self._told.setdefault(doubt.kind, str(doubt))
        if not self._pixels:
            return []
        pixels = kind_of(settings).pixels
        if isinstance(pixels, str):
            told = f"--data reads nothing: {pixels}"
            self._told.setdefault(told, told)
            return []
        key = _looked_at(settings)
        if key not in self._read:  # a searched fold asks again and again
            self._read[key] = pixels.read(settings)
        mistakes, data = self._read[key]
        if data is None:
            return mistakes
        self.data = self.data or data
        self._told.update({text: text for text in data.warnings})
        return pixels.unfit(settings, data)

    def _look(self, settings: TrialSettings) -> FirstLook:
        key = _looked_at(settings)
        if key not in self._seen:
            self._seen[key] = kind_of(settings).look(settings)
        return self._seen[key]


def _looked_at(settings: TrialSettings) -> str:
    """The settings on which a look depends."""
    trainer = settings.trainer
    return trainer.kind + settings.model_dump_json(include={*trainer.traits.looked_at})
