"""A quiet connection to Ray: a private one on this machine for one sweep, or a cluster's."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import (
    AbstractContextManager,
    ExitStack,
    contextmanager,
    nullcontext,
    redirect_stderr,
    redirect_stdout,
    suppress,
)
from functools import partial
from pathlib import Path
from typing import Any, TextIO, cast

from sweep.engine.on_ray.ray_refusals import cure_for, with_cure
from sweep.machine.codebase import PACKAGE
from sweep.machine.cpus import usable_cpus
from sweep.machine.installed_packages import how_to_install
from sweep.machine.interrupted import STOPS
from sweep.vocabulary.error_lines import last_line
from sweep.vocabulary.errors import InputError, SweepFailed

ONLY_LOCAL = ("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
"""Ray's switch between one machine and a cluster, named after where it is off by default.

On, GCS, raylet and every worker listen on all interfaces of the machine; off, on loopback
(Ray 2.60: `ray._private.services.get_node_ip_address`, and `listen_to_localhost_only` in C++).
"""

RAY_LOGGERS = ("ray", "ray.tune", "ray.data", "ray.train")

# Ray reads these when it is imported or started. Values that the user has set are kept.
ENVIRONMENT = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a worker that changes folder breaks relative paths
    "RAY_AUTH_MODE": "token",  # the default; if it is not set, Ray announces it at every start
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # our store records; copies as CSV and JSON cost
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # we handle Ctrl-C: see `sweep.engine.session.ending`
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # Ray's snapshots are never read
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",  # else Ray restarts such a worker itself
    "TUNE_MAX_PENDING_TRIALS_PG": "200",  # we propose only as many trials as there is room for
    "RAY_prestart_worker_first_driver": "0",  # else an idle process for each core of the machine
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}

OF_WORKERS = ("RAY_CHDIR_TO_TRIAL_DIR", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO")
"""Those that workers read. The driver reads the others, and the cluster has its RAY_AUTH_MODE."""

SECONDS_TO_ANSWER = 5.0
"""After this time an address counts as wrong. Ray itself would try for two minutes."""


@contextmanager
def cluster(
    log: Path, *, verbose: bool, address: str | None = None, dashboard: bool = False
) -> Iterator[str | None]:
    """Connect to Ray, and remove all traces of this process there at the end.

    A private Ray cannot be reached from another machine, unless Ray was imported before. Yields the
    address of the dashboard; None if there is none.

    Args:
        log: gets the messages of Ray and its libraries if they are not shown on the screen.
        verbose: let Ray and the workers write to the screen.
        address: of a cluster, ``auto`` for the one that this machine belongs to; None starts Ray
            on this machine and ends it, with all its processes, at the end.
        dashboard: start one if Ray is started here.
    Raises:
        SweepFailed: Ray did not start.
        InputError: there is no cluster at ``address``, or it refuses us.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if address is None:
        os.environ.setdefault(*ONLY_LOCAL)
    else:
        require_answer(address)  # no loopback here: the cluster's nodes must reach this process
    # In a notebook its import asks for packages that only its own outputs there need.
    logging.getLogger("ray.widgets.util").setLevel(logging.WARNING)
    # The import takes more than a second, and only a sweep needs it.
    import ray

    with ExitStack() as quiet, warnings.catch_warnings():
        hushed: Callable[[], AbstractContextManager[None]] = nullcontext
        if not verbose:
            file = quiet.enter_context(_log_file(log))
            hushed = partial(_stderr_to, file)
            quiet.enter_context(_messages_to(file))
            # A thread of Ray prints about workers that died. What a tracker or a searcher of the
            # user prints is for the screen. Our own console keeps the stdout that it found before.
            quiet.enter_context(redirect_stdout(cast(TextIO, OfThisThread(sys.stdout, file))))
            quiet.enter_context(redirect_stderr(file))
        warnings.filterwarnings("ignore", module=r"ray\..*")
        with hushed():
            try:
                is_bare = address is None and not dashboard
                bare = without_side_services(logs=verbose) if is_bare else nullcontext()
                with _signals_are_ours(), bare:
                    context = ray.init(
                        **(_private(dashboard) if address is None else _existing(address)),
                        log_to_driver=verbose,
                        logging_level=logging.INFO if verbose else logging.ERROR,
                        configure_logging=verbose,
                    )
            except Exception as error:
                if address is not None:
                    raise _refused(address, error) from error
                text = with_cure(f"Ray did not start: {last_line(error)}", error)
                raise SweepFailed(f"{text} (more in {log})") from error
        try:
            yield context.dashboard_url or None
        finally:
            with hushed():  # of tasks that go on
                ray.shutdown()


@contextmanager
def _signals_are_ours() -> Iterator[None]:
    """Keep Ray from handling SIGTERM, and start its processes out of reach of signals to us.

    Ctrl-C, `timeout` and the end of a terminal send a signal to the process group. Batch systems
    and service managers send it to all processes. Ray's processes would end at once. This one would
    then wait a minute for an answer of the GCS, and Ray's compiled part would end it meanwhile: it
    has a handler of its own, which it puts in place of Python's.
    """
    # Ray's public interface has no such switches.
    from ray._private import services, utils

    usual = services.ConsolePopen, utils.set_sigterm_handler
    services.ConsolePopen = partial(_start_out_of_reach, usual[0])
    utils.set_sigterm_handler = lambda _: None
    try:
        yield
    finally:
        services.ConsolePopen, utils.set_sigterm_handler = usual
        if threading.current_thread() is threading.main_thread():
            for number in STOPS:
                if (handler := signal.getsignal(number)) is not None:
                    signal.signal(number, handler)


def _start_out_of_reach(start: Callable[..., Any], command: list[str], **options: Any) -> Any:
    """A process with its own group, in our session. It ends with us (``PR_SET_PDEATHSIG``).

    The GCS must answer to the very end: only SIGKILL ends it. That does no harm, because it keeps
    everything in memory.
    """
    is_gcs = Path(command[0]).name == "gcs_server"
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS if is_gcs else ())  # inherited
    try:
        process = start(command, process_group=0, **options)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if is_gcs:
        process.terminate = process.kill
    return process


@contextmanager
def without_side_services(*, logs: bool) -> Iterator[None]:
    """Start neither Ray's autoscaler, which has no nodes to add here, nor the server behind the
    dashboard, for which `ray.init` would wait. Each is a Python process, and takes seconds.

    Args:
        logs: start what sends the output of the workers to this process.
    """
    # Ray's public interface has no such switches. A Ray that has moved these starts everything.
    try:
        from ray._private import parameter, services

        usual = parameter.RayParams, services.start_api_server
    except (ImportError, AttributeError):
        yield
        return
    parameter.RayParams = partial(usual[0], no_monitor=True, include_log_monitor=logs)
    services.start_api_server = lambda *_, **__: ("", None)
    try:
        yield
    finally:
        parameter.RayParams, services.start_api_server = usual


def _private(dashboard: bool) -> dict[str, Any]:
    return {
        "address": "local",
        "num_cpus": usable_cpus(),  # Ray ignores affinity, and sees no core in a quota below 1
        # None starts a dashboard and continues if that fails. True would fail.
        "include_dashboard": None if dashboard else False,
        "dashboard_host": "127.0.0.1",  # it runs code for everybody who reaches it
    }


def _existing(address: str) -> dict[str, Any]:
    """Every node imports exactly the driver's code, even if the package is installed there: the
    provenance names one hash of the sources for all trials.
    """
    return {
        "address": address,
        "runtime_env": {
            "py_modules": [str(PACKAGE)],
            "env_vars": {name: os.environ[name] for name in OF_WORKERS},
        },
    }


def require_answer(address: str, deadline: float = 0.0) -> None:
    """Refuse an address that cannot be a cluster's, and one at which nothing listens.

    Args:
        deadline: until when to wait for something to listen, by `time.monotonic`.

    Raises:
        InputError: with what to do instead.
    """
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or address  # as Ray itself does
        if address == "auto":
            return  # Ray looks for a cluster on this machine, and reports at once if there is none
    if address.startswith("ray://"):
        # With it, Ray Tune runs its whole loop, which writes the results, on the head node.
        raise InputError.single(
            "Ray Client cannot drive a sweep: run this command on a node of the cluster with"
            " --address auto, or let `ray job submit` run it there",
            key="--address",
        )
    found = re.fullmatch(r"(.+):([0-9]{1,5})", address)
    if found is None:
        raise InputError.single(
            f"must be auto or HOST:PORT (6379 unless the cluster says otherwise), but is {address}",
            key="--address",
        )
    while True:
        try:
            socket.create_connection((found[1], int(found[2])), timeout=SECONDS_TO_ANSWER).close()
            return
        except (OSError, OverflowError) as error:
            if int(found[2]) > 65535 or time.monotonic() >= deadline:
                raise _refused(address, error) from error
        time.sleep(1)


def _refused(address: str, error: Exception) -> InputError:
    usual = (
        "`ray status` on its head node shows whether it is up, and it must have our auth token"
        " (~/.ray/auth_token)"
    )
    listens = not isinstance(error, ConnectionRefusedError | TimeoutError)
    cure = (cure_for(error) if listens else None) or usual
    return InputError.single(
        f"cannot join the Ray cluster at {address}: {last_line(error)}; {cure}", key="--address"
    )


class OfThisThread:
    """A stdout that takes what the thread that makes it prints; that of others goes to a file."""

    def __init__(self, stdout: TextIO, file: TextIO) -> None:
        self._streams = stdout, file
        self._thread = threading.current_thread()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._streams[threading.current_thread() is not self._thread], name)


@contextmanager
def _log_file(log: Path) -> Iterator[TextIO]:
    """A file that stays open, so that a folder which is moved or deleted takes no message."""
    file = log.open("a")
    try:
        yield file
    finally:
        with suppress(OSError):  # the disk is full: a log ends no sweep
            file.close()


@contextmanager
def _messages_to(file: TextIO) -> Iterator[None]:
    """Send what Ray's loggers say to an open file."""
    handler = logging.StreamHandler(file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    loggers = [logging.getLogger(name) for name in RAY_LOGGERS]
    # It warns, trial by trial, of missing copies of our history that Ray was asked not to make.
    logging.getLogger("ray.tune.analysis").setLevel(logging.ERROR)
    before = [(logger, logger.handlers[:], logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [handler], False
    try:
        yield
    finally:
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate


@contextmanager
def _stderr_to(file: TextIO) -> Iterator[None]:
    """Send the process's stderr to a file: Ray's compiled part writes there without a logger."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


DASHBOARD_PACKAGE = "aiohttp_cors"
"""A package that only the dashboard needs."""


def wanted_dashboard(asked: bool | None) -> tuple[bool, list[str]]:
    """Whether to start the dashboard, and warnings.

    Args:
        asked: what the user asked for; None: start it if it is installed.
    """
    missing = how_to_install("dashboard", DASHBOARD_PACKAGE)
    if missing is None:
        return asked is not False, []
    return False, [f"{missing}; the sweep runs without it"] if asked else []
