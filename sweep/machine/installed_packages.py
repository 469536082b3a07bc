"""Packages that only some settings need."""

from __future__ import annotations

import importlib.util


def how_to_install(name: str, package: str) -> str | None:
    """What to do for a setting's value whose package is missing; None where it is there.

    Nothing is imported. The extra that brings the package bears the value's name.
    """
    if importlib.util.find_spec(package) is not None:
        return None
    return f"`{name}` needs the package {package}: pip install 'medical-sweep[{name}]'"
