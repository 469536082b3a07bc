"""``python -m sweep.nnunet.command.importable``: whether nnU-Net's own commands can start here."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import PackageNotFoundError, version

from sweep.nnunet.command.asked_settings import exit_on_error
from sweep.vocabulary.errors import InputError


def must_import() -> None:
    """Check that the imports of nnU-Net's commands work.

    To find a trainer, they import all trainers of nnU-Net, one of which needs torchvision. Beside a
    torch for CPUs, the build of torchvision that an index offers first cannot be imported.

    Raises:
        InputError: torchvision cannot be imported; names the build to install.
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


def main() -> None:
    with exit_on_error():
        must_import()
        sys.stdout.write("nnU-Net's commands can start\n")


if __name__ == "__main__":
    main()
