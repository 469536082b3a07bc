"""A process whose user is not in the machine's list of users, or has no home to write into.

``docker run --user 12345`` starts such a process. MONAI asks for the user's name when it is
imported, platformdirs and Ray for the home folder, torch's compiler for both, and each raises. They
all look at the environment first: so it is given what is missing, once, before they are imported.
"""

from __future__ import annotations

import getpass
import os
import secrets
import tempfile
from pathlib import Path


def settle_user() -> None:
    """Give the environment a user's name and folders that can be written, where it has none.

    What the user has set stays. Without effect where nothing is missing.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):  # OSError since Python 3.13
        os.environ["USER"] = f"uid{os.getuid()}"
    home = _home()
    if home is not None and os.access(home, os.W_OK | os.X_OK):
        return
    spare = str(_spare_home())
    if home is None or home == Path(home.anchor):  # docker's default is "/"
        os.environ["HOME"] = spare
        return
    # A home that can be read may hold what is needed (credentials), so it stays the home.
    os.environ.setdefault("XDG_CACHE_HOME", str(Path(spare, ".cache")))
    if not os.access(home / ".ray" / "auth_token", os.R_OK) and not _has_token():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # Ray would write a new one there


def _home() -> Path | None:
    """The home folder; None if unknown or missing."""
    try:
        home = Path.home()
    except (KeyError, RuntimeError):
        return None
    return home if home.is_dir() else None


def _spare_home() -> Path:
    """A folder that is the user's alone and the same in every process; else a new one."""
    folder = Path(tempfile.gettempdir(), f"sweep-home-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        # A folder of that name that somebody else has made is none to write secrets into.
        if status.st_uid == os.getuid() and status.st_mode & 0o777 == 0o700:
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="sweep-home-"))


def _has_token() -> bool:
    return any(name in os.environ for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
