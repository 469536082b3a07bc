"""Where a worker trains one trial: its folder, or on this node a copy of what lies at a URI."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sweep.store.at_uri.mirror import Mirror
from sweep.store.at_uri.remote_folder import RemoteFolder
from sweep.store.files import delete, writing
from sweep.store.layout import CHECKPOINTS, TrialPaths
from sweep.store.lock import training
from sweep.vocabulary.errors import StorageFailed


class Workplace:
    """A trial's files on this machine, ours alone.

    Attributes:
        paths: of the files.
    """

    def __init__(self, paths: TrialPaths, mirror: Mirror | None = None) -> None:
        self.paths = paths
        self._mirror = mirror

    def save(self) -> None:
        """Make what was written survive this node: to be called before an epoch is reported."""
        if self._mirror is not None:
            self._mirror.send([*self._checkpoints(), self.paths.provenance])

    def _checkpoints(self) -> list[Path]:
        """All but the last but one: what a store has taken, it has whole."""
        every = self.paths.folder.glob(f"*{CHECKPOINTS}")
        return [file for file in every if file != self.paths.previous_checkpoint]


@contextmanager
def workplace(folder: Path, remote: RemoteFolder | None = None) -> Iterator[Workplace]:
    """Hold a trial's folder; where the trial lies at a URI, with what is there.

    Args:
        folder: the trial's own, or where ``remote`` is given one that is emptied on leaving.
        remote: the trial's folder at a URI.
    Raises:
        StorageFailed: it cannot be read, or another process trains in it.
    """
    paths = TrialPaths(folder)
    if remote is None:
        with training(paths):
            yield Workplace(paths)
        return
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with training(paths):
        _empty(paths)  # a worker that was killed may have left older files
        try:
            yield Workplace(paths, _filled(folder, remote, paths))
        finally:
            _empty(paths)


def _filled(folder: Path, remote: RemoteFolder, paths: TrialPaths) -> Mirror:
    ours = {paths.config.name, paths.provenance.name}
    mirror = Mirror(folder, remote)
    names = mirror.fetch(lambda name: name in ours or name.endswith(CHECKPOINTS))
    if paths.config.name not in names:
        raise StorageFailed(f"cannot read {remote}: it has no {paths.config.name}")
    return mirror


def _empty(paths: TrialPaths) -> None:
    for entry in paths.folder.iterdir():
        if entry != paths.lock:
            delete(entry)
