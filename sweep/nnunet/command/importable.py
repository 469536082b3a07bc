"""``python -m sweep.nnunet.command.importable``: whether nnU-Net's own commands can start here."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import PackageNotFoundError, version

from sweep.nnunet.command.asked_settings import told
from sweep.vocabulary.errors import InputError


def must_import() -> None:
    """Check that the imports of nnU-Net's commands work.

    They find a trainer by importing all of their own, one of which needs torchvision; the build of
    it that an index offers first does not import beside a torch for CPUs.

    Raises:
        InputError: torchvision does not import; says which to install.
    """
    try:
        importlib.import_module("torchvision")
    except Exception as error:  # whatever it raises: mostly a RuntimeError of a missing operator
        torch_version, own = _version("torch"), _version("torchvision").partition("+")[0]
        build = torch_version.partition("+")[2] or "cpu"
        raise InputError.single(
            f"nnU-Net's commands import torchvision, which fails ({error}): install the one that"
            f" belongs to torch {torch_version}: pip install --force-reinstall --no-deps"
            f" --index-url https://download.pytorch.org/whl/{build} torchvision=={own}",
            key="torchvision",
        ) from error


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "*"


def main() -> None:
    with told(alone=True):
        must_import()
        sys.stdout.write("nnU-Net's commands can start\n")


if __name__ == "__main__":
    main()
