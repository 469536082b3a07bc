"""A private Ray on this machine, for as long as one sweep runs, and quiet."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from sweep.errors import SweepFailed
from sweep.record import last_line

ONLY_LOCAL = ("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
"""Ray's switch between one machine and a cluster, named after where it is off by default.

On, GCS, raylet and every worker listen on all interfaces of the machine; off, on loopback
(Ray 2.60: `ray._private.services.get_node_ip_address`, and `listen_to_localhost_only` in C++).
"""

RAY_LOGGERS = ("ray", "ray.tune", "ray.data", "ray.train")

# Ray reads these when it is imported or started; what the user has set stays.
ENVIRONMENT = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a worker that changes folder breaks relative paths
    "RAY_AUTH_MODE": "token",  # the default, but unset it is announced at every start
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # our store records; CSV, JSON and TB copies cost
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours: see `Interruption`
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # Ray's snapshots are never read
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@contextmanager
def local_cluster(log: Path, *, verbose: bool) -> Iterator[None]:
    """Start Ray on this machine, and end it with all its processes on leaving.

    Nobody reaches it from another machine, unless Ray was imported before.

    Args:
        log: where the messages of Ray and its libraries go when they are not wanted on screen.
        verbose: let Ray and the workers write to the screen.
    Raises:
        SweepFailed: Ray did not start.
    """
    os.environ.setdefault(*ONLY_LOCAL)
    prepare_environment()
    # Imported here: more than a second, and only a sweep needs it.
    import ray

    quiet = None if verbose else log
    with _messages_to(quiet), _prints_to(quiet), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"ray\..*")
        with _stderr_to(quiet):
            try:
                ray.init(
                    address="local",
                    include_dashboard=False,
                    log_to_driver=verbose,
                    logging_level=logging.INFO if verbose else logging.ERROR,
                    configure_logging=verbose,
                )
            except Exception as error:
                raise SweepFailed(f"Ray did not start: {last_line(error)}; see {log}") from error
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def _messages_to(log: Path | None) -> Iterator[None]:
    """Send what Ray's loggers say to a file; None leaves them as they are."""
    if log is None:
        yield
        return
    handler = logging.FileHandler(log, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    loggers = [logging.getLogger(name) for name in RAY_LOGGERS]
    # It misses, trial by trial, the copies of our history that Ray was told not to make.
    logging.getLogger("ray.tune.analysis").setLevel(logging.ERROR)
    before = [(logger, logger.handlers[:], logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [handler], False
    try:
        yield
    finally:
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate
        handler.close()


@contextmanager
def _prints_to(log: Path | None) -> Iterator[None]:
    """Send what Python code prints to a file: a thread of Ray tells there of workers that died.

    Our own console was bound to the true stdout before.
    """
    if log is None:
        yield
        return
    with log.open("a") as file, redirect_stdout(file), redirect_stderr(file):
        yield


@contextmanager
def _stderr_to(log: Path | None) -> Iterator[None]:
    """Send the process's stderr to a file: Ray's compiled part writes there past any logger."""
    if log is None:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def prepare_environment() -> None:
    """Set what Ray reads from the environment when it is imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
