"""Execute a controller's trials with Ray Tune, on this machine or on a cluster."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.analysis.ranking.sweep_state import SweepState
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.engine.on_ray.ray_cluster import cluster
from sweep.engine.on_ray.ray_refusals import with_cure
from sweep.engine.packs.pack_sizes import SILENT, Packing, PackSizes
from sweep.engine.session.ending import Ending, noting_stops, reporting_errors
from sweep.engine.session.sweep_location import SweepLocation
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.error_lines import last_line

if TYPE_CHECKING:
    from sweep.engine.on_ray.workers import Workers

NO_GPU = (
    "One trial at a time on each worker: `resources.trials_per_gpu: auto` finds no GPU, and a CPU"
    " gains nothing."
)


def execute(
    controller: SweepController,
    spec: SweepSpec,
    log: Path,
    location: SweepLocation,
    *,
    state: SweepState | None = None,
    dashboard: bool = False,
    announce: Callable[[str | None], None] = lambda _: None,
    verbose: bool = False,
    packing: Packing = SILENT,
    steer: Callable[[], object] = lambda: None,
    acknowledge: Callable[[str], object] = lambda _: None,
) -> Ending:
    """Run the controller's trials until it is finished, or a signal or the time budget stops it.

    Args:
        controller: decides and records.
        spec: resources, concurrency and time budget.
        log: gets Ray's own messages.
        location: the cluster, and where the results are.
        state: observes the controller; its metrics are exported to Prometheus. None: no metrics.
        dashboard: start Ray's dashboard if Ray is started here.
        announce: called with HOST:PORT of the dashboard, also that of a cluster; called with None
            if the dashboard should have been started and was not.
        verbose: show Ray's own messages on the screen instead.
        packing: remembers and says how many trials share a GPU.
        steer: takes what users ask of the sweep; called in each step of Ray's loop.
        acknowledge: called in the signal handler when a signal has arrived.
    Raises:
        SweepFailed: results cannot be written, or the sweep's own code or Ray failed.
    """
    steer()
    if controller.finished:
        return Ending.FINISHED
    ray = cluster(log, verbose=verbose, address=location.address, dashboard=dashboard)
    # Ray takes seconds to start and to end. A signal then acts as Ctrl-C does.
    with noting_stops(acknowledge, raises=True), ray as found, noting_stops(acknowledge) as stop:
        if found is not None or (dashboard and location.address is None):
            announce(found)
        from sweep.engine.on_ray.node_checks import clean_nodes
        from sweep.engine.on_ray.prometheus_metrics import Exporter
        from sweep.engine.on_ray.ray_tune import (
            DeferredError,
            Stopped,
            Supervised,
            make_tuner,
            sent_to_workers,
        )

        door = DeferredError()
        supervised = Supervised(
            door,
            lambda: stop.asked,
            math.inf if spec.time_budget is None else time.monotonic() + spec.time_budget,
            Exporter(spec.name, state) if state else lambda: None,
            steer,
        )

        def describe(error: Exception) -> str:
            whose = "The sweep failed" if error is door.failure else "Ray broke down"
            return with_cure(f"{whose}: {last_line(error)}", error)

        workers = _workers(controller, spec, location, packing)
        with tempfile.TemporaryDirectory(prefix="sweep-ray-") as scratch:
            of_all = sent_to_workers(spec, workers.capacity.resources, location.uri)
            tuner = make_tuner(workers, supervised, of_all, scratch, verbose=verbose)
            with reporting_errors(log, describe):
                try:
                    with _callbacks_uncounted():
                        tuner.fit()
                except Stopped as stopped:
                    if stopped.ending is not Ending.FINISHED:
                        return stopped.ending
                door.require()  # an error in Ray's last step
        # Ray ends by itself on a SIGUSR1, as some clusters send before they take a machine back.
        over = controller.finished
        if over and location.uri is not None:
            clean_nodes(location.uri)
    return Ending.FINISHED if over else Ending.INTERRUPTED


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
