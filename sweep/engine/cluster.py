"""A private Ray on this machine, for as long as one sweep runs, and quiet."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

QUIET_LOGGERS = ("ray", "ray.tune", "ray.data", "ray.train")

# Ray reads these when it is imported or started; what the user has set stays.
ENVIRONMENT = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a worker that changes folder breaks relative paths
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # our store records; CSV, JSON and TB copies cost
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours: see `Interruption`
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # Ray's snapshots are never read
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def prepare_environment() -> None:
    """Set what Ray reads from the environment; call before anything imports ray."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


@contextmanager
def local_cluster(log: Path, *, verbose: bool) -> Iterator[None]:
    """Start Ray on this machine, and end it with all its processes on leaving.

    Args:
        log: where the messages of Ray and its libraries go when they are not wanted on screen.
        verbose: let Ray and the workers write to the screen.
    """
    import ray

    with _noise(log, verbose=verbose), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"ray\..*")
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=verbose,
            logging_level=logging.INFO if verbose else logging.ERROR,
            configure_logging=verbose,
        )
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def _noise(log: Path, *, verbose: bool) -> Iterator[None]:
    """Send the libraries' log messages to a file instead of the screen."""
    if verbose:
        yield
        return
    handler = logging.FileHandler(log, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    loggers = [logging.getLogger(name) for name in QUIET_LOGGERS]
    before = [(logger, logger.handlers[:], logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers = [handler]
        logger.propagate = False
    try:
        yield
    finally:
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate
        handler.close()
