"""``source: custom``: a dataset that a plug-in writes in nnU-Net's raw layout."""

from __future__ import annotations

import hashlib
import inspect
import json
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

from sweep.data.nnunet_raw.raw_dataset import DESCRIPTION_FILE
from sweep.data.sources.raw_source import RawSource
from sweep.machine.machine_cache import cached, default_cache
from sweep.plugins.plugin_kinds import DATA_SOURCE
from sweep.plugins.user_sources import sources_of, text_now
from sweep.spec.settings.data_settings import PluginData
from sweep.vocabulary.error_lines import blamed


class WritesData(Protocol):
    """A data source of a plug-in."""

    def __call__(self, folder: Path, **options: Any) -> object:
        """Write a dataset in nnU-Net's raw layout to ``folder``, which exists and is empty.

        Args:
            options: ``data.options`` of the configuration.
        """


class PluginSource(RawSource):
    """Like a folder of the user's own, which is written first."""

    _settings: PluginData

    @cached_property
    def _folder(self) -> Path:
        return written(self._settings)


def written(settings: PluginData) -> Path:
    """The dataset's folder in the machine's cache; the first call on a machine calls the plug-in.

    It is written again if the plug-in's name, its options or its text change: its file, and those
    that this imports from beside it. Of an installed plug-in the file counts that defines it. Data
    that it reads are not looked at.

    Raises:
        InputError: the plug-in cannot be imported, fails, or writes no dataset.
        StorageFailed: the cache cannot be written.
    """
    write: WritesData = DATA_SOURCE.resolve(settings.entry, settings.options)
    texts: list[str | None] = [*sources_of(settings.entry).values()] or [_text_of(write)]
    identity = [settings.entry, sorted(settings.options.items()), texts]
    name = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:20]

    def build(folder: Path) -> None:
        try:
            write(folder, **settings.options)
        except Exception as error:  # whatever a user's code raises
            raise DATA_SOURCE.wrong(f"`{settings.entry}` failed: {blamed(error)}") from error
        if not (folder / DESCRIPTION_FILE).is_file():
            raise DATA_SOURCE.wrong(
                f"`{settings.entry}` wrote no {DESCRIPTION_FILE}: it must write a dataset in"
                " nnU-Net's raw layout to the folder that it is given"
            )

    def opened(folder: Path) -> Path | None:
        return folder if (folder / DESCRIPTION_FILE).is_file() else None

    return cached(default_cache() / f"written-{name}", opened, build)


def _text_of(write: Any) -> str | None:
    """SHA-256 of the file that defines a function, or the class of an object; None if it has none,
    as what is written in C."""
    while isinstance(write, partial):
        write = write.func
    has_text = inspect.isroutine(write) or inspect.isclass(write)
    with suppress(TypeError):
        return text_now(inspect.getsourcefile(write if has_text else type(write)) or "")
    return None
