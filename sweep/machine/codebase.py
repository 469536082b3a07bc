"""Which code is running: the imported package, which may differ from the installed one.

A run whose code is unknown cannot be explained afterwards. These facts identify it: the path, a
hash of the sources and, in a git checkout, the commit with a hash of the changes since then.
"""

from __future__ import annotations

import functools
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlparse

PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Codebase:
    """The imported package.

    Args:
        path: folder it was imported from.
        sources: SHA-256 over names and contents of its Python files.
        version: of the installed distribution; None if none is installed.
        installed: folder that the installed distribution would have been imported from.
        commit: of the git checkout that ``path`` belongs to; None if it belongs to none.
        diff: SHA-256 over the package's uncommitted changes; None if there are none.
    """

    path: str
    sources: str
    version: str | None
    installed: str | None
    commit: str | None
    diff: str | None

    @property
    def shadowing(self) -> str | None:
        """One sentence if the installed package is another copy than the imported one."""
        if self.installed is None or self.installed == self.path:
            return None
        return (
            f"the package is imported from {self.path}, but the installed one is {self.installed}:"
            " changes to the latter have no effect here"
        )


def replaced_package() -> str | None:
    """One sentence if another distribution's files lie over those of this package.

    PyPI has a distribution named ``sweep``, whose package has the same name. If it is installed
    after this one, its ``__init__.py`` replaces ours. If it is removed then, none is left.
    """
    if "SweepSpec" in getattr(sys.modules["sweep"], "__all__", ()):
        return None
    return (
        f"{PACKAGE} holds files of another package named `sweep`: remove that (pip uninstall"
        " sweep), then write this one anew (pip install --force-reinstall --no-deps medical-sweep)"
    )


@functools.cache
def codebase() -> Codebase:
    """The code of this process. It is read once, soon after it was imported."""
    version: str | None = None
    installed: str | None = None
    with suppress(PackageNotFoundError):
        found = distribution("medical-sweep")
        version, installed = found.version, str(_location(found))
    commit, diff = _checkout(PACKAGE)
    sources = hash_files(PACKAGE, sorted(PACKAGE.rglob("*.py")))
    return Codebase(str(PACKAGE), sources, version, installed, commit, diff)


def hash_files(folder: Path, files: Iterable[Path]) -> str:
    """SHA-256 over the names below ``folder`` and the contents of ``files``, in their order."""
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _location(found: Distribution) -> Path:
    """Folder of the installed package; for an editable install, its checkout."""
    from urllib.request import url2pathname  # loads HTTP and TLS

    source = json.loads(found.read_text("direct_url.json") or "{}")
    if source.get("dir_info", {}).get("editable"):
        return Path(url2pathname(urlparse(source["url"]).path)).resolve() / PACKAGE.name
    return Path(str(found.locate_file(PACKAGE.name))).resolve()


def _checkout(package: Path) -> tuple[str | None, str | None]:
    """Commit and hash of the uncommitted changes; None if git does not track the package."""

    def git(*arguments: str) -> bytes:
        command = ["git", "--no-optional-locks", "-C", str(package), *arguments]
        return subprocess.run(command, capture_output=True, check=True, timeout=10).stdout

    try:
        git("ls-files", "--error-unmatch", "--", "__init__.py")
        commit = git("rev-parse", "HEAD").decode().strip()
        changes = git("diff", "HEAD", "--binary", "--no-ext-diff", "--", ".")
        new = git("ls-files", "--others", "--exclude-standard", "-z", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return None, None
    files = [package / name for name in new.decode().split("\0") if name]
    if not changes and not files:
        return commit, None
    return commit, hashlib.sha256(changes + hash_files(package, files).encode()).hexdigest()
