"""Evaluate and draw finalists as tasks of Ray, on the nodes and GPUs that trained them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar

from sweep.engine.decisions.faults import RETRIES
from sweep.engine.session.executor import attempted
from sweep.engine.session.sweep_location import SweepLocation, scratch
from sweep.store.at_uri.remote_folder import RemoteFolder
from sweep.store.at_uri.worker_folder import borrowed
from sweep.store.layout import Layout
from sweep.vocabulary.errors import ResultsError, SweepError

T = TypeVar("T")

SECONDS_ALONE = 30.0
"""After this time further processes start. Each takes seconds to start, and tasks that take less
are soonest done one after the other, in one process."""


def on_nodes(
    location: SweepLocation,
    needs: Mapping[str, float],
    log: Path,
    do: Callable[..., T],
    groups: Sequence[Sequence[str]],
    *arguments: Any,
) -> Iterator[tuple[int, T | SweepError]]:
    """`sweep.engine.session.executor.Each` as tasks of Ray; needs `cluster`.

    A process that dies, or a node that is lost, costs its group nothing the first `RETRIES` times.

    Args:
        location: of the results.
        needs: CPU and GPU of one task.
        log: has Ray's own messages.
        do, groups, arguments: as there.
    """
    import ray
    from ray.exceptions import RayError, RayTaskError

    task = ray.remote(num_cpus=needs["cpu"], num_gpus=needs["gpu"], max_retries=RETRIES)(_work)
    share = needs["gpu"] if 0 < needs["gpu"] < 1 else None
    where = location.folder, location.uri, share
    waiting, running, most = deque(enumerate(groups)), dict[Any, int](), 1
    while waiting or running:
        while waiting and len(running) < most:
            number, group = waiting.popleft()
            named = task.options(name=" ".join(group))  # in the dashboard and in the process list
            running[named.remote(where, do, group, arguments)] = number
        done, _ = ray.wait([*running], timeout=SECONDS_ALONE if most == 1 else None)
        if not done:
            most = len(groups)
        for reference in done:
            result: T | SweepError
            try:
                result = ray.get(reference)
            except RayTaskError as error:
                raise error.cause from error
            except RayError as error:
                tries = f"its process died {1 + RETRIES} times"
                result = ResultsError(f"{tries}: {type(error).__name__} (more in {log})")
            yield running.pop(reference), result


def _work(
    where: tuple[Path, str | None, float | None],
    do: Callable[..., T],
    names: Sequence[str],
    arguments: Sequence[Any],
) -> T | SweepError:
    """In a worker: call ``do`` with the files of the trials of these names."""
    folder, uri, share = where
    if share is not None:
        with suppress(Exception):  # of a GPU that broke: ``do`` says so
            from sweep.trial.gpu_memory import limit_gpu_memory

            limit_gpu_memory(share)
    if uri is None:
        return attempted(do, [*map(Layout(folder).trial, names)], *arguments)
    here, remote = Layout(scratch(uri)), RemoteFolder(uri)
    with ExitStack() as stack:
        trials = [
            stack.enter_context(borrowed(paths.folder, remote.below(f"trials/{paths.folder.name}")))
            for paths in map(here.trial, names)
        ]
        return attempted(do, trials, *arguments)
