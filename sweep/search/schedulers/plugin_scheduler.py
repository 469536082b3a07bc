"""``scheduler: {name: custom}``: a plug-in whose decisions are checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sweep.plugins.plugin_kinds import SCHEDULER
from sweep.search.schedulers.decision import Decision
from sweep.spec.search.search_strategy import CustomScheduler
from sweep.vocabulary.record import Status


class PluginScheduler:
    """Ends the sweep in words where a plug-in fails or returns anything but a `Decision`.

    Args:
        settings: which plug-in, with its options, filled in.
        max_epochs: most epochs of a trial, by the clock.
    """

    def __init__(self, settings: CustomScheduler, max_epochs: int) -> None:
        self._name = settings.entry
        self._made: Any = SCHEDULER.make(
            settings.entry, settings.grace_period, max_epochs, options=settings.options
        )

    def expect(self, to_come: int) -> None:
        self._call("expect", to_come)

    def start(self, trial_id: str) -> None:
        self._call("start", trial_id)

    def report(self, trial_id: str, epochs: int, value: float | None) -> Decision:
        return self._checked("report", self._call("report", trial_id, epochs, value))

    def end(self, trial_id: str, status: Status) -> None:
        self._call("end", trial_id, status)

    def let_on(self, trial_id: str) -> None:
        self._call("let_on", trial_id)

    def decided(self) -> Iterable[tuple[str, Decision]]:
        with SCHEDULER.calling(self._name, "decided"):
            for trial_id, decision in self._made.decided():
                yield trial_id, self._checked("decided", decision)

    def _call(self, method: str, *given: object) -> object:
        with SCHEDULER.calling(self._name, method):
            found: object = getattr(self._made, method)(*given)
            return found

    def _checked(self, method: str, decision: object) -> Decision:
        if isinstance(decision, Decision):
            return decision
        raise SCHEDULER.failed(
            self._name,
            f"`{method}` must return Decision.CONTINUE, STOP or PAUSE, but returned {decision!r}",
        )
