"""Packages that only some settings need."""

from __future__ import annotations

import importlib.util


def how_to_install(name: str, package: str, *, extra: str | None = None) -> str | None:
    """How to install the package that a setting's value needs; None if it is installed.

    Nothing is imported.

    Args:
        name: of the value.
        extra: with the package; None: it has the name of the value.
    """
    found = importlib.util.find_spec(package)
    # A folder of that name in the working directory, as W&B makes one, has no origin.
    if found is not None and found.origin is not None:
        return None
    return f"`{name}` needs the package {package}: pip install 'medical-sweep[{extra or name}]'"
