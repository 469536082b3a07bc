"""Which code is running: the package as it was imported, told apart from the one installed.

A run whose code is not known cannot be explained afterwards. The path, a hash of the sources and,
in a git checkout, the commit with a hash of what was changed since identify it in every case.
"""

from __future__ import annotations

import functools
import hashlib
import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

DISTRIBUTION = "medical-sweep"
PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Codebase:
    """The imported package.

    Args:
        path: folder it was imported from.
        sources: SHA-256 over names and contents of its Python files.
        version: of the installed distribution; None where none is installed.
        installed: folder that the installed distribution would have been imported from.
        commit: of the git checkout that ``path`` belongs to; None where it belongs to none.
        diff: SHA-256 over the package's uncommitted changes; None where there are none.
    """

    path: str
    sources: str
    version: str | None
    installed: str | None
    commit: str | None
    diff: str | None

    @property
    def shadowing(self) -> str | None:
        """One sentence where another copy of the package is installed than the imported one."""
        if self.installed is None or self.installed == self.path:
            return None
        return (
            f"the package is imported from {self.path}, but the installed one is {self.installed}:"
            " changes to the latter have no effect here"
        )


@functools.cache
def codebase() -> Codebase:
    """The code of this process; looked at once, near the time at which it was imported."""
    found = _distribution()
    commit, diff = _checkout(PACKAGE)
    return Codebase(
        path=str(PACKAGE),
        sources=hash_files(PACKAGE, sorted(PACKAGE.rglob("*.py"))),
        version=found.version if found else None,
        installed=str(_location(found)) if found else None,
        commit=commit,
        diff=diff,
    )


def hash_files(folder: Path, files: Iterable[Path]) -> str:
    """SHA-256 over the names below ``folder`` and the contents of ``files``, in their order."""
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _distribution() -> Distribution | None:
    try:
        return distribution(DISTRIBUTION)
    except PackageNotFoundError:
        return None


def _location(found: Distribution) -> Path:
    """Folder of the installed package; for an editable install, its checkout."""
    source = json.loads(found.read_text("direct_url.json") or "{}")
    if source.get("dir_info", {}).get("editable"):
        return Path(url2pathname(urlparse(source["url"]).path)).resolve() / PACKAGE.name
    return Path(str(found.locate_file(PACKAGE.name))).resolve()


def _checkout(package: Path) -> tuple[str | None, str | None]:
    """Commit and hash of the uncommitted changes; None where git does not track the package."""
    try:
        _git(package, "ls-files", "--error-unmatch", "--", "__init__.py")
        commit = _git(package, "rev-parse", "HEAD").decode().strip()
        changes = _git(package, "diff", "HEAD", "--binary", "--no-ext-diff", "--", ".")
        new = _git(package, "ls-files", "--others", "--exclude-standard", "-z", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return None, None
    files = [package / name for name in new.decode().split("\0") if name]
    if not changes and not files:
        return commit, None
    return commit, hashlib.sha256(changes + hash_files(package, files).encode()).hexdigest()


def _git(folder: Path, *arguments: str) -> bytes:
    done = subprocess.run(
        ["git", "--no-optional-locks", "-C", str(folder), *arguments],
        capture_output=True,
        check=True,
        timeout=10,
    )
    return done.stdout
