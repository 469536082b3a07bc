"""A folder at a URI, such as ``s3://bucket/prefix``, on any filesystem of pyarrow; local copies."""

from __future__ import annotations

import os
import posixpath
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sweep.store.files import TEMPORARY
from sweep.vocabulary.error_lines import last_line
from sweep.vocabulary.errors import InputError, StorageFailed

THREADS = 8
"""Concurrent transfers: the store's response time matters, not the bytes."""
WHOLE_WRITES = ("s3", "gcs")
"""Stores in which files appear only when complete. In others, files are renamed into place."""


GROWS = ".jsonl"
"""Extension of files that are only appended to."""

Stamp = tuple[int, int]
"""Size and time of a file: another one if it has changed."""


def is_uri(text: str) -> bool:
    """Whether the results location is a URI and not a folder."""
    return "://" in text


def below_uri(uri: str, *names: str) -> str:
    """The URI of a file or folder within that of a folder; its query stays."""
    parts = urlsplit(uri)
    return parts._replace(path=posixpath.join(parts.path or "/", *names)).geturl()


class RemoteFolder:
    """Files below a URI, by relative names.

    Credentials and endpoint come from the same sources as for the store's own tools (environment,
    configuration files, the machine's role), or from the URI's query.

    Every method raises `StorageFailed` if the store does not answer or refuses.

    Args:
        uri: for example ``s3://bucket/prefix?region=eu-west-1``.
    Raises:
        InputError: no filesystem supports the URI.
    """

    def __init__(self, uri: str) -> None:
        import pyarrow.fs  # not at the top: most sweeps do not need it

        self.uri = uri
        self._arrow = pyarrow.fs
        try:
            self._fs, root = pyarrow.fs.FileSystem.from_uri(uri)
        except (ValueError, OSError, ImportError, NotImplementedError) as error:
            raise InputError.single(
                f"cannot be opened: {_said(error)}; for example s3://bucket/prefix, gs://…, abfs://…",
                key=uri,
            ) from error
        self._root = root.rstrip("/")
        if not self._root:
            raise InputError.single("must name a bucket, such as s3://bucket/prefix", key=uri)

    def __str__(self) -> str:
        return self.uri

    def below(self, *names: str) -> RemoteFolder:
        """A subfolder."""
        return RemoteFolder(below_uri(self.uri, *names))

    def files(self) -> set[str]:
        """Names of all files, including subfolders; empty if there are none."""
        return set(self.stamps())

    def stamps(self) -> dict[str, Stamp]:
        """The same with size and time of each.

        A name that leads out of a folder is skipped: an object store allows any name.
        """
        selector = self._arrow.FileSelector(self._root, allow_not_found=True, recursive=True)
        with self._asking("list", ""):
            found = self._fs.get_file_info(selector)
        start = len(self._root) + 1
        files = (info for info in found if info.type == self._arrow.FileType.File)
        stamps = {info.path[start:]: (info.size, info.mtime_ns or 0) for info in files}
        return {
            name: stamp
            for name, stamp in stamps.items()
            if {"", ".", ".."}.isdisjoint(name.split("/"))
        }

    def read(self, name: str) -> bytes | None:
        """Content of a file; None if it does not exist."""
        with self._asking("read", name), suppress(FileNotFoundError):
            with self._fs.open_input_stream(self._path(name)) as file:
                content: bytes = file.read()
            return content
        return None

    def write(self, name: str, content: bytes) -> None:
        """Create or replace a file."""
        with (
            self._asking("write", name),
            self._whole(name) as path,
            self._fs.open_output_stream(path) as file,
        ):
            file.write(content)

    def fetch(self, name: str, target: Path) -> None:
        """Download a file."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._asking("read", name):
            self._arrow.copy_files(self._path(name), str(target), source_filesystem=self._fs)

    def send(self, source: Path, name: str) -> None:
        """Upload a file, replacing an existing one.

        Raises:
            FileNotFoundError: ``source`` is gone.
        """
        source.stat()
        with self._asking("write", name), self._whole(name) as path:
            self._arrow.copy_files(str(source), path, destination_filesystem=self._fs)

    def delete(self, name: str) -> None:
        """Delete a file if it exists."""
        with self._asking("delete", name), suppress(FileNotFoundError):
            self._fs.delete_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _whole(self, name: str) -> Iterator[str]:
        """A name to write to, so that an incomplete file never has its final name."""
        path = self._path(name)
        if self._fs.type_name in WHOLE_WRITES:
            yield path
            return
        folder, _, base = path.rpartition("/")
        self._fs.create_dir(folder, recursive=True)
        aside = f"{folder}/.{base}.{secrets.token_hex(4)}.tmp"
        yield aside
        self._fs.move(aside, path)

    @contextmanager
    def _asking(self, what: str, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as error:
            where = posixpath.join(self.uri, name) if name else self.uri
            raise StorageFailed(f"cannot {what} {where}: {_said(error)}") from error


def _said(error: Any) -> str:
    """The first line of a store's error, or the reason in an AWS error."""
    text = last_line(error).partition(": ")[2] or last_line(error)
    return text[:300]


class Mirror:
    """Upload changes in ``folder`` since its last upload or download.

    Its methods raise `SweepFailed` if the store does not answer. Files that were not sent are sent
    the next time.

    Attributes:
        written: when the newest file was written that the last download saw, in seconds since 1970.
    """

    def __init__(self, folder: Path, remote: RemoteFolder) -> None:
        self.folder = folder
        self.remote = remote
        self._known: dict[str, Stamp] = {}
        self._seen: dict[str, Stamp] = {}
        self.written = 0.0

    def fetch(self, wanted: Callable[[str], bool], *, first: str | None = None) -> set[str]:
        """Download the remote files that are new or have changed since the last call.

        Args:
            wanted: whether to download the file of a name.
            first: a file that mentions others. If wanted, it is downloaded first and takes its
                place last, so that who reads the copy meanwhile finds what it mentions.

        Returns:
            the names of all.
        """
        stamps = self.remote.stamps()
        self.written = max((ns for _, ns in stamps.values()), default=0) / 1e9
        if first is None or not wanted(first) or first not in self._changed(stamps):
            self._fetch_changed(stamps, wanted)
            return set(stamps)
        known = {first: stamps[first]}
        with suppress(FileNotFoundError), self._fetched(first):
            stamps = self.remote.stamps()
            self._fetch_changed(stamps, lambda name: name != first and wanted(name))
        self._seen |= known
        return set(stamps)

    def _changed(self, stamps: Mapping[str, Stamp]) -> dict[str, Stamp]:
        """Those that were not downloaded yet, or are others now."""
        return {name: stamp for name, stamp in stamps.items() if self._seen.get(name) != stamp}

    def _fetch_changed(self, stamps: Mapping[str, Stamp], wanted: Callable[[str], bool]) -> None:
        changed = self._changed({name: stamp for name, stamp in stamps.items() if wanted(name)})
        self._each(self._fetch, changed)
        self._seen |= changed

    def fetch_new(self, files: Iterable[Path]) -> None:
        """Download those of ``files`` that were neither sent nor downloaded yet."""
        self._each(self._fetch, {*map(self.name_of, files)} - self._known.keys())

    def fetch_files(self, files: Iterable[Path]) -> None:
        """Download those of ``files`` that exist at the URI."""
        self._each(self._fetch, map(self.name_of, files))

    def send(self, files: Iterable[Path]) -> None:
        """Upload those of ``files`` that have changed; deleted ones are skipped."""
        self._each(self._send, map(self.name_of, files))

    def delete_gone(self, *below: str) -> None:
        """Delete at the URI what is gone here since it was sent or downloaded.

        Args:
            below: folders in which that is done. A copy that was lost must not take the results
                with it.
        """
        places = tuple(f"{folder}/" for folder in below)
        for name in [*self._known]:
            if name.startswith(places) and not (self.folder / name).exists():
                self.remote.delete(name)
                del self._known[name]

    def name_of(self, file: Path) -> str:
        """Name of a local file at the URI."""
        return file.relative_to(self.folder).as_posix()

    def _fetch(self, name: str) -> None:
        with suppress(FileNotFoundError), self._fetched(name):  # it was deleted in between
            pass

    @contextmanager
    def _fetched(self, name: str) -> Iterator[None]:
        """A file is downloaded before the block, and takes its place after it."""
        target = self.folder / name
        aside = target.with_name(f".{secrets.token_hex(8)}{TEMPORARY}")
        try:
            self.remote.fetch(name, aside)
            yield
            _put(aside, target)
        finally:
            aside.unlink(missing_ok=True)
        self._known[name] = _stamp(target)

    def _send(self, name: str) -> None:
        with suppress(FileNotFoundError):
            stamp = _stamp(self.folder / name)  # before reading: it may change in between
            if self._known.get(name) != stamp:
                self.remote.send(self.folder / name, name)
                self._known[name] = stamp

    def _each(self, do: Callable[[str], None], names: Iterable[str]) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(do, names):
                pass


def files_below(folder: Path, *, but: str = "") -> list[Path]:
    """All files below a folder, except those in ``but``, locks and half-written files."""
    found = []
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != but and name[0] != "."]
        found += [Path(path, name) for name in names if name[0] != "."]
    return found


def _put(fetched: Path, target: Path) -> None:
    """Replace a file at once. One that grows is appended to: who follows it reads on."""
    if target.suffix == GROWS and target.exists():
        known, content = target.read_bytes(), fetched.read_bytes()
        if content.startswith(known):
            with target.open("ab") as file:
                file.write(content[len(known) :])
            return
    fetched.replace(target)


def _stamp(file: Path) -> Stamp:
    status = file.stat()
    return status.st_size, status.st_mtime_ns
