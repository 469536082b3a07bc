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
    """Checks of trainers and their data, for one command. Each is checked once.

    A call with settings returns every mistake that can be found without running anything. A mistake
    of the settings has a key and no file. A mistake of a dataset names its file.

    Args:
        pixels: also read the pixels, if nothing else is wrong with the data.

    Attributes:
        data: the first data that were read; None so far.
    """

    def __init__(self, *, pixels: bool = False) -> None:
        self._pixels = pixels
        self._seen: dict[str, FirstLook] = {}
        self._read: dict[str, tuple[list[Mistake], PreparedData | None]] = {}
        self._warnings: dict[str, str] = {}
        self.data: PreparedData | None = None

    @property
    def warnings(self) -> list[str]:
        """Findings that are not mistakes; of several folds those of the first."""
        return list(self._warnings.values())

    def idle(self, settings: TrialSettings) -> list[Rule]:
        """Settings without effect, as far as names, plans and headers show it."""
        searched = settings.space.keys() if isinstance(settings, SweepSpec) else ()
        return list(self._look(settings).idle(searched))

    def __call__(self, settings: TrialSettings) -> list[Mistake]:
        look = self._look(settings)
        if look.mistakes:
            return look.mistakes
        searched = settings.space if isinstance(settings, SweepSpec) else {}
        for doubt in look.doubts():
            if doubt.key not in searched:  # its values are looked at one by one
                self._warnings.setdefault(doubt.kind, str(doubt))
        if not self._pixels:
            return []
        pixels = kind_of(settings).pixels
        if isinstance(pixels, str):
            text = f"--data reads nothing: {pixels}"
            self._warnings.setdefault(text, text)
            return []
        key = _key(settings)
        if key not in self._read:  # a searched fold is checked many times
            self._read[key] = pixels.read(settings)
        mistakes, data = self._read[key]
        if data is None:
            return mistakes
        mistakes = pixels.unfit(settings, data)
        told = data.warnings if mistakes or self.data else kind_of(settings).doubts(settings, data)
        self.data = self.data or data
        self._warnings.update({text: text for text in told})
        return mistakes

    def _look(self, settings: TrialSettings) -> FirstLook:
        key = _key(settings)
        if key not in self._seen:
            self._seen[key] = kind_of(settings).look(settings)
        return self._seen[key]


def _key(settings: TrialSettings) -> str:
    """The settings on which a first look depends."""
    trainer = settings.trainer
    return trainer.kind + settings.model_dump_json(include={*trainer.traits.looked_at})
