"""The folder in which a worker trains one trial: the trial's own, or a local copy for a URI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sweep.store.at_uri.remote_folder import Mirror, RemoteFolder, files_below
from sweep.store.files import delete, writing
from sweep.store.layout import CHECKPOINTS, TrialPaths
from sweep.store.lock import training
from sweep.vocabulary.errors import StorageFailed


class Workplace:
    """A trial's files on this machine, held by this process alone.

    Attributes:
        paths: of the files.
    """

    def __init__(self, paths: TrialPaths, mirror: Mirror | None = None) -> None:
        self.paths = paths
        self._mirror = mirror

    def save(self) -> None:
        """Upload the files, so that they survive this node. Call it before reporting an epoch."""
        if self._mirror is not None:
            every = self.paths.folder.glob(f"*{CHECKPOINTS}")
            # Uploads are atomic: no previous checkpoint is needed.
            kept = [file for file in every if file != self.paths.previous_checkpoint]
            self._mirror.send([*kept, self.paths.cases, self.paths.provenance])


@contextmanager
def workplace(folder: Path, remote: RemoteFolder | None = None) -> Iterator[Workplace]:
    """Hold a trial's folder. For a trial at a URI, its files are downloaded first.

    Args:
        folder: the trial's folder; with ``remote``, a local folder that is emptied at the end.
        remote: the trial's folder at a URI.
    Raises:
        StorageFailed: it cannot be read, or another process is training in it.
    """
    paths = TrialPaths(folder)
    if remote is None:
        with training(paths):
            yield Workplace(paths)
        return
    needed = {file.name for file in (paths.config, paths.provenance, paths.cases)}
    with _copy(paths, remote, lambda name: name in needed or name.endswith(CHECKPOINTS)) as mirror:
        yield Workplace(paths, mirror)


@contextmanager
def borrowed(folder: Path, remote: RemoteFolder) -> Iterator[TrialPaths]:
    """A copy of the folder of an ended trial at a URI. What is written there is sent at the end.

    Args:
        folder: a local one that is emptied at the end.
        remote: the trial's folder at the URI.
    Raises:
        StorageFailed: it cannot be read or written, or another process uses ``folder``.
    """
    paths = TrialPaths(folder)
    with _copy(paths, remote, lambda _: True) as mirror:
        yield paths
        mirror.send(files_below(folder))


@contextmanager
def _copy(
    paths: TrialPaths, remote: RemoteFolder, wanted: Callable[[str], bool]
) -> Iterator[Mirror]:
    """Hold a local folder with those of the remote files that are ``wanted``, and empty it again.

    Raises:
        StorageFailed: as of `workplace`.
    """
    with writing(paths.folder):
        paths.folder.mkdir(parents=True, exist_ok=True)
    with training(paths):
        _empty(paths)  # a killed worker may have left older files
        try:
            mirror = Mirror(paths.folder, remote)
            if paths.config.name not in mirror.fetch(wanted):
                raise StorageFailed(f"cannot read {remote}: it has no {paths.config.name}")
            yield mirror
        finally:
            _empty(paths)


def _empty(paths: TrialPaths) -> None:
    for entry in paths.folder.iterdir():
        if entry != paths.lock:
            delete(entry)
