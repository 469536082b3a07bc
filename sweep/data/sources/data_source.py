"""What is asked of a source of data: one class for each, in a file of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from sweep.data.nnunet_raw.header_survey import SliceAxis
from sweep.data.nnunet_raw.splits import NO_GROUPS, Groups
from sweep.machine.installed_packages import how_to_install
from sweep.spec.checks.first_look import FirstLook
from sweep.spec.settings.data_settings import CommonData
from sweep.spec.settings.geometric_terms import GeometricClass
from sweep.vocabulary.errors import Mistake


class DataSource(FirstLook, ABC):
    """A source as its settings describe it, looked at once; no pixel is read or drawn yet.

    A new one is a subclass, a line in `sweep.data.sources.source_table`, and its settings with a
    place in `sweep.spec.settings.data_settings.AnyDataSettings`.

    Attributes:
        is_foreign: whether its files are the user's, so that there may be something to doubt.
        packages: those whose version decides the pixels.
        slice_axis: along which volumes are cut; the first axis of a whole one.
        spacing: that images are resampled to; None: they are not.
        geometric_class: one or several that the geometric losses act on; None for the first.
        groups: of its cases; none are known where there are mistakes.
        classes: names of the classes of the foreground; empty if they are known only once its
            dataset is drawn, or if it cannot be read.
    """

    is_foreign: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ()
    slice_axis: SliceAxis = "auto"
    spacing: Literal["median"] | tuple[float, ...] | None = None
    geometric_class: GeometricClass = None
    groups: Groups = NO_GROUPS
    classes: Sequence[str] = ()

    def __init__(self, settings: CommonData, mistakes: Iterable[Mistake]) -> None:
        absent = how_to_install("n4", "SimpleITK") if settings.n4 else None
        super().__init__([*([Mistake(absent, key="data.n4")] if absent else []), *mistakes])

    @abstractmethod
    def raw(self, folder: Path) -> Path:
        """The folder of its dataset in nnU-Net's raw layout; one that is drawn goes to ``folder``.

        Raises:
            InputError: it cannot be drawn.
        """

    def fingerprint(self, cache: Path) -> str:
        """What its dataset holds; empty where we draw it.

        Raises:
            InputError: other data than those that the settings were recorded with.
        """
        return ""
