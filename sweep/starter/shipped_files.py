"""The search spaces and examples that come with the package.

They lie in ``search_spaces/`` and ``examples/`` of the repository. The build copies both folders
into the wheel (pyproject.toml), below this package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sweep.machine.codebase import PACKAGE
from sweep.store.files import atomic_write_text, make_folder
from sweep.vocabulary.errors import InputError, Mistake

FOLDERS = ("search_spaces", "examples")
_SCHEMA = "# yaml-language-server:"
"""Begins a line for editors. It names a file of the repository."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """Files to start from.

    Args:
        words: what they are, in a line.
        paths: files, and folders with all that is in them, as in the repository.
        next: the command to run next; empty if their own text says what to do.
    """

    words: str
    paths: tuple[str, ...]
    next: str = ""


def _space(name: str, words: str) -> Shipped:
    file = f"search_spaces/{name}.yaml"
    return Shipped(words, (file,), f"python -m sweep.run {file}")


def _trainer(name: str, words: str) -> Shipped:
    space = f"examples/{name}.yaml"
    return Shipped(words, (space, f"examples/{name}_trainer.py"), f"python -m sweep.run {space}")


SHIPPED: Mapping[str, Shipped] = {
    "quickstart": _space("quickstart", "the first sweep to run: circles, 2 to 4 minutes on 2 CPUs"),
    "losses": _space("losses", "main losses and presets side by side, on circles"),
    "brain": _space("brain", "real anatomy in slices, without a download (extra: brain)"),
    "brain-volumes": _space("brain-volumes", "the same in 3D (extra: brain)"),
    "nnunet": _space("nnunet-dataset502", "nnU-Net's own trainer, on Dataset502 (extra: nnunet)"),
    "function": _trainer("function", "your own training loop, as a function"),
    "custom": _trainer("custom", "your own training loop, as a class, with our losses and guard"),
    "plugin": Shipped(
        "your own network, loss term, metric, data, searcher, scheduler and tracker",
        ("examples/plugin",),
        "pip install ./examples/plugin && python -m sweep.run examples/plugin/plugin.yaml",
    ),
    "notebooks": Shipped("sweeps from Python, in notebooks", ("examples/notebooks",)),
    "coming-from": Shipped(
        "the same search as scripts of Ray Tune, Optuna and W&B",
        ("examples/coming_from", "examples/function_trainer.py"),
    ),
    "cluster": Shipped("a sweep on Kubernetes, or on machines of yours", ("examples/cluster",)),
    "monitoring": Shipped("Prometheus and Grafana for a sweep", ("examples/monitoring",)),
}
"""What `sweep.init NAME` writes."""


def shipped_folder() -> Path:
    """The folder with `FOLDERS`: in an installed package below this one, else the checkout."""
    installed = Path(__file__).with_name("shipped")
    return installed if installed.is_dir() else PACKAGE.parent


def files_of(shipped: Shipped) -> Iterator[str]:
    """Every file, relative to `shipped_folder`."""
    root = shipped_folder()
    for path in shipped.paths:
        found = sorted((root / path).rglob("*")) if (root / path).is_dir() else [root / path]
        for file in found:
            if file.is_file() and "__pycache__" not in file.parts:
                yield file.relative_to(root).as_posix()


def write_shipped(shipped: Shipped, folder: Path, *, force: bool) -> list[Path]:
    """Write the files below ``folder``, each under its path in the repository.

    So the paths that they and the documentation name are right there.

    Raises:
        InputError: a file exists already, and ``force`` is not given; nothing is written then.
    """
    files = list(files_of(shipped))
    targets = [folder / file for file in files]
    refuse_existing(targets, force=force)
    for file, target in zip(files, targets, strict=True):
        text = (shipped_folder() / file).read_text(encoding="utf-8")
        if text.startswith(_SCHEMA):
            text = text.partition("\n")[2]
        make_folder(target.parent)
        atomic_write_text(target, text)
    return targets


def refuse_existing(targets: list[Path], *, force: bool) -> None:
    """Nothing that a user has changed is overwritten unasked.

    Raises:
        InputError: for each file that exists.
    """
    existing = [target for target in targets if target.exists() and not force]
    if existing:
        raise InputError(
            [Mistake("exists already; --force overwrites it", file=str(file)) for file in existing]
        )
