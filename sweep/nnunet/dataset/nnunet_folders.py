"""nnU-Net's three folders, which it takes from the environment. They are set only here.

nnU-Net (2.8) reads the variables whenever it needs a folder, so they may be set at any time.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sweep.machine.user_paths import argument
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.vocabulary.errors import InputError

FolderName = Literal["raw", "preprocessed"]
_HOLDS: Mapping[FolderName, str] = {
    "raw": "the raw datasets (Dataset502_…)",
    "preprocessed": "what nnU-Net plans and preprocesses",
}


@dataclass(frozen=True, slots=True)
class Folders:
    """Where nnU-Net reads and writes; None if not set."""

    raw: Path | None = None
    preprocessed: Path | None = None
    results: Path | None = None

    @classmethod
    def of(cls, trainer: NnunetTrainer, results: Path | None = None) -> Folders:
        """The folders of a trial's settings, which default to the environment's."""
        raw, preprocessed = (
            None if path is None else Path(path) for path in (trainer.raw, trainer.preprocessed)
        )
        return cls(raw, preprocessed, results or _variable("results"))

    @classmethod
    def here(cls) -> Folders:
        """The folders of the environment."""
        return cls(*map(_variable, ("raw", "preprocessed", "results")))

    def need(self, name: FolderName) -> Path:
        """The folder of this name.

        Raises:
            InputError: it is not set.
        """
        folder: Path | None = getattr(self, name)
        if folder is None:
            raise InputError.single(
                f"nnU-Net needs the folder of {_HOLDS[name]}: set trainer.{name}, or set the"
                f" environment variable nnUNet_{name}",
                key=f"trainer.{name}",
            )
        return folder

    @contextmanager
    def in_effect(self, **more: str) -> Iterator[None]:
        """nnU-Net's environment inside the context; the earlier one is restored after it.

        Args:
            more: further variables, such as nnUNet_n_proc_DA.
        """
        values = {
            f"nnUNet_{name}": str(path)
            for name in ("raw", "preprocessed", "results")
            if (path := getattr(self, name)) is not None
        } | more
        before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """As `in_effect`, and without what nnU-Net prints."""
        with self.in_effect(), redirect_stdout(io.StringIO()):
            yield


def _variable(name: str) -> Path | None:
    variable = f"nnUNet_{name}"
    folder = os.environ.get(variable)
    return argument(folder, variable) if folder else None
