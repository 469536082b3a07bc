"""Fingerprint of a raw dataset's content, independent of its folder.

A moved or copied dataset has the same fingerprint, and another dataset in the same folder a
different one. All bytes are read once. After that, a file with unchanged size and times is assumed
to be unchanged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from sweep.data.files.image_file import files_read
from sweep.data.nnunet_raw.case_groups import digest
from sweep.data.nnunet_raw.raw_dataset import DESCRIPTION_FILE, RawDataset
from sweep.data.nnunet_raw.splits import NO_GROUPS, SPLITS_FILE, Groups
from sweep.store.files import atomic_write_text
from sweep.vocabulary.errors import InputError, SweepFailed

_GROUPS = "data.groups"
"""Name of the part that says which cases belong together."""


def fingerprint(datasets: Sequence[RawDataset], cache: Path, groups: Groups = NO_GROUPS) -> str:
    """A digest of each part of a dataset: ``dataset.json:3f2a… imagesTr:… labelsTr:…``.

    Args:
        datasets: the dataset, and its own test cases if they are used.
        cache: folder in which the result is cached.
        groups: of its cases; where there are any, their digest is the last part.

    Raises:
        InputError: a file cannot be read.
    """
    folder = datasets[0].folder
    parts: dict[str, list[Path]] = {
        name: [folder / name]
        for name in (DESCRIPTION_FILE, SPLITS_FILE)
        if (folder / name).exists()
    }
    for part in datasets:
        images = (path for case in part.cases for path in part.image_paths(case))
        labels = (part.label_path(case) for case in part.cases)
        for name, named in ((part.images_folder, images), (part.labels_folder, labels)):
            parts[name] = [file for path in named for file in files_read(path)]
    files = _of_files(parts, cache)
    return f"{files} {_GROUPS}:{digest(groups)}" if groups else files


def without_groups(found: str) -> str:
    """A fingerprint of the files alone."""
    return " ".join(part for part in found.split() if not part.startswith(f"{_GROUPS}:"))


def _of_files(parts: Mapping[str, Sequence[Path]], cache: Path) -> str:
    kept = cache / f"fingerprint-{_cache_key(parts)}.txt"
    with suppress(OSError, ValueError):
        return kept.read_text(encoding="ascii")
    found = " ".join(f"{name}:{_digest(files)}" for name, files in parts.items() if files)
    with suppress(OSError, SweepFailed):  # reported by the code that needs the cache
        kept.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(kept, found)
    return found


def _cache_key(parts: Mapping[str, Sequence[Path]]) -> str:
    """Paths, sizes and times of these files, as a digest."""
    known = []
    for path in (path.resolve() for files in parts.values() for path in files):
        found = path.stat()
        known.append((str(path), found.st_size, found.st_mtime_ns, found.st_ctime_ns))
    return hashlib.sha256(json.dumps(known).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        try:
            with path.open("rb") as opened:
                content = hashlib.file_digest(opened, "sha256")
        except OSError as error:
            raise InputError.single(f"cannot be read: {error.strerror}", file=str(path)) from error
        name = path.name.encode("utf-8", "surrogateescape")
        digest.update(name + b"\0" + content.digest())
    return digest.hexdigest()[:12]
