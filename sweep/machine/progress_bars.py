"""The progress bars of other libraries in a notebook."""

from __future__ import annotations

import warnings
from contextlib import suppress
from importlib import import_module


def load_progress_bars() -> None:
    """Load tqdm, which Optuna and others load, without its advice to install ``ipywidgets``.

    It gives that where it is first loaded in a notebook. We draw no bar of it. Its other warnings,
    and those of the user's own code, stay.
    """
    with warnings.catch_warnings(), suppress(ImportError):
        warnings.filterwarnings("ignore", message="IProgress not found")
        import_module("tqdm.auto")
