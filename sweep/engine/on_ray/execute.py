"""Execute a controller's trials with Ray Tune, on this machine or on a cluster."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from sweep.engine.decisions.sweep_controller import SweepController
from sweep.engine.on_ray.monitoring import Monitoring
from sweep.engine.on_ray.ray_cluster import cluster
from sweep.engine.on_ray.ray_refusals import with_cure
from sweep.engine.session.ending import Ending
from sweep.engine.session.log_file import note
from sweep.engine.session.sweep_location import SweepLocation
from sweep.machine.interrupted import handling_stops
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.errors import SweepError, SweepFailed
from sweep.vocabulary.record import last_line

if TYPE_CHECKING:
    from ray import tune

    from sweep.engine.on_ray.ray_tune import DeferredError


def execute(
    controller: SweepController,
    spec: SweepSpec,
    log: Path,
    location: SweepLocation,
    monitoring: Monitoring | None = None,
    *,
    verbose: bool = False,
    acknowledge: Callable[[str], object] = lambda _: None,
) -> Ending:
    """Run the controller's trials until it is finished, or a signal or the time budget stops it.

    Args:
        controller: decides and records.
        spec: resources, concurrency and time budget.
        log: where Ray's own messages go.
        location: the cluster, and where the results lie.
        monitoring: what is shown of the sweep while it runs; None for nothing.
        verbose: show Ray's own messages on the screen instead.
        acknowledge: called in the signal handler when a signal has arrived.
    Raises:
        SweepFailed: results cannot be written, something in here or Ray itself broke down.
    """
    if controller.finished:
        return Ending.FINISHED
    shown = monitoring or Monitoring(state=None, dashboard=False)
    ray = cluster(log, verbose=verbose, address=location.address, dashboard=shown.dashboard)
    with _raising(acknowledge), ray as dashboard, _signals(acknowledge) as asked:
        if dashboard is not None or (shown.dashboard and location.address is None):
            shown.announce(dashboard)
        from sweep.engine.on_ray.node_checks import clean_nodes
        from sweep.engine.on_ray.prometheus_metrics import Exporter
        from sweep.engine.on_ray.ray_tune import DeferredError, Supervision, make_tuner

        door = DeferredError()
        supervision = Supervision(
            controller,
            door,
            lambda: bool(asked),
            None if spec.time_budget is None else time.monotonic() + spec.time_budget,
            Exporter(spec.name, shown.state) if shown.state else lambda: None,
        )
        # An actor's name is fixed when it starts. Where somebody looks at names, each trial gets an
        # actor of its own: a few seconds for the imports.
        reuse = dashboard is None or not shown.dashboard
        with tempfile.TemporaryDirectory(prefix="sweep-ray-") as scratch:
            tuner = make_tuner(
                controller, door, supervision, spec, location, scratch, reuse=reuse, verbose=verbose
            )
            if (stopped := _fit(tuner, door, log)) is not None:
                return stopped
        # Ray ends by itself on a SIGUSR1, as some clusters send before they take a machine back.
        over = controller.finished
        if over and location.uri is not None:
            clean_nodes(location.uri)
    return Ending.FINISHED if over else Ending.INTERRUPTED


def _fit(tuner: tune.Tuner, door: DeferredError, log: Path) -> Ending | None:
    """Let Ray run to its own end; how the sweep was stopped before, if it was.

    Raises:
        SweepFailed: something in here, or Ray itself, broke down.
    """
    from sweep.engine.on_ray.ray_tune import Stopped

    try:
        tuner.fit()
        door.require()  # of Ray's last step
    except Stopped as stop:
        return stop.ending
    except SweepError:
        raise
    except Exception as error:
        note(log, error)
        whose = "The sweep failed" if error is door.failure else "Ray broke down"
        told = with_cure(f"{whose}: {last_line(error)}", error)
        raise SweepFailed(f"{told} (more in {log})") from error
    return None


STOPPING = (
    "Stopping: all reported epochs are saved. Running trials continue from their last epoch when"
    " the sweep is resumed. Press Ctrl-C again to stop at once."
)


@contextmanager
def _signals(acknowledge: Callable[[str], object]) -> Iterator[list[int]]:
    """Collects the signals that ask for a stop instead of dying of them; a second one has the
    effect that it had before.
    """
    received: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, before[number])
        acknowledge(STOPPING)

    with handling_stops(receive) as before:
        yield received


@contextmanager
def _raising(acknowledge: Callable[[str], object]) -> Iterator[None]:
    """A stop while Ray starts or ends, which takes seconds: a word at once, then as Ctrl-C is."""

    def receive(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, before[number])
        acknowledge(STOPPING)
        raise KeyboardInterrupt

    with handling_stops(receive) as before:
        yield
