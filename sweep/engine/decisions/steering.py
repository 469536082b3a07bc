"""What users ask of a running sweep (``sweep.stop``, ``sweep.enqueue``, ``sweep.note``)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from sweep.engine.decisions.sweep_controller import SweepController
from sweep.spec.checks.enqueued_configuration import check_enqueued
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.journal import ConfigurationEnqueued, Request, StopRequested
from sweep.store.layout import is_replicate
from sweep.store.spool.request_spool import RequestSpool
from sweep.store.store import Store
from sweep.vocabulary.errors import InputError

SECONDS_BETWEEN_LOOKS = 1.0


class Steering:
    """Takes the requests in the results folder and passes them to the controller.

    A request is recorded in the journal, then acted on, then its file is deleted. After a kill
    between any two of these, the next session finds either the record or the file, or both, and the
    id in the record tells that it is one request.

    Args:
        controller: acts on them.
        spec: the effective spec.
        store: the results folder.
        warn: called with a sentence for each request that is refused.
        clock: seconds; monotonic.
    """

    def __init__(
        self,
        controller: SweepController,
        spec: SweepSpec,
        store: Store,
        warn: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._controller = controller
        self._spec = spec
        self._store = store
        self._spool = RequestSpool(store.layout)
        self._warn = warn
        self._clock = clock
        self._due = -math.inf
        self._broken: set[str] = set()

    def __call__(self) -> None:
        """Take all requests that are there. Looks at most once a second until the sweep is over."""
        if self._clock() < self._due and not self._controller.finished:
            return
        self._due = self._clock() + SECONDS_BETWEEN_LOOKS
        self._store.fetch_requests()
        for request in self._spool.readable(self._note_broken):
            try:
                news = self._is_news(request)
            except (InputError, ValueError) as error:
                self._warn(f"the request of {request.by} is refused: {error}")
            else:
                if news:
                    self._controller.obey(request)
            self._spool.drop(request)

    def _is_news(self, request: Request) -> bool:
        """False if the journal has the request already.

        The command has checked what it asks for, but the trial may have ended in between.

        Raises:
            InputError, ValueError: it cannot be acted on; says why.
        """
        news = self._store.is_new_request(request)
        match request:
            case StopRequested() if is_replicate(request.trial_id):
                raise ValueError(f"{request.trial_id} is a replicate, which cannot be stopped")
            case ConfigurationEnqueued() if news:
                check_enqueued(self._spec, request.parameters, request.request)
        return news

    def _note_broken(self, name: str, error: Exception) -> None:
        if name not in self._broken:
            self._broken.add(name)
            self._warn(f"{error}; it is passed over")
