"""A process whose user is not in the machine's list of users, or has no home to write into.

``docker run --user 12345`` starts such a process. Then the imports fail of MONAI (it needs the
user's name), of platformdirs and Ray (the home folder) and of torch's compiler (both). They all
look at the environment first, so what is missing is set there before they are imported.
"""

from __future__ import annotations

import getpass
import os
import secrets
import tempfile
from pathlib import Path


def settle_user() -> None:
    """Set a user's name and writable folders in the environment where they are missing.

    What the user has set stays.
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
    # A home that can be read may hold credentials, so it stays the home.
    os.environ.setdefault("XDG_CACHE_HOME", str(Path(spare, ".cache")))
    has_token = "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ
    if not has_token and not os.access(home / ".ray" / "auth_token", os.R_OK):
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # Ray would write a new one there


def _home() -> Path | None:
    """The home folder; None if unknown or missing."""
    try:
        home = Path.home()
    except (KeyError, RuntimeError):
        return None
    return home if home.is_dir() else None


def _spare_home() -> Path:
    """A private folder, the same in every process of this user; a new one if that is impossible."""
    folder = Path(tempfile.gettempdir(), f"sweep-home-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        # Secrets are not written into a folder that another user made under this name.
        if status.st_uid == os.getuid() and status.st_mode & 0o777 == 0o700:
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="sweep-home-"))
