"""The sources of data, by ``data.source``: one explicit table.

Neither torch nor monai is imported here, so that mistakes are reported in a moment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sweep.data.sources.brain import BrainSource
from sweep.data.sources.data_source import DataSource
from sweep.data.sources.plugin_source import PluginSource
from sweep.data.sources.raw_source import RawSource
from sweep.data.sources.shape_images import ShapesSource
from sweep.spec.settings.data_settings import DataSettings
from sweep.vocabulary.errors import Mistake

SOURCES: dict[str, Callable[[Any], DataSource]] = {
    "shapes": ShapesSource,
    "brain": BrainSource,
    "nnunet_raw": RawSource,
    "custom": PluginSource,
}
"""``data.source`` → what opens it, given its settings."""


def open_source(settings: DataSettings) -> DataSource:
    """The source that the settings name, with every mistake that needs no look at pixels."""
    return SOURCES[settings.source](settings)


def check_data(settings: DataSettings) -> list[Mistake]:
    """Every mistake that shows without reading pixels."""
    return open_source(settings).mistakes
