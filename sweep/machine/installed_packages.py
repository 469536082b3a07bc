"""Packages that only some settings need."""

from __future__ import annotations

import importlib.util


def how_to_install(name: str, package: str) -> str | None:
    """How to install the package that a setting's value needs; None if it is installed.

    Nothing is imported. The extra with the package has the name of the value.
    """
    if importlib.util.find_spec(package) is not None:
        return None
    return f"`{name}` needs the package {package}: pip install 'medical-sweep[{name}]'"
