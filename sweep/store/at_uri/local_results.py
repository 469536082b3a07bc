"""A results folder for reading, wherever it is, and what a user calls it. What writes to one at a
URI is not loaded."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from sweep.machine.user_paths import whole_path
from sweep.store.at_uri.remote_folder import Mirror, RemoteFolder, below_uri, is_uri
from sweep.store.layout import CHECKPOINTS, TRIAL_ID, Layout
from sweep.vocabulary.errors import InputError, ResultsError

SWEEP_YAML = Layout(Path()).sweep_yaml.name
NNUNET_CHECKPOINTS = ".pth"
_TRIAL = rf"trials/(?:{TRIAL_ID.pattern})(?:/[^/]+)?"
_WITHIN = re.compile(rf"(?P<root>.+?)/(?P<rest>{_TRIAL}|[^/]+\.yaml)/?")


def require_results_at(remote: RemoteFolder) -> None:
    """Raise `ResultsError` if there is no results folder at a URI."""
    if remote.read(SWEEP_YAML) is None:
        raise ResultsError(f"{remote} is not a results folder: it has no {SWEEP_YAML}")


def named(folder: Path, uri: str | None, path: Path | None = None) -> str:
    """What a user calls results, or a path within them, in whatever folder the user is.

    Every command and every message about results that may lie at a URI asks here: a copy of them
    is temporary, and no user knows it.

    Args:
        folder: the results folder.
        uri: what ``folder`` is a copy of; None if it is the results themselves.
        path: below ``folder``; None: the folder itself.
    """
    if uri is None:
        return str(whole_path(folder if path is None else path))
    return uri if path is None else below_uri(uri, path.relative_to(folder).as_posix())


@contextmanager
def local_results(results: str) -> Iterator[Path]:
    """A results folder for reading: the path itself, or a temporary copy of a URI, without weights.

    An error within the block names the URI, and not the copy.

    Raises:
        ResultsError: there is no results folder at the URI.
    """
    if not is_uri(results):
        yield Path(results)
        return
    remote = RemoteFolder(results)
    require_results_at(remote)
    with tempfile.TemporaryDirectory(prefix="sweep-") as temporary:
        folder = Path(temporary, PurePosixPath(urlsplit(results).path).name)
        folder.mkdir(exist_ok=True)
        Mirror(folder, remote).fetch(
            lambda name: not name.endswith((CHECKPOINTS, NNUNET_CHECKPOINTS))
        )
        with naming(results, folder):
            yield folder


@contextmanager
def local_place(place: str) -> Iterator[Path]:
    """As `local_results`, also for a place within results: ``best.yaml``, a trial's folder or a
    file in it."""
    root, rest = place_within(place) if is_uri(place) else (place, "")
    with local_results(root) as folder:
        yield folder / rest


def place_within(uri: str) -> tuple[str, str]:
    """The URI of the results that a URI leads into, and the rest, which may be empty."""
    parts = urlsplit(uri)
    if (found := _WITHIN.fullmatch(parts.path)) is None:
        return uri, ""
    return parts._replace(path=found["root"]).geturl(), found["rest"]


@contextmanager
def naming(uri: str, copy: Path) -> Iterator[None]:
    """Let errors name a URI where they would name its copy."""

    def by_uri(text: str) -> str:
        return text.replace(str(copy), uri)

    try:
        yield
    except ResultsError as error:
        raise ResultsError(by_uri(str(error))) from error
    except InputError as error:
        raise InputError(
            [replace(m, file=by_uri(m.file), message=by_uri(m.message)) for m in error.mistakes]
        ) from error
