"""A results folder for reading, wherever it is. What writes to one at a URI is not loaded."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sweep.store.at_uri.remote_folder import Mirror, RemoteFolder, is_uri
from sweep.store.layout import CHECKPOINTS, Layout
from sweep.vocabulary.errors import ResultsError

SWEEP_YAML = Layout(Path()).sweep_yaml.name
NNUNET_CHECKPOINTS = ".pth"


def require_results_at(remote: RemoteFolder) -> None:
    """Raise `ResultsError` if there is no results folder at a URI."""
    if remote.read(SWEEP_YAML) is None:
        raise ResultsError(f"{remote} is not a results folder: it has no {SWEEP_YAML}")


@contextmanager
def local_results(results: str) -> Iterator[Path]:
    """A results folder for reading: the path itself, or a temporary copy of a URI, without weights.

    Raises:
        ResultsError: there is no results folder at the URI.
    """
    if not is_uri(results):
        yield Path(results)
        return
    remote = RemoteFolder(results)
    require_results_at(remote)
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        Mirror(Path(folder), remote).fetch(
            lambda name: not name.endswith((CHECKPOINTS, NNUNET_CHECKPOINTS))
        )
        yield Path(folder)
