"""A folder at a URI, such as ``s3://bucket/prefix``: whatever pyarrow has a filesystem for."""

from __future__ import annotations

import posixpath
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sweep.vocabulary.errors import InputError, StorageFailed
from sweep.vocabulary.record import last_line

WHOLE_WRITES = ("s3", "gcs")
"""Stores in which a file is there once all of it is; in others we write aside and rename."""


def is_uri(text: str) -> bool:
    """Whether results are asked for at a URI and not in a folder."""
    return "://" in text


class RemoteFolder:
    """Files below a URI, by their names relative to it.

    Credentials and endpoint come from where the store's own tools take them: the environment, its
    configuration files, the machine's role; or out of the URI's query.

    Every method raises `StorageFailed` where the store does not answer or refuses.

    Args:
        uri: for example ``s3://bucket/prefix?region=eu-west-1``.
    Raises:
        InputError: there is no filesystem for it.
    """

    def __init__(self, uri: str) -> None:
        import pyarrow.fs  # not at the top: most sweeps have no use for it

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
        """A folder in this one."""
        parts = urlsplit(self.uri)
        return RemoteFolder(parts._replace(path=posixpath.join(parts.path or "/", *names)).geturl())

    def files(self) -> set[str]:
        """Names of all files, those in folders below included; empty where nothing is there.

        A name that would lead out of a folder (an object store takes any) is passed over.
        """
        selector = self._arrow.FileSelector(self._root, allow_not_found=True, recursive=True)
        with self._asking("list", ""):
            found = self._fs.get_file_info(selector)
        start = len(self._root) + 1
        names = {info.path[start:] for info in found if info.type == self._arrow.FileType.File}
        return {name for name in names if {"", ".", ".."}.isdisjoint(name.split("/"))}

    def read(self, name: str) -> bytes | None:
        """Content of a file; None where there is none."""
        with self._asking("read", name), suppress(FileNotFoundError):
            with self._fs.open_input_stream(self._path(name)) as file:
                content: bytes = file.read()
            return content
        return None

    def write(self, name: str, content: bytes) -> None:
        """Make or replace a file."""
        with (
            self._asking("write", name),
            self._whole(name) as path,
            self._fs.open_output_stream(path) as file,
        ):
            file.write(content)

    def fetch(self, name: str, target: Path) -> None:
        """Copy a file to this machine."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._asking("read", name):
            self._arrow.copy_files(self._path(name), str(target), source_filesystem=self._fs)

    def send(self, source: Path, name: str) -> None:
        """Copy a file of this machine, replacing what is there.

        Raises:
            FileNotFoundError: ``source`` has gone.
        """
        source.stat()
        with self._asking("write", name), self._whole(name) as path:
            self._arrow.copy_files(str(source), path, destination_filesystem=self._fs)

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        with self._asking("delete", name), suppress(FileNotFoundError):
            self._fs.delete_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _whole(self, name: str) -> Iterator[str]:
        """Where to write a file so that nobody ever sees a part of it under its name."""
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
    """The first line of what a store said; of an AWS error the part that says why."""
    text = last_line(error).partition(": ")[2] or last_line(error)
    return text[:300]
