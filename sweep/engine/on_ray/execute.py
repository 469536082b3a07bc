"""Train the trials of a sweep with Ray Tune, on this machine or on a cluster."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sweep.analysis.ranking.sweep_state import SweepState
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.engine.on_ray.ray_cluster import cluster
from sweep.engine.on_ray.ray_refusals import with_cure
from sweep.engine.packs.pack_sizes import SILENT, Packing, PackSizes
from sweep.engine.session.ending import Ending, Stop, noting_stops, reporting_errors
from sweep.engine.session.executor import nothing
from sweep.engine.session.sweep_location import SweepLocation
from sweep.machine.interrupted import forget_interruption
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.store import Store
from sweep.vocabulary.error_lines import last_line
from sweep.vocabulary.errors import SweepError

if TYPE_CHECKING:
    from sweep.engine.on_ray.finalist_workers import FinalistWorkers
    from sweep.engine.on_ray.workers import Workers

T = TypeVar("T")

NO_GPU = (
    "One trial at a time on each worker: `resources.trials_per_gpu: auto` finds no GPU, and a CPU"
    " gains nothing."
)


@dataclass
class OnRay:
    """Trains and evaluates with Ray, which starts when it is first needed: see `Executor`.

    Args:
        spec: resources, concurrency and time budget.
        store: the results.
        location: the cluster, and where the results are.
        dashboard: start Ray's dashboard if Ray is started here.
        announce: called with HOST:PORT of the dashboard, also that of a cluster; called with None
            if the dashboard should have been started and was not.
        verbose: show Ray's own messages on the screen, not in ``sweep.log``.
        packing: remembers and says how many trials share a GPU.
    """

    spec: SweepSpec
    store: Store
    location: SweepLocation
    dashboard: bool = False
    announce: Callable[[str | None], None] = lambda _: None
    verbose: bool = False
    packing: Packing = SILENT
    _ray: ExitStack = field(default_factory=ExitStack, init=False)
    _is_connected: bool = field(default=False, init=False)
    _is_over: bool = field(default=False, init=False)
    _finalist_workers: FinalistWorkers | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._disconnect()
        except KeyboardInterrupt:
            if kind is not None:
                raise
            forget_interruption()  # how the sweep has ended is settled: only Ray was left to end

    def each(
        self, do: Callable[..., T], groups: Sequence[Sequence[str]], *arguments: Any
    ) -> Iterator[tuple[int, T | SweepError]]:
        """See `Each`. What is written beside trials is in the store afterwards."""
        if not groups:
            return
        self._connect()
        if self._finalist_workers is None:
            from sweep.engine.on_ray.capacity import trial_resources
            from sweep.engine.on_ray.finalist_workers import FinalistWorkers

            self._finalist_workers = FinalistWorkers(
                self.location,
                trial_resources(self.spec),
                self.spec.max_concurrent,
                self.store.layout.log,
            )
        for number, result in self._finalist_workers.each(do, groups, *arguments):
            for trial_id in groups[number]:
                self.store.fetch_predictions(trial_id)
            yield number, result

    def train(
        self,
        controller: SweepController,
        state: SweepState | None = None,
        steer: Callable[[], object] = nothing,
        acknowledge: Callable[[str], object] = nothing,
    ) -> Ending:
        """See `Executor`. The state is exported to Prometheus."""
        steer()
        if controller.finished:
            self._is_over = True
            return Ending.FINISHED
        # Ray takes seconds to start. A signal then acts as Ctrl-C does.
        with noting_stops(acknowledge, raises=True):
            self._connect()
            with noting_stops(acknowledge) as stop:
                return self._train(controller, state, steer, stop)

    def _train(
        self,
        controller: SweepController,
        state: SweepState | None,
        steer: Callable[[], object],
        stop: Stop,
    ) -> Ending:
        from sweep.engine.on_ray.prometheus_metrics import Exporter
        from sweep.engine.on_ray.ray_tune import (
            DeferredError,
            Stopped,
            Supervised,
            make_tuner,
            sent_to_workers,
        )

        spec, door = self.spec, DeferredError()
        supervised = Supervised(
            door,
            lambda: stop.asked,
            math.inf if spec.time_budget is None else time.monotonic() + spec.time_budget,
            Exporter(spec.name, state) if state else nothing,
            steer,
        )

        def describe(error: Exception) -> str:
            whose = "The sweep failed" if error is door.failure else "Ray broke down"
            return with_cure(f"{whose}: {last_line(error)}", error)

        workers = _workers(controller, spec, self.location, self.packing)
        with tempfile.TemporaryDirectory(prefix="sweep-ray-") as scratch:
            of_all = sent_to_workers(spec, workers.capacity.resources, self.location.uri)
            tuner = make_tuner(workers, supervised, of_all, scratch, verbose=self.verbose)
            with reporting_errors(self.store.layout.log, describe):
                try:
                    with _callbacks_uncounted():
                        tuner.fit()
                    self._is_over = controller.finished
                except Stopped as stopped:
                    self._is_over = stopped.ending is Ending.FINISHED
                    self._disconnect()  # workers go on, or wait for a place: all of them end here
                    if not self._is_over:
                        return stopped.ending
                door.require()  # an error in Ray's last step
        # Ray ends by itself on a SIGUSR1, as some clusters send before they take a machine back.
        return Ending.FINISHED if self._is_over else Ending.INTERRUPTED

    def _connect(self) -> None:
        if self._is_connected:
            return
        address, log = self.location.address, self.store.layout.log
        ray = cluster(log, verbose=self.verbose, address=address, dashboard=self.dashboard)
        found = self._ray.enter_context(ray)
        self._is_connected = True
        if found is not None or (self.dashboard and address is None):
            self.announce(found)

    def _disconnect(self) -> None:
        """End Ray here, and on a cluster what this sweep has started there."""
        if not self._is_connected:
            return
        self._is_connected, self._finalist_workers = False, None
        with self._ray:
            if self._is_over and self.location.uri is not None:
                from sweep.engine.on_ray.node_checks import clean_nodes

                clean_nodes(self.location.uri)


@contextmanager
def _callbacks_uncounted() -> Iterator[None]:
    """Keep Ray's usage statistics from counting our callback.

    To see whether it is one of theirs, Ray imports MLflow, Weights & Biases and others, if they are
    installed. That takes seconds before the first trial starts.
    """
    try:
        from ray.air._internal import usage  # Ray's public interface has no such switch

        usual = usage.tag_callbacks
    except (ImportError, AttributeError):  # in a Ray of its own inside, it only takes longer
        yield
        return
    usage.tag_callbacks = lambda _: False
    try:
        yield
    finally:
        usage.tag_callbacks = usual


def _workers(
    controller: SweepController, spec: SweepSpec, location: SweepLocation, packing: Packing
) -> Workers:
    from sweep.engine.on_ray.capacity import Capacity
    from sweep.engine.on_ray.workers import Workers

    capacity = Capacity(spec, grows=location.address is not None)
    trials = spec.resources.trials_per_gpu
    if trials == "auto" and not capacity.resources["gpu"]:
        packing.say(NO_GPU)
        trials = 1
    return Workers(controller, PackSizes(trials, packing), capacity, spec.max_concurrent)
