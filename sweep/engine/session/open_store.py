"""Open the results folder of a session: a new one, or that of an earlier session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from sweep.analysis.ranking.finalists import is_finished
from sweep.engine.session.sweep_location import SweepLocation
from sweep.spec.load import load_sweep, load_trial, to_yaml
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.session_changes import continued, extended
from sweep.spec.tree.moved_data import with_places_of
from sweep.store.at_uri.local_results import require_results_at
from sweep.store.at_uri.mirrored_results import MirroredStore, require_unused_at
from sweep.store.journal import search_end
from sweep.store.layout import Layout
from sweep.store.read_results import require_results
from sweep.store.store import Store, require_unused
from sweep.vocabulary.errors import InputError, ResultsError


def require_folder(location: SweepLocation, *, resume: bool) -> None:
    """Refuse a folder that already exists, or with ``resume`` one that does not.

    Raises:
        ResultsError: with what to do instead.
    """
    folder, remote = location.folder, location.remote
    if remote is not None:
        (require_results_at if resume else require_unused_at)(remote)
    elif not resume:
        require_unused(Layout(folder))
    elif folder.exists():
        require_results(Layout(folder))
    else:
        raise ResultsError(
            f"{folder} does not exist, so there is nothing to resume: start the sweep without"
            " --resume, or give its place with --results"
        )


def has_begun(location: SweepLocation) -> bool:
    """Whether a sweep is there that can be resumed."""
    sweep_yaml = Layout(location.folder).sweep_yaml
    if location.remote is not None:
        return location.remote.read(sweep_yaml.name) is not None
    return sweep_yaml.exists()


def open_store(
    asked: SweepSpec,
    location: SweepLocation,
    *,
    resume: bool,
    extend: Sequence[str] = (),
    say: Callable[[str], object] = lambda _: None,
) -> tuple[SweepSpec, Store]:
    """The spec of the session, and the store that it writes to.

    Args:
        asked: what the sweep file says now.
        location: of the sweep.
        resume: resume the existing sweep; otherwise start a new one.
        extend: additions, see `extended`.
        say: is told if an addition is the one that an earlier session has begun.
    Raises:
        ResultsError: the folder exists already (or does not), is in use, or has another spec.
        InputError: a wrong extension.
    """
    require_folder(location, resume=resume)
    folder, remote = location.folder, location.remote
    if not resume:
        config = to_yaml(asked)
        if remote is None:
            return asked, Store.create(folder, config)
        return asked, MirroredStore.create_at(remote, folder, config)
    store = Store.open(folder) if remote is None else MirroredStore.open_at(remote, folder)
    try:
        recorded = [*map(_recorded, store.spec_files())]
        present = continued(recorded, asked)
        adds = any(one.startswith("trials=") for one in extend)
        begun_from = _unfinished_from(recorded, store) if adds else None
        spec = extended(present, extend, begun_from=begun_from)
        if begun_from is not None and spec.trials == present.trials:
            say(_BEGUN.format(begun_from, spec.trials))
        if with_places_of(recorded[-1], spec) != recorded[-1]:
            store.rewrite_configs(partial(_elsewhere, spec))
        store.change_spec(to_yaml(spec))
    except BaseException:
        store.close()
        raise
    return spec, store


def _recorded(path: Path) -> SweepSpec:
    """The spec that a sweep has run with; raises InputError where this version cannot read it."""
    try:
        return load_sweep(path).as_recorded()
    except InputError as error:
        newer = "; a newer version may have written it"
        raise InputError([replace(m, message=m.message + newer) for m in error.mistakes]) from error


_BEGUN = (
    "An earlier session has extended this sweep from {} to {} trials and has not finished: it goes"
    " on with these. For more, give the number of trials in all, as in `--extend trials=60`."
)


def _unfinished_from(recorded: Sequence[SweepSpec], store: Store) -> int | None:
    """Number of trials before the last extension, if that has not finished; otherwise None."""
    spec = recorded[-1]
    fewer = next((one.trials for one in reversed(recorded) if one.trials < spec.trials), None)
    if fewer is None:
        return None
    end = search_end(store.layout.journal, spec.trials)
    return None if is_finished(spec, store.records(), end) else fewer


def _elsewhere(spec: SweepSpec, config: Path) -> str | None:
    """A trial's configuration with the folders as they are now; None if it needs no change."""
    try:
        settings = load_trial(config)
    except InputError:  # written by a version with other settings
        return None
    moved = with_places_of(settings, spec)
    return None if moved == settings else to_yaml(moved)
