"""``python -m sweep.nnunet.command.importable``: whether nnU-Net's own commands can start here."""

from __future__ import annotations

import sys

from sweep.machine.installed_packages import require_torchvision
from sweep.nnunet.command.asked_settings import exit_on_error


def main() -> None:
    with exit_on_error():
        require_torchvision()  # to find a trainer, they import all, one of which needs it
        sys.stdout.write("nnU-Net's commands can start\n")


if __name__ == "__main__":
    main()
