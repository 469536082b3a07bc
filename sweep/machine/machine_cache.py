"""Cache folders that the first process on a machine builds, and that appear only when complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import platformdirs
from filelock import FileLock

from sweep.machine.user_paths import argument
from sweep.vocabulary.errors import StorageFailed

CACHE_VARIABLE = "MEDICAL_SWEEP_CACHE"

T = TypeVar("T")


def default_cache() -> Path:
    """``$MEDICAL_SWEEP_CACHE``, or the platform's cache folder of the user.

    Raises:
        InputError: the variable refers to another one that is not set.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return argument(chosen, CACHE_VARIABLE)
    return Path(platformdirs.user_cache_dir("medical-sweep"))


def cached(
    folder: Path, open_built: Callable[[Path], T | None], build: Callable[[Path], None]
) -> T:
    """Open ``folder``. Build it first if it is missing or damaged.

    Safe with concurrent processes (one builds, the others wait) and crashes: the folder is built
    under another name and renamed when it is complete.

    Args:
        folder: the cache entry; its parent folders are created.
        open_built: opens an entry; returns None if it is missing or damaged.
        build: fills an empty folder.

    Raises:
        StorageFailed: the cache cannot be written.
    """
    found = open_built(folder)
    if found is not None:
        return found
    partial = folder.with_name(f"{folder.name}.partial")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            found = open_built(folder)
            if found is not None:
                return found
            shutil.rmtree(partial, ignore_errors=True)  # left by a killed process
            partial.mkdir()
            try:
                build(partial)
                shutil.rmtree(folder, ignore_errors=True)
                partial.replace(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise StorageFailed(
            f"the data cache {folder.parent} cannot be written: {error}; "
            f"{CACHE_VARIABLE} names another folder"
        ) from error
    built = open_built(folder)
    if built is None:
        raise StorageFailed(f"the data cache {folder} cannot be read back after it was written")
    return built
