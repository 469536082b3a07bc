"""The pictures of a trial, by names that a browser sends."""

from __future__ import annotations

from pathlib import Path

from sweep.store.layout import Layout
from sweep.store.pictures.picture_index import FILE_NAME, picture_bytes
from sweep.store.read_results import require_no_link


def read_picture(results: Path, trial_id: str, name: str) -> bytes:
    """A file of ``trials/<id>/pictures/``.

    Raises:
        ValueError: a name could lead out of that folder.
        ResultsError: there is no such file, or a link could lead out of it.
    """
    if not FILE_NAME.fullmatch(name):
        raise ValueError(f"not the name of a picture: {name!r}")
    layout = Layout(results)
    trial = layout.trial(trial_id)
    require_no_link(layout.trials, trial.folder, trial.pictures)
    return picture_bytes(trial, name)
