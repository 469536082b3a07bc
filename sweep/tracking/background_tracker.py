"""A tracker in a thread of its own, so that nobody waits for its server."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

from sweep.tracking.tracker import RelayTracker, Tracker

PATIENCE = 60.0
"""Seconds that `close` waits for what is not sent yet."""


class InBackground(RelayTracker):
    """Makes a tracker and calls it, in order, in one thread.

    An error ends that. The next call raises it, or else `close`.

    Args:
        make: makes the tracker, in the thread.
        patience: seconds that `close` waits.
    """

    def __init__(self, make: Callable[[], Tracker], patience: float = PATIENCE) -> None:
        self._calls = SimpleQueue[tuple[str, tuple[object, ...]] | None]()
        self._error: Exception | None = None
        self._patience = patience
        # A daemon: a server that never answers must not keep the command from ending.
        self._thread = Thread(target=self._work, args=(make,), daemon=True, name="tracker")
        self._thread.start()

    def close(self) -> None:
        """Wait for what is left.

        Raises:
            TimeoutError: it takes longer than ``patience``.
        """
        super().close()
        self._calls.put(None)
        self._thread.join(self._patience)
        if self._thread.is_alive():
            raise TimeoutError(f"not everything was sent within {self._patience:.0f} s")
        self._require_sound()

    def _pass_on(self, event: str, *facts: object) -> None:
        self._require_sound()
        self._calls.put((event, facts))

    def _require_sound(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self, make: Callable[[], Tracker]) -> None:
        try:
            tracker = make()
            while (call := self._calls.get()) is not None:
                getattr(tracker, call[0])(*call[1])
        except Exception as error:  # noqa: BLE001 - raised by the next call
            self._error = error
        except BaseException as error:  # noqa: BLE001 - `sys.exit` of a library ends no sweep
            self._error = RuntimeError(repr(error))
