"""A tracker in a thread of its own, so that nobody waits for its server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from queue import SimpleQueue
from threading import Thread

from sweep.tracking.tracker import Tracker
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import ParameterValue, TrialRecord

PATIENCE = 60.0
"""Seconds that `close` waits for what is not sent yet."""


class InBackground(Tracker):
    """Makes a tracker and calls it, in order, in one thread.

    An error ends that. The next call raises it, or else `close`.

    Args:
        make: makes the tracker, in the thread.
        patience: seconds that `close` waits.
    """

    def __init__(self, make: Callable[[], Tracker], patience: float = PATIENCE) -> None:
        self._calls = SimpleQueue[Callable[[Tracker], None] | None]()
        self._error: Exception | None = None
        self._patience = patience
        # A daemon: a server that never answers must not keep the command from ending.
        self._thread = Thread(target=self._work, args=(make,), daemon=True, name="tracker")
        self._thread.start()

    def trial_started(self, trial_id: str, parameters: Mapping[str, ParameterValue]) -> None:
        self._later(lambda tracker: tracker.trial_started(trial_id, parameters))

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        self._later(lambda tracker: tracker.epoch_reported(trial_id, metrics))

    def trial_waits(self, trial_id: str) -> None:
        self._later(lambda tracker: tracker.trial_waits(trial_id))

    def trial_ended(self, record: TrialRecord) -> None:
        self._later(lambda tracker: tracker.trial_ended(record))

    def ranked(self) -> None:
        self._later(lambda tracker: tracker.ranked())

    def pictures_drawn(self, trial_id: str, pictures: Mapping[str, bytes]) -> None:
        self._later(lambda tracker: tracker.pictures_drawn(trial_id, pictures))

    def close(self) -> None:
        """Wait for what is left.

        Raises:
            TimeoutError: it takes longer than ``patience``.
        """
        self._later(lambda tracker: tracker.close())
        self._calls.put(None)
        self._thread.join(self._patience)
        if self._thread.is_alive():
            raise TimeoutError(f"not everything was sent within {self._patience:.0f} s")
        self._require_sound()

    def _later(self, call: Callable[[Tracker], None]) -> None:
        self._require_sound()
        self._calls.put(call)

    def _require_sound(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self, make: Callable[[], Tracker]) -> None:
        try:
            tracker = make()
            while (call := self._calls.get()) is not None:
                call(tracker)
        except Exception as error:  # noqa: BLE001 - raised by the next call
            self._error = error
        except BaseException as error:  # noqa: BLE001 - `sys.exit` of a library ends no sweep
            self._error = RuntimeError(repr(error))
