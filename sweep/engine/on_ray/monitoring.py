"""Monitoring of a sweep besides the console: Ray's dashboard and Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sweep.analysis.ranking.sweep_state import SweepState
from sweep.machine.installed_packages import how_to_install

PACKAGE = "aiohttp_cors"
"""A package that only the dashboard needs."""


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Options for monitoring a sweep.

    Args:
        state: of which the metrics are; None for no metrics. It observes the controller.
        dashboard: start Ray's, where Ray is started, and give each trial an actor of its name.
        announce: gets the HOST:PORT of the dashboard, that of a cluster too; None if it should
            have been started and was not.
    """

    state: SweepState | None
    dashboard: bool
    announce: Callable[[str | None], None] = lambda address: None


def wanted(asked: bool | None) -> tuple[bool, list[str]]:
    """Whether to start the dashboard, and what to print.

    Args:
        asked: what the user asked for; None: wherever it is installed.
    """
    missing = how_to_install("dashboard", PACKAGE)
    if missing is None:
        return asked is not False, []
    return False, [f"{missing}; the sweep runs without it"] if asked else []
