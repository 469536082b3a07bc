"""Workers that evaluate and draw finalists, on the nodes and GPUs that trained them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from sweep.engine.decisions.faults import RETRIES
from sweep.engine.on_ray.last_words import log_last_words
from sweep.engine.session.ending import note
from sweep.engine.session.executor import attempted, noted
from sweep.engine.session.sweep_location import SweepLocation, trial_at
from sweep.store.at_uri.worker_folder import borrowed
from sweep.store.layout import Layout
from sweep.trial.gpu_memory import limit_gpu_memory
from sweep.vocabulary.errors import ResultsError, SweepError

T = TypeVar("T")

SECONDS_ALONE = 30.0
"""After this time further workers start for what is left. Each takes seconds to start, and what
takes less is soonest done by one worker."""


class FinalistWorkers:
    """Processes that each have the CPU and GPU of a trial; needs `cluster`.

    One process that dies, or whose node is lost, is started again, and costs its trials nothing the
    first `RETRIES` times. Where one cannot start, another is tried.

    Args:
        location: of the results.
        needs: CPU and GPU of one worker.
        most: of them at a time; None: no limit.
        log: has Ray's own messages.
    """

    def __init__(
        self, location: SweepLocation, needs: Mapping[str, float], most: int | None, log: Path
    ) -> None:
        self._location = location
        self._needs = needs
        self._most = most
        self._log = log
        self._workers: list[Any] = []

    def each(
        self, do: Callable[..., T], groups: Sequence[Sequence[str]], *arguments: Any
    ) -> Iterator[tuple[int, T | SweepError]]:
        """See `sweep.engine.session.executor.Each`. One worker stays for the next call."""
        import ray

        waiting, running = deque(enumerate(groups)), dict[Any, tuple[Any, int | None]]()
        idle, left, failed = self._workers[:1], len(groups), 0
        end_alone = monotonic() + SECONDS_ALONE
        while left:
            alone = end_alone - monotonic()
            most = 1 if alone > 0 else self._most or left
            while len(self._workers) < min(most, left) and failed <= RETRIES:
                worker = self._start()
                running[worker.is_ready.remote()] = worker, None
            while waiting and idle:
                worker, (number, group) = idle.pop(), waiting.popleft()
                running[worker.work.remote(do, group, arguments)] = worker, number
            done, _ = ray.wait([*running], timeout=alone if alone > 0 else None)
            for reference in done:
                worker, ended = running.pop(reference)
                result = self._result(reference)
                if ended is None and isinstance(result, SweepError):
                    # Its node may kill every process. Another worker may start elsewhere.
                    ray.kill(worker)
                    self._workers.remove(worker)
                    failed += 1
                    if failed > RETRIES and not self._workers:
                        yield from ((number, result) for number, _ in waiting)
                        return
                    continue
                idle.append(worker)
                if ended is not None:
                    left -= 1
                    yield ended, result
        for worker in self._workers[1:]:
            ray.kill(worker)
        del self._workers[1:]

    def _start(self) -> Any:
        import ray

        worker = ray.remote(
            num_cpus=self._needs["cpu"],
            num_gpus=self._needs["gpu"],
            max_restarts=-1,
            max_task_retries=RETRIES,
        )(FinalistWorker).remote(self._location.folder, self._location.uri, self._needs["gpu"])
        self._workers.append(worker)
        return worker

    def _result(self, reference: Any) -> Any:
        import ray
        from ray.exceptions import RayError, RayTaskError

        try:
            return noted(ray.get(reference), self._log)
        except RayTaskError as error:
            raise error.cause from error
        except RayError as error:
            note(self._log, error)
            log_last_words(str(error))
            tries = f"its process died {1 + RETRIES} times"
            return ResultsError(f"{tries}: {type(error).__name__} (more in {self._log})")


class FinalistWorker:
    """In a process of Ray.

    Args:
        folder: the results, if this machine sees them as a folder.
        uri: where they are otherwise.
        gpu: how much of a GPU the process has.
    """

    def __init__(self, folder: Path, uri: str | None, gpu: float) -> None:
        self._folder = folder
        self._uri = uri
        if 0 < gpu < 1:
            limit_gpu_memory(gpu)

    def is_ready(self) -> bool:
        """Answers once the process has started."""
        return True

    def work(
        self, do: Callable[..., T], names: Sequence[str], arguments: Sequence[Any]
    ) -> T | SweepError:
        """Call ``do`` with the files of the trials of these names."""
        if self._uri is None:
            return attempted(do, [*map(Layout(self._folder).trial, names)], *arguments)
        return attempted(self._with_copies, names, self._uri, do, arguments)

    @staticmethod
    def _with_copies(
        names: Sequence[str], uri: str, do: Callable[..., T], arguments: Sequence[Any]
    ) -> T:
        with ExitStack() as stack:
            places = [trial_at(uri, name) for name in names]
            return do([stack.enter_context(borrowed(*place)) for place in places], *arguments)
