"""Small datasets in nnU-Net's raw layout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sweep.data.nnunet_raw.pixels import RawCase, write_raw


def write_cases(
    folder: Path,
    cases: Iterable[RawCase],
    *classes: str,
    channels: Sequence[str] = ("scan",),
    ending: str = ".nii.gz",
    **more: Any,
) -> None:
    """Write cases whose labels 1, 2, … are the classes; ``more`` as in `write_raw`."""
    labels = {name: label for label, name in enumerate(("background", *classes))}
    named = {"name": folder.name, "channel_names": channels, "labels": labels}
    write_raw(folder, cases, file_ending=ending, **named, **more)
