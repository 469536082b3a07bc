"""Packages that only some settings need."""

from __future__ import annotations

import importlib.util
from importlib.metadata import PackageNotFoundError, version

from sweep.vocabulary.errors import InputError


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


def require_torchvision() -> None:
    """Import torchvision, as nnU-Net's commands and Lightning do.

    Beside a torch for CPUs, the build that an index offers first cannot be imported.

    Raises:
        InputError: it cannot be imported; names the build to install.
    """
    try:
        importlib.import_module("torchvision")
    except Exception as error:  # mostly a RuntimeError about a missing operator
        torch_version, own = _version("torch"), _version("torchvision").partition("+")[0]
        build = torch_version.partition("+")[2] or "cpu"
        raise InputError.single(
            f"nnU-Net's commands and Lightning import torchvision, which fails ({error}): install"
            f" the one that belongs to torch {torch_version}: pip install --force-reinstall"
            f" --no-deps --index-url https://download.pytorch.org/whl/{build} torchvision=={own}",
            key="torchvision",
        ) from error


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "*"
