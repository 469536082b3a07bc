"""The results folder of a session: a new one, or the one that an earlier session left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sweep.errors import ResultsError
from sweep.spec.changes import continued, extended
from sweep.spec.load import load_sweep, to_yaml
from sweep.spec.sweep import SweepSpec
from sweep.store.layout import Layout
from sweep.store.read import require_results
from sweep.store.store import Store, require_unused


def require_folder(folder: Path, *, resume: bool) -> None:
    """Refuse a folder that is there already, or with ``resume`` one that is not.

    Raises:
        ResultsError: with what to do instead.
    """
    if not resume:
        require_unused(Layout(folder))
    elif folder.exists():
        require_results(Layout(folder))
    else:
        raise ResultsError(
            f"{folder} does not exist, so there is nothing to resume: start the sweep without"
            " --resume, or say with --results where it is"
        )


def open_store(
    asked: SweepSpec, folder: Path, *, resume: bool, extend: Sequence[str] = ()
) -> tuple[SweepSpec, Store]:
    """The spec that the session runs with, and the folder that it writes to.

    Args:
        asked: what the sweep file says now.
        folder: ``results/<name>``.
        resume: go on with the sweep in ``folder``; without it, start one there.
        extend: what is to be added, see `extended`.
    Raises:
        ResultsError: it is there already (or is not), is in use, or belongs to another spec.
        InputError: a wrong extension.
    """
    require_folder(folder, resume=resume)
    if not resume:
        return asked, Store.create(folder, to_yaml(asked))
    store = Store.open(folder)
    try:
        recorded = [load_sweep(path) for path in store.spec_files()]
        spec = extended(continued(recorded, asked), extend)
        store.change_spec(to_yaml(spec))
    except BaseException:
        store.close()
        raise
    return spec, store
