"""The pictures of a trial, by names that a browser sends."""

from __future__ import annotations

import re
from pathlib import Path

from sweep.store.files import MOST_BYTES, own_file, reading
from sweep.store.layout import Layout
from sweep.store.read_results import require_no_link

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\.webp")


def read_picture(results: Path, trial_id: str, name: str) -> bytes:
    """A file of ``trials/<id>/pictures/``.

    Raises:
        ValueError: a name could lead out of that folder.
        ResultsError: there is no such file, or a link could lead out of it.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"not the name of a picture: {name!r}")
    layout = Layout(results)
    trial = layout.trial(trial_id).folder
    folder = trial / "pictures"
    require_no_link(layout.trials, trial, folder)
    path = folder / name
    with reading(path), open(path, "rb", opener=own_file) as file:
        return file.read(MOST_BYTES)
